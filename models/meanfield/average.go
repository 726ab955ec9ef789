package meanfield

import (
	"math"
	"sync"

	"attractor/internal/kernels"
)

// Averages over the Gaussian variable x = μ + √Δ s are sums by the trapezoidal rule over the
// nodes + 1 points s in [−reach, reach], whose error falls exponentially with their distance
// h: as exp(−π²/(h√Δ)), from the poles of tanh at ±iπ/2, beside exp(−reach²/2) = 3·10⁻¹⁸ from
// the ends. Where √Δ is so large that the poles would be felt the points lie at x = widest·s
// instead: what is averaged there vanishes like exp(−2|x|). The absolute error is below
// averageError for all μ and Δ.
const (
	nodes        = 1024
	reach        = 9.0
	widest       = 14.0 // √Δ; h·widest = π²/40
	averageError = 1e-14
)

// moments are the averages over x from which those of φ = tanh, its powers and its derivatives
// follow, because φ² = 1 − φ′.
type moments struct {
	d, dd float64 // ⟨φ′⟩, ⟨φ′²⟩
	t, td float64 // ⟨φ⟩, ⟨φφ′⟩: 0 where the mean of x is
}

func (m moments) square() float64 { return 1 - m.d }        // ⟨φ²⟩
func (m moments) curve() float64  { return 3*m.dd - 2*m.d } // ⟨φ′² + φφ″⟩ = ∂⟨φ²⟩/∂Δ
func (m moments) second() float64 { return -2 * m.td }      // ⟨φ″⟩
func (m moments) third() float64  { return 4*m.d - 6*m.dd } // ⟨φ‴⟩

// grid holds the points of the rule.
type grid struct {
	s, weight []float64 // weight is h·exp(−s²/2)/√(2π)

	// φ′, φ′² and φφ′ at x = widest·s, and φ − erf
	d, dd, td, rest []float64
}

func newGrid(nodes int) *grid {
	g := &grid{}
	h := 2 * reach / float64(nodes)
	for i := range nodes + 1 {
		s := float64(2*i-nodes) / 2 * h
		x := widest * s
		t, c := math.Tanh(x), math.Cosh(x)
		d := 1 / (c * c)
		g.s = append(g.s, s)
		g.weight = append(g.weight, h*math.Exp(-s*s/2)/math.Sqrt(2*math.Pi))
		g.d, g.dd, g.td = append(g.d, d), append(g.dd, d*d), append(g.td, t*d)
		g.rest = append(g.rest, math.Copysign(1, x)*(math.Erfc(math.Abs(x))-2/(1+math.Exp(2*math.Abs(x)))))
	}
	return g
}

var points = sync.OnceValue(func() *grid { return newGrid(nodes) })

// buffers holds three times as many numbers as there are points.
var buffers = sync.Pool{New: func() any { b := make([]float64, 3*(nodes+1)); return &b }}

// average returns the moments of x ~ N(mean, delta).
func average(mean, delta float64) moments {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	return points().average(mean, math.Sqrt(max(delta, 0)), *b)
}

func (g *grid) average(mean, sd float64, buffer []float64) moments {
	n := len(g.s)
	t, d, w := buffer[:n], buffer[n:2*n], buffer[2*n:3*n]
	if sd > widest {
		kernels.Scale(t, widest, g.s)
		kernels.AddScalar(t, t, -mean)
		kernels.Mul(w, t, t)
		kernels.Scale(w, -1/(2*sd*sd), w)
		kernels.Exp(w, w)
		scale := widest * (g.s[1] - g.s[0]) / (sd * math.Sqrt(2*math.Pi))
		return moments{
			d: scale * kernels.Dot(w, g.d), dd: scale * kernels.Dot(w, g.dd), td: scale * kernels.Dot(w, g.td),
			t: math.Erf(mean/math.Sqrt(1+2*sd*sd)) + scale*kernels.Dot(w, g.rest), // ⟨erf x⟩ in closed form
		}
	}
	kernels.Scale(t, sd, g.s)
	kernels.AddScalar(t, t, mean)
	kernels.Tanh(t, t)
	kernels.Mul(d, t, t)
	kernels.ScalarSub(d, 1, d)
	kernels.Mul(w, g.weight, d)
	return moments{t: kernels.Dot(g.weight, t), d: kernels.Sum(w), td: kernels.Dot(w, t), dd: kernels.Dot(w, d)}
}
