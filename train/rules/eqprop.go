package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/options"
)

// EqProp is equilibrium propagation in its vector-field form, with the centred estimate.
// From the free phase z⁰ = f(z⁰) two nudged phases are relaxed,
//
//	z^±β = f(z^±β) ∓ β ∂ℓ/∂z(z^±β),
//
// and the gradient is uᵀ ∂f/∂θ at z⁰ with u = (z^−β − z^+β)/(2β). As β → 0, u tends to
// (I − J)⁻¹ ∂L/∂z*, with error O(β²): the adjoint where J is symmetric, and a bias
// elsewhere that no β removes.
type EqProp[T deq.Float] struct {
	Beta float64 `default:"0.5" doc:"nudging strength β"`
}

// Validate reports options outside their range.
func (r EqProp[T]) Validate() error {
	if r.Beta < 0 {
		return fmt.Errorf("beta: expected a positive number, found %g", r.Beta)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r EqProp[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (EqProp[T]) Exact() bool { return false }

// Gradient implements EquilibriumRule.
func (r EqProp[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	beta := options.WithDefaults(r).Beta
	plus, minus := append([]T(nil), s.Z...), append([]T(nil), s.Z...)
	var rep Report
	for _, phase := range []struct {
		z    []T
		beta float64
	}{{plus, beta}, {minus, -beta}} {
		solve, err := s.Nudge(ctx, phase.z, phase.beta, s.Loss, s.Forward)
		if err != nil {
			return rep, fmt.Errorf("rules: eqprop: nudged phase: %w", err)
		}
		rep.Solves = append(rep.Solves, solve)
	}
	rep.Bytes = bytesOf(plus, minus)
	// ∂ℓ_b/∂z_b is Rows times ∂L/∂z_b, L being the mean.
	scale := T(1 / (2 * beta * float64(s.Rows)))
	for i := range minus {
		minus[i] = (minus[i] - plus[i]) * scale
	}
	return rep, s.pullBack(minus, g)
}
