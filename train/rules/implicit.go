package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/solvers"
)

// Implicit is the exact gradient by the implicit function theorem:
//
//	(I − Jᵀ) u = ∂L/∂z*,   dL/dθ = uᵀ ∂f/∂θ,   J = ∂f/∂z at z*
//
// with u from the backward solver, started at Situation.Guess or else at ∂L/∂z*.
type Implicit[T deq.Float] struct{}

// Check implements Rule: every model will do.
func (Implicit[T]) Check(*deq.Layer[T]) error { return nil }

// Exact implements Rule.
func (Implicit[T]) Exact() bool { return true }

// WarmStarts implements WarmStarter.
func (Implicit[T]) WarmStarts() {}

// Gradient implements EquilibriumRule.
func (Implicit[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	u := append([]T(nil), s.Output.DZ...)
	if s.Guess != nil {
		copy(u, s.Guess)
	}
	rep, err := s.Adjoint(ctx, s.Output.DZ, u, s.Backward)
	if err != nil {
		return Report{}, fmt.Errorf("rules: implicit: %w", err)
	}
	return Report{Solves: []*solvers.Report{rep}, Bytes: bytesOf(u)}, s.pullBack(u, g)
}
