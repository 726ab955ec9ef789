package solvers_test

import (
	"context"
	"math"
	"testing"

	"attractor/solvers"
	"attractor/solvers/solvertest"
)

// In n dimensions n pairs say what any number of them does: a memory that is compressed to as many is a full one,
// and one that restarts, or is compressed to fewer, is not.
func TestCompressionKeepsTheSum(t *testing.T) {
	const n = 6
	for seed := range uint64(5) {
		m := solvertest.Random[float64](n, 0.95, seed)
		inverse := func(b solvers.Broyden[float64]) []float64 {
			v, err := solvers.New(solvers.Method[float64](b), 1, n, solvers.Settings{RTol: 1e-10})
			if err != nil {
				t.Fatal(err)
			}
			rep, err := v.Solve(context.Background(), solvertest.Batch(m), make([]float64, n))
			if err != nil || rep.Err() != nil || rep.Evals[0] < 10 { // so that a memory of 7 has been full
				t.Fatal(err, rep.Err(), rep.Evals)
			}
			all := []float64{float64(rep.Evals[0])}
			for k := range n {
				unit, column := make([]float64, n), make([]float64, n)
				unit[k] = 1
				v.Stepper().(solvers.Inverse[float64]).ApplyH(0, unit, column)
				all = append(all, column...)
			}
			return all
		}
		off := func(a, b []float64) float64 {
			d := 0.0
			for i := range a {
				d = max(d, math.Abs(a[i]-b[i]))
			}
			return d
		}
		for _, bad := range []bool{false, true} {
			full := inverse(solvers.Broyden[float64]{Memory: -1, Bad: bad})
			if d := off(inverse(solvers.Broyden[float64]{Memory: 7, Compress: n, Bad: bad}), full); !(d <= 1e-5) {
				t.Errorf("seed %d, bad %v: compressed to all directions: H differs by %g", seed, bad, d)
			}
			for _, b := range []solvers.Broyden[float64]{{Memory: 7, Bad: bad}, {Memory: 7, Compress: 2, Bad: bad}} {
				if d := off(inverse(b), full); !(d >= 1e-2) {
					t.Errorf("seed %d, %+v: H differs by only %g", seed, b, d)
				}
			}
		}
	}
}
