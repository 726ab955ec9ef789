package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// ModProp is e-prop with credit that comes over any number of synapses, through filters that do not depend on
// what the network does: on the way, where MDGL with many hops would have the slopes of all units at
// all times, it has one mean of them, μ. For a cell φ without a leak
//
//	ΔW_pq = Σ_t (ℓ_p(t) + Σ_s Σ_j μ^{s−1} (Wˢ)_jp a_j(t+s)) e_pq(t),   a_j = φ′_j ℓ_j,
//
// s from 1 to the number of taps. Where there is a leak each hop also filters by that, as each unit does. The
// unit that sends and the unit that receives have slopes of their own. Other cells have the means of
// all that is between, ∂f/∂a, ∂pre/∂z and D, in place of μ. They are means over units, samples and steps of the
// passage; the paper has a μ that is chosen. Of the weights W there may be means by type alone.
//
// Of a linear network without type means, with taps for all steps, it is back-propagation
// through time.
//
// Y. H. Liu, S. Smith, S. Mihalas, E. Shea-Brown and U. Sümbül, NeurIPS 2022, arXiv:2206.01338.
type ModProp[T deq.Float] struct {
	Broadcast[T]
	Taps int `default:"10" doc:"taps S of the filter: steps and synapses that credit comes back over" max:"1e6: no trial has more steps" order:"k"`
}

func modPropEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "modprop", Value: ModProp[T]{}, Doc: `credit over many synapses by fixed filters: e-prop, and broadcasts with a mean slope

As mdgl, but what units broadcast goes on from unit to unit, s times through the weights for the tap
μ^{s−1}Wˢ of a filter, where μ is the mean slope of all units at all times in place of each one's own. For
a rate network with the leak α, ΔW_pq = Σ_t (ℓ_p(t) + Σ_s Σ_j W_jp aˢ_j(t+1)) e_pq(t), s from 1 to the taps, with

  a¹_j(t)   = αφ′_j(t)u¹_j(t),   u¹_j(t) = ℓ_j(t) + (1 − α)u¹_j(t+1),
  aˢ⁺¹_j(t) = αμ·uˢ⁺¹_j(t),      uˢ⁺¹_j(t) = Σ_k W_kj aˢ_k(t+1) + (1 − α)uˢ⁺¹_j(t+1):

each unit on the way filters what it passes on by its own leak. Without a leak, α = 1, this is a filter with the
taps μ^{s−1}Wˢ and nothing else. With types: k the weights are their means between k types of units. Exact for linear networks, without
types and with taps for all steps; large weights make far taps grow, as μ does not know which units
saturate.`,
		Refs: []string{`@inproceedings{liu2022biologically,
  title         = {Biologically-Plausible Backpropagation through Arbitrary Timespans via Local Neuromodulators},
  author        = {Liu, Yuhan Helena and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and S{\"u}mb{\"u}l, Uygar},
  booktitle     = {Advances in Neural Information Processing Systems},
  volume        = {35},
  year          = {2022},
  eprint        = {2206.01338},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r ModProp[T]) Validate() error {
	if r.Taps < 0 {
		return fmt.Errorf("taps: expected at least 1, found %d", r.Taps)
	}
	return r.Broadcast.Validate()
}

// Check implements Rule: the synapses of the cell must be named.
func (r ModProp[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return r.Broadcast.Check(l)
}

// Gradient implements TemporalRule.
func (r ModProp[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	return r.gradient(ctx, p, kit.WithDefaults(r).Taps, true, g)
}
