package meanfield

import (
	"fmt"
	"math"
	"math/cmplx"
)

// LeastSquares is the theory of the readout that least squares fits to a large network in the open
// loop, z held at a target A: n = A φ(x*)/|φ(x*)|² for the state x* there. n then depends on χ, which
// the theory takes into account. With C₀ = ⟨φ²⟩ at A and x, y the states at A and at z,
//
//	F(z) = A⟨φ(x)φ(y)⟩/C₀,   cov(x, y) = g²⟨φ(x)φ(y)⟩ + σ_m²Az + σ_mI(A + z) + σ_I²
//
// It is for vectors without means and targets at which the state does not fluctuate.
type LeastSquares struct {
	Target float64
	open   *Open
	scan   []State
	at     State // x
}

// LeastSquares returns the theory for a target.
func (o *Open) LeastSquares(target float64) (*LeastSquares, error) {
	if o.MeanM != 0 || o.MeanI != 0 {
		return nil, fmt.Errorf("meanfield: least squares: expected m and I without means, found %g and %g", o.MeanM, o.MeanI)
	}
	l := &LeastSquares{Target: target, open: o, at: o.Clamp(target)}
	switch {
	case l.at.Chaotic:
		return nil, fmt.Errorf("meanfield: least squares for the target %g: the state there fluctuates", target)
	case l.at.Delta == 0:
		return nil, fmt.Errorf("meanfield: least squares for the target %g: the state there is 0", target)
	}
	bound := math.Abs(target)/math.Sqrt(l.at.square()) + 3*scanStep // |φ| < 1
	for i, s := range o.states {
		if i%2 == 0 && math.Abs(s.Z) <= bound {
			l.scan = append(l.scan, s)
		}
	}
	return l, nil
}

// Linearised returns the readout n ∝ mA + I that has the solution z = A: what least squares finds to first
// order in φ, without the dependence on χ.
func (n Network) Linearised(target float64) (Readout, error) {
	return n.Normalized(Readout{U: n.VarM*target + n.CovMI, V: n.CovMI*target + n.VarI}, target)
}

// Transfer returns F(z) and its derivative.
func (l *LeastSquares) Transfer(z float64) (f, slope float64) { return l.transfer(l.open.Clamp(z)) }

func (l *LeastSquares) transfer(y State) (f, slope float64) {
	n, x := l.open.Network, l.at
	g2 := n.Gain * n.Gain
	given := (n.VarM*l.Target+n.CovMI)*y.Z + n.CovMI*l.Target + n.VarI
	at := func(q float64) pair { return gaussian{varX: x.Delta, varY: y.Delta, cov: q}.average(false) }
	// Newton's method for q − g²⟨φφ⟩ − given, which is below 0 and above it at correlations −1 and 1.
	limit := math.Sqrt(x.Delta * y.Delta)
	lo, hi := -limit, limit
	q := max(lo, min(given, hi))
	a := at(q)
	for range 100 {
		r := q - g2*a.tt - given
		if r < 0 {
			lo = q
		} else {
			hi = q
		}
		next := q - r/(1-g2*a.dd)
		inside := next >= lo-1e-9*limit && next <= hi+1e-9*limit
		if !inside {
			next = lo + (hi-lo)/2
		}
		done := inside && math.Abs(next-q) <= 1e-8*limit // convergence is quadratic
		q = next
		a = at(q)
		if done {
			break
		}
	}
	// Along z both Δ_y and q change: ∂⟨φφ⟩ = ½⟨φφ″⟩∂Δ_y + ⟨φ′φ′⟩∂q.
	byVar := a.tdd * y.slope / 2
	dq := (g2*byVar + n.VarM*l.Target + n.CovMI) / (1 - g2*a.dd)
	c := l.Target / x.square()
	return c * a.tt, c * (byVar + a.dd*dq)
}

// FixedPoints returns the readouts z of all stationary states, ascending.
func (l *LeastSquares) FixedPoints() []float64 { return fixedPoints(l.scan, l.transfer, l.Transfer) }

// Solutions returns the stationary states, by ascending z. The outliers are known at the target alone,
// where there is one, and are NaN elsewhere; a state is stable where F′(z) and the radius are below 1.
func (l *LeastSquares) Solutions() []Solution {
	var found []Solution
	for _, z := range l.FixedPoints() {
		s := Solution{State: l.open.Clamp(z), Outliers: [2]complex128{cmplx.NaN(), cmplx.NaN()}}
		_, s.Slope = l.transfer(s.State)
		if s.Is(l.Target) {
			s.Outliers = [2]complex128{complex(l.Outlier(), 0), 0}
		}
		s.Radius = l.open.radius(s.moments)
		s.Stable = s.Slope < 1 && s.Radius < 1
		found = append(found, s)
	}
	return found
}

// Outlier returns the outlier of the spectrum at the solution z = A,
//
//	λ = ⟨φ′² + φφ″⟩[g² + A(σ_m²A + σ_mI)/C₀]
func (l *LeastSquares) Outlier() float64 {
	_, half := l.open.drive(l.Target)
	g2 := l.open.Gain * l.open.Gain
	return l.at.curve() * (g2 + l.Target*half/l.at.square())
}

// Readout returns the overlaps of n with m and I,
//
//	u = A⟨φ′⟩(σ_m²A + σ_mI)/C₀,   v = A⟨φ′⟩(σ_mI A + σ_I²)/C₀
//
// A readout of the same overlaps that is independent of χ has other solutions.
func (l *LeastSquares) Readout() Readout {
	n, c := l.open.Network, l.Target*l.at.d/l.at.square()
	return Readout{U: c * (n.VarM*l.Target + n.CovMI), V: c * (n.CovMI*l.Target + n.VarI)}
}

// Norm returns |n|√N = |A|/√C₀.
func (l *LeastSquares) Norm() float64 { return math.Abs(l.Target) / math.Sqrt(l.at.square()) }
