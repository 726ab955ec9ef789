package stability_test

import (
	"context"
	"math"
	"math/cmplx"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/rng"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// free is a layer of a model with parameters drawn from a seed, for measurements without a task.
func free[T deq.Float](t testing.TB, m models.Model, inputs, batch int, seed uint64) *deq.Layer[T] {
	t.Helper()
	l, err := deq.New[T](m, inputs, 1, seed, deq.Config{Batch: batch, Shard: batch})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func exponents[T deq.Float](t testing.TB, l *deq.Layer[T], drive stability.Drive[T], z0 []T, o stability.Lyapunov) []stability.Exponent {
	t.Helper()
	found, err := stability.Exponents(ctx, l, drive, z0, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := min(max(1, o.K), l.Units); len(found) != want {
		t.Fatalf("%d exponents, want %d", len(found), want)
	}
	return found
}

// noise draws inputs from N(0, σ²).
func noise[T deq.Float](sd float64) stability.Drive[T] {
	return func(step int, x []T) {
		r := rng.Stream(5, "test", uint64(step))
		for i := range x {
			x[i] = T(sd * r.NormFloat64())
		}
	}
}

// Below gain 1 the state of a tanh network comes to rest at 0, where J = (1−α)I + αW.
func TestExponentsAtRest(t *testing.T) {
	for _, leak := range []float64{1, 0.3} {
		const n = 20
		l := free[float64](t, models.Rate{N: n, Gain: 0.5, Leak: leak}, 1, n, 1)
		j := mat.NewDense(n, n, slices.Clone(l.Params.Data("W")))
		j.Scale(leak, j)
		for i := range n {
			j.Set(i, i, j.At(i, i)+1-leak)
		}
		values, _ := eigenvalues(t, j, mat.EigenNone)
		want := make([]float64, n)
		for i, v := range values {
			want[i] = math.Log(cmplx.Abs(v))
		}
		slices.Sort(want)
		slices.Reverse(want)
		sum := 0.0
		for i, e := range exponents(t, l, nil, nil, stability.Lyapunov{K: 2 * n, Steps: 10000}) {
			sum += e.Value - want[i]
			if !(math.Abs(e.Value-want[i]) <= 1e-3) || e.Lost > 0 || e.StdErr > 0.01 {
				t.Errorf("leak %g: exponent %d: %+v, want %.5f", leak, i, e, want[i])
			}
		}
		if !(math.Abs(sum) <= 1e-8) {
			t.Errorf("leak %g: the sum is off by %g", leak, sum)
		}
	}
}

// The sum of all exponents is the mean of log |det J|, whatever the cell and its input; and of a
// chaotic network some are positive.
func TestSumOfExponents(t *testing.T) {
	for name, m := range map[string]models.Model{
		"tanh": models.Rate{N: 9, Gain: 2.5}, "leaky": models.Rate{N: 9, Gain: 3, Leak: 0.4}, "softplus": models.Rate{N: 5, Activation: "softplus"}, "gru": models.GRU{N: 6},
	} {
		t.Run(name, func(t *testing.T) {
			const steps = 300
			l := free[float64](t, m, 2, 4, 2)
			z0 := make([]float64, l.Units)
			z0[0] = 1
			drive := noise[float64](0.5)
			found := exponents(t, l, drive, z0, stability.Lyapunov{K: l.Units, Steps: steps, Warmup: 10, Seed: 3})
			sum, dets := 0.0, 0.0
			for _, e := range found {
				sum += e.Value
			}
			x, next := make([]float64, 2), make([]float64, l.Units)
			for k := range steps + 10 {
				drive(k, x)
				here, err := l.At(x, z0)
				if err != nil {
					t.Fatal(err)
				}
				j, err := stability.Jacobian(ctx, here, 0)
				if err != nil {
					t.Fatal(err)
				}
				if k >= 10 {
					det, _ := mat.LogDet(j)
					dets += det / steps
				}
				if err := here.Next(next); err != nil {
					t.Fatal(err)
				}
				copy(z0, next)
			}
			if !(math.Abs(sum-dets) <= 1e-8) {
				t.Errorf("sum %.12g, mean log |det J| %.12g", sum, dets)
			}
		})
	}
}

// Exponents of a linear cell with a diagonal matrix are logarithms, in any number at a time, and do not depend on
// the size of the batch; where the cell forgets they are −∞.
func TestExponentsOfDiagonal(t *testing.T) {
	w := diagonal(0.9, -0.5, 0, 0.7, 1e-3)
	want := []float64{math.Log(0.9), math.Log(0.7), math.Log(0.5), math.Log(1e-3), math.Inf(-1)}
	for _, batch := range []int{1, 2, 5} {
		l := free[float64](t, models.Rate{N: 5, Activation: "linear"}, 1, batch, 1)
		update(l, func() { copy(l.Params.Data("W"), w) })
		for k := 1; k <= 5; k++ {
			for i, e := range exponents(t, l, nil, nil, stability.Lyapunov{K: k, Steps: 100, Warmup: 300}) {
				if i == 4 {
					if e.Lost != 100 || !math.IsInf(e.Value, -1) || e.Bound {
						t.Errorf("batch %d: the last of %d is %+v", batch, k, e)
					}
				} else if !(math.Abs(e.Value-want[i]) <= 1e-12) || e.Lost != 0 || e.StdErr > 1e-12 {
					t.Errorf("batch %d: exponent %d of %d is %+v, want %g", batch, i, k, e, want[i])
				}
			}
		}
		update(l, func() { clear(l.Params.Data("W")) })
		if e := exponents(t, l, nil, nil, stability.Lyapunov{Steps: 50}); e[0].Lost != 50 || !math.IsInf(e[0].Value, -1) {
			t.Errorf("W = 0: %+v", e)
		}
	}
}

// Where J is singular exponents are −∞, as many as directions vanish, also those that vanish after several steps only.
func TestLostExponents(t *testing.T) {
	u, v := []float64{1, -2, 0.5, 1}, []float64{0.2, 0.1, -0.3, 0.1}
	rankOne, overlap := make([]float64, 16), 0.0
	for i := range u {
		overlap += u[i] * v[i]
		for j := range v {
			rankOne[i*4+j] = u[i] * v[j]
		}
	}
	for name, c := range map[string]struct {
		activation string
		w          []float64
		finite     []float64
	}{
		"nilpotent":        {"tanh", []float64{0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}, nil},
		"linear nilpotent": {"linear", []float64{0, 1, 2, 3, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0}, nil},
		"rank one":         {"tanh", rankOne, []float64{math.Log(math.Abs(overlap))}},
		"no weights":       {"tanh", make([]float64, 9), nil},
		"a block of 0":     {"tanh", diagonal(0, 0.5, 0), []float64{math.Log(0.5)}},
	} {
		l := own(t, c.activation, c.w...)
		for k := 1; k <= l.Units; k++ {
			for i, e := range exponents(t, l, nil, nil, stability.Lyapunov{K: k, Steps: 200, Warmup: 100}) {
				if i < len(c.finite) {
					if !(math.Abs(e.Value-c.finite[i]) <= 1e-9) || e.Bound {
						t.Errorf("%s: exponent %d of %d is %+v, want %g", name, i, k, e, c.finite[i])
					}
				} else if !math.IsInf(e.Value, -1) || e.StdErr != 0 || e.Bound {
					t.Errorf("%s: exponent %d of %d is %+v, want −Inf", name, i, k, e)
				}
			}
		}
	}
}

// Weights that are small, or far from each other in size, make no exponent −∞.
func TestExponentsOfSmallWeights(t *testing.T) {
	slope := 1 - math.Tanh(1)*math.Tanh(1)
	for name, c := range map[string]struct {
		activation string
		w, b, want []float64
	}{
		"tiny":             {"linear", diagonal(1e-300, 1e-300), []float64{1, 1}, []float64{math.Log(1e-300), math.Log(1e-300)}},
		"tiny, tanh":       {"tanh", diagonal(1e-300, 1e-300), []float64{1, 1}, []float64{math.Log(1e-300 * slope), math.Log(1e-300 * slope)}},
		"tiny, relu":       {"relu", diagonal(1e-300, 1e-300), []float64{1, 1}, []float64{math.Log(1e-300), math.Log(1e-300)}},
		"denormal":         {"linear", []float64{0x1p-1074}, nil, []float64{-1074 * math.Ln2}},
		"denormals":        {"linear", diagonal(0x1p-1060, 0x1p-1070), nil, []float64{-1060 * math.Ln2, -1070 * math.Ln2}},
		"large and tiny":   {"linear", diagonal(0.5, 1e-320), nil, []float64{math.Log(0.5), math.Log(1e-300) + math.Log(1e-20)}},
		"tiny and 0":       {"linear", diagonal(1e-300, 0), nil, []float64{math.Log(1e-300), math.Inf(-1)}},
		"tiny nilpotent":   {"linear", []float64{0, 1e-200, 0, 0}, nil, []float64{math.Inf(-1), math.Inf(-1)}},
		"tiny rank one":    {"linear", []float64{1e-200, 2e-200, 1e-200, 2e-200}, nil, []float64{math.Log(3e-200), math.Inf(-1)}},
		"tiny in rotation": {"linear", []float64{0, -1e-180, 1e-180, 0}, nil, []float64{math.Log(1e-180), math.Log(1e-180)}},
	} {
		l := weighted(t, c.activation, c.w, c.b)
		for i, e := range exponents(t, l, nil, nil, stability.Lyapunov{K: l.Units, Steps: 200, Warmup: 100}) {
			if e.Value != c.want[i] && !(math.Abs(e.Value-c.want[i]) <= 1e-3+e.StdErr) || e.Bound || e.StdErr > 0.01 {
				t.Errorf("%s: exponent %d is %+v, want %g", name, i, e, c.want[i])
			}
		}
	}
	// Of a regular J whose entries are too far apart the second is a bound.
	for _, e := range exponents(t, weighted(t, "linear", []float64{0, 1, 1e-20, 0}, nil), nil, nil, stability.Lyapunov{K: 2, Steps: 200}) {
		if want := math.Log(1e-10); !e.Bound && !(math.Abs(e.Value-want) <= 1e-2) || e.Bound && !(e.Value >= want) {
			t.Errorf("%+v, want %g or a bound of it", e, want)
		}
	}
}

// What rounding loses of a regular J is an upper bound, not −∞.
func TestExponentsLostToRounding(t *testing.T) {
	l := own(t, "tanh", 3, 2, -2, 3)
	found := exponents(t, l, noise[float64](30), nil, stability.Lyapunov{K: 2, Steps: 400})
	if e := found[1]; e.Lost == 0 || e.Lost == 400 || !e.Bound || math.IsInf(e.Value, -1) {
		t.Errorf("the second exponent is %+v", e)
	}
	// Alone, the slope of a saturated unit is told however small: 1/cosh² 30 of a gain of 30.
	l = own(t, "tanh", diagonal(30, 40)...)
	found = exponents(t, l, nil, nil, stability.Lyapunov{K: 2, Steps: 100})
	for i, w := range []float64{30, 40} {
		want := math.Log(w) - 2*math.Log(math.Cosh(w))
		if e := found[i]; !(math.Abs(e.Value-want) <= 1e-9) || e.Bound {
			t.Errorf("exponent %d is %+v, want %g", i, e, want)
		}
	}
}

// theory is the largest exponent of z ← tanh(Wz + σξ), W = g·randn/√n, for n → ∞, and 0 < g:
// λ = ½ ln g²⟨φ′²⟩ with Δ = g²⟨φ²⟩ + σ².
func theory(g, sigma float64) float64 {
	mean := func(delta float64, f func(x float64) float64) (sum float64) {
		const h = 0.01
		for x := -9.0; x <= 9; x += h {
			sum += h * math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) * f(math.Tanh(math.Sqrt(delta)*x))
		}
		return sum
	}
	delta, last := 1.0, 0.0
	for math.Abs(delta-last) > 1e-12 {
		delta, last = g*g*mean(delta, func(y float64) float64 { return y * y })+sigma*sigma, delta
	}
	return math.Log(g*g*mean(delta, func(y float64) float64 { return (1 - y*y) * (1 - y*y) })) / 2
}

// Large random networks: mean and standard deviation over networks of x ← W tanh x, measured for
// the same sizes with other programs, and the theory for infinite size.
func TestExponentsOfRandomNetworks(t *testing.T) {
	for _, c := range []struct {
		n                   int
		gain, sigma         float64
		networks            int
		listed, sd, atLarge float64 // NaN: not listed
	}{
		{100, 0.5, 0, 10, -0.648, 0.035, -0.693},
		{100, 0.9, 0, 10, -0.060, 0.035, -0.105},
		{100, 2, 0, 10, 0.114, 0.052, 0.1547},
		{100, 3, 0, 10, 0.284, 0.006, 0.3103},
		{500, 2, 0, 2, 0.152, 0.001, 0.1547},
		{500, 0.5, 1, 1, -1.099, 0, -1.096},
		{500, 2, 1, 1, 0.042, 0, math.NaN()},
	} {
		found, err := stability.RandomNetworks(ctx, models.Rate{N: c.n, Gain: c.gain}, c.sigma, c.networks, stability.Lyapunov{Steps: 2000, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		mean, _ := leadingOf(found)
		if tol := max(1.5*c.sd, 0.005); !(math.Abs(mean-c.listed) <= tol) {
			t.Errorf("n %d gain %g σ %g: %.4f over %d networks, want %.4f within %.4f", c.n, c.gain, c.sigma, mean, c.networks, c.listed, tol)
		}
		if l := theory(c.gain, c.sigma); !math.IsNaN(c.atLarge) && !(math.Abs(l-c.atLarge) <= 1e-3) {
			t.Errorf("gain %g σ %g: theory %.4f, want %.4f", c.gain, c.sigma, l, c.atLarge)
		}
	}
}

// Without saturation the gain decides alone: λ = ln(g/√2), as half of the units are on.
func TestExponentsOfReluNetworks(t *testing.T) {
	const networks, gain = 30, 1.5
	found, err := stability.RandomNetworks(ctx, models.Rate{N: 200, Gain: gain, Activation: "relu"}, 0, networks, stability.Lyapunov{Steps: 500, Warmup: 200})
	if err != nil {
		t.Fatal(err)
	}
	mean, sd := leadingOf(found)
	if want, tol := math.Log(gain/math.Sqrt2), 3*sd/math.Sqrt(networks); !(math.Abs(mean-want) <= tol) || tol > 0.06 {
		t.Errorf("%.4f over %d networks, want %.4f within %.4f", mean, networks, want, tol)
	}
}

// leadingOf is the mean and the standard deviation of the largest exponents of networks.
func leadingOf(networks [][]stability.Exponent) (mean, sd float64) {
	values := make([]float64, len(networks))
	for i, e := range networks {
		values[i] = e[0].Value
	}
	return stat.MeanStdDev(values, nil)
}

func TestExponentsInFloat32(t *testing.T) {
	m := models.Rate{N: 40, Gain: 0.8}
	wide := exponents(t, free[float64](t, m, 1, 8, 1), nil, nil, stability.Lyapunov{K: 8, Steps: 500})
	for i, e := range exponents(t, free[float32](t, m, 1, 8, 1), nil, nil, stability.Lyapunov{K: 8, Steps: 500}) {
		if !(math.Abs(e.Value-wide[i].Value) <= 1e-3) {
			t.Errorf("exponent %d: %v, want %v", i, e.Value, wide[i].Value)
		}
	}
}

// The standard error is about the spread over stretches of the attractor.
func TestStandardError(t *testing.T) {
	l := free[float64](t, models.Rate{N: 50, Gain: 3}, 1, 1, 1)
	var values, errors []float64
	for seed := range uint64(20) {
		e := exponents(t, l, nil, nil, stability.Lyapunov{Steps: 1000, Seed: seed})[0]
		values, errors = append(values, e.Value), append(errors, e.StdErr)
	}
	sd, se := stat.StdDev(values, nil), stat.Mean(errors, nil)
	if se < sd/2 || se > 2*sd {
		t.Errorf("standard error %.4g, spread %.4g", se, sd)
	}
}

func TestRepeating(t *testing.T) {
	d := stability.Repeating([]float64{1, 2, 3, 4, 5, 6})
	x := make([]float64, 2)
	for step, want := range [][]float64{{1, 2}, {3, 4}, {5, 6}, {1, 2}} {
		if d(step, x); !slices.Equal(x, want) {
			t.Errorf("step %d: %v, want %v", step, x, want)
		}
	}
}

func TestBadExponents(t *testing.T) {
	l := free[float64](t, models.Rate{N: 5, Activation: "linear", Gain: 3}, 1, 1, 1)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		z0   []float64
		o    stability.Lyapunov
		want string
	}{
		"no exponents": {ctx, nil, stability.Lyapunov{K: -1}, "expected at least 1 exponent, found -1"},
		"many steps":   {ctx, nil, stability.Lyapunov{Steps: math.MaxInt}, "expected at most 1000000000"},
		"few steps":    {ctx, nil, stability.Lyapunov{Steps: 3}, "found 3 in 20 blocks"},
		"short state":  {ctx, make([]float64, 4), stability.Lyapunov{}, "4 numbers: expected 5"},
		"unbounded":    {ctx, nil, stability.Lyapunov{}, "not finite"},
		"cancelled":    {cancelled, nil, stability.Lyapunov{}, "canceled"},
	} {
		if _, err := stability.Exponents(c.ctx, l, nil, c.z0, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
