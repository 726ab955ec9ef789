package rules_test

import (
	"math"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// With the network's own weights in the place of the feedback's, each way is a rule that there is
// already.
func TestFeedbackThroughTheOwnWeights(t *testing.T) {
	for _, leak := range []float64{1, 0.4} {
		b := ruletest.NewBench(t, models.Rate{Leak: leak}, 20)
		jfb, _ := b.Gradient(t, rules.JFB[float64]{})
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		for _, way := range []rules.Way{{}, {Recurrent: "none"}, {Recurrent: "transpose"}, {Recurrent: "random"}} {
			for name, rule := range map[string]rules.Rule[float64]{
				"feedback-alignment": rules.FeedbackAlignment[float64]{Way: way},
				"sign-symmetric":     rules.SignSymmetric[float64]{Way: way},
				"kolen-pollack":      rules.KolenPollack[float64]{Way: way},
			} {
				name += " " + way.Recurrent
				b.Mirrored = true
				g, _ := b.Gradient(t, rule)
				switch way.Recurrent {
				case "transpose":
					cellSame(t, name, g, exact)
				case "random":
					near(t, name, g, exact, 1e-10)
				default:
					cellSame(t, name, g, jfb)
				}
				b.Mirrored = false
				g, _ = b.Gradient(t, rule)
				apart(t, name+" with B as drawn", g, jfb, 0.1)
				apart(t, name+" with B as drawn", g, exact, 0.1)
			}
		}
	}
}

// cellSame is same for the parameters of the cell.
func cellSame(t *testing.T, name string, got, want deq.Params[float64]) {
	t.Helper()
	for i := range want {
		if want[i].Role.OfCell() {
			same(t, name, got[i:i+1], want[i:i+1])
		}
	}
}

// The gradient of a linear network of one sample, with dense matrices: ΔW = u zᵀ with
// (I − Vᵀ)u = Bᵀ∂L/∂y, where V is W or random.
func TestFeedbackClosedForm(t *testing.T) {
	for _, recurrent := range []string{"none", "transpose", "random"} {
		b := ruletest.NewBench(t, models.Rate{Activation: "linear"}, 21)
		b.X = b.X[:b.Layer.Inputs]
		got, s := b.Gradient(t, rules.FeedbackAlignment[float64]{Way: rules.Way{Recurrent: recurrent}})
		n, v := b.Layer.Units, make([]float64, b.Layer.Units*b.Layer.Units)
		switch recurrent {
		case "transpose":
			v = b.Layer.Params.Data("W")
		case "random":
			v = s.Own.Params.Data("W")
		}
		a, u := identity(n), make([]float64, n)
		for i := range n {
			for j := range n {
				a[i][j] -= v[j*n+i]
			}
			for k, dy := range s.Output.DY {
				u[i] += dy * s.Own.Params.Data("Wo")[k*n+i]
			}
		}
		u = eliminate(a, u)
		want := b.Layer.Params.ZerosLike()
		for i := range n {
			want.Data("b")[i] = u[i]
			for j := range n {
				want.Data("W")[i*n+j] = u[i] * s.Z[j]
			}
			for j, x := range s.X {
				want.Data("U")[i*b.Layer.Inputs+j] = u[i] * x
			}
		}
		near(t, recurrent, got, want, 1e-11)
	}
}

// The signs of sign-symmetric's feedback are the readout's of now, its sizes its own.
func TestSignSymmetricFollows(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 22)
	rule := rules.SignSymmetric[float64]{}
	before, _ := b.Gradient(t, rule)
	update(b.Layer, func() {
		for k := range b.Layer.Params.Data("Wo") {
			b.Layer.Params.Data("Wo")[k] *= 1 + float64(k%3)
		}
	})
	_, s := b.Gradient(t, rule)
	z := slices.Clone(s.Z)
	// The same error at the same state, so that nothing but B can differ.
	at := func() deq.Params[float64] {
		g := b.Layer.Params.ZerosLike()
		var err error
		if s.Equilibrium, err = b.Layer.At(s.X, z); err != nil {
			t.Fatal(err)
		}
		if _, err := rule.Gradient(ctx, s, g); err != nil {
			t.Fatal(err)
		}
		return g
	}
	scaled := at()
	scale := func(by float64) {
		update(b.Layer, func() {
			for k := range b.Layer.Params.Data("Wo") {
				b.Layer.Params.Data("Wo")[k] *= by
			}
		})
	}
	scale(0.1)
	same(t, "other sizes of Wo", at(), scaled)
	scale(-1)
	flipped := at()
	for i := range scaled {
		for k, v := range scaled[i].Data {
			if flipped[i].Data[k] != -v {
				t.Fatalf("with all signs of Wo flipped %s[%d] = %g, want %g", scaled[i].Name, k, flipped[i].Data[k], -v)
			}
		}
	}
	apart(t, "another readout", before, scaled, 1e-3)
}

// What kolen-pollack writes makes B − Wo decay by 1 − ηλ a step, whatever the data.
func TestKolenPollackAligns(t *testing.T) {
	const eta, lambda = 0.1, 0.5
	b := ruletest.NewBench(t, models.Rate{}, 23)
	rule := rules.KolenPollack[float64]{Decay: lambda}
	g, s := b.Gradient(t, rule)
	readout := b.Layer.Params.ZerosLike()
	if _, err := b.Layer.Evaluate(s.Z, s.Loss, readout); err != nil {
		t.Fatal(err)
	}
	moved := false
	for k, w := range b.Layer.Params.Data("Wo") {
		own := s.Own.Params.Data("Wo")[k]
		next := w - eta*(readout.Data("Wo")[k]+g.Data("Wo")[k])
		nextOwn := own - eta*s.Own.Grads.Data("Wo")[k]
		moved = moved || !(math.Abs(nextOwn-own) <= 1e-3)
		if want := (1 - eta*lambda) * (own - w); !(math.Abs(nextOwn-next-want) <= 1e-14) {
			t.Fatalf("B − Wo of entry %d becomes %g, want %g", k, nextOwn-next, want)
		}
	}
	if !moved {
		t.Error("B does not move")
	}
	if own := rules.NewOwn[float64](rule, b.Layer, 1, func(name string) bool { return name != "Wo" }); len(own.Grads.Data("Wo")) > 0 {
		t.Error("B learns where the readout does not")
	}
}

func TestFeedbackAudits(t *testing.T) {
	for _, way := range []rules.Way{{Recurrent: "none"}, {Recurrent: "transpose"}, {Recurrent: "random"}} {
		for _, rule := range []rules.Rule[float64]{
			rules.FeedbackAlignment[float64]{Way: way}, rules.SignSymmetric[float64]{Way: way}, rules.KolenPollack[float64]{Way: way},
		} {
			if err := ruletest.CheckAudit(t, rule); err != nil {
				t.Errorf("%T %s: %v", rule, way.Recurrent, err)
			}
		}
	}
}

func TestFeedbackNeedsOneActivation(t *testing.T) {
	l, err := deq.New[float64](models.GRU{N: 4}, 2, 2, 1, deq.Config{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := (rules.FeedbackAlignment[float64]{Way: rules.Way{Recurrent: "random"}}).Check(l); err == nil {
		t.Error("a random recurrent way is accepted for a gated cell")
	}
	if err := (rules.FeedbackAlignment[float64]{Way: rules.Way{Recurrent: "transpose"}}).Check(l); err != nil {
		t.Error(err)
	}
}
