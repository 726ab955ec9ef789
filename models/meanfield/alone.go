package meanfield

import "math"

// Alone returns the stationary state of the network without a loop and without an input, dx/dt = −x + gχφ(x): x = 0 up to
// g = 1, and beyond it chaos, whose variance Δ₀ solves
//
//	Δ₀²/2 = g²(⟨Φ²⟩ − ⟨Φ⟩²),   Φ = ln cosh x,   x ~ N(0, Δ₀)
//
// with Δ_∞ = 0. At g = 1 it is neither stable nor chaotic. It has no outliers, which are NaN.
//
// H. Sompolinsky, A. Crisanti and H. J. Sommers, Phys. Rev. Lett. 61 (1988) 259–262, doi:10.1103/PhysRevLett.61.259.
func (n Network) Alone() (Solution, error) {
	n = Network{Gain: n.Gain}
	if err := n.Validate(); err != nil {
		return Solution{}, err
	}
	s := State{moments: moments{d: 1, dd: 1}}
	if n.Gain > 1 {
		s = n.Clamp(0)
		s.DeltaInf = 0 // as φ is odd
	}
	none := complex(math.NaN(), math.NaN())
	out := Solution{State: s, Radius: n.radius(s.moments), Outliers: [2]complex128{none, none}}
	out.Stable = out.Radius < 1
	return out, nil
}
