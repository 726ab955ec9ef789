package solvers_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"attractor/solvers"
	"attractor/solvers/solvertest"
)

func solve[T solvers.Float](t testing.TB, p solvers.Problem[T], m solvers.Method[T], s solvers.Settings) ([]T, *solvers.Report) {
	t.Helper()
	z := make([]T, p.Batch*p.Dim)
	rep, err := solvers.Solve(context.Background(), p, z, m, s)
	if err != nil {
		t.Fatal(err)
	}
	return z, rep
}

func TestBadSettings(t *testing.T) {
	for _, test := range []struct {
		settings solvers.Settings
		want     []string // in the message
	}{
		{solvers.Settings{RTol: 1e-16}, []string{"RTol", "20 eps of float64", "1e-16"}},
		{solvers.Settings{RTol: -1}, []string{"RTol", "-1"}},
		{solvers.Settings{RTol: math.NaN()}, []string{"RTol", "NaN"}},
		{solvers.Settings{RTol: 1}, []string{"RTol"}},
		{solvers.Settings{ATol: -1}, []string{"ATol", "-1"}},
		{solvers.Settings{Measure: "abs"}, []string{"ATol", "abs"}},
		{solvers.Settings{Measure: "relative"}, []string{"Measure", "mixed, rel or abs", "relative"}},
		{solvers.Settings{Norm: "l1"}, []string{"Norm", "l2 or max", "l1"}},
		{solvers.Settings{MaxEvals: -1}, []string{"MaxEvals", "-1"}},
		{solvers.Settings{Growth: 0.5}, []string{"Growth", "0.5"}},
	} {
		_, err := solvers.New(solvers.Picard[float64]{}, 1, 1, test.settings)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: expected an error with %q, found %v", test.settings, want, err)
			}
		}
	}
	if _, err := solvers.New(solvers.Picard[float32]{}, 1, 1, solvers.Settings{RTol: 1e-6}); err == nil || !strings.Contains(err.Error(), "20 eps of float32") {
		t.Errorf("expected 1e-6 to be too little for float32, found %v", err)
	}
}

func TestBadMethods(t *testing.T) {
	for _, test := range []struct {
		method solvers.Method[float64]
		field  string
	}{
		{solvers.Picard[float64]{Damping: 2}, "Picard.Damping"},
		{solvers.Picard[float64]{Damping: math.NaN()}, "Picard.Damping"},
		{solvers.Anderson[float64]{Window: -1}, "Anderson.Window"},
		{solvers.Anderson[float64]{Mixing: -1}, "Anderson.Mixing"},
		{solvers.Anderson[float64]{Form: "svd"}, "Anderson.Form"},
		{solvers.Anderson[float64]{Regularization: 2}, "Anderson.Regularization"},
		{solvers.Anderson[float64]{Drop: 2}, "Anderson.Drop"},
		{solvers.Anderson[float64]{Delay: -1}, "Anderson.Delay"},
		{solvers.Anderson[float64]{Period: -1}, "Anderson.Period"},
		{solvers.Anderson[float64]{Restart: 0.5}, "Anderson.Restart"},
		{solvers.Anderson[float64]{Safeguard: -1}, "Anderson.Safeguard"},
		{solvers.NewtonGMRES[float64]{Restart: -1}, "NewtonGMRES.Restart"},
		{solvers.NewtonGMRES[float64]{Forcing: 1}, "NewtonGMRES.Forcing"},
		{solvers.Newton[float64]{MaxDim: 2}, "Newton.MaxDim"},
		{solvers.LU[float64]{MaxDim: 2}, "LU.MaxDim"},
		{solvers.GMRES[float64]{Restart: -1}, "GMRES.Restart"},
		{solvers.BiCGStab[float64]{Restart: -1}, "BiCGStab.Restart"},
		{solvers.Auto[float64]{Warmup: -1}, "Auto.Warmup"},
		{solvers.Auto[float64]{Patience: -1}, "Auto.Patience"},
		{solvers.Auto[float64]{Growth: 1}, "Auto.Growth"},
		{solvers.Auto[float64]{Window: -1}, "Anderson.Window"},
		{solvers.ForwardBackward[float64]{Alpha: -1}, "ForwardBackward.Alpha"},
		{solvers.PeacemanRachford[float64]{Alpha: math.Inf(1)}, "PeacemanRachford.Alpha"},
	} {
		if _, err := solvers.New(test.method, 1, 3, solvers.Settings{}); err == nil || !strings.Contains(err.Error(), test.field) {
			t.Errorf("%+v: expected an error about %s, found %v", test.method, test.field, err)
		}
	}
	if _, err := solvers.New[float64](nil, 1, 1, solvers.Settings{}); err == nil {
		t.Error("expected an error without a method")
	}
}

func TestBadProblems(t *testing.T) {
	v, err := solvers.New(solvers.Picard[float64]{}, 2, 3, solvers.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	f := func([]int, []float64, []float64) error { return nil }
	for _, test := range []struct {
		p    solvers.Problem[float64]
		z    int
		want string
	}{
		{solvers.Problem[float64]{Batch: 1, Dim: 3}, 3, "Problem.F"},
		{solvers.Problem[float64]{Batch: 3, Dim: 3, F: f}, 9, "Problem.Batch: expected 0 to 2, found 3"},
		{solvers.Problem[float64]{Batch: 1, Dim: 2, F: f}, 2, "Problem.Dim: expected 3, found 2"},
		{solvers.Problem[float64]{Batch: 2, Dim: 3, F: f}, 5, "expected 6 numbers (2 samples of 3), found 5"},
	} {
		if _, err := v.Solve(context.Background(), test.p, make([]float64, test.z)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("expected an error with %q, found %v", test.want, err)
		}
	}
	if rep, err := v.Solve(context.Background(), solvers.Problem[float64]{Dim: 3, F: f}, nil); err != nil || rep.Err() != nil || rep.MeanEvals() != 0 {
		t.Errorf("expected an empty batch to be solved, found %v, %v", rep, err)
	}
}

// Options other than the defaults keep the contract.
func TestOptions(t *testing.T) {
	for name, m := range map[string]solvers.Method[float64]{
		"picard damped":        solvers.Picard[float64]{Damping: 0.9},
		"anderson mixing":      solvers.Anderson[float64]{Mixing: 0.7},
		"anderson window 1":    solvers.Anderson[float64]{Window: 1},
		"anderson delay":       solvers.Anderson[float64]{Delay: 3},
		"anderson period":      solvers.Anderson[float64]{Period: 2},
		"anderson restart":     solvers.Anderson[float64]{Restart: 2},
		"anderson safeguard":   solvers.Anderson[float64]{Safeguard: 1e6},
		"anderson-qr mixing":   solvers.Anderson[float64]{Form: "qr", Mixing: 0.7},
		"anderson-qr window 1": solvers.Anderson[float64]{Form: "qr", Window: 1},
		"anderson-qr period":   solvers.Anderson[float64]{Form: "qr", Period: 3, Delay: 2},
		"anderson-qr drop":     solvers.Anderson[float64]{Form: "qr", Window: 12, Drop: 0.1},
		"broyden memory 2":     solvers.Broyden[float64]{Memory: 2},
		"broyden full":         solvers.Broyden[float64]{Memory: -1},
		"broyden compressed":   solvers.Broyden[float64]{Memory: 4, Compress: 2},
		"broyden least":        solvers.Broyden[float64]{Memory: 3, Compress: 3, Aware: 2},
		"broyden aware":        solvers.Broyden[float64]{Aware: 1},
		"broyden aware, full":  solvers.Broyden[float64]{Aware: 2, Memory: -1},
		"broyden-bad aware":    solvers.Broyden[float64]{Aware: 3, Bad: true},
		"newton-gmres short":   solvers.NewtonGMRES[float64]{Restart: 3},
	} {
		t.Run(name, func(t *testing.T) { solvertest.Test(t, m, false) })
	}
	t.Run("gmres short", func(t *testing.T) {
		solvertest.Test[float64](t, solvers.GMRES[float64]{Restart: 5}, true)
	})
	t.Run("bicgstab short", func(t *testing.T) {
		solvertest.Test[float64](t, solvers.BiCGStab[float64]{Restart: 4}, true)
	})
}

// Picard's iteration on z ← z/2 + 1 in closed form: g halves each time.
func TestPicardClosedForm(t *testing.T) {
	p := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
		fz[0] = z[0]/2 + 1
		return nil
	}}
	z, rep := solve(t, p, solvers.Picard[float64]{}, solvers.Settings{Measure: "abs", ATol: 0x1p-10, History: true})
	if rep.Evals[0] != 11 || z[0] != 2-0x1p-9 || rep.Residual[0] != 0x1p-10 {
		t.Errorf("expected 2 − 2⁻⁹ after 11 evaluations, found %v after %v", z[0], rep.Evals[0])
	}
	for k, h := range rep.History[0] {
		if want := (solvers.Point{Evals: k + 1, Residual: math.Ldexp(1, -k)}); h != want {
			t.Errorf("history at %d: expected %v, found %v", k, want, h)
		}
	}
	// τ = ½: z ← 3z/4 + ½
	z, rep = solve(t, p, solvers.Picard[float64]{Damping: 0.5}, solvers.Settings{MaxEvals: 3})
	if rep.Status[0] != solvers.MaxEvals || z[0] != 0.875 {
		t.Errorf("expected 0.875 at the cap, found %v (%v)", z[0], rep.Status[0])
	}
}

// On an affine map with a full window, iterate k+1 of Anderson's method is f of iterate k of
// GMRES (Walker and Ni 2011, theorem 2.2): they need the same number of products but for one.
func TestAndersonIsGMRES(t *testing.T) {
	for seed := range uint64(5) {
		p := solvertest.Batch(solvertest.Random[float64](20, 0.9, seed))
		s := solvers.Settings{RTol: 1e-6}
		_, gmres := solve(t, p, solvers.GMRES[float64]{Restart: 25}, s)
		for _, form := range []string{"gram", "qr"} {
			_, anderson := solve(t, p, solvers.Anderson[float64]{Window: 25, Form: form, Regularization: 1e-15}, s)
			if d := anderson.Evals[0] - gmres.Evals[0]; d < -2 || d > 2 {
				t.Errorf("seed %d: gmres takes %d evaluations, anderson (%s) %d", seed, gmres.Evals[0], form, anderson.Evals[0])
			}
		}
	}
}

// After a solve of an affine problem Broyden's H is nearer to the inverse than −I is in the
// direction that was travelled, and ApplyHT is its transpose.
func TestBroydenInverse(t *testing.T) {
	const n = 6
	m := solvertest.Random[float64](n, 0.8, 3)
	for _, bad := range []bool{false, true} {
		p := solvertest.Batch(m, m)
		v, err := solvers.New(solvers.Broyden[float64]{Bad: bad}, 2, n, solvers.Settings{RTol: 1e-12})
		if err != nil {
			t.Fatal(err)
		}
		z := make([]float64, 2*n)
		rep, err := v.Solve(context.Background(), p, z)
		if err != nil || rep.Err() != nil {
			t.Fatal(err, rep.Err())
		}
		h, ok := v.Stepper().(solvers.Inverse[float64])
		if !ok {
			t.Fatal("Broyden's stepper is not an Inverse")
		}
		x, y := z[n:], []float64{2, 0, 1, -1, 1, 3}
		hx, hty, back, jv := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		h.ApplyH(1, x, hx)
		h.ApplyHT(1, y, hty)
		if a, b := inner(y, hx), inner(hty, x); !(math.Abs(a-b) <= 1e-12*math.Abs(a)) {
			t.Errorf("bad=%v: yᵀHx = %v, (Hᵀy)ᵀx = %v", bad, a, b)
		}
		// H(J − I)x ≈ x; with −I for H the difference is Jx
		m.JVP(nil, x, jv)
		plain := math.Sqrt(inner(jv, jv))
		for i := range jv {
			jv[i] -= x[i]
		}
		h.ApplyH(1, jv, back)
		for i := range back {
			back[i] -= x[i]
		}
		if off := math.Sqrt(inner(back, back)); !(off <= 0.8*plain) {
			t.Errorf("bad=%v: H(J − I)x − x: expected less than %g, found %g", bad, plain, off)
		}
	}
}

func TestBreakdowns(t *testing.T) {
	// I − A is a cyclic shift of 30: GMRES gains nothing in fewer than 30 products
	cycle := solvers.Problem[float64]{Batch: 1, Dim: 30, F: func(_ []int, z, fz []float64) error {
		for i, x := range z {
			fz[i] = x - z[(i+1)%30]
		}
		fz[0]++
		return nil
	}}
	// I − A is a rotation by 90°: r₀ᵀ(I − A)r₀ = 0
	turn := solvers.Problem[float64]{Batch: 1, Dim: 2, F: func(_ []int, z, fz []float64) error {
		fz[0], fz[1] = z[0]+z[1]+1, z[1]-z[0]+1
		return nil
	}}
	shift := solvertest.Batch(solvertest.Shift[float64](3))
	// g = 1 + z² has a least value, but no root
	hump := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
		fz[0] = z[0] + 1 + (z[0]-1)*(z[0]-1)
		return nil
	}}
	for _, test := range []struct {
		name   string
		p      solvers.Problem[float64]
		method solvers.Method[float64]
		want   solvers.Breakdown
	}{
		{"gmres stagnates", cycle, solvers.GMRES[float64]{}, solvers.Stagnation},
		{"bicgstab", turn, solvers.BiCGStab[float64]{}, solvers.ZeroDirection},
		{"gmres singular", shift, solvers.GMRES[float64]{}, solvers.Singular},
		{"lu singular", shift, solvers.LU[float64]{}, solvers.Singular},
		{"newton singular", shift, solvers.Newton[float64]{}, solvers.Singular},
		{"newton-gmres singular", shift, solvers.NewtonGMRES[float64]{}, solvers.Singular},
		{"newton without a root", hump, solvers.Newton[float64]{}, solvers.NoDescent},
		{"newton-gmres without a root", hump, solvers.NewtonGMRES[float64]{}, solvers.NoDescent},
	} {
		_, rep := solve(t, test.p, test.method, solvers.Settings{Stall: -1})
		if rep.Status[0] != solvers.Stalled || rep.Breakdown[0] != test.want {
			t.Errorf("%s: expected %v by %v, found %v by %v after %d evaluations",
				test.name, solvers.Stalled, test.want, rep.Status[0], rep.Breakdown[0], rep.Evals[0])
		}
	}
	// and GMRES solves it with the memory that it needs
	if _, rep := solve(t, cycle, solvers.GMRES[float64]{Restart: 30}, solvers.Settings{}); rep.Err() != nil {
		t.Error(rep.Err())
	}
}

func TestStatuses(t *testing.T) {
	double := solvertest.Batch(solvertest.Double[float64](2))
	if _, rep := solve(t, double, solvers.Picard[float64]{}, solvers.Settings{}); rep.Status[0] != solvers.Diverged || rep.Evals[0] != 11 {
		t.Errorf("z → 2z + 1: expected %v after 11 evaluations (2¹⁰ > 1000), found %v after %d", solvers.Diverged, rep.Status[0], rep.Evals[0])
	}
	// with the growth unwatched the norm overflows in the end, which is not NaN
	if _, rep := solve(t, double, solvers.Picard[float64]{}, solvers.Settings{Growth: -1, Stall: -1, MaxEvals: 5000}); rep.Status[0] != solvers.Diverged {
		t.Errorf("z → 2z + 1 without a watch: expected %v, found %v", solvers.Diverged, rep.Status[0])
	}
	// z → −z + 1 goes round and round
	swing := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
		fz[0] = 1 - z[0]
		return nil
	}}
	if _, rep := solve(t, swing, solvers.Picard[float64]{}, solvers.Settings{}); rep.Status[0] != solvers.Stalled || rep.Evals[0] != 51 {
		t.Errorf("z → 1 − z: expected %v after 51 evaluations, found %v after %d", solvers.Stalled, rep.Status[0], rep.Evals[0])
	}
	// running off to infinity is no convergence, however long it takes
	shift := solvertest.Batch(solvertest.Shift[float32](1))
	if _, rep := solve(t, shift, solvers.Picard[float32]{}, solvers.Settings{MaxEvals: 30000, Stall: -1}); rep.Status[0] != solvers.Diverged {
		t.Errorf("z → z + 1: expected %v, found %v", solvers.Diverged, rep.Status[0])
	}
	for s, want := range map[solvers.Status]string{
		solvers.Converged: "converged", solvers.MaxEvals: "max_evals", solvers.Stalled: "stalled",
		solvers.Diverged: "diverged", solvers.NonFinite: "non_finite", solvers.Unfinished: "unfinished", 99: "Status(99)",
	} {
		if text, err := s.MarshalText(); s.String() != want || string(text) != want || err != nil {
			t.Errorf("expected %s, found %s and %s", want, s, text)
		}
	}
}

func TestMeasures(t *testing.T) {
	// four components of which one is slow: the max-norm of g is its l2 norm in the end
	p := solvers.Problem[float64]{Batch: 1, Dim: 4, F: func(_ []int, z, fz []float64) error {
		for i := range fz {
			fz[i] = 1
		}
		fz[3] = 0.5*z[3] + 1
		return nil
	}}
	for _, test := range []struct {
		s    solvers.Settings
		want float64 // the largest ‖g‖ accepted: f → (1, 1, 1, 2)
	}{
		{solvers.Settings{Measure: "abs", ATol: 1e-3}, 1e-3},
		{solvers.Settings{Measure: "rel", RTol: 1e-3}, 1e-3 * math.Sqrt(7)},
		{solvers.Settings{Measure: "rel", RTol: 1e-3, Norm: "max"}, 2e-3},
		{solvers.Settings{RTol: 1e-3, ATol: 1e-3}, 1e-3 * (1 + math.Sqrt(7))},
	} {
		z, rep := solve(t, p, solvers.Picard[float64]{}, test.s)
		if g := 1 - z[3]/2; rep.Err() != nil || g > test.want || 2*g < 0.99*test.want {
			t.Errorf("%+v: expected the first residual below %g, found %g (%v)", test.s, test.want, g, rep.Status[0])
		}
	}
}

func TestReport(t *testing.T) {
	p := solvertest.Batch(solvertest.Cos[float64](2), solvertest.NaN[float64](2))
	_, rep := solve(t, p, solvers.Anderson[float64]{}, solvers.Settings{History: true})
	var ce *solvers.ConvergenceError
	if err := rep.Err(); !errors.As(err, &ce) || !errors.Is(err, solvers.ErrNotConverged) ||
		ce.Failed != 1 || ce.Batch != 2 || ce.Sample != 1 || ce.Status != solvers.NonFinite {
		t.Errorf("found %v", rep.Err())
	}
	if rep.Failed() != 1 || rep.Count(solvers.Converged) != 1 || rep.MeanEvals() != float64(rep.Evals[0]+1)/2 || rep.Wall <= 0 {
		t.Errorf("found %+v", rep)
	}
	c := rep.Clone()
	c.Status[0], c.History[0][0].Evals = solvers.Stalled, 77
	if rep.Status[0] != solvers.Converged || rep.History[0][0].Evals != 1 {
		t.Error("a clone shares memory")
	}
}

// Dense methods have evaluations enough for their steps by default.
func TestDenseDefaults(t *testing.T) {
	p := tanhNet(0, 0.9)
	if _, rep := solve(t, p, solvers.Newton[float64]{}, solvers.Settings{}); rep.Err() != nil || rep.Evals[0] < 200 {
		t.Errorf("newton: %v after %d evaluations", rep.Status[0], rep.Evals[0])
	}
	p = solvertest.Batch(solvertest.Random[float64](250, 0.9, 1))
	if _, rep := solve(t, p, solvers.LU[float64]{}, solvers.Settings{}); rep.Err() != nil {
		t.Error(rep.Err())
	}
}

// A hard problem goes through the stages of Auto, each time with a reason.
func TestHandovers(t *testing.T) {
	p := tanhNet(3, 1.5)
	_, rep := solve(t, p, solvers.Auto[float64]{Patience: 5}, solvers.Settings{MaxEvals: 500})
	stages := []string{"picard", "anderson", "broyden", "newton-gmres"}
	if len(rep.Handovers) < 2 {
		t.Fatalf("expected hand-overs, found %+v", rep.Handovers)
	}
	evals := 0
	for i, h := range rep.Handovers {
		if h.From != stages[i] || h.To != stages[i+1] || h.Evals < evals || strings.Contains(h.Reason.String(), "Reason") || h.Reason.String() == "" {
			t.Errorf("hand-over %d: %+v", i, h)
		}
		evals = h.Evals
	}
}

// Every affine contraction is solved by every method, and to the tolerance.
func TestAffineProperty(t *testing.T) {
	entries := append(solvers.Catalog[float64]().Entries(), solvers.Linear[float64]().Entries()...)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "n")
		e := rapid.SampledFrom(entries).Draw(t, "method")
		a := rapid.SliceOfN(rapid.Float64Range(-1, 1), n*n, n*n).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Float64Range(1e-3, 10), n, n).Draw(t, "b")
		for i := range a {
			a[i] *= 0.8 / float64(n)
		}
		p := solvers.Problem[float64]{Batch: 1, Dim: n, F: func(_ []int, z, fz []float64) error {
			for i := range fz {
				fz[i] = b[i] + inner(a[i*n:(i+1)*n], z)
			}
			return nil
		}}
		z := make([]float64, n)
		rep, err := solvers.Solve(context.Background(), p, z, e.Value, solvers.Settings{})
		if err != nil || rep.Err() != nil {
			t.Fatalf("%s: %v, %v", e.Name, err, rep.Err())
		}
		fz := make([]float64, n)
		if err := p.F(nil, z, fz); err != nil {
			t.Fatal(err)
		}
		g := 0.0
		for i := range z {
			g = math.Hypot(g, fz[i]-z[i])
		}
		if g > 1.0001e-8*math.Sqrt(inner(fz, fz)) {
			t.Fatalf("%s: residual %g", e.Name, g)
		}
	})
}

// Whatever the map is, a solve ends within its evaluations with a typed status, a finite
// best iterate, and a residual that is what it says.
func TestAnyMapProperty(t *testing.T) {
	const limit = 60
	entries := solvers.Catalog[float64]().Entries()
	hostile := rapid.OneOf(rapid.Float64Range(-3, 3), rapid.Float64(), rapid.SampledFrom([]float64{0, 1, -1, 1e300, math.Inf(1), math.NaN()}))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "n")
		e := rapid.SampledFrom(entries).Draw(t, "method")
		a := rapid.SliceOfN(hostile, n*n, n*n).Draw(t, "a")
		b := rapid.SliceOfN(hostile, n, n).Draw(t, "b")
		bounded := rapid.Bool().Draw(t, "tanh")
		f := func(z, fz []float64) {
			for i := range fz {
				fz[i] = b[i] + inner(a[i*n:(i+1)*n], z)
				if bounded {
					fz[i] = math.Tanh(fz[i])
				}
			}
		}
		calls := 0
		p := solvers.Problem[float64]{Batch: 1, Dim: n, F: func(_ []int, z, fz []float64) error {
			calls++
			f(z, fz)
			return nil
		}}
		z, fz := make([]float64, n), make([]float64, n)
		rep, err := solvers.Solve(context.Background(), p, z, e.Value, solvers.Settings{MaxEvals: limit})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Status[0] == solvers.Unfinished || rep.Evals[0] != calls || calls > limit+2*n {
			t.Fatalf("%s: %v after %d evaluations, %d counted", e.Name, rep.Status[0], calls, rep.Evals[0])
		}
		f(z, fz)
		g, size := 0.0, 0.0
		for i, v := range z {
			if v-v != 0 {
				t.Fatalf("%s: best iterate %v", e.Name, z)
			}
			g, size = math.Hypot(g, fz[i]-v), math.Hypot(size, fz[i])
		}
		if rep.Status[0] == solvers.Converged && !(g <= 1.0001e-8*size || g < 1e-150) {
			t.Fatalf("%s: converged with a residual of %g at ‖f‖ = %g", e.Name, g, size)
		}
	})
}

// Freezing saves what the quick samples do not need.
func TestFreezingSaves(t *testing.T) {
	p := solvertest.Batch(solvertest.Random[float64](8, 0.2, 1), solvertest.Random[float64](8, 0.95, 2))
	f, total := p.F, 0
	p.F = func(rows []int, z, fz []float64) error {
		total += len(rows)
		return f(rows, z, fz)
	}
	_, rep := solve(t, p, solvers.Picard[float64]{}, solvers.Settings{MaxEvals: 1000})
	if slices.Max(rep.Evals) < 3*slices.Min(rep.Evals) || total != rep.Evals[0]+rep.Evals[1] {
		t.Errorf("expected %v evaluations only, found %d", rep.Evals, total)
	}
}
