package solvers

import (
	"math"

	"attractor/internal/kernels"
)

// krylov solves (I − J)s = g for every row of an iterate by one cycle of GMRES from s = 0,
// in lockstep, so that the products are batched. A row leaves the cycle when its residual
// is small enough, when its Krylov space is exhausted, or when one evaluation is left.
//
// The basis is made orthogonal by modified Gram–Schmidt, twice where cancellation asks for it.
type krylov[T Float] struct {
	n, m    int
	product product[T]

	at, rows []int
	in, out  []T // [batch, n], packed

	// by row of the iterate
	s      []T       // [batch, n] solutions
	rest   []float64 // [batch] residual norms ‖g − (I − J)s‖, as estimated
	why    []Breakdown
	used   []int     // columns
	v      []T       // [batch, m+1, n] basis
	h      []float64 // [batch, m, m+1] columns of the Hessenberg matrix, made triangular
	cs, sn []float64 // [batch, m] rotations
	rhs    []float64 // [batch, m+1]
	coeff  []float64 // [m]
}

func newKrylov[T Float](s Shape, m int, affine bool) (*krylov[T], error) {
	m = max(1, min(m, s.Dim, s.MaxEvals))
	if err := fits[T](s, float64(m)*(1+8/float64(elemSize[T]())*float64(m)/float64(s.Dim)), "the basis of GMRES", "lower restart"); err != nil {
		return nil, err
	}
	b, n := s.Batch, s.Dim
	return &krylov[T]{
		n: n, m: m, product: newProduct[T](s, affine),
		at: make([]int, b), rows: make([]int, b), in: make([]T, b*n), out: make([]T, b*n),
		s: make([]T, b*n), rest: make([]float64, b), why: make([]Breakdown, b), used: make([]int, b),
		v: make([]T, b*(m+1)*n), h: make([]float64, b*m*(m+1)), cs: make([]float64, b*m), sn: make([]float64, b*m),
		rhs: make([]float64, b*(m+1)), coeff: make([]float64, m),
	}, nil
}

func (k *krylov[T]) bytes() int {
	return k.product.bytes() + elemSize[T]()*(len(k.in)+len(k.out)+len(k.s)+len(k.v)) +
		8*(len(k.at)+len(k.rows)+len(k.rest)+len(k.used)+len(k.h)+len(k.cs)+len(k.sn)+len(k.rhs)+len(k.coeff)) + len(k.why)
}

func (k *krylov[T]) basis(i, j int) []T {
	at := (i*(k.m+1) + j) * k.n
	return k.v[at : at+k.n]
}

// solve stops at the residual norms target, by row.
func (k *krylov[T]) solve(it *Iterate[T], target []float64) error {
	if err := k.product.linearise(it); err != nil {
		return err
	}
	n, live := k.n, 0
	for i := range it.Rows {
		g := it.GNorm[i]
		k.used[i], k.why[i], k.rest[i] = 0, NoBreakdown, g
		v := k.basis(i, 0)
		kernels.Sub(v, it.FZ[i*n:(i+1)*n], it.Z[i*n:(i+1)*n])
		divide(v, g)
		k.rhs[i*(k.m+1)] = g
		if it.Left(i) > 1 {
			k.at[live] = i
			live++
		}
	}
	for j := 0; j < k.m && live > 0; j++ {
		for p, i := range k.at[:live] {
			k.rows[p] = it.Rows[i]
			copy(k.in[p*n:(p+1)*n], k.basis(i, j))
		}
		if err := k.product.apply(it, k.at[:live], k.rows[:live], k.in[:live*n], k.out[:live*n]); err != nil {
			return err
		}
		stay := 0
		for p, i := range k.at[:live] {
			if k.extend(i, j, k.out[p*n:(p+1)*n]) && k.rest[i] > target[i] && it.Left(i) > 1 {
				k.at[stay] = i
				stay++
			}
		}
		live = stay
	}
	for i := range it.Rows {
		k.combine(i)
	}
	return nil
}

// extend adds column j for row i, whose product J v_j is given. It says whether the space
// can be extended further.
func (k *krylov[T]) extend(i, j int, jv []T) bool {
	m := k.m
	w := k.basis(i, j+1)
	kernels.Sub(w, k.basis(i, j), jv)
	h := k.h[(i*m+j)*(m+1) : (i*m+j+1)*(m+1)]
	clear(h)
	whole := norm(w)
	if whole-whole != 0 {
		k.why[i] = Stagnation
		return false
	}
	left := whole
	for pass := 0; pass < 2; pass++ {
		before := left
		for q := range j + 1 {
			v := k.basis(i, q)
			d := kernels.Dot(w, v)
			kernels.Axpy(T(-d), v, w)
			h[q] += d
		}
		if left = norm(w); left > 0.7*before { // W. Kahan: twice is enough
			break
		}
	}
	exhausted := left <= 10*eps[T]()*whole
	if !exhausted {
		kernels.Scale(w, T(1/left), w)
		h[j+1] = left
	}
	cs, sn, rhs := k.cs[i*m:(i+1)*m], k.sn[i*m:(i+1)*m], k.rhs[i*(m+1):(i+1)*(m+1)]
	for q := range j {
		h[q], h[q+1] = cs[q]*h[q]+sn[q]*h[q+1], cs[q]*h[q+1]-sn[q]*h[q]
	}
	r := math.Hypot(h[j], h[j+1])
	if r <= 10*eps[T]()*max(1, whole) {
		k.why[i] = Singular
		return false
	}
	cs[j], sn[j] = h[j]/r, h[j+1]/r
	h[j], h[j+1] = r, 0
	rhs[j], rhs[j+1] = cs[j]*rhs[j], -sn[j]*rhs[j]
	k.used[i] = j + 1
	k.rest[i] = math.Abs(rhs[j+1])
	return !exhausted
}

// combine forms the solution of row i.
func (k *krylov[T]) combine(i int) {
	n, m, used := k.n, k.m, k.used[i]
	y, s := k.coeff[:used], k.s[i*n:(i+1)*n]
	copy(y, k.rhs[i*(m+1):])
	for j := used - 1; j >= 0; j-- {
		h := k.h[(i*m+j)*(m+1) : (i*m+j+1)*(m+1)]
		y[j] /= h[j]
		for q := range j {
			y[q] -= h[q] * y[j]
		}
	}
	clear(s)
	for j, c := range y {
		kernels.Axpy(T(c), k.basis(i, j), s)
	}
}
