// Package rules holds the learning rules: ways to get the gradient of a cell's parameters
// from an equilibrium or a trajectory. They are pure: several can look at one equilibrium,
// one of them drives the weights.
//
// A new rule is one file: a struct with its options as tagged fields, Check, one of the
// two Gradient methods, and an entry in Catalog; package ruletest then tests it.
package rules

import (
	"context"

	"attractor/deq"
	"attractor/solvers"
)

// Rule is a learning rule. It also is either an EquilibriumRule or a TemporalRule.
type Rule[T deq.Float] interface {
	// Check reports why the rule cannot train this layer's model, before training starts.
	Check(l *deq.Layer[T]) error
	// Exact reports whether the rule computes the gradient itself, up to solver tolerance
	// or truncation, rather than something else that descends.
	Exact() bool
}

// EquilibriumRule takes its gradient from z*.
type EquilibriumRule[T deq.Float] interface {
	Rule[T]
	// Gradient adds the gradients of the cell's parameters to g. The readout's are
	// not the rule's to compute.
	Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error)
}

// TemporalRule takes its gradient from a relaxation over a fixed number of steps, whose last
// state is read out.
type TemporalRule[T deq.Float] interface {
	Rule[T]
	Horizon() int // steps of the relaxation
	// Gradient is as in EquilibriumRule; o is the readout of the last state.
	Gradient(ctx context.Context, tr *deq.Trajectory[T], o *deq.Output[T], g deq.Params[T]) (Report, error)
}

// Situation is what an EquilibriumRule is given.
type Situation[T deq.Float] struct {
	*deq.Equilibrium[T]
	Output   *deq.Output[T] // readout and loss at z*, with DZ = ∂L/∂z*
	Loss     deq.Loss[T]    // for rules that need it at other states
	Forward  deq.Solver[T]  // for rules that relax the cell again
	Backward deq.Solver[T]  // for rules that solve the adjoint
}

// Report says how the gradient was got.
type Report struct {
	Solves []*solvers.Report // of the rule's own solves
	Bytes  int               // of the rule's own buffers, beyond layer and gradients
}

// Failed is the number of samples of which some solve did not converge.
func (r Report) Failed() int {
	failed := map[int]bool{}
	for _, s := range r.Solves {
		for i, status := range s.Status {
			if status != solvers.Converged {
				failed[i] = true
			}
		}
	}
	return len(failed)
}

func bytesOf[T deq.Float](buffers ...[]T) int {
	n := 0
	for _, b := range buffers {
		n += len(b)
	}
	if _, is32 := any(T(0)).(float32); is32 {
		return 4 * n
	}
	return 8 * n
}
