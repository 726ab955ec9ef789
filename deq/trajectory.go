package deq

import (
	"context"
	"fmt"
)

// Trajectory is the relaxation z_{t+1} = f(z_t, x) of a batch over a number of steps at a
// constant input, with all its states.
type Trajectory[T Float] struct {
	Rows  int
	X     []T   // [rows, inputs]
	Z     [][]T // Z[t] [rows, units], t = 0 … steps
	layer *Layer[T]
}

// Relax runs the cell for a number of steps from z0 (nil: from 0).
func (l *Layer[T]) Relax(ctx context.Context, x, z0 []T, steps int) (*Trajectory[T], error) {
	rows, err := l.checkInput(x, z0)
	if err != nil {
		return nil, err
	}
	if steps < 1 {
		return nil, fmt.Errorf("deq: relaxation of %d steps: expected at least 1", steps)
	}
	tr := &Trajectory[T]{layer: l, Rows: rows, X: append([]T(nil), x...)}
	for range steps + 1 {
		tr.Z = append(tr.Z, make([]T, rows*l.Units))
	}
	copy(tr.Z[0], z0)
	id := l.points.Add(1)
	err = l.each(rows, func(s *shard[T], n int) error {
		here := at[T]{id: id, x: s.part(tr.X, n, l.Inputs)}
		for t := range steps {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: relaxation stopped at step %d: %w", t, err)
			}
			if err := s.applyTo(cell, here, s.all(n), s.part(tr.Z[t], n, l.Units), s.part(tr.Z[t+1], n, l.Units)); err != nil {
				return err
			}
		}
		return nil
	})
	return tr, err
}

// Last is the final state [rows, units].
func (tr *Trajectory[T]) Last() []T { return tr.Z[len(tr.Z)-1] }

// Layer is the layer that was run.
func (tr *Trajectory[T]) Layer() *Layer[T] { return tr.layer }

// Bytes is the memory of the states.
func (tr *Trajectory[T]) Bytes() int { return len(tr.Z) * len(tr.Z[0]) * sizeof[T]() }

// VJP adds the gradient of the final state, Σ_t u_tᵀ ∂f/∂θ at z_t with u_{T−1} = dz and
// u_{t−1} = J(z_t)ᵀ u_t, to g: back-propagation through time.
func (tr *Trajectory[T]) VJP(ctx context.Context, dz []T, g Params[T]) error {
	l := tr.layer
	u := append([]T(nil), dz...)
	for t := len(tr.Z) - 2; t >= 0; t-- {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deq: back-propagation stopped at step %d: %w", t, err)
		}
		id := l.points.Add(1)
		err := l.accumulate(tr.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
			here := at[T]{id: id, x: s.part(tr.X, n, l.Inputs), z: s.part(tr.Z[t], n, l.Units)}
			part := s.part(u, n, l.Units)
			back, err := s.apply(pullback, here, s.all(n), part)
			if err != nil {
				return nil, err
			}
			if clear(part); back.expr.onState() {
				copy(part, back.program.Out(0))
			}
			return back, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
