// Package rules holds the learning rules: ways to get the gradient of a cell's parameters
// from an equilibrium or a trajectory. They are pure: several can look at one equilibrium,
// one of them drives the weights.
//
// A new rule is one file: a struct with its options as tagged fields, Check, Exact, Audit,
// one of the two Gradient methods, and its entry, which Catalog lists; package ruletest then tests it.
package rules

import (
	"context"
	"fmt"
	"slices"

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
	// Audit states what the rule needs, with its options as they are.
	Audit() Audit
}

// EquilibriumRule takes its gradient from z*.
type EquilibriumRule[T deq.Float] interface {
	Rule[T]
	// Gradient adds the gradients of the cell's parameters to g. The readout's are
	// not the rule's to compute.
	Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error)
}

// TemporalRule takes its gradient from a trajectory: a relaxation at a constant input, whose last
// state is read out, or a sequence, whose states are read out where they have a loss. Online
// rules go through the passage step by step and keep their traces to themselves.
type TemporalRule[T deq.Float] interface {
	Rule[T]
	Horizon() int // steps of a relaxation; a sequence has its own
	// Gradient is as in EquilibriumRule.
	Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error)
}

// Passage is what a TemporalRule is given.
type Passage[T deq.Float] struct {
	*deq.Trajectory[T]
	Outputs deq.Outputs[T] // of the states z_t, by t = 0 … Steps
	Loss    deq.Loss[T]    // for rules that need it at other states
	Own     Own[T]         // the rule's own parameters, if it is Parametric
	Random  Randomness     // for rules that draw
	Trained []int          // indices of the parameters that learn; nil: all
}

// ForwardChecker is a rule that needs something of the forward solver. Like Check it is asked
// before training starts.
type ForwardChecker[T deq.Float] interface {
	CheckForward(forward deq.Solver[T]) error
}

// Runner is a TemporalRule that runs the cell in a way of its own.
type Runner[T deq.Float] interface {
	Run(ctx context.Context, l *deq.Layer[T], q deq.Sequence[T]) (*deq.Trajectory[T], error)
}

// Run runs the trajectory that a rule takes its gradient from: a sequence or, with no Steps, a
// relaxation as long as the rule's horizon.
func Run[T deq.Float](ctx context.Context, rule TemporalRule[T], l *deq.Layer[T], q deq.Sequence[T]) (*deq.Trajectory[T], error) {
	if q.Steps == 0 {
		q.Steps = rule.Horizon()
	}
	if r, ok := rule.(Runner[T]); ok {
		return r.Run(ctx, l, q)
	}
	return l.Run(ctx, q)
}

// SequenceChecker is a TemporalRule that cannot take its gradient from every sequence. Like Check it
// is asked before training starts.
type SequenceChecker interface {
	CheckSequence(steps int) error
}

// ReadoutRule is a TemporalRule that trains the readout and leaves the cell as it is. What it adds to the
// gradients of the readout and of its own parameters is the step itself: they are moved by θ ← θ − g,
// without an optimiser, a learning rate or clipping, and the readout has no other gradient. The loss is a
// squared error, if none is chosen.
type ReadoutRule interface{ TrainsReadout() }

// Situation is what an EquilibriumRule is given.
type Situation[T deq.Float] struct {
	*deq.Equilibrium[T]
	Output   *deq.Output[T] // readout and loss at z*, with DZ = ∂L/∂z*
	Loss     deq.Loss[T]    // for rules that need it at other states
	Forward  deq.Solver[T]  // for rules that relax the cell again
	Backward deq.Solver[T]  // for rules that solve the adjoint
	Own      Own[T]         // the rule's own parameters, if it is Parametric
	Random   Randomness     // for rules that draw
	Trained  []int          // indices of the parameters that learn; nil: all

	// Guess, if not nil, is an initial guess of the adjoint [rows, units], for rules that are
	// WarmStarters. Tell, if not nil, is told the u of rules whose gradient is uᵀ ∂f/∂θ.
	Guess []T
	Tell  func(u []T)
}

// learns reports whether the parameter with that index learns.
func (s Situation[T]) learns(i int) bool { return s.Trained == nil || slices.Contains(s.Trained, i) }

// PullBack adds uᵀ ∂f/∂θ to g, as VJP does, and shows u to whoever observes the rule as its adjoint.
func (s Situation[T]) PullBack(u []T, g deq.Params[T]) error {
	if s.Tell != nil {
		s.Tell(u)
	}
	return s.VJP(u, g)
}

// WarmStarter is an EquilibriumRule that starts its adjoint solve from Situation.Guess.
type WarmStarter interface{ WarmStarts() }

// Report says how the gradient was got.
type Report struct {
	Solves []Solve // of the rule's own
	Bytes  int     // of the rule's own buffers, beyond layer and gradients

	// Drift is how far each sample of a relaxation that was run backwards has missed where it
	// came from, relative to its last state (nil for other rules); with more than MaxDrift its
	// gradient is not to be relied on.
	Drift    []float64
	MaxDrift float64
}

// DriftError says that a relaxation could not be run backwards.
type DriftError struct {
	Sample          int // the first of Failed
	Failed, Batch   int
	Drift, MaxDrift float64
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("rules: %d of %d samples drift on the way back; sample %d misses its start by %.3g of its last state, more than %g: use fewer steps, a smaller beta, or keep a pair every few steps",
		e.Failed, e.Batch, e.Sample, e.Drift, e.MaxDrift)
}

// Err returns nil if all solves converged and no sample drifted, and else the first error: a
// *SolveError or a *DriftError.
func (r Report) Err() error {
	for _, s := range r.Solves {
		if err := s.Err(); err != nil {
			return err
		}
	}
	var e *DriftError
	for b, d := range r.Drift {
		if d <= r.MaxDrift {
			continue
		}
		if e == nil {
			e = &DriftError{Sample: b, Batch: len(r.Drift), Drift: d, MaxDrift: r.MaxDrift}
		}
		e.Failed++
	}
	if e != nil {
		return e
	}
	return nil
}

// Failed is the number of samples of which some solve did not converge, or that drifted.
func (r Report) Failed() int { return len(r.FailedSamples()) }

// FailedSamples are the samples that Failed counts.
func (r Report) FailedSamples() map[int]bool {
	failed := map[int]bool{}
	for _, s := range r.Solves {
		for i, status := range s.Status {
			if status != solvers.Converged {
				failed[i] = true
			}
		}
	}
	for b, d := range r.Drift {
		if !(d <= r.MaxDrift) {
			failed[b] = true
		}
	}
	return failed
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
