package deq_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"
)

var ctx = context.Background()

// quadratic is the loss ½‖y − t‖² with targets t that are functions of the indices.
type quadratic struct{ outputs int }

func (q quadratic) Eval(rows []int, y, dy []float64, losses []float64) error {
	for i, r := range rows {
		losses[i] = 0
		for k := range q.outputs {
			d := y[i*q.outputs+k] - math.Sin(float64(3*r+k))
			dy[i*q.outputs+k] = d
			losses[i] += d * d / 2
		}
	}
	return nil
}

func exact() deq.Solver[float64] {
	return deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-13, MaxEvals: 2000}}
}

func normals(seed uint64, n int, sd float64) []float64 {
	r := rng.Stream(seed, "test")
	out := make([]float64, n)
	for i := range out {
		out[i] = sd * r.NormFloat64()
	}
	return out
}

const rows, inputs, outputs, units = 5, 3, 2, 8

// layer returns a small layer in three shards, with all parameters drawn at random.
func layer(t *testing.T, r models.Rate) *deq.Layer[float64] {
	t.Helper()
	r.N = units
	l, err := deq.New[float64](r, inputs, outputs, 1, deq.Config{Batch: 6, Shard: 2})
	if err != nil {
		t.Fatal(err)
	}
	update(l, func() {
		copy(l.Params.Data("b"), normals(2, units, 0.3))
		copy(l.Params.Data("bo"), normals(3, outputs, 0.3))
	})
	return l
}

// loss solves and returns the mean loss.
func loss(t *testing.T, l *deq.Layer[float64], x []float64) float64 {
	t.Helper()
	e := solve(t, l, x)
	o, err := l.Evaluate(e.Z, quadratic{outputs}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o.Mean()
}

func solve(t *testing.T, l *deq.Layer[float64], x []float64) *deq.Equilibrium[float64] {
	t.Helper()
	e, err := l.Solve(ctx, x, nil, exact())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Report.Err(); err != nil {
		t.Fatal(err)
	}
	return e
}

// worst returns the largest |got − numeric| / max|numeric| over the parameters.
func worst(t *testing.T, l *deq.Layer[float64], g deq.Params[float64], value func() float64) float64 {
	t.Helper()
	const h = 1e-5
	largest := 0.0
	for i, p := range l.Params {
		var diff, scale float64
		for k := range p.Data {
			old := p.Data[k]
			n := (vary(l, func() { p.Data[k] = old + h }, value) - vary(l, func() { p.Data[k] = old - h }, value)) / (2 * h)
			diff = max(diff, math.Abs(g[i].Data[k]-n))
			scale = max(scale, math.Abs(n))
		}
		largest = max(largest, diff/scale)
	}
	return largest
}

func TestImplicitGradient(t *testing.T) {
	for _, m := range []models.Rate{
		{Activation: "tanh"}, {Activation: "relu", Gain: 0.5}, {Activation: "sigmoid"}, {Activation: "softplus", Gain: 0.5},
		{Activation: "linear", Gain: 0.5}, {Activation: "tanh", Leak: 0.3},
	} {
		t.Run(m.Activation, func(t *testing.T) {
			l := layer(t, m)
			x := normals(4, rows*inputs, 1)
			e := solve(t, l, x)
			g := l.Params.ZerosLike()
			o, err := l.Evaluate(e.Z, quadratic{outputs}, g)
			if err != nil {
				t.Fatal(err)
			}
			u := append([]float64(nil), o.DZ...)
			rep, err := e.Adjoint(ctx, o.DZ, u, exact())
			if err != nil || rep.Err() != nil {
				t.Fatal(err, rep.Err())
			}
			if err := e.VJP(u, g); err != nil {
				t.Fatal(err)
			}
			value := func() float64 { return loss(t, l, x) }
			if w := worst(t, l, g, value); w > 1e-6 {
				t.Errorf("implicit gradient is off by %.2g", w)
			}
			// Negative control: without the adjoint solve the gradient is not exact.
			inexact := l.Params.ZerosLike()
			if _, err := l.Evaluate(e.Z, quadratic{outputs}, inexact); err != nil {
				t.Fatal(err)
			}
			if err := e.VJP(o.DZ, inexact); err != nil {
				t.Fatal(err)
			}
			if w := worst(t, l, inexact, value); w < 1e-3 {
				t.Errorf("the one-step gradient passes as exact: off by only %.2g", w)
			}
		})
	}
}

func TestTrajectoryGradient(t *testing.T) {
	l := layer(t, models.Rate{})
	x := normals(4, rows*inputs, 1)
	relax := func() *deq.Trajectory[float64] {
		tr, err := l.Relax(ctx, x, nil, 4)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	tr, g := relax(), l.Params.ZerosLike()
	outs, err := tr.EvaluateLast(quadratic{outputs}, g)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.VJP(ctx, deq.Back[float64]{Outputs: outs}, g); err != nil {
		t.Fatal(err)
	}
	w := worst(t, l, g, func() float64 {
		o, err := l.Evaluate(relax().Last(), quadratic{outputs}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return o.Mean()
	})
	if w > 1e-7 {
		t.Errorf("gradient through time is off by %.2g", w)
	}
}

// The products are compared with dense matrices of the model's own parameters.
func TestProducts(t *testing.T) {
	for _, leak := range []float64{1, 0.4} {
		l := layer(t, models.Rate{Leak: leak})
		x := normals(4, rows*inputs, 1)
		e := solve(t, l, x)
		v := normals(5, rows*units, 1)
		w := l.Params.Data("W")
		times := func(name string, op func(in, out []float64) error, want func(b, i int) float64) {
			t.Helper()
			out := make([]float64, rows*units)
			if err := op(v, out); err != nil {
				t.Fatal(err)
			}
			for b := range rows {
				for i := range units {
					if got, want := out[b*units+i], want(b, i); !(math.Abs(got-want) <= 1e-12) {
						t.Fatalf("leak %g: %s[%d, %d] = %g, want %g", leak, name, b, i, got, want)
					}
				}
			}
		}
		phi := func(b, i int) float64 { z := e.Z[b*units+i]; return 1 - z*z } // z = tanh(pre)
		sum := func(b int, weight func(j int) float64) float64 {
			s := 0.0
			for j := range units {
				s += weight(j) * v[b*units+j]
			}
			return s
		}
		times("Gain", e.Gain, func(b, i int) float64 { return phi(b, i) * v[b*units+i] })
		times("Recurrent", e.Recurrent, func(b, i int) float64 {
			return sum(b, func(j int) float64 { return w[i*units+j] })
		})
		times("RecurrentAdjoint", e.RecurrentAdjoint, func(b, i int) float64 {
			return sum(b, func(j int) float64 { return w[j*units+i] })
		})
		times("JVP", e.JVP, func(b, i int) float64 {
			return (1-leak)*v[b*units+i] + leak*phi(b, i)*sum(b, func(j int) float64 { return w[i*units+j] })
		})
		times("ApplyJT", e.ApplyJT, func(b, i int) float64 {
			return (1-leak)*v[b*units+i] + leak*sum(b, func(j int) float64 { return phi(b, j) * w[j*units+i] })
		})
	}
}

// What a sample gets does not depend on the cores, on its shard's other samples, or on the
// shard's size.
func TestSamplesAreIndependent(t *testing.T) {
	x := normals(4, rows*inputs, 1)
	states := func(c deq.Config, x []float64) []float64 {
		l, err := deq.New[float64](models.Rate{N: units}, inputs, outputs, 1, c)
		if err != nil {
			t.Fatal(err)
		}
		return solve(t, l, x).Z
	}
	want := states(deq.Config{Batch: 8, Shard: 2, Workers: 1}, x)
	for name, got := range map[string][]float64{
		"two cores": states(deq.Config{Batch: 8, Shard: 2, Workers: 2}, x),
		"one shard": states(deq.Config{Batch: 8, Shard: 8, Workers: 1}, x),
		"alone":     states(deq.Config{Batch: 1}, x[:inputs]),
	} {
		for i, v := range got {
			if !(math.Abs(v-want[i]) <= 0) {
				t.Errorf("%s: z[%d] = %v, want %v", name, i, v, want[i])
				break
			}
		}
	}
}

func TestCountsAreExact(t *testing.T) {
	l := layer(t, models.Rate{})
	before := l.Counts()
	e := solve(t, l, normals(4, rows*inputs, 1))
	want := int64(0)
	for _, n := range e.Report.Evals {
		want += int64(n)
	}
	if got := l.Counts().Sub(before); got.Cell != want || got.Adjoint != 0 {
		t.Errorf("counted %+v, the solver reports %d cell evaluations", got, want)
	}
}

func TestBadInput(t *testing.T) {
	l := layer(t, models.Rate{})
	for name, x := range map[string][]float64{"empty": nil, "ragged": make([]float64, 4), "too many": make([]float64, 7*inputs)} {
		if _, err := l.Solve(ctx, x, nil, exact()); err == nil {
			t.Errorf("%s input is accepted", name)
		}
	}
	if _, err := l.Solve(ctx, make([]float64, inputs), make([]float64, 3), exact()); err == nil {
		t.Error("an initial state of the wrong size is accepted")
	}
}

// panics is a method whose first step panics.
type panics struct{}

func (panics) Start(solvers.Shape) (solvers.Stepper[float64], error) { return panics{}, nil }
func (panics) Reset()                                                {}
func (panics) Bytes() int                                            { return 0 }
func (panics) Step(*solvers.Iterate[float64]) error                  { panic("a step of my own") }

// A panic in a user's method is an error, on any number of cores.
func TestPanicIsAnError(t *testing.T) {
	_, err := layer(t, models.Rate{}).Solve(ctx, normals(4, rows*inputs, 1), nil, deq.Solver[float64]{Method: panics{}})
	if err == nil || !strings.Contains(err.Error(), "a step of my own") {
		t.Errorf("error %v", err)
	}
}

// The derivatives at z* are the same to the last bit whether f(z*) is taken from the solver or
// computed again, and so are they where it cannot be used.
func TestDerivativesFromTheValueOfF(t *testing.T) {
	for _, m := range []models.Rate{{}, {Activation: "sigmoid"}, {Activation: "relu"}, {Leak: 0.5}} {
		l := layer(t, m)
		x := normals(4, rows*inputs, 1)
		solved, err := l.Solve(ctx, x, nil, exact())
		if err != nil || solved.Report.Err() != nil {
			t.Fatal(err, solved.Report.Err())
		}
		again, err := l.At(x, solved.Z)
		if err != nil {
			t.Fatal(err)
		}
		u := normals(5, rows*units, 1)
		var products [2][]float64
		var grads [2]deq.Params[float64]
		for i, e := range []*deq.Equilibrium[float64]{solved, again} {
			products[i], grads[i] = make([]float64, len(u)), l.Params.ZerosLike()
			if err := e.ApplyJT(u, products[i]); err != nil {
				t.Fatal(err)
			}
			if err := e.VJP(u, grads[i]); err != nil {
				t.Fatal(err)
			}
		}
		same := slices.Equal(products[0], products[1])
		for i := range grads[0] {
			same = same && slices.Equal(grads[0][i].Data, grads[1][i].Data)
		}
		if !same {
			t.Errorf("%+v: the products differ:\n%v\n%v", m, products[0], products[1])
		}
	}
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}

// vary is a value with the parameters of a layer changed.
func vary[T deq.Float](l *deq.Layer[T], change func(), value func() float64) (v float64) {
	if err := l.Vary(func(deq.Params[T]) error { change(); return nil }, func() error { v = value(); return nil }); err != nil {
		panic(err)
	}
	return v
}
