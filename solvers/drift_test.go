package solvers_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"attractor/solvers"
)

// A creep is a map of one unit that lets the state go on for ever, by less and less or by very little.
type creep struct {
	name   string
	f      func(z float64) float64
	starts []float64 // of which none is a fixed point to rounding
}

// creeps moves states by at least part of them at the starts, which has to be above rounding.
func creeps(part float64) []creep {
	return []creep{
		{"softplus", func(z float64) float64 { return z + math.Log1p(math.Exp(-z)) }, []float64{0, 3, -math.Log(16 * part)}},
		{"exponential", func(z float64) float64 { return z + math.Exp(-z) }, []float64{0, 3, -math.Log(16 * part)}},
		{"slow exponential", func(z float64) float64 { return z + math.Exp(-z/100) }, []float64{0, -100 * math.Log(16000*part)}},
		{"gaussian", func(z float64) float64 { return z + math.Exp(-z*z) }, []float64{0.5, 1, math.Sqrt(-math.Log(10 * part))}},
		{"inverse", func(z float64) float64 { return z + 1/z }, []float64{1, 100, 0.9 / math.Sqrt(part)}},
		{"inverse square", func(z float64) float64 { return z + 1/(z*z) }, []float64{1, 100}},
		{"arctangent", func(z float64) float64 { return z + 100*part*(math.Pi/2-math.Atan(z)) }, []float64{1, 10}},
		{"relu", func(z float64) float64 { return max(z+2*part, 0) }, []float64{1, 10 * part, 0.5}},
		{"negative relu", func(z float64) float64 { return -max(-z+10*part, 0) }, []float64{-1}},
		{"line", func(z float64) float64 { return z + 100*part }, []float64{1, -1, 50}},
	}
}

// problem is the creep of z₀, alone, beside units that contract at the rates ½ and −½, or with a unit that it drives.
func (c creep) problem(kind string) (n int, f func(z, fz []float64)) {
	switch kind {
	case "alone":
		return 1, func(z, fz []float64) { fz[0] = c.f(z[0]) }
	case "beside":
		return 3, func(z, fz []float64) { fz[0], fz[1], fz[2] = c.f(z[0]), z[1]/2+1, -z[2]/2+1 }
	}
	return 2, func(z, fz []float64) { fz[0], fz[1] = c.f(z[0]), z[1]/2+z[0] }
}

// Where there is no fixed point nothing has converged, however little the state moves, unless the drift is hidden below
// a quarter of the residual or by rounding.
func TestCreepsAreNotConverged(t *testing.T) {
	t.Run("float64", func(t *testing.T) { creepsAreNotConverged[float64](t, 1e-11, 0x1p-52) })
	t.Run("float32", func(t *testing.T) { creepsAreNotConverged[float32](t, 2e-6, 0x1p-23) })
}

func creepsAreNotConverged[T solvers.Float](t *testing.T, part, eps float64) {
	for _, c := range creeps(part) {
		for _, kind := range []string{"alone", "beside", "driving"} {
			for _, start := range c.starts {
				for _, evals := range []int{0, 2000} {
					for _, e := range solvers.Catalog[T]().Entries() {
						n, f := c.problem(kind)
						in, out := make([]float64, n), make([]float64, n)
						p := solvers.Problem[T]{Batch: 1, Dim: n, F: func(_ []int, z, fz []T) error {
							for i, v := range z {
								in[i] = float64(v)
							}
							f(in, out)
							for i, v := range out {
								fz[i] = T(v)
							}
							return nil
						}}
						z := make([]T, n)
						z[0] = T(start)
						switch kind { // the others at their fixed points
						case "beside":
							z[1], z[2] = 2, T(2./3)
						case "driving":
							z[1] = T(2 * start)
						}
						rep, err := solvers.Solve(context.Background(), p, z, e.Value, solvers.Settings{MaxEvals: evals})
						if err != nil {
							t.Fatal(err)
						}
						in[0] = float64(z[0])
						if drift := math.Abs(c.f(in[0]) - in[0]); rep.Status[0] == solvers.Converged && drift > max(0.25*rep.Residual[0], 4*eps)*size(z) {
							t.Errorf("%s %s from %g, %s: converged at %v after %d evaluations, with a residual of %.2g, %g by step",
								c.name, kind, start, e.Name, z, rep.Evals[0], rep.Residual[0], drift)
						}
					}
				}
			}
		}
	}
}

// W with the eigenvalue 1 and a drive along its eigenvector, of a small part of the state, has no fixed point: what
// says converged there has been fooled.
func TestDriftProperty(t *testing.T) {
	t.Run("float64", func(t *testing.T) { driftProperty[float64](t, -12) })
	t.Run("float32", func(t *testing.T) { driftProperty[float32](t, -5.5) })
}

func driftProperty[T solvers.Float](t *testing.T, least float64) {
	entries, linear := solvers.Catalog[T]().Entries(), solvers.Linear[T]().Entries()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		n := rapid.IntRange(1, 8).Draw(t, "n")
		phi := rapid.SampledFrom([]string{"identity", "relu"}).Draw(t, "phi")
		scale := math.Pow(10, rapid.Float64Range(-12, 12).Draw(t, "scale"))
		rate := rapid.SampledFrom([]float64{0.1, 0.5, 0.9}).Draw(t, "rate")
		part := math.Pow(10, rapid.Float64Range(least, -3).Draw(t, "part"))
		all := entries
		if phi == "identity" {
			all = append(all[:len(all):len(all)], linear...)
		}
		e := rapid.SampledFrom(all).Draw(t, "method")
		m := newNetMap[T](r, n, phi, scale, rate, true)
		// the drive is all along the eigenvector of 1, and the state begins there
		for i := range n {
			m.b[i] = part * m.q[i*n]
		}
		z := make([]T, n)
		for i := range z {
			z[i] = T(scale * m.q[i*n])
		}
		p := m.problem()
		if !rapid.Bool().Draw(t, "products") {
			p.Linearise, p.JVP = nil, nil
		}
		s := solvers.Settings{MaxEvals: rapid.SampledFrom([]int{0, 30, 3000}).Draw(t, "evaluations")}
		rep, err := solvers.Solve(context.Background(), p, z, e.Value, s)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Status[0] == solvers.Converged {
			g, f := m.residual(z)
			t.Fatalf("%s: no fixed point, yet converged after %d evaluations with ‖g‖ = %g at ‖f‖ = %g", e.Name, rep.Evals[0], g, f)
		}
	})
}

// What drifts is told from what is at rest: lines of fixed points, marginal ones, and slow contractions are found, or it
// is said that they are not.
func TestRestIsConverged(t *testing.T) {
	t.Run("float64", restIsConverged[float64])
	t.Run("float32", restIsConverged[float32])
}

func restIsConverged[T solvers.Float](t *testing.T) {
	solve := func(method solvers.Method[T], start float64, f func(z float64) float64) (float64, string) {
		z := []T{T(start)}
		p := solvers.Problem[T]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []T) error {
			fz[0] = T(f(float64(z[0])))
			return nil
		}}
		rep, err := solvers.Solve(context.Background(), p, z, method, solvers.Settings{MaxEvals: 200000, Stall: -1})
		if err != nil {
			t.Fatal(err)
		}
		return float64(z[0]), fmt.Sprintf("%v (%v) at %g after %d evaluations", rep.Status[0], rep.Breakdown[0], float64(z[0]), rep.Evals[0])
	}
	size := unsafe.Sizeof(T(0))
	for _, e := range solvers.Catalog[T]().Entries() {
		// every state above 0 is a fixed point
		for _, start := range []float64{1e-6, 1, 1e6} {
			if z, how := solve(e.Value, start, func(z float64) float64 { return max(z, 0) }); z != float64(T(start)) || how[:9] != "converged" {
				t.Errorf("%s: relu from %g: %s", e.Name, start, how)
			}
		}
		// marginal, at 0
		for _, start := range []float64{0, 1e-4, 0.01, 0.5} {
			z, how := solve(e.Value, start, math.Tanh)
			if how[:9] == "converged" && !(math.Abs(z) <= 0.05*start) && start > 1e-4 ||
				how[:9] != "converged" && start == 0 || how[:8] == "diverged" {
				t.Errorf("%s: tanh from %g: %s", e.Name, start, how)
			}
		}
		// slow, at 1 and at 100, begun where the residual is within the tolerance
		for _, rate := range []float64{0.99, 0.999, 0.9999} {
			for _, end := range []float64{1, 100} {
				z, how := solve(e.Value, 0.7*end, func(z float64) float64 { return rate*z + (1-rate)*end })
				if how[:9] == "converged" && !(math.Abs(z-end) <= 0.1*end) || how[:8] == "diverged" ||
					how[:9] != "converged" && (e.Name == "picard" || rate < 0.9999 || size == 8) {
					t.Errorf("%s: rate %g to %g: %s", e.Name, rate, end, how)
				}
			}
		}
	}
}

// A contraction of a rate within what Settings promise has a fixed point, and is not said to drift, though a few differences
// need not lead to it from where the residual is within the tolerance.
func TestContractionsDoNotDrift(t *testing.T) {
	t.Run("float64", func(t *testing.T) { contractionsDoNotDrift[float64](t, 0.999) })
	t.Run("float32", func(t *testing.T) { contractionsDoNotDrift[float32](t, 0.99) })
}

func contractionsDoNotDrift[T solvers.Float](t *testing.T, rate float64) {
	for seed := range uint64(10) {
		for _, phi := range []string{"identity", "tanh", "relu"} {
			for _, start := range []float64{0, 1, 100} {
				for _, e := range solvers.Catalog[T]().Entries() {
					for _, products := range []bool{true, false} {
						r := rand.New(rand.NewPCG(seed, 77))
						m := newNetMap[T](r, 8, phi, 1, rate, false)
						for i := range m.b {
							m.b[i] *= 30
						}
						z := make([]T, m.n)
						for i := range z {
							z[i] = T(start * r.NormFloat64())
						}
						p := m.problem()
						if !products {
							p.Linearise, p.JVP = nil, nil
						}
						rep, err := solvers.Solve(context.Background(), p, z, e.Value, solvers.Settings{MaxEvals: 3000})
						if err != nil {
							t.Fatal(err)
						}
						if rep.Breakdown[0] == solvers.Drift || rep.Status[0] == solvers.Diverged {
							t.Errorf("seed %d, %s, from %g, %s, products %v: %v (%v) after %d evaluations with a residual of %.2g",
								seed, phi, start, e.Name, products, rep.Status[0], rep.Breakdown[0], rep.Evals[0], rep.Residual[0])
						}
					}
				}
			}
		}
	}
}
