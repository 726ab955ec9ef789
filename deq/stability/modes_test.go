package stability_test

import (
	"math"
	"math/cmplx"
	"strings"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

func TestResponse(t *testing.T) {
	const n = 20
	j := mat.NewDense(n, n, gaussian(n, 0.8))
	b := make([]float64, n)
	r := rng.Stream(4, "test")
	for i := range b {
		b[i] = r.NormFloat64()
	}
	m, err := stability.ModesOfMatrix(j)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Values {
		if d := off(j, m.Values[i], m.Right[i], false); !(d <= 1e-12) {
			t.Errorf("right vector %d leaves %.2g", i, d)
		}
		if i > 0 && cmplx.Abs(1-m.Values[i]) < cmplx.Abs(1-m.Values[i-1])-1e-12 {
			t.Errorf("%v is nearer to 1 than %v", m.Values[i], m.Values[i-1])
		}
		for k := range m.Values {
			var overlap complex128
			for c, l := range m.Left[i] {
				overlap += cmplx.Conj(l) * m.Right[k][c]
			}
			want := complex128(0)
			if i == k {
				want = 1
			}
			if !(cmplx.Abs(overlap-want) <= 1e-11) {
				t.Errorf("left %d with right %d: %v", i, k, overlap)
			}
		}
	}
	var whole mat.VecDense
	var a mat.Dense
	a.Apply(func(i, k int, v float64) float64 {
		if i == k {
			return 1 - v
		}
		return -v
	}, j)
	if err := whole.SolveVec(&a, mat.NewVecDense(n, b)); err != nil {
		t.Fatal(err)
	}
	last := math.Inf(1)
	for _, k := range []int{0, 4, 12, n + 3} {
		var d mat.VecDense
		d.SubVec(&whole, mat.NewVecDense(n, m.Response(b, k)))
		if miss := mat.Norm(&d, 2); miss >= last {
			t.Errorf("with %d modes the response is off by %g, with fewer by %g", k, miss, last)
		} else {
			last = miss
		}
	}
	if last > 1e-11 {
		t.Errorf("with all modes the response is off by %g", last)
	}
	if _, err := stability.ModesOfMatrix(mat.NewDense(2, 2, []float64{0.5, 1, 0, 0.5})); err == nil || !strings.Contains(err.Error(), "defective") {
		t.Errorf("a defective matrix: %v", err)
	}
}

func TestPlace(t *testing.T) {
	const n = 12
	j := mat.NewDense(n, n, gaussian(n, 0.8))
	into := make([]float64, n)
	r := rng.Stream(4, "test")
	for i := range into {
		into[i] = r.NormFloat64()
	}
	m, err := stability.ModesOfMatrix(j)
	if err != nil {
		t.Fatal(err)
	}
	var real0, pair complex128
	for _, v := range m.Values {
		if imag(v) > 0 {
			pair = v
		} else if imag(v) == 0 {
			real0 = v
		}
	}
	for name, c := range map[string]struct{ from, to []complex128 }{
		"one":             {[]complex128{real0}, []complex128{1.7}},
		"a pair":          {[]complex128{pair, cmplx.Conj(pair)}, []complex128{0.9 + 0.8i, 0.9 - 0.8i}},
		"a pair to reals": {[]complex128{pair, cmplx.Conj(pair)}, []complex128{-2, 1.5}},
		"three":           {[]complex128{pair, cmplx.Conj(pair), real0}, []complex128{1.2, -0.4 + 1i, -0.4 - 1i}},
		"none":            {},
	} {
		out, err := m.Place(into, c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var looped mat.Dense
		looped.Outer(1, mat.NewVecDense(n, into), mat.NewVecDense(n, out))
		looped.Add(&looped, j)
		got, _ := eigenvalues(t, &looped, mat.EigenNone)
		want := append([]complex128(nil), c.to...)
		for _, v := range m.Values {
			if len(c.from) == 0 || nearest(v, c.from) > 1e-12 {
				want = append(want, v)
			}
		}
		for _, v := range want {
			if d := nearest(v, got); !(d <= 1e-8) {
				t.Errorf("%s: no eigenvalue at %v: off by %.2g", name, v, d)
			}
		}
	}
	for want, c := range map[string]struct{ from, to []complex128 }{
		"place 1 eigenvalues at 0": {[]complex128{1}, nil},
		"expected its conjugate":   {[]complex128{pair, cmplx.Conj(pair)}, []complex128{1i, 1}},
		"is moved already":         {[]complex128{real0, real0}, []complex128{1, 2}},
	} {
		if _, err := m.Place(into, c.from, c.to); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	turning, err := stability.ModesOfMatrix(mat.NewDense(2, 2, rotations([2]float64{0.9, 1})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turning.Place(into[:2], []complex128{1}, []complex128{2}); err == nil || !strings.Contains(err.Error(), "expected the conjugate of the eigenvalue") {
		t.Errorf("one of a pair: %v", err)
	}
	if _, err := m.Place(make([]float64, n), []complex128{real0}, []complex128{2}); err == nil || !strings.Contains(err.Error(), "does not reach") {
		t.Errorf("a loop from nowhere: %v", err)
	}
}

// A random matrix with rows of different variance and a loop of rank one, m nᵀ: its bulk has the radius of theory, and
// the loop's eigenvalue n·m is the outlier, however long the vectors are for that.
func TestBulkAndOutliers(t *testing.T) {
	const n = 300
	r := rng.Stream(2, "test")
	j := mat.NewDense(n, n, nil)
	square := 0.0
	for i := range n {
		scale := 0.2 + r.Float64()
		square += scale * scale / n
		for k := range n {
			j.Set(i, k, scale*r.NormFloat64()/math.Sqrt(n))
		}
	}
	for _, c := range []struct{ along, across float64 }{{}, {along: 2.5}, {across: 6}, {2.5, 6}} {
		both := mat.DenseCopyOf(j) // m is 1 everywhere, n has a part along it and one across
		both.Apply(func(_, k int, v float64) float64 { return v + (c.along+c.across*float64(1-k%2*2))/n }, both)
		values, _ := eigenvalues(t, both, mat.EigenNone)
		radius, edge, err := stability.BulkRadius(both, values)
		if err != nil {
			t.Fatal(err)
		}
		if want := math.Sqrt(square); !(math.Abs(radius-want) <= 0.02*want) {
			t.Errorf("%+v: radius %.4f, theory %.4f", c, radius, want)
		}
		bulk, outliers := stability.Split(values, edge)
		if len(bulk)+len(outliers) != n || (c.along > 0) != (len(outliers) == 1) {
			t.Errorf("%+v: %d in the bulk, outliers %v", c, len(bulk), outliers)
		}
		if c.along > 0 && !(cmplx.Abs(outliers[0]-complex(c.along, 0)) <= 0.3) {
			t.Errorf("%+v: the outlier is %v", c, outliers[0])
		}
	}
}
