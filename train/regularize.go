package train

import (
	"fmt"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/train/rules"
)

// Regularizer is the section `regularizer`: what is added to the loss, all of it nothing by
// default. The losses of the records are without it.
type Regularizer struct {
	Jacobian    float64 `doc:"weight of the Jacobian penalty, the mean of ‖vᵀJ‖²/n over probes v ~ N(0, I), which is ‖J‖²_F/n; 0 is none"`
	Probes      int     `default:"1" doc:"probes per step of the Jacobian penalty" max:"1000: every probe is kept, and the error falls with their square root"`
	Probability float64 `default:"1" doc:"probability that a step has the Jacobian penalty"`
	StopEpoch   int     `doc:"last epoch with the Jacobian penalty; 0 is that of the run" max:"1e9: no run has more epochs"`
	Correction  int     `doc:"states K of the solver's path, z* the last of them, whose losses are added with the weight decay^(K−k): the fixed-point correction; 0 or 1 is none" max:"1000: every state of the path is kept and has a gradient of its own"`
	Decay       float64 `default:"0.8" doc:"decay of the fixed-point correction"`
}

// Validate reports options outside their range.
func (r Regularizer) Validate() error {
	r = options.WithDefaults(r)
	switch {
	case !(r.Jacobian >= 0):
		return fmt.Errorf("jacobian: expected a weight of at least 0, found %g", r.Jacobian)
	case r.Probes < 1:
		return fmt.Errorf("probes: expected at least 1, found %d", r.Probes)
	case !(r.Probability > 0 && r.Probability <= 1):
		return fmt.Errorf("probability: expected a number above 0 and up to 1, found %g", r.Probability)
	case r.StopEpoch < 0 || r.Correction < 0:
		return fmt.Errorf("stop_epoch and correction: expected at least 0, found %d and %d", r.StopEpoch, r.Correction)
	case !(r.Decay > 0 && r.Decay <= 1):
		return fmt.Errorf("decay: expected a number above 0 and up to 1, found %g", r.Decay)
	}
	return nil
}

// check reports why a rule and a layer cannot be trained with the regulariser.
func (r Regularizer) check(temporal bool, penalisable func() error) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.Correction > 1 && temporal {
		return fmt.Errorf("correction: the rule runs a relaxation of its own, and no solver whose path could be corrected")
	}
	if r.Jacobian > 0 {
		if err := penalisable(); err != nil {
			return fmt.Errorf("jacobian: %w", err)
		}
	}
	return nil
}

// keep is how many iterates the correction needs besides z*.
func (r Regularizer) keep() int { return max(0, r.Correction-1) }

// added is what a step has added to its loss, in the number type T.
type added[T deq.Float] struct {
	weight   float64 // of every probe
	probes   [][]T   // of the Jacobian penalty, each [rows, units]
	decay    float64
	iterates [][]T // of the correction
}

// probes draws those of a step. They depend on seed and step alone.
func (t *Trainer[T]) drawProbes(rows int) [][]T {
	r, seed, step := t.regularizer, t.settings.Seed, uint64(t.Step)
	epoch := t.Step/t.batches.Len() + 1
	if r.Jacobian == 0 || !t.learnCell || r.StopEpoch > 0 && epoch > r.StopEpoch ||
		rng.Stream(seed, "regularizer/probability", step).Float64() >= r.Probability {
		return nil
	}
	draw := rng.Stream(seed, "regularizer/probes", step)
	probes := make([][]T, r.Probes)
	for i := range probes {
		probes[i] = make([]T, rows*t.Layer.Units)
		for k := range probes[i] {
			probes[i][k] = T(draw.NormFloat64())
		}
	}
	return probes
}

// penalise adds the gradient of the Jacobian penalty at z to t.grads and, for z, to dz.
func (t *Trainer[T]) penalise(s *Step[T], e *deq.Equilibrium[T]) error {
	probes := t.drawProbes(e.Rows)
	if probes == nil {
		return nil
	}
	s.added.weight, s.added.probes = t.regularizer.Jacobian/float64(len(probes)), probes
	mean := Number(0)
	for _, v := range probes {
		r, err := e.JacobianPenalty(v, s.added.weight, t.grads, s.Output.DZ)
		if err != nil {
			return err
		}
		mean += Number(r / float64(len(probes)))
	}
	s.Record.Jacobian = &mean
	return nil
}

// correct adds the gradient of the fixed-point correction to t.grads.
func (t *Trainer[T]) correct(s *Step[T]) error {
	if t.regularizer.keep() == 0 {
		return nil
	}
	s.added.decay, s.added.iterates = t.regularizer.Decay, s.Equilibrium.Iterates
	c, err := s.Equilibrium.Correction(s.Loss, s.added.decay, t.grads)
	n := Number(c)
	s.Record.Correction = &n
	return err
}

// at is the value of what is added, with the equilibria or last states z.
func (a added[T]) at(l *deq.Layer[T], x, z []T, loss deq.Loss[T]) (float64, error) {
	e, err := l.At(x, z)
	if err != nil {
		return 0, err
	}
	e.Iterates = a.iterates
	sum, err := e.Correction(loss, a.decay, nil)
	if err != nil {
		return 0, err
	}
	for _, v := range a.probes {
		r, err := e.JacobianPenalty(v, a.weight, nil, nil)
		if err != nil {
			return 0, err
		}
		sum += a.weight * r
	}
	return sum, nil
}

// temporal reports whether a rule runs a relaxation of its own.
func temporal[T deq.Float](r rules.Rule[T]) bool {
	_, is := r.(rules.TemporalRule[T])
	return is
}
