package rules

import (
	"context"

	"attractor/deq"
)

// SnAp1 keeps of the influence of the parameters on the state only that of a synapse on its own unit:
// with J_ii the diagonal of ∂f/∂z,
//
//	p_ij(t) = J_ii(t) p_ij(t−1) + ∂f_i/∂a_i·pre_j,   ΔW_ij = Σ_t (∂L/∂z_t)_i p_ij(t).
//
// It is EProp with the weight of a unit to itself in the decay. It is exact where every recurrent product has
// diagonal weights and no product feeds another: then nothing leaves a unit. So it is for rate networks in
// both forms, lstm, mondeq and gru with reset after, and not for gru with reset before, whose reset gate acts
// through the product with Wn, nor for loops by a readout, which reach all units.
//
// J. Menick, E. Elsen, U. Evci, S. Osindero, K. Simonyan and A. Graves, ICLR 2021, arXiv:2006.07232.
type SnAp1[T deq.Float] struct {
	Local[T]
	Tracing
}

func snap1Entry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "snap-1", Value: SnAp1[T]{}, Doc: `sparse one-step approximation of real-time recurrent learning

As e-prop, but the trace of a synapse also follows the weight of its unit to itself: it decays by the
diagonal of the Jacobian, p_ij(t) = J_ii(t)p_ij(t−1) + ∂f_i/∂a_i·pre_j. What goes by other units is left out, and
what a product gives to another product. So it is exact where every recurrent product has diagonal weights
and no product feeds another: rate in both forms, lstm, mondeq and gru with reset after; not gru with
reset before, whose reset gate acts through the product with Wn, even with diagonal weights, nor feedback.`,
		Refs: []string{`@inproceedings{menick2021practical,
  title     = {A Practical Sparse Approximation for Real Time Recurrent Learning},
  author    = {Menick, Jacob and Elsen, Erich and Evci, Utku and Osindero, Simon and Simonyan, Karen and Graves, Alex},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2006.07232},
  archiveprefix = {arXiv}
}`}}
}

// Check implements Rule: every model will do, or with traces that run forwards every cell of synapses.
func (r SnAp1[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return checkTraces(r.Tracing, "snap-1", l)
}

// Audit implements Rule.
func (r SnAp1[T]) Audit() Audit { return r.audit(r.Local.Audit()) }

// Gradient implements TemporalRule.
func (r SnAp1[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	if r.forwards() {
		return r.traceForwards(ctx, p, true, g)
	}
	return r.gradient(ctx, p, deq.UnitCredit, g)
}
