package rules_test

import (
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/readout"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// target is that of ruletest.Loss.
func target(index, k int) float64 { return math.Sin(float64(3*index + k)) }

// ridge is the regression on all states of the trials that have a loss, times of them, from where the readout is:
// the weights [outputs, units+1] with the bias as the last column.
func ridge(t *testing.T, trials *ruletest.Trials, p rules.Passage[float64], times int, alpha float64) []float64 {
	t.Helper()
	l := trials.Layer
	synapses, err := l.ReadoutSynapses()
	if err != nil {
		t.Fatal(err)
	}
	m := synapses[0].Pre
	w, bias := l.Params.Data("Wo"), l.Params.Data("bo")
	var rates, targets []float64
	for range times {
		for s := range p.Steps {
			r := make([]float64, p.Rows*m)
			if err := l.Rates(p.Z[s+1], r); err != nil {
				t.Fatal(err)
			}
			for b := range p.Rows {
				root := math.Sqrt(float64(trials.Weights[s*p.Rows+b]))
				for j := range m {
					rates = append(rates, root*r[b*m+j])
				}
				rates = append(rates, root)
				for k := range l.Outputs {
					y := bias[k]
					for j := range m {
						y += w[k*m+j] * r[b*m+j]
					}
					targets = append(targets, root*(target(s*p.Rows+b, k)-y))
				}
			}
		}
	}
	change, err := readout.Ridge(m+1, rates, targets, alpha)
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// Over a sequence, and over several, what is learned is the ridge regression on all states.
func TestForceIsRidge(t *testing.T) {
	for name, m := range map[string]models.Model{
		"leaky": models.Rate{N: 7, Leak: 0.4, Gain: 1.2}, "currents": models.Rate{N: 7, Leak: 0.4, Form: "v", Noise: 0.1}, "lstm": models.LSTM{N: 5},
	} {
		const alpha = 0.7
		rule := rules.FORCE[float64]{Alpha: alpha}
		for _, every := range []int{1, 5} {
			trials := ruletest.NewTrials(t, m, 3, 1)
			trials.Noise = noise
			kept := trials.Passage(t, rule)
			one, other := ridge(t, trials, kept, 1, alpha), ridge(t, trials, kept, 1, 1.1*alpha)
			three := ridge(t, trials, kept, 3, alpha)
			trials.Every = every
			p := trials.Passage(t, rule)
			w, bias := trials.Layer.Params.Data("Wo"), trials.Layer.Params.Data("bo")
			width := len(w) / len(bias)
			moved := make([]float64, len(one)) // since the beginning
			for pass := range 3 {
				own := p.Own // goes on from pass to pass
				p = trials.Passage(t, rule)
				p.Own = own
				p.Own.Grads.Clear()
				g := gradientOf(t, rule, p)
				update(trials.Layer, func() {
					for k := range bias {
						for j := range width {
							w[k*width+j] -= g.Data("Wo")[k*width+j]
							moved[k*(width+1)+j] -= g.Data("Wo")[k*width+j]
						}
						bias[k] -= g.Data("bo")[k]
						moved[k*(width+1)+width] -= g.Data("bo")[k]
					}
					for i, q := range p.Own.Params {
						for k := range q.Data {
							q.Data[k] -= p.Own.Grads[i].Data[k]
						}
					}
				})
				switch d, far := farthest(moved, one), farthest(moved, other); {
				case pass == 0 && !(d < 1e-8):
					t.Errorf("%s: the regression on a sequence is missed by %.2g", name, d)
				case pass == 0 && !(far > 1e-4):
					t.Errorf("%s: not told apart from the regression with another α: off by %.2g", name, far)
				case pass == 2 && !(farthest(moved, three) < 1e-8):
					t.Errorf("%s: the regression on three sequences is missed by %.2g", name, farthest(moved, three))
				}
			}
		}
	}
}

func farthest(a, b []float64) float64 {
	d := 0.0
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}

// A network with feedback from its readout runs on what it has just learned.
func TestForceInTheClosedLoop(t *testing.T) {
	const n, alpha, leak = 6, 0.5, 0.3
	m := models.Feedback{N: n, Leak: leak, Gain: 1.2, SigmaM: 1}
	trials := ruletest.NewTrials(t, m, 3, 0)
	trials.Rows = 1
	trials.X, trials.Weights = trials.X[:trials.Steps*trials.Layer.Inputs], nil
	rule := rules.FORCE[float64]{Alpha: alpha}
	p := trials.Passage(t, rule)
	l := trials.Layer
	w, big, u := l.Params.Data("W"), l.Params.Data("M"), l.Params.Data("U")
	before := append([]float64(nil), l.Params.Data("n")...)
	learned := append([]float64(nil), before...)
	s, err := readout.NewRLS(n, alpha)
	if err != nil {
		t.Fatal(err)
	}
	outputs, x := l.Outputs, make([]float64, n)
	for step := range p.Steps {
		phi, out := make([]float64, n), make([]float64, outputs)
		for i, v := range x {
			phi[i] = math.Tanh(v)
		}
		for k := range out {
			for i, v := range phi {
				out[k] += learned[k*n+i] * v
			}
		}
		next := make([]float64, n)
		for i := range next {
			drive := 0.0
			for j, v := range phi {
				drive += w[i*n+j] * v
			}
			for k, v := range out {
				drive += big[i*outputs+k] * v
			}
			for j, v := range p.Input(step) {
				drive += u[i*l.Inputs+j] * v
			}
			next[i] = (1-leak)*x[i] + leak*drive
		}
		x = next
		rates, off := make([]float64, n), make([]float64, outputs)
		for i, v := range x {
			rates[i] = math.Tanh(v)
		}
		for k := range off {
			off[k] = -target(step, k)
			for i, v := range rates {
				off[k] += learned[k*n+i] * v
			}
		}
		s.Update(learned, rates, off)
	}
	g := gradientOf(t, rule, p)
	for i, v := range g.Data("n") {
		if want := before[i] - learned[i]; !(math.Abs(v-want) <= 1e-10) {
			t.Fatalf("the step of n[%d] is %v, want %v", i, v, want)
		}
	}
	for i, v := range l.Params.Data("n") {
		if v != before[i] {
			t.Fatal("the rule has moved the readout itself")
		}
	}
	// The states of the network that does not learn as it runs would give something else.
	open, err := readout.NewRLS(n, alpha)
	if err != nil {
		t.Fatal(err)
	}
	still := append([]float64(nil), before...)
	for step := range p.Steps {
		rates, off := make([]float64, n), make([]float64, outputs)
		if err := l.Rates(p.Z[step+1], rates); err != nil {
			t.Fatal(err)
		}
		for k := range off {
			off[k] = -target(step, k)
			for i, v := range rates {
				off[k] += still[k*n+i] * v
			}
		}
		open.Update(still, rates, off)
	}
	if d := farthest(still, learned); !(d > 1e-3) {
		t.Errorf("not told apart from learning in the open loop: off by %.2g", d)
	}
}

// bent is a loss that is no squared error.
type bent struct{ ruletest.Loss[float64] }

func (l bent) Eval(rows []int, y, dy []float64, losses []float64) error {
	err := l.Loss.Eval(rows, y, dy, losses)
	for i, v := range losses {
		losses[i] = math.Cosh(v) - 1
		for k := range l.Outputs {
			dy[i*l.Outputs+k] *= math.Sinh(v)
		}
	}
	return err
}

func TestForceErrors(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 5}, 3, 1)
	rule := rules.FORCE[float64]{}
	p := trials.Passage(t, rule)
	p.Loss = bent{ruletest.Loss[float64]{Outputs: trials.Layer.Outputs}}
	if _, err := rule.Gradient(ctx, p, trials.Layer.Params.ZerosLike()); err == nil || !strings.Contains(err.Error(), "squared error") {
		t.Errorf("another loss than a squared error: %v", err)
	}
	for _, r := range []rules.FORCE[float64]{{Steps: -1}, {Alpha: -1}, {Alpha: math.Inf(1)}} {
		if r.Check(trials.Layer) == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	l, err := deq.New[float64](models.Feedback{N: 5, Extra: 1}, 2, 2, 1, deq.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if rule.Check(l) == nil {
		t.Error("a readout with loops that have no targets is accepted")
	}
}
