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

// The rules' own traces that run forwards give what their credits do that run backwards, for cells of several
// slots, gates and forms.
func TestTracesOfRules(t *testing.T) {
	forwards := rules.Tracing{Traces: "forwards"}
	random := rules.Local[float64]{Feedback: "random"}
	for name, m := range map[string]models.Model{
		"h": models.Rate{N: 6, Leak: 0.4, Gain: 1.2}, "v": models.Rate{N: 6, Leak: 0.4, Gain: 1.2, Form: "v"},
		"dale": models.Rate{N: 6, Leak: 0.4, Dale: 0.5}, "gru": models.GRU{N: 6}, "lstm": models.LSTM{N: 6},
	} {
		trials := ruletest.NewTrials(t, m, 4, 0)
		for rule, both := range map[string][2]rules.TemporalRule[float64]{
			"e-prop":         {rules.EProp[float64]{}, rules.EProp[float64]{Tracing: forwards}},
			"e-prop, random": {rules.EProp[float64]{Local: random}, rules.EProp[float64]{Local: random, Tracing: forwards}},
			"rflo":           {rules.RFLO[float64]{}, rules.RFLO[float64]{Tracing: forwards}},
			"snap-1":         {rules.SnAp1[float64]{}, rules.SnAp1[float64]{Tracing: forwards}},
		} {
			near(t, name+", "+rule, trials.Gradient(t, both[1]), trials.Gradient(t, both[0]), 1e-10)
		}
		apart(t, name+": traces with the own weight and without", trials.Gradient(t, rules.EProp[float64]{Tracing: forwards}),
			trials.Gradient(t, rules.SnAp1[float64]{Tracing: forwards}), 1e-3)
	}
}

// Traces that do not fit are refused before they are tried, with the figure; credits need no such memory.
func TestTracesNeedMemory(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 7}, 4, 0)
	l := trials.Layer
	need := 8 * l.Batch() * 7 * (7 + l.Inputs + 1)
	for name, c := range map[string]struct {
		rule rules.Rule[float64]
		fits bool
	}{
		"enough":    {rules.EProp[float64]{Tracing: rules.Tracing{Traces: "forwards", MaxBytes: need}}, true},
		"one less":  {rules.RFLO[float64]{Tracing: rules.Tracing{Traces: "forwards", MaxBytes: need - 1}}, false},
		"backwards": {rules.SnAp1[float64]{Tracing: rules.Tracing{MaxBytes: need - 1}}, true},
	} {
		if err := c.rule.Check(l); (err == nil) != c.fits {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Where nothing goes from unit to unit the local rules are exact: e-prop without recurrent weights,
// snap-1 with diagonal ones.
func TestLocalRulesAreExactWithoutCrosstalk(t *testing.T) {
	for _, activation := range []string{"tanh", "relu", "sigmoid"} {
		trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.4, Gain: 1.2, Activation: activation}, 4, 0)
		w := trials.Layer.Params.Data("W")
		apart(t, activation+": snap-1", trials.Gradient(t, rules.SnAp1[float64]{}), trials.Gradient(t, rules.BPTT[float64]{}), 1e-3)
		update(trials.Layer, func() {
			for i := range w {
				if i/7 != i%7 {
					w[i] = 0
				}
			}
		})
		want := trials.Gradient(t, rules.BPTT[float64]{})
		near(t, activation+": snap-1, W diagonal", trials.Gradient(t, rules.SnAp1[float64]{}), want, 1e-12)
		apart(t, activation+": e-prop, W diagonal", trials.Gradient(t, rules.EProp[float64]{}), want, 1e-3)
		update(trials.Layer, func() { clear(w) })
		near(t, activation+": e-prop, W = 0", trials.Gradient(t, rules.EProp[float64]{}), trials.Gradient(t, rules.BPTT[float64]{}), 1e-12)
	}
	// The products of gates with weights are cut one by one.
	trials := ruletest.NewTrials(t, models.GRU{N: 6}, 4, 0)
	want := trials.Gradient(t, rules.BPTT[float64]{})
	apart(t, "gru", trials.Gradient(t, rules.EProp[float64]{}), want, 1e-3)
	update(trials.Layer, func() {
		for _, p := range trials.Layer.Params {
			if p.Role == models.Recurrent {
				clear(p.Data)
			}
		}
	})
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
		if got, want := p.Own.Grads.Data("Wo")[i], v+decay*p.Own.Params.Data("Wo")[i]; !(math.Abs(got-want) <= 1e-14) {
			t.Fatalf("the update of B[%d] is %g, want %g", i, got, want)
		}
		if got, want := g.Data("Wo")[i], decay*trials.Layer.Params.Data("Wo")[i]; !(math.Abs(got-want) <= 1e-14) {
			t.Fatalf("the decay of Wo[%d] is %g, want %g", i, got, want)
		}
	}
}
