package meanfield

import (
	"math"
	"sync"

	"attractor/internal/kernels"
)

const pairError = 1e-12

// gaussian is a pair of Gaussian variables: means, variances and covariance.
type gaussian struct {
	meanX, meanY float64
	varX, varY   float64
	cov          float64
}

// pair holds averages over the two; Φ = ln cosh is the integral of φ.
type pair struct {
	tt, dd, tdd float64 // ⟨φ(x)φ(y)⟩, ⟨φ′(x)φ′(y)⟩, ⟨φ(x)φ″(y)⟩
	ll, dl, tl  float64 // ⟨Φ(x)Φ(y)⟩, ⟨φ′(x)Φ(y)⟩, ⟨φ(x)Φ(y)⟩: where they are wanted
}

var workspaces = sync.Pool{New: func() any { return new([]float64) }}

// average sums over x = μ_x + √Δ_x s and y = μ_y + (q s + √(Δ_xΔ_y − q²) t)/√Δ_x with independent s and
// t, by the trapezoidal rule in both, with the largest steps that keep the error below
// pairError times the largest result.
func (p gaussian) average(integral bool) pair {
	sdX, sdY := math.Sqrt(max(p.varX, 0)), math.Sqrt(max(p.varY, 0))
	corr := 0.0
	if sdX > 0 && sdY > 0 {
		corr = max(-1, min(p.cov/(sdX*sdY), 1))
	}
	along, across := sdY*corr, sdY*math.Sqrt(1-corr*corr)
	h := min(0.4, math.Pi*math.Pi/(40*max(sdX, sdY, 1e-3)))
	half := int(math.Ceil(reach / h))
	n, first := 2*half+1, 0
	if p.meanX == 0 && p.meanY == 0 {
		first = half // what is averaged is the same for (−s, −t)
	}
	work := workspaces.Get().(*[]float64)
	defer workspaces.Put(work)
	if len(*work) < 5*n {
		*work = make([]float64, 5*n)
	}
	at := func(k int) []float64 { return (*work)[k*n : (k+1)*n] }
	s, weight, t, d, l := at(0), at(1), at(2), at(3), at(4)
	for i := range s {
		s[i] = float64(i-half) * h
		weight[i] = h * math.Exp(-s[i]*s[i]/2) / math.Sqrt(2*math.Pi)
	}
	var a pair
	for i := first; i < n; i++ {
		w := weight[i]
		if first > 0 && i > first {
			w *= 2
		}
		x := p.meanX + sdX*s[i]
		tX := math.Tanh(x)
		dX := 1 - tX*tX
		kernels.Scale(t, across, s)
		kernels.AddScalar(t, t, p.meanY+along*s[i])
		if integral { // ln cosh y = log(1 + e²ʸ) − y − log 2
			kernels.Scale(l, 2, t)
			kernels.Softplus(l, l)
			kernels.Sub(l, l, t)
			lY := kernels.Dot(weight, l) - math.Ln2
			lX := math.Abs(x) + math.Log1p(math.Exp(-2*math.Abs(x))) - math.Ln2
			a.ll += w * lX * lY
			a.dl += w * dX * lY
			a.tl += w * tX * lY
		}
		kernels.Tanh(t, t)
		kernels.Mul(d, t, t)
		kernels.ScalarSub(d, 1, d)
		a.tt += w * tX * kernels.Dot(weight, t)
		a.dd += w * dX * kernels.Dot(weight, d)
		kernels.Mul(d, d, weight)
		a.tdd += w * tX * -2 * kernels.Dot(d, t)
	}
	return a
}
