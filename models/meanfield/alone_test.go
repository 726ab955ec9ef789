package meanfield

import (
	"math"
	"testing"
)

// Below the critical gain 1 the network alone rests; beyond, its variance balances the potential, by another integration.
func TestAlone(t *testing.T) {
	for _, g := range []float64{0, 0.5, 0.99, 1, 1.01, 1.5, 2, 4, 20} {
		s, err := Network{Gain: g, VarM: 7, MeanI: 3}.Alone()
		if err != nil {
			t.Fatal(err)
		}
		if g <= 1 {
			if s.Delta != 0 || s.Chaotic || s.Stable != (g < 1) || !(math.Abs(s.Radius-g) <= 1e-12) {
				t.Errorf("g = %g: %+v", g, s)
			}
			continue
		}
		mean := func(f func(x float64) float64) (sum float64) {
			const h = 1e-3
			for u := -10.0; u <= 10; u += h {
				sum += h * math.Exp(-u*u/2) / math.Sqrt(2*math.Pi) * f(math.Sqrt(s.Delta)*u)
			}
			return sum
		}
		potential := func(x float64) float64 { return math.Abs(x) + math.Log1p(math.Exp(-2*math.Abs(x))) - math.Ln2 }
		one, two := mean(potential), mean(func(x float64) float64 { return potential(x) * potential(x) })
		if want := g * g * (two - one*one); !s.Chaotic || s.Stable || s.DeltaInf != 0 || !(math.Abs(s.Delta*s.Delta/2-want) <= 1e-9*want+1e-13) {
			t.Errorf("g = %g: Δ₀ = %g with Δ₀²/2 = %.12g, want %.12g; Δ_∞ = %g", g, s.Delta, s.Delta*s.Delta/2, want, s.DeltaInf)
		}
	}
	for _, bad := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := (Network{Gain: bad}).Alone(); err == nil {
			t.Errorf("g = %g is accepted", bad)
		}
	}
}
