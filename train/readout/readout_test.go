package readout_test

import (
	"math"
	"testing"

	"attractor/internal/rng"
	"attractor/train/readout"
)

func normals(name string, n int) []float64 {
	r, v := rng.Stream(1, name), make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// residual returns Σ(w r − y)rᵀ + αw, which is 0 at the minimum, and the largest |w r − y|.
func residual(units, outputs int, r, y, w []float64, alpha float64) (gradient, miss float64) {
	n := len(r) / units
	g := make([]float64, len(w))
	for o := range outputs {
		for i := range n {
			e := -y[i*outputs+o]
			for k := range units {
				e += w[o*units+k] * r[i*units+k]
			}
			miss = max(miss, math.Abs(e))
			for k := range units {
				g[o*units+k] += e * r[i*units+k]
			}
		}
		for k := range units {
			g[o*units+k] += alpha * w[o*units+k]
		}
	}
	for _, v := range g {
		gradient = max(gradient, math.Abs(v))
	}
	return gradient, miss
}

func distance(a, b []float64) float64 {
	d := 0.0
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}

func TestRidge(t *testing.T) {
	const units, outputs = 8, 3
	for _, n := range []int{1, 5, 8, 30} {
		r, y := normals("r", n*units), normals("y", n*outputs)
		for _, alpha := range []float64{0, 1e-3, 2} {
			w, err := readout.Ridge(units, r, y, alpha)
			if err != nil {
				t.Fatal(err)
			}
			g, miss := residual(units, outputs, r, y, w, alpha)
			if g > 1e-10 {
				t.Errorf("%d samples, α = %g: the gradient is %.2g", n, alpha, g)
			}
			if exact := alpha == 0 && n <= units; exact != (miss < 1e-10) {
				t.Errorf("%d samples, α = %g: the outputs are off by %.2g", n, alpha, miss)
			}
		}
	}
	// One sample: w = A r/(|r|² + α).
	r := normals("r", units)
	square := 0.0
	for _, v := range r {
		square += v * v
	}
	for _, alpha := range []float64{0, 0.7} {
		w, err := readout.Ridge(units, r, []float64{2}, alpha)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range r {
			if want := 2 * v / (square + alpha); !(math.Abs(w[i]-want) <= 1e-13) {
				t.Errorf("α = %g: w[%d] = %v, want %v", alpha, i, w[i], want)
			}
		}
	}
}

// Gradient descent from 0 tends to the shortest solution of least squares.
func TestDescend(t *testing.T) {
	const units, outputs = 12, 2
	for _, n := range []int{1, 4, 40} {
		r, y := normals("r", n*units), normals("y", n*outputs)
		want, err := readout.Ridge(units, r, y, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := readout.Descend(units, r, y, 0.01, 20000)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(w, want); !(d <= 1e-10) {
			t.Errorf("%d samples: off by %.2g", n, d)
		}
		if early, err := readout.Descend(units, r, y, 0.01, 5); err != nil || distance(early, want) < 1e-6 {
			t.Errorf("%d samples: five steps are there already, or %v", n, err)
		}
	}
	if _, err := readout.Descend(2, []float64{1, 1}, []float64{1}, 10, 5000); err == nil {
		t.Error("descent with much too high a rate is accepted")
	}
}

// In the open loop recursive least squares is ridge regression on all samples so far.
func TestRLSIsRidge(t *testing.T) {
	const units, outputs, n = 9, 2, 25
	r, y := normals("r", n*units), normals("y", n*outputs)
	for _, alpha := range []float64{0.01, 1, 100} {
		s, err := readout.NewRLS(units, alpha)
		if err != nil {
			t.Fatal(err)
		}
		w, e := make([]float64, outputs*units), make([]float64, outputs)
		for i := range n {
			x := r[i*units : (i+1)*units]
			for o := range outputs {
				e[o] = -y[i*outputs+o]
				for k, v := range x {
					e[o] += w[o*units+k] * v
				}
			}
			s.Update(w, x, e)
			want, err := readout.Ridge(units, r[:(i+1)*units], y[:(i+1)*outputs], alpha)
			if err != nil {
				t.Fatal(err)
			}
			if d := distance(w, want); !(d <= 1e-10) {
				t.Fatalf("α = %g: off by %.2g after %d samples", alpha, d, i+1)
			}
			other, err := readout.Ridge(units, r[:(i+1)*units], y[:(i+1)*outputs], 2*alpha)
			if err != nil || distance(w, other) < 1e-6 {
				t.Fatalf("α = %g: not told apart from twice as much after %d samples, or %v", alpha, i+1, err)
			}
		}
	}
}

// Resumed from what it has seen, recursive least squares goes on as if it had not stopped.
func TestResumeRLS(t *testing.T) {
	const units, n, alpha = 7, 30, 0.5
	r, y := normals("r", n*units), normals("y", n)
	gram := make([]float64, units*units)
	for i := range units {
		gram[i*units+i] = alpha
	}
	through, err := readout.NewRLS(units, alpha)
	if err != nil {
		t.Fatal(err)
	}
	w, resumed := make([]float64, units), make([]float64, units)
	for i := range n {
		again, err := readout.ResumeRLS(units, gram)
		if err != nil {
			t.Fatal(err)
		}
		x := r[i*units : (i+1)*units]
		for _, s := range []struct {
			*readout.RLS
			w []float64
		}{{through, w}, {again, resumed}} {
			e := -y[i]
			for k, v := range x {
				e += s.w[k] * v
			}
			s.Update(s.w, x, []float64{e})
		}
		for k, v := range x {
			for j, u := range x {
				gram[k*units+j] += v * u
			}
		}
	}
	if d := distance(w, resumed); !(d <= 1e-12) {
		t.Errorf("off by %.2g", d)
	}
	gram[0] = -1
	for name, c := range map[string][]float64{"not positive definite": gram, "of another size": gram[1:], "not finite": append([]float64{math.NaN()}, gram[1:]...)} {
		if _, err := readout.ResumeRLS(units, c); err == nil {
			t.Errorf("a matrix that is %s is accepted", name)
		}
	}
}

func TestErrors(t *testing.T) {
	for name, f := range map[string]func() error{
		"no samples":     func() error { _, err := readout.Ridge(2, nil, nil, 0); return err },
		"half a sample":  func() error { _, err := readout.Ridge(2, []float64{1, 2, 3}, []float64{1}, 0); return err },
		"no units":       func() error { _, err := readout.Ridge(0, nil, nil, 0); return err },
		"odd targets":    func() error { _, err := readout.Ridge(1, []float64{1, 2}, []float64{1, 2, 3}, 0); return err },
		"negative alpha": func() error { _, err := readout.Ridge(1, []float64{1}, []float64{1}, -1); return err },
		"NaN":            func() error { _, err := readout.Ridge(1, []float64{math.NaN()}, []float64{1}, 1); return err },
		"dependent": func() error {
			_, err := readout.Ridge(3, []float64{1, 2, 3, 1, 2, 3}, []float64{1, 2}, 0)
			return err
		},
		"rate":     func() error { _, err := readout.Descend(1, []float64{1}, []float64{1}, 0, 1); return err },
		"rls":      func() error { _, err := readout.NewRLS(3, 0); return err },
		"rls size": func() error { _, err := readout.NewRLS(0, 1); return err },
	} {
		if f() == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
