package solvers_test

import (
	"context"
	"math"
	"testing"

	"attractor/solvers"
	"attractor/solvers/solvertest"
)

// offAdjoint solves p by Broyden's method and returns how far −Hᵀℓ is from the (I − Jᵀ)⁻¹ℓ of LU, relative,
// for the ℓ of p and for one that the solver was not told of.
func offAdjoint(t *testing.T, p solvers.Problem[float64], m solvers.Broyden[float64], rtol float64) (own, other float64) {
	t.Helper()
	v, err := solvers.New(solvers.Method[float64](m), 1, p.Dim, solvers.Settings{RTol: rtol, MaxEvals: 2000})
	if err != nil {
		t.Fatal(err)
	}
	z, all := make([]float64, p.Dim), []int{0}
	if rep, err := v.Solve(context.Background(), p, z); err != nil || rep.Err() != nil {
		t.Fatal(err, rep.Err())
	}
	if err := p.Linearise(all, z); err != nil {
		t.Fatal(err)
	}
	off := func(l []float64) float64 {
		want := make([]float64, p.Dim)
		adjoint := solvers.Problem[float64]{Batch: 1, Dim: p.Dim, F: func(rows []int, u, fu []float64) error {
			if err := p.VJP(rows, u, fu); err != nil {
				return err
			}
			for i := range fu {
				fu[i] += l[i]
			}
			return nil
		}}
		if _, err := solvers.Solve(context.Background(), adjoint, want, solvers.LU[float64]{}, solvers.Settings{RTol: 1e-14}); err != nil {
			t.Fatal(err)
		}
		u, d := make([]float64, p.Dim), 0.0
		v.Stepper().(solvers.Inverse[float64]).ApplyHT(0, l, u)
		for i := range u {
			d += (u[i] + want[i]) * (u[i] + want[i])
		}
		return math.Sqrt(d / inner(want, want))
	}
	l, stranger := make([]float64, p.Dim), make([]float64, p.Dim)
	if err := p.Outer(all, z, l); err != nil {
		t.Fatal(err)
	}
	for i := range stranger {
		stranger[i] = math.Cos(float64(i * i))
	}
	return off(l), off(stranger)
}

// Where Broyden's method is aware of the loss, −Hᵀ∂L/∂z tends to the adjoint as the tolerance of the solve
// falls. Where it is not, and for a loss that it is not aware of, it does not, though on the affine map
// of three dimensions the method takes the 2n steps after which it ends (D. M. Gay, SIAM J. Numer. Anal. 16
// (1979) 623–630, doi:10.1137/0716047).
func TestAwareInverse(t *testing.T) {
	const seeds = 5
	for name, problem := range map[string]func(seed uint64) solvers.Problem[float64]{
		"affine/3": func(s uint64) solvers.Problem[float64] {
			return solvertest.Batch(solvertest.Random[float64](3, 0.8, s))
		},
		"affine/12": func(s uint64) solvers.Problem[float64] {
			return solvertest.Batch(solvertest.Random[float64](12, 0.8, s))
		},
		"affine/200": func(s uint64) solvers.Problem[float64] {
			return solvertest.Batch(solvertest.Random[float64](200, 0.8, s))
		},
		"tanh/100": func(s uint64) solvers.Problem[float64] {
			p := tanhNet(int64(s), 0.9)
			p.Outer = solvertest.Batch(solvertest.Shift[float64](100)).Outer
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			mean := func(m solvers.Broyden[float64], rtol float64) (own, other float64) {
				for seed := range uint64(seeds) {
					a, b := offAdjoint(t, problem(seed), m, rtol)
					own, other = own+a/seeds, other+b/seeds
				}
				return own, other
			}
			for _, test := range []struct{ rtol, bound float64 }{{1e-2, 0.2}, {1e-4, 5e-3}, {1e-6, 1e-3}, {1e-8, 5e-5}, {1e-12, 5e-6}} {
				own, other := mean(solvers.Broyden[float64]{Memory: -1, Aware: 1}, test.rtol)
				blind, _ := mean(solvers.Broyden[float64]{Memory: -1}, test.rtol)
				t.Logf("rtol %g: off by %.2g, by %.2g for another loss, by %.2g unaware", test.rtol, own, other, blind)
				if own > test.bound {
					t.Errorf("rtol %g: off by %.2g, want at most %g", test.rtol, own, test.bound)
				}
				if blind < 0.1 || other < 0.1 {
					t.Errorf("rtol %g: unaware off by only %.2g, for another loss by only %.2g", test.rtol, blind, other)
				}
			}
		})
	}
}

// The update depends on the direction of the gradient alone, however short or long it is, and one that is 0 or
// not finite changes nothing.
func TestAwareOfDirection(t *testing.T) {
	inverse := func(scale float32) []float32 {
		p := solvertest.Batch(solvertest.Random[float32](12, 0.8, 3))
		outer := p.Outer
		p.Outer = func(rows []int, z, dz []float32) error {
			err := outer(rows, z, dz)
			for i := range dz {
				dz[i] *= scale
			}
			return err
		}
		v, err := solvers.New(solvers.Method[float32](solvers.Broyden[float32]{Memory: -1, Aware: 1}), 1, p.Dim, solvers.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		rep, err := v.Solve(context.Background(), p, make([]float32, p.Dim))
		if err != nil || rep.Err() != nil {
			t.Fatal(scale, err, rep.Err())
		}
		all := make([]float32, 0, p.Dim*p.Dim)
		for k := range p.Dim {
			unit, column := make([]float32, p.Dim), make([]float32, p.Dim)
			unit[k] = 1
			v.Stepper().(solvers.Inverse[float32]).ApplyH(0, unit, column)
			all = append(all, column...)
		}
		return all
	}
	off := func(a, b []float32) float64 {
		d := 0.0
		for i := range a {
			d = max(d, math.Abs(float64(a[i]-b[i])))
		}
		return d
	}
	want, none := inverse(1), inverse(0)
	for _, scale := range []float32{0x1p-60, 0x1p-20, 0x1p20, 0x1p60} {
		if d := off(inverse(scale), want); !(d <= 1e-5) {
			t.Errorf("gradient times %g: H differs by %g", scale, d)
		}
	}
	if d := off(none, want); !(d >= 0.1) {
		t.Errorf("H is the same for no gradient, but for %g", d)
	}
	for _, scale := range []float32{1e-44, float32(math.NaN()), float32(math.Inf(1))} {
		if d := off(inverse(scale), none); !(d <= 0) {
			t.Errorf("gradient times %g: H differs by %g from that without", scale, d)
		}
	}
}
