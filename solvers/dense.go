package solvers

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// denseEvals is enough for 20 steps.
func denseEvals(dim int) int { return max(200, 20*(dim+1)) }

// dense solves (I − J)s = g by LU, a few samples at a time.
type dense[T Float] struct {
	n, chunk int
	product  product[T]
	at, ok   []int
	s        []T       // [batch, n] directions
	v, jv    []T       // [chunk, n]
	a        []float64 // [chunk, n, n]
	rhs      []float64 // [n]
	pivots   []int     // [n]
}

// denseBytes bounds the matrices held at a time.
const denseBytes = 32 << 20

// singular times eps is the smallest ratio of pivots that is not taken for zero.
const singular = 10

func newDense[T Float](s Shape, affine bool) *dense[T] {
	n := s.Dim
	chunk := min(s.Batch, max(1, denseBytes/(8*n*n)))
	d := &dense[T]{
		n: n, chunk: chunk, product: newProduct[T](s, affine),
		at: make([]int, s.Batch), ok: make([]int, 0, s.Batch), s: make([]T, s.Batch*n),
		v: make([]T, chunk*n), jv: make([]T, chunk*n), a: make([]float64, chunk*n*n),
		rhs: make([]float64, n), pivots: make([]int, n),
	}
	for i := range d.at {
		d.at[i] = i
	}
	return d
}

func (d *dense[T]) bytes() int {
	return d.product.bytes() + elemSize[T]()*(len(d.s)+len(d.v)+len(d.jv)) +
		8*(len(d.a)+len(d.rhs)+len(d.pivots)+len(d.at)+cap(d.ok))
}

// directions fills s and returns the rows for which there is a direction; the others are
// given up.
func (d *dense[T]) directions(it *Iterate[T]) ([]int, error) {
	if err := d.product.linearise(it); err != nil {
		return nil, err
	}
	d.ok = d.ok[:0]
	for lo := 0; lo < len(it.Rows); lo += d.chunk {
		at := d.at[lo:min(lo+d.chunk, len(it.Rows))]
		if err := d.assemble(it, at); err != nil {
			return nil, err
		}
		for k, i := range at {
			if d.factorAndSolve(it, i, d.a[k*d.n*d.n:(k+1)*d.n*d.n]) {
				d.ok = append(d.ok, i)
			} else {
				it.GiveUp(i, Singular)
			}
		}
	}
	return d.ok, nil
}

// assemble fills a with I − J for the rows at.
func (d *dense[T]) assemble(it *Iterate[T], at []int) error {
	n, rows := d.n, it.Rows[at[0]:at[0]+len(at)]
	v, jv := d.v[:len(at)*n], d.jv[:len(at)*n]
	byRows := !it.HasJVP() && it.HasVJP()
	for j := range n {
		clear(v)
		for k := range at {
			v[k*n+j] = 1
		}
		var err error
		if byRows {
			err = it.VJP(rows, v, jv)
		} else {
			err = d.product.apply(it, at, rows, v, jv)
		}
		if err != nil {
			return err
		}
		for k := range at {
			a := d.a[k*n*n : (k+1)*n*n]
			for p, x := range jv[k*n : (k+1)*n] {
				if byRows {
					a[j*n+p] = -float64(x)
				} else {
					a[p*n+j] = -float64(x)
				}
			}
			a[j*n+j]++
		}
	}
	return nil
}

func (d *dense[T]) factorAndSolve(it *Iterate[T], i int, a []float64) bool {
	n := d.n
	m := blas64.General{Rows: n, Cols: n, Stride: n, Data: a}
	lapack64.Getrf(m, d.pivots)
	least, most := math.Inf(1), 0.0
	for j := range n {
		p := math.Abs(a[j*n+j])
		least, most = min(least, p), max(most, p)
	}
	if !(least > singular*eps[T]()*most) {
		return false
	}
	z, fz := it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n]
	for j := range n {
		d.rhs[j] = float64(fz[j]) - float64(z[j])
	}
	lapack64.Getrs(blas.NoTrans, m, blas64.General{Rows: n, Cols: 1, Stride: 1, Data: d.rhs}, d.pivots)
	for j, x := range d.rhs {
		d.s[i*n+j] = T(x)
	}
	return true
}
