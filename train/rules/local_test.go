package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// traces is the sum of credits times eligibility traces that run forwards, one for each synapse, of the
// cell (1−α)z + α tanh(zWᵀ + xUᵀ + b) with the feedback weights f [outputs, units]; self says whether
// the traces follow the weight of a unit to itself.
func traces(b *ruletest.Trials, p rules.Passage[float64], alpha float64, f []float64, self bool) deq.Params[float64] {
	l := b.Layer
	g, n, m := l.Params.ZerosLike(), l.Units, l.Inputs
	w, u, bias := l.Params.Data("W"), l.Params.Data("U"), l.Params.Data("b")
	columns := n + m + 1
	for r := range p.Rows {
		trace := make([]float64, n*columns)
		for t := range p.Steps {
			z, x := p.Z[t][r*n:(r+1)*n], p.Input(t)[r*m:(r+1)*m]
			pre := append(append(append([]float64(nil), z...), x...), 1)
			for i := range n {
				a := bias[i]
				for j := range n {
					a += w[i*n+j] * z[j]
				}
				for j := range m {
					a += u[i*m+j] * x[j]
				}
				slope := alpha * (1 - math.Tanh(a)*math.Tanh(a))
				decay := 1 - alpha
				if self {
					decay += slope * w[i*n+i]
				}
				for j, v := range pre {
					e := &trace[i*columns+j]
					*e = decay**e + slope*v
				}
			}
			dy := p.Outputs.DY(t + 1)
			if dy == nil {
				continue
			}
			for i := range n {
				credit := 0.0
				for k := range l.Outputs {
					credit += dy[r*l.Outputs+k] * f[k*n+i]
				}
				for j := range columns {
					v := credit * trace[i*columns+j]
					switch {
					case j < n:
						g.Data("W")[i*n+j] += v
					case j < n+m:
						g.Data("U")[i*m+j-n] += v
					default:
						g.Data("b")[i] += v
					}
				}
			}
		}
	}
	return g
}

// Credits that are run backwards, one for a unit, give what traces do that run forwards, one for a
// synapse.
func TestTracesForwards(t *testing.T) {
	const alpha = 0.4
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: alpha, Gain: 1.2}, 4, 0)
	for name, c := range map[string]struct {
		rule rules.TemporalRule[float64]
		self bool
	}{
		"e-prop":             {rules.EProp[float64]{}, false},
		"e-prop, random":     {rules.EProp[float64]{Local: rules.Local[float64]{Feedback: "random"}}, false},
		"rflo":               {rules.RFLO[float64]{}, false},
		"snap-1":             {rules.SnAp1[float64]{}, true},
		"snap-1 with random": {rules.SnAp1[float64]{Local: rules.Local[float64]{Feedback: "random"}}, true},
	} {
		p := trials.Passage(t, c.rule)
		f := trials.Layer.Params.Data("Wo")
		if len(p.Own.Params) > 0 {
			f = p.Own.Params.Data("Wo")
		}
		got := trials.Gradient(t, c.rule)
		near(t, name, got, traces(trials, p, alpha, f, c.self), 1e-10)
		apart(t, name+" and the other decay", got, traces(trials, p, alpha, f, !c.self), 1e-3)
	}
	same(t, "rflo and e-prop with random feedback", trials.Gradient(t, rules.RFLO[float64]{}),
		trials.Gradient(t, rules.EProp[float64]{Local: rules.Local[float64]{Feedback: "random"}}))
}

// Where nothing goes from unit to unit the local rules are exact: e-prop without recurrent weights,
// snap-1 with diagonal ones.
func TestLocalRulesAreExactWithoutCrosstalk(t *testing.T) {
	for _, activation := range []string{"tanh", "relu", "sigmoid"} {
		trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.4, Gain: 1.2, Activation: activation}, 4, 0)
		w := trials.Layer.Params.Data("W")
		apart(t, activation+": snap-1", trials.Gradient(t, rules.SnAp1[float64]{}), trials.Gradient(t, rules.BPTT[float64]{}), 1e-3)
		for i := range w {
			if i/7 != i%7 {
				w[i] = 0
			}
		}
		trials.Layer.Updated()
		want := trials.Gradient(t, rules.BPTT[float64]{})
		near(t, activation+": snap-1, W diagonal", trials.Gradient(t, rules.SnAp1[float64]{}), want, 1e-12)
		apart(t, activation+": e-prop, W diagonal", trials.Gradient(t, rules.EProp[float64]{}), want, 1e-3)
		clear(w)
		trials.Layer.Updated()
		near(t, activation+": e-prop, W = 0", trials.Gradient(t, rules.EProp[float64]{}), trials.Gradient(t, rules.BPTT[float64]{}), 1e-12)
	}
	// The products of gates with weights are cut one by one.
	trials := ruletest.NewTrials(t, models.GRU{N: 6}, 4, 0)
	want := trials.Gradient(t, rules.BPTT[float64]{})
	apart(t, "gru", trials.Gradient(t, rules.EProp[float64]{}), want, 1e-3)
	for _, p := range trials.Layer.Params {
		if p.Role == models.Recurrent {
			clear(p.Data)
		}
	}
	trials.Layer.Updated()
	near(t, "gru, W = 0", trials.Gradient(t, rules.EProp[float64]{}), trials.Gradient(t, rules.BPTT[float64]{}), 1e-12)
}

// Feedback that learns takes the update of the readout, and both decay.
func TestAdaptiveFeedback(t *testing.T) {
	const decay = 0.3
	rule := rules.EProp[float64]{Local: rules.Local[float64]{Feedback: "adaptive", Decay: decay}}
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.4}, 4, 0)
	p := trials.Passage(t, rule)
	g := trials.Layer.Params.ZerosLike()
	if _, err := rule.Gradient(ctx, p, g); err != nil {
		t.Fatal(err)
	}
	outer := trials.Layer.Params.ZerosLike()
	for s := range p.Outputs {
		if dy := p.Outputs.DY(s); dy != nil {
			if err := trials.Layer.ReadoutVJP(p.Z[s], dy, make([]float64, len(p.Z[s])), outer); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, v := range outer.Data("Wo") {
		if got, want := p.Own.Grads.Data("Wo")[i], v+decay*p.Own.Params.Data("Wo")[i]; math.Abs(got-want) > 1e-14 {
			t.Fatalf("the update of B[%d] is %g, want %g", i, got, want)
		}
		if got, want := g.Data("Wo")[i], decay*trials.Layer.Params.Data("Wo")[i]; math.Abs(got-want) > 1e-14 {
			t.Fatalf("the decay of Wo[%d] is %g, want %g", i, got, want)
		}
	}
}
