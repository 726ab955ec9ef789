package solvers

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
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
// An update with |vᵀΔg| < ε‖v‖‖Δg‖ is skipped, and one whose Δg is no more than rounding: ‖Δg‖ ≤ 10ε‖f‖,
// or where aware ε^⅔‖f‖, since what rounding adds to H it adds to Hᵀℓ.
// When there are more than Memory pairs, the method restarts from −I and the last step, or with Compress = k
// goes on from the k pairs whose sum is nearest to UVᵀ (van de Rotten 2003); dropping
// the oldest pair would break the inverse. Compression is worth its cost where an evaluation is dear (median
// evaluations on tanh networks of 100 units at the gains 0.9, 1.1 and 1.3, without a bound 34, 47 and 63: 27 pairs
// compressed to 20 take 35, 48 and 65, with restarts 37, 56 and 91; 10 pairs compressed to 5 take 36, 54 and 78,
// with restarts 39, 62 and 109; at 50 units one compression of 27 pairs takes 0.2 ms, as long as two hundred
// evaluations). The Stepper is an Inverse.
//
// H knows J in the directions of the steps alone. With Aware = p > 0 and a Problem with Outer and VJP it
// learns one more every p-th step, that of ℓ = ∂L/∂z: the least change of H⁻¹ with
//
//	(H⁻¹)ᵀv = (J − I)ᵀv,  v = Hᵀℓ:    H ← H − Hv (Hᵀw − v)ᵀ/(wᵀHv),  w = (J − I)ᵀv,
//
// for a product with Jᵀ and six more passes over the pairs. The change of H⁻¹, v(w − ℓ)ᵀ/vᵀv, is as large as the
// residual of v as a solution of (J − I)ᵀv = ℓ, and the squares of the changes have a finite sum, so that with
// all pairs kept −Hᵀℓ tends to the adjoint as the iteration goes on, whichever directions its steps have
// (measured on tanh networks of 100 units at Aware 1: off by 1.3e-2, 2e-4, 5e-6 and 1e-7 at RTol 1e-2, 1e-4,
// 1e-6 and 1e-8, where without it is off by 0.7 at all of them). A restart forgets ℓ; 27 pairs compressed to 20
// know it to 1 or 2 %.
//
// C. G. Broyden, Math. Comp. 19 (1965) 577–593, doi:10.1090/S0025-5718-1965-0198670-6; B. van de Rotten, A
// limited memory Broyden method to solve high-dimensional systems of nonlinear equations, PhD thesis, Leiden
// 2003; S. Schlenkrich,
// A. Griewank and A. Walther, On the local convergence of adjoint Broyden methods, Math. Program. 121 (2010)
// 221–247, doi:10.1007/s10107-008-0232-y; outer-problem awareness is of Z. Ramzi et al., ICLR 2022,
// arXiv:2106.00553.
type Broyden[T Float] struct {
	Memory   int  `default:"27" doc:"pairs kept before a restart; negative: as many as there are evaluations" max:"1e5: every pair is kept"`
	Bad      bool `doc:"the bad update, v = Δg, which costs half"`
	Compress int  `doc:"pairs that are left of a full memory, by their singular values, for memory²·n multiplications; 0: none, a restart" max:"1e5: every pair is kept"`
	Aware    int  `doc:"steps between two updates in the direction of the loss (outer-problem awareness, for shine), of one product with Jᵀ each; 0: none" max:"1e9: no solve takes more evaluations"`
}

// Start implements Method.
func (m Broyden[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if m.Aware < 0 {
		return nil, fmt.Errorf("solvers: Broyden.Aware: expected at least 0, found %d", m.Aware)
	}
	if m.Compress < 0 || m.Memory > 0 && m.Compress > m.Memory {
		return nil, fmt.Errorf("solvers: Broyden.Compress: expected 0 to %d, the memory, found %d", m.Memory, m.Compress)
	}
	k := m.Memory + 1 // the pair that no longer fits serves a last step
	if k < 1 || k > s.MaxEvals {
		k = s.MaxEvals
	}
	if err := fits[T](s, 2*float64(k), "the pairs of Broyden's method", "lower memory, or max_evals where it is negative"); err != nil {
		return nil, err
	}
	b, n := s.Batch, s.Dim
	q := &broyden[T]{
		Broyden: m, m: k, n: n,
		u: make([]T, b*k*n), v: make([]T, b*k*n), pairs: make([]int, b), begun: make([]bool, b),
		dz: make([]T, b*n), g: make([]T, b*n), gNew: make([]T, n), t: make([]T, n), h: make([]T, b*n),
		dots: make([]float64, k), weights: make([]T, k),
	}
	q.noise = 10 * eps[T]()
	if m.Compress > 0 && m.Compress < k {
		q.compressor = newCompressor[T](k, n)
	}
	if m.Aware > 0 {
		q.noise = math.Pow(eps[T](), 2./3)
		q.outer, q.jv = make([]T, b*n), make([]T, b*n)
	}
	return q, nil
}

type broyden[T Float] struct {
	Broyden[T]
	m, n  int
	noise float64 // a Δg is no more than rounding when it is below that times f
	u, v  []T     // [batch, m, n]
	pairs []int   // [batch]
	begun []bool  // [batch]: dz and g are those of a step
	dz, g []T     // [batch, n]: the last step, and the residual before it

	h       []T       // [batch, n]: H g
	gNew, t []T       // [n]
	dots    []float64 // [m]
	weights []T       // [m]

	outer, jv  []T            // [batch, n], packed: ℓ and (J − I)ᵀv, where aware
	compressor *compressor[T] // or nil
}

func (q *broyden[T]) Reset() {
	clear(q.pairs)
	clear(q.begun)
}

func (q *broyden[T]) Bytes() int {
	extra := 0
	if q.compressor != nil {
		extra = q.compressor.bytes()
	}
	return extra + elemSize[T]()*(len(q.u)+len(q.v)+len(q.dz)+len(q.g)+len(q.gNew)+len(q.t)+len(q.h)+len(q.weights)+len(q.outer)+len(q.jv)) + 8*len(q.dots) + 9*len(q.pairs)
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
		q.learn(b, it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n])
	}
	if q.Aware > 0 && it.K%q.Aware == 0 && it.HasOuter() && it.HasVJP() && it.leastLeft() > 1 {
		if err := q.attend(it); err != nil {
			return err
		}
	}
	for i, b := range it.Rows {
		z, dz := it.Z[i*n:(i+1)*n], q.dz[b*n:(b+1)*n]
		kernels.Neg(dz, q.h[b*n:(b+1)*n])
		kernels.Axpy(1, dz, z)
	}
	return nil
}

// learn makes h = H g with what the last step has shown.
func (q *broyden[T]) learn(b int, z, fz []T) {
	n := q.n
	dz, g, h := q.dz[b*n:(b+1)*n], q.g[b*n:(b+1)*n], q.h[b*n:(b+1)*n]
	kernels.Sub(q.gNew, fz, z)
	full := q.pairs[b] == q.m
	if full {
		q.pairs[b] = 0
		if at := b * q.m * n; q.compressor != nil && q.compressor.run(q.Compress, q.u[at:at+q.m*n], q.v[at:at+q.m*n]) {
			q.pairs[b] = q.Compress
		}
	}
	q.ApplyH(b, q.gNew, h)
	if q.begun[b] {
		q.update(b, dz, g, h, q.noise*norm(fz), full)
	}
	q.begun[b] = true
	copy(g, q.gNew)
}

// update adds the pair of the last step and brings h = H g up to date. As the last step was
// Δz = −H g, HΔg = H g_new + Δz and u = −H g_new/(vᵀΔg), except where H is another one. A Δg
// below noise says nothing.
func (q *broyden[T]) update(b int, dz, g, h []T, noise float64, another bool) {
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
	scale := T(1 / d)
	inRange := scale != 0 && scale-scale == 0
	if !inRange { // v takes its share
		length := norm(v)
		divide(v, length)
		d /= length
	}
	switch {
	case another:
		q.ApplyH(b, dg, q.t)
		kernels.Sub(u, dz, q.t)
		divide(u, d)
	case inRange:
		kernels.Scale(u, -scale, h)
	default:
		kernels.Neg(u, h)
		divide(u, d)
	}
	q.pairs[b]++
	kernels.Axpy(T(kernels.Dot(v, q.gNew)), u, h)
}

// attend adds the pairs in the direction of ℓ and brings h = H g up to date.
func (q *broyden[T]) attend(it *Iterate[T]) error {
	n := q.n
	outer, w := q.outer[:len(it.Z)], q.jv[:len(it.Z)]
	if err := it.Outer(it.Rows, it.Z, outer); err != nil {
		return err
	}
	for i, b := range it.Rows {
		v := w[i*n : (i+1)*n]
		q.ApplyHT(b, outer[i*n:(i+1)*n], v)
		if length := norm(v); length > tiny {
			kernels.Scale(v, T(1/length), v)
		} else {
			clear(v)
		}
	}
	copy(outer, w) // v/‖v‖, which does as well
	if err := it.Linearise(it.Rows, it.Z); err != nil {
		return err
	}
	if err := it.VJP(it.Rows, outer, w); err != nil {
		return err
	}
	kernels.Sub(w, w, outer)
	for i, b := range it.Rows {
		if q.pairs[b] < q.m { // there is room before the restart
			q.attendTo(b, outer[i*n:(i+1)*n], w[i*n:(i+1)*n])
		}
	}
	return nil
}

// tiny is the length of a gradient from which on there is no direction in it.
const tiny = 1e-30

// damped bounds the ratio of the determinants of H⁻¹ after and before an update from below. Moré and
// Trangenstein, Math. Comp. 30 (1976) 523–540, take 0.1.
const damped = 0.1

// attendTo adds the pair of one sample, or a part θ of the change, where all of it would make H⁻¹ nearly singular.
func (q *broyden[T]) attendTo(b int, along, w []T) {
	n := q.n
	at := (b*q.m + q.pairs[b]) * n
	u, v, h := q.u[at:at+n], q.v[at:at+n], q.h[b*n:(b+1)*n]
	q.ApplyH(b, along, u)
	q.ApplyHT(b, w, v)
	kernels.Sub(v, v, along)
	size := kernels.SumSquares(along)
	ratio, theta := kernels.Dot(w, u)/size, 1.0
	if math.Abs(ratio) < damped {
		theta = (1 - math.Copysign(damped, ratio)) / (1 - ratio)
	}
	// written so that NaN is skipped too
	if !(norm(v) > 10*eps[T]()*math.Sqrt(size)) {
		return
	}
	kernels.Scale(u, T(-theta/(size*(1+theta*(ratio-1)))), u)
	q.pairs[b]++
	kernels.Axpy(T(kernels.Dot(v, q.g[b*n:(b+1)*n])), u, h)
}
