package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/models/feedback"
	"attractor/train/readout"
)

// trained is a readout with the state in which its training ended.
type trained[T kernels.Float] struct {
	readout []float64
	x       []T
}

// leastSquares trains the readout in the open loop, with z held at the target: by least squares on the
// stationary state there, or with α > 0 by ridge regression.
func (n *network[T]) leastSquares(ctx context.Context, target, alpha float64) (*trained[T], error) {
	x, err := n.settle(ctx, []float64{target}, nil)
	if err != nil {
		return nil, err
	}
	if !x.rest[0] {
		return nil, fmt.Errorf("mastrogiuseppe2019: no stationary state with z held at %g", target)
	}
	w, err := readout.Ridge(n.Units, widened(x.rates), []float64{target}, alpha)
	return &trained[T]{readout: w, x: x.x}, err
}

func widened[T kernels.Float](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func narrowed[T kernels.Float](v []float64) []T {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return out
}

// The time for which FORCE trains, and its step, in which it updates once.
const (
	forceTime = 50.0
	forceStep = 0.1
)

// force trains the readout by recursive least squares in the closed loop, FORCE, from n = 0, P = 1/α and a
// state from N(0, 1). The network is fed back what it reads out after the update.
func (n *network[T]) force(ctx context.Context, target, alpha float64, seed uint64) (*trained[T], error) {
	learner, err := readout.NewRLS(n.Units, alpha)
	if err != nil {
		return nil, err
	}
	w, off := make([]float64, n.Units), make([]float64, 1)
	run := n.Start(n.normal("force", seed), ones[T](1), func(_ int, rates, z []T) {
		r := widened(rates)
		off[0] = kernels.Dot(w, r) - target
		learner.Update(w, r, off)
		z[0] = T(kernels.Dot(w, r))
	})
	for range int(math.Round(forceTime / forceStep)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		run.Euler(forceStep, 1)
	}
	return &trained[T]{readout: w, x: run.X}, nil
}

// openLoop trains the readout by ridge regression on 100 states, one unit of time apart, with z held at the
// target: where these are at rest it is that of least squares, nearly, and where they fluctuate it is for all of them.
func (n *network[T]) openLoop(ctx context.Context, target, alpha float64, seed uint64) ([]float64, error) {
	const forget, samples, perUnit = 50, 100, 10
	run := n.Start(n.normal("open", seed), ones[T](1), feedback.Clamp([]T{T(target)}))
	var rates, targets []float64
	for t := range forget + samples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		run.Euler(1./perUnit, perUnit)
		if t >= forget {
			rates, targets = append(rates, widened(run.Rates)...), append(targets, target)
		}
	}
	return readout.Ridge(n.Units, rates, targets, alpha)
}
