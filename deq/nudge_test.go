package deq_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// Nudged and displaced states against their equations, in loops over the entries.
func TestNudgeAndDisplace(t *testing.T) {
	phi := map[string]func(x float64) float64{
		"tanh": math.Tanh, "linear": func(x float64) float64 { return x }, "relu": func(x float64) float64 { return max(x, 0) },
		"sigmoid": func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	}
	for name, activate := range phi {
		for _, leak := range []float64{1, 0.4} {
			l := layer(t, models.Rate{Activation: name, Leak: leak})
			w, u, bias := l.Params.Data("W"), l.Params.Data("U"), l.Params.Data("b")
			wo, bo := l.Params.Data("Wo"), l.Params.Data("bo")
			e := solve(t, l, normals(4, rows*inputs, 1))
			shift := normals(5, rows*units, 0.3)
			const beta = 0.2
			force := func(r, i int, z []float64) float64 { // −β ∂ℓ/∂z
				sum := 0.0
				for k := range outputs {
					y := bo[k]
					for j := range units {
						y += wo[k*units+j] * z[r*units+j]
					}
					sum -= beta * (y - math.Sin(float64(3*r+k))) * wo[k*units+i]
				}
				return sum
			}
			constant := func(r, i int, _ []float64) float64 { return shift[r*units+i] }
			for _, phase := range []struct {
				name   string
				inside bool
				force  func(r, i int, z []float64) float64
				relax  func(z []float64) (*solvers.Report, error)
			}{
				{"nudge", false, force, func(z []float64) (*solvers.Report, error) {
					return e.Nudge(ctx, z, beta, quadratic{outputs}, exact())
				}},
				{"nudge inside", true, force, func(z []float64) (*solvers.Report, error) {
					return e.NudgePre(ctx, z, beta, quadratic{outputs}, exact())
				}},
				{"displace", false, constant, func(z []float64) (*solvers.Report, error) {
					return e.Displace(ctx, z, shift, exact())
				}},
				{"displace inside", true, constant, func(z []float64) (*solvers.Report, error) {
					return e.DisplacePre(ctx, z, shift, exact())
				}},
			} {
				z := append([]float64(nil), e.Z...)
				if rep, err := phase.relax(z); err != nil || rep.Err() != nil {
					t.Fatalf("%s, %s: %v, %v", name, phase.name, err, rep.Err())
				}
				worst, other := 0.0, 0.0
				for r := range rows {
					for i := range units {
						pre := bias[i]
						for j := range units {
							pre += w[i*units+j] * z[r*units+j]
						}
						for j := range inputs {
							pre += u[i*inputs+j] * e.X[r*inputs+j]
						}
						f, at := phase.force(r, i, z), z[r*units+i]
						inside := (1-leak)*at + leak*activate(pre+f)
						outside := (1-leak)*at + leak*activate(pre) + f
						if !phase.inside {
							inside, outside = outside, inside
						}
						worst, other = max(worst, math.Abs(inside-at)), max(other, math.Abs(outside-at))
					}
				}
				if !(worst <= 1e-10) {
					t.Errorf("%s, leak %g, %s: misses its equation by %.2g", name, leak, phase.name, worst)
				}
				if (name != "linear" || leak != 1) && other < 1e-3 {
					t.Errorf("%s, leak %g, %s: not told apart from a force at the other place", name, leak, phase.name)
				}
			}
		}
	}
	gru, err := deq.New[float64](models.GRU{N: units}, inputs, outputs, 1, deq.Config{Batch: rows})
	if err != nil {
		t.Fatal(err)
	}
	e := solve(t, gru, normals(4, rows*inputs, 1))
	if _, err := e.DisplacePre(ctx, e.Z, e.Z, exact()); err == nil {
		t.Error("a cell with several activations has no pre-activation to displace")
	}
}
