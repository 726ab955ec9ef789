package deq

import (
	"context"
	"fmt"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// Loss is a loss of the output of each sample, with its target inside.
type Loss[T Float] interface {
	// Eval writes the losses ℓ_b of the samples rows (indices in the batch) and their
	// gradients dy = ∂ℓ_b/∂y_b, for the outputs y [len(rows), Outputs]. It is called from
	// several goroutines at once, for different samples.
	Eval(rows []int, y, dy []T, losses []float64) error
}

// Output is the readout of a state and its loss: L is the mean of the samples' losses.
type Output[T Float] struct {
	Y      []T       // [rows, Outputs]
	Losses []float64 // [rows]
	DY     []T       // ∂L/∂y [rows, Outputs]
	DZ     []T       // ∂L/∂z [rows, Units]
}

// Mean is the loss L.
func (o *Output[T]) Mean() float64 {
	sum := 0.0
	for _, l := range o.Losses {
		sum += l
	}
	return sum / float64(len(o.Losses))
}

// Evaluate reads the states z [rows, Units] out and returns the loss with its gradients for the
// output and the state. With g not nil, the gradients of the readout's parameters are
// added to it.
func (l *Layer[T]) Evaluate(z []T, loss Loss[T], g Params[T]) (*Output[T], error) {
	rows := len(z) / l.Units
	if rows < 1 || len(z) != rows*l.Units || rows > l.config.Batch {
		return nil, fmt.Errorf("deq: state of %d numbers: expected at most %d rows of %d", len(z), l.config.Batch, l.Units)
	}
	o := &Output[T]{
		Y: make([]T, rows*l.Outputs), DY: make([]T, rows*l.Outputs),
		DZ: make([]T, rows*l.Units), Losses: make([]float64, rows),
	}
	id := l.points.Add(1)
	err := l.accumulate(rows, g, func(s *shard[T], n int) (*unit[T], error) {
		states := s.part(z, n, l.Units)
		here := at[T]{id: id, z: states}
		dy := s.part(o.DY, n, l.Outputs)
		if err := s.loss(loss, here, s.all(n), states, s.part(o.Y, n, l.Outputs), dy, o.Losses[s.start:s.start+n]); err != nil {
			return nil, err
		}
		for i := range dy {
			dy[i] /= T(rows)
		}
		u, err := s.apply(readoutGradient, here, s.all(n), dy)
		if err != nil {
			return nil, err
		}
		copy(s.part(o.DZ, n, l.Units), u.program.Out(0))
		return u, nil
	})
	return o, err
}

// loss reads states out and evaluates the loss of the samples rows of the shard.
func (s *shard[T]) loss(loss Loss[T], here at[T], rows []int, z, y, dy []T, losses []float64) error {
	u, err := s.apply(readout, here, rows, z)
	if err != nil {
		return err
	}
	copy(y, u.program.Out(0))
	s.batch = s.batch[:0]
	for _, r := range rows {
		s.batch = append(s.batch, s.start+r)
	}
	return loss.Eval(s.batch, y, dy, losses)
}

// Nudge relaxes the state z [rows, Units] to the fixed point of
//
//	z = f(z, x) − β ∂ℓ_b/∂z(z)
//
// for every sample b, in place: the nudged phase of equilibrium propagation in its
// vector-field form (Scellier et al. 2018, arXiv:1808.04873).
func (e *Equilibrium[T]) Nudge(ctx context.Context, z []T, beta float64, loss Loss[T], with Solver[T]) (*solvers.Report, error) {
	l := e.layer
	scratch := make([]nudge[T], len(l.shards))
	return e.relax(ctx, z, with, nil, func(s *shard[T], rows []int, z, fz []T) error {
		w := &scratch[s.index()]
		if w.losses == nil {
			*w = nudge[T]{
				states: make([]T, s.capacity*l.Units), losses: make([]float64, s.capacity),
				y: make([]T, s.capacity*l.Outputs), dy: make([]T, s.capacity*l.Outputs),
			}
		}
		n := len(rows)
		scatter(w.states, z, rows, l.Units)
		here := at[T]{id: l.points.Add(1), z: w.states}
		dy := w.dy[:n*l.Outputs]
		if err := s.loss(loss, here, rows, z, w.y[:n*l.Outputs], dy, w.losses[:n]); err != nil {
			return err
		}
		u, err := s.apply(readoutAdjoint, here, rows, dy)
		if err != nil {
			return err
		}
		kernels.Axpy(T(-beta), u.program.Out(0)[:len(fz)], fz)
		return nil
	})
}

// nudge is the scratch memory of a shard in Nudge.
type nudge[T Float] struct {
	states, y, dy []T
	losses        []float64
}
