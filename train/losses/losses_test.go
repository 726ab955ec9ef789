package losses_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/internal/catalog"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/train/losses"
)

func normals[T kernels.Float](r *rand.Rand, n int) []T {
	v := make([]T, n)
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	return v
}

// problem is random outputs with the targets that a loss takes.
type problem[T kernels.Float] struct {
	name   string
	loss   losses.Loss[T]
	dim    int
	y      []T
	target losses.Target[T]
}

// problems are each loss with each kind of target that it takes.
func problems[T kernels.Float](t *testing.T) []problem[T] {
	const rows, dim = 7, 5
	r := rng.Stream(0, "test")
	labels := make([]int32, rows)
	for b := range labels {
		labels[b] = int32(r.IntN(dim))
	}
	var out []problem[T]
	for _, e := range losses.Catalog[T]().Entries() {
		for _, target := range []losses.Target[T]{{Labels: labels}, {Y: normals[T](r, rows*dim)}} {
			if e.Value.Check(dim, target) != nil {
				continue
			}
			name := e.Name + "/labels"
			if target.Y != nil {
				name = e.Name + "/real"
			}
			out = append(out, problem[T]{name, e.Value, dim, normals[T](r, rows*dim), target})
		}
	}
	if len(out) != 3 {
		t.Fatalf("%d problems, want 3", len(out))
	}
	return out
}

func eval[T kernels.Float](t testing.TB, l losses.Loss[T], y []T, dim int, target losses.Target[T]) (loss []float64, dy []T) {
	t.Helper()
	loss, dy = make([]float64, len(y)/dim), make([]T, len(y))
	if err := l.Eval(y, dim, target, loss, dy); err != nil {
		t.Fatal(err)
	}
	return loss, dy
}

func TestCatalog(t *testing.T) {
	c := losses.Catalog[float64]()
	for _, e := range c.Entries() {
		if e.Synopsis() == "" || e.Synopsis() == e.Doc {
			t.Errorf("%s: documentation %q", e.Name, e.Doc)
		}
	}
	if _, err := c.Lookup("cross_entropy"); !errors.As(err, new(*catalog.UnknownError)) {
		t.Errorf("error %v", err)
	}
}

// relError is the largest difference between dy and the central differences of the
// summed loss, over the largest difference quotient. The step's truncation error is
// about h² = 1e-10 and its rounding error 1e-16/h = 1e-11.
func relError(t *testing.T, p problem[float64], dy []float64) float64 {
	const h = 1e-5
	worst, scale := 0.0, 0.0
	for i := range p.y {
		sum := func(step float64) (s float64) {
			y := slices.Clone(p.y)
			y[i] += step
			loss, _ := eval(t, p.loss, y, p.dim, p.target)
			for _, l := range loss {
				s += l
			}
			return s
		}
		want := (sum(h) - sum(-h)) / (2 * h)
		worst, scale = max(worst, math.Abs(dy[i]-want)), max(scale, math.Abs(want))
	}
	return worst / scale
}

func TestGradient(t *testing.T) {
	for _, p := range problems[float64](t) {
		t.Run(p.name, func(t *testing.T) {
			_, dy := eval(t, p.loss, p.y, p.dim, p.target)
			if e := relError(t, p, dy); !(e <= 1e-8) {
				t.Errorf("relative error %.2g against finite differences", e)
			}
			// Negative controls: the mean over the batch, and one entry off by 1 %.
			for i := range dy {
				dy[i] /= 7
			}
			if e := relError(t, p, dy); !(e >= 0.1) {
				t.Errorf("relative error %.2g of a gradient divided by the batch size: the test cannot fail", e)
			}
			_, dy = eval(t, p.loss, p.y, p.dim, p.target)
			big := 0
			for i := range dy {
				if !(math.Abs(dy[i]) <= math.Abs(dy[big])) {
					big = i
				}
			}
			dy[big] *= 1.01
			if e := relError(t, p, dy); !(e >= 1e-3) {
				t.Errorf("relative error %.2g of a wrong entry: the test cannot fail", e)
			}
		})
	}
}

func TestClosedForms(t *testing.T) {
	ce, mse := losses.CrossEntropy[float64]{}, losses.MeanSquared[float64]{}
	label := func(l int32) losses.Target[float64] { return losses.Target[float64]{Labels: []int32{l}} }
	third := math.Log(1.0 / 3)
	for _, c := range []struct {
		name   string
		loss   losses.Loss[float64]
		y      []float64
		target losses.Target[float64]
		want   float64
		dy     []float64
	}{
		{"even guess", ce, []float64{2, 2, 2, 2}, label(1), math.Log(4), []float64{0.25, -0.75, 0.25, 0.25}},
		{"probabilities ⅓ and ⅔", ce, []float64{third, math.Log(2.0 / 3)}, label(0), -third, []float64{-2.0 / 3, 2.0 / 3}},
		{"one class", ce, []float64{5}, label(0), 0, []float64{0}},
		{"squares", mse, []float64{1, 2, 3, 4}, losses.Target[float64]{Y: []float64{1, 0, 6, 4}}, (4 + 9) / 4.0, []float64{0, 1, -1.5, 0}},
		{"one-hot", mse, []float64{0.5, 1}, label(0), (0.25 + 1) / 2, []float64{-0.5, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss, dy := eval(t, c.loss, c.y, len(c.y), c.target)
			if !(math.Abs(loss[0]-c.want) <= 1e-15) {
				t.Errorf("loss %.17g, want %.17g", loss[0], c.want)
			}
			for k, want := range c.dy {
				if !(math.Abs(dy[k]-want) <= 1e-15) {
					t.Errorf("gradient %.17g, want %.17g", dy, c.dy)
					break
				}
			}
		})
	}
}

// Logits that overflow a naive softmax, and losses that vanish beside 1.
func TestExtremeLogits(t *testing.T) {
	ce := losses.CrossEntropy[float32]{}
	for _, c := range []struct {
		name  string
		y     []float32
		label int32
		want  float64
		dy    []float32
	}{
		{"right", []float32{1e4, -1e4, 0}, 0, 0, []float32{0, 0, 0}},
		{"wrong", []float32{1e4, -1e4, 0}, 1, 2e4, []float32{1, -1, 0}},
		{"both huge", []float32{1e4, 1e4}, 0, math.Ln2, []float32{-0.5, 0.5}},
		{"both hugely negative", []float32{-1e4, -1e4}, 0, math.Ln2, []float32{-0.5, 0.5}},
		{"largest numbers", []float32{math.MaxFloat32, -math.MaxFloat32}, 1, 2 * math.MaxFloat32, []float32{1, -1}},
		{"tiny loss", []float32{40, 0}, 0, math.Exp(-40), []float32{float32(-math.Exp(-40)), float32(math.Exp(-40))}},
		{"masked class", []float32{0, float32(math.Inf(-1)), 0}, 0, math.Ln2, []float32{-0.5, 0, 0.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss, dy := eval(t, losses.Loss[float32](ce), c.y, len(c.y), losses.Target[float32]{Labels: []int32{c.label}})
			if !(math.Abs(loss[0]-c.want) <= 1e-14*c.want) {
				t.Errorf("loss %.17g, want %.17g", loss[0], c.want)
			}
			for k, want := range c.dy {
				if !(math.Abs(float64(dy[k]-want)) <= 1e-6*math.Abs(float64(want))) {
					t.Errorf("gradient %g, want %g", dy, c.dy)
					break
				}
			}
		})
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		for label := range int32(2) {
			loss, _ := eval(t, losses.Loss[float32](ce), []float32{bad, 1}, 2, losses.Target[float32]{Labels: []int32{label}})
			if !math.IsNaN(loss[0]) && !math.IsInf(loss[0], 0) {
				t.Errorf("loss %v of an output %v", loss[0], bad)
			}
		}
	}
}

// A row's loss and gradient are, bit by bit, the same in any company, in place, and
// (the loss) without the gradient.
func TestRowsAreIndependent(t *testing.T) {
	t.Run("float32", testRows[float32])
	t.Run("float64", testRows[float64])
}

func testRows[T kernels.Float](t *testing.T) {
	for _, p := range problems[T](t) {
		loss, dy := eval(t, p.loss, p.y, p.dim, p.target)
		for b := range loss {
			one := losses.Target[T]{}
			if p.target.Labels != nil {
				one.Labels = p.target.Labels[b : b+1]
			}
			if p.target.Y != nil {
				one.Y = p.target.Y[b*p.dim : (b+1)*p.dim]
			}
			l, d := eval(t, p.loss, p.y[b*p.dim:(b+1)*p.dim], p.dim, one)
			if l[0] != loss[b] || !slices.Equal(d, dy[b*p.dim:(b+1)*p.dim]) {
				t.Errorf("%s: row %d differs alone", p.name, b)
			}
		}
		only := make([]float64, len(loss))
		if err := p.loss.Eval(p.y, p.dim, p.target, only, nil); err != nil || !slices.Equal(only, loss) {
			t.Errorf("%s: without gradient %v, %v; want %v", p.name, only, err, loss)
		}
		y := slices.Clone(p.y)
		if err := p.loss.Eval(y, p.dim, p.target, only, y); err != nil || !slices.Equal(y, dy) {
			t.Errorf("%s: the gradient in place differs (%v)", p.name, err)
		}
	}
}

func TestTargetErrors(t *testing.T) {
	type target = losses.Target[float64]
	ce, mse := losses.CrossEntropy[float64]{}, losses.MeanSquared[float64]{}
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		loss   losses.Loss[float64]
		target target
		want   string
	}{
		{"label too high", ce, target{Labels: []int32{0, 3}}, "losses: cross-entropy: row 1: expected a label from 0 to 2, found 3"},
		{"label negative", ce, target{Labels: []int32{-1, 0}}, "losses: cross-entropy: row 0: expected a label from 0 to 2, found -1"},
		{"regression", ce, target{Y: make([]float64, 6)}, "losses: cross-entropy: expected labels, found real targets (which mse takes)"},
		{"none", ce, target{}, "losses: cross-entropy: expected labels, found neither"},
		{"NaN", mse, target{Y: []float64{0, 0, 0, 0, nan, 0}}, "losses: mse: row 1, output 1: expected a finite target, found NaN"},
		{"infinite", mse, target{Y: []float64{0, 0, math.Inf(-1), 0, 0, 0}}, "losses: mse: row 0, output 2: expected a finite target, found -Inf"},
		{"label for mse", mse, target{Labels: []int32{0, 9}}, "losses: mse: row 1: expected a label from 0 to 2, found 9"},
		{"none for mse", mse, target{}, "losses: mse: expected real targets or labels, found neither"},
		{"both", mse, target{Labels: []int32{0, 0}, Y: make([]float64, 6)}, "losses: mse: expected real targets or labels, found labels and real targets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss, dy := []float64{7, 7}, []float64{7, 7, 7, 7, 7, 7}
			err := c.loss.Eval(make([]float64, 6), 3, c.target, loss, dy)
			var e *losses.TargetError
			if !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
			if check := c.loss.Check(3, c.target); check == nil || check.Error() != c.want {
				t.Errorf("Check: %v", check)
			}
			if loss[0] != 7 || loss[1] != 7 || dy[0] != 7 || dy[5] != 7 {
				t.Error("something was written in spite of the error")
			}
		})
	}
}

func TestPanics(t *testing.T) {
	ce := losses.CrossEntropy[float64]{}
	two := losses.Target[float64]{Labels: []int32{0, 0}}
	for name, f := range map[string]func(){
		"rows":     func() { _ = ce.Eval(make([]float64, 5), 3, two, make([]float64, 2), nil) },
		"losses":   func() { _ = ce.Eval(make([]float64, 6), 3, two, make([]float64, 1), nil) },
		"gradient": func() { _ = ce.Eval(make([]float64, 6), 3, two, make([]float64, 2), make([]float64, 5)) },
		"labels":   func() { _ = ce.Eval(make([]float64, 9), 3, two, make([]float64, 3), nil) },
		"accuracy": func() { losses.Accuracy(make([]float64, 5), 3, []int32{0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic on a length that does not fit")
				}
			}()
			f()
		})
	}
}

func TestAccuracy(t *testing.T) {
	nan := math.NaN()
	y := []float64{
		1, 2, 3,
		5, 5, 1, // the first of equals
		nan, 0, 1, // wrong
		-3, -1, -2,
	}
	if got := losses.Accuracy(y, 3, []int32{2, 0, 2, 0}); got != 0.5 {
		t.Errorf("accuracy %v, want 0.5", got)
	}
	if got := losses.Correct(y, 3, []int32{2, 1, 0, 1}); got != 2 {
		t.Errorf("%d correct, want 2", got)
	}
}

func TestEvalDoesNotAllocate(t *testing.T) {
	for _, p := range problems[float32](t) {
		loss, dy := make([]float64, len(p.y)/p.dim), make([]float32, len(p.y))
		if n := testing.AllocsPerRun(20, func() { _ = p.loss.Eval(p.y, p.dim, p.target, loss, dy) }); n != 0 {
			t.Errorf("%s: %v allocations", p.name, n)
		}
	}
}

// What is continued is the gradient where outputs are real, and holomorphic: by a step ih its imaginary part over h is the
// second derivative.
func TestContinuation(t *testing.T) {
	const h = 1e-6
	for _, p := range problems[float64](t) {
		loss, ok := p.loss.(losses.Holomorphic[float64])
		if !ok {
			t.Errorf("%s cannot be continued", p.name)
			continue
		}
		row := func(b int) losses.Target[float64] {
			if p.target.Labels != nil {
				return losses.Target[float64]{Labels: p.target.Labels[b : b+1]}
			}
			return losses.Target[float64]{Y: p.target.Y[b*p.dim : (b+1)*p.dim]}
		}
		n := len(p.y) / p.dim
		gradient := func(y []float64) []float64 {
			dy := make([]float64, len(y))
			if err := loss.Eval(y, p.dim, p.target, make([]float64, n), dy); err != nil {
				t.Fatal(err)
			}
			return dy
		}
		dy := gradient(p.y)
		for b := range n {
			for k := range p.dim {
				y, at := make([]complex128, p.dim), make([]complex128, p.dim)
				for j := range y {
					y[j] = complex(p.y[b*p.dim+j], 0)
				}
				loss.Continue(y, row(b), at)
				y[k] += complex(0, h)
				ahead := make([]complex128, p.dim)
				loss.Continue(y, row(b), ahead)
				up, down := slices.Clone(p.y), slices.Clone(p.y)
				up[b*p.dim+k] += h
				down[b*p.dim+k] -= h
				plus, minus := gradient(up), gradient(down)
				for j := range y {
					i := b*p.dim + j
					if !(math.Abs(real(at[j])-dy[i]) <= 1e-12) || imag(at[j]) != 0 {
						t.Errorf("%s: %v at real outputs, want %v", p.name, at[j], dy[i])
					}
					if second := (plus[i] - minus[i]) / (2 * h); !(math.Abs(imag(ahead[j])/h-second) <= 1e-7) {
						t.Errorf("%s: a step of i·h gives %v, want %v", p.name, imag(ahead[j])/h, second)
					}
				}
			}
		}
	}
}
