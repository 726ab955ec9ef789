package zhu2024

import (
	"context"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
)

// fit is ‖y − t‖² for the samples in the columns of a matrix.
type fit struct{ targets matrix }

func (f fit) Eval(rows []int, y, dy []float64, losses []float64) error {
	n := f.targets.rows
	for i, r := range rows {
		losses[i] = 0
		for k := range n {
			d := y[i*n+k] - f.targets.v[k*f.targets.cols+r]
			dy[i*n+k] = 2 * d
			losses[i] += d * d
		}
	}
	return nil
}

// transposed turns samples in columns to samples in rows.
func transposed(m matrix) []float64 {
	out := make([]float64, 0, len(m.v))
	for j := range m.cols {
		for i := range m.rows {
			out = append(out, m.v[i*m.cols+j])
		}
	}
	return out
}

// The catalogue's rules, on a linear network that reads its units out, are those of the paper's
// linear task.
func TestCatalogRulesOnTheLinearTask(t *testing.T) {
	const rate = 1
	task := newTask(t)
	ctx := context.Background()
	l, err := deq.New[float64](models.Rate{N: units, Activation: "linear"}, units, units, 1, deq.Config{Batch: samples})
	if err != nil {
		t.Fatal(err)
	}
	update(l, func() {
		copy(l.Params.Data("W"), task.start.v)
		copy(l.Params.Data("U"), identity(units).v)
		copy(l.Params.Data("Wo"), identity(units).v)
	})
	states, _ := task.states(newLU(units), task.start)
	e, err := l.At(transposed(task.x), transposed(states))
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Evaluate(e.Z, fit{task.y}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if j := task.loss(newLU(units), task.start); !(math.Abs(o.Mean()/j-1) <= 1e-12) {
		t.Fatalf("the loss is %v, want %v", o.Mean(), j)
	}
	backward := deq.Solver[float64]{Method: solvers.GMRES[float64]{}, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: 1000}}
	want := task.steps(inverse(complement(task.start)), rate)
	for _, c := range []struct {
		rule        rules.EquilibriumRule[float64]
		want, other matrix
	}{
		{rules.Implicit[float64]{}, want.gradient, want.reparam},
		{rules.ReparamGradient[float64]{}, want.reparam, want.steepest},
		{rules.ReparamSteepest[float64]{Form: "linear", Eta: rate}, want.steepest, want.reparam},
	} {
		if err := c.rule.Check(l); err != nil {
			t.Fatal(err)
		}
		g := l.Params.ZerosLike()
		if _, err := c.rule.Gradient(ctx, rules.Situation[float64]{Equilibrium: e, Output: o, Backward: backward}, g); err != nil {
			t.Fatal(err)
		}
		off := func(want matrix) float64 {
			d, scale := 0.0, 0.0
			for i, v := range want.v {
				v *= 2. / samples
				d, scale = max(d, math.Abs(g.Data("W")[i]-v)), max(scale, math.Abs(v))
			}
			return d / scale
		}
		if d := off(c.want); !(d <= 1e-9) {
			t.Errorf("%T is off by %.2g", c.rule, d)
		}
		if d := off(c.other); !(d >= 1e-3) {
			t.Errorf("%T is not told apart from another rule: %.2g", c.rule, d)
		}
	}
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}
