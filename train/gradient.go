package train

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/internal/quote"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Weights are the parameters of a network by their names, and those of a rule's own, from a file.
type Weights struct {
	Source string // for messages
	Run    bool   // whether they are a run's, whose own parameters may be those of another rule
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

	Trained   []int         // indices of the parameters that learn; the others have no gradient
	Solves    []rules.Solve // of the equilibrium and of the rule's own
	Effective deq.Params[T] // weights of the cell that are made of parameters, by the parameter's name
	Notes     []string      // on what of the weights and of the options the gradient does not hold
}

// GradientAt takes the gradient of the configuration's rule, for the parameters that learn, at the given weights, on all of the
// data's training part as one batch, in its order. It is that of a first step of training: masks of dropout, noise and probes are
// those that the seed gives this, and what the regularizer adds is in it. Flossing, which moves the weights before a step,
// clipping, a warm start, which a first step does not have, and the optimiser have no part. A loss or a gradient that is
// not finite is a *[DivergedError], unless train.nonfinite goes on with such.
func GradientAt[T deq.Float](ctx context.Context, c Config[T], p Parts[T], w Weights, data *tasks.Dataset) (*Gradient[T], error) {
	c.Train.Batch, c.Train.Holdout, c.Train.WarmStart = data.Train.N, false, "off"
	g := &Gradient[T]{Steps: data.Steps}
	if c.Flossing.Times != 0 {
		g.Notes = append(g.Notes, "flossing has no part in the gradient: it would move the weights before the first step, and the gradient is that at the weights as they are given")
	}
	c.Train.Certificate, c.Train.Stability, c.Flossing.Times = 0, "off", 0
	c.Train.StabilitySpectrum, c.Task.Name = "none", data.Name
	c.Train.Schedule, c.Train.Warmup, c.Train.Epochs = "constant", 0, 1 // of the optimiser's steps
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
	if g.Layer, g.Trained = t.Layer, t.trained; len(t.trained) == 0 {
		return nil, fmt.Errorf("train: no parameter learns with train.trained %s: choose all", t.settings.Trained)
	}
	if err := w.unknown(c.Rule.Name, ownNames(t.Own.Params)); err != nil && !w.Run {
		return nil, err
	} else if err != nil {
		g.Notes = append(g.Notes, err.Error()+"; they are left out")
	}
	if g.Effective, err = t.effective(); err != nil {
		return nil, err
	}
	for _, e := range g.Effective {
		if w.Run { // whose W was never meant to be the weights
			break
		}
		g.Notes = append(g.Notes, remade(w.Source, e.Name, e.Data, t.Layer.Params.Data(e.Name))...)
	}
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
	t.dropOut()
	step, err := t.gradients(ctx, batch, nil)
	if err != nil {
		return nil, err
	}
	if bad := t.diverged(&step); bad != nil && t.settings.NonFinite == "stop" {
		return nil, bad
	}
	g.Solves = step.Report.Solves
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
// model as it is fits it stays. Arrays that are no parameter of the model have no say.
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
	var nearest misfit
	for _, c := range candidates {
		if v, ok := c.(interface{ Validate() error }); ok && v.Validate() != nil {
			continue
		}
		for _, outputs := range sizes {
			for extra := range 4 { // loops besides the outputs
				if outputs <= extra {
					break
				}
				bad := w.misfits(c.Params(inputs, outputs-extra))
				if len(bad) == 0 {
					return c, outputs - extra, nil
				}
				if nearest.of == nil || len(bad) < len(nearest.bad) {
					nearest = misfit{c, outputs - extra, bad}
				}
			}
		}
	}
	if nearest.of == nil {
		return nil, 0, fmt.Errorf("%s: the arrays have no size that the model could have", w.Source)
	}
	var wrong []string
	for _, p := range nearest.bad {
		wrong = append(wrong, fmt.Sprintf("array %q: expected shape %v, found %v", p.Name, p.Shape, w.Params[p.Name].Shape))
	}
	return nil, 0, fmt.Errorf("%s: %s, as a network of %d units and %d outputs with the %d inputs of x has it",
		w.Source, strings.Join(wrong[:min(len(wrong), 10)], "; "), nearest.of.Units(), nearest.outputs, inputs)
}

// misfit is a network that some arrays do not fit.
type misfit struct {
	of      models.Model
	outputs int
	bad     []models.Param
}

// misfits are the parameters whose arrays have another shape.
func (w Weights) misfits(params []models.Param) (bad []models.Param) {
	for _, p := range params {
		if !slices.Equal(w.Params[p.Name].Shape, p.Shape) {
			bad = append(bad, p)
		}
	}
	return bad
}

// unknown says which arrays of a rule's own the rule does not have.
func (w Weights) unknown(rule string, own []string) error {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(w.Own)) {
		if !slices.Contains(own, name) {
			unknown = append(unknown, rulePrefix+name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	has := "has no parameters of its own"
	if len(own) > 0 {
		for i := range own {
			own[i] = rulePrefix + own[i]
		}
		has = "has of its own " + quote.Names(own)
	}
	return fmt.Errorf("%s: found the arrays %s, but rule %q with its options %s", quote.Path(w.Source), quote.Names(unknown), rule, has)
}

// remade says how the weights of the cell differ from the array that they are made of.
func remade[T deq.Float](source, name string, effective, array []T) []string {
	missing, turned, other := 0, 0, 0
	for k, v := range effective {
		switch {
		case v == array[k]:
		case v == 0:
			missing++
		case v == -array[k]:
			turned++
		default:
			other++
		}
	}
	if missing+turned+other == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: array %q is not what the network has for weights, by the options of the model: of %d entries %d are masked to 0, %d have the other sign and %d another size; these weights are written as effective/%s",
		quote.Path(source), name, len(array), missing, turned, other, name)}
}

func namesOf(params []models.Param) []string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

func ownNames[T deq.Float](own deq.Params[T]) (names []string) {
	for _, p := range own {
		names = append(names, p.Name)
	}
	return names
}
