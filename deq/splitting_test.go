package deq_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

var splittings = []solvers.Method[float64]{
	solvers.ForwardBackward[float64]{Alpha: 0.3}, solvers.PeacemanRachford[float64]{}, solvers.PeacemanRachford[float64]{Alpha: 0.4},
}

// On a monotone network both splittings find the fixed point that Anderson's method finds, to
// 1e-8, and the adjoint that GMRES finds; the gradient with it agrees with finite differences of a loss
// solved by splitting.
func TestSplittings(t *testing.T) {
	for _, activation := range []string{"relu", "tanh", "softplus"} {
		t.Run(activation, func(t *testing.T) {
			l, err := deq.New[float64](models.MonDEQ{N: units, Activation: activation, Margin: 0.5, Gain: 0.3}, inputs, outputs, 1, deq.Config{Batch: 6, Shard: 2})
			if err != nil {
				t.Fatal(err)
			}
			update(l, func() { copy(l.Params.Data("b"), normals(2, units, 0.3)) })
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
			for _, method := range splittings {
				for i, v := range solveBy(method).Z {
					if !(math.Abs(v-want[i]) <= 1e-8) {
						t.Fatalf("%+v: z[%d] = %v, want %v", method, i, v, want[i])
					}
				}
			}
			peaceman := solvers.PeacemanRachford[float64]{}
			e := solveBy(peaceman)
			value := func() float64 {
				o, err := l.Evaluate(solveBy(peaceman).Z, quadratic{outputs}, nil)
				if err != nil {
					t.Fatal(err)
				}
				return o.Mean()
			}
			gradient := func(m solvers.Method[float64], evals int) (deq.Params[float64], []float64) {
				g := l.Params.ZerosLike()
				o, err := l.Evaluate(e.Z, quadratic{outputs}, g)
				if err != nil {
					t.Fatal(err)
				}
				u := append([]float64(nil), o.DZ...)
				rep, err := e.Adjoint(ctx, o.DZ, u, deq.Solver[float64]{Method: m, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: evals}})
				if err != nil || evals > 10 && rep.Err() != nil {
					t.Fatal(err, rep.Err())
				}
				if err := e.VJP(u, g); err != nil {
					t.Fatal(err)
				}
				return g, u
			}
			_, adjoint := gradient(solvers.GMRES[float64]{}, 1000)
			for _, method := range splittings {
				g, u := gradient(method, 1000)
				for i, v := range u {
					if !(math.Abs(v-adjoint[i]) <= 1e-8) {
						t.Fatalf("%+v: u[%d] = %v, want %v", method, i, v, adjoint[i])
					}
				}
				if w := worst(t, l, g, value); w > 1e-6 {
					t.Errorf("%+v: gradient is off by %.2g", method, w)
				}
				// Negative control: a solve that is cut short is no gradient.
				g, _ = gradient(method, 3)
				if w := worst(t, l, g, value); w < 1e-4 {
					t.Errorf("%+v: after three evaluations the gradient passes as exact: off by only %.2g", method, w)
				}
			}
		})
	}
}

// A leak of the cell and of its adjoint has the splitting of what it leaks, and the adjoint begins at its guess.
func TestSplittingOfLeak(t *testing.T) {
	l := layer(t, models.Rate{Leak: 0.3, Gain: 0.4})
	x := normals(4, rows*inputs, 1)
	e := solve(t, l, x)
	dz, want := normals(5, rows*units, 1), make([]float64, rows*units)
	if rep, err := e.Adjoint(ctx, dz, want, exact()); err != nil || rep.Err() != nil {
		t.Fatal(err, rep.Err())
	}
	for _, method := range splittings {
		with := deq.Solver[float64]{Method: method, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: 1000}}
		again, err := l.Solve(ctx, x, nil, with)
		if err != nil || again.Report.Err() != nil {
			t.Fatal(err, again.Report.Err())
		}
		u := make([]float64, len(dz))
		cold, err := e.Adjoint(ctx, dz, u, with)
		if err != nil || cold.Err() != nil {
			t.Fatal(err, cold.Err())
		}
		for i, v := range u {
			if !(math.Abs(v-want[i]) <= 1e-9) || !(math.Abs(again.Z[i]-e.Z[i]) <= 1e-9) {
				t.Fatalf("%+v: u[%d] = %v, want %v; z = %v, want %v", method, i, v, want[i], again.Z[i], e.Z[i])
			}
		}
		warm, err := e.Adjoint(ctx, dz, u, with)
		if err != nil || warm.MeanEvals() > 4 || cold.MeanEvals() < 10 {
			t.Errorf("%+v: %v evaluations from the solution, %v from 0 (%v)", method, warm.Evals, cold.Evals, err)
		}
	}
}

// A NaN of the inputs or of the loss is not lost in relu: that sample fails, and no other.
func TestSplittingOfNaN(t *testing.T) {
	l, err := deq.New[float64](models.MonDEQ{N: units, Margin: 0.5, Gain: 0.3}, inputs, outputs, 1, deq.Config{Batch: 6, Shard: 2})
	if err != nil {
		t.Fatal(err)
	}
	x := normals(4, rows*inputs, 1)
	e := solve(t, l, x)
	x[3*inputs] = math.NaN()
	dz := normals(5, rows*units, 1)
	dz[3*units] = math.NaN()
	for _, method := range splittings {
		with := deq.Solver[float64]{Method: method, Settings: solvers.Settings{MaxEvals: 1000}}
		bad, err := l.Solve(ctx, x, nil, with)
		if err != nil {
			t.Fatal(err)
		}
		adjoint, err := e.Adjoint(ctx, dz, make([]float64, len(dz)), with)
		if err != nil {
			t.Fatal(err)
		}
		for what, rep := range map[string]*solvers.Report{"equilibrium": bad.Report, "adjoint": adjoint} {
			if rep.Failed() != 1 || rep.Status[3] != solvers.NonFinite {
				t.Errorf("%+v, %s: %v", method, what, rep.Status)
			}
		}
	}
}

// What offers no splitting is refused with the reason, before and in a solve: a cell with several
// activations, and for Peaceman–Rachford one whose W dropout makes differ between samples.
func TestNoSplitting(t *testing.T) {
	gru, err := deq.New[float64](models.GRU{N: 4}, inputs, outputs, 1, deq.Config{Batch: 6})
	if err != nil {
		t.Fatal(err)
	}
	dropout := layer(t, models.Rate{Gain: 0.4, Dropout: 0.5})
	x := normals(4, rows*inputs, 1)
	for _, test := range []struct {
		layer  *deq.Layer[float64]
		method solvers.Method[float64]
		want   string // empty: it is not refused
	}{
		{gru, solvers.ForwardBackward[float64]{}, "with one activation"},
		{gru, solvers.PeacemanRachford[float64]{}, "with one activation"},
		{gru, solvers.Picard[float64]{}, ""},
		{dropout, solvers.ForwardBackward[float64]{}, ""},
		{dropout, solvers.PeacemanRachford[float64]{}, "dropout"},
	} {
		with := deq.Solver[float64]{Method: test.method}
		e, err := test.layer.Solve(ctx, x, nil, exact())
		if err != nil {
			t.Fatal(err)
		}
		_, forward := test.layer.Solve(ctx, x, nil, with)
		_, adjoint := e.Adjoint(ctx, e.Z, make([]float64, len(e.Z)), with)
		for _, err := range []error{test.layer.CheckSolver(with), forward, adjoint} {
			if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, solvers.ErrNoSplitting) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%T: error %v, want ErrNoSplitting with %q", test.method, err, test.want)
			}
		}
	}
}
