package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/budget"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/train/optim"
	"attractor/train/tasks"
)

// Flossing is the section `flossing`: gradient flossing of the cell, before training and in the course
// of it; none by default. It moves those parameters of the cell that learn, or, where only the
// readout does, all of the cell's. The trials that are trained on drive the trajectories, one after the other, without
// noise of the model.
type Flossing struct {
	Times int     `doc:"flossings in the run, each of which moves the largest Lyapunov exponents to the target, for errors to travel far in time; 0 is none" max:"1e9: no run has more updates"`
	Start int     `doc:"when the first one is, in units; 0 is before training" max:"1e9: no run has more updates"`
	Every int     `default:"100" doc:"units from each flossing to the next" max:"1e9: no run has more updates"`
	Unit  string  `default:"updates" doc:"what start and every count" choices:"updates,epochs"`
	LR    float64 `default:"0.001" doc:"learning rate of Adam, which begins anew with each flossing; its gradients are not clipped"`

	stability.Flossing
}

// Validate reports options outside their range.
func (f Flossing) Validate() error {
	f = options.WithDefaults(f)
	switch {
	case f.Times < 0 || f.Start < 0 || f.Every < 1:
		return fmt.Errorf("times, start and every: expected at least 0, 0 and 1, found %d, %d and %d", f.Times, f.Start, f.Every)
	case !(f.LR > 0):
		return fmt.Errorf("lr: expected a positive number, found %g", f.LR)
	}
	return f.Flossing.Validate()
}

// due tells the number of the flossing, from 0, that comes before the step, if one does.
func (t *Trainer[T]) due(step int) (nth int, yes bool) {
	since, every := step-t.updates(t.flossing.Start), t.updates(t.flossing.Every)
	return since / every, since >= 0 && since%every == 0 && since/every < t.flossing.Times
}

// updates are those of so many units of the flossing's schedule.
func (t *Trainer[T]) updates(units int) int {
	if t.flossing.Unit == "epochs" {
		return units * t.batches.Len()
	}
	return units
}

// checkFlossing reports why the network or the task cannot be flossed.
func (t *Trainer[T]) checkFlossing() error {
	if t.flossing.Times == 0 {
		return t.flossing.Validate()
	}
	if t.Data.Steps == 0 {
		return fmt.Errorf("the samples of task %q have no steps, through which errors would travel: set times to 0, or choose a task of trials", t.Config.Task.Name)
	}
	if err := stability.CheckFlossing(t.Layer, t.flossing.Flossing); err != nil {
		return fmt.Errorf("model %q: %w", t.Config.Model.Name, err)
	}
	if err := budget.Fit(t.flossing.Bytes(t.Layer.Units), fmt.Sprintf("a flossing of %d exponents over %d steps", t.flossing.K, t.flossing.Horizon), "take fewer of them"); err != nil {
		return err
	}
	for _, n := range []int{t.flossing.Start, t.flossing.Every} {
		if _, err := budget.Product(n, t.batches.Len()); err != nil {
			return fmt.Errorf("start and every: %w", err)
		}
	}
	if first := t.updates(t.flossing.Start); t.Steps() > 0 && first >= t.Steps() {
		return fmt.Errorf("start: expected the first flossing within the %d updates of the run, found it after %d", t.Steps(), first)
	}
	return nil
}

// flosser is a flossing of a trainer.
type flosser[T deq.Float] struct {
	*stability.Flosser[T]
	optimizer optim.State[T]
}

// newFlosser begins the nth flossing.
func (t *Trainer[T]) newFlosser(nth int) (*flosser[T], error) {
	o := t.flossing.Flossing
	o.Seed = rng.Stream(t.settings.Seed, "flossing", uint64(nth)).Uint64()
	var moved []int
	var params []optim.Param
	for i, p := range t.Layer.Params {
		if t.Layer.InCell(i) && (!t.learnCell || slices.Contains(t.trained, i)) {
			moved = append(moved, i)
			params = append(params, optim.Param{Name: p.Name, N: len(p.Data)})
		}
	}
	adam, err := optim.Adam[T]{LR: t.flossing.LR}.Start(params)
	if err != nil {
		return nil, err
	}
	drive := Drive[T](t.fit, nth*o.Steps*o.Batch*o.Horizon)
	return &flosser[T]{stability.NewFlosser(t.Layer, drive, moved, adam, o), adam}, nil
}

// Drive is the inputs of the trials of a split, one after the other without what pads them, over and
// over again from that step on.
func Drive[T deq.Float](s tasks.Split, from int) stability.Drive[T] {
	ends, total := make([]int, s.N), 0
	for i := range ends {
		last := s.Steps - 1
		for last > 0 && s.Weight(i, last) == 0 {
			last--
		}
		total += last + 1
		ends[i] = total
	}
	trial, row := -1, []float64(nil)
	return func(step int, x []T) {
		step = (step + from) % total
		i := sort.SearchInts(ends, step+1)
		if i != trial {
			trial, row = i, s.Row(row[:0], i)
		}
		if i > 0 {
			step -= ends[i-1]
		}
		for k := range x {
			x[k] = T(row[step*len(x)+k])
		}
	}
}

// floss flosses the cell where that is due before the step to come. Interrupted, it is continued by the
// next call. What fails before training is an error; later on it is recorded, and training goes on.
func (t *Trainer[T]) floss(ctx context.Context) error {
	nth, due := t.due(t.Step)
	if !due {
		return nil
	}
	if t.flosser == nil {
		var err error
		if t.flosser, err = t.newFlosser(nth); err != nil {
			return t.stepError(err)
		}
	}
	start := time.Now()
	err := t.flosser.Run(ctx)
	t.Wall += time.Since(start)
	switch {
	case err == nil:
	case ctx.Err() != nil || t.Step == 0:
		return t.stepError(err)
	default:
		r, unknown := &t.flosser.FlossingReport, stability.Flossed{Loss: math.NaN(), Saturated: math.NaN()}
		r.Status, r.Reason, r.After = FlossingFailed, err.Error(), unknown
		if r.Steps == 0 {
			r.Before = unknown
		}
	}
	return nil
}

// flossingBytes is the memory of a flossing: a trajectory with its tangents, gradients, moments and the best parameters.
func (t *Trainer[T]) flossingBytes() int {
	if t.flossing.Times == 0 {
		return 0
	}
	return int(t.flossing.Bytes(t.Layer.Units)) + 4*t.Layer.Params.Bytes()
}

// FlossingFailed is the status of a flossing in the course of training that could not be begun.
const FlossingFailed = "failed"

// FlossingRecord is what a flossing has come to: see stability.FlossingReport.
type FlossingRecord struct {
	Status  string    `json:"status"` // reached, spent, ran away or failed
	Reason  string    `json:"reason,omitempty"`
	Updates int       `json:"updates"`
	Losses  []Number  `json:"losses"`
	Before  Exponents `json:"before"`
	After   Exponents `json:"after"`
}

// Exponents are those before or after a flossing.
type Exponents struct {
	Loss      Number   `json:"loss"`
	Exponents []Number `json:"exponents"` // in nats per step
	Saturated Number   `json:"saturated"` // fraction of slopes below 0.1; null where the cell has several activations
}

func recordOf(r stability.FlossingReport) *FlossingRecord {
	at := func(f stability.Flossed) Exponents {
		return Exponents{Number(f.Loss), numbers[Number](f.Exponents), Number(f.Saturated)}
	}
	return &FlossingRecord{Status: r.Status, Reason: r.Reason, Updates: r.Steps, Losses: numbers[Number](r.Losses), Before: at(r.Before), After: at(r.After)}
}

// report is what recordOf made a record of.
func (r FlossingRecord) report() (stability.FlossingReport, error) {
	at := func(e Exponents) stability.Flossed {
		return stability.Flossed{Loss: float64(e.Loss), Exponents: numbers[float64](e.Exponents), Saturated: float64(e.Saturated)}
	}
	if r.Status == "" && len(r.Losses) != r.Updates {
		return stability.FlossingReport{}, fmt.Errorf("expected a loss for each of %d updates, found %d", r.Updates, len(r.Losses))
	}
	return stability.FlossingReport{Status: r.Status, Reason: r.Reason, Steps: r.Updates, Losses: numbers[float64](r.Losses), Before: at(r.Before), After: at(r.After)}, nil
}

func numbers[To, From ~float64](v []From) []To {
	out := make([]To, len(v))
	for i, x := range v {
		out[i] = To(x)
	}
	return out
}
