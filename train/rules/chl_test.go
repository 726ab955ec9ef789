package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// projected is g with the symmetric part of its W.
func projected(b *ruletest.Bench, g deq.Params[float64]) deq.Params[float64] {
	w, n := g.Data("W"), b.Layer.Units
	for i := range n {
		for j := range i {
			mean := (w[i*n+j] + w[j*n+i]) / 2
			w[i*n+j], w[j*n+i] = mean, mean
		}
	}
	return g
}

// For a symmetric W the rule tends to the gradient among symmetric matrices with an error O(γ);
// not for another W, and not to the gradient itself.
func TestCHLIsTheGradientAmongSymmetric(t *testing.T) {
	chl := func(gamma float64) rules.Rule[float64] { return rules.CHL[float64]{Gamma: gamma} }
	for _, m := range []models.Rate{{}, {Leak: 0.3}, {Activation: "sigmoid"}} {
		b := symmetric(ruletest.NewBench(t, m, 40))
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		g, _ := b.Gradient(t, chl(1e-4))
		apart(t, "the gradient among all matrices", g, exact, 1e-2)
		order(t, m.Activation, b, chl, projected(b, exact), 1)
		near(t, "γ = 1e-4", g, exact, 1e-3)
	}
	b := ruletest.NewBench(t, models.Rate{}, 40)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, chl(1e-4))
	apart(t, "W not symmetric", g, projected(b, exact), 1e-2)
}

// What it adds is the difference of the Hebbian products of the two phases.
func TestCHLIsHebbian(t *testing.T) {
	const gamma = 0.7
	b := ruletest.NewBench(t, models.Rate{}, 41)
	got, s := b.Gradient(t, rules.CHL[float64]{Gamma: gamma})
	n, m := b.Layer.Units, b.Layer.Inputs
	clamped, shift := append([]float64(nil), s.Z...), make([]float64, len(s.Z))
	for i, v := range s.Output.DZ {
		shift[i] = -gamma * float64(s.Rows) * v
	}
	if _, err := s.DisplacePre(ctx, clamped, shift, b.Tight); err != nil {
		t.Fatal(err)
	}
	want := b.Layer.Params.ZerosLike()
	scale := 1 / (gamma * float64(s.Rows))
	for r := range s.Rows {
		z, c := s.Z[r*n:(r+1)*n], clamped[r*n:(r+1)*n]
		for i := range n {
			want.Data("b")[i] += scale * (z[i] - c[i])
			for j := range n {
				want.Data("W")[i*n+j] += scale / 2 * (z[i]*z[j] - c[i]*c[j])
			}
			for j := range m {
				want.Data("U")[i*m+j] += scale * (z[i] - c[i]) * s.X[r*m+j]
			}
		}
	}
	near(t, "Hebbian products", got, want, 1e-12)
	for i := range n {
		for j := range i {
			if d := got.Data("W")[i*n+j] - got.Data("W")[j*n+i]; !(math.Abs(d) <= 1e-15) {
				t.Fatalf("ΔW[%d, %d] differs from ΔW[%d, %d] by %g", i, j, j, i, d)
			}
		}
	}
}

func TestRulesOfTheRateNetworkRefuseOthers(t *testing.T) {
	for _, m := range []models.Model{models.GRU{N: 4}, models.MonDEQ{N: 4}, models.Rate{N: 4, Normalize: "weight"}, models.Rate{N: 4, Dropout: 0.1}} {
		l, err := deq.New[float64](m, 2, 2, 1, deq.Config{Batch: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range []rules.Rule[float64]{rules.CHL[float64]{}, rules.HolomorphicEqProp[float64]{}} {
			if err := rule.Check(l); err == nil {
				t.Errorf("%T accepts %+v", rule, m)
			}
		}
	}
}
