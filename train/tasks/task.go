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

// Dataset is what a task trains and tests on.
type Dataset struct {
	Name    string
	Kind    Kind
	Inputs  int // width of a sample
	Outputs int // classes, or the width of a target
	Train   Split
	Test    Split
}

// Split is a part of a data set; one row per sample. Its inputs are X or, where they were
// measured in bytes, Bytes, an eighth of the size: the 70,000 pictures of MNIST take 55 MB.
// [Split.Row] and [Batch.Gather] read both.
type Split struct {
	N      int
	X      []float64 // [N, Inputs], or nil
	Bytes  []byte    // [N, Inputs], or nil
	Levels []Level   // what Bytes stand for; all splits of a data set share them
	Labels []int32   // [N], each in [0, Outputs); nil in a regression
	Y      []float64 // [N, Outputs]; nil in a classification
}

// Level is the input that each byte stands for. Of the K levels of a split, level k is that
// of the k-th K-th of the columns: one for all of them, or one for each colour of a picture.
type Level [256]float64

// Row appends the inputs of sample i to dst.
func (s Split) Row(dst []float64, i int) []float64 { return appendRow(dst, s, i) }

func appendRow[T kernels.Float](dst []T, s Split, i int) []T {
	if s.Bytes == nil {
		w := width(s.X, s.N)
		for _, x := range s.X[i*w : (i+1)*w] {
			dst = append(dst, T(x))
		}
		return dst
	}
	w := width(s.Bytes, s.N)
	row, each := s.Bytes[i*w:(i+1)*w], w/len(s.Levels)
	for k := range s.Levels {
		level := &s.Levels[k]
		for _, b := range row[k*each : (k+1)*each] {
			dst = append(dst, T(level[b]))
		}
	}
	return dst
}

// Inputs is the width of a sample.
func (s Split) Inputs() int { return width(s.X, s.N) + width(s.Bytes, s.N) }

// Select returns a copy of the given rows, in the given order.
func (s Split) Select(rows []int) Split {
	out := Split{N: len(rows), X: selectRows(s.X, s.N, rows), Bytes: selectRows(s.Bytes, s.N, rows),
		Levels: s.Levels, Y: selectRows(s.Y, s.N, rows)}
	if s.Labels != nil {
		out.Labels = make([]int32, len(rows))
		for i, r := range rows {
			out.Labels[i] = s.Labels[r]
		}
	}
	return out
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

// Check verifies that both splits have rows of the stated widths, finite numbers, and
// labels in [0, Outputs). Its errors are of type *DataError.
func (d *Dataset) Check() error {
	if d.Inputs < 1 || d.Outputs < 1 {
		return &DataError{Task: d.Name, Row: -1, Column: -1, Expected: "at least one input and one output",
			Found: fmt.Sprintf("%d inputs and %d outputs", d.Inputs, d.Outputs)}
	}
	if err := d.check("train", d.Train); err != nil {
		return err
	}
	return d.check("test", d.Test)
}

func (d *Dataset) check(split string, s Split) error {
	fail := func(row, column int, expected, found string) error {
		return &DataError{Task: d.Name, Split: split, Row: row, Column: column, Expected: expected, Found: found}
	}
	targets, labels := d.Outputs, 0
	if d.Kind == Classification {
		targets, labels = 0, 1
	}
	for _, c := range []struct {
		what      string
		got, each int
	}{{"inputs", len(s.X) + len(s.Bytes), d.Inputs}, {"labels", len(s.Labels), labels}, {"real targets", len(s.Y), targets}} {
		if s.N < 1 {
			return fail(-1, -1, "at least one sample", fmt.Sprint(s.N))
		}
		if c.got != s.N*c.each {
			return fail(-1, -1, fmt.Sprintf("%d %s (%d samples of %d)", s.N*c.each, c.what, s.N, c.each), fmt.Sprint(c.got))
		}
	}
	if s.Bytes != nil && (s.X != nil || len(s.Levels) == 0 || d.Inputs%len(s.Levels) != 0) {
		return fail(-1, -1, fmt.Sprintf("bytes alone, with a number of levels that divides the %d inputs", d.Inputs),
			fmt.Sprintf("%d levels and %d inputs that are not bytes", len(s.Levels), len(s.X)))
	}
	for k := range s.Levels {
		for b, x := range s.Levels[k] {
			if !finite(x) {
				return fail(-1, -1, fmt.Sprintf("a finite input for the byte %d", b), fmt.Sprint(x))
			}
		}
	}
	for i, x := range s.X {
		if !finite(x) {
			return fail(i/d.Inputs, i%d.Inputs, "a finite input", fmt.Sprint(x))
		}
	}
	for i, y := range s.Y {
		if !finite(y) {
			return fail(i/d.Outputs, i%d.Outputs, "a finite target", fmt.Sprint(y))
		}
	}
	for i, l := range s.Labels {
		if l < 0 || int(l) >= d.Outputs {
			return fail(i, -1, fmt.Sprintf("a label from 0 to %d", d.Outputs-1), fmt.Sprint(l))
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// DataError says which sample of a data set is not as it should be.
type DataError struct {
	Task, Split     string
	Row, Column     int // counted from 0; -1 when the error is not in one place
	Expected, Found string
}

func (e *DataError) Error() string {
	s := "tasks: " + e.Task
	if e.Split != "" {
		s += ": " + e.Split + " split"
	}
	if e.Row >= 0 {
		s += fmt.Sprintf(", row %d", e.Row)
	}
	if e.Column >= 0 {
		s += fmt.Sprintf(", column %d", e.Column)
	}
	return s + fmt.Sprintf(": expected %s, found %s", e.Expected, e.Found)
}
