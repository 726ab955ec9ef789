package rules

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/options"
)

// Unrolled is BPTT through the Picard iterations z_{t+1} = f(z_t, x) from z_0 = 0 with
// checkpoints: one state in every c is kept, the others are computed again, a segment at a time,
// on the way back. The gradient is that of BPTT to the last bit; the memory is T/c + c states in
// place of T, the price a second run of the cell.
//
// T. Chen, B. Xu, C. Zhang and C. Guestrin, Training Deep Nets with Sublinear Memory Cost, 2016,
// arXiv:1604.06174.
type Unrolled[T deq.Float] struct {
	Steps int `default:"30" doc:"iterations T"`
	Every int `doc:"steps c from one checkpoint to the next; 0 is the root of the steps, which takes the least memory"`
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

// Horizon implements TemporalRule.
func (r Unrolled[T]) Horizon() int { return options.WithDefaults(r).Steps }

// Relax implements Relaxer.
func (r Unrolled[T]) Relax(ctx context.Context, l *deq.Layer[T], x []T) (*deq.Trajectory[T], error) {
	every := r.Every
	if every == 0 {
		every = int(math.Round(math.Sqrt(float64(r.Horizon()))))
	}
	return l.RelaxCheckpointed(ctx, x, nil, r.Horizon(), every)
}

// Gradient implements TemporalRule.
func (Unrolled[T]) Gradient(ctx context.Context, tr *deq.Trajectory[T], o *deq.Output[T], g deq.Params[T]) (Report, error) {
	return Report{Bytes: tr.Bytes() + bytesOf(o.DZ)}, tr.VJP(ctx, o.DZ, g)
}
