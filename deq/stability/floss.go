package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
)

// Mover moves parameters along their gradients: the state of an optimiser.
type Mover[T deq.Float] interface {
	Step(scale float64, params, grads [][]T)
}

// Flossed is what the exponents are at a moment of a flossing.
type Flossed struct {
	Loss      float64   // L, the mean over the batch
	Exponents []float64 // means over the batch
	// Saturated is the fraction of slopes |φ′| below 0.1 on the last trajectory, where it is
	// known: before and after the flossing, of a cell with one activation. Else it is NaN.
	Saturated float64
}

// FlossingReport says what a flossing has come to.
type FlossingReport struct {
	Status        string    // Reached, Spent or RanAway; empty while it goes on
	Reason        string    // of RanAway
	Steps         int       // updates made
	Losses        []float64 // L before each update and after the last; of RanAway the last is that at which it was given up
	Before, After Flossed   // After is where the parameters are at the end: of RanAway where they were put back
}

// The values of FlossingReport.Status.
const (
	Reached = "reached"  // the target, within the tolerance
	Spent   = "spent"    // all steps
	RanAway = "ran away" // from the target: the parameters are those where the loss was least
)

// recent is the number of losses whose mean the guard against a runaway looks at.
const recent = 10

// Flosser is a flossing under way: it moves the exponents of a layer to their target, by the options'
// steps of an optimiser on some parameters. Each step measures Batch trajectories from random states.
//
// The steps to come depend on the report so far, on Best, on the parameters and on the state of the
// optimiser alone: given those, another Flosser goes on as this one would.
type Flosser[T deq.Float] struct {
	FlossingReport
	Best deq.Params[T] // all parameters of the layer, where the mean of the recent losses was least

	layer         *deq.Layer[T]
	drive         Drive[T]
	with          Mover[T]
	options       Flossing
	grads         deq.Params[T]
	params, moved [][]T // what the optimiser is given: parameters and their gradients
	last          *passage[T]
}

// NewFlosser begins a flossing of the parameters with the indices given, by an optimiser. drive goes
// on from one trajectory to the next; nil stands for inputs of 0.
func NewFlosser[T deq.Float](l *deq.Layer[T], drive Drive[T], trained []int, with Mover[T], o Flossing) *Flosser[T] {
	f := &Flosser[T]{
		Best: l.Params.ZerosLike(), layer: l, drive: drive, with: with, options: o.withDefaults(), grads: l.Params.ZerosLike(),
	}
	for _, i := range trained {
		f.params, f.moved = append(f.params, l.Params[i].Data), append(f.moved, f.grads[i].Data)
	}
	return f
}

// Run makes steps until the flossing has ended.
func (f *Flosser[T]) Run(ctx context.Context) error {
	for f.Status == "" {
		if err := f.Step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Step measures the exponents and makes an update, or ends the flossing.
//
// When ctx is cancelled, or something fails before the first update, the error says so and all is
// as it was; later on a failure counts as a runaway.
func (f *Flosser[T]) Step(ctx context.Context) error {
	at, err := f.measure(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil || f.Steps == 0:
		return err
	default:
		return f.flee(ctx, err.Error())
	}
	if f.Steps == 0 {
		if f.Before, err = f.look(at); err != nil {
			return err
		}
	}
	f.Losses = append(f.Losses, at.Loss)
	switch {
	case math.Sqrt(at.Loss) < f.options.Tol:
		return f.end(Reached, at)
	case f.Steps == f.options.Steps:
		return f.end(Spent, at)
	}
	least, mean := math.Inf(1), f.mean(f.Steps)
	for step := range f.Steps {
		least = min(least, f.mean(step))
	}
	if mean < least {
		f.Best.CopyFrom(f.layer.Params)
	} else if mean > f.options.Runaway*least && math.Sqrt(mean) > 5*f.options.Tol {
		return f.flee(ctx, fmt.Sprintf("the loss has grown to %.3g from the least of %.3g", mean, least))
	}
	if err := f.layer.Update(func(deq.Params[T]) error { f.with.Step(1, f.params, f.moved); return nil }); err != nil {
		return err
	}
	f.Steps++
	return nil
}

// mean is that of the recent losses at a step.
func (f *Flosser[T]) mean(step int) (mean float64) {
	losses := f.Losses[max(0, step+1-recent) : step+1]
	for _, v := range losses {
		mean += v / float64(len(losses))
	}
	return mean
}

// measure measures the exponents, and their gradient.
func (f *Flosser[T]) measure(ctx context.Context) (at Flossed, err error) {
	o := f.options
	f.grads.Clear()
	at = Flossed{Exponents: make([]float64, o.K), Saturated: math.NaN()}
	for b := range o.Batch {
		own := f.drive
		if own != nil {
			first := (f.Steps*o.Batch + b) * o.Horizon
			own = func(t int, x []T) { f.drive(first+t, x) }
		}
		if f.last, err = floss(ctx, f.layer, own, nil, o, f.grads, uint64(f.Steps), uint64(b)); err != nil {
			return at, err
		}
		at.Loss += o.loss(f.last.exponents) / float64(o.Batch)
		for i, v := range f.last.exponents {
			at.Exponents[i] += v / float64(o.Batch)
		}
	}
	return at, nil
}

// look adds the saturation to what has just been measured.
func (f *Flosser[T]) look(at Flossed) (Flossed, error) {
	var err error
	at.Saturated, err = f.last.saturated(f.layer)
	return at, err
}

func (f *Flosser[T]) end(status string, at Flossed) (err error) {
	f.After, err = f.look(at)
	f.Status = status
	return err
}

// flee ends the flossing where the loss was least.
func (f *Flosser[T]) flee(ctx context.Context, reason string) error {
	if err := f.layer.Update(f.Best.Into); err != nil {
		return err
	}
	at, err := f.measure(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	f.Reason = reason
	return f.end(RanAway, at)
}

// saturated is the fraction of slopes below 0.1 in absolute value along the way.
func (p *passage[T]) saturated(l *deq.Layer[T]) (float64, error) {
	if l.SingleActivation() != nil {
		return math.NaN(), nil
	}
	small, all := 0, 0
	for first := 0; first < len(p.z); first += l.Batch() {
		end := min(first+l.Batch(), len(p.z))
		there, err := l.At(slices.Concat(p.x[first:end]...), slices.Concat(p.z[first:end]...))
		if err != nil {
			return 0, err
		}
		slopes := slices.Repeat([]T{1}, len(there.Z))
		if err := there.Gain(slopes, slopes); err != nil {
			return 0, err
		}
		for _, s := range slopes {
			if math.Abs(float64(s)) < 0.1 {
				small++
			}
		}
		all += len(slopes)
	}
	return float64(small) / float64(all), nil
}
