package rules

import (
	"context"

	"attractor/deq"
)

// JFB is Jacobian-free back-propagation: the adjoint u is replaced by its first term,
//
//	u = ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ.
//
// It needs no adjoint solve. It is a descent direction where f contracts enough.
type JFB[T deq.Float] struct{}

// Check implements Rule: every model will do.
func (JFB[T]) Check(*deq.Layer[T]) error { return nil }

// Exact implements Rule.
func (JFB[T]) Exact() bool { return false }

// Gradient implements EquilibriumRule.
func (JFB[T]) Gradient(_ context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	return Report{}, s.pullBack(s.Output.DZ, g)
}
