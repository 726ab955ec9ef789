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
	Status        string // Reached, Spent or RanAway
	Reason        string // of RanAway
	Steps         int    // updates made
	Before, After Flossed
}

// The values of FlossingReport.Status.
const (
	Reached = "reached"  // the target, within the tolerance
	Spent   = "spent"    // all steps
	RanAway = "ran away" // from the target: the parameters are those where the loss was least
)

// recent is the number of losses whose mean the guard against a runaway looks at.
const recent = 10

// Floss moves the exponents of a layer to their target, by the options' steps of an optimiser on
// the parameters with the indices given (nil: all of the cell). Each step measures Batch
// trajectories from random states; drive goes on from one to the next, and may be nil. notify, which may be nil, is
// told of every step before its update.
//
// When ctx is cancelled, or before the first update something fails, the error says so and
// the parameters stay where they are; later on a failure counts as a runaway.
func Floss[T deq.Float](ctx context.Context, l *deq.Layer[T], drive Drive[T], trained []int, with Mover[T], o Flossing, notify func(step int, at Flossed)) (*FlossingReport, error) {
	o = o.withDefaults()
	if trained == nil {
		for i, p := range l.Params {
			if p.Role.OfCell() {
				trained = append(trained, i)
			}
		}
	}
	g, best := l.Params.ZerosLike(), l.Params.ZerosLike()
	params, grads := make([][]T, len(trained)), make([][]T, len(trained))
	for j, i := range trained {
		params[j], grads[j] = l.Params[i].Data, g[i].Data
	}
	r, least, losses := &FlossingReport{}, math.Inf(1), []float64(nil)
	var last *passage[T]
	measure := func(step int) (at Flossed, err error) {
		g.Clear()
		at = Flossed{Exponents: make([]float64, o.K), Saturated: math.NaN()}
		for b := range o.Batch {
			own := drive
			if drive != nil {
				first := (step*o.Batch + b) * o.Horizon
				own = func(t int, x []T) { drive(first+t, x) }
			}
			if last, err = floss(ctx, l, own, nil, o, g, uint64(step), uint64(b)); err != nil {
				return at, err
			}
			at.Loss += o.loss(last.exponents) / float64(o.Batch)
			for i, v := range last.exponents {
				at.Exponents[i] += v / float64(o.Batch)
			}
		}
		return at, nil
	}
	// end takes the saturation of a moment that is reported.
	end := func(at *Flossed) (err error) {
		at.Saturated, err = last.saturated(l)
		return err
	}
	flee := func(reason string) (*FlossingReport, error) {
		r.Status, r.Reason = RanAway, reason
		l.Params.CopyFrom(best)
		l.Updated()
		var err error
		if r.After, err = measure(r.Steps); err != nil {
			return nil, err
		}
		return r, end(&r.After)
	}
	for ; ; r.Steps++ {
		at, err := measure(r.Steps)
		switch {
		case err == nil:
		case ctx.Err() != nil || r.Steps == 0:
			return nil, err
		default:
			return flee(err.Error())
		}
		if notify != nil {
			notify(r.Steps, at)
		}
		if r.After = at; r.Steps == 0 {
			if err := end(&at); err != nil {
				return nil, err
			}
			r.Before = at
		}
		if math.Sqrt(at.Loss) < o.Tol {
			r.Status = Reached
			return r, end(&r.After)
		}
		if r.Steps == o.Steps {
			r.Status = Spent
			return r, end(&r.After)
		}
		losses = append(losses, at.Loss)
		mean := 0.0
		for _, v := range losses[max(0, len(losses)-recent):] {
			mean += v / float64(min(recent, len(losses)))
		}
		if mean < least {
			least = mean
			best.CopyFrom(l.Params)
		} else if mean > o.Runaway*least && math.Sqrt(mean) > 5*o.Tol {
			return flee(fmt.Sprintf("the loss has grown to %.3g from the least of %.3g", mean, least))
		}
		with.Step(1, params, grads)
		l.Updated()
	}
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
