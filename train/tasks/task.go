// Package tasks holds what networks are trained on: a task is an options struct whose
// Load returns a data set, split into a part to train on and a part to test on.
// [Catalog] lists them; package tasktest holds the test that each of them passes.
package tasks

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
)

// Task makes a data set. Implementations are options structs whose zero fields mean the
// defaults of their tags.
type Task interface {
	// Load returns the data set of that seed. The same seed gives the same bits. A task
	// whose data are measured, not drawn, ignores the seed. The caller owns the result.
	Load(seed uint64) (*Dataset, error)
}

// Sequential is a Task of trials of many steps: what learns it goes through time.
type Sequential interface {
	Task
	Sequential()
}

// Limited is a Task that can do with a part of its data.
type Limited interface {
	Task
	// Limit returns the task with at most so many samples of each part; both are above 0.
	Limit(train, test int) Task
}

// Kind says what the targets of a task are.
type Kind uint8

const (
	Classification Kind = iota // one label per sample
	Regression                 // a vector of real numbers per sample
)

func (k Kind) String() string {
	switch k {
	case Classification:
		return "classification"
	case Regression:
		return "regression"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Dataset is what a task trains and tests on: samples that each have one input, or trials,
// which are sequences of inputs.
type Dataset struct {
	Name    string
	Kind    Kind
	Inputs  int // width of a sample, or of a step of a trial
	Outputs int // classes, or the width of a target
	Steps   int // of every trial; 0 when a sample is one input
	Train   Split
	Test    Split

	Start float64 // of every number of a network's state at the beginning of a trial

	// Notes say what is odd about the data, which can be used all the same.
	Notes []string

	Ideal float64 // the accuracy of the ideal observer, which no network can surpass; 0 where it is not known
}

// Split is a part of a data set; one row per sample. Its inputs are X or, where they were
// measured in bytes, Bytes, an eighth of the size: the 70,000 pictures of MNIST take 55 MB.
// [Split.Row] and [Batch.Gather] read both.
//
// With Steps above 0 a row is a trial: inputs, labels and targets have a dimension for the
// steps behind that for the samples, as X [N, Steps, Inputs] and Labels [N, Steps]. Trials
// that last less are padded at their end, with steps of weight 0. The loss of a batch is
// Σ w·ℓ/Σ w over its steps; the accuracy of a trial is the share of its scored steps that
// are right.
type Split struct {
	N      int
	Steps  int       // of every trial; 0 when a sample is one input
	X      []float64 // [N, Inputs], or nil
	Bytes  []byte    // [N, Inputs], or nil
	Levels []Level   // what Bytes stand for; all splits of a data set share them
	Labels []int32   // [N], each in [0, Outputs); nil in a regression
	Y      []float64 // [N, Outputs]; nil in a classification

	Weights []float64 // [N, Steps], w of the step in the loss, at least 0; nil for 1 everywhere
	Scored  []bool    // [N, Steps], steps at which accuracy is taken; nil for all of weight above 0
}

// Level is the input that each byte stands for. Of the K levels of a split, level k is that
// of the k-th K-th of the columns: one for all of them, or one for each colour of a picture.
type Level [256]float64

// Row appends the inputs of sample i to dst, those of a trial step by step.
func (s Split) Row(dst []float64, i int) []float64 {
	for t := range s.steps() {
		dst = appendStep(dst, s, i, t)
	}
	return dst
}

// steps is the number of inputs of a sample.
func (s Split) steps() int { return max(s.Steps, 1) }

// appendStep appends the inputs of sample i at step t.
func appendStep[T kernels.Float](dst []T, s Split, i, t int) []T {
	w := s.Inputs()
	i = i*s.steps() + t
	if s.Bytes == nil {
		for _, x := range s.X[i*w : (i+1)*w] {
			dst = append(dst, T(x))
		}
		return dst
	}
	row, each := s.Bytes[i*w:(i+1)*w], w/len(s.Levels)
	for k := range s.Levels {
		level := &s.Levels[k]
		for _, b := range row[k*each : (k+1)*each] {
			dst = append(dst, T(level[b]))
		}
	}
	return dst
}

// Inputs is the width of a sample, or of a step of a trial.
func (s Split) Inputs() int { return (width(s.X, s.N) + width(s.Bytes, s.N)) / s.steps() }

// Weight is the weight of step t of trial i in the loss.
func (s Split) Weight(i, t int) float64 {
	if s.Weights == nil {
		return 1
	}
	return s.Weights[i*s.steps()+t]
}

// IsScored reports whether accuracy is taken at step t of trial i.
func (s Split) IsScored(i, t int) bool {
	if s.Scored == nil {
		return s.Weight(i, t) > 0
	}
	return s.Scored[i*s.steps()+t]
}

// Classes returns the label of each sample, of a trial that at its last scored step: [N].
// It is nil in a regression.
func (s Split) Classes() []int32 {
	if s.Steps == 0 || s.Labels == nil {
		return s.Labels
	}
	out := make([]int32, s.N)
	for i := range out {
		for t := range s.Steps {
			if s.IsScored(i, t) {
				out[i] = s.Labels[i*s.Steps+t]
			}
		}
	}
	return out
}

// Size is the memory in bytes that its arrays take.
func (s Split) Size() float64 {
	return float64(8*len(s.X) + len(s.Bytes) + 4*len(s.Labels) + 8*len(s.Y) + 8*len(s.Weights) + len(s.Scored))
}

// Select returns a copy of the given rows, in the given order.
func (s Split) Select(rows []int) Split {
	return Split{N: len(rows), Steps: s.Steps, X: selectRows(s.X, s.N, rows), Bytes: selectRows(s.Bytes, s.N, rows),
		Levels: s.Levels, Labels: selectRows(s.Labels, s.N, rows), Y: selectRows(s.Y, s.N, rows),
		Weights: selectRows(s.Weights, s.N, rows), Scored: selectRows(s.Scored, s.N, rows)}
}

func selectRows[E any](v []E, n int, rows []int) []E {
	if v == nil {
		return nil
	}
	w := width(v, n)
	out := make([]E, 0, len(rows)*w)
	for _, r := range rows {
		out = append(out, v[r*w:(r+1)*w]...)
	}
	return out
}

func width[E any](v []E, n int) int {
	if n == 0 {
		return 0
	}
	return len(v) / n
}

// Check verifies that both splits have rows of the stated widths and steps, finite numbers,
// labels in [0, Outputs), and in every trial steps with a weight and scored ones, these
// never without a weight. Its errors are of type *DataError.
func (d *Dataset) Check() error {
	if d.Inputs < 1 || d.Outputs < 1 {
		return &DataError{Task: d.Name, Row: -1, Step: -1, Column: -1, Expected: "at least one input and one output",
			Found: fmt.Sprintf("%d inputs and %d outputs", d.Inputs, d.Outputs)}
	}
	if d.Start-d.Start != 0 {
		return &DataError{Task: d.Name, Row: -1, Step: -1, Column: -1, Expected: "a finite state at the beginning", Found: fmt.Sprint(d.Start)}
	}
	if err := d.check("train", d.Train); err != nil {
		return err
	}
	return d.check("test", d.Test)
}

func (d *Dataset) check(split string, s Split) error {
	fail := func(row, step, column int, expected, found string) error {
		return &DataError{Task: d.Name, Split: split, Row: row, Step: step, Column: column, Expected: expected, Found: found}
	}
	if s.N < 1 {
		return fail(-1, -1, -1, "at least one sample", fmt.Sprint(s.N))
	}
	if s.Steps != d.Steps || s.Steps < 0 {
		return fail(-1, -1, -1, fmt.Sprintf("%d steps", max(d.Steps, 0)), fmt.Sprint(s.Steps))
	}
	// at is where an entry of an array of so many columns stands.
	at := func(entry, columns int) (row, step, column int) {
		row, step, column = entry/columns, -1, entry%columns
		if s.Steps > 0 {
			row, step = row/s.Steps, row%s.Steps
		}
		return row, step, column
	}
	targets, labels := d.Outputs, 0
	if d.Kind == Classification {
		targets, labels = 0, 1
	}
	for _, c := range []struct {
		what      string
		got, each int
	}{{"inputs", len(s.X) + len(s.Bytes), d.Inputs}, {"labels", len(s.Labels), labels}, {"real targets", len(s.Y), targets}} {
		if c.got != s.N*s.steps()*c.each {
			return fail(-1, -1, -1, fmt.Sprintf("%d %s (%s of %d)", s.N*s.steps()*c.each, c.what, s.size(), c.each), fmt.Sprint(c.got))
		}
	}
	if s.Bytes != nil && (s.X != nil || len(s.Levels) == 0 || d.Inputs%len(s.Levels) != 0) {
		return fail(-1, -1, -1, fmt.Sprintf("bytes alone, with a number of levels that divides the %d inputs", d.Inputs),
			fmt.Sprintf("%d levels and %d inputs that are not bytes", len(s.Levels), len(s.X)))
	}
	for k := range s.Levels {
		for b, x := range s.Levels[k] {
			if !finite(x) {
				return fail(-1, -1, -1, fmt.Sprintf("a finite input for the byte %d", b), fmt.Sprint(x))
			}
		}
	}
	for i, x := range s.X {
		if !finite(x) {
			row, step, column := at(i, d.Inputs)
			return fail(row, step, column, "a finite input", fmt.Sprint(x))
		}
	}
	for i, y := range s.Y {
		if !finite(y) {
			row, step, column := at(i, d.Outputs)
			return fail(row, step, column, "a finite target", fmt.Sprint(y))
		}
	}
	for i, l := range s.Labels {
		if l < 0 || int(l) >= d.Outputs {
			row, step, _ := at(i, 1)
			return fail(row, step, -1, fmt.Sprintf("a label from 0 to %d", d.Outputs-1), fmt.Sprint(l))
		}
	}
	for _, c := range []struct {
		what string
		got  int
		set  bool
	}{{"weights", len(s.Weights), s.Weights != nil}, {"marks of scored steps", len(s.Scored), s.Scored != nil}} {
		if c.set && (s.Steps == 0 || c.got != s.N*s.Steps) {
			return fail(-1, -1, -1, fmt.Sprintf("%d %s (%s), or nil", s.N*s.Steps, c.what, s.size()), fmt.Sprint(c.got))
		}
	}
	for i, w := range s.Weights {
		if !finite(w) || w < 0 {
			row, step, _ := at(i, 1)
			return fail(row, step, -1, "a finite weight of at least 0", fmt.Sprint(w))
		}
	}
	if sum := kernels.Sum(s.Weights); math.IsInf(sum, 0) {
		return fail(-1, -1, -1, "weights with a finite sum", fmt.Sprint(sum))
	}
	for i := range s.N * min(s.Steps, 1) {
		weighted, scored := false, false
		for t := range s.Steps {
			w, yes := s.Weight(i, t) > 0, s.IsScored(i, t)
			if yes && !w {
				return fail(i, t, -1, "a weight above 0 where a step is scored", "0")
			}
			weighted, scored = weighted || w, scored || yes
		}
		if !weighted || !scored {
			return fail(i, -1, -1, "a step with a weight and a scored one", "none")
		}
	}
	return nil
}

// size says how many rows there are.
func (s Split) size() string {
	if s.Steps == 0 {
		return fmt.Sprintf("%d samples", s.N)
	}
	return fmt.Sprintf("%d trials of %d steps", s.N, s.Steps)
}

// CheckRange verifies that the number type T holds the data: that no input or target is beyond its
// largest number, and that no column of inputs is 0 or nearly so in T though it is not. Its errors are of
// type *DataError.
func CheckRange[T kernels.Float](d *Dataset) error {
	var zero T
	if _, wide := any(zero).(float64); wide {
		return nil
	}
	beyond := func(x float64) bool { y := float64(T(x)); return y-y != 0 && x-x == 0 }
	for _, part := range []struct {
		name string
		Split
	}{{"train", d.Train}, {"test", d.Test}} {
		fail := func(i, columns int, what string, found float64) error {
			e := &DataError{Task: d.Name, Split: part.name, Row: i / columns, Step: -1, Column: i % columns,
				Expected: fmt.Sprintf("%s within the range of %T: choose train.precision float64, or rescale it", what, zero), Found: fmt.Sprint(found)}
			if part.Steps > 0 {
				e.Row, e.Step = e.Row/part.Steps, e.Row%part.Steps
			}
			return e
		}
		largest := make([]float64, d.Inputs)
		for i, x := range part.X {
			if beyond(x) {
				return fail(i, d.Inputs, "an input", x)
			}
			largest[i%d.Inputs] = max(largest[i%d.Inputs], math.Abs(x))
		}
		for i, y := range part.Y {
			if beyond(y) {
				return fail(i, d.Outputs, "a target", y)
			}
		}
		for i, w := range part.Weights {
			if beyond(w) || w > 0 && T(w) == 0 {
				return fail(i, 1, "a weight", w)
			}
		}
		const smallest = 0x1p-126 // normal number of float32
		for j, x := range largest {
			if part.Bytes == nil && x > 0 && x < smallest {
				return &DataError{Task: d.Name, Split: part.name, Row: -1, Step: -1, Column: j,
					Expected: fmt.Sprintf("inputs of at least %g in size, which %T holds: choose train.precision float64, or rescale them", smallest, zero), Found: fmt.Sprintf("at most %g", x)}
			}
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// DataError says which sample of a data set is not as it should be.
type DataError struct {
	Task, Split     string
	Row, Column     int // counted from 0; -1 when the error is not in one place
	Step            int // of the trial in that row; -1 when a sample is one input
	Expected, Found string
}

func (e *DataError) Error() string {
	s := "tasks: " + e.Task
	if e.Split != "" {
		s += ": " + e.Split + " split"
	}
	switch {
	case e.Step >= 0:
		s += fmt.Sprintf(", trial %d, step %d", e.Row, e.Step)
	case e.Row >= 0:
		s += fmt.Sprintf(", row %d", e.Row)
	}
	if e.Column >= 0 {
		s += fmt.Sprintf(", column %d", e.Column)
	}
	return s + fmt.Sprintf(": expected %s, found %s", e.Expected, e.Found)
}
