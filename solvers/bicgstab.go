package solvers

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// BiCGStab solves a linear system (I − A)u = ℓ, given as the affine fixed-point problem
// f(u) = ℓ + Au, by the stabilised bi-conjugate gradient method: two products an
// iteration and six vectors of memory, however many iterations it takes, but no
// monotone residual. A step runs until the recurred residual meets the tolerance or
// Restart iterations are done; then f is evaluated to measure the true residual, and the
// recurrences begin anew.
//
// A sample is given up when a recurrence would divide by zero at the first iteration of a
// step. The context is looked at once per step.
//
// H. A. van der Vorst, SIAM J. Sci. Stat. Comput. 13 (1992) 631–644, doi:10.1137/0913035.
type BiCGStab[T Float] struct {
	Restart int `default:"50" doc:"iterations, of two products each, before the true residual is taken" max:"1e9: no solve takes more evaluations"`
}

// Start implements Method.
func (m BiCGStab[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if m.Restart < 1 {
		return nil, fmt.Errorf("solvers: BiCGStab.Restart: expected at least 1, found %d", m.Restart)
	}
	b, n := s.Batch, s.Dim
	return &bicgstab[T]{
		n: n, restart: m.Restart, product: newProduct[T](s, true),
		at: make([]int, b), rows: make([]int, b), in: make([]T, b*n), out: make([]T, b*n),
		s: make([]T, b*n), r: make([]T, b*n), shadow: make([]T, b*n), p: make([]T, b*n), q: make([]T, b*n),
		rho: make([]float64, b), alpha: make([]float64, b), omega: make([]float64, b), target: make([]float64, b),
		lengths: make([]float64, b),
	}, nil
}

type bicgstab[T Float] struct {
	n, restart int
	product    product[T]
	at, rows   []int
	in, out    []T // [batch, n], packed

	// by row of the iterate
	s, r, shadow, p, q        []T // [batch, n]; s the solution from 0, q = (I − A)p
	rho, alpha, omega, target []float64

	lengths []float64 // [batch], packed
}

func (m *bicgstab[T]) Reset() {}

func (m *bicgstab[T]) Bytes() int {
	return m.product.bytes() + elemSize[T]()*7*len(m.r) + 8*7*len(m.at)
}

func (m *bicgstab[T]) row(x []T, i int) []T { return x[i*m.n : (i+1)*m.n] }

// times applies I − A to x for the rows at; the results are packed in out.
func (m *bicgstab[T]) times(it *Iterate[T], at []int, x []T) error {
	for k, i := range at {
		m.rows[k] = it.Rows[i]
		copy(m.row(m.in, k), m.row(x, i))
	}
	in, out := m.in[:len(at)*m.n], m.out[:len(at)*m.n]
	if !it.HasJVP() { // differences are for directions of unit length
		for k := range at {
			if m.lengths[k] = norm(m.row(in, k)); m.lengths[k] > 0 {
				divide(m.row(in, k), m.lengths[k])
			}
		}
	}
	if err := m.product.apply(it, at, m.rows[:len(at)], in, out); err != nil {
		return err
	}
	if !it.HasJVP() {
		for k, i := range at {
			kernels.Scale(m.row(out, k), T(m.lengths[k]), m.row(out, k))
			copy(m.row(in, k), m.row(x, i))
		}
	}
	kernels.Sub(out, in, out)
	return nil
}

func (m *bicgstab[T]) Step(it *Iterate[T]) error {
	if err := m.product.linearise(it); err != nil {
		return err
	}
	live := 0
	for i := range it.Rows {
		r := m.row(m.r, i)
		kernels.Sub(r, m.row(it.FZ, i), m.row(it.Z, i))
		clear(m.row(m.s, i))
		copy(m.row(m.shadow, i), r)
		copy(m.row(m.p, i), r)
		m.rho[i] = it.GNorm[i] * it.GNorm[i]
		m.target[i] = margin * it.GNorm[i] / it.R[i]
		if it.Left(i) > 2 {
			m.at[live] = i
			live++
		} else { // a step of Picard's: no evaluations are left for more
			copy(m.row(m.s, i), r)
		}
	}
	for k := 0; k < m.restart && live > 0; k++ {
		if err := m.times(it, m.at[:live], m.p); err != nil {
			return err
		}
		stay := 0
		for j, i := range m.at[:live] {
			q, r := m.row(m.q, i), m.row(m.r, i)
			copy(q, m.row(m.out, j))
			d := kernels.Dot(m.row(m.shadow, i), q)
			if m.vanishes(d, m.row(m.shadow, i), q) {
				m.giveUp(it, i, k)
				continue
			}
			m.alpha[i] = m.rho[i] / d
			kernels.Axpy(T(-m.alpha[i]), q, r)
			kernels.Axpy(T(m.alpha[i]), m.row(m.p, i), m.row(m.s, i))
			if norm(r) <= m.target[i] {
				continue
			}
			m.at[stay] = i
			stay++
		}
		live = stay
		if live == 0 {
			break
		}
		if err := m.times(it, m.at[:live], m.r); err != nil {
			return err
		}
		stay = 0
		for j, i := range m.at[:live] {
			t, r, p := m.row(m.out, j), m.row(m.r, i), m.row(m.p, i)
			tr := kernels.Dot(t, r)
			if m.vanishes(tr, t, r) {
				m.giveUp(it, i, k)
				continue
			}
			omega := tr / kernels.SumSquares(t)
			kernels.Axpy(T(omega), r, m.row(m.s, i))
			kernels.Axpy(T(-omega), t, r)
			if norm(r) <= m.target[i] || it.Left(i) <= 2 {
				continue
			}
			rho := kernels.Dot(m.row(m.shadow, i), r)
			if m.vanishes(rho, m.row(m.shadow, i), r) {
				continue // the next step starts from a new shadow
			}
			beta := rho / m.rho[i] * m.alpha[i] / omega
			m.rho[i] = rho
			// p ← r + β(p − ωq)
			kernels.Axpy(T(-omega), m.row(m.q, i), p)
			kernels.Scale(p, T(beta), p)
			kernels.Axpy(1, r, p)
			m.at[stay] = i
			stay++
		}
		live = stay
	}
	for i := range it.Rows { // only now: differences of f need z as it was
		kernels.Axpy(1, m.row(m.s, i), m.row(it.Z, i))
	}
	return nil
}

// vanishes says whether the product xᵀy is zero to working precision.
func (m *bicgstab[T]) vanishes(xy float64, x, y []T) bool {
	return !(math.Abs(xy) > eps[T]()*norm(x)*norm(y))
}

// giveUp ends a sample whose recurrence broke down at the first iteration of a step.
func (m *bicgstab[T]) giveUp(it *Iterate[T], i, k int) {
	if k == 0 {
		it.GiveUp(i, ZeroDirection)
	}
}
