package deq

import (
	"context"
	"fmt"
	"math"

	"attractor/internal/kernels"
)

// RunReversibly runs the reversible relaxation of RevDEQ through a sequence from y₀ = z₀,
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
func (l *Layer[T]) RunReversibly(ctx context.Context, q Sequence[T], beta float64, every int) (*Trajectory[T], error) {
	q.Every = every
	tr, err := l.begin(q)
	if err != nil {
		return nil, err
	}
	if q.Noise != nil && l.Noisy() {
		return nil, fmt.Errorf("deq: a reversible relaxation of a model with noise, which cannot be drawn again on the way back: set the noise to 0")
	}
	if !(beta > 0 && beta < 2 && beta != 1) {
		return nil, fmt.Errorf("deq: reversible relaxation with β = %v: expected a number between 0 and 2 other than 1", beta)
	}
	n := q.Rows * l.Units
	tr.back = &reversal{beta: beta, last: newPair(n), kept: map[int]pair{}}
	round(tr.back.last.y, q.Z0)
	round(tr.back.last.z, q.Z0)
	for t := range q.Steps {
		if t == 0 || every > 0 && t%every == 0 {
			tr.back.kept[t] = newPair(n)
		}
	}
	for _, t := range []int{q.Steps - 1, q.Steps} {
		tr.Z[t] = make([]T, n)
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
	r := tr.back
	return tr.layer.sweeps(tr.made, tr.Rows, step, nil, func(w *sweep[T]) error {
		y, z := w.wide(r.last.y), w.wide(r.last.z)
		for t := range tr.Steps {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: relaxation stopped at step %d: %w", t, err)
			}
			if k, ok := r.kept[t]; ok {
				copy(w.wide(k.y), y)
				copy(w.wide(k.z), z)
			}
			if tr.Z[t] != nil {
				round(w.states(tr.Z[t]), z)
			}
			for _, h := range []struct{ moved, from []float64 }{{y, z}, {z, y}} {
				f, err := w.half(h.from, tr.input(w, t))
				if err != nil {
					return err
				}
				for i, v := range f {
					h.moved[i] = (1-r.beta)*h.moved[i] + r.beta*float64(v)
				}
			}
		}
		round(w.states(tr.Last()), z)
		return nil
	})
}

// half evaluates f at the states of a shard.
func (w *sweep[T]) half(z []float64, x []T) ([]T, error) {
	in := w.passed[:len(z)]
	round(in, z)
	return w.step(in, x)
}

// wide returns the shard's rows of states in float64.
func (w *sweep[T]) wide(v []float64) []float64 {
	n := w.shard.layer.Units
	return v[w.shard.start*n : (w.shard.start+w.n)*n]
}

// reverse is VJP of a reversible trajectory, with a loss of its last state alone. With the cotangents
// ȳ and z̄ of a step's result, those of its start are, in this order,
//
//	ȳ ← ȳ + β J(y⁺)ᵀz̄,  z̄ ← (1−β) z̄,   then   z̄ ← z̄ + β J(z)ᵀȳ,  ȳ ← (1−β) ȳ,
//
// where βz̄ᵀ ∂f/∂θ at y⁺ and βȳᵀ ∂f/∂θ at z go to the gradient.
func (tr *Trajectory[T]) reverse(ctx context.Context, back function, b Back[T], g Params[T]) error {
	r := tr.back
	now := r.last.clone()
	dy, dz := make([]T, len(tr.Last())), make([]T, len(tr.Last()))
	for t, o := range b.Outputs {
		switch {
		case o != nil && t == tr.Steps && o.DZ == nil:
			return length("DZ", 0, len(dz))
		case o != nil && t < tr.Steps:
			return fmt.Errorf("deq: a loss of state %d of a reversible relaxation, which is not kept: only the last state can have one", t)
		case o != nil:
			copy(dz, o.DZ)
		}
	}
	if b.Stop > 0 {
		return fmt.Errorf("deq: a reversible relaxation is taken back to its start, not to state %d", b.Stop)
	}
	tr.Drift = make([]float64, tr.Rows)
	err := tr.layer.sweeps(tr.made, tr.Rows, back, g, func(w *sweep[T]) error {
		// undo takes back one half of a step, in which moved went along f(from).
		undo := func(t int, moved, from []float64, dMoved, dFrom []T) error {
			x := tr.input(w, t)
			f, err := w.half(from, x)
			if err != nil {
				return err
			}
			u := w.cotangent()
			for i, v := range f {
				moved[i] = (moved[i] - r.beta*float64(v)) / (1 - r.beta)
				u[i] = T(r.beta) * dMoved[i]
				dMoved[i] *= T(1 - r.beta)
			}
			du, err := w.pull(w.passed[:len(u)], x, w.mark, true)
			if err != nil {
				return err
			}
			if b.DX != nil {
				w.addInputs(w.inputs(tr.at(b.DX, t)))
			}
			if du != nil {
				kernels.Add(dFrom, dFrom, du)
			}
			return nil
		}
		y, z, dy, dz := w.wide(now.y), w.wide(now.z), w.states(dy), w.states(dz)
		for t := tr.Steps - 1; t >= 0; t-- {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: back-propagation stopped at step %d: %w", t, err)
			}
			if err := undo(t, z, y, dz, dy); err != nil {
				return err
			}
			if err := undo(t, y, z, dy, dz); err != nil {
				return err
			}
			if kept, ok := r.kept[t]; ok {
				tr.drift(w, now, kept)
				copy(y, w.wide(kept.y))
				copy(z, w.wide(kept.z))
			}
		}
		return nil
	})
	if b.DZ0 != nil {
		kernels.Add(b.DZ0, dy, dz)
	}
	return err
}

// drift enters how far the samples of a shard are from where they should be.
func (tr *Trajectory[T]) drift(w *sweep[T], is, should pair) {
	n := tr.layer.Units
	for b := w.shard.start; b < w.shard.start+w.n; b++ {
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
