package main

import (
	"context"
	"slices"
	"testing"

	"attractor/models"
	"attractor/models/modeltest"
	"attractor/solvers"
	"attractor/solvers/solvertest"
	"attractor/train"
	"attractor/train/rules/ruletest"
	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

func TestContracts(t *testing.T) {
	for _, pool := range []string{"squares", "softplus", "fixed"} {
		modeltest.Test(t, divisive{Pool: pool})
	}
	for _, exponent := range []float64{1, 2, 2.5} {
		modeltest.Test(t, supralinear{Rate: models.Rate{N: 7}, Exponent: exponent})
	}
	solvertest.Test[float64](t, heavyBall[float64]{}, false)
	solvertest.Test[float32](t, heavyBall[float32]{}, false)
	ruletest.Test(t, broadcast[float64]{})
	tasktest.Run(t, tasks.Entry{Name: "rings", Doc: "two rings\nof the radii 1 and 2", Value: rings{}})
}

// Every rule trains our cells by the right gradient or refuses them: nothing between.
func TestEveryRule(t *testing.T) {
	p := parts[float64]()
	held, refused := 0, 0
	for _, model := range []string{"model={name: divisive, units: 6}", "model={name: divisive, units: 6, pool: softplus}", "model={name: divisive, units: 6, pool: fixed}", "model={name: supralinear, units: 6, gain: 0.4, input_gain: 0.7}"} {
		for _, rule := range p.Rules.Entries() {
			c, err := train.Read(p, "test", nil, []string{"task=blobs", "task.train=16", model, "rule=" + rule.Name})
			if err != nil {
				t.Fatal(err)
			}
			rep, err := train.GradCheck(context.Background(), c.Suited(p), p)
			switch {
			case err != nil:
				t.Logf("%s by %s: %v", model, rule.Name, err)
				refused++
			case rule.Value.Exact() && !rep.Holds:
				t.Errorf("%s by %s, which is exact: %+v", model, rule.Name, rep.Parameters)
			case rule.Value.Exact():
				held++
			}
		}
	}
	if held < 8 || refused < 8 {
		t.Errorf("%d exact gradients hold, %d rules refuse", held, refused)
	}
}

// Every solver that accepts our cells leads to the gradient of the same fixed point.
func TestEverySolver(t *testing.T) {
	p := parts[float64]()
	held := 0
	for _, model := range []string{"model={name: divisive, units: 6}", "model={name: supralinear, units: 6, gain: 0.4, input_gain: 0.7}"} {
		for _, solver := range p.Solvers.Entries() {
			c, err := train.Read(p, "test", nil, []string{"task=blobs", "task.train=16", model, "solver=" + solver.Name})
			if err != nil {
				t.Fatal(err)
			}
			rep, err := train.GradCheck(context.Background(), c, p)
			if err != nil {
				t.Logf("%s by %s: %v", model, solver.Name, err)
				continue
			}
			if held++; !rep.Holds {
				t.Errorf("%s by %s: %+v", model, solver.Name, rep.Parameters)
			}
		}
	}
	if held < 10 {
		t.Errorf("%d solvers accept the cells", held)
	}
	if _, err := p.Solvers.Lookup("heavy-ball"); err != nil {
		t.Error(err)
	}
	var _ solvers.Method[float64] = heavyBall[float64]{}
}

// A run of our parts alone learns, and its observer sees each step.
func TestTrain(t *testing.T) {
	p := parts[float32]()
	c, err := train.Read(p, "test", nil, []string{
		"task=rings", "model=divisive", "solver=heavy-ball", "rule=broadcast", "optimizer={name: lion, lr: 0.01}", "train={loss: huber, epochs: 30}",
	})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := train.New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	before, made := seen, 0
	var accuracy []float64
	for !tr.Done() {
		_, epoch, err := tr.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if made++; epoch != nil {
			accuracy = append(accuracy, float64(epoch.TestAccuracy))
		}
	}
	if seen-before != made {
		t.Errorf("the observer saw %d of %d steps", seen-before, made)
	}
	if best := slices.Max(accuracy); !(best > 0.8) {
		t.Errorf("the best test accuracy is %.2f", best)
	}
}
