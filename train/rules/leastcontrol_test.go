package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// needed is the control that a network needs, E = ½‖ψ‖² + ½‖u‖² + ℓ(o)/α, the mean over samples.
func needed(t *testing.T, b *ruletest.Bench, leak float64) float64 {
	t.Helper()
	e, err := b.Layer.Solve(ctx, b.X, nil, b.Tight)
	if err != nil || e.Report.Err() != nil {
		t.Fatal(err, e.Report.Err())
	}
	loss := ruletest.Loss[float64]{Outputs: b.Layer.Outputs}
	c, err := e.Control(ctx, leak, nil, loss, b.Tight)
	if err != nil || c.Report.Err() != nil {
		t.Fatal(err, c.Report.Err())
	}
	o, samples := make([]float64, len(c.U)), make([]int, e.Rows)
	if err := b.Layer.Read(c.Z, o); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, u := range c.U {
		o[i] += u
		sum += u * u / 2
	}
	for _, psi := range c.Psi {
		sum += psi * psi / 2
	}
	losses := make([]float64, e.Rows)
	for i := range samples {
		samples[i] = i
	}
	if err := loss.Eval(samples, o, make([]float64, len(o)), losses); err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		sum += l / leak
	}
	return sum / float64(e.Rows)
}

// The rule is the exact gradient of the control that is needed, however strong.
func TestLeastControlIsAGradient(t *testing.T) {
	for _, leak := range []float64{0.05, 1} {
		b := ruletest.NewBench(t, models.Rate{Gain: 0.8, Leak: 0.6}, 40)
		got, _ := b.Gradient(t, rules.LeastControl[float64]{Controller: rules.Controller{Leak: leak}})
		const h = 1e-5
		want := b.Layer.Params.ZerosLike()
		for i, p := range b.Layer.Params {
			if !p.Role.OfCell() {
				continue
			}
			for k, v := range p.Data {
				at := func(v float64) float64 {
					update(b.Layer, func() { p.Data[k] = v })
					return needed(t, b, leak)
				}
				want[i].Data[k] = (at(v+h) - at(v-h)) / (2 * h)
				update(b.Layer, func() { p.Data[k] = v })
			}
		}
		near(t, "finite differences of the control", got, want, 1e-7)
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		if c := ruletest.Cosine(got, exact); c > 0.999 || c < 0 {
			t.Errorf("leak %g: cosine %g to the gradient of the loss", leak, c)
		}
	}
}

// For a weak controller α times the update is the implicit gradient, with an error of order 1/α.
func TestLeastControlTendsToImplicit(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Gain: 0.8}, 41)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	var errs []float64
	for _, leak := range []float64{100, 200, 400} {
		g, _ := b.Gradient(t, rules.LeastControl[float64]{Controller: rules.Controller{Leak: leak}})
		for i := range g {
			for k := range g[i].Data {
				g[i].Data[k] *= leak
			}
		}
		errs = append(errs, ruletest.Distance(g, exact))
	}
	for i := range errs[1:] {
		if order := math.Log2(errs[i] / errs[i+1]); !(math.Abs(order-1) <= 0.1) {
			t.Errorf("twice the leak reduces the error %v by order %.2f, want 1", errs, order)
		}
	}
}

// inverted is ∂y/∂z (I − J)⁻¹ of sample b, row by row: the adjoints of the rows of Wo.
func inverted(t *testing.T, s rules.Situation[float64], b int) []float64 {
	t.Helper()
	l := s.Layer()
	var out []float64
	a := transpose(jacobian(t, s.Equilibrium, b))
	for i := range a {
		for j := range a[i] {
			a[i][j] = -a[i][j]
		}
		a[i][i]++
	}
	for k := range l.Outputs {
		out = append(out, eliminate(a, l.Params.Data("Wo")[k*l.Units:(k+1)*l.Units])...)
	}
	return out
}

// In a linear network, where ∂y/∂z (I − J)⁻¹ is the same for all samples, the feedback learns it, and
// through it the learned controller is the direct one.
func TestLeastControlLearnsItsFeedback(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Activation: "linear", Gain: 0.8}, 42)
	direct, _ := b.Gradient(t, rules.LeastControl[float64]{})
	rule := rules.LeastControlLearned[float64]{Rate: 0.05}
	start, s := b.Gradient(t, rule)
	want, q := inverted(t, s, 0), s.Own.Params.Data("Wo")
	gradient := func() deq.Params[float64] {
		g := b.Layer.Params.ZerosLike()
		s.Own.Grads.Clear()
		if _, err := rule.Gradient(ctx, s, g); err != nil {
			t.Fatal(err)
		}
		return g
	}
	cosine := func() float64 {
		var dot, qq, ww float64
		for k, w := range want {
			dot, qq, ww = dot+w*q[k], qq+q[k]*q[k], ww+w*w
		}
		return dot / math.Sqrt(qq*ww)
	}
	drawn := append([]float64(nil), q...)
	first, sum, n := cosine(), make([]float64, len(q)), 0.0
	for step := range 1500 {
		s.Random.Step = uint64(step)
		gradient()
		for k, g := range s.Own.Grads.Data("Wo") {
			q[k] -= 0.3 * g
			if step >= 500 {
				sum[k] += q[k]
			}
		}
		if step >= 500 {
			n++
		}
	}
	last := cosine()
	for k := range q {
		q[k] = sum[k] / n
	}
	t.Logf("the feedback's cosine goes from %.3f to %.3f, of its mean to %.4f", first, last, cosine())
	if first > 0.8 || last < 0.97 || cosine() < 0.998 {
		t.Errorf("the feedback does not learn: its cosine goes from %.3f to %.3f, of its mean to %.4f", first, last, cosine())
	}
	if c := ruletest.Cosine(gradient(), direct); !(c >= 0.995) {
		t.Errorf("with what it has learned, its cosine to least-control is %.4f", c)
	}
	copy(q, want)
	near(t, "through the inverse", gradient(), direct, 1e-9)
	copy(q, drawn)
	if c := ruletest.Cosine(start, direct); !(c <= 0.9) {
		t.Errorf("with feedback as drawn its cosine to least-control is %.3f already", c)
	}
}

// The mean gradient of the feedback is ρ(γQ − ∂y/∂z (I − J)⁻¹), the mean over samples, within its
// standard errors, in a network that is not linear.
func TestLeastControlFeedbackIsUnbiased(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Gain: 0.9}, 43)
	b.Tight.Settings.RTol = 1e-11
	rule := rules.LeastControlLearned[float64]{Sigma: 1e-3, Decay: 0.5, Rate: 0.1}
	_, s := b.Gradient(t, rule)
	want, forward := make([]float64, len(s.Own.Params.Data("Wo"))), make([]float64, len(s.Own.Params.Data("Wo")))
	for r := range s.Rows {
		for k, v := range inverted(t, s, r) {
			want[k] -= 0.1 * v / float64(s.Rows)
		}
	}
	for k, q := range s.Own.Params.Data("Wo") {
		want[k] += 0.1 * 0.5 * q
		forward[k] = 0.1 * (0.5*q - b.Layer.Params.Data("Wo")[k])
	}
	const draws = 2000
	sum, squares, g := make([]float64, len(want)), make([]float64, len(want)), b.Layer.Params.ZerosLike()
	for step := range draws {
		s.Random.Step = uint64(step)
		s.Own.Grads.Clear()
		if _, err := rule.Gradient(ctx, s, g); err != nil {
			t.Fatal(err)
		}
		for k, v := range s.Own.Grads.Data("Wo") {
			sum[k], squares[k] = sum[k]+v, squares[k]+v*v
		}
	}
	off := func(want []float64) (square float64) {
		for k, w := range want {
			mean := sum[k] / draws
			se := math.Sqrt((squares[k]/draws - mean*mean) / (draws - 1))
			square += (mean - w) * (mean - w) / (se * se) / float64(len(want))
		}
		return square
	}
	t.Logf("mean square deviation %.2f, from the readout's own weights %.2f", off(want), off(forward))
	if off(want) > 1.6 || off(forward) < 3 {
		t.Errorf("mean square deviation %.2f, want about 1; from the readout's own weights %.2f", off(want), off(forward))
	}
}

// How large the update is: of a weak control 1/α times the gradient, of a strong one it comes to a limit.
func TestLeastControlSize(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{Gain: 0.8}, 42)
	size := func(leak float64) float64 {
		g, _ := b.Gradient(t, rules.LeastControl[float64]{Controller: rules.Controller{Leak: leak}})
		sum := 0.0
		for _, p := range g {
			for _, v := range p.Data {
				sum += v * v
			}
		}
		return math.Sqrt(sum)
	}
	if ratio := size(400) / size(800); !(math.Abs(ratio-2) < 0.01) {
		t.Errorf("twice a large leak divides the update by %.4f, want 2", ratio)
	}
	if ratio := size(1e-3) / size(1e-2); !(ratio > 1 && ratio < 1.05) {
		t.Errorf("a tenth of a small leak multiplies the update by %.4f, want hardly more than 1", ratio)
	}
}
