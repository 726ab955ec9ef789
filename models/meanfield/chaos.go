package meanfield

import "math"

// chaos returns the fluctuating state with the readout held at that of a fixed point. The
// covariance c(τ) of x over time obeys c″ = −V′(c) in the potential
//
//	V(c) = −c²/2 + g²⟨Φ(x)Φ(y)⟩ + S c
//
// with x, y ~ N(μ, Δ₀) of covariance c. It starts at Δ₀ at rest and comes to rest at Δ_∞, the
// first maximum of V, where V(Δ_∞) = V(Δ₀). Δ₀ is below the variance of the fixed point, at which
// V(Δ₀) < V(Δ_∞).
func (n Network) chaos(fixed State) State {
	lo, hi := 0.0, fixed.Delta
	p := n.rest(fixed, hi)
	for range 100 {
		next := (lo + hi) / 2
		if p.ok {
			next = p.delta + p.energy/p.fall
		}
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		done := math.Abs(next-p.delta) <= 1e-14*fixed.Delta
		p = n.rest(fixed, next)
		if done {
			break
		}
		if p.ok && p.energy < 0 {
			hi = next
		} else {
			lo = next
		}
	}
	_, half := n.drive(fixed.Z)
	return State{
		Z: fixed.Z, Mean: fixed.Mean, Delta: p.delta, DeltaInf: p.inf, Chaotic: true, moments: average(fixed.Mean, p.delta),
		slope: (2*half*(p.delta-p.inf) + 2*n.Gain*n.Gain*n.MeanM*(p.now.tl-p.later.tl)) / p.fall,
	}
}

// rest is where a covariance that starts at delta comes to rest.
type rest struct {
	delta, inf   float64
	energy, fall float64 // V(Δ₀) − V(Δ_∞) and minus its derivative for Δ₀
	now, later   pair    // averages at the covariances Δ₀ and Δ_∞
	ok           bool    // that V has a maximum below Δ₀
}

// rest finds the maximum of V: V′ is convex and V′(0) ≥ 0, so that Newton's method for V′ comes
// from 0 to its first root without passing it.
func (n Network) rest(fixed State, delta float64) rest {
	s, _ := n.drive(fixed.Z)
	g2 := n.Gain * n.Gain
	at := func(cov float64, integral bool) pair {
		return gaussian{fixed.Mean, fixed.Mean, delta, delta, cov}.average(integral)
	}
	p := rest{delta: delta}
	for range 100 {
		a := at(p.inf, false)
		curve := g2*a.dd - 1
		if curve >= 0 || p.inf >= delta {
			return p
		}
		step := -(g2*a.tt + s - p.inf) / curve
		p.inf += step
		if step <= 1e-14*delta {
			break
		}
	}
	p.now, p.later, p.ok = at(delta, true), at(p.inf, true), p.inf < delta
	p.energy = (p.inf*p.inf-delta*delta)/2 + g2*(p.now.ll-p.later.ll) + s*(delta-p.inf)
	p.fall = delta - s - g2*(p.now.tt+p.now.dl-p.later.dl)
	return p
}
