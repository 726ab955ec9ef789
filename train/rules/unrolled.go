package rules

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/train/kit"
)

// Unrolled is BPTT with checkpoints, of the Picard iterations z_{t+1} = f(z_t, x) from z_0 = 0 or of
// a sequence: one state in every c is kept, the others are computed again, a segment at a time,
// on the way back. The gradient is that of BPTT to the last bit; the memory is T/c + c states in
// place of T, the price a second run of the cell.
//
// T. Chen, B. Xu, C. Zhang and C. Guestrin, Training Deep Nets with Sublinear Memory Cost, 2016,
// arXiv:1604.06174.
type Unrolled[T deq.Float] struct {
	Steps int `default:"30" doc:"iterations T; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Every int `doc:"steps c from one checkpoint to the next; 0 is the root of the steps, which takes the least memory" max:"1e6: no relaxation has more steps"`
}

func unrolledEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "unrolled", Value: Unrolled[T]{}, Doc: `back-propagation through time, or through Picard iterations, with checkpoints

The gradient of bptt to the last bit in a memory of T/c + c states instead of T: one state in c
is kept, the others are computed again on the way back, at the price of a second run of the cell.`,
		Refs: []string{`@misc{chen2016training,
  title  = {Training Deep Nets with Sublinear Memory Cost},
  author = {Chen, Tianqi and Xu, Bing and Zhang, Chiyuan and Guestrin, Carlos},
  year   = {2016},
  eprint = {1604.06174},
  archiveprefix = {arXiv}
}`, `@article{griewank2000revolve,
  title   = {Algorithm 799: Revolve: An Implementation of Checkpointing for the Reverse or Adjoint Mode of Computational Differentiation},
  author  = {Griewank, Andreas and Walther, Andrea},
  journal = {ACM Transactions on Mathematical Software},
  volume  = {26},
  number  = {1},
  pages   = {19--45},
  year    = {2000},
  doi     = {10.1145/347837.347846}
}`}}
}

// Validate reports options outside their range.
func (r Unrolled[T]) Validate() error {
	if r.Steps < 0 || r.Every < 0 {
		return fmt.Errorf("steps and every: expected at least 1 and 0, found %d and %d", r.Steps, r.Every)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r Unrolled[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (Unrolled[T]) Exact() bool { return true }

// Audit implements Rule.
func (r Unrolled[T]) Audit() Audit {
	a := Audit{RecurrentTransport: true, ReadoutTransport: true, Phases: r.Every != 1, StoredStates: true, Memory: "√T n", Time: "T n^2"}
	if r.Every > 0 {
		a.Memory = "T n"
	}
	return a
}

// Horizon implements TemporalRule.
func (r Unrolled[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// Run implements Runner.
func (r Unrolled[T]) Run(ctx context.Context, l *deq.Layer[T], q deq.Sequence[T]) (*deq.Trajectory[T], error) {
	if q.Every = r.Every; q.Every == 0 {
		q.Every = int(math.Round(math.Sqrt(float64(q.Steps))))
	}
	return l.Run(ctx, q)
}

// Gradient implements TemporalRule.
func (Unrolled[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	return BPTT[T]{}.Gradient(ctx, p, g)
}
