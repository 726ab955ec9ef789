package rules_test

import (
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// diagonals makes a layer of a model with diagonal recurrent weights and everything else at random, and trials.
func diagonals(t *testing.T, m models.Model) (*deq.Layer[float64], deq.Sequence[float64]) {
	t.Helper()
	const inputs, outputs, rows, steps = 3, 2, 4, 5
	m, ok := models.WithUnits(m, 6)
	if !ok {
		t.Fatalf("%T has no option units", m)
	}
	l, err := deq.New[float64](m, inputs, outputs, 1, deq.Config{Batch: rows})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.Stream(1, "diagonals")
	random := func(v []float64, size float64) []float64 {
		for i := range v {
			v[i] += size * r.NormFloat64()
		}
		return v
	}
	update(l, func() {
		for _, p := range l.Params {
			random(p.Data, 0.3)
			for i := range p.Data {
				if n := p.Shape[0]; p.Role == models.Recurrent && slices.Equal(p.Shape, []int{n, n}) && i/n != i%n {
					p.Data[i] = 0
				}
			}
		}
	})
	return l, deq.Sequence[float64]{Rows: rows, Steps: steps, X: random(make([]float64, steps*rows*inputs), 1), Z0: random(make([]float64, rows*l.Units), 1)}
}

// snap-1 is exact with diagonal recurrent weights where no product feeds another, and only there.
func TestSnAp1WithDiagonalWeights(t *testing.T) {
	for _, a := range architectures {
		if _, own := a.model.(twoLayers); own {
			continue
		}
		l, q := diagonals(t, a.model)
		gradient := func(rule rules.TemporalRule[float64]) deq.Params[float64] {
			tr, err := l.Run(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			o, err := tr.EvaluateLast(ruletest.Loss[float64]{Outputs: l.Outputs}, nil)
			if err != nil {
				t.Fatal(err)
			}
			g := l.Params.ZerosLike()
			if _, err := rule.Gradient(ctx, rules.Passage[float64]{Trajectory: tr, Outputs: o}, g); err != nil {
				t.Fatal(err)
			}
			return g
		}
		_, feedback := a.model.(models.Feedback)
		exact := a.through == nil && !feedback
		want := gradient(rules.BPTT[float64]{})
		if exact {
			near(t, a.name, gradient(rules.SnAp1[float64]{}), want, 1e-12)
		} else {
			apart(t, a.name, gradient(rules.SnAp1[float64]{}), want, 1e-3)
		}
		apart(t, a.name+", e-prop", gradient(rules.EProp[float64]{}), want, 1e-3)
	}
}
