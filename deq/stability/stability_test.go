package stability_test

import (
	"context"
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"

	"gonum.org/v1/gonum/mat"
)

var ctx = context.Background()

// point returns an equilibrium of z = φ(Wz + x + b), with as many samples as x has rows.
func point[T deq.Float](t *testing.T, m models.Rate, w []float64, samples, batch int) *deq.Equilibrium[T] {
	t.Helper()
	n := int(math.Sqrt(float64(len(w))))
	m.N = n
	l, err := deq.New[T](m, n, 1, 1, deq.Config{Batch: batch, Shard: 4})
	if err != nil {
		t.Fatal(err)
	}
	update(l, func() {
		for i, v := range w {
			l.Params.Data("W")[i] = T(v)
		}
	})
	r := rng.Stream(3, "test")
	x := make([]T, samples*n)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	if m.Activation == "linear" {
		e, err := l.At(x, make([]T, samples*n))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	s := solvers.Settings{RTol: 1e-5}
	if _, double := any(T(0)).(float64); double {
		s.RTol = 1e-14
	}
	e, err := l.Solve(ctx, x, nil, deq.Solver[T]{Method: solvers.Anderson[T]{}, Settings: s})
	if err != nil || e.Report.Failed() > 0 {
		t.Fatal(err, e.Report.Err())
	}
	return e
}

var linear = models.Rate{Activation: "linear"}

func gaussian(n int, gain float64) []float64 {
	r := rng.Stream(7, "test")
	w := make([]float64, n*n)
	for i := range w {
		w[i] = gain / math.Sqrt(float64(n)) * r.NormFloat64()
	}
	return w
}

// dense is diag(φ′)·W at z = tanh, by hand.
func dense[T deq.Float](e *deq.Equilibrium[T], sample int) *mat.Dense {
	n := e.Layer().Units
	j := mat.NewDense(n, n, nil)
	w := e.Layer().Params.Data("W")
	for i := range n {
		slope := 1.0
		if e.Layer().Model.(models.Rate).Activation == "tanh" {
			z := float64(e.Z[sample*n+i])
			slope = 1 - z*z
		}
		for k := range n {
			j.Set(i, k, slope*float64(w[i*n+k]))
		}
	}
	return j
}

func eigenvalues(t *testing.T, j *mat.Dense, kind mat.EigenKind) ([]complex128, *mat.CDense) {
	t.Helper()
	var e mat.Eigen
	if !e.Factorize(j, kind) {
		t.Fatal("eigenvalues of the reference did not converge")
	}
	vectors := new(mat.CDense)
	if kind != mat.EigenNone {
		e.VectorsTo(vectors)
	}
	return e.Values(nil), vectors
}

func largest(values []complex128) float64 {
	r := 0.0
	for _, v := range values {
		r = max(r, cmplx.Abs(v))
	}
	return r
}

// rotations is block diagonal with the pairs r·e^±iθ.
func rotations(polar ...[2]float64) []float64 {
	n := 2 * len(polar)
	w := make([]float64, n*n)
	for k, p := range polar {
		s, c := math.Sincos(p[1])
		i := 2 * k
		w[i*n+i], w[i*n+i+1] = p[0]*c, -p[0]*s
		w[(i+1)*n+i], w[(i+1)*n+i+1] = p[0]*s, p[0]*c
	}
	return w
}

func diagonal(values ...float64) []float64 {
	n := len(values)
	w := make([]float64, n*n)
	for i, v := range values {
		w[i*n+i] = v
	}
	return w
}

func TestGrowth(t *testing.T) {
	shift := make([]float64, 25) // nilpotent: z_i ← z_i+1
	for i := range 4 {
		shift[i*5+i+1] = 1
	}
	skewed := rotations([2]float64{0.937, 1.5}, [2]float64{0.5, 0.3}) // a pair that is not orthogonal
	for i := range 4 {
		skewed[0*4+i] *= 5
		skewed[i*4+0] /= 5
	}
	for _, c := range []struct {
		name string
		w    []float64
		want float64
		tol  float64
	}{
		{"diagonal", diagonal(0.2, -0.9, 0.5), 0.9, 1e-12},
		{"complex pair", rotations([2]float64{0.937, 1.5}, [2]float64{0.3, 1}), 0.937, 1e-12},
		{"skewed pair", skewed, 0.937, 0.01},
		{"nilpotent", shift, 0, 0},
		{"zero", make([]float64, 9), 0, 0},
		{"unstable", diagonal(1.5, 0.1), 1.5, 1e-12},
	} {
		t.Run(c.name, func(t *testing.T) {
			rates, err := stability.Growth(point[float64](t, linear, c.w, 3, 3), 400, 1)
			if err != nil {
				t.Fatal(err)
			}
			for b, r := range rates {
				if !(math.Abs(r.Radius-c.want) <= c.tol) || r.Spread > 4*c.tol {
					t.Errorf("sample %d: %v, want %g within %g", b, r, c.want, c.tol)
				}
			}
			single, err := stability.Growth(point[float32](t, linear, c.w, 3, 3), 400, 1)
			if err != nil {
				t.Fatal(err)
			}
			if r := single[0]; !(math.Abs(r.Radius-c.want) <= c.tol+1e-6) {
				t.Errorf("float32: %v, want %g", r, c.want)
			}
		})
	}
	if _, err := stability.Growth(point[float64](t, linear, shift, 1, 1), 3, 1); err == nil {
		t.Error("3 steps are accepted")
	}
}

// The estimate nears gonum's eigenvalues of the dense Jacobian like 1/steps, and so does its
// spread.
func TestGrowthConverges(t *testing.T) {
	e := point[float64](t, models.Rate{Activation: "tanh"}, gaussian(60, 0.9), 5, 5)
	for b := range e.Rows {
		values, _ := eigenvalues(t, dense(e, b), mat.EigenNone)
		want := largest(values)
		for _, steps := range []int{40, 400, 4000} {
			rates, err := stability.Growth(e, steps, 1)
			if err != nil {
				t.Fatal(err)
			}
			off := math.Abs(rates[b].Radius - want)
			if off > 1/float64(steps) || rates[b].Spread > 2/float64(steps) {
				t.Errorf("sample %d: off by %.2g after %d steps, spread %.2g", b, off, steps, rates[b].Spread)
			}
		}
	}
}

func TestSpectrum(t *testing.T) {
	spectrum(t, func(t *testing.T) *deq.Equilibrium[float64] {
		return point[float64](t, models.Rate{Activation: "tanh"}, gaussian(30, 0.9), 3, 7)
	}, 1e-12)
	spectrum(t, func(t *testing.T) *deq.Equilibrium[float32] {
		return point[float32](t, models.Rate{Activation: "tanh"}, gaussian(30, 0.9), 3, 7)
	}, 2e-5)
}

func spectrum[T deq.Float](t *testing.T, at func(t *testing.T) *deq.Equilibrium[T], tol float64) {
	e := at(t)
	radii, err := stability.SpectralRadius(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	norms, err := stability.Norm(ctx, e, stability.Arnoldi{Restarts: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for b := range e.Rows {
		want := dense(e, b)
		got, err := stability.Jacobian(ctx, e, b)
		if err != nil {
			t.Fatal(err)
		}
		if !mat.EqualApprox(got, want, tol) {
			t.Errorf("sample %d: the Jacobian is off", b)
		}
		values, err := stability.Spectrum(ctx, e, b)
		if err != nil {
			t.Fatal(err)
		}
		ref, _ := eigenvalues(t, want, mat.EigenNone)
		for _, v := range values {
			if d := nearest(v, ref); !(d <= 100*tol) {
				t.Errorf("sample %d: eigenvalue %v is off by %.2g", b, v, d)
			}
		}
		for i := range values[1:] {
			if !(cmplx.Abs(values[i+1]) <= cmplx.Abs(values[i])*(1+1e-9)) || imag(values[i]) < 0 && cmplx.Conj(values[i]) != values[i-1] {
				t.Errorf("sample %d: not sorted: %v, %v", b, values[i], values[i+1])
			}
		}
		if r := largest(ref); !(math.Abs(radii[b]-r) <= 100*tol) {
			t.Errorf("sample %d: radius %g, want %g", b, radii[b], r)
		}
		var svd mat.SVD
		svd.Factorize(want, mat.SVDNone)
		singular, err := stability.SingularValues(ctx, e, b)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range svd.Values(nil) {
			if !(math.Abs(s-singular[i]) <= 10*tol) {
				t.Errorf("sample %d: singular value %d is %g, want %g", b, i, singular[i], s)
			}
		}
		if !(math.Abs(norms[b]-singular[0]) <= 10*tol) {
			t.Errorf("sample %d: norm %g, want %g", b, norms[b], singular[0])
		}
		abscissa := math.Inf(-1)
		for _, v := range ref {
			abscissa = max(abscissa, real(v))
		}
		if a := stability.Abscissa(values); !(math.Abs(a-abscissa) <= 100*tol) {
			t.Errorf("sample %d: abscissa %g, want %g", b, a, abscissa)
		}
	}
}

func nearest(v complex128, all []complex128) float64 {
	d := math.Inf(1)
	for _, w := range all {
		d = min(d, cmplx.Abs(v-w))
	}
	return d
}

func TestLeading(t *testing.T) {
	shift := make([]float64, 25)
	for i := range 4 {
		shift[i*5+i+1] = 1
	}
	tanh := models.Rate{Activation: "tanh"}
	low := make([]float64, 40*40) // of rank 2
	for i := range 40 {
		for j := range 40 {
			low[i*40+j] = math.Sin(float64(i))*math.Cos(float64(j)+1)/10 - math.Cos(float64(2*i))*math.Sin(float64(j))/20
		}
	}
	for _, c := range []struct {
		name  string
		model models.Rate
		w     []float64
		a     stability.Arnoldi
	}{
		{"random", tanh, gaussian(80, 0.9), stability.Arnoldi{K: 4}},
		{"random left", tanh, gaussian(80, 0.9), stability.Arnoldi{K: 4, Left: true}},
		{"rightmost", tanh, gaussian(80, 0.9), stability.Arnoldi{K: 4, Order: "real", Restarts: 300}},
		{"small", tanh, gaussian(5, 0.9), stability.Arnoldi{}},
		{"one unit", tanh, []float64{0.7}, stability.Arnoldi{K: 3}},
		{"pairs", linear, rotations([2]float64{0.9, 1.5}, [2]float64{0.8, 2}, [2]float64{0.3, 1}), stability.Arnoldi{K: 3}},
		{"identity", linear, diagonal(slices.Repeat([]float64{0.5}, 30)...), stability.Arnoldi{K: 3}},
		{"low rank", linear, low, stability.Arnoldi{K: 2}},
		{"zero", linear, make([]float64, 900), stability.Arnoldi{K: 2}},
		{"small basis", tanh, gaussian(40, 0.9), stability.Arnoldi{K: 2, Basis: 8, Restarts: 500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lead(t, point[float64](t, c.model, c.w, 3, 3), c.a, 1e-8)
			lead(t, point[float32](t, c.model, c.w, 3, 3), c.a, 1e-3)
		})
	}
	// A nilpotent matrix, whose eigenvalues any rounding would move far.
	found, err := stability.Leading(ctx, point[float64](t, linear, shift, 1, 1), stability.Arnoldi{K: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r := largest(found[0].Values); !(r <= 1e-3) {
		t.Errorf("nilpotent: radius %g", r)
	}
}

func lead[T deq.Float](t *testing.T, e *deq.Equilibrium[T], a stability.Arnoldi, tol float64) {
	t.Helper()
	found, err := stability.Leading(ctx, e, a)
	if err != nil {
		t.Fatal(err)
	}
	for b, f := range found {
		j := dense(e, b)
		ref, _ := eigenvalues(t, j, mat.EigenNone)
		key := func(v complex128) float64 { return cmplx.Abs(v) }
		if a.Order == "real" {
			key = func(v complex128) float64 { return real(v) }
		}
		slices.SortFunc(ref, func(x, y complex128) int {
			if key(x) > key(y) {
				return -1
			}
			return 1
		})
		if !f.Converged {
			t.Errorf("sample %d: not converged: %v ± %v after %d products", b, f.Values, f.Residual, f.Products)
		}
		if k := len(f.Values); k < min(max(1, a.K), len(ref)) || a.K > 0 && k > a.K+1 {
			t.Errorf("sample %d: %d eigenvalues, want %d", b, k, a.K)
		}
		for i, v := range f.Values {
			if !(math.Abs(key(v)-key(ref[i])) <= tol) || nearest(v, ref) > tol {
				t.Errorf("sample %d: eigenvalue %d is %v, want one like %v", b, i, v, ref[i])
			}
			if d := off(j, v, f.Vectors[i], a.Left); !(d <= tol) {
				t.Errorf("sample %d: vector %d leaves %.2g", b, i, d)
			}
		}
	}
}

// off is ‖Jx − λx‖, or ‖xᴴJ − λxᴴ‖ for a left vector.
func off(j *mat.Dense, v complex128, x []complex128, left bool) float64 {
	sum, norm := 0.0, 0.0
	for i := range x {
		jx := complex128(0)
		for k := range x {
			if left {
				jx += cmplx.Conj(x[k]) * complex(j.At(k, i), 0)
			} else {
				jx += complex(j.At(i, k), 0) * x[k]
			}
		}
		xi := x[i]
		if left {
			xi = cmplx.Conj(xi)
		}
		sum = math.Hypot(sum, cmplx.Abs(jx-v*xi))
		norm = math.Hypot(norm, cmplx.Abs(xi))
	}
	return sum + math.Abs(norm-1)
}

// SpectralRadius beyond the size for which it takes the full spectrum.
func TestSpectralRadiusOfManyUnits(t *testing.T) {
	e := point[float64](t, models.Rate{Activation: "tanh"}, gaussian(210, 0.95), 2, 4)
	radii, err := stability.SpectralRadius(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	for b, r := range radii {
		values, _ := eigenvalues(t, dense(e, b), mat.EigenNone)
		if want := largest(values); !(math.Abs(r-want) <= 1e-8) {
			t.Errorf("sample %d: radius %g, want %g", b, r, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	e := point[float64](t, linear, gaussian(30, 1), 1, 1)
	for name, a := range map[string]stability.Arnoldi{
		"negative count": {K: -1}, "order": {Order: "imaginary"}, "basis": {K: 6, Basis: 7}, "tolerance": {Tol: -1}, "restarts": {Restarts: -1},
	} {
		if _, err := stability.Leading(ctx, e, a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	update(e.Layer(), func() { e.Layer().Params.Data("W")[3] = math.NaN() })
	e, err := e.Layer().At(e.X, e.Z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stability.Leading(ctx, e, stability.Arnoldi{}); err == nil {
		t.Error("NaN in J: eigenvalues found")
	}
	if _, err := stability.Spectrum(ctx, e, 0); err == nil {
		t.Error("NaN in J: a spectrum found")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := stability.Leading(cancelled, e, stability.Arnoldi{}); err == nil {
		t.Error("cancelled: eigenvalues found")
	}
}

func TestTooManyUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a network of 1,025 units")
	}
	e := point[float32](t, linear, make([]float64, (stability.MaxDense+1)*(stability.MaxDense+1)), 1, 1)
	if _, err := stability.Spectrum(ctx, e, 0); err == nil {
		t.Error("accepted")
	}
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}
