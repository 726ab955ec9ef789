package solvers

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// compressor replaces the m pairs of a sum Σ u_i v_iᵀ of n×n matrices by fewer whose sum is as near as can be: from
// U = L_u Q_u and V = L_v Q_v, whose rows are the pairs, and the singular values of L_uᵀL_v.
type compressor[T Float] struct {
	m, n, rank        int
	u, v, out         []float64 // [m, n]
	tauU, tauV, s     []float64 // [rank]
	core, left, right []float64 // [rank, rank]
	work              []float64
}

func newCompressor[T Float](m, n int) *compressor[T] {
	rank := min(m, n)
	c := &compressor[T]{
		m: m, n: n, rank: rank, u: make([]float64, m*n), v: make([]float64, m*n), out: make([]float64, m*n),
		tauU: make([]float64, rank), tauV: make([]float64, rank), s: make([]float64, rank),
		core: make([]float64, rank*rank), left: make([]float64, rank*rank), right: make([]float64, rank*rank),
	}
	size := make([]float64, 1)
	most := 0
	ask := func(question func(work []float64)) {
		question(size)
		most = max(most, int(size[0]))
	}
	ask(func(work []float64) { lapack64.Gelqf(c.pairs(c.u), c.tauU, work, -1) })
	ask(func(work []float64) { lapack64.Orglq(c.basis(c.u), c.tauU, work, -1) })
	ask(func(work []float64) {
		lapack64.Gesvd(lapack.SVDAll, lapack.SVDAll, c.square(c.core), c.square(c.left), c.square(c.right), c.s, work, -1)
	})
	c.work = make([]float64, most)
	return c
}

func (c *compressor[T]) bytes() int {
	return 8 * (len(c.u) + len(c.v) + len(c.out) + 3*len(c.s) + 3*len(c.core) + len(c.work))
}

func (c *compressor[T]) pairs(a []float64) blas64.General {
	return blas64.General{Rows: c.m, Cols: c.n, Stride: c.n, Data: a}
}

func (c *compressor[T]) basis(a []float64) blas64.General {
	return blas64.General{Rows: c.rank, Cols: c.n, Stride: c.n, Data: a}
}

func (c *compressor[T]) square(a []float64) blas64.General {
	return blas64.General{Rows: c.rank, Cols: c.rank, Stride: c.rank, Data: a}
}

// run writes the first k pairs of u and v [m, n], and reports whether it could: numbers must be finite.
func (c *compressor[T]) run(k int, u, v []T) bool {
	sum := 0.0
	for i := range c.u {
		c.u[i], c.v[i] = float64(u[i]), float64(v[i])
		sum += math.Abs(c.u[i]) + math.Abs(c.v[i])
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return false
	}
	lapack64.Gelqf(c.pairs(c.u), c.tauU, c.work, len(c.work))
	lapack64.Gelqf(c.pairs(c.v), c.tauV, c.work, len(c.work))
	for i := range c.rank {
		for j := range c.rank {
			c.core[i*c.rank+j] = 0
			for p := max(i, j); p < c.m; p++ {
				c.core[i*c.rank+j] += c.u[p*c.n+i] * c.v[p*c.n+j]
			}
		}
	}
	lapack64.Orglq(c.basis(c.u), c.tauU, c.work, len(c.work))
	lapack64.Orglq(c.basis(c.v), c.tauV, c.work, len(c.work))
	if !lapack64.Gesvd(lapack.SVDAll, lapack.SVDAll, c.square(c.core), c.square(c.left), c.square(c.right), c.s, c.work, len(c.work)) {
		return false
	}
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, c.square(c.left), c.basis(c.u), 0, c.basis(c.out))
	c.put(k, u)
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, c.square(c.right), c.basis(c.v), 0, c.basis(c.out))
	c.put(k, v)
	return true
}

// put writes the first k rows of out, each times the root of its singular value; those beyond the rank are 0.
func (c *compressor[T]) put(k int, to []T) {
	for i := range k {
		row := to[i*c.n : (i+1)*c.n]
		if i >= c.rank {
			clear(row)
			continue
		}
		root := math.Sqrt(c.s[i])
		for j, x := range c.out[i*c.n : (i+1)*c.n] {
			row[j] = T(root * x)
		}
	}
}
