// Package optim holds the optimisers, which move parameters along gradients, and what
// goes with them: clipping, the test for finite gradients and learning-rate schedules.
// [Catalog] lists the optimisers.
package optim

import (
	"fmt"
	"math"
	"strings"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// Optimizer is an immutable rule that turns gradients into steps. Implementations are
// options structs whose zero fields mean the defaults of their tags.
type Optimizer[T kernels.Float] interface {
	// Start makes the state of a run at step 0. An option out of range is an error.
	Start(params []Param) (State[T], error)
}

// Param is the name and length of a parameter.
type Param struct {
	Name string
	N    int
}

// State is what a run of an optimiser remembers from step to step. It is not safe for
// concurrent use.
type State[T kernels.Float] interface {
	// Step adds one step down the gradients to the parameters, both in the order given
	// to Start, with the learning rate times scale (a schedule's factor; 1 for none).
	// It allocates nothing and does not look whether the gradients are finite: see
	// [FirstNonFinite]. It panics when a length is not that given to Start.
	Step(scale float64, params, grads [][]T)
	// Steps is how many steps were made.
	Steps() int64
	// Bytes is the memory that the state holds besides the parameters.
	Bytes() int
	// Slots are the moments by "slot/parameter", such as "m/W". They are the state's
	// own memory: do not change them, and save them before the next step.
	Slots() map[string][]T
	// Restore copies what Steps and Slots returned; the next step is then, bit by bit,
	// the one that the saved state would have made. An error, of type *RestoreError,
	// leaves the state as it was.
	Restore(steps int64, slots map[string][]T) error
}

// Entry is an entry of Catalog: a name, a documentation, references and an Optimizer.
type Entry[T kernels.Float] = kit.Entry[Optimizer[T]]

// Catalog lists the optimisers.
func Catalog[T kernels.Float]() *kit.Catalog[Optimizer[T]] {
	return kit.Must("optimizer",
		Entry[T]{Name: "sgd", Doc: sgdDoc, Refs: []string{sgdRef}, Value: SGD[T]{}},
		Entry[T]{Name: "adam", Doc: adamDoc, Refs: []string{adamRef}, Value: Adam[T]{}},
		Entry[T]{Name: "adamw", Doc: adamwDoc, Refs: []string{adamwRef, adamRef}, Value: Adam[T]{WeightDecay: 0.01}},
		Entry[T]{Name: "rmsprop", Doc: rmspropDoc, Refs: []string{rmspropRef}, Value: RMSProp[T]{}},
	)
}

// state is the part that all optimisers share: the parameters' shapes, the moments and
// the counter. update moves parameter i, which has at least one entry.
type state[T kernels.Float] struct {
	params []Param
	names  []string // of the slots
	slots  [][][]T  // [slot][parameter][entry]
	steps  int64
	begin  func(s *state[T], scale float64) // before the first parameter of a step
	update func(s *state[T], i int, p, g []T)
	rate   float64 // of this step, set by begin
	a, b   float64 // further numbers of this step
}

func start[T kernels.Float](params []Param, slots []string, begin func(*state[T], float64), update func(*state[T], int, []T, []T)) (State[T], error) {
	s := &state[T]{params: append([]Param(nil), params...), names: slots, begin: begin, update: update}
	seen := map[string]bool{}
	for i, p := range params {
		if p.Name == "" || p.N < 0 || seen[p.Name] {
			return nil, fmt.Errorf("optim: parameter %d: expected a length of at least 0 and a name of its own, found %q with length %d", i, p.Name, p.N)
		}
		seen[p.Name] = true
	}
	for range slots {
		moments := make([][]T, len(params))
		for i, p := range params {
			moments[i] = make([]T, p.N)
		}
		s.slots = append(s.slots, moments)
	}
	return s, nil
}

func (s *state[T]) Step(scale float64, params, grads [][]T) {
	if len(params) != len(s.params) || len(grads) != len(s.params) {
		panic(fmt.Sprintf("optim: %d parameters and %d gradients, want %d", len(params), len(grads), len(s.params)))
	}
	for i, p := range s.params {
		if len(params[i]) != p.N || len(grads[i]) != p.N {
			panic(fmt.Sprintf("optim: %s has %d values and %d gradients, want %d", p.Name, len(params[i]), len(grads[i]), p.N))
		}
	}
	s.steps++
	s.begin(s, scale)
	for i := range params {
		s.update(s, i, params[i], grads[i])
	}
}

func (s *state[T]) Steps() int64 { return s.steps }

func (s *state[T]) Bytes() int {
	n, size := 0, 8
	if _, ok := any(T(0)).(float32); ok {
		size = 4
	}
	for _, p := range s.params {
		n += p.N
	}
	return n * len(s.slots) * size
}

func (s *state[T]) Slots() map[string][]T {
	out := map[string][]T{}
	for k, name := range s.names {
		for i, p := range s.params {
			out[name+"/"+p.Name] = s.slots[k][i]
		}
	}
	return out
}

func (s *state[T]) Restore(steps int64, slots map[string][]T) error {
	if steps < 0 {
		return &RestoreError{Expected: "a step counter of at least 0", Found: fmt.Sprint(steps)}
	}
	own := s.Slots()
	for _, name := range sortedKeys(own) {
		got, ok := slots[name]
		switch {
		case !ok:
			return &RestoreError{Slot: name, Expected: fmt.Sprintf("%d values", len(own[name])), Found: "no such slot (saved by another optimiser or model?)"}
		case len(got) != len(own[name]):
			return &RestoreError{Slot: name, Expected: fmt.Sprintf("%d values", len(own[name])), Found: fmt.Sprint(len(got))}
		}
		if i := nonFinite(got); i >= 0 {
			return &RestoreError{Slot: name, Expected: "finite values", Found: fmt.Sprintf("%v at %d", got[i], i)}
		}
	}
	for _, name := range sortedKeys(slots) {
		if _, ok := own[name]; !ok {
			return &RestoreError{Slot: name, Expected: "only the slots " + strings.Join(sortedKeys(own), ", "),
				Found: "one more (saved by another optimiser or model?)"}
		}
	}
	for name, v := range own {
		copy(v, slots[name])
	}
	s.steps = steps
	return nil
}

// RestoreError says why a saved state does not fit.
type RestoreError struct {
	Slot            string // empty for the step counter
	Expected, Found string
}

func (e *RestoreError) Error() string {
	s := "optim: restore"
	if e.Slot != "" {
		s += fmt.Sprintf(" %q", e.Slot)
	}
	return s + ": expected " + e.Expected + ", found " + e.Found
}

// between returns an error unless lo ≤ v < hi; a NaN is outside.
func between(method, option string, v, lo, hi float64) error {
	if v >= lo && v < hi {
		return nil
	}
	if math.IsInf(hi, 1) {
		return fmt.Errorf("optim: %s: expected a finite %s of at least %v, found %v", method, option, lo, v)
	}
	return fmt.Errorf("optim: %s: expected %s in [%v, %v), found %v", method, option, lo, hi, v)
}

// positive returns an error unless v is above 0 in the precision T, and finite.
func positive[T kernels.Float](method, option string, v float64) error {
	if T(v) > 0 && !math.IsInf(float64(T(v)), 1) {
		return nil
	}
	return fmt.Errorf("optim: %s: expected a finite %s above 0 in %T, found %v", method, option, T(0), v)
}
