package rules_test

import (
	"math"
	"testing"

	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// With the true ∂L/∂z for the third factor and traces that decay as the leak does, the rule is the symmetric
// one for currents: e-prop, and with random feedback rflo. Activities have slopes that change, and so the two
// differ.
func TestThreeFactorWithTheTrueSignal(t *testing.T) {
	const leak = 0.4
	symmetric := rules.ThreeFactor[float64]{Tau: 1 / leak, Feedback: "symmetric"}
	random := rules.ThreeFactor[float64]{Tau: 1 / leak}
	for _, form := range []string{"v", "h"} {
		trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: leak, Gain: 1.2, Form: form}, 4, 0)
		eprop, rflo := trials.Gradient(t, rules.EProp[float64]{}), trials.Gradient(t, rules.RFLO[float64]{})
		if form == "v" {
			near(t, "symmetric", trials.Gradient(t, symmetric), eprop, 1e-12)
			near(t, "random", trials.Gradient(t, random), rflo, 1e-12)
			apart(t, "traces that decay otherwise", trials.Gradient(t, rules.ThreeFactor[float64]{Feedback: "symmetric"}), eprop, 1e-3)
		} else {
			apart(t, "symmetric, activities", trials.Gradient(t, symmetric), eprop, 1e-3)
			apart(t, "random, activities", trials.Gradient(t, random), rflo, 1e-3)
		}
	}
	// Without a leak and without a trace all is in one step.
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Gain: 1.2}, 4, 0)
	near(t, "no trace", trials.Gradient(t, rules.ThreeFactor[float64]{Tau: 1, Feedback: "symmetric"}), trials.Gradient(t, rules.EProp[float64]{}), 1e-12)
}

// ΔW_ij = Σ_t M_i(t+1) αφ′(u_i(t)) p̄_j(t) by hand.
func TestThreeFactorByHand(t *testing.T) {
	const leak, tau = 0.6, 3
	rule := rules.ThreeFactor[float64]{Tau: tau}
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: leak, Gain: 1.2}, 4, 0)
	p, l := trials.Passage(t, rule), trials.Layer
	n, m := l.Units, l.Inputs
	want, feedback := l.Params.ZerosLike(), p.Own.Params.Data("Wo")
	w, u, bias := l.Params.Data("W"), l.Params.Data("U"), l.Params.Data("b")
	for r := range p.Rows {
		trace := make([]float64, n+m+1)
		for s := range p.Steps {
			pre := append(append(append([]float64(nil), p.Z[s][r*n:(r+1)*n]...), p.Input(s)[r*m:(r+1)*m]...), 1)
			for j, v := range pre {
				trace[j] = (1-1./tau)*trace[j] + v
			}
			dy := p.Outputs.DY(s + 1)
			if dy == nil {
				continue
			}
			for i := range n {
				a, signal := bias[i], 0.0
				for j := range n {
					a += w[i*n+j] * pre[j]
				}
				for j := range m {
					a += u[i*m+j] * pre[n+j]
				}
				for k := range l.Outputs {
					signal += dy[r*l.Outputs+k] * feedback[k*n+i]
				}
				v := signal * leak * (1 - math.Tanh(a)*math.Tanh(a))
				for j := range n {
					want.Data("W")[i*n+j] += v * trace[j]
				}
				for j := range m {
					want.Data("U")[i*m+j] += v * trace[n+j]
				}
				want.Data("b")[i] += v * trace[n+m]
			}
		}
	}
	near(t, "by hand", trials.Gradient(t, rule), want, 1e-12)
	trials.Every = 5 // of states that are not kept, the last of a segment has no feedback to be had
	if _, err := rule.Gradient(ctx, trials.Passage(t, rule), want); err == nil {
		t.Error("states that are not kept are read out")
	}
}
