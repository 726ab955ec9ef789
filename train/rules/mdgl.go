package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// MDGL is multidigraph learning: e-prop with credit that goes one synapse further. Units tell those that drive
// them, by a signal that spreads, of their own credit times their own sensitivity, a_j, weighed by the weight from
// one to the other or by its mean between their types of cell:
//
//	ΔW_pq = Σ_t (ℓ_p(t) + Σ_j W_jp a_j(t+1)) e_pq(t),   a_j(t) = ∂f_j/∂a_j u_j(t),
//
// with the traces e_pq and credits ℓ of EProp and u_j the credit of unit j from then on, as it stays within the unit,
// u(t) = ℓ(t) + D u(t+1). This is all that reaches the loss over at most one synapse from unit to unit; the
// authors' program has for u the credit ℓ of the moment alone, and means by type over pairs that are connected. With
// more hops it is what goes over so many; with as many as steps it is back-propagation
// through time, where the units of the cell meet in products with weights alone. What gates give to other
// products is left out as in e-prop.
//
// Y. H. Liu, S. Smith, S. Mihalas, E. Shea-Brown and U. Sümbül, PNAS 118(51):e2111821118, 2021,
// doi:10.1073/pnas.2111821118.
type MDGL[T deq.Float] struct {
	Broadcast[T]
	Hops int `default:"1" doc:"synapses from unit to unit that credit goes back over" max:"1e6: no trial has more steps" order:"k"`
}

func mdglEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "mdgl", Value: MDGL[T]{}, Doc: `multidigraph learning: e-prop, and credit from one synapse away

The trace of a synapse is multiplied by the credit of its unit and by the sum of what the units that
this one drives broadcast of theirs, ΔW_pq = Σ_t (ℓ_p(t) + Σ_j W_jp a_j(t+1)) e_pq(t). For a rate network
with the leak α

  e_pq(t) = (1 − α)e_pq(t−1) + αφ′_p(t)z_q(t−1),
  a_j(t)  = αφ′_j(t)u_j(t),   u_j(t) = ℓ_j(t) + (1 − α)u_j(t+1):

what a neighbour broadcasts is its credit from then on, filtered backwards in time by its own leak, not
that of the moment alone as in the authors' program (the same where α = 1). Other cells have what their units
keep of themselves in place of 1 − α. The weights W_jp are the network's own or, with types: k, their means between k types of units, which under Dale's law are
those that excite and those that inhibit, or parts of these. Without a structure of types the means of random
weights are about 0, and so is what they add.`,
		Refs: []string{`@article{liu2021cell,
  title   = {Cell-Type-Specific Neuromodulation Guides Synaptic Credit Assignment in a Spiking Neural Network},
  author  = {Liu, Yuhan Helena and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and S{\"u}mb{\"u}l, Uygar},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {118},
  number  = {51},
  pages   = {e2111821118},
  year    = {2021},
  doi     = {10.1073/pnas.2111821118}
}`}}
}

// Validate reports options outside their range.
func (r MDGL[T]) Validate() error {
	if r.Hops < 0 {
		return fmt.Errorf("hops: expected at least 1, found %d", r.Hops)
	}
	return r.Broadcast.Validate()
}

// Check implements Rule: the synapses of the cell must be named.
func (r MDGL[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return r.Broadcast.Check(l)
}

// Gradient implements TemporalRule.
func (r MDGL[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	return r.gradient(ctx, p, kit.WithDefaults(r).Hops, false, g)
}
