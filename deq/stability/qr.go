package stability

import (
	"math"
	"math/rand/v2"

	"attractor/internal/kernels"
)

// tangents are k tangent vectors of length n, one after the other, that are kept orthonormal.
type tangents struct {
	k, n     int
	q        []float64 // [k, n]
	r        []float64 // [k, k]: of the last orthonormalisation, q before = Rᵀ·q after
	dots     []float64
	rounding float64 // relative error of what comes in
	random   *rand.Rand
}

// newTangents draws random orthonormal vectors.
func newTangents(k, n int, rounding float64, random *rand.Rand) *tangents {
	t := &tangents{k: k, n: n, q: make([]float64, k*n), r: make([]float64, k*k), dots: make([]float64, k), rounding: rounding, random: random}
	for i := range t.q {
		t.q[i] = random.NormFloat64()
	}
	t.orthonormalise(nil)
	return t
}

func (t *tangents) row(i int) []float64 { return t.q[i*t.n : (i+1)*t.n] }

// orthonormalise is the Gram–Schmidt method, by all earlier vectors at once and twice over,
// which leaves them orthogonal to rounding (Giraud, Langou, Rozložník & van den Eshof 2005,
// doi:10.1007/s00211-005-0615-4). lost, which may be nil, is told of each vector that depends on
// those before it up to rounding: its R_ii is then an upper bound, and a random direction takes
// its place.
func (t *tangents) orthonormalise(lost func(i int)) {
	clear(t.r)
	for j := range t.k {
		v := t.row(j)
		before := math.Sqrt(kernels.SumSquares(v))
		t.project(v, j, j)
		norm := math.Sqrt(kernels.SumSquares(v))
		if norm <= t.rounding*before {
			if lost != nil {
				lost(j)
			}
			t.r[j*t.k+j] = t.rounding * before
			for norm = 0; norm < 0.01; norm = math.Sqrt(kernels.SumSquares(v)) { // of a unit vector
				for i := range v {
					v[i] = t.random.NormFloat64() / math.Sqrt(float64(t.n))
				}
				t.project(v, j, -1)
			}
		} else {
			t.r[j*t.k+j] = norm
		}
		kernels.Scale(v, 1/norm, v)
	}
}

// project takes from v what lies in the span of the first j vectors, and adds the coefficients to
// a column of R, unless that is −1.
func (t *tangents) project(v []float64, j, column int) {
	for range 2 {
		c := t.dots[:j]
		kernels.Dots(c, v, t.q, t.n)
		for i, x := range c {
			if column >= 0 {
				t.r[i*t.k+column] += x
			}
			c[i] = -x
		}
		kernels.Axpys(c, t.q, t.n, v)
	}
}
