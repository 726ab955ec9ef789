package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// kernel is kernl on some trials, with the parameters of its own.
func kernel(t *testing.T, trials *ruletest.Trials, rule rules.KeRNL[float64]) (p rules.Passage[float64], a, alpha []float64) {
	t.Helper()
	p = trials.Passage(t, rule)
	return p, p.Own.Params.Data("sensitivity"), p.Own.Params.Data("decay")
}

func gradientOf(t *testing.T, rule rules.TemporalRule[float64], p rules.Passage[float64]) deq.Params[float64] {
	t.Helper()
	g := p.Layer().Params.ZerosLike()
	if _, err := rule.Gradient(ctx, p, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// With a fixed kernel, A = 1 and the leak for α, kernl is e-prop, and with random feedback rflo; with another A or
// α it is not.
func TestFixedKernelIsRFLO(t *testing.T) {
	for _, m := range []models.Rate{{N: 7, Leak: 0.4, Gain: 1.2}, {N: 7, Leak: 0.4, Form: "v"}, {N: 7}, {N: 7, Leak: 0.3, Activation: "relu", Normalize: "weight"}} {
		trials := ruletest.NewTrials(t, m, 4, 0)
		for feedback, want := range map[string]rules.TemporalRule[float64]{"random": rules.RFLO[float64]{}, "symmetric": rules.EProp[float64]{}} {
			rule := rules.KeRNL[float64]{Local: rules.Local[float64]{Feedback: feedback}, Kernel: "fixed"}
			near(t, feedback, trials.Gradient(t, rule), trials.Gradient(t, want), 1e-10)
			for _, which := range []int{0, 1} {
				p, a, alpha := kernel(t, trials, rule)
				for i := range alpha {
					if which == 0 {
						a[i*len(alpha)+(i+1)%len(alpha)] = 0.3
					} else {
						alpha[i] *= 0.9
					}
				}
				apart(t, feedback+" with another kernel", gradientOf(t, rule, p), trials.Gradient(t, want), 1e-3)
			}
		}
	}
}

// The credits that are run backwards give what the traces B do that run forwards, with M_kij = A_ki B_ij.
func TestKernelForwards(t *testing.T) {
	const alpha0 = 0.4
	trials := ruletest.NewTrials(t, models.Rate{N: 6, Leak: alpha0, Gain: 1.2}, 4, 0)
	rule := rules.KeRNL[float64]{}
	p, a, alpha := kernel(t, trials, rule)
	r := rng.Stream(1, "kernel")
	for i := range a {
		a[i] += 0.5 * r.NormFloat64()
	}
	for i := range alpha {
		alpha[i] = r.Float64()
	}
	l := trials.Layer
	n, m := l.Units, l.Inputs
	w, u, bias := l.Params.Data("W"), l.Params.Data("U"), l.Params.Data("b")
	want := l.Params.ZerosLike()
	for b := range p.Rows {
		trace := make([]float64, n*(n+m+1))
		for s := range p.Steps {
			pre := append(append(append([]float64(nil), p.Z[s][b*n:(b+1)*n]...), p.Input(s)[b*m:(b+1)*m]...), 1)
			for i := range n {
				weights := append(append(append([]float64(nil), w[i*n:(i+1)*n]...), u[i*m:(i+1)*m]...), bias[i])
				sum := 0.0
				for j, v := range pre {
					sum += weights[j] * v
				}
				for j, v := range pre {
					e := &trace[i*len(pre)+j]
					*e = (1-alpha[i])**e + alpha0*(1-math.Tanh(sum)*math.Tanh(sum))*v
				}
			}
			dz := p.Outputs.DZ(s + 1)
			if dz == nil {
				continue
			}
			for i := range n {
				credit := 0.0
				for k := range n {
					credit += a[k*n+i] * dz[b*n+k]
				}
				for j := range n + m + 1 {
					v := credit * trace[i*(n+m+1)+j]
					switch {
					case j < n:
						want.Data("W")[i*n+j] += v
					case j < n+m:
						want.Data("U")[i*m+j-n] += v
					default:
						want.Data("b")[i] += v
					}
				}
			}
		}
	}
	near(t, "traces", gradientOf(t, rule, p), want, 1e-10)
}

// What A and α descend is the squared error of the kernel's account of the perturbations.
func TestKernelGradient(t *testing.T) {
	const sigma = 1e-4
	trials := ruletest.NewTrials(t, models.GRU{N: 5}, 4, 0)
	rule := rules.KeRNL[float64]{Sigma: sigma}
	p, a, alpha := kernel(t, trials, rule)
	r := rng.Stream(1, "kernel")
	for i := range alpha {
		alpha[i] = 0.2 + 0.6*r.Float64()
	}
	n := len(alpha)
	loss := func() float64 {
		random := p.Random.Stream("kernl")
		z, omega, sum := append([]float64(nil), p.Z[0]...), make([]float64, p.Rows*n), 0.0
		for s := range p.Steps {
			e, err := trials.Layer.At(p.Input(s), z)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Next(z); err != nil {
				t.Fatal(err)
			}
			for i := range z {
				xi := random.NormFloat64()
				z[i] += sigma * xi
				omega[i] = (1-alpha[i%n])*omega[i] + xi
			}
			for b := range p.Rows {
				for k := range n {
					d := -(z[b*n+k] - p.Z[s+1][b*n+k]) / sigma
					for i := range n {
						d += a[k*n+i] * omega[b*n+i]
					}
					sum += d * d / 2
				}
			}
		}
		return sum / float64(p.Rows*p.Steps)
	}
	gradientOf(t, rule, p)
	for name, values := range map[string][]float64{"sensitivity": a, "decay": alpha} {
		for k, v := range values {
			const h = 1e-5
			at := func(v float64) float64 { values[k] = v; return loss() }
			want := (at(v+h) - at(v-h)) / (2 * h)
			values[k] = v
			if got := p.Own.Grads.Data(name)[k]; !(math.Abs(got-want) <= 1e-6) {
				t.Errorf("the gradient of %s[%d] is %v, want %v", name, k, got, want)
			}
		}
	}
}

// learnKernel lets A and α descend for some updates, each with perturbations of its own.
func learnKernel(t *testing.T, rule rules.KeRNL[float64], p rules.Passage[float64], updates int) {
	t.Helper()
	for step := range updates {
		p.Random.Step = uint64(step)
		p.Own.Grads.Clear()
		gradientOf(t, rule, p)
		for i, q := range p.Own.Params {
			for k := range q.Data {
				q.Data[k] -= 0.1 / (1 + 0.01*float64(step)) * p.Own.Grads[i].Data[k]
			}
		}
	}
}

// In a linear network without connections but those of the units to themselves a kernel can be right, and it is
// found: the gradient is that of bptt, which that of e-prop is not. In another network it comes nearer than
// e-prop.
func TestKernelIsLearned(t *testing.T) {
	rule := rules.KeRNL[float64]{}
	trials := ruletest.NewTrials(t, models.Rate{N: 5, Activation: "linear"}, 4, 0)
	w, n := trials.Layer.Params.Data("W"), 5
	update(trials.Layer, func() {
		for i := range w {
			if w[i] = 0; i%(n+1) == 0 {
				w[i] = 0.3 + 0.1*float64(i/n)
			}
		}
	})
	exact := trials.Gradient(t, rules.BPTT[float64]{})
	apart(t, "the kernel at first", trials.Gradient(t, rule), exact, 0.2)
	p, a, alpha := kernel(t, trials, rule)
	learnKernel(t, rule, p, 1500)
	for i, v := range alpha {
		if want := 1 - w[i*n+i]; !(math.Abs(v-want) <= 0.02) || !(math.Abs(a[i*n+i]-1) <= 0.03) {
			t.Errorf("unit %d: decay %.3f and sensitivity %.3f, want %.3f and 1", i, v, a[i*n+i], want)
		}
	}
	near(t, "the kernel that was learned", gradientOf(t, rule, p), exact, 0.05)

	var better, worse float64
	const networks = 5
	for seed := range uint64(networks) {
		trials := ruletest.NewTrials(t, models.Rate{N: 8, Gain: 1.5, Leak: 0.3}, seed, 0)
		exact := trials.Gradient(t, rules.BPTT[float64]{})
		p, _, _ := kernel(t, trials, rule)
		worse += ruletest.Cosine(gradientOf(t, rule, p), exact) / networks // e-prop, so far
		learnKernel(t, rule, p, 300)
		better += ruletest.Cosine(gradientOf(t, rule, p), exact) / networks
	}
	t.Logf("cosine to bptt: e-prop %.3f, kernl %.3f", worse, better)
	if !(better > worse+0.03) {
		t.Errorf("learned kernels have the cosine %.3f to bptt, e-prop %.3f", better, worse)
	}
}

func TestKernelErrors(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 5}, 4, 0)
	for _, r := range []rules.KeRNL[float64]{{Sigma: -1}, {Rate: -1}, {Local: rules.Local[float64]{Steps: -1}}} {
		if r.Check(trials.Layer) == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	trials.Every = 4
	rule := rules.KeRNL[float64]{}
	if _, err := rule.Gradient(ctx, trials.Passage(t, rule), trials.Layer.Params.ZerosLike()); err == nil {
		t.Error("a trajectory that has not kept its states is accepted")
	}
}
