package train

import (
	"errors"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/solvers"
	"attractor/train/rules"
)

// warm holds where the solves of every training sample have ended, from which those of the
// next epoch begin. A sample that did not converge begins at 0 again.
type warm[T deq.Float] struct {
	units int
	z, u  []T // [samples, units]; nil where not wanted
}

// newWarm checks that the rule can use what the setting warm_start wants.
func newWarm[T deq.Float](setting string, rule rules.Rule[T], samples, units int) (warm[T], error) {
	w := warm[T]{units: units}
	if setting == "forward" || setting == "both" {
		if temporal(rule) {
			return w, errors.New("warm_start: the rule runs a relaxation of its own, from 0")
		}
		w.z = make([]T, samples*units)
	}
	if setting == "adjoint" || setting == "both" {
		if _, ok := rule.(rules.WarmStarter); !ok {
			return w, errors.New("warm_start: the rule solves no adjoint that could start warm")
		}
		w.u = make([]T, samples*units)
	}
	return w, nil
}

// slots are the states that a checkpoint keeps, by name: a run that is continued starts its
// solves where an uninterrupted one does.
func (w *warm[T]) slots() map[string]*[]T {
	slots := map[string]*[]T{}
	if w.z != nil {
		slots["z"] = &w.z
	}
	if w.u != nil {
		slots["u"] = &w.u
	}
	return slots
}

func (w *warm[T]) bytes() int {
	n := len(w.z) + len(w.u)
	if _, is32 := any(T(0)).(float32); is32 {
		return 4 * n
	}
	return 8 * n
}

// gather returns the states of some samples, nil where there are none.
func (w *warm[T]) gather(states []T, samples []int) []T {
	if states == nil {
		return nil
	}
	out := make([]T, 0, len(samples)*w.units)
	for _, r := range samples {
		out = append(out, states[r*w.units:(r+1)*w.units]...)
	}
	return out
}

// keep takes in where the solves of a step have ended.
func (w *warm[T]) keep(s *Step[T]) {
	for i, r := range s.Batch.Rows {
		from, to := i*w.units, (i+1)*w.units
		if w.z != nil {
			into := w.z[r*w.units : (r+1)*w.units]
			if clear(into); s.Equilibrium.Report.Status[i] == solvers.Converged {
				copy(into, s.Z[from:to])
			}
		}
		if w.u != nil && s.adjoint != nil {
			into := w.u[r*w.units : (r+1)*w.units]
			if clear(into); kernels.AllFinite(s.adjoint[from:to]) {
				copy(into, s.adjoint[from:to])
			}
		}
	}
}

// restore takes the states of a checkpoint.
func (w *warm[T]) restore(saved map[string][]T) {
	for name, into := range w.slots() {
		copy(*into, saved[name])
	}
}

// guess is where the solves of a batch begin: nil in the first epoch, in which no sample has
// been solved before.
func (t *Trainer[T]) guess(states []T, samples []int) []T {
	if t.Step < t.batches.Len() {
		return nil
	}
	return t.warm.gather(states, samples)
}
