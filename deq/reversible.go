package deq

import (
	"context"
	"fmt"
	"math"

	"attractor/internal/kernels"
)

// RelaxReversibly runs the reversible relaxation of RevDEQ for a number of steps from
// y₀ = z₀ (nil: from 0),
//
//	y⁺ = (1−β) y + β f(z, x),   z⁺ = (1−β) z + β f(y⁺, x),   0 < β < 2, β ≠ 1,
//
// of two evaluations each, whose fixed points are those of f. VJP recovers the states from the last
// ones instead of keeping them:
//
//	z = (z⁺ − β f(y⁺, x))/(1−β),   y = (y⁺ − β f(z, x))/(1−β).
//
// That is exact but for rounding, which grows by about 1/|1−β| a step and more: what a
// contraction has forgotten cannot be recovered. So y and z are carried in float64 whatever T
// is, Trajectory.Drift measures the error, and with every > 0 the pair of every so many
// steps is kept, from which the way back begins anew.
//
// S. McCallum, K. Arora and J. Foster, Reversible Deep Equilibrium Models, 2025,
// arXiv:2509.12917.
func (l *Layer[T]) RelaxReversibly(ctx context.Context, x, z0 []T, steps int, beta float64, every int) (*Trajectory[T], error) {
	rows, err := l.checkInput(x, z0)
	if err != nil {
		return nil, err
	}
	if steps < 1 || every < 0 {
		return nil, fmt.Errorf("deq: reversible relaxation of %d steps, a pair kept every %d: expected at least 1 and 0", steps, every)
	}
	if !(beta > 0 && beta < 2 && beta != 1) {
		return nil, fmt.Errorf("deq: reversible relaxation with β = %v: expected a number between 0 and 2 other than 1", beta)
	}
	tr := &Trajectory[T]{
		layer: l, Rows: rows, X: append([]T(nil), x...), Z: make([][]T, steps+1),
		back: &reversal{beta: beta, last: newPair(rows * l.Units), kept: map[int]pair{}},
	}
	if z0 == nil {
		z0 = make([]T, rows*l.Units)
	}
	round(tr.back.last.y, z0)
	round(tr.back.last.z, z0)
	for t := range steps {
		if t == 0 || every > 0 && t%every == 0 {
			tr.back.kept[t] = newPair(rows * l.Units)
		}
	}
	for _, t := range []int{steps - 1, steps} {
		tr.Z[t] = make([]T, rows*l.Units)
	}
	return tr, tr.runReversibly(ctx)
}

// reversal is what a reversible trajectory keeps.
type reversal struct {
	beta float64
	last pair
	kept map[int]pair // by step; the first is there always
}

// pair is the state of a reversible relaxation, each [rows, units].
type pair struct{ y, z []float64 }

func newPair(n int) pair { return pair{y: make([]float64, n), z: make([]float64, n)} }

func (p pair) clone() pair {
	c := newPair(len(p.y))
	copy(c.y, p.y)
	copy(c.z, p.z)
	return c
}

func (r *reversal) bytes() int {
	if r == nil {
		return 0
	}
	// the last pair, the one going back, and those kept
	return 8 * 2 * len(r.last.y) * (2 + len(r.kept))
}

func (tr *Trajectory[T]) runReversibly(ctx context.Context) error {
	l, r := tr.layer, tr.back
	id := l.points.Add(1)
	return l.each(tr.Rows, func(s *shard[T], n int) error {
		half := tr.half(s, n, at[T]{id: id, x: s.part(tr.X, n, l.Inputs)})
		y, z := s.wide(r.last.y, n), s.wide(r.last.z, n)
		for t := range len(tr.Z) - 1 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: relaxation stopped at step %d: %w", t, err)
			}
			if k, ok := r.kept[t]; ok {
				copy(s.wide(k.y, n), y)
				copy(s.wide(k.z, n), z)
			}
			if tr.Z[t] != nil {
				round(s.part(tr.Z[t], n, l.Units), z)
			}
			for _, h := range []struct{ moved, from []float64 }{{y, z}, {z, y}} {
				f, err := half(h.from)
				if err != nil {
					return err
				}
				for i, v := range f {
					h.moved[i] = (1-r.beta)*h.moved[i] + r.beta*float64(v)
				}
			}
		}
		round(s.part(tr.Last(), n, l.Units), z)
		return nil
	})
}

// half returns a function that evaluates f at the states of a shard.
func (tr *Trajectory[T]) half(s *shard[T], n int, here at[T]) func(z []float64) ([]T, error) {
	in, out := make([]T, n*tr.layer.Units), make([]T, n*tr.layer.Units)
	return func(z []float64) ([]T, error) {
		round(in, z)
		return out, s.applyTo(cell, here, s.all(n), in, out)
	}
}

// reverse is VJP of a reversible trajectory. With the cotangents ȳ and z̄ of a step's result, those
// of its start are, in this order,
//
//	ȳ ← ȳ + β J(y⁺)ᵀz̄,  z̄ ← (1−β) z̄,   then   z̄ ← z̄ + β J(z)ᵀȳ,  ȳ ← (1−β) ȳ,
//
// where βz̄ᵀ ∂f/∂θ at y⁺ and βȳᵀ ∂f/∂θ at z go to the gradient.
func (tr *Trajectory[T]) reverse(ctx context.Context, dz []T, g Params[T]) error {
	l, r := tr.layer, tr.back
	now := r.last.clone()
	dy, dz := make([]T, len(dz)), append([]T(nil), dz...)
	x := l.points.Add(1)
	tr.Drift = make([]float64, tr.Rows)
	// undo takes back one half of a step, in which moved went along f(from).
	undo := func(moved, from []float64, dMoved, dFrom []T) error {
		id := l.points.Add(1)
		return l.accumulate(tr.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
			inputs := s.part(tr.X, n, l.Inputs)
			f, err := tr.half(s, n, at[T]{id: x, x: inputs})(s.wide(from, n))
			if err != nil {
				return nil, err
			}
			there := at[T]{id: id, x: inputs, z: make([]T, n*l.Units)}
			round(there.z, s.wide(from, n))
			u := make([]T, n*l.Units)
			m, dm, df := s.wide(moved, n), s.part(dMoved, n, l.Units), s.part(dFrom, n, l.Units)
			for i, v := range f {
				m[i] = (m[i] - r.beta*float64(v)) / (1 - r.beta)
				u[i] = T(r.beta) * dm[i]
				dm[i] *= T(1 - r.beta)
			}
			back, err := s.apply(pullback, there, s.all(n), u)
			if err != nil {
				return nil, err
			}
			if back.expr.onState() {
				kernels.Add(df, df, back.program.Out(0)[:len(df)])
			}
			return back, nil
		})
	}
	for t := len(tr.Z) - 2; t >= 0; t-- {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deq: back-propagation stopped at step %d: %w", t, err)
		}
		if err := undo(now.z, now.y, dz, dy); err != nil {
			return err
		}
		if err := undo(now.y, now.z, dy, dz); err != nil {
			return err
		}
		if kept, ok := r.kept[t]; ok {
			tr.drift(now, kept)
			copy(now.y, kept.y)
			copy(now.z, kept.z)
		}
	}
	return nil
}

// drift enters how far a pair is from where it should be.
func (tr *Trajectory[T]) drift(is, should pair) {
	n := tr.layer.Units
	for b := range tr.Drift {
		var d, size float64
		for i := b * n; i < (b+1)*n; i++ {
			dy, dz := is.y[i]-should.y[i], is.z[i]-should.z[i]
			d, size = d+dy*dy+dz*dz, size+tr.back.last.z[i]*tr.back.last.z[i]
		}
		e := math.Sqrt(d)
		if e > 0 {
			e /= math.Sqrt(size)
		}
		if math.IsNaN(e) {
			e = math.Inf(1)
		}
		tr.Drift[b] = max(tr.Drift[b], e)
	}
}

// round writes from to dst in dst's number type.
func round[T, U Float](dst []T, from []U) {
	for i, v := range from {
		dst[i] = T(v)
	}
}

// wide returns the shard's rows of states in float64.
func (s *shard[T]) wide(v []float64, n int) []float64 {
	return v[s.start*s.layer.Units : (s.start+n)*s.layer.Units]
}
