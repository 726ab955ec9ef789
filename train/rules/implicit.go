package rules

import (
	"context"
	"fmt"

	"attractor/deq"
)

// Implicit is the exact gradient by the implicit function theorem:
//
//	(I − Jᵀ) u = ∂L/∂z*,   dL/dθ = uᵀ ∂f/∂θ,   J = ∂f/∂z at z*
//
// with u from the backward solver, started at Situation.Guess or else at ∂L/∂z*.
type Implicit[T deq.Float] struct{}

func implicitEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "implicit", Value: Implicit[T]{}, Doc: `exact gradient by the implicit function theorem

Solves (I − Jᵀ)u = ∂L/∂z* with the backward solver (J = ∂f/∂z at z*) and returns uᵀ∂f/∂θ.
Memory does not depend on the number of solver iterations. It needs the transpose of J,
weight transport in the words of neuroscience. Its relaxation is rbp; Bai et al. brought it to
deep equilibrium models.`,
		Refs: []string{`@inproceedings{bai2019deep,
  title     = {Deep Equilibrium Models},
  author    = {Bai, Shaojie and Kolter, J. Zico and Koltun, Vladlen},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {32},
  year      = {2019},
  eprint    = {1909.01377},
  archiveprefix = {arXiv}
}`, pineda1987}}
}

const pineda1987 = `@article{pineda1987generalization,
  title   = {Generalization of Back-Propagation to Recurrent Neural Networks},
  author  = {Pineda, Fernando J.},
  journal = {Physical Review Letters},
  volume  = {59},
  pages   = {2229--2232},
  year    = {1987},
  doi     = {10.1103/PhysRevLett.59.2229}
}`

// Check implements Rule: every model will do.
func (Implicit[T]) Check(*deq.Layer[T]) error { return nil }

// Exact implements Rule.
func (Implicit[T]) Exact() bool { return true }

// Audit implements Rule.
func (Implicit[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, Solve: true, Memory: "n", Time: "k n^2"}
}

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
	return Report{Solves: []Solve{adjoint("the adjoint", rep)}, Bytes: bytesOf(u)}, s.PullBack(u, g)
}
