package zhu2024

import (
	"math"

	"attractor/internal/kernels"
)

// matrix is row-major.
type matrix struct {
	rows, cols int
	v          []float64
}

func newMatrix(rows, cols int) matrix { return matrix{rows, cols, make([]float64, rows*cols)} }

func identity(n int) matrix {
	m := newMatrix(n, n)
	for i := range n {
		m.v[i*n+i] = 1
	}
	return m
}

func (m matrix) row(i int) []float64 { return m.v[i*m.cols : (i+1)*m.cols] }

func (m matrix) clone() matrix {
	return matrix{m.rows, m.cols, append([]float64(nil), m.v...)}
}

// plus returns m + s·o.
func (m matrix) plus(s float64, o matrix) matrix {
	sum := m.clone()
	sum.add(s, o)
	return sum
}

// add computes m = m + s·o.
func (m matrix) add(s float64, o matrix) { kernels.Axpy(s, o.v, m.v) }

// sub computes m = a − b.
func (m matrix) sub(a, b matrix) { kernels.Sub(m.v, a.v, b.v) }

func (m matrix) squared() float64 { return kernels.SumSquares(m.v) }

func dot(a, b matrix) float64 { return kernels.Dot(a.v, b.v) }

// angle is the angle between a and b in degrees, accurate also where it is small.
func angle(a, b matrix) float64 {
	na, nb := math.Sqrt(a.squared()), math.Sqrt(b.squared())
	var minus, plus float64
	for i, x := range a.v {
		d, s := x/na-b.v[i]/nb, x/na+b.v[i]/nb
		minus, plus = minus+d*d, plus+s*s
	}
	return 2 * math.Atan2(math.Sqrt(minus), math.Sqrt(plus)) * 180 / math.Pi
}

// The products write a·b, aᵀ·b and a·bᵀ to dst and return it.
func product(dst, a, b matrix) matrix {
	kernels.Gemm(false, false, a.rows, b.cols, a.cols, a.v, a.cols, b.v, b.cols, 0, dst.v, dst.cols)
	return dst
}

func productTA(dst, a, b matrix) matrix {
	kernels.Gemm(true, false, a.cols, b.cols, a.rows, a.v, a.cols, b.v, b.cols, 0, dst.v, dst.cols)
	return dst
}

func productTB(dst, a, b matrix) matrix {
	kernels.Gemm(false, true, a.rows, b.rows, a.cols, a.v, a.cols, b.v, b.cols, 0, dst.v, dst.cols)
	return dst
}

// lu is the factorisation PA = LU of a square matrix with partial pivoting, in blocks so that
// nearly all the work is done by matrix products.
type lu struct {
	n        int
	a        []float64 // L below the diagonal, U on and above it
	negative []float64 // −a
	pivots   []int     // row that was swapped with row i
}

const luBlock = 16

func newLU(n int) *lu {
	return &lu{n: n, a: make([]float64, n*n), negative: make([]float64, n*n), pivots: make([]int, n)}
}

// factor factorises a and reports whether it is regular and finite.
func (f *lu) factor(a matrix) bool {
	n := f.n
	copy(f.a, a.v)
	for k0 := 0; k0 < n; k0 += luBlock {
		k1 := min(k0+luBlock, n)
		for j := k0; j < k1; j++ {
			p, largest := j, -1.0
			for i := j; i < n; i++ {
				if v := math.Abs(f.a[i*n+j]); v > largest {
					p, largest = i, v
				}
			}
			if !(largest > 0) || math.IsInf(largest, 1) {
				return false
			}
			f.pivots[j] = p
			swap(f.a, n, j, p)
			top := f.a[j*n+j+1 : j*n+k1]
			for i := j + 1; i < n; i++ {
				l := f.a[i*n+j] / f.a[j*n+j]
				f.a[i*n+j] = l
				row := f.a[i*n+j+1 : i*n+k1]
				for k, u := range top {
					row[k] -= l * u
				}
			}
		}
		if k1 == n {
			break
		}
		for i := k0; i < n; i++ {
			for j := k0; j < k1; j++ {
				f.negative[i*n+j] = -f.a[i*n+j]
			}
		}
		for j := k0; j < k1; j++ {
			for i := j + 1; i < k1; i++ {
				kernels.Axpy(-f.a[i*n+j], f.a[j*n+k1:(j+1)*n], f.a[i*n+k1:(i+1)*n])
			}
		}
		kernels.Gemm(false, false, n-k1, n-k1, k1-k0, f.negative[k1*n+k0:], n, f.a[k0*n+k1:], n, 1, f.a[k1*n+k1:], n)
	}
	kernels.Neg(f.negative, f.a)
	return true
}

func swap(a []float64, cols, i, j int) {
	if i == j {
		return
	}
	x, y := a[i*cols:(i+1)*cols], a[j*cols:(j+1)*cols]
	for k := range x {
		x[k], y[k] = y[k], x[k]
	}
}

// solve replaces b by A⁻¹b.
func (f *lu) solve(b matrix) {
	n, m := f.n, b.cols
	for i, p := range f.pivots {
		swap(b.v, m, i, p)
	}
	for k0 := 0; k0 < n; k0 += luBlock {
		k1 := min(k0+luBlock, n)
		kernels.Gemm(false, false, k1-k0, m, k0, f.negative[k0*n:], n, b.v, m, 1, b.v[k0*m:k1*m], m)
		for i := k0 + 1; i < k1; i++ {
			for j := k0; j < i; j++ {
				kernels.Axpy(-f.a[i*n+j], b.row(j), b.row(i))
			}
		}
	}
	for k0 := (n - 1) / luBlock * luBlock; k0 >= 0; k0 -= luBlock {
		k1 := min(k0+luBlock, n)
		if k1 < n {
			kernels.Gemm(false, false, k1-k0, m, n-k1, f.negative[k0*n+k1:], n, b.v[k1*m:], m, 1, b.v[k0*m:k1*m], m)
		}
		for i := k1 - 1; i >= k0; i-- {
			for j := i + 1; j < k1; j++ {
				kernels.Axpy(-f.a[i*n+j], b.row(j), b.row(i))
			}
			kernels.Scale(b.row(i), 1/f.a[i*n+i], b.row(i))
		}
	}
}

// solveT replaces b by A⁻ᵀb.
func (f *lu) solveT(b matrix) {
	n, m := f.n, b.cols
	for k0 := 0; k0 < n; k0 += luBlock {
		k1 := min(k0+luBlock, n)
		kernels.Gemm(true, false, k1-k0, m, k0, f.negative[k0:], n, b.v, m, 1, b.v[k0*m:k1*m], m)
		for i := k0; i < k1; i++ {
			for j := k0; j < i; j++ {
				kernels.Axpy(-f.a[j*n+i], b.row(j), b.row(i))
			}
			kernels.Scale(b.row(i), 1/f.a[i*n+i], b.row(i))
		}
	}
	for k0 := (n - 1) / luBlock * luBlock; k0 >= 0; k0 -= luBlock {
		k1 := min(k0+luBlock, n)
		if k1 < n {
			kernels.Gemm(true, false, k1-k0, m, n-k1, f.negative[k1*n+k0:], n, b.v[k1*m:], m, 1, b.v[k0*m:k1*m], m)
		}
		for i := k1 - 1; i >= k0; i-- {
			for j := i + 1; j < k1; j++ {
				kernels.Axpy(-f.a[j*n+i], b.row(j), b.row(i))
			}
		}
	}
	for i := n - 1; i >= 0; i-- {
		swap(b.v, m, i, f.pivots[i])
	}
}
