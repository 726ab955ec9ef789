package deq_test

import (
	"errors"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// On a monotone network both splittings find the fixed point that Anderson's method finds, to
// 1e-8, and the gradient there agrees with finite differences of a loss solved by splitting.
func TestSplittings(t *testing.T) {
	for _, activation := range []string{"relu", "tanh", "softplus"} {
		t.Run(activation, func(t *testing.T) {
			l, err := deq.New[float64](models.MonDEQ{N: units, Activation: activation, Margin: 0.5, Gain: 0.3}, inputs, outputs, 1, deq.Config{Batch: 6, Shard: 2})
			if err != nil {
				t.Fatal(err)
			}
			copy(l.Params.Data("b"), normals(2, units, 0.3))
			l.Updated()
			x := normals(4, rows*inputs, 1)
			solveBy := func(m solvers.Method[float64]) *deq.Equilibrium[float64] {
				e, err := l.Solve(ctx, x, nil, deq.Solver[float64]{Method: m, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: 5000}})
				if err != nil {
					t.Fatal(err)
				}
				if err := e.Report.Err(); err != nil {
					t.Fatal(err)
				}
				return e
			}
			want := solveBy(solvers.Anderson[float64]{}).Z
			for _, method := range []solvers.Method[float64]{solvers.ForwardBackward[float64]{Alpha: 0.3}, solvers.PeacemanRachford[float64]{}, solvers.PeacemanRachford[float64]{Alpha: 0.4}} {
				for i, v := range solveBy(method).Z {
					if math.Abs(v-want[i]) > 1e-8 {
						t.Fatalf("%+v: z[%d] = %v, want %v", method, i, v, want[i])
					}
				}
			}
			peaceman := solvers.PeacemanRachford[float64]{}
			e, g := solveBy(peaceman), l.Params.ZerosLike()
			o, err := l.Evaluate(e.Z, quadratic{outputs}, g)
			if err != nil {
				t.Fatal(err)
			}
			u := append([]float64(nil), o.DZ...)
			rep, err := e.Adjoint(ctx, o.DZ, u, deq.Solver[float64]{Method: solvers.GMRES[float64]{}, Settings: solvers.Settings{RTol: 1e-12}})
			if err != nil || rep.Err() != nil {
				t.Fatal(err, rep.Err())
			}
			if err := e.VJP(u, g); err != nil {
				t.Fatal(err)
			}
			w := worst(t, l, g, func() float64 {
				o, err := l.Evaluate(solveBy(peaceman).Z, quadratic{outputs}, nil)
				if err != nil {
					t.Fatal(err)
				}
				return o.Mean()
			})
			if w > 1e-6 {
				t.Errorf("gradient is off by %.2g", w)
			}
		})
	}
}

// A cell with several activations offers no splitting.
func TestNoSplitting(t *testing.T) {
	l, err := deq.New[float64](models.GRU{N: 4}, inputs, outputs, 1, deq.Config{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Solve(ctx, normals(4, 2*inputs, 1), nil, deq.Solver[float64]{Method: solvers.ForwardBackward[float64]{}})
	if !errors.Is(err, solvers.ErrNoSplitting) {
		t.Errorf("error %v, want ErrNoSplitting", err)
	}
}
