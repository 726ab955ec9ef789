package rules

import (
	"context"

	"attractor/deq"
)

// EProp is eligibility propagation, generic over cells. With a the products of the synapses, credit
// ℓ_t = ∂L/∂z_t, and D what of ∂f/∂z is left when the products are held fixed, so that it stays within
// a unit,
//
//	e_t = D_t e_{t−1} + ∂f/∂a·pre,   ΔW_ij = Σ_t ℓ_i(t) e_ij(t).
//
// For the leaky cells D = 1 − α, the leak; for gated ones what the gates let through. Traces run forwards
// in a brain; unless Tracing says so, the same sum is taken by running credits backwards. Feedback random takes
// ℓ_t = φ′ ⊙ ∂L/∂y_t B with fixed random weights.
//
// G. Bellec, F. Scherr, A. Subramoney, E. Hajek, D. Salaj, R. Legenstein and W. Maass, Nature
// Communications 11:3625, 2020, doi:10.1038/s41467-020-17236-y.
type EProp[T deq.Float] struct {
	Local[T]
	Tracing
}

func ePropEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "e-prop", Value: EProp[T]{}, Doc: `eligibility propagation: traces of the synapses times a credit of the unit

Every synapse keeps a trace of its activity that decays as the unit's own state does, and learns by
the trace times the credit of the unit: ΔW_ij = Σ_t ℓ_i(t) e_ij(t). What goes from unit to unit and
back is left out, so that no recurrent weight is transported. feedback: random takes the output's error back
through fixed random weights.`,
		Refs: []string{`@article{bellec2020solution,
  title   = {A Solution to the Learning Dilemma for Recurrent Networks of Spiking Neurons},
  author  = {Bellec, Guillaume and Scherr, Franz and Subramoney, Anand and Hajek, Elias and Salaj, Darjan and Legenstein, Robert and Maass, Wolfgang},
  journal = {Nature Communications},
  volume  = {11},
  pages   = {3625},
  year    = {2020},
  doi     = {10.1038/s41467-020-17236-y}
}`}}
}

// Check implements Rule: every model will do, or with traces that run forwards every cell of synapses.
func (r EProp[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return checkTraces(r.Tracing, "e-prop", l)
}

// Audit implements Rule.
func (r EProp[T]) Audit() Audit { return r.audit(r.Local.Audit()) }

// Gradient implements TemporalRule.
func (r EProp[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	if r.forwards() {
		return r.traceForwards(ctx, p, false, g)
	}
	return r.gradient(ctx, p, deq.CutCredit, g)
}
