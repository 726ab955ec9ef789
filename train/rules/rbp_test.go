package rules_test

import (
	"fmt"
	"math"
	"testing"

	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// With dt = 1 the k-th step is the sum of k + 1 terms of the Neumann series.
func TestRBPIsNeumann(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 15)
	for _, k := range []int{1, 4, 9} {
		want, _ := b.Gradient(t, rules.Neumann[float64]{Terms: k + 1})
		got, _ := b.Gradient(t, rules.RBP[float64]{Steps: k, DT: 1})
		near(t, fmt.Sprintf("%d steps and %d terms", k, k+1), got, want, 1e-13)
		off, _ := b.Gradient(t, rules.Neumann[float64]{Terms: k})
		apart(t, fmt.Sprintf("%d steps and %d terms", k, k), got, off, 1e-6)
	}
}

// The error falls by the factor ρ((1−dt)I + dt·J) a step, here with J = cI, until it is below
// 1e-9; one with dt too long for W = −3I does not.
func TestRBPTendsToImplicit(t *testing.T) {
	diagonal := func(c float64) *ruletest.Bench {
		b := ruletest.NewBench(t, models.Rate{Activation: "linear"}, 16)
		w := b.Layer.Params.Data("W")
		update(b.Layer, func() {
			clear(w)
			for i := range b.Layer.Units {
				w[i*b.Layer.Units+i] = c
			}
		})
		b.Tight.Method = solvers.Newton[float64]{}
		return b
	}
	for _, c := range []float64{0.8, -0.5} {
		b := diagonal(c)
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		for _, dt := range []float64{0.3, 0.7} {
			rate := 1 - dt + dt*c
			last := 0.0
			for k := 4; ; k += 4 {
				g, _ := b.Gradient(t, rules.RBP[float64]{Steps: k, DT: dt})
				d := ruletest.Distance(g, exact)
				if last > 0 && !(math.Abs(d/last/math.Pow(rate, 4)-1) <= 1e-3) {
					t.Fatalf("J = %gI, dt = %g: the error falls from %g to %g, not by %g", c, dt, last, d, math.Pow(rate, 4))
				}
				if last = d; d < 1e-9 {
					break
				}
			}
		}
	}
	b := ruletest.NewBench(t, models.Rate{}, 16)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	last := math.Inf(1)
	for k := 5; last > 1e-9; k += 5 {
		g, _ := b.Gradient(t, rules.RBP[float64]{Steps: k})
		if d := ruletest.Distance(g, exact); d < last {
			last = d
			continue
		}
		t.Fatalf("tanh: the error no longer falls from %.2g after %d steps", last, k)
	}
	b = diagonal(-3)
	exact, _ = b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, rules.RBP[float64]{DT: 0.4}) // 1 − 4·0.4 = −0.6
	near(t, "J = −3I, short steps", g, exact, 1e-9)
	g, _ = b.Gradient(t, rules.RBP[float64]{DT: 0.6}) // −1.4
	apart(t, "J = −3I, long steps", g, exact, 1e-2)
}
