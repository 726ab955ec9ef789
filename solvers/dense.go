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
	order    []int     // [n]: the row of A in each row of the factors
	diagonal []float64 // [n]: what the diagonal of A was the difference of, added
	columns  []float64 // [n]: by what the columns of A were multiplied
}

// denseBytes bounds the matrices held at a time.
const denseBytes = 32 << 20

// singular times eps is the part of the numbers that a pivot is the difference of below which it is taken for zero.
const singular = 10

func newDense[T Float](s Shape, affine bool) *dense[T] {
	n := s.Dim
	chunk := min(s.Batch, max(1, denseBytes/(8*n*n)))
	d := &dense[T]{
		n: n, chunk: chunk, product: newProduct[T](s, affine),
		at: make([]int, s.Batch), ok: make([]int, 0, s.Batch), s: make([]T, s.Batch*n),
		v: make([]T, chunk*n), jv: make([]T, chunk*n), a: make([]float64, chunk*n*n),
		rhs: make([]float64, n), pivots: make([]int, n), order: make([]int, n),
		diagonal: make([]float64, n), columns: make([]float64, n),
	}
	for i := range d.at {
		d.at[i] = i
	}
	return d
}

func (d *dense[T]) bytes() int {
	return d.product.bytes() + elemSize[T]()*(len(d.s)+len(d.v)+len(d.jv)) +
		8*(len(d.a)+5*d.n+len(d.at)+cap(d.ok))
}

// stepEvals implements costly: the products, and f at the next iterate.
func (d *dense[T]) stepEvals() int { return d.n + 1 }

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

// factorAndSolve says whether A = I − J is regular: no pivot is 0 but for the rounding of the numbers that it is the
// difference of, Σ|l||u| and 1 + |J| on the diagonal. Neither that nor s depend on the units of the components: for
// DAD⁻¹ the test is the same, and rows and columns of very different size are brought to about 1 first.
func (d *dense[T]) factorAndSolve(it *Iterate[T], i int, a []float64) bool {
	n := d.n
	z, fz := it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n]
	for j := range n {
		d.rhs[j] = float64(fz[j]) - float64(z[j])
		d.diagonal[j] = 1 + math.Abs(1-a[j*n+j])
	}
	d.balance(a)
	m := blas64.General{Rows: n, Cols: n, Stride: n, Data: a}
	lapack64.Getrf(m, d.pivots)
	for j := range d.order {
		d.order[j] = j
	}
	for j, p := range d.pivots {
		d.order[j], d.order[p] = d.order[p], d.order[j]
	}
	for j := range n {
		size := 0.0
		for k, l := range a[j*n : j*n+j] {
			size += math.Abs(l * a[k*n+j])
		}
		pivot := math.Abs(a[j*n+j])
		if d.order[j] == j {
			size += d.diagonal[j]
		} else {
			size += pivot
		}
		if !(pivot > singular*eps[T]()*size) {
			return false
		}
	}
	lapack64.Getrs(blas.NoTrans, m, blas64.General{Rows: n, Cols: 1, Stride: 1, Data: d.rhs}, d.pivots)
	for j, x := range d.rhs {
		d.s[i*n+j] = T(x * d.columns[j])
	}
	return true
}

// badlyScaled is the ratio of the sizes of rows, or of columns, from which on a matrix is balanced.
const badlyScaled = 0x1p10

// balance multiplies rows, with the right-hand side, and columns by powers of 2 that bring them all to about 1, where they
// differ much. D. Ruiz, A scaling algorithm to equilibrate both rows and columns norms in matrices, RAL-TR-2001-034.
func (d *dense[T]) balance(a []float64) {
	n := d.n
	for j := range d.columns {
		d.columns[j] = 1
	}
	for range 10 {
		least, most := math.Inf(1), 0.0
		for j := range n {
			row, column := 0.0, 0.0
			for k := range n {
				row, column = max(row, math.Abs(a[j*n+k])), max(column, math.Abs(a[k*n+j]))
			}
			least, most = min(least, row, column), max(most, row, column)
		}
		if !(most > badlyScaled*least) || least == 0 || math.IsInf(most, 0) {
			return
		}
		for j := range n {
			row := a[j*n : (j+1)*n]
			largest := 0.0
			for _, x := range row {
				largest = max(largest, math.Abs(x))
			}
			by := towards1(largest)
			for k := range row {
				row[k] *= by
			}
			d.rhs[j] *= by
			d.diagonal[j] *= by
		}
		for j := range n {
			largest := 0.0
			for k := range n {
				largest = max(largest, math.Abs(a[k*n+j]))
			}
			by := towards1(largest)
			for k := range n {
				a[k*n+j] *= by
			}
			d.columns[j] *= by
			d.diagonal[j] *= by
		}
	}
}

// towards1 is the power of 2 nearest to 1/√x.
func towards1(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, -e/2)
}
