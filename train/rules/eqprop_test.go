package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

func eqprop(form, estimate string, beta float64) rules.EqProp[float64] {
	return rules.EqProp[float64]{Nudging: rules.Nudging{Beta: beta, Form: form}, Estimate: estimate}
}

// symmetric replaces W by (W + Wᵀ)/2.
func symmetric(b *ruletest.Bench) *ruletest.Bench {
	w, n := b.Layer.Params.Data("W"), b.Layer.Units
	update(b.Layer, func() {
		for i := range n {
			for j := range i {
				mean := (w[i*n+j] + w[j*n+i]) / 2
				w[i*n+j], w[j*n+i] = mean, mean
			}
		}
	})
	return b
}

// nudged is the limit of a form for β → 0, dense: (I − J)⁻¹ℓ, or (I − GW)⁻¹Gℓ on the
// pre-activation, for a cell without a leak.
func nudged(t *testing.T, b *ruletest.Bench, form string) deq.Params[float64] {
	t.Helper()
	_, s := b.Gradient(t, rules.JFB[float64]{})
	n := b.Layer.Units
	u := append([]float64(nil), s.Output.DZ...)
	if form == "energy" {
		if err := s.Gain(u, u); err != nil {
			t.Fatal(err)
		}
	}
	for r := range s.Rows {
		m := jacobian(t, s.Equilibrium, r)
		for i := range m {
			for j := range m[i] {
				m[i][j] = -m[i][j]
			}
			m[i][i]++
		}
		copy(u[r*n:(r+1)*n], eliminate(m, u[r*n:(r+1)*n]))
	}
	g := b.Layer.Params.ZerosLike()
	var err error
	if form == "energy" {
		err = s.PreVJP(s.Z, u, g)
	} else {
		err = s.VJP(u, g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// order checks by which power of β the error of a rule against want falls.
func order(t *testing.T, name string, b *ruletest.Bench, rule func(beta float64) rules.Rule[float64], want deq.Params[float64], power float64) {
	t.Helper()
	var errs []float64
	for _, beta := range []float64{0.2, 0.1, 0.05} {
		g, _ := b.Gradient(t, rule(beta))
		errs = append(errs, ruletest.Distance(g, want))
	}
	for i := range errs[1:] {
		if got := math.Log2(errs[i] / errs[i+1]); !(math.Abs(got-power) < 0.2) {
			t.Errorf("%s: halving β reduces the error %v by the power %.2f, want %g", name, errs, got, power)
		}
	}
}

// The centred estimate of both forms tends to its limit with an error O(β²), the one-sided with
// O(β), for a W that is not symmetric.
func TestEqPropOrder(t *testing.T) {
	for _, form := range []string{"vector-field", "energy"} {
		b := ruletest.NewBench(t, models.Rate{}, 4)
		limit := nudged(t, b, form)
		for estimate, power := range map[string]float64{"centred": 2, "one-sided": 1, "random-sign": 1} {
			order(t, form+", "+estimate, b, func(beta float64) rules.Rule[float64] { return eqprop(form, estimate, beta) }, limit, power)
		}
	}
}

// The energy form is the gradient where W is symmetric, the vector-field form only where J is:
// not where W is and φ bends.
func TestEqPropIsTheGradientWhereSymmetric(t *testing.T) {
	for _, c := range []struct {
		form, activation string
		symmetric, holds bool
	}{
		{"energy", "tanh", true, true},
		{"energy", "tanh", false, false},
		{"energy", "linear", true, true},
		{"vector-field", "linear", true, true},
		{"vector-field", "linear", false, false},
		{"vector-field", "tanh", true, false},
	} {
		b := ruletest.NewBench(t, models.Rate{Activation: c.activation}, 5)
		if c.symmetric {
			symmetric(b)
		}
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		name := c.form + ", " + c.activation
		if !c.holds {
			g, _ := b.Gradient(t, eqprop(c.form, "centred", 1e-3))
			apart(t, name, g, exact, 1e-2)
			continue
		}
		g, _ := b.Gradient(t, eqprop(c.form, "centred", 1e-3))
		near(t, name, g, exact, 1e-6)
		order(t, name, b, func(beta float64) rules.Rule[float64] { return eqprop(c.form, "centred", beta) }, exact, 2)
	}
}

// A random sign is that of its step, and both signs together are the centred estimate.
func TestEqPropRandomSign(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 6)
	centred, s := b.Gradient(t, eqprop("vector-field", "centred", 0.3))
	up, _ := b.Gradient(t, eqprop("vector-field", "one-sided", 0.3))
	at := func(step uint64) deq.Params[float64] {
		s.Random.Step = step
		g := b.Layer.Params.ZerosLike()
		if _, err := eqprop("vector-field", "random-sign", 0.3).Gradient(ctx, s, g); err != nil {
			t.Fatal(err)
		}
		return g
	}
	ups := 0
	const steps = 40
	for step := range uint64(steps) {
		g := at(step)
		same(t, "the same step again", at(step), g)
		if ruletest.Distance(g, up) == 0 {
			ups++
			continue
		}
		for i := range g {
			for k, v := range g[i].Data {
				g[i].Data[k] = (v + up[i].Data[k]) / 2
			}
		}
		near(t, "both signs", g, centred, 1e-9)
	}
	if ups < steps/4 || ups > 3*steps/4 {
		t.Errorf("%d of %d signs are positive", ups, steps)
	}
}
