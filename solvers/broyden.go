package solvers

import (
	"math"

	"attractor/internal/kernels"
	"attractor/internal/options"
)

// Broyden is Broyden's quasi-Newton method in limited memory. With Δz and Δg of the last
// step, H ≈ (J − I)⁻¹ starts as −I and
//
//	z ← z − H g,    H ← H + u vᵀ,  u = (Δz − HΔg)/(vᵀΔg),
//
// where v = HᵀΔz is the good update and v = Δg the bad one. H = −I + UVᵀ is kept as its
// pairs: a step costs about 4k passes over the state at k pairs for the good update, 2k
// for the bad one, and the memory is 2·Memory + 4 states per sample.
//
// An update with |vᵀΔg| < ε‖v‖‖Δg‖ is skipped, and one whose Δg is no more than rounding.
// When there are more than Memory pairs, the method restarts from −I and the last step:
// dropping the oldest pair would break the inverse. The Stepper is an Inverse.
//
// C. G. Broyden, Math. Comp. 19 (1965) 577–593, doi:10.1090/S0025-5718-1965-0198670-6.
type Broyden[T Float] struct {
	Memory int  `default:"27" doc:"pairs kept before a restart; negative: as many as there are evaluations"`
	Bad    bool `doc:"the bad update, v = Δg, which costs half"`
}

// Start implements Method.
func (m Broyden[T]) Start(s Shape) (Stepper[T], error) {
	m = options.WithDefaults(m)
	k := m.Memory + 1 // the pair that no longer fits serves a last step
	if k < 1 || k > s.MaxEvals {
		k = s.MaxEvals
	}
	b, n := s.Batch, s.Dim
	return &broyden[T]{
		Broyden: m, m: k, n: n,
		u: make([]T, b*k*n), v: make([]T, b*k*n), pairs: make([]int, b), begun: make([]bool, b),
		dz: make([]T, b*n), g: make([]T, b*n), gNew: make([]T, n), h: make([]T, n),
		dots: make([]float64, k), weights: make([]T, k),
	}, nil
}

type broyden[T Float] struct {
	Broyden[T]
	m, n  int
	u, v  []T    // [batch, m, n]
	pairs []int  // [batch]
	begun []bool // [batch]: dz and g are those of a step
	dz, g []T    // [batch, n]: the last step, and the residual before it

	gNew, h []T       // [n]
	dots    []float64 // [m]
	weights []T       // [m]
}

func (q *broyden[T]) Reset() {
	clear(q.pairs)
	clear(q.begun)
}

func (q *broyden[T]) Bytes() int {
	return elemSize[T]()*(len(q.u)+len(q.v)+len(q.dz)+len(q.g)+len(q.gNew)+len(q.h)+len(q.weights)) + 8*len(q.dots) + 9*len(q.pairs)
}

// low writes −x + A Bᵀx, over the pairs of sample b.
func (q *broyden[T]) low(b int, x, out, left, right []T) {
	kernels.Neg(out, x)
	at, k := b*q.m*q.n, q.pairs[b]
	kernels.Dots(q.dots[:k], x, right[at:at+k*q.n], q.n)
	for j, d := range q.dots[:k] {
		q.weights[j] = T(d)
	}
	kernels.Axpys(q.weights[:k], left[at:at+k*q.n], q.n, out)
}

// ApplyH implements Inverse.
func (q *broyden[T]) ApplyH(sample int, x, out []T) { q.low(sample, x, out, q.u, q.v) }

// ApplyHT implements Inverse.
func (q *broyden[T]) ApplyHT(sample int, x, out []T) { q.low(sample, x, out, q.v, q.u) }

func (q *broyden[T]) Step(it *Iterate[T]) error {
	n := q.n
	for i, b := range it.Rows {
		q.step(b, it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n])
	}
	return nil
}

func (q *broyden[T]) step(b int, z, fz []T) {
	n := q.n
	dz, g := q.dz[b*n:(b+1)*n], q.g[b*n:(b+1)*n]
	kernels.Sub(q.gNew, fz, z)
	restart := q.pairs[b] == q.m
	if restart {
		q.pairs[b] = 0
	}
	q.ApplyH(b, q.gNew, q.h)
	if q.begun[b] {
		q.update(b, dz, g, 10*eps[T]()*norm(fz), restart)
	}
	q.begun[b] = true
	copy(g, q.gNew)
	kernels.Neg(dz, q.h)
	kernels.Axpy(1, dz, z)
}

// update adds the pair of the last step and brings h = H g up to date. As the last step was
// Δz = −H g, HΔg = H g_new + Δz and u = −H g_new/(vᵀΔg), except after a restart. A Δg
// below noise says nothing.
func (q *broyden[T]) update(b int, dz, g []T, noise float64, restarted bool) {
	n := q.n
	at := (b*q.m + q.pairs[b]) * n
	u, v := q.u[at:at+n], q.v[at:at+n]
	dg := u // for the while
	kernels.Sub(dg, q.gNew, g)
	if q.Bad {
		copy(v, dg)
	} else {
		q.ApplyHT(b, dz, v)
	}
	d, size := kernels.Dot(v, dg), norm(dg)
	// written so that NaN is skipped too
	if !(size > noise && math.Abs(d) > eps[T]()*norm(v)*size) {
		return
	}
	if restarted { // H = −I
		kernels.Add(u, u, dz)
		kernels.Scale(u, T(1/d), u)
	} else {
		kernels.Scale(u, T(-1/d), q.h)
	}
	q.pairs[b]++
	kernels.Axpy(T(kernels.Dot(v, q.gNew)), u, q.h)
}
