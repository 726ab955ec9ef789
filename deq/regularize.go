package deq

import (
	"cmp"
	"fmt"
	"math"

	"attractor/internal/kernels"
)

// JacobianPenalty returns the mean over the samples of ‖vᵀJ‖²/n for one probe v [rows, Units],
// and adds weight times its gradient to g and, for z*, to dz; either may be nil. With
// v ~ N(0, I) it is Hutchinson's estimate of the squared Frobenius norm ‖J‖²_F/n of J = ∂f/∂z
// at z*. With dz part of ∂L/∂z*, every exact rule gives the whole gradient of L + weight·‖J‖²_F/n.
//
// S. Bai, V. Koltun and J. Z. Kolter, Stabilizing Equilibrium Models by Jacobian
// Regularization, ICML 2021, arXiv:2106.14342.
func (e *Equilibrium[T]) JacobianPenalty(v []T, weight float64, g Params[T], dz []T) (float64, error) {
	l := e.layer
	if err := e.checkState("probe v", v); err != nil {
		return 0, err
	}
	if dz != nil && len(dz) != len(v) {
		return 0, e.checkState("dz", dz)
	}
	if !(weight > 0) || math.IsInf(weight, 0) {
		return 0, fmt.Errorf("deq: Jacobian penalty of weight %g: expected a positive number", weight)
	}
	// ½‖a‖² of the scaled probe is the weighted mean, so that its gradients are those wanted.
	mean := 2 * weight / float64(e.Rows*l.Units)
	scaled := make([]T, len(v))
	kernels.Scale(scaled, T(math.Sqrt(mean)), v)
	sums := make([]float64, len(l.shards))
	err := l.accumulate(e.made, e.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
		u, err := s.apply(jacobianNorm, e.at(s, n), s.all(n), e.states(s, n, scaled))
		if err != nil {
			return nil, err
		}
		for i, p := range u.expr.param {
			switch {
			case p == ofState:
				sums[s.index()] = kernels.SumSquares(u.program.Out(i)[:n*l.Units])
			case p == ofPoint && dz != nil:
				part := e.states(s, n, dz)
				kernels.Add(part, part, u.program.Out(i)[:len(part)])
			}
		}
		return u, nil
	})
	total := 0.0
	for _, sum := range sums {
		total += sum
	}
	return total / (2 * weight), err
}

// CheckJacobianPenalty reports why JacobianPenalty cannot be had: an operation of the cell
// may lack a second derivative.
func (l *Layer[T]) CheckJacobianPenalty() error {
	_, err := l.shards[0].program(jacobianNorm)
	return err
}

// Correction returns the fixed-point correction
//
//	Σ_{k<K} γ^(K−k) L(f(z_k, x)),   γ = decay,
//
// over e.Iterates z_1 … z_{K−1}, z* being z_K, and adds its gradient with z_k held fixed to g, which may be
// nil: the loss asked of the states on the way draws the solver's path to the answer.
//
// S. Bai, Z. Geng, Y. Savani and J. Z. Kolter, Deep Equilibrium Optical Flow Estimation, CVPR
// 2022, arXiv:2204.08442.
func (e *Equilibrium[T]) Correction(loss Loss[T], decay float64, g Params[T]) (float64, error) {
	l := e.layer
	if err := cmp.Or(l.checkGradients(g), l.fresh(e.made)); err != nil {
		return 0, err
	}
	total, next := 0.0, make([]T, len(e.Z))
	for i, z := range e.Iterates {
		there, err := l.At(e.X, z)
		if err != nil {
			return 0, err
		}
		if err := there.Next(next); err != nil {
			return 0, err
		}
		o, err := l.Evaluate(next, scaled[T]{loss, math.Pow(decay, float64(len(e.Iterates)-i))}, g)
		if err != nil {
			return 0, err
		}
		total += o.Mean()
		if g == nil {
			continue
		}
		if err := there.VJP(o.DZ, g); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// scaled is a loss times a factor.
type scaled[T Float] struct {
	loss Loss[T]
	by   float64
}

// Eval implements Loss.
func (s scaled[T]) Eval(rows []int, y, dy []T, losses []float64) error {
	if err := s.loss.Eval(rows, y, dy, losses); err != nil {
		return err
	}
	kernels.Scale(dy, T(s.by), dy)
	kernels.Scale(losses, s.by, losses)
	return nil
}

// iterates keeps some of the states that a solver comes through, for each sample on its own:
// all at first, then every second, every fourth and so on, so that half the slots or more are
// taken, however long the solve takes.
type iterates[T Float] struct {
	keep, slots, units int
	states             []T   // [samples, slots, units]
	seen               []int // by sample: states so far
	stride             []int // by sample: states from one slot to the next
}

// slotsPerIterate is how many states are held for every one that is chosen in the end; with
// so many the chosen ones are evenly spaced to a sixth.
const slotsPerIterate = 8

func newIterates[T Float](keep, samples, units int) *iterates[T] {
	if keep < 1 {
		return nil
	}
	w := &iterates[T]{keep: keep, slots: slotsPerIterate * keep, units: units, seen: make([]int, samples), stride: make([]int, samples)}
	w.states = make([]T, w.slots*samples*units)
	for b := range w.stride {
		w.stride[b] = 1
	}
	return w
}

func (w *iterates[T]) at(sample, slot int) []T {
	i := (w.slots*sample + slot) * w.units
	return w.states[i : i+w.units]
}

// see is shown the states z of the samples first + rows.
func (w *iterates[T]) see(first int, rows []int, z []T) {
	if w == nil {
		return
	}
	for i, r := range rows {
		b := first + r
		index := w.seen[b]
		w.seen[b]++
		if index == w.slots*w.stride[b] { // full: every second goes
			for k := range w.slots / 2 {
				copy(w.at(b, k), w.at(b, 2*k))
			}
			w.stride[b] *= 2
		}
		if index%w.stride[b] == 0 {
			copy(w.at(b, index/w.stride[b]), z[i*w.units:(i+1)*w.units])
		}
	}
}

// chosen returns keep of the states of each sample, strictly between the first and the last
// where there are enough.
func (w *iterates[T]) chosen() [][]T {
	if w == nil {
		return nil
	}
	out := make([][]T, w.keep)
	for k := range out {
		for b, seen := range w.seen {
			last := max(0, seen-1)
			index := float64(k+1) * float64(last) / float64(w.keep+1)
			slot := min(int(math.Round(index/float64(w.stride[b]))), last/w.stride[b])
			out[k] = append(out[k], w.at(b, slot)...)
		}
	}
	return out
}
