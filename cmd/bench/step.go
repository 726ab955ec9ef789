package bench

import (
	"context"
	"fmt"
	"runtime"

	"attractor/deq"
	"attractor/solvers"
	"attractor/train/losses"
	"attractor/train/optim"
	"attractor/train/rules"
)

// RTol is the tolerance of all solves, forward and adjoint: a sample has converged when
// ‖f(z) − z‖ ≤ RTol·‖f(z)‖.
const RTol = 1e-4

// Window is the number of iterates that Anderson acceleration keeps.
const Window = 6

// LearningRate is Adam's: a whole update is made, but the network and with it the number of
// evaluations stay as they are over any number of steps.
const LearningRate = 1e-9

// Solvers are the names of the methods of whole steps.
var Solvers = []string{"anderson", "picard", "broyden"}

func method(name string) (solvers.Method[float32], error) {
	switch name {
	case "anderson":
		return solvers.Anderson[float32]{Window: Window}, nil
	case "picard":
		return solvers.Picard[float32]{}, nil
	case "broyden":
		return solvers.Broyden[float32]{}, nil
	}
	return nil, fmt.Errorf("bench: no solver %q among %v", name, Solvers)
}

// Step is a training step on fixed data: the equilibrium of tanh(zWᵀ + xUᵀ + b) from z = 0, the mean
// squared error of its linear readout, the adjoint solve from u = ∂L/∂z*, all gradients, and
// Adam.
type Step struct {
	Shape  Shape
	Solver string
	X      []float32 // [batch, inputs]
	Target []float32 // [batch, outputs]
	Layer  *deq.Layer[float32]
	Grads  deq.Params[float32] // of the last step
	Loss   float64
	Done   Evaluations // of the last step

	with         deq.Solver[float32]
	adam         optim.State[float32]
	params, flat [][]float32
}

// NewStep makes a step of the given shape. Batch of the configuration is set.
func NewStep(s Shape, solver string, c deq.Config) (*Step, error) {
	m, err := method(solver)
	if err != nil {
		return nil, err
	}
	c.Batch = s.Batch
	layer, err := deq.New[float32](rate(s.Units), inputs, outputs, seed, c)
	if err != nil {
		return nil, err
	}
	t := &Step{
		Shape: s, Solver: solver, Layer: layer, Grads: layer.Params.ZerosLike(),
		X: normal("x", s.Batch*inputs), Target: normal("target", s.Batch*outputs),
		with: deq.Solver[float32]{Method: m, Settings: solvers.Settings{RTol: RTol}},
	}
	var adam []optim.Param
	for i, p := range layer.Params {
		adam = append(adam, optim.Param{Name: p.Name, N: len(p.Data)})
		t.params, t.flat = append(t.params, p.Data), append(t.flat, t.Grads[i].Data)
	}
	t.adam, err = optim.Adam[float32]{LR: LearningRate}.Start(adam)
	return t, err
}

// Eval implements deq.Loss.
func (t *Step) Eval(rows []int, y, dy []float32, losses_ []float64) error {
	first := rows[0] // rows of a shard follow one another
	target := losses.Target[float32]{Y: t.Target[first*outputs : (first+len(rows))*outputs]}
	return losses.MeanSquared[float32]{}.Eval(y, outputs, target, losses_, dy)
}

// Run makes the step.
func (t *Step) Run() error {
	ctx := context.Background()
	t.Grads.Clear()
	e, err := t.Layer.Solve(ctx, t.X, nil, t.with)
	if err != nil {
		return err
	}
	if err := e.Report.Err(); err != nil {
		return err
	}
	o, err := t.Layer.Evaluate(e.Z, t, t.Grads)
	if err != nil {
		return err
	}
	report, err := rules.Implicit[float32]{}.Gradient(ctx, rules.Situation[float32]{
		Equilibrium: e, Output: o, Loss: t, Forward: t.with, Backward: t.with,
	}, t.Grads)
	if err != nil {
		return err
	}
	if err := report.Solves[0].Err(); err != nil {
		return err
	}
	if err := t.Layer.Update(func(deq.Params[float32]) error { t.adam.Step(1, t.params, t.flat); return nil }); err != nil {
		return err
	}
	t.Loss = o.Mean()
	t.Done = Evaluations{Forward: e.Report.MeanEvals(), Backward: report.Solves[0].MeanEvals()}
	return nil
}

// gradients returns all gradients of the last step, in one piece.
func (t *Step) gradients() []float32 { return flat(t.Grads) }

// flat is all numbers in one piece.
func flat(p deq.Params[float32]) []float32 {
	var all []float32
	for _, g := range p {
		all = append(all, g.Data...)
	}
	return all
}

// stepWork is a whole training step on one core. The bare products are those of its evaluations and of
// the gradients.
func stepWork(s Shape, solver string) (*work, error) {
	t, err := NewStep(s, solver, deq.Config{Workers: 1})
	if err != nil {
		return nil, err
	}
	if err := t.Run(); err != nil {
		return nil, err
	}
	forward, backward, outer := products(t.Layer.Params, s, true), products(t.Layer.Params, s, false), outerProducts(s)
	return &work{
		ours: t.Run, out: t.gradients, evaluations: &t.Done,
		gemm: func() error {
			for range int(t.Done.Forward + 0.5) {
				_ = forward()
			}
			for range int(t.Done.Backward + 0.5) {
				_ = backward()
			}
			return outer()
		},
		tape: func() (func() error, func() []float32, error) {
			tape, err := NewStep(s, solver, deq.Config{Workers: 1, Engine: "tape"})
			if err != nil {
				return nil, nil, err
			}
			return tape.Run, tape.gradients, tape.Run()
		},
	}, nil
}

// coresWork is a whole training step on two cores and on one.
func coresWork(s Shape) (*work, error) {
	one, err := NewStep(s, "picard", deq.Config{Workers: 1})
	if err != nil {
		return nil, err
	}
	two, err := NewStep(s, "picard", deq.Config{Workers: 2})
	if err != nil {
		return nil, err
	}
	onTwo := func() error {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
		return two.Run()
	}
	if err := onTwo(); err != nil {
		return nil, err
	}
	return &work{ours: onTwo, oneCore: one.Run, out: two.gradients, evaluations: &two.Done}, nil
}

// timeSteps is the horizon of back-propagation through time.
const timeSteps = 50

// bpttWork is a training step through time without the optimiser.
func bpttWork(s Shape) (*work, error) {
	build := func(engine string) (func() error, func() []float32, error) {
		t, err := NewStep(s, "picard", deq.Config{Workers: 1, Engine: engine})
		if err != nil {
			return nil, nil, err
		}
		ctx := context.Background()
		run := func() error {
			t.Grads.Clear()
			tr, err := t.Layer.Relax(ctx, t.X, nil, timeSteps)
			if err != nil {
				return err
			}
			outs, err := tr.EvaluateLast(t, t.Grads)
			if err != nil {
				return err
			}
			_, err = rules.BPTT[float32]{}.Gradient(ctx, rules.Passage[float32]{Trajectory: tr, Outputs: outs}, t.Grads)
			return err
		}
		return run, t.gradients, run()
	}
	params := deq.NewParams[float32](rate(s.Units), inputs, outputs, seed)
	forward, backward, outer := products(params, s, true), products(params, s, false), outerProducts(s)
	w := &work{
		gemm: func() error {
			for range timeSteps {
				_, _, _ = forward(), backward(), outer()
			}
			return nil
		},
		tape: func() (func() error, func() []float32, error) { return build("tape") },
	}
	var err error
	w.ours, w.out, err = build("")
	return w, err
}
