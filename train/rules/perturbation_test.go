package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// estimates are the mean of many draws of a gradient and its standard errors.
func estimates(t *testing.T, p deq.Params[float64], draws int, gradient func(r rules.Randomness, g deq.Params[float64]) error) (mean, se deq.Params[float64]) {
	t.Helper()
	mean, se = p.ZerosLike(), p.ZerosLike()
	g := p.ZerosLike()
	for step := range draws {
		g.Clear()
		if err := gradient(rules.Randomness{Step: uint64(step)}, g); err != nil {
			t.Fatal(err)
		}
		for i := range g {
			for k, v := range g[i].Data {
				mean[i].Data[k] += v
				se[i].Data[k] += v * v
			}
		}
	}
	n := float64(draws)
	for i := range mean {
		for k, v := range mean[i].Data {
			m := v / n
			mean[i].Data[k], se[i].Data[k] = m, math.Sqrt((se[i].Data[k]/n-m*m)/(n-1))
		}
	}
	return mean, se
}

// deviation is the mean square over the cell's parameters of (mean − want)/se, which is 1 for an
// unbiased estimate, and the largest of them in size.
func deviation(mean, se, want deq.Params[float64]) (square, largest float64) {
	n := 0.0
	for i := range want {
		if !want[i].Role.OfCell() {
			continue
		}
		for k, v := range want[i].Data {
			d := (mean[i].Data[k] - v) / se[i].Data[k]
			square, largest, n = square+d*d, max(largest, math.Abs(d)), n+1
		}
	}
	return square / n, largest
}

// The mean over many draws is the exact gradient within its standard errors, and not the rule
// without an adjoint.
func TestPerturbationIsUnbiased(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Gain: 0.9}, 30)
	b.Tight.Settings.RTol = 1e-11
	exact, s := b.Gradient(t, rules.Implicit[float64]{})
	jfb, _ := b.Gradient(t, rules.JFB[float64]{})
	for _, tt := range []struct {
		name string
		rule rules.EquilibriumRule[float64]
	}{
		{"node-perturbation", rules.NodePerturbation[float64]{Perturbation: rules.Perturbation{Sigma: 1e-3}}},
		{"weight-perturbation", rules.WeightPerturbation[float64]{Perturbation: rules.Perturbation{Sigma: 1e-3}}},
	} {
		const draws = 3000
		mean, se := estimates(t, b.Layer.Params, draws, func(r rules.Randomness, g deq.Params[float64]) error {
			s.Random = r
			_, err := tt.rule.Gradient(ctx, s, g)
			return err
		})
		square, largest := deviation(mean, se, exact)
		t.Logf("%s: mean square deviation %.2f, largest %.1f standard errors, cosine %.3f", tt.name, square, largest, ruletest.Cosine(mean, exact))
		if square > 1.5 || largest > 4.5 {
			t.Errorf("%s: the mean is off: mean square %.2f and at most %.1f standard errors", tt.name, square, largest)
		}
		square, _ = deviation(mean, se, jfb)
		t.Logf("%s against jfb: mean square deviation %.2f", tt.name, square)
		if square < 2 {
			t.Errorf("%s: the mean is not told apart from jfb: %.2f", tt.name, square)
		}
		for i, p := range mean {
			if !p.Role.OfCell() {
				for k, v := range p.Data {
					if v != 0 {
						t.Fatalf("%s writes %s[%d]", tt.name, mean[i].Name, k)
					}
				}
			}
		}
	}
}

// Averaging inside a call is the same as averaging calls of one draw, and halves the error of
// four times as few.
func TestPerturbationDraws(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 31)
	exact, s := b.Gradient(t, rules.Implicit[float64]{})
	miss := func(rule rules.EquilibriumRule[float64]) (sum float64) {
		for step := range uint64(20) {
			s.Random.Step = step
			g := b.Layer.Params.ZerosLike()
			if _, err := rule.Gradient(ctx, s, g); err != nil {
				t.Fatal(err)
			}
			for i := range g {
				for k, v := range g[i].Data {
					if g[i].Role.OfCell() {
						sum += (v - exact[i].Data[k]) * (v - exact[i].Data[k])
					}
				}
			}
		}
		return sum
	}
	for _, rule := range []func(p rules.Perturbation) rules.EquilibriumRule[float64]{
		func(p rules.Perturbation) rules.EquilibriumRule[float64] {
			return rules.NodePerturbation[float64]{Perturbation: p}
		},
		func(p rules.Perturbation) rules.EquilibriumRule[float64] {
			return rules.WeightPerturbation[float64]{Perturbation: p}
		},
	} {
		one, many := miss(rule(rules.Perturbation{})), miss(rule(rules.Perturbation{Draws: 16}))
		if ratio := one / many; ratio < 11 || ratio > 23 {
			t.Errorf("%T: 16 draws divide the variance by %.1f", rule(rules.Perturbation{}), ratio)
		}
	}
}

// The bias is of order σ².
func TestPerturbationBias(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Activation: "tanh"}, 32)
	_, s := b.Gradient(t, rules.Implicit[float64]{})
	at := func(sigma float64) deq.Params[float64] {
		g := b.Layer.Params.ZerosLike()
		if _, err := (rules.NodePerturbation[float64]{Perturbation: rules.Perturbation{Sigma: sigma}}).Gradient(ctx, s, g); err != nil {
			t.Fatal(err)
		}
		return g
	}
	limit := at(1e-4) // of one and the same draw
	var errs []float64
	for _, sigma := range []float64{0.2, 0.1, 0.05} {
		errs = append(errs, ruletest.Distance(at(sigma), limit))
	}
	for i := range errs[1:] {
		if order := math.Log2(errs[i] / errs[i+1]); !(math.Abs(order-2) <= 0.3) {
			t.Errorf("halving σ reduces the error %v by order %.2f, want 2", errs, order)
		}
	}
}

// Steps differ, and what does not learn is not perturbed.
func TestPerturbationStreams(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 33)
	for _, rule := range []rules.EquilibriumRule[float64]{rules.NodePerturbation[float64]{}, rules.WeightPerturbation[float64]{}} {
		first, s := b.Gradient(t, rule)
		for _, random := range []rules.Randomness{{Step: 1}, {Seed: 1}} {
			s.Random = random
			g := b.Layer.Params.ZerosLike()
			if _, err := rule.Gradient(ctx, s, g); err != nil {
				t.Fatal(err)
			}
			apart(t, "another stream", g, first, 0.1)
		}
	}
	g, s := b.Gradient(t, rules.WeightPerturbation[float64]{})
	s.Trained = []int{0}
	only := b.Layer.Params.ZerosLike()
	if _, err := (rules.WeightPerturbation[float64]{}).Gradient(ctx, s, only); err != nil {
		t.Fatal(err)
	}
	for i, p := range only {
		for k, v := range p.Data {
			if i > 0 && v != 0 {
				t.Fatalf("%s[%d] is perturbed, which does not learn", p.Name, k)
			}
		}
	}
	apart(t, "fewer parameters", only, g, 0.1)
}
