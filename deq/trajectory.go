package deq

import (
	"context"
	"fmt"
)

// Trajectory is a relaxation of a batch over a number of steps at a constant input. Relax
// keeps all its states, RelaxCheckpointed some, RelaxReversibly next to none; a trajectory
// knows how it was run, and VJP goes back the same way.
type Trajectory[T Float] struct {
	Rows int
	X    []T   // [rows, inputs]
	Z    [][]T // Z[t] [rows, units], t = 0 … steps; nil for a state that is not kept

	// Drift is, after VJP of a reversible trajectory, how far every sample has missed the
	// states that are known, relative to its last state. Nil otherwise.
	Drift []float64

	layer   *Layer[T]
	every   int       // one state in so many is kept
	segment int       // states that VJP holds besides, at most
	back    *reversal // of a reversible trajectory
}

// Relax runs z_{t+1} = f(z_t, x) for a number of steps from z0 (nil: from 0).
func (l *Layer[T]) Relax(ctx context.Context, x, z0 []T, steps int) (*Trajectory[T], error) {
	return l.RelaxCheckpointed(ctx, x, z0, steps, 1)
}

// Last is the final state [rows, units].
func (tr *Trajectory[T]) Last() []T { return tr.Z[len(tr.Z)-1] }

// Layer is the layer that was run.
func (tr *Trajectory[T]) Layer() *Layer[T] { return tr.layer }

// Bytes is the memory of the states, with those that VJP holds besides.
func (tr *Trajectory[T]) Bytes() int {
	n := tr.segment
	for _, z := range tr.Z {
		if z != nil {
			n++
		}
	}
	return n*len(tr.Last())*sizeof[T]() + tr.back.bytes()
}

// VJP adds the gradient of the final state, Σ_t u_tᵀ ∂f/∂θ at z_t with u_{T−1} = dz and
// u_{t−1} = J(z_t)ᵀ u_t, to g: back-propagation through time. States that were not kept
// are computed again from the last one that was.
func (tr *Trajectory[T]) VJP(ctx context.Context, dz []T, g Params[T]) error {
	if tr.back != nil {
		return tr.reverse(ctx, dz, g)
	}
	l := tr.layer
	u := append([]T(nil), dz...)
	again, held := make([][]T, tr.every), -1 // the states of a segment, and where it begins
	for t := len(tr.Z) - 2; t >= 0; t-- {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deq: back-propagation stopped at step %d: %w", t, err)
		}
		z := tr.Z[t]
		if z == nil {
			if first := t - t%tr.every; first != held {
				if err := tr.recompute(ctx, first, t, again); err != nil {
					return err
				}
				held = first
			}
			z = again[t-held]
		}
		id := l.points.Add(1)
		err := l.accumulate(tr.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
			here := at[T]{id: id, x: s.part(tr.X, n, l.Inputs), z: s.part(z, n, l.Units)}
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
