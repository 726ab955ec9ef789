package train

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/models"
	"attractor/train/tasks"
)

// Weights are the parameters of a network by their names, and those of a rule's own, from a file.
type Weights struct {
	Source string // for messages
	Params map[string]Array
	Own    map[string]Array
}

// Array is an array of numbers, row by row.
type Array struct {
	Shape []int
	Data  []float64
}

// Gradient is a rule's gradient for given weights and a batch, with what it was taken from.
type Gradient[T deq.Float] struct {
	Layer    *deq.Layer[T]
	Params   deq.Params[T] // the gradient, the readout's included
	Own      deq.Params[T] // parameters of the rule's own, as they were
	OwnGrads deq.Params[T] // their gradients; those of fixed ones are empty
	Loss     float64
	Steps    int // of the trials; 0 where a sample is one input
	Z        []T // what was read out: [batch, units], or the states after each step [batch, steps, units]
	Outputs  []T // [batch, outputs], or [batch, steps, outputs]
	Failed   int // samples of which some solve did not converge, or that drifted
	Residual float64
	Drawn    []string // parameters of the rule's own that the weights do not have: they are drawn from the seed
}

// GradientAt takes the gradient of the configuration's rule for all parameters at the given weights, on all of the data's
// training part as one batch, in its order. It is that of a first step: nothing is dropped out and noise is that of the seed's
// step 0. What the regularizer adds is in it; clipping, a warm start and the optimiser have no part.
func GradientAt[T deq.Float](ctx context.Context, c Config[T], p Parts[T], w Weights, data *tasks.Dataset) (*Gradient[T], error) {
	c.Train.Batch, c.Train.Trained, c.Train.Holdout, c.Train.WarmStart = data.Train.N, "all", false, "off"
	c.Train.Certificate, c.Train.Stability, c.Flossing.Times = 0, "off", 0
	c.Train.StabilitySpectrum, c.Task.Name = "none", data.Name
	t, err := NewOn(c, p, data)
	if err != nil {
		return nil, err
	}
	if err := t.Layer.Update(func(params deq.Params[T]) error {
		for _, param := range params {
			if err := w.fill(param.Name, w.Params, param.Shape, func(k int, v float64) bool {
				param.Data[k] = T(v)
				return isFinite(param.Data[k])
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	g := &Gradient[T]{Layer: t.Layer, Steps: data.Steps}
	for _, own := range t.Own.Params {
		if _, ok := w.Own[own.Name]; !ok {
			g.Drawn = append(g.Drawn, own.Name)
			continue
		}
		if err := w.fill(own.Name, w.Own, own.Shape, func(k int, v float64) bool {
			own.Data[k] = T(v)
			return isFinite(own.Data[k])
		}); err != nil {
			return nil, err
		}
	}
	batch := t.batches.InOrder(0)
	step, err := t.gradients(ctx, batch, nil)
	if err != nil {
		return nil, err
	}
	g.Params, g.Own, g.OwnGrads = step.Grads, t.Own.Params, t.Own.Grads
	g.Loss, g.Failed, g.Residual = float64(step.Record.Loss), step.Record.Failed, float64(step.Record.Residual)
	if g.Z, g.Outputs, err = t.statesOf(ctx, step); err != nil {
		return nil, err
	}
	return g, nil
}

// statesOf are the states that are read out and the outputs, trial by trial.
func (t *Trainer[T]) statesOf(ctx context.Context, s Step[T]) (z, outputs []T, err error) {
	rows, l := len(s.Batch.Rows), t.Layer
	states := [][]T{s.Z}
	if s.Batch.Steps > 0 {
		tr, err := l.Run(ctx, t.sequence(s.Batch)) // of which every state is kept
		if err != nil {
			return nil, nil, err
		}
		states = tr.Z[1:]
	}
	z, outputs = make([]T, len(states)*rows*l.Units), make([]T, len(states)*rows*l.Outputs)
	y := make([]T, rows*l.Outputs)
	for k, state := range states {
		if err := l.Read(state, y); err != nil {
			return nil, nil, err
		}
		for b := range rows {
			at := b*len(states) + k
			copy(z[at*l.Units:], state[b*l.Units:(b+1)*l.Units])
			copy(outputs[at*l.Outputs:], y[b*l.Outputs:(b+1)*l.Outputs])
		}
	}
	return z, outputs, nil
}

// fill gives a parameter its values; set reports a value beyond the number type.
func (w Weights) fill(name string, from map[string]Array, shape []int, set func(k int, v float64) bool) error {
	a, ok := from[name]
	switch {
	case !ok:
		return fmt.Errorf("%s: expected an array %q %v, found only %s", w.Source, name, shape, someOf(slices.Sorted(maps.Keys(from))))
	case !slices.Equal(a.Shape, shape):
		return fmt.Errorf("%s: array %q: expected shape %v, found %v", w.Source, name, shape, a.Shape)
	}
	for k, v := range a.Data {
		if !set(k, v) {
			return fmt.Errorf("%s: array %q: expected finite numbers of the run's precision, found %v at entry %d", w.Source, name, v, k)
		}
	}
	return nil
}

// someOf lists at most ten names.
func someOf(names []string) string {
	const most = 10
	if len(names) == 0 {
		return "none"
	}
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func isFinite[T deq.Float](v T) bool { return v-v == 0 }

// Fit returns the model with as many units as the weights have, and the number of their outputs, for so many inputs. Where the
// model as it is fits it stays.
func (w Weights) Fit(m models.Model, inputs int) (models.Model, int, error) {
	sizes := []int{}
	for _, p := range m.Params(inputs, 1) {
		a, ok := w.Params[p.Name]
		if !ok {
			return nil, 0, fmt.Errorf("%s: expected an array for each of the model's parameters %s, found no %q among %s",
				w.Source, someOf(namesOf(m.Params(inputs, 1))), p.Name, someOf(slices.Sorted(maps.Keys(w.Params))))
		}
		sizes = append(sizes, a.Shape...)
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	candidates := []models.Model{m}
	for _, n := range sizes {
		if resized, ok := models.WithUnits(m, n); ok {
			candidates = append(candidates, resized)
		}
	}
	for _, c := range candidates {
		if v, ok := c.(interface{ Validate() error }); ok && v.Validate() != nil {
			continue
		}
		for _, outputs := range sizes {
			for extra := range 4 { // loops besides the outputs
				if outputs > extra && w.fits(c.Params(inputs, outputs-extra)) {
					return c, outputs - extra, nil
				}
			}
		}
	}
	p := m.Params(inputs, 1)[0]
	return nil, 0, fmt.Errorf("%s: the arrays do not have the shapes of the model's parameters for %d inputs: %s is %v; check the model, its options and the width of x",
		w.Source, inputs, p.Name, w.Params[p.Name].Shape)
}

// fits reports whether all parameters have their shapes.
func (w Weights) fits(params []models.Param) bool {
	return !slices.ContainsFunc(params, func(p models.Param) bool { return !slices.Equal(w.Params[p.Name].Shape, p.Shape) })
}

func namesOf(params []models.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}
