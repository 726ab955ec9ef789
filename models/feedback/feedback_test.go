package feedback_test

import (
	"cmp"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/models/feedback"
	"attractor/models/meanfield"

	"gonum.org/v1/gonum/mat"
)

func normals(name string, n int, sd float64) []float64 {
	r, v := rng.Stream(1, name), make([]float64, n)
	for i := range v {
		v[i] = sd * r.NormFloat64()
	}
	return v
}

func network(t *testing.T, units int, p deq.Params[float64]) *feedback.Network[float64] {
	t.Helper()
	n, err := feedback.New(units, p.Data("W"), p.Data("M"), p.Data("U"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func distance(a, b []float64) float64 {
	d := 0.0
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}

// Euler's method makes the steps of the cell, with several loops and inputs and a readout that reads
// some of the loops.
func TestEulerIsTheCell(t *testing.T) {
	const rows, inputs, outputs, steps = 3, 2, 2, 7
	m := models.Feedback{N: 30, Gain: 1.2, Rho: 0.5, Leak: 0.1, Extra: 1, ReadoutGain: 1}
	l, err := deq.New[float64](m, inputs, outputs, 1, deq.Config{Batch: rows})
	if err != nil {
		t.Fatal(err)
	}
	x, in := normals("x", rows*m.N, 1), normals("in", rows*inputs, 1)
	want, err := l.Relax(t.Context(), in, x, steps)
	if err != nil {
		t.Fatal(err)
	}
	n := network(t, m.N, l.Params)
	if n.Loops != outputs+1 || n.Inputs != inputs {
		t.Fatalf("%d loops and %d inputs", n.Loops, n.Inputs)
	}
	run := n.Start(x, in, feedback.Linear(l.Params.Data("n")))
	run.Euler(0.1, steps)
	if d := distance(run.X, want.Last()); !(d <= 1e-12) {
		t.Errorf("off by %.2g after %d steps", d, steps)
	}
	if run.RungeKutta(0.1, 1); distance(run.X, want.Last()) < 1e-3 {
		t.Error("a step more makes no difference")
	}
}

// The errors of the two methods fall with dt and with dt⁴.
func TestOrders(t *testing.T) {
	m := models.Feedback{N: 20, Gain: 1.5, SigmaI: 1, ReadoutGain: 1}
	p := deq.NewParams[float64](m, 1, 1, 2)
	n, x := network(t, m.N, p), normals("x", m.N, 1)
	end := func(step func(r *feedback.Run[float64], dt float64, steps int), steps int) []float64 {
		r := n.Start(x, []float64{1}, feedback.Linear(p.Data("n")))
		step(r, 2/float64(steps), steps)
		return r.X
	}
	exact := end((*feedback.Run[float64]).RungeKutta, 2000)
	for _, c := range []struct {
		name  string
		step  func(r *feedback.Run[float64], dt float64, steps int)
		order float64
	}{{"Euler", (*feedback.Run[float64]).Euler, 1}, {"RungeKutta", (*feedback.Run[float64]).RungeKutta, 4}} {
		coarse, fine := distance(end(c.step, 40), exact), distance(end(c.step, 80), exact)
		if order := math.Log2(coarse / fine); !(math.Abs(order-c.order) <= 0.3) {
			t.Errorf("%s: half the step divides the error %.2g by 2^%.2f, want %g", c.name, coarse, order, c.order)
		}
	}
}

// The outliers are those of the dense matrix, beside a small disc too.
func TestOutliers(t *testing.T) {
	const rows = 3
	for _, c := range []struct {
		gain  float64
		loops [rows]float64 // along m
		with  int           // rows from the first that have an outlier
	}{{0.4, [rows]float64{1.8, -1.2, 0.1}, 2}, {0.1, [rows]float64{0.35, -0.3, 0.25}, 3}} {
		m := models.Feedback{N: 120, Gain: c.gain, SigmaM: 1, Rho: 0.5}
		p := deq.NewParams[float64](m, 1, 1, 3)
		w, mm := p.Data("W"), p.Data("M")
		n := network(t, m.N, p)
		rates, read := make([]float64, rows*m.N), make([]float64, rows*m.N)
		for i, x := range normals("x", len(rates), 0.5) {
			rates[i] = math.Tanh(x)
		}
		random := normals("n", len(read), c.gain/0.4/float64(m.N))
		for i := range read {
			read[i] = random[i] + c.loops[i/m.N]*mm[i%m.N]/float64(m.N)
		}
		got, err := n.Outliers(rates, read, slices.Repeat([]float64{c.gain}, rows))
		if err != nil {
			t.Fatal(err)
		}
		for row := range rows {
			j := mat.NewDense(m.N, m.N, nil)
			for i := range m.N {
				for k := range m.N {
					r := rates[row*m.N+k]
					j.Set(i, k, (w[i*m.N+k]+mm[i]*read[row*m.N+k])*(1-r*r))
				}
			}
			var eigen mat.Eigen
			if !eigen.Factorize(j, mat.EigenNone) {
				t.Fatal("no eigenvalues")
			}
			var want []complex128
			for _, l := range eigen.Values(nil) {
				if !(cmplx.Abs(l) <= c.gain+0.05) {
					want = append(want, l)
				}
			}
			slices.SortFunc(want, func(a, b complex128) int { return cmp.Compare(real(b), real(a)) })
			if len(got[row]) != len(want) || row < c.with && len(want) == 0 {
				t.Fatalf("gain %g, state %d: outliers %v, of the dense matrix %v", c.gain, row, got[row], want)
			}
			for i, l := range want {
				if !(cmplx.Abs(got[row][i]-l) <= 1e-6) {
					t.Errorf("gain %g, state %d: outlier %v, of the dense matrix %v", c.gain, row, got[row][i], l)
				}
			}
		}
	}
}

// The theory with means is that of a network that has them.
func TestMeans(t *testing.T) {
	const units = 1500
	theory := meanfield.Network{Gain: 0.4, VarM: 0.4, VarI: 0.3, MeanM: 0.7, MeanI: 0.1}
	readout := meanfield.Readout{Mean: 1.5, U: 0.6, V: 0.1}
	open, err := theory.Open()
	if err != nil {
		t.Fatal(err)
	}
	solutions := open.Close(readout).Solutions()
	want := solutions[len(solutions)-1]
	if !want.Stable || want.Z < 0.1 {
		t.Fatalf("solutions %+v", solutions)
	}
	var z, outlier float64
	const draws = 4
	for seed := range uint64(draws) {
		p := deq.NewParams[float64](models.Feedback{N: units, Gain: theory.Gain, SigmaM: math.Sqrt(theory.VarM), SigmaI: math.Sqrt(theory.VarI), Orthogonal: true}, 1, 1, seed)
		m, u, n := p.Data("M"), p.Data("U"), make([]float64, units)
		for i := range m {
			n[i] = (readout.U*m[i]/theory.VarM + readout.V*u[i]/theory.VarI + readout.Mean) / units
			m[i] += theory.MeanM
			u[i] += theory.MeanI
		}
		x := make([]float64, units)
		for i := range x {
			x[i] = want.Z*m[i] + u[i]
		}
		net := network(t, units, p)
		run := net.Start(x, []float64{1}, feedback.Linear(n))
		run.Euler(0.5, 80)
		l, err := net.Outliers(run.Rates, n, []float64{want.Radius})
		if err != nil || len(l[0]) == 0 {
			t.Fatalf("outliers %v, %v", l, err)
		}
		z, outlier = z+run.Z[0]/draws, outlier+real(l[0][0])/draws
	}
	if !(math.Abs(z-want.Z) <= 0.03) || !(math.Abs(outlier-real(want.Outliers[0])) <= 0.04) {
		t.Errorf("z and λ are %.3f and %.3f, in theory %.3f and %.3f", z, outlier, want.Z, real(want.Outliers[0]))
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range [][3]int{{3, 2, 2}, {4, 0, 2}, {4, 3, 2}, {4, 2, 3}} {
		if _, err := feedback.New(2, make([]float64, c[0]), make([]float64, c[1]), make([]float64, c[2])); err == nil {
			t.Errorf("W, M and U of %v numbers for 2 units are accepted", c)
		}
	}
	n, err := feedback.New(2, make([]float32, 4), make([]float32, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	run := n.Start([]float32{1, 2}, nil, feedback.Clamp([]float32{3}))
	run.Euler(0.5, 2)
	if run.X[0] != 0.25 || run.Z[0] != 3 {
		t.Errorf("without weights x decays to %v, z is clamped at %v", run.X, run.Z)
	}
}
