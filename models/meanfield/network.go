package meanfield

import (
	"fmt"
	"math"
)

// Network has the statistics of χ, m and I.
type Network struct {
	Gain         float64 // g
	VarM, VarI   float64 // variances of the entries of m and I: σ_m², σ_I²
	CovMI        float64 // their covariance σ_mI
	MeanM, MeanI float64
}

// Readout has the statistics of n, times N: of the vector N·n.
type Readout struct {
	U, V float64 // covariances with m and I: nᵀm and nᵀI of vectors without means
	Mean float64
}

// Vectors says how the vectors of the paper are made of ξ, η_m and η_I with entries from
// N(0, 1), r = √(1 − ρ²):
//
//	m = σ_m(ρξ + rη_m),   I = σ_I(ρξ + rη_I)
type Vectors struct {
	SigmaM, SigmaI float64 // standard deviations
	Rho            float64 // ρ in [0, 1]
}

// Direction says how n is made: n = (Xi·ξ + EtaM·η_m + EtaI·η_I)/N.
type Direction struct{ Xi, EtaM, EtaI float64 }

// Network returns the statistics for a gain: σ_mI = ρ²σ_mσ_I.
func (v Vectors) Network(gain float64) Network {
	return Network{
		Gain: gain, VarM: v.SigmaM * v.SigmaM, VarI: v.SigmaI * v.SigmaI,
		CovMI: v.Rho * v.Rho * v.SigmaM * v.SigmaI,
	}
}

// Readout returns the overlaps of a direction with m and I.
func (v Vectors) Readout(d Direction) Readout {
	r := math.Sqrt(1 - v.Rho*v.Rho)
	return Readout{U: (d.Xi*v.Rho + d.EtaM*r) * v.SigmaM, V: (d.Xi*v.Rho + d.EtaI*r) * v.SigmaI}
}

// Validate reports vectors that there are none of.
func (v Vectors) Validate() error {
	switch {
	case !(v.SigmaM >= 0) || !(v.SigmaI >= 0) || math.IsInf(v.SigmaM+v.SigmaI, 0):
		return fmt.Errorf("meanfield: σ_m %g and σ_I %g: expected finite standard deviations", v.SigmaM, v.SigmaI)
	case !(v.Rho >= 0 && v.Rho <= 1):
		return fmt.Errorf("meanfield: ρ: expected a number in [0, 1], found %g", v.Rho)
	}
	return nil
}

// Validate reports statistics that no network has.
func (n Network) Validate() error {
	for _, v := range []struct {
		name string
		x    float64
	}{{"the gain", n.Gain}, {"the variance of m", n.VarM}, {"the variance of I", n.VarI}} {
		if !(v.x >= 0) || math.IsInf(v.x, 0) {
			return fmt.Errorf("meanfield: %s: expected a finite number of at least 0, found %g", v.name, v.x)
		}
	}
	if limit := math.Sqrt(n.VarM * n.VarI); !(math.Abs(n.CovMI) <= limit*(1+1e-12)) {
		return fmt.Errorf("meanfield: the covariance of m and I: expected at most %g for their variances, found %g", limit, n.CovMI)
	}
	if s := n.MeanM + n.MeanI; s-s != 0 {
		return fmt.Errorf("meanfield: means of m and I: expected finite numbers, found %g and %g", n.MeanM, n.MeanI)
	}
	return nil
}

// drive is S(z) = σ_m²z² + 2σ_mI z + σ_I², the variance that m z + I gives to x, and half its derivative.
func (n Network) drive(z float64) (s, half float64) {
	return max(0, (n.VarM*z+2*n.CovMI)*z+n.VarI), n.VarM*z + n.CovMI
}

// State is the stationary state of a network whose readout is held at Z: x ~ N(Mean, Delta).
type State struct {
	Z, Mean, Delta float64

	// Chaotic says that the state fluctuates: the bulk of the spectrum of the fixed point passes 1.
	// Delta is then the variance Δ₀ of x at one time, and DeltaInf = Δ_∞ its covariance with x at
	// a time long after; else DeltaInf is Delta.
	Chaotic  bool
	DeltaInf float64

	moments
	slope float64 // dΔ/dz
}

// Clamp returns the state with the readout held at z: the fixed point
//
//	μ = M_m z + M_I,   Δ = g²⟨φ²⟩ + S(z)
//
// where its bulk of the spectrum, of radius g√⟨φ′²⟩, is within 1, and the chaotic state where
// it is not.
func (n Network) Clamp(z float64) State {
	s := n.Static(z)
	if n.radius(s.moments) > 1 {
		return n.chaos(s)
	}
	return s
}

// Static returns the fixed point with the readout held at z, stable or not.
func (n Network) Static(z float64) State {
	s, half := n.drive(z)
	mean, g2 := n.MeanM*z+n.MeanI, n.Gain*n.Gain
	// Newton's method for Δ − g²⟨φ²⟩ − S, which falls from its value at S + g² ≥ Δ on; where it
	// leaves the interval that holds the root, halving.
	lo, hi := s, s+g2
	delta := hi
	m := average(mean, delta)
	for range 200 {
		f := delta - g2*m.square() - s
		if f > 0 {
			hi = delta
		} else {
			lo = delta
		}
		next := delta - f/(1-g2*m.curve())
		inside := next >= lo && next <= hi
		if !inside {
			next = (lo + hi) / 2
		}
		done := inside && math.Abs(next-delta) <= 1e-8*hi || hi-lo <= 1e-15*hi // convergence is quadratic
		delta = next
		m = average(mean, delta)
		if done {
			break
		}
	}
	out := State{Z: z, Mean: mean, Delta: delta, DeltaInf: delta, moments: m}
	if push := half + g2*n.MeanM*m.td; push != 0 { // it is 0 where the state is and g may be 1
		out.slope = 2 * push / (1 - g2*m.curve())
	}
	return out
}

// radius is that of the bulk of the spectrum.
func (n Network) radius(m moments) float64 { return n.Gain * math.Sqrt(m.dd) }

// Of returns F = M_n⟨φ⟩ + (uz + v)⟨φ′⟩, what is read out of a state.
func (r Readout) Of(s State) float64 { return r.Mean*s.t + (r.U*s.Z+r.V)*s.d }

// slope is F′(z).
func (n Network) slope(r Readout, s State) float64 {
	w := r.U*s.Z + r.V
	return r.U*s.d + n.MeanM*(r.Mean*s.d+w*s.second()) + (r.Mean*s.second()+w*s.third())*s.slope/2
}

// Normalized scales a readout so that z = target is a solution, with n as independent of χ as it
// is. Where the readout reads 0 of that state there is none: the flex of Readout.Flex.
func (n Network) Normalized(r Readout, target float64) (Readout, error) {
	c := target / r.Of(n.Clamp(target))
	if c-c != 0 {
		return Readout{}, fmt.Errorf("meanfield: no multiple of the readout has the solution z = %g: it reads 0 there", target)
	}
	return Readout{U: c * r.U, V: c * r.V, Mean: c * r.Mean}, nil
}

// Flex is the target A = −v/u at which the factor of Normalized diverges, for vectors without means.
func (r Readout) Flex() float64 { return 0 - r.V/r.U }
