package compare

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Wide is the configuration of a comparison in float64, in which exact gradients are computed.
type Wide struct {
	Config train.Config[float64]
	Parts  train.Parts[float64]
}

// reference computes exact gradients in float64 on a layer of its own: by implicit differentiation
// with both solves to rtol 1e-9, or by back-propagation through time where a sample is a
// sequence.
type reference struct {
	*train.Trainer[float64]
	batch tasks.Batch[float64]
}

func newReference(w Wide, data *tasks.Dataset, seed uint64, trained string) (*reference, error) {
	c := onlooking(w.Config)
	c.Train.Seed, c.Train.Trained = seed, trained
	c.Rule.Name, c.Rule.Value = "implicit", rules.Rule[float64](rules.Implicit[float64]{})
	if data.Steps > 0 {
		c.Rule.Name, c.Rule.Value = "bptt", rules.BPTT[float64]{}
	}
	c.Solver.Name, c.Solver.Value = "anderson", solvers.Method[float64](solvers.Anderson[float64]{})
	c.Forward = solvers.Settings{RTol: 1e-9, MaxEvals: 500}
	c.Backward, c.Adjoint = c.Solver, c.Forward
	t, err := train.NewOn(c, w.Parts, data)
	if err != nil {
		return nil, fmt.Errorf("compare: exact gradient: %w", err)
	}
	return &reference{Trainer: t}, nil
}

// onlooking leaves out of a configuration what is not the gradient of the task's loss.
func onlooking[T deq.Float](c train.Config[T]) train.Config[T] {
	c.Regularizer = train.Regularizer{}
	c.Train.Workers, c.Train.Holdout, c.Train.Certificate = 1, false, 0
	c.Train.WarmStart, c.Train.Stability, c.Train.Unconverged = "off", "off", "continue"
	return c
}

// gradientOf computes the exact gradient at the parameters and masks of a layer, for the samples
// rows of the training data, from the states guess (nil: from 0). It is that of all samples only
// where none is among the failed.
func gradientOf[T deq.Float](ctx context.Context, x *reference, l *deq.Layer[T], rows []int, guess []float64) (s train.Step[float64], failed map[int]bool, err error) {
	for i, p := range l.Params {
		for k, v := range p.Data {
			x.Layer.Params[i].Data[k] = float64(v)
		}
	}
	deq.CopyMasks(x.Layer, l)
	x.batch.Gather(x.Data.Train, rows)
	s, err = x.Look(ctx, x.Layer.Params, &x.batch, guess)
	if err != nil {
		return s, nil, fmt.Errorf("compare: exact gradient: %w", err)
	}
	return s, s.Report.FailedSamples(), nil
}

func widen[T deq.Float](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
