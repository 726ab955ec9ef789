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
	shift    []float64 // what was added to the logarithm of each vector's size before
	rounding float64   // relative error of what comes in
	whole    int       // so many of them, the first ones, have never been lost since fresh
	random   *rand.Rand
}

// newTangents draws random orthonormal vectors.
func newTangents(k, n int, rounding float64, random *rand.Rand) *tangents {
	t := &tangents{k: k, n: n, q: make([]float64, k*n), r: make([]float64, k*k), dots: make([]float64, k), shift: make([]float64, k), rounding: rounding, whole: k, random: random}
	for i := range t.q {
		t.q[i] = random.NormFloat64()
	}
	t.orthonormalise(nil)
	return t
}

// growth is log R_ii.
func (t *tangents) growth(i int) float64 { return logOf(t.r[i*t.k+i]) - t.shift[i] }

// logOf is the natural logarithm, also of denormal numbers, of which math.Log is wrong on some machines.
func logOf(v float64) float64 {
	if v > 0 && v < 0x1p-1022 {
		return math.Log(v*0x1p100) - 100*math.Ln2
	}
	return math.Log(v)
}

func (t *tangents) row(i int) []float64 { return t.q[i*t.n : (i+1)*t.n] }

// orthonormalise is the Gram–Schmidt method, by all earlier vectors at once and twice over,
// which leaves them orthogonal to rounding (Giraud, Langou, Rozložník & van den Eshof 2005,
// doi:10.1007/s00211-005-0615-4). A vector that depends on those before it up to rounding is lost: the others
// move up, a random direction stands in for it at the end, and R_ii is an upper bound there. lost, which may be nil,
// is told of each such i.
func (t *tangents) orthonormalise(lost func(i int)) {
	clear(t.r)
	left := t.k
	for j := 0; j < left; {
		v := t.row(j)
		before := math.Sqrt(kernels.SumSquares(v))
		t.project(v, j, j)
		norm := math.Sqrt(kernels.SumSquares(v))
		if !(norm <= t.rounding*before) {
			t.r[j*t.k+j] = norm
			kernels.Scale(v, 1/norm, v)
			j++
			continue
		}
		left--
		if j < t.whole {
			t.whole--
		}
		copy(t.q[j*t.n:], t.q[(j+1)*t.n:])
		own := t.shift[j]
		copy(t.shift[j:], t.shift[j+1:])
		t.shift[t.k-1] = own
		for i := range j {
			t.r[i*t.k+j] = 0
		}
		t.r[left*t.k+left] = t.rounding * before
	}
	for j := left; j < t.k; j++ {
		if lost != nil {
			lost(j)
		}
		v := t.row(j)
		for norm := 0.0; norm < 0.01; { // of a unit vector
			for i := range v {
				v[i] = t.random.NormFloat64() / math.Sqrt(float64(t.n))
			}
			t.project(v, j, -1)
			if norm = math.Sqrt(kernels.SumSquares(v)); norm >= 0.01 {
				kernels.Scale(v, 1/norm, v)
			}
		}
	}
}

// fresh forgets which vectors have been lost.
func (t *tangents) fresh() { t.whole = t.k }

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
