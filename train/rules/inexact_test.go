package rules_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

var ctx = context.Background()

func same(t *testing.T, name string, got, want deq.Params[float64]) {
	t.Helper()
	for i := range want {
		for k, v := range want[i].Data {
			if got[i].Data[k] != v {
				t.Fatalf("%s: %s[%d] = %v, want %v to the last bit", name, want[i].Name, k, got[i].Data[k], v)
			}
		}
	}
}

func near(t *testing.T, name string, got, want deq.Params[float64], tol float64) {
	t.Helper()
	if d := ruletest.Distance(got, want); !(d <= tol) {
		t.Errorf("%s: off by %.2g, want at most %.2g", name, d, tol)
	}
}

func apart(t *testing.T, name string, got, want deq.Params[float64], tol float64) {
	t.Helper()
	if d := ruletest.Distance(got, want); !(d > tol) {
		t.Errorf("%s: off by only %.2g", name, d)
	}
}

func TestNeumann(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 7)
	jfb, _ := b.Gradient(t, rules.JFB[float64]{})
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, rules.Neumann[float64]{Terms: 1})
	same(t, "one term and jfb", g, jfb)
	last := math.Inf(1)
	for _, k := range []int{2, 5, 10, 20, 40} {
		g, _ := b.Gradient(t, rules.Neumann[float64]{Terms: k})
		d := ruletest.Distance(g, exact)
		if !(d < last) {
			t.Errorf("%d terms: off by %.2g, no better than %.2g with fewer", k, d, last)
		}
		last = d
	}
	g, _ = b.Gradient(t, rules.Neumann[float64]{Terms: 200})
	near(t, "200 terms", g, exact, 1e-11)
}

// jacobian is the dense J of sample b, row by row.
func jacobian(t *testing.T, e *deq.Equilibrium[float64], b int) [][]float64 {
	t.Helper()
	n := e.Layer().Units
	j := make([][]float64, n)
	for i := range j {
		unit, row := make([]float64, len(e.Z)), make([]float64, len(e.Z))
		unit[b*n+i] = 1
		if err := e.ApplyJT(unit, row); err != nil {
			t.Fatal(err)
		}
		j[i] = row[b*n : (b+1)*n]
	}
	return j
}

// u = τΣ(τJᵀ + (1−τ)I)ⁱℓ with a dense J.
func TestPhantomClosedForm(t *testing.T) {
	const k, tau = 4, 0.3
	b := ruletest.NewBench(t, models.Rate{}, 8)
	got, s := b.Gradient(t, rules.Phantom[float64]{Steps: k, Damping: tau})
	n := b.Layer.Units
	u := make([]float64, len(s.Z))
	for r := range s.Rows {
		m := transpose(jacobian(t, s.Equilibrium, r))
		for i := range m {
			for j := range m[i] {
				m[i][j] *= tau
			}
			m[i][i] += 1 - tau
		}
		power := identity(n)
		for range k {
			for i := range n {
				for j := range n {
					u[r*n+i] += tau * power[i][j] * s.Output.DZ[r*n+j]
				}
			}
			power = product(power, m)
		}
	}
	want := b.Layer.Params.ZerosLike()
	if err := s.VJP(u, want); err != nil {
		t.Fatal(err)
	}
	near(t, "closed form", got, want, 1e-13)

	neumann, _ := b.Gradient(t, rules.Neumann[float64]{Terms: k})
	got, _ = b.Gradient(t, rules.Phantom[float64]{Steps: k, Damping: 1})
	near(t, "τ = 1 and neumann", got, neumann, 1e-14)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	got, _ = b.Gradient(t, rules.Phantom[float64]{Steps: 400})
	near(t, "400 steps", got, exact, 1e-11)
}

// numeric differentiates the loss of the state that relax returns, for every parameter of the
// cell.
func numeric(t *testing.T, b *ruletest.Bench, relax func() []float64) deq.Params[float64] {
	t.Helper()
	value := func() float64 {
		o, err := b.Layer.Evaluate(relax(), ruletest.Loss[float64]{Outputs: b.Layer.Outputs}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return o.Mean()
	}
	const h = 1e-5
	g := b.Layer.Params.ZerosLike()
	for i, p := range b.Layer.Params {
		if !p.Role.OfCell() {
			continue
		}
		for k, v := range p.Data {
			at := func(v float64) float64 {
				update(b.Layer, func() { p.Data[k] = v })
				return value()
			}
			g[i].Data[k] = (at(v+h) - at(v-h)) / (2 * h)
			at(v)
		}
	}
	return g
}

// The phantom gradient is the derivative of k damped steps that start at the z* of before.
func TestPhantomIsDampedUnrolling(t *testing.T) {
	const k, tau = 3, 0.4
	b := ruletest.NewBench(t, models.Rate{}, 9)
	got, s := b.Gradient(t, rules.Phantom[float64]{Steps: k, Damping: tau})
	want := numeric(t, b, func() []float64 {
		z := append([]float64(nil), s.Z...)
		for range k {
			tr, err := b.Layer.Relax(ctx, b.X, z, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range tr.Last() {
				z[i] = (1-tau)*z[i] + tau*v
			}
		}
		return z
	})
	near(t, "finite differences", got, want, 1e-8)
}

// shine returns the gradient from a forward solve by Broyden's method with full memory.
func shine(t *testing.T, b *ruletest.Bench, rule rules.Shine[float64], rtol float64) deq.Params[float64] {
	t.Helper()
	return shineAware(t, b, rule, rtol, 0, nil)
}

// shineAware is shine with a loss attended to every so many steps.
func shineAware(t *testing.T, b *ruletest.Bench, rule rules.Shine[float64], rtol float64, aware int, along deq.Loss[float64]) deq.Params[float64] {
	t.Helper()
	forward := deq.Solver[float64]{Method: solvers.Broyden[float64]{Memory: -1, Aware: aware}, Settings: solvers.Settings{RTol: rtol, MaxEvals: 1000}}
	loss := ruletest.Loss[float64]{Outputs: b.Layer.Outputs}
	e, err := b.Layer.SolveAlong(ctx, b.X, nil, forward, deq.Along[float64]{Loss: along})
	if err != nil || e.Report.Err() != nil {
		t.Fatal(err, e.Report.Err())
	}
	o, err := b.Layer.Evaluate(e.Z, loss, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := b.Layer.Params.ZerosLike()
	s := rules.Situation[float64]{Equilibrium: e, Output: o, Loss: loss, Forward: forward, Backward: b.Tight}
	if _, err := rule.Gradient(ctx, s, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// With a single unit Broyden's steps go through all directions there are, and its inverse tends to
// that of the Jacobian: the tighter the forward solve, the nearer is shine to the adjoint, without limit.
func TestShineTendsToImplicit(t *testing.T) {
	const seeds = 10
	for _, rtol := range []float64{1e-2, 1e-6, 1e-10, 1e-13} {
		bound := 4 * math.Sqrt(rtol) // the slope of a secant is off by about the step before the last
		mean := 0.0
		for seed := range uint64(seeds) {
			b := ruletest.NewBench(t, models.Rate{N: 1}, seed)
			exact, _ := b.Gradient(t, rules.Implicit[float64]{})
			mean += ruletest.Distance(shine(t, b, rules.Shine[float64]{Fallback: -1}, rtol), exact) / seeds
		}
		if mean > bound {
			t.Errorf("rtol %g: off by %.2g, want at most %.2g", rtol, mean, bound)
		}
	}
}

// With more units Broyden's inverse need not tend to the Jacobian's (J. E. Dennis and J. J. Moré, SIAM
// Review 19 (1977) 46–89, doi:10.1137/1019005): a tighter forward solve helps, but only up to
// a point; the rest is for the refinement, or for a solver that is aware of the loss.
func TestShineApproachesImplicit(t *testing.T) {
	const seeds = 5
	for _, activation := range []string{"linear", "tanh"} {
		mean := func(gradient func(b *ruletest.Bench) deq.Params[float64]) float64 {
			sum := 0.0
			for seed := range uint64(seeds) {
				b := ruletest.NewBench(t, models.Rate{Activation: activation}, 20+seed)
				exact, _ := b.Gradient(t, rules.Implicit[float64]{})
				sum += ruletest.Distance(gradient(b), exact) / seeds
			}
			return sum
		}
		last := mean(func(b *ruletest.Bench) deq.Params[float64] {
			g, _ := b.Gradient(t, rules.JFB[float64]{})
			return g
		})
		t.Logf("%s: jfb is off by %.2g", activation, last)
		for _, rtol := range []float64{1e-2, 1e-4, 1e-8, 1e-13} {
			d := mean(func(b *ruletest.Bench) deq.Params[float64] {
				return shine(t, b, rules.Shine[float64]{Fallback: -1}, rtol)
			})
			t.Logf("%s, rtol %g: off by %.2g", activation, rtol, d)
			if !(d < last) {
				t.Errorf("%s, rtol %g: off by %.2g, no better than %.2g", activation, rtol, d, last)
			}
			last = d
		}
		for _, k := range []int{1, 3, 6, 12} {
			d := mean(func(b *ruletest.Bench) deq.Params[float64] {
				return shine(t, b, rules.Shine[float64]{Refine: k}, 1e-13)
			})
			t.Logf("%s, refine %d: off by %.2g", activation, k, d)
			if !(d < last) {
				t.Errorf("%s, refine %d: off by %.2g, no better than %.2g", activation, k, d, last)
			}
			last = d
		}
		b := ruletest.NewBench(t, models.Rate{Activation: activation}, 20)
		exact, _ := b.Gradient(t, rules.Implicit[float64]{})
		near(t, activation+", refined", shine(t, b, rules.Shine[float64]{Refine: 100}, 1e-13), exact, 1e-10)
	}
}

// Aware of the loss, shine tends to implicit in proportion to the forward tolerance; unaware it stays away, and so
// it does when it is aware of a loss that is not the one of the gradient.
func TestAwareShineTendsToImplicit(t *testing.T) {
	const seeds = 5
	for _, activation := range []string{"linear", "tanh"} {
		for _, rtol := range []float64{1e-2, 1e-4, 1e-6, 1e-8, 1e-12} {
			bound := max(5*rtol, 1e-6) // from there on rounding tells
			var aware, unaware, other float64
			for seed := range uint64(seeds) {
				b := ruletest.NewBench(t, models.Rate{Activation: activation}, 20+seed)
				exact, _ := b.Gradient(t, rules.Implicit[float64]{})
				off := func(aware int, along deq.Loss[float64]) float64 {
					return ruletest.Distance(shineAware(t, b, rules.Shine[float64]{Fallback: -1}, rtol, aware, along), exact) / seeds
				}
				loss := ruletest.Loss[float64]{Outputs: b.Layer.Outputs}
				aware, unaware, other = aware+off(1, loss), unaware+off(0, loss), other+off(1, total{b.Layer.Outputs})
			}
			t.Logf("%s, rtol %g: off by %.2g, unaware by %.2g, of another loss by %.2g", activation, rtol, aware, unaware, other)
			if aware > bound {
				t.Errorf("%s, rtol %g: off by %.2g, want at most %g", activation, rtol, aware, bound)
			}
			if unaware < 0.05 || other < 0.05 {
				t.Errorf("%s, rtol %g: unaware off by only %.2g, of another loss by only %.2g", activation, rtol, unaware, other)
			}
		}
	}
}

// total is the loss Σ_k y_k.
type total struct{ outputs int }

func (l total) Eval(rows []int, y, dy []float64, losses []float64) error {
	for i := range rows {
		losses[i] = 0
		for k := range l.outputs {
			losses[i] += y[i*l.outputs+k]
			dy[i*l.outputs+k] = 1
		}
	}
	return nil
}

func TestShineFallsBack(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 10)
	jfb, _ := b.Gradient(t, rules.JFB[float64]{})
	near(t, "no length is trusted", shine(t, b, rules.Shine[float64]{Fallback: 1e-9}, 1e-13), jfb, 1e-11)
	apart(t, "any length is trusted", shine(t, b, rules.Shine[float64]{Fallback: -1}, 1e-13), jfb, 1e-3)
}

func TestShineNeedsBroyden(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 10)
	for _, e := range solvers.Catalog[float64]().Entries() {
		err := rules.Shine[float64]{}.CheckForward(deq.Solver[float64]{Method: e.Value})
		if keeps := e.Name == "broyden" || e.Name == "broyden-bad"; keeps != (err == nil) {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	_, s := b.Gradient(t, rules.JFB[float64]{})
	if _, err := (rules.Shine[float64]{}).Gradient(ctx, s, b.Layer.Params.ZerosLike()); !errors.Is(err, deq.ErrNoInverse) {
		t.Errorf("after Anderson: %v, want ErrNoInverse", err)
	}
	_, s = b.Gradient(t, rules.Shine[float64]{})
	if _, err := s.Nudge(ctx, append([]float64(nil), s.Z...), 0.1, s.Loss, s.Forward); err != nil {
		t.Fatal(err)
	}
	if _, err := (rules.Shine[float64]{}).Gradient(ctx, s, b.Layer.Params.ZerosLike()); !errors.Is(err, deq.ErrNoInverse) {
		t.Errorf("after another solve: %v, want ErrNoInverse", err)
	}
}

func TestUnrolledIsBPTT(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 11)
	const steps = 37
	want, _ := b.Gradient(t, rules.BPTT[float64]{Steps: steps})
	state := 8 * len(b.X) / b.Layer.Inputs * b.Layer.Units
	for _, every := range []int{0, 1, 2, 5, 12, 36, 37, 50} {
		rule := rules.Unrolled[float64]{Steps: steps, Every: every}
		got, _ := b.Gradient(t, rule)
		same(t, "unrolled and bptt", got, want)
		tr, err := rules.Run(ctx, rule, b.Layer, b.Sequence())
		if err != nil {
			t.Fatal(err)
		}
		c := every
		if c == 0 {
			c = 6
		}
		if most := (steps/c+c+2)*state + 8*len(b.X); tr.Bytes() > most {
			t.Errorf("a checkpoint every %d: %d bytes, want at most %d (bptt: %d)", every, tr.Bytes(), most, (steps+1)*state)
		}
	}
}

// report runs a rule of its own relaxation.
func report(t *testing.T, b *ruletest.Bench, rule rules.TemporalRule[float64], g deq.Params[float64]) rules.Report {
	t.Helper()
	tr, err := rules.Run(ctx, rule, b.Layer, b.Sequence())
	if err != nil {
		t.Fatal(err)
	}
	outs, err := tr.EvaluateLast(ruletest.Loss[float64]{Outputs: b.Layer.Outputs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := rule.Gradient(ctx, rules.Passage[float64]{Trajectory: tr, Outputs: outs}, g)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestReversible(t *testing.T) {
	for _, beta := range []float64{0.3, 0.5, 0.8, 1.2} {
		b := ruletest.NewBench(t, models.Rate{}, 12)
		rule := rules.Reversible[float64]{Steps: 7, Beta: beta}
		got := b.Layer.Params.ZerosLike()
		rep := report(t, b, rule, got)
		if len(rep.Drift) != 6 || rep.Err() != nil || rep.Failed() != 0 {
			t.Errorf("β = %g: drift %v, %v", beta, rep.Drift, rep.Err())
		}
		// The relaxation in plain steps of f.
		f := func(z []float64) []float64 {
			tr, err := b.Layer.Relax(ctx, b.X, z, 1)
			if err != nil {
				t.Fatal(err)
			}
			return tr.Last()
		}
		relax := func() []float64 {
			y, z := make([]float64, 6*b.Layer.Units), make([]float64, 6*b.Layer.Units)
			for range 7 {
				for i, v := range f(z) {
					y[i] = (1-beta)*y[i] + beta*v
				}
				for i, v := range f(y) {
					z[i] = (1-beta)*z[i] + beta*v
				}
			}
			return z
		}
		tr, err := rules.Run(ctx, rule, b.Layer, b.Sequence())
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range relax() {
			if !(math.Abs(tr.Last()[i]-v) <= 1e-14) {
				t.Fatalf("β = %g: z[%d] = %v, want %v", beta, i, tr.Last()[i], v)
			}
		}
		near(t, "finite differences", got, numeric(t, b, relax), 1e-7)
	}
}

// Long relaxations that contract drift; that is told, and pairs kept on the way mend it.
func TestReversibleDrift(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 13)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	bytes := 0
	for _, steps := range []int{8, 16, 64} {
		rep := report(t, b, rules.Reversible[float64]{Steps: steps, Beta: 0.5}, b.Layer.Params.ZerosLike())
		worst := 0.0
		for _, d := range rep.Drift {
			worst = max(worst, d)
		}
		t.Logf("%d steps: drift %.2g", steps, worst)
		if fails := steps > 40; fails != (rep.Failed() > 0) || fails != (rep.Err() != nil) {
			t.Errorf("%d steps with drift %.2g: %d failed, %v", steps, worst, rep.Failed(), rep.Err())
		}
		var drift *rules.DriftError
		if rep.Err() != nil && !errors.As(rep.Err(), &drift) {
			t.Errorf("%v is no DriftError", rep.Err())
		}
		if bytes == 0 {
			bytes = rep.Bytes
		}
		if rep.Bytes != bytes {
			t.Errorf("%d steps take %d bytes, fewer %d", steps, rep.Bytes, bytes)
		}
	}
	g := b.Layer.Params.ZerosLike()
	if rep := report(t, b, rules.Reversible[float64]{Steps: 64, Beta: 0.5, Every: 8}, g); rep.Err() != nil {
		t.Error(rep.Err())
	}
	near(t, "with pairs kept", g, exact, 1e-6)
}

// Halving and adding numbers of 24 bits is exact in the 53 of float64, so that a run in float32
// finds its way back to the last bit.
func TestReversibleIsExactInFloat32(t *testing.T) {
	l, err := deq.New[float32](models.Rate{N: 12, Gain: 1.2}, 5, 3, 1, deq.Config{Batch: 6, Shard: 4})
	if err != nil {
		t.Fatal(err)
	}
	x, dz := make([]float32, 6*5), make([]float32, 6*12)
	for i := range x {
		x[i] = float32(math.Sin(float64(7 * i)))
	}
	for i := range dz {
		dz[i] = 1
	}
	for _, beta := range []float64{0.5, 0.8} {
		tr, err := l.RunReversibly(ctx, deq.Sequence[float32]{Rows: 6, Steps: 16, X: x}, beta, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.VJP(ctx, deq.Back[float32]{Outputs: tr.LastOutput(dz)}, l.Params.ZerosLike()); err != nil {
			t.Fatal(err)
		}
		for b, d := range tr.Drift {
			if exact := beta == 0.5; exact != (d == 0) {
				t.Errorf("β = %g: sample %d drifts by %g", beta, b, d)
			}
		}
	}
}

// exactRules are all exact modes, with enough steps to converge.
var exactRules = map[string]rules.Rule[float64]{
	"implicit":   rules.Implicit[float64]{},
	"rbp":        rules.RBP[float64]{},
	"bptt":       rules.BPTT[float64]{Steps: 150},
	"rtrl":       rules.RTRL[float64]{Steps: 150},
	"unrolled":   rules.Unrolled[float64]{Steps: 150},
	"reversible": rules.Reversible[float64]{Steps: 120, Every: 8},
}

// The exact rules agree with each other and with finite differences; all others of the catalogue
// are told apart.
func TestExactRulesAgree(t *testing.T) {
	const tol = 1e-7
	for _, activation := range []string{"linear", "tanh"} {
		b := ruletest.NewBench(t, models.Rate{Activation: activation}, 14)
		want := numeric(t, b, func() []float64 {
			e, err := b.Layer.Solve(ctx, b.X, nil, b.Tight)
			if err != nil || e.Report.Err() != nil {
				t.Fatal(err, e.Report.Err())
			}
			return e.Z
		})
		if activation == "linear" {
			want = linearGradient(t, b)
		}
		got := map[string]deq.Params[float64]{}
		for name, rule := range exactRules {
			got[name], _ = b.Gradient(t, rule)
			near(t, activation+": "+name, got[name], want, tol)
			t.Logf("%s: %s is off by %.2g", activation, name, ruletest.Distance(got[name], want))
		}
		for name := range exactRules {
			for other := range exactRules {
				near(t, activation+": "+name+" and "+other, got[name], got[other], tol)
			}
		}
		for _, e := range rules.Catalog[float64]().Entries() {
			if e.Value.Exact() != (exactRules[e.Name] != nil) {
				t.Errorf("%s says that it is exact: %v", e.Name, e.Value.Exact())
			}
			if !e.Value.Exact() {
				rule := e.Value
				if e.Name == "tbptt" { // the window of 10 leaves little out of a relaxation that contracts
					rule = rules.TBPTT[float64]{Window: 5}
				}
				g, _ := b.Gradient(t, rule)
				t.Logf("%s: %s is off by %.2g", activation, e.Name, ruletest.Distance(g, want))
				apart(t, activation+": "+e.Name, g, want, 1e-4)
			}
		}
	}
}

// linearGradient is the gradient for a linear cell in closed form: z = (I − W)⁻¹(Ux + b),
// u = (I − Wᵀ)⁻¹∂L/∂z, dW = Σ u zᵀ, dU = Σ u xᵀ, db = Σ u.
func linearGradient(t *testing.T, b *ruletest.Bench) deq.Params[float64] {
	t.Helper()
	n, m := b.Layer.Units, b.Layer.Inputs
	g := b.Layer.Params.ZerosLike()
	a := identity(n)
	for i := range n {
		for j := range n {
			a[i][j] -= b.Layer.Params.Data("W")[i*n+j]
		}
	}
	rows := len(b.X) / m
	z := make([]float64, 0, rows*n)
	for r := range rows {
		drive := append([]float64(nil), b.Layer.Params.Data("b")...)
		for i := range drive {
			for k := range m {
				drive[i] += b.Layer.Params.Data("U")[i*m+k] * b.X[r*m+k]
			}
		}
		z = append(z, eliminate(a, drive)...)
	}
	o, err := b.Layer.Evaluate(z, ruletest.Loss[float64]{Outputs: b.Layer.Outputs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for r := range rows {
		for i, u := range eliminate(transpose(a), o.DZ[r*n:(r+1)*n]) {
			g.Data("b")[i] += u
			for j := range n {
				g.Data("W")[i*n+j] += u * z[r*n+j]
			}
			for k := range m {
				g.Data("U")[i*m+k] += u * b.X[r*m+k]
			}
		}
	}
	return g
}

// eliminate solves a x = y by Gauss's elimination with pivots.
func eliminate(a [][]float64, y []float64) []float64 {
	n := len(y)
	m := make([][]float64, n)
	for i := range m {
		m[i] = append(append([]float64(nil), a[i]...), y[i])
	}
	for k := range n {
		best := k
		for i := k; i < n; i++ {
			if !(math.Abs(m[i][k]) <= math.Abs(m[best][k])) {
				best = i
			}
		}
		m[k], m[best] = m[best], m[k]
		for i := k + 1; i < n; i++ {
			f := m[i][k] / m[k][k]
			for j := k; j <= n; j++ {
				m[i][j] -= f * m[k][j]
			}
		}
	}
	x := make([]float64, n)
	for k := n - 1; k >= 0; k-- {
		x[k] = m[k][n]
		for j := k + 1; j < n; j++ {
			x[k] -= m[k][j] * x[j]
		}
		x[k] /= m[k][k]
	}
	return x
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}
