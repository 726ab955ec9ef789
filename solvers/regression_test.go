package solvers_test

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"

	"attractor/solvers"
)

// tanhNet is problem s of the regression table: z = tanh(Wz + b), n = 100, float64.
func tanhNet(seed int64, gain float64) solvers.Problem[float64] {
	const n = 100
	r := rand.New(rand.NewSource(seed))
	w, b := make([]float64, n*n), make([]float64, n)
	for i := range n {
		for j := range n {
			w[i*n+j] = gain / math.Sqrt(n) * r.NormFloat64()
		}
		b[i] = 0.3 * r.NormFloat64()
	}
	slope := make([]float64, n)
	return solvers.Problem[float64]{
		Batch: 1, Dim: n,
		F: func(_ []int, z, fz []float64) error {
			for i := range n {
				fz[i] = math.Tanh(b[i] + inner(w[i*n:(i+1)*n], z))
			}
			return nil
		},
		Linearise: func(_ []int, z []float64) error {
			for i := range n {
				t := math.Tanh(b[i] + inner(w[i*n:(i+1)*n], z))
				slope[i] = 1 - t*t
			}
			return nil
		},
		JVP: func(_ []int, v, jv []float64) error {
			for i := range n {
				jv[i] = slope[i] * inner(w[i*n:(i+1)*n], v)
			}
			return nil
		},
		VJP: func(_ []int, u, ju []float64) error {
			clear(ju)
			for i := range n {
				for j := range n {
					ju[j] += slope[i] * u[i] * w[i*n+j]
				}
			}
			return nil
		},
	}
}

func inner(x, y []float64) float64 {
	s := 0.0
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

// TestRegression holds the methods to the evaluations measured when they were chosen:
// ‖g‖/‖f‖ < 1e-5 from z₀ = 0, at most 200 evaluations, medians and failures of 15 seeds.
func TestRegression(t *testing.T) {
	type cell struct{ median, failures int }
	rows := []struct {
		name   string
		method solvers.Method[float64]
		want   [3]cell // at gains 0.9, 1.1, 1.3
	}{
		{"picard", solvers.Picard[float64]{}, [3]cell{{49, 0}, {108, 5}, {201, 13}}},
		{"anderson m=6", solvers.Anderson[float64]{}, [3]cell{{40, 0}, {69, 0}, {129, 4}}},
		{"anderson m=27", solvers.Anderson[float64]{Window: 27}, [3]cell{{34, 0}, {46, 0}, {64, 4}}},
		{"anderson-qr m=6", solvers.Anderson[float64]{Form: "qr"}, [3]cell{{40, 0}, {69, 0}, {129, 4}}},
		{"anderson-qr m=27", solvers.Anderson[float64]{Form: "qr", Window: 27}, [3]cell{{34, 0}, {46, 0}, {64, 4}}},
		{"broyden full", solvers.Broyden[float64]{Memory: -1}, [3]cell{{34, 0}, {47, 0}, {63, 0}}},
		{"broyden m=27", solvers.Broyden[float64]{}, [3]cell{{37, 0}, {56, 0}, {102, 1}}},
		{"broyden m=27 compressed", solvers.Broyden[float64]{Compress: 20}, [3]cell{{35, 0}, {48, 0}, {65, 0}}},
		{"broyden m=10 compressed", solvers.Broyden[float64]{Memory: 10, Compress: 5}, [3]cell{{36, 0}, {54, 0}, {78, 0}}},
		{"auto", solvers.Auto[float64]{}, [3]cell{{35, 0}, {55, 0}, {94, 3}}},
		{"newton-gmres", solvers.NewtonGMRES[float64]{}, [3]cell{{67, 0}, {101, 2}, {201, 8}}},
	}
	for _, row := range rows {
		for i, gain := range []float64{0.9, 1.1, 1.3} {
			t.Run(fmt.Sprintf("%s/g=%g", row.name, gain), func(t *testing.T) {
				var got cell
				var evals []int
				for seed := range int64(15) {
					p := tanhNet(seed, gain)
					s := solvers.Settings{Measure: "rel", RTol: 1e-5, MaxEvals: 200, Stall: -1}
					rep, err := solvers.Solve(context.Background(), p, make([]float64, p.Dim), row.method, s)
					if err != nil {
						t.Fatal(err)
					}
					if rep.Failed() > 0 {
						got.failures++
						evals = append(evals, 201)
						continue
					}
					evals = append(evals, rep.Evals[0])
				}
				slices.Sort(evals)
				got.median = evals[len(evals)/2]
				t.Logf("median %d (%d), expected %d (%d)", got.median, got.failures, row.want[i].median, row.want[i].failures)
				if got.median > row.want[i].median || got.failures > row.want[i].failures {
					t.Errorf("median evaluations (failures): expected at most %d (%d), found %d (%d)",
						row.want[i].median, row.want[i].failures, got.median, got.failures)
				}
			})
		}
	}
}
