package ops

import (
	"math"
	"slices"
	"sync"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/lapack"
	lapackgo "gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"
)

// Top finds the largest singular value σ of matrices [rows, columns] with its vectors, W·v = σu and
// Wᵀu = σv, by the Lanczos method with full reorthogonalisation on the smaller one of WᵀW and
// WWᵀ. The result depends on W alone: the start is fixed, and the iteration goes on until
// the residual is small (at the latest when the Krylov space is all there is). Where σ is a
// multiple singular value, the vectors are some of its; those of the zero matrix are given as 0.
//
// C. Lanczos, J. Res. Natl. Bur. Stand. 45 (1950) 255–282, doi:10.6028/jres.045.026.
type Top struct {
	Sigma float64
	U, V  []float64 // [rows], [columns], of unit length

	rows, columns int
	tolerance     float64   // of the residual ‖WᵀWv − σ²v‖, relative to σ²
	basis         []float64 // orthonormal rows
	alpha, beta   []float64 // the Gram matrix in that basis: its diagonal, and beside it
	d, e, ritz    []float64 // of the tridiagonal eigenproblem
}

// NewTop allocates all that Solve needs. σ is exact to rounding; the vectors have an error of about the tolerance
// over the relative gap between the largest two singular values, 1e-14 being as good as
// rounding allows.
func NewTop(rows, columns int, tolerance float64) *Top {
	n := min(rows, columns)
	return &Top{
		U: make([]float64, rows), V: make([]float64, columns), rows: rows, columns: columns, tolerance: tolerance,
		basis: make([]float64, n*n), alpha: make([]float64, n), beta: make([]float64, n),
		d: make([]float64, n), e: make([]float64, n), ritz: make([]float64, n),
	}
}

// Tolerance is that of the vectors for a result of type T.
func Tolerance[T kernels.Float]() float64 {
	if _, narrow := any(T(0)).(float32); narrow {
		return 1e-9
	}
	return 1e-14
}

// Bytes is the memory of t.
func (t *Top) Bytes() int {
	n := min(t.rows, t.columns)
	return 8 * (t.rows + t.columns + n*n + 5*n)
}

// Solve finds σ, u and v of w, row by row. It allocates nothing.
func (t *Top) Solve(w []float64) {
	unit := kernels.MaxAbs(w) // with which squares are neither 0 nor infinite
	if unit == 0 {
		t.Sigma = 0
		clear(t.U)
		clear(t.V)
		return
	}
	n := min(t.rows, t.columns)
	x, y := t.V, t.U // y follows from x
	if t.rows < t.columns {
		x, y = t.U, t.V
	}
	q := func(j int) []float64 { return t.basis[j*n : (j+1)*n] }
	for i, first := 0, q(0); i < n; i++ {
		first[i] = 1 + math.Sin(float64(i)*float64(i)) // has a part along every vector to be expected
	}
	normalise(q(0))
	k, check := 0, 8
	for {
		t.apply(w, q(k), y)
		scale(y, 1/unit)
		t.applyBack(w, y, x)
		scale(x, 1/unit)
		t.alpha[k] = kernels.Dot(q(k), x)
		for range 2 { // twice is enough (Kahan and Parlett)
			for j := range k + 1 {
				kernels.Axpy(-kernels.Dot(q(j), x), q(j), x)
			}
		}
		t.beta[k] = math.Sqrt(kernels.SumSquares(x))
		k++
		exhausted := k == n || !(t.beta[k-1] > 1e-15*t.alpha[0])
		if exhausted || k >= check {
			theta, last := t.largest(k)
			if exhausted || t.beta[k-1]*math.Abs(last) <= t.tolerance*theta {
				break
			}
			check += check / 2
		}
		copy(q(k), x)
		scale(q(k), 1/t.beta[k-1])
	}
	clear(x)
	for j := range k {
		kernels.Axpy(t.ritz[j], q(j), x)
	}
	normalise(x)
	t.apply(w, x, y)
	scale(y, 1/unit)
	t.Sigma = unit * normalise(y)
}

// recent holds what was found for the last few matrices. The programs of a layer all ask for those of the
// same weights; since the answer depends on the matrix alone, who found it makes no
// difference.
var recent struct {
	sync.Mutex
	found [4]found
	next  int
}

type found struct {
	w, u, v   []float64
	sigma     float64
	columns   int
	tolerance float64
}

// SolveOnce is Solve, or what it gave for an equal matrix lately.
func (t *Top) SolveOnce(w []float64) {
	recent.Lock()
	for i := range recent.found {
		f := &recent.found[i]
		if f.columns == t.columns && f.tolerance == t.tolerance && slices.Equal(f.w, w) {
			t.Sigma = f.sigma
			copy(t.U, f.u)
			copy(t.V, f.v)
			recent.Unlock()
			return
		}
	}
	recent.Unlock() // others may go on, if only to find the same
	t.Solve(w)
	recent.Lock()
	defer recent.Unlock()
	f := &recent.found[recent.next]
	recent.next = (recent.next + 1) % len(recent.found)
	f.w, f.u, f.v = append(f.w[:0], w...), append(f.u[:0], t.U...), append(f.v[:0], t.V...)
	f.sigma, f.columns, f.tolerance = t.Sigma, t.columns, t.tolerance
}

// largest returns the largest eigenvalue of the leading k by k tridiagonal matrix and the last entry of its
// vector, which is left in ritz: by inverse iteration with a shift just above the eigenvalue,
// with which the matrix is definite and needs no pivots.
func (t *Top) largest(k int) (theta, last float64) {
	copy(t.d, t.alpha[:k])
	copy(t.e, t.beta[:k])
	lapackgo.Implementation{}.Dsteqr(lapack.EVCompNone, k, t.d[:k], t.e[:k-1], nil, 1, nil)
	theta = t.d[k-1]
	shift := theta + 4e-16*float64(k)*theta
	x, d := t.ritz[:k], t.d[:k]
	for i := range k { // shift − T = L·D·Lᵀ
		d[i] = shift - t.alpha[i]
		if i > 0 {
			d[i] -= t.beta[i-1] * t.beta[i-1] / d[i-1]
		}
		if !(d[i] > 1e-300) {
			d[i] = 1e-16 * theta
		}
		x[i] = 1
	}
	for range 3 {
		for i := 1; i < k; i++ {
			x[i] += t.beta[i-1] / d[i-1] * x[i-1]
		}
		for i := k - 1; i >= 0; i-- {
			x[i] /= d[i]
			if i < k-1 {
				x[i] += t.beta[i] / d[i] * x[i+1]
			}
		}
		normalise(x)
	}
	return theta, x[k-1]
}

// apply writes W·x, or Wᵀ·x if that is the smaller one's way, to y; applyBack is its transpose.
func (t *Top) apply(w, x, y []float64) {
	if t.rows < t.columns {
		t.transposed(w, x, y)
	} else {
		t.plain(w, x, y)
	}
}

func (t *Top) applyBack(w, y, x []float64) {
	if t.rows < t.columns {
		t.plain(w, y, x)
	} else {
		t.transposed(w, y, x)
	}
}

func (t *Top) plain(w, x, y []float64) {
	for i := range y {
		y[i] = kernels.Dot(w[i*t.columns:(i+1)*t.columns], x)
	}
}

func (t *Top) transposed(w, x, y []float64) {
	clear(y)
	for i, v := range x {
		kernels.Axpy(v, w[i*t.columns:(i+1)*t.columns], y)
	}
}

func scale(x []float64, a float64) { kernels.Scale(x, a, x) }

// normalise gives x unit length and returns the length it had. A zero vector stays.
func normalise(x []float64) float64 {
	length := math.Sqrt(kernels.SumSquares(x))
	if length > 0 {
		scale(x, 1/length)
	}
	return length
}

// hessian returns the product of h with the Jacobian of u₁v₁ᵀ at w, U·G·Vᵀ for the full
// decomposition w = UΣVᵀ, with Q = UᵀhV and, for i > 1,
//
//	G[i,1] = (σ₁Q[i,1] + σᵢQ[1,i]) / (σ₁² − σᵢ²),   G[1,i] = (σᵢQ[i,1] + σ₁Q[1,i]) / (σ₁² − σᵢ²)
//
// and zeros elsewhere; σᵢ and entries of Q beyond the smaller side are 0. Directions of which σᵢ equals
// σ₁, where there is no derivative, are left out.
func hessian(rows, columns int, w, h []float64) []float64 {
	var svd mat.SVD
	var u, v mat.Dense
	if !svd.Factorize(mat.NewDense(rows, columns, w), mat.SVDFull) {
		for i := range w {
			w[i] = math.NaN()
		}
		return w
	}
	svd.UTo(&u)
	svd.VTo(&v)
	sigma := svd.Values(nil)
	var q mat.Dense
	q.Product(u.T(), mat.NewDense(rows, columns, h), &v)
	g := mat.NewDense(rows, columns, nil)
	for i := 1; i < max(rows, columns); i++ {
		var si, left, right float64
		if i < len(sigma) {
			si = sigma[i]
		}
		if i < rows {
			left = q.At(i, 0)
		}
		if i < columns {
			right = q.At(0, i)
		}
		d := (sigma[0] - si) * (sigma[0] + si)
		if !(d > 0) {
			continue
		}
		if i < rows {
			g.Set(i, 0, (sigma[0]*left+si*right)/d)
		}
		if i < columns {
			g.Set(0, i, (si*left+sigma[0]*right)/d)
		}
	}
	var out mat.Dense
	out.Product(&u, g, v.T())
	return out.RawMatrix().Data
}
