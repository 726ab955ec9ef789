package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// BPTT is back-propagation through time over the trajectory z_{t+1} = f(z_t, x_t) from z_0 = 0:
//
//	u_{T−1} = ∂L/∂z_T,   u_{t−1} = ∂L/∂z_t + J(z_t)ᵀ u_t,   dL/dθ = Σ_t u_tᵀ ∂f/∂θ at z_t.
//
// It is exact. Of a relaxation, whose input is constant and whose last state alone is read out, it
// is the implicit gradient for T → ∞ where f converges. It keeps all T states.
type BPTT[T deq.Float] struct {
	Steps int `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
}

func bpttEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "bptt", Value: BPTT[T]{}, Doc: `back-propagation through time, exact

Runs z ← f(z, x) from 0 and back-propagates through all steps. On a task of sequences the steps are
those of the trials, and each state that has a loss is read out. On other tasks it is a
relaxation of a fixed number of steps whose last state is read out: the implicit gradient in
the limit of many. Stores every state: memory grows with the steps.`,
		Refs: []string{`@article{werbos1990backpropagation,
  title   = {Backpropagation Through Time: What It Does and How to Do It},
  author  = {Werbos, Paul J.},
  journal = {Proceedings of the IEEE},
  volume  = {78},
  number  = {10},
  pages   = {1550--1560},
  year    = {1990},
  doi     = {10.1109/5.58337}
}`}}
}

// Validate reports options outside their range.
func (r BPTT[T]) Validate() error {
	if r.Steps < 0 {
		return fmt.Errorf("steps: expected at least 1, found %d", r.Steps)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r BPTT[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (BPTT[T]) Exact() bool { return true }

// Audit implements Rule.
func (BPTT[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, StoredStates: true, Memory: "T n", Time: "T n^2"}
}

// Horizon implements TemporalRule.
func (r BPTT[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// Gradient implements TemporalRule.
func (BPTT[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	return Report{Bytes: p.Bytes() + p.Outputs.Bytes()}, p.VJP(ctx, deq.Back[T]{Outputs: p.Outputs}, g)
}
