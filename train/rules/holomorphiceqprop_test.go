package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

func circle(form string, points int, beta float64) rules.HolomorphicEqProp[float64] {
	return rules.HolomorphicEqProp[float64]{Nudging: rules.Nudging{Beta: beta, Form: form}, Points: points}
}

// Two points are the centred estimate with ∂ℓ/∂z as it is at z⁰, relaxed by the layer itself.
func TestHolomorphicWithTwoPointsIsCentred(t *testing.T) {
	const beta = 0.6
	for _, activation := range []string{"tanh", "sigmoid", "softplus", "linear"} {
		for _, leak := range []float64{1, 0.4} {
			b := ruletest.NewBench(t, models.Rate{Activation: activation, Leak: leak}, 60)
			for _, form := range []string{"vector-field", "energy"} {
				got, s := b.Gradient(t, circle(form, 2, beta))
				u := make([]float64, len(s.Z))
				for _, sign := range []float64{1, -1} {
					z, shift := append([]float64(nil), s.Z...), make([]float64, len(s.Z))
					for i, v := range s.Output.DZ {
						shift[i] = -sign * beta * float64(s.Rows) * v
					}
					displace := s.Displace
					if form == "energy" {
						displace = s.DisplacePre
					}
					if rep, err := displace(ctx, z, shift, b.Tight); err != nil || rep.Err() != nil {
						t.Fatal(err, rep.Err())
					}
					for i, v := range z {
						u[i] -= sign * v / (2 * beta * float64(s.Rows))
					}
				}
				want := b.Layer.Params.ZerosLike()
				pull := s.VJP
				if form == "energy" {
					pull = func(u []float64, g deq.Params[float64]) error { return s.PreVJP(s.Z, u, g) }
				}
				if err := pull(u, want); err != nil {
					t.Fatal(err)
				}
				near(t, activation+", "+form, got, want, 1e-10)
			}
		}
	}
}

// The error falls as |β|^N, and faster than that of eqprop with the same nudge; a linear network
// has none.
func TestHolomorphicOrder(t *testing.T) {
	for _, activation := range []string{"tanh", "sigmoid", "softplus"} {
		b := ruletest.NewBench(t, models.Rate{Activation: activation}, 61)
		update(b.Layer, func() {
			for i := range b.Layer.Params.Data("Wo") { // further from linear than the bench's
				b.Layer.Params.Data("Wo")[i] *= 4
			}
		})
		for _, form := range []string{"vector-field", "energy"} {
			limit := nudged(t, b, form)
			for _, points := range []int{2, 3, 4, 5, 6} {
				var errs []float64
				for _, beta := range []float64{0.2, 0.1} {
					g, _ := b.Gradient(t, circle(form, points, beta))
					errs = append(errs, ruletest.Distance(g, limit))
				}
				order := math.Log2(errs[0] / errs[1])
				t.Logf("%s, %s: %d points: %.2g and %.2g, power %.2f", activation, form, points, errs[0], errs[1], order)
				if !(math.Abs(order-float64(points)) <= 0.3) {
					t.Errorf("%s, %s, %d points: halving β reduces the error %v by the power %.2f", activation, form, points, errs, order)
				}
			}
		}
	}
	b := ruletest.NewBench(t, models.Rate{Activation: "linear"}, 61)
	g, _ := b.Gradient(t, circle("vector-field", 2, 3))
	near(t, "linear", g, nudged(t, b, "vector-field"), 1e-11)
}

// With few large nudges the energy form is the gradient where W is symmetric, and not elsewhere.
func TestHolomorphicIsTheGradientWhereSymmetric(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 62)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, circle("energy", 8, 0.5))
	apart(t, "W not symmetric", g, exact, 1e-2)
	symmetric(b)
	exact, _ = b.Gradient(t, rules.Implicit[float64]{})
	g, _ = b.Gradient(t, circle("energy", 8, 0.5))
	near(t, "8 points", g, exact, 1e-7)
	g, _ = b.Gradient(t, eqprop("energy", "centred", 0.5))
	apart(t, "eqprop", g, exact, 1e-4)
	g, _ = b.Gradient(t, circle("vector-field", 8, 0.5))
	apart(t, "vector field, J not symmetric", g, exact, 1e-2)
}

// following is circle with the force at the nudged state.
func following(form string, points int, beta float64) rules.HolomorphicEqProp[float64] {
	r := circle(form, points, beta)
	r.Nudge = "state"
	return r
}

// With the force at the nudged state two points are the centred estimate of eqprop; with the frozen force they are not, but
// for small β.
func TestHolomorphicBesideEqProp(t *testing.T) {
	for _, activation := range []string{"tanh", "sigmoid", "softplus"} {
		for _, leak := range []float64{1, 0.4} {
			b := ruletest.NewBench(t, models.Rate{Activation: activation, Leak: leak}, 63)
			for _, form := range []string{"vector-field", "energy"} {
				name := activation + ", " + form
				want, _ := b.Gradient(t, eqprop(form, "centred", 0.4))
				got, _ := b.Gradient(t, following(form, 2, 0.4))
				near(t, name, got, want, 1e-10)
				got, _ = b.Gradient(t, circle(form, 2, 0.4))
				apart(t, name+", frozen", got, want, 1e-4)
				want, _ = b.Gradient(t, eqprop(form, "centred", 1e-3))
				got, _ = b.Gradient(t, circle(form, 2, 1e-3))
				near(t, name+", frozen, small β", got, want, 1e-4)
			}
		}
	}
}

// With more points both forces come to the same limit, which in the energy form is the exact gradient where W is
// symmetric.
func TestHolomorphicConverges(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 64)
	symmetric(b)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	last := math.Inf(1)
	for _, points := range []int{2, 4, 8, 16} {
		g, _ := b.Gradient(t, following("energy", points, 0.3))
		d := ruletest.Distance(g, exact)
		t.Logf("%d points: %.2g", points, d)
		if !(d < last/10) && !(d < 1e-11) {
			t.Errorf("%d points are off by %.2g, half as many by %.2g", points, d, last)
		}
		last = d
	}
	if !(last < 1e-11) {
		t.Errorf("16 points are off by %.2g", last)
	}
	for _, form := range []string{"vector-field", "energy"} {
		want, _ := b.Gradient(t, circle(form, 16, 0.3))
		got, _ := b.Gradient(t, following(form, 16, 0.3))
		near(t, form, got, want, 1e-10)
	}
}

// valuesOnly is a loss that cannot be continued.
type valuesOnly struct{ deq.Loss[float64] }

func TestHolomorphicNeedsALossToFollow(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 65)
	_, s := b.Gradient(t, circle("energy", 4, 0.5))
	s.Loss = valuesOnly{s.Loss}
	if _, err := following("energy", 4, 0.5).Gradient(ctx, s, b.Layer.Params.ZerosLike()); err == nil {
		t.Error("a loss of real outputs alone is followed")
	}
	if _, err := circle("energy", 4, 0.5).Gradient(ctx, s, b.Layer.Params.ZerosLike()); err != nil {
		t.Error(err)
	}
}

func TestHolomorphicChecks(t *testing.T) {
	relu, tanh := ruletest.NewBench(t, models.Rate{Activation: "relu"}, 1), ruletest.NewBench(t, models.Rate{}, 1)
	if err := circle("energy", 4, 0.5).Check(relu.Layer); err == nil {
		t.Error("relu is accepted")
	}
	for _, r := range []rules.HolomorphicEqProp[float64]{circle("energy", 1, 0.5), circle("energy", 4, -1)} {
		if err := r.Check(tanh.Layer); err == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}
