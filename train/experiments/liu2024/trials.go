package liu2024

import (
	"context"
	"math"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/rules"
)

// trials are random inputs and targets, from N(0, 1) at every step, of a random network: a loss at every
// step.
type trials struct {
	*deq.Layer[float64]
	deq.Sequence[float64]
	targets []float64 // [steps, rows, outputs]
	seed    uint64
}

// shape is the size of trials.
type shape struct{ inputs, outputs, rows, steps int }

// newTrials draws some. Biases are small and random, so that a rectified unit does not start at its kink.
func newTrials(m models.Model, s shape, seed uint64) (*trials, error) {
	l, err := deq.New[float64](m, s.inputs, s.outputs, seed, deq.Config{Batch: s.rows, Workers: 1})
	if err != nil {
		return nil, err
	}
	draw := func(name string, n int, sd float64) []float64 {
		r, v := rng.Stream(seed, "liu2024/"+name), make([]float64, n)
		for i := range v {
			v[i] = sd * r.NormFloat64()
		}
		return v
	}
	if err := l.Update(func(p deq.Params[float64]) error {
		copy(p.Data("b"), draw("biases", l.Units, 0.1))
		return nil
	}); err != nil {
		return nil, err
	}
	return &trials{
		Layer: l, seed: seed, targets: draw("targets", s.steps*s.rows*s.outputs, 1),
		Sequence: deq.Sequence[float64]{Rows: s.rows, Steps: s.steps, X: draw("inputs", s.steps*s.rows*s.inputs, 1)},
	}, nil
}

// Eval implements deq.Loss: ½‖y − target‖².
func (tr *trials) Eval(rows []int, y, dy []float64, losses []float64) error {
	n := tr.Outputs
	for i, r := range rows {
		losses[i] = 0
		for k := range n {
			d := y[i*n+k] - tr.targets[r*n+k]
			dy[i*n+k], losses[i] = d, losses[i]+d*d/2
		}
	}
	return nil
}

// passage runs the trials.
func (tr *trials) passage(ctx context.Context) (rules.Passage[float64], error) {
	run, err := tr.Run(ctx, tr.Sequence)
	if err != nil {
		return rules.Passage[float64]{}, err
	}
	outs, err := run.Evaluate(ctx, tr, nil, nil)
	return rules.Passage[float64]{Trajectory: run, Outputs: outs, Loss: tr}, err
}

// gradient is that of a rule for the parameters of the cell. Rules with feedback of their own have
// the same.
func (tr *trials) gradient(ctx context.Context, p rules.Passage[float64], rule rules.TemporalRule[float64]) (deq.Params[float64], error) {
	p.Own = rules.NewOwn(rule, tr.Layer, tr.seed, nil)
	g := tr.Params.ZerosLike()
	_, err := rule.Gradient(ctx, p, g)
	return g, err
}

// distance is the largest difference of two gradients of the cell, relative to the largest entry of b.
func distance(a, b deq.Params[float64]) float64 {
	var worst, scale float64
	for i, p := range b {
		if p.Role.OfCell() {
			for k, v := range p.Data {
				worst, scale = max(worst, math.Abs(a[i].Data[k]-v)), max(scale, math.Abs(v))
			}
		}
	}
	return worst / scale
}

// cosine is that of the gradients of one parameter.
func cosine[T deq.Float](a, b deq.Params[T], param string) float64 {
	var ab, aa, bb float64
	x, y := a.Data(param), b.Data(param)
	for k := range x {
		u, v := float64(x[k]), float64(y[k])
		ab, aa, bb = ab+u*v, aa+u*u, bb+v*v
	}
	return ab / math.Sqrt(aa*bb)
}
