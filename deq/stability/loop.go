package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/solvers"
)

// Loop closes a feedback loop around an open network: input In takes the value that output Out
// has. ScanLoop finds its fixed points.
type Loop struct {
	In, Out int     `key:"-"`
	From    float64 `doc:"least value in the loop"`
	To      float64 `doc:"largest value in the loop"`
	Points  int     `default:"401" doc:"values at which the loop is opened"`
}

// LoopPoint is a fixed point of a closed loop.
type LoopPoint[T deq.Float] struct {
	Value float64 // κ in the loop
	Z     []T     // state [units]
	// Slope is F′(κ) of what comes back around the loop. At 1 points meet and vanish.
	Slope float64
}

// ScanLoop clamps the loop at each of its values κ in turn, solves the open network there from
// the state 0, and compares what it reads out, F(κ): the fixed points of the closed loop are the roots of
// F(κ) = κ, which are bracketed and bisected. For a network with recurrent weights W + m nᵀ the open one has
// W, an input along m, and n as readout. Every fixed point is found that differs in κ from the next by more than
// two of the values, provided that the open network has one fixed point for each κ: failed
// counts values where the solver found none.
//
// x [inputs] is the input otherwise (nil: 0). The solver should be sharp, 1e-10 say.
func ScanLoop[T deq.Float](ctx context.Context, l *deq.Layer[T], x []T, o Loop, with deq.Solver[T]) (points []LoopPoint[T], failed int, err error) {
	o = options.WithDefaults(o)
	switch {
	case o.In < 0 || o.In >= l.Inputs || o.Out < 0 || o.Out >= l.Outputs:
		return nil, 0, fmt.Errorf("stability: loop from output %d to input %d: expected those of %d and %d", o.Out, o.In, l.Outputs, l.Inputs)
	case o.Points < 2 || !(o.From < o.To) || math.IsInf(o.To-o.From, 0):
		return nil, 0, fmt.Errorf("stability: loop at %d values from %g to %g: expected at least 2 from a smaller to a larger one", o.Points, o.From, o.To)
	}
	if x == nil {
		x = make([]T, l.Inputs)
	}
	around := func(values []float64, from []T) (back []float64, states []T, err error) {
		for first := 0; first < len(values); first += l.Batch() {
			part := values[first:min(first+l.Batch(), len(values))]
			xs := slices.Repeat(x, len(part))
			for i, v := range part {
				xs[i*l.Inputs+o.In] = T(v)
			}
			var z0 []T
			if from != nil {
				z0 = from[first*l.Units : (first+len(part))*l.Units]
			}
			e, err := l.Solve(ctx, xs, z0, with)
			if err != nil {
				return nil, nil, err
			}
			out, err := l.Evaluate(e.Z, unjudged[T]{}, nil)
			if err != nil {
				return nil, nil, err
			}
			for i, status := range e.Report.Status {
				f := math.NaN()
				if status == solvers.Converged {
					f = float64(out.Y[i*l.Outputs+o.Out])
				}
				back = append(back, f)
			}
			states = append(states, e.Z...)
		}
		return back, states, nil
	}
	grid := make([]float64, o.Points)
	for i := range grid {
		grid[i] = o.From + (o.To-o.From)*float64(i)/float64(o.Points-1)
	}
	back, found, err := around(grid, nil)
	if err != nil {
		return nil, 0, err
	}
	var lo, hi []float64 // of each bracket
	var rises []bool     // whether more comes back than goes in at its low end
	var states []T
	for i, f := range back {
		if math.IsNaN(f) {
			failed++
		}
		if i > 0 && (f > grid[i]) != (back[i-1] > grid[i-1]) && !math.IsNaN(f+back[i-1]) {
			lo, hi, rises = append(lo, grid[i-1]), append(hi, grid[i]), append(rises, back[i-1] > grid[i-1])
			states = append(states, found[i*l.Units:(i+1)*l.Units]...)
		}
	}
	if len(lo) == 0 {
		return nil, failed, nil
	}
	middle := make([]float64, len(lo))
	for range 60 {
		for i := range middle {
			middle[i] = (lo[i] + hi[i]) / 2
		}
		if back, states, err = around(middle, states); err != nil {
			return nil, 0, err
		}
		for i, f := range back {
			if (f > middle[i]) == rises[i] {
				lo[i] = middle[i]
			} else {
				hi[i] = middle[i]
			}
		}
	}
	const h = 1e-4
	var sides []float64
	for _, v := range middle {
		sides = append(sides, v-h, v+h)
	}
	if back, _, err = around(sides, nil); err != nil {
		return nil, 0, err
	}
	for i, v := range middle {
		if math.IsNaN(back[2*i] + back[2*i+1]) {
			failed++
			continue
		}
		points = append(points, LoopPoint[T]{Value: v, Z: states[i*l.Units : (i+1)*l.Units], Slope: (back[2*i+1] - back[2*i]) / (2 * h)})
	}
	return points, failed, nil
}

// unjudged is no loss: the outputs are read alone.
type unjudged[T deq.Float] struct{}

// Eval implements deq.Loss.
func (unjudged[T]) Eval([]int, []T, []T, []float64) error { return nil }
