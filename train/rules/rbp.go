package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/solvers"
	"attractor/train/kit"
)

// RBP is recurrent back-propagation: the adjoint is the fixed point of a second network, the linear
// relaxation
//
//	du/dt = −u + Jᵀu + ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ,   J = ∂f/∂z at z*,
//
// in Euler steps of length dt from u = ∂L/∂z* (or from Situation.Guess). A sample rests when
// its residual is within the tolerance of the backward solver, whose method is not used; one
// that does not within Steps counts as failed. The error falls as the spectral radius of
// (1−dt)I + dt·J to the power of the steps; the limit is Implicit.
//
// L. B. Almeida, A learning rule for asynchronous perceptrons with feedback in a combinatorial
// environment, IEEE International Conference on Neural Networks, 1987; F. J. Pineda,
// Generalization of back-propagation to recurrent neural networks, Physical Review Letters 59,
// 1987, doi:10.1103/PhysRevLett.59.2229.
type RBP[T deq.Float] struct {
	Steps int     `default:"200" doc:"Euler steps at most" max:"1e6: a relaxation that takes longer does not settle" order:"k"`
	DT    float64 `default:"0.5" doc:"length dt of a step in units of the time constant, 0 < dt ≤ 1"`
}

func rbpEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "rbp", Value: RBP[T]{}, Doc: `recurrent back-propagation: the adjoint as a relaxation

Relaxes du/dt = −u + Jᵀu + ∂L/∂z* in Euler steps, a second, linear network with the transposed weights,
and returns uᵀ∂f/∂θ. The limit is implicit, to which the error falls geometrically where f itself
relaxes to z*. It rests at the tolerance of the backward solver.`,
		Refs: []string{`@inproceedings{almeida1987learning,
  title     = {A Learning Rule for Asynchronous Perceptrons with Feedback in a Combinatorial Environment},
  author    = {Almeida, Luis B.},
  booktitle = {Proceedings of the IEEE First International Conference on Neural Networks},
  volume    = {2},
  pages     = {609--618},
  year      = {1987}
}`, pineda1987}}
}

// Validate reports options outside their range.
func (r RBP[T]) Validate() error {
	r = kit.WithDefaults(r)
	switch {
	case r.Steps < 1:
		return fmt.Errorf("steps: expected at least 1, found %d", r.Steps)
	case !(r.DT > 0 && r.DT <= 1):
		return fmt.Errorf("dt: expected a step length above 0 and up to 1, found %g", r.DT)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r RBP[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (RBP[T]) Exact() bool { return true }

// Audit implements Rule.
func (RBP[T]) Audit() Audit { return Implicit[T]{}.Audit() }

// WarmStarts implements WarmStarter.
func (RBP[T]) WarmStarts() {}

// Gradient implements EquilibriumRule.
func (r RBP[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	s.Backward.Method = solvers.Picard[T]{Damping: r.DT}
	s.Backward.Settings.MaxEvals = r.Steps + 1 // the first product is for the residual of the start
	rep, err := Implicit[T]{}.Gradient(ctx, s, g)
	for i := range rep.Solves {
		rep.Solves[i].Of = fmt.Sprintf("the adjoint, which rbp relaxes in at most %d steps of %g", r.Steps, r.DT)
		rep.Solves[i].Bound = "rule.steps"
	}
	return rep, err
}
