package zhu2024

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func newTask(t *testing.T) *linear {
	t.Helper()
	l, err := newLinear(paperSeed)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPublishedDraws(t *testing.T) {
	l := newTask(t)
	for _, c := range []struct {
		name      string
		got, want float64
		ulps      float64
	}{
		{"X[0,0]", l.x.v[0], 0.07116735302628457, 0},
		{"Ŵ[0,0]", l.teacher.v[0], -0.04960394598369792, 0},
		{"W₀[0,0]", l.start.v[0], -0.02509132926902175, 0},
		{"Y[0,0]", l.y.v[0], 0.12293391180069398, 16}, // these have been through a linear solve
		{"J(Ŵ)", l.loss(newLU(units), l.teacher), 0.019916381505374798, 64},
		{"J(W₀)", l.loss(newLU(units), l.start), 3.1949439260414256, 64},
	} {
		if !(math.Abs(c.got-c.want) <= c.ulps*0x1p-52*math.Abs(c.want)) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
}

func dense(m matrix) *mat.Dense { return mat.NewDense(m.rows, m.cols, m.v) }

// distance is the largest difference, relative to the largest entry of b.
func distance(a, b matrix) float64 {
	var d, scale float64
	for i, v := range a.v {
		d, scale = max(d, math.Abs(v-b.v[i])), max(scale, math.Abs(b.v[i]))
	}
	return d / scale
}

func TestLU(t *testing.T) {
	l := newTask(t)
	for _, n := range []int{1, 5, 16, 37, 100} {
		a := matrix{n, n, l.teacher.v[:n*n]} // no diagonal to speak of: it has to pivot
		b := matrix{n, 3, l.x.v[:n*3]}
		f := newLU(n)
		if !f.factor(a) {
			t.Fatalf("n = %d: singular", n)
		}
		x, y := b.clone(), b.clone()
		f.solve(x)
		f.solveT(y)
		var ax, ay mat.Dense
		ax.Mul(dense(a), dense(x))
		ay.Mul(dense(a).T(), dense(y))
		for name, got := range map[string]*mat.Dense{"AX": &ax, "AᵀX": &ay} {
			if d := distance(matrix{n, 3, got.RawMatrix().Data}, b); !(d <= 1e-10) {
				t.Errorf("n = %d: %s is off by %.2g", n, name, d)
			}
		}
	}
	if f := newLU(3); f.factor(newMatrix(3, 3)) {
		t.Error("0 is regular")
	}
}

// The gradient agrees with central differences, and reparam-gradient with B (∇_A J) B and with
// P_L (∇_W J) P_R, P_L = BBᵀ, P_R = BᵀB.
func TestDirections(t *testing.T) {
	l := newTask(t)
	g := newGradient(l, l.start).(*gradient)
	g.loss()
	exact := g.direction()
	f := newLU(units)
	for _, at := range []int{0, 777, 20034} {
		const h = 1e-5
		up, down := l.start.clone(), l.start.clone()
		up.v[at] += h
		down.v[at] -= h
		if d := (l.loss(f, up) - l.loss(f, down)) / (2 * h); !(math.Abs(d-exact.v[at]) <= 1e-6*math.Abs(d)) {
			t.Errorf("∂J/∂W[%d] = %v, differences have %v", at, exact.v[at], d)
		}
	}
	r := newReparam(l, l.start).(*reparam)
	r.prepare()
	step := r.direction()
	b := dense(complement(l.start))
	var left, right, want mat.Dense
	left.Mul(b, b.T())
	right.Mul(b.T(), b)
	want.Product(&left, dense(exact), &right)
	if d := distance(step, matrix{units, units, want.RawMatrix().Data}); !(d <= 1e-10) {
		t.Errorf("P_L ∇ P_R: off by %.2g", d)
	}
	s := newSteepest(l, l.start).(*steepest)
	s.loss()
	byA := productTB(newMatrix(units, units), s.e, l.x)
	want.Product(b, dense(byA), b)
	want.Scale(-2./samples, &want) // the step is that of B, which grows where W falls
	if d := distance(matrix{units, units, scaled(step, -1)}, matrix{units, units, want.RawMatrix().Data}); !(d <= 1e-10) {
		t.Errorf("B ∇_A J B: off by %.2g", d)
	}
}

// The steps of fig3 are those that the rules make, and reparam-steepest tends to reparam-gradient
// to first order in η.
func TestSteps(t *testing.T) {
	l := newTask(t)
	a := inverse(complement(l.second))
	last := 0.
	for _, rate := range []float64{2, 1, 0.5} {
		s := l.steps(a, rate)
		d := newSteepest(l, l.second)
		d.loss()
		d.step(rate)
		moved := d.weights().plus(-1, l.second)
		if diff := distance(matrix{units, units, scaled(s.steepest, -2*rate/samples)}, moved); !(diff <= 1e-9) {
			t.Errorf("η = %g: the step is off by %.2g", rate, diff)
		}
		theta := angle(s.steepest, s.reparam)
		if ratio := last / theta; last > 0 && !(math.Abs(ratio-2) <= 0.1) {
			t.Errorf("halving η from %g divides the angle by %.3f, want 2", 2*rate, ratio)
		}
		last = theta
	}
}

// The loss of reparam-steepest is that of the closed form; that of reparam-gradient, which hardly
// differs from it, is told apart.
func TestClosedForm(t *testing.T) {
	l := newTask(t)
	for rule, name := range map[int]string{1: "reparam-steepest", 2: "reparam-gradient"} {
		c, err := runLinear(t.Context(), l, rule, 1, l.start, 30)
		if err != nil {
			t.Fatal(err)
		}
		if d := closedFormError(l, c); d < 1e-12 != (rule == 1) {
			t.Errorf("%s: off by %.2g", name, d)
		}
	}
}

func TestOptimum(t *testing.T) {
	l := newTask(t)
	w, err := l.optimum()
	if err != nil {
		t.Fatal(err)
	}
	if j := l.loss(newLU(units), w); !(j < 1e-25) {
		t.Errorf("J(W*) = %g", j)
	}
}

func TestDescribe(t *testing.T) {
	x := []float64{-0.5, -0.4, -0.36, -0.1, 0, 0.1, 0.36, 0.4, 0.5}
	y := []float64{100, 900, 300, 2, 0, 3, 400, 800, 700}
	if got, want := describe(x, y), (shape{outside: 2, inside: 0, median: 550, near: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
