// Package solvertest is the contract of solvers: maps with known fixed points, and the
// tests that every method of the catalogue must pass.
package solvertest

import (
	"math"
	"math/rand/v2"

	"attractor/solvers"
)

// Map is a fixed-point problem of one sample with a known answer.
type Map[T solvers.Float] struct {
	Name     string
	Dim      int
	F        func(z, fz []T)
	JVP, VJP func(z, v, out []T)
	Want     []float64 // the fixed point; nil where there is none
	Slack    float64   // ‖z − z*‖ ≤ Slack·‖f(z) − z‖ near it
	Affine   bool
}

// Batch is the problem whose samples are the maps, which are of one dimension, for the loss
// Σ_k (z_k − k)²/2.
func Batch[T solvers.Float](maps ...Map[T]) solvers.Problem[T] {
	n := maps[0].Dim
	at := make([]T, len(maps)*n)
	return solvers.Problem[T]{
		Batch: len(maps), Dim: n,
		F: func(rows []int, z, fz []T) error {
			for i, b := range rows {
				maps[b].F(z[i*n:(i+1)*n], fz[i*n:(i+1)*n])
			}
			return nil
		},
		Outer: func(_ []int, z, dz []T) error {
			for i, v := range z {
				dz[i] = v - T(i%n)
			}
			return nil
		},
		Linearise: func(rows []int, z []T) error {
			for i, b := range rows {
				copy(at[b*n:(b+1)*n], z[i*n:(i+1)*n])
			}
			return nil
		},
		JVP: func(rows []int, v, jv []T) error {
			for i, b := range rows {
				maps[b].JVP(at[b*n:(b+1)*n], v[i*n:(i+1)*n], jv[i*n:(i+1)*n])
			}
			return nil
		},
		VJP: func(rows []int, u, ju []T) error {
			for i, b := range rows {
				maps[b].VJP(at[b*n:(b+1)*n], u[i*n:(i+1)*n], ju[i*n:(i+1)*n])
			}
			return nil
		},
	}
}

// Solvable returns maps that contract in some norm, all of which a method must solve.
func Solvable[T solvers.Float]() []Map[T] {
	return []Map[T]{
		Rotation[T](), Linear[T](0.9), Linear[T](0.99), Linear[T](0.999), Cos[T](5), Random[T](200, 0.8, 1),
	}
}

// Rotation turns by 90° and shrinks by 0.999: no step is a descent direction of ‖g‖.
func Rotation[T solvers.Float]() Map[T] {
	const c = 0.999
	f := func(z, out []T, s T, b0, b1 T) { out[0], out[1] = b0-s*z[1], b1+s*z[0] }
	d := 1 + c*c
	return Map[T]{
		Name: "rotation", Dim: 2, Affine: true, Slack: 1,
		F:   func(z, fz []T) { f(z, fz, c, 1, 2) },
		JVP: func(_, v, out []T) { f(v, out, c, 0, 0) },
		VJP: func(_, u, out []T) { f(u, out, -c, 0, 0) },
		// (I − cR)z = b
		Want: []float64{(1 - 2*c) / d, (2 + c) / d},
	}
}

// Linear is z ← Λz + b with ten eigenvalues from 0 to ratio.
func Linear[T solvers.Float](ratio float64) Map[T] {
	const n = 10
	lambda, want := make([]T, n), make([]float64, n)
	for i := range n {
		lambda[i] = T(ratio * float64(i) / (n - 1))
		want[i] = 1 / (1 - float64(lambda[i]))
	}
	times := func(_, v, out []T) {
		for i, x := range v {
			out[i] = lambda[i] * x
		}
	}
	return Map[T]{
		Name: "linear", Dim: n, Affine: true, Want: want, Slack: 1 / (1 - ratio), JVP: times, VJP: times,
		F: func(z, fz []T) {
			for i, x := range z {
				fz[i] = lambda[i]*x + 1
			}
		},
	}
}

// Cos is the cosine of each of n components.
func Cos[T solvers.Float](n int) Map[T] {
	want := make([]float64, n)
	for i := range want {
		want[i] = 0.7390851332151607
	}
	times := func(z, v, out []T) {
		for i, x := range v {
			out[i] = T(-math.Sin(float64(z[i]))) * x
		}
	}
	return Map[T]{
		Name: "cos", Dim: n, Want: want, Slack: 1, JVP: times, VJP: times,
		F: func(z, fz []T) {
			for i, x := range z {
				fz[i] = T(math.Cos(float64(x)))
			}
		},
	}
}

// Random is z ← Az + b with a Gaussian matrix of that spectral radius.
func Random[T solvers.Float](n int, radius float64, seed uint64) Map[T] {
	r := rand.New(rand.NewPCG(seed, 0))
	a, b, want := make([]T, n*n), make([]T, n), make([]float64, n)
	for i := range a {
		a[i] = T(radius / math.Sqrt(float64(n)) * r.NormFloat64())
	}
	for i := range want {
		want[i] = r.NormFloat64()
	}
	for i := range b {
		s := want[i]
		for j, w := range want {
			s -= float64(a[i*n+j]) * w
		}
		b[i] = T(s)
	}
	times := func(_, v, out []T) {
		for i := range out {
			var s float64
			for j, x := range v {
				s += float64(a[i*n+j]) * float64(x)
			}
			out[i] = T(s)
		}
	}
	return Map[T]{
		Name: "random affine", Dim: n, Affine: true, Want: want, Slack: 20, JVP: times,
		F: func(z, fz []T) {
			times(nil, z, fz)
			for i := range fz {
				fz[i] += b[i]
			}
		},
		VJP: func(_, u, out []T) {
			clear(out)
			for i, x := range u {
				for j := range out {
					out[j] += a[i*n+j] * x
				}
			}
		},
	}
}

// Shift is z ← z + 1, which has no fixed point; I − J is singular.
func Shift[T solvers.Float](n int) Map[T] {
	same := func(_, v, out []T) { copy(out, v) }
	return Map[T]{
		Name: "shift", Dim: n, Affine: true, JVP: same, VJP: same,
		F: func(z, fz []T) {
			for i, x := range z {
				fz[i] = x + 1
			}
		},
	}
}

// Double is z ← 2z + 1, whose fixed point −1 repels: the residual doubles, and relative to
// f(z) it does not.
func Double[T solvers.Float](n int) Map[T] {
	twice := func(_, v, out []T) {
		for i, x := range v {
			out[i] = 2 * x
		}
	}
	return Map[T]{
		Name: "double", Dim: n, Affine: true, JVP: twice, VJP: twice,
		F: func(z, fz []T) {
			for i, x := range z {
				fz[i] = 2*x + 1
			}
		},
	}
}

// NaN returns NaN.
func NaN[T solvers.Float](n int) Map[T] {
	nan := func(out []T) {
		for i := range out {
			out[i] = T(math.NaN())
		}
	}
	same := func(_, _, out []T) { nan(out) }
	return Map[T]{Name: "nan", Dim: n, Affine: true, JVP: same, VJP: same, F: func(_, fz []T) { nan(fz) }}
}
