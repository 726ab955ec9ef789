package rules_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

func steepest(form string, eta float64) rules.ReparamSteepest[float64] {
	return rules.ReparamSteepest[float64]{Form: form, Eta: eta}
}

// squared is ‖y − t‖² for targets that are functions of the indices.
type squared struct{ outputs int }

func (q squared) target(r, k int) float64 { return math.Sin(float64(5*r + 2*k)) }

func (q squared) Eval(rows []int, y, dy []float64, losses []float64) error {
	for i, r := range rows {
		losses[i] = 0
		for k := range q.outputs {
			d := y[i*q.outputs+k] - q.target(r, k)
			dy[i*q.outputs+k] = 2 * d
			losses[i] += d * d
		}
	}
	return nil
}

// Along W ← W − ηΔW the errors of a linear network that reads its units out are
// (I − (2η/m)CCᵀ)ᵗE₀, C being the drives in rows, and each step is I − [(I − W)⁻¹ − η∇L]⁻¹;
// the step of another η is not.
func TestSteepestClosedForm(t *testing.T) {
	const n, inputs, m, steps, eta = 7, 3, 4, 25, 0.2
	l, err := deq.New[float64](models.Rate{N: n, Activation: "linear"}, inputs, n, 1, deq.Config{Batch: m})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.Stream(1, "steepest")
	x := make([]float64, m*inputs)
	for i := range x {
		x[i] = 0.7 * r.NormFloat64()
	}
	update(l, func() {
		copy(l.Params.Data("Wo"), flat(identity(n)))
		for i := range l.Params.Data("b") {
			l.Params.Data("b")[i] = 0.3 * r.NormFloat64()
		}
	})
	w := l.Params.Data("W")
	start := append([]float64(nil), w...)
	tight := deq.Solver[float64]{Method: solvers.Newton[float64]{}, Settings: solvers.Settings{RTol: 1e-14, MaxEvals: 1000}}
	// descend makes steps of size rate by the rule for η and returns the errors.
	descend := func(rate float64, look func(s rules.Situation[float64], g deq.Params[float64])) [][]float64 {
		update(l, func() { copy(w, start) })
		var errs [][]float64
		for range steps + 1 {
			e, err := l.Solve(ctx, x, nil, tight)
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.Evaluate(e.Z, squared{n}, nil)
			if err != nil {
				t.Fatal(err)
			}
			errs = append(errs, append([]float64(nil), e.Z...))
			for i := range e.Z {
				errs[len(errs)-1][i] -= squared{n}.target(i/n, i%n)
			}
			s, g := rules.Situation[float64]{Equilibrium: e, Output: o}, l.Params.ZerosLike()
			if _, err := steepest("linear", eta).Gradient(ctx, s, g); err != nil {
				t.Fatal(err)
			}
			look(s, g)
			update(l, func() {
				for i, d := range g.Data("W") {
					w[i] -= rate * d
				}
			})
		}
		return errs
	}
	drive := make([][]float64, m)
	for b := range drive {
		drive[b] = append([]float64(nil), l.Params.Data("b")...)
		for i := range n {
			for k := range inputs {
				drive[b][i] += l.Params.Data("U")[i*inputs+k] * x[b*inputs+k]
			}
		}
	}
	shrink := product(drive, transpose(drive))
	for i := range shrink {
		for j := range shrink {
			shrink[i][j] *= -2 * eta / m
		}
		shrink[i][i]++
	}
	missed := func(errs [][]float64) (worst float64) {
		for step := range steps {
			want := product(shrink, rowsOf(errs[step], n))
			for i, v := range flat(want) {
				worst = max(worst, math.Abs(errs[step+1][i]-v))
			}
		}
		return worst
	}
	errs := descend(eta, func(s rules.Situation[float64], g deq.Params[float64]) {
		// A − η∇L with ∇L = Σ v cᵀ, dense
		b := identity(n)
		for i := range n {
			for j := range n {
				b[i][j] -= w[i*n+j]
			}
		}
		moved := inverse(b)
		for i := range n {
			for j := range n {
				for k := range m {
					moved[i][j] -= eta * s.Output.DZ[k*n+i] * drive[k][j]
				}
			}
		}
		want := inverse(moved)
		for i := range n {
			for j := range n {
				got := w[i*n+j] - eta*g.Data("W")[i*n+j]
				if d := math.Abs(identity(n)[i][j] - want[i][j] - got); !(d <= 1e-10) {
					t.Fatalf("the step leads to W[%d, %d] = %g, off by %.2g", i, j, got, d)
				}
			}
		}
	})
	if d := missed(errs); !(d <= 1e-10) {
		t.Errorf("the errors miss their closed form by %.2g", d)
	}
	loss := func(e []float64) (sum float64) {
		for _, v := range e {
			sum += v * v
		}
		return sum
	}
	if first, last := loss(errs[0]), loss(errs[steps]); last > 0.5*first {
		t.Errorf("the loss falls from %g to %g only", first, last)
	}
	if d := missed(descend(eta/2, func(rules.Situation[float64], deq.Params[float64]) {})); !(d >= 1e-4) {
		t.Errorf("steps of another size than the rule's have the same closed form to %.2g", d)
	}
}

// Both forms tend to reparam-gradient by the first power of η.
func TestSteepestTendsToReparamGradient(t *testing.T) {
	for form, activation := range map[string]string{"linear": "linear", "per-sample": "tanh"} {
		b := ruletest.NewBench(t, models.Rate{Activation: activation}, 50)
		want, _ := b.Gradient(t, rules.ReparamGradient[float64]{})
		order(t, form, b, func(eta float64) rules.Rule[float64] { return steepest(form, eta/20) }, want, 1)
	}
	b := ruletest.NewBench(t, models.Rate{Activation: "linear"}, 51)
	b.X = b.X[:b.Layer.Inputs]
	want, _ := b.Gradient(t, steepest("linear", 0.1))
	got, _ := b.Gradient(t, steepest("per-sample", 0.1))
	near(t, "the forms for one sample", got, want, 1e-12)
}

func TestSteepestChecks(t *testing.T) {
	tanh, linear := ruletest.NewBench(t, models.Rate{}, 1), ruletest.NewBench(t, models.Rate{Activation: "linear"}, 1)
	if err := steepest("linear", 0.1).Check(tanh.Layer); err == nil {
		t.Error("the linear form accepts tanh")
	}
	if err := steepest("linear", 0.1).Check(linear.Layer); err != nil {
		t.Error(err)
	}
	if err := steepest("per-sample", -1).Check(tanh.Layer); err == nil {
		t.Error("a negative learning rate is accepted")
	}
}

// For a single sample the reparameterised rules descend along each parameter, also by large steps;
// credit through random feedback does so in some networks only.
func TestReparamDescends(t *testing.T) {
	uphill := 0
	for seed := range uint64(60) {
		b := ruletest.NewBench(t, models.Rate{Gain: 1.2}, 100+seed)
		b.X = b.X[:b.Layer.Inputs]
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		for _, rule := range []rules.Rule[float64]{
			rules.ReparamGradient[float64]{}, rules.ReparamHalf[float64]{}, steepest("per-sample", 0.1), steepest("per-sample", 10),
		} {
			g, _ := b.Gradient(t, rule)
			for _, p := range []string{"W", "U", "b"} {
				dot := 0.0
				for k, v := range g.Data(p) {
					dot += v * exact.Data(p)[k]
				}
				if !(dot > 0) {
					t.Errorf("seed %d: %T climbs along %s: %g", seed, rule, p, dot)
				}
			}
		}
		if g, _ := b.Gradient(t, rules.FeedbackAlignment[float64]{}); ruletest.Cosine(g, exact) <= 0 {
			uphill++
		}
	}
	if uphill < 10 {
		t.Errorf("random feedback climbs in %d of 60 networks only", uphill)
	}
}

func flat(m [][]float64) (v []float64) {
	for _, row := range m {
		v = append(v, row...)
	}
	return v
}

func rowsOf(v []float64, n int) (m [][]float64) {
	for ; len(v) > 0; v = v[n:] {
		m = append(m, v[:n])
	}
	return m
}

// inverse solves for the columns of the inverse.
func inverse(a [][]float64) [][]float64 {
	columns := identity(len(a))
	for i, e := range columns {
		columns[i] = eliminate(a, e)
	}
	return transpose(columns)
}
