package tasks

import (
	"math/rand/v2"
	"slices"

	"attractor/train/kit"
)

// trials is a task whose trials are drawn. Each trial has a random stream of its own, so that
// more trials begin with the same ones.
type trials struct {
	name            string
	kind            Kind
	inputs, outputs int
	steps           int     // of the longest trial that can be drawn, to which all are padded
	ideal           float64 // Dataset.Ideal
	start           float64 // Dataset.Start
	train, test     int     // trials
	draw            func(t *trial)
}

// trial is one to be drawn: all 0, with the weight 1 everywhere and no scored step.
type trial struct {
	*rand.Rand
	inputs, outputs int
	x               []float64 // [steps, inputs]
	labels          []int32   // [steps], or nil
	y               []float64 // [steps, outputs], or nil
	weights         []float64 // [steps]
	scored          []bool    // [steps]
}

// span is the steps from one to another, which is no longer among them.
type span struct{ from, to int }

// add adds v to an input.
func (t *trial) add(when span, input int, v float64) {
	for k := when.from; k < when.to; k++ {
		t.x[k*t.inputs+input] += v
	}
}

// noise adds independent sd·N(0, 1) to some inputs.
func (t *trial) noise(when, inputs span, sd float64) {
	for k := when.from; k < when.to; k++ {
		for j := inputs.from; j < inputs.to; j++ {
			t.x[k*t.inputs+j] += sd * t.NormFloat64()
		}
	}
}

// score marks steps as scored.
func (t *trial) score(when span) {
	for k := when.from; k < when.to; k++ {
		t.scored[k] = true
	}
}

// decide asks for a label in the last steps of a trial, which are scored.
func (t *trial) decide(when span, label int) {
	for k := when.from; k < when.to; k++ {
		t.labels[k] = int32(label)
	}
	t.score(when)
	t.ignore(span{when.to, len(t.weights)})
}

// ignore takes steps out of the loss.
func (t *trial) ignore(when span) { clear(t.weights[when.from:when.to]) }

// load draws the data set.
func (s trials) load(seed uint64) (*Dataset, error) {
	if err := checkSizes(s.name, s.inputs+s.outputs, AtLeast{"steps", s.steps, 1}, AtLeast{"trials", s.train, 1}, AtLeast{"test_trials", s.test, 1}); err != nil {
		return nil, err
	}
	part := func(part string, n int) Split {
		out := Split{N: n, Steps: s.steps, X: make([]float64, n*s.steps*s.inputs), Weights: make([]float64, n*s.steps), Scored: make([]bool, n*s.steps)}
		if s.kind == Classification {
			out.Labels = make([]int32, n*s.steps)
		} else {
			out.Y = make([]float64, n*s.steps*s.outputs)
		}
		for i := range out.Weights {
			out.Weights[i] = 1
		}
		for i := range n {
			s.draw(&trial{
				Rand: kit.Stream(seed, s.name+"/"+part, uint64(i)), inputs: s.inputs, outputs: s.outputs,
				x: row(out.X, n, i), labels: row(out.Labels, n, i), y: row(out.Y, n, i), weights: row(out.Weights, n, i), scored: row(out.Scored, n, i),
			})
		}
		if !slices.Contains(out.Weights, 0) {
			out.Weights = nil
		}
		if !slices.Contains(out.Scored, true) {
			out.Scored = nil
		}
		return out
	}
	return &Dataset{Name: s.name, Kind: s.kind, Inputs: s.inputs, Outputs: s.outputs, Steps: s.steps, Ideal: s.ideal, Start: s.start,
		Train: part("train", s.train), Test: part("test", s.test)}, nil
}

// row is row i of an array of n rows.
func row[E any](v []E, n, i int) []E {
	w := width(v, n)
	return v[i*w : (i+1)*w]
}
