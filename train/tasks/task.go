// Package tasks holds what networks are trained on: a task is an options struct whose
// Load returns a data set, split into a part to train on and a part to test on.
// [Catalog] lists them; package tasktest holds the test that each of them passes.
package tasks

import (
	"fmt"
	"math"
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

// Split is a part of a data set; one row per sample.
type Split struct {
	N      int
	X      []float64 // [N, Inputs]
	Labels []int32   // [N], each in [0, Outputs); nil in a regression
	Y      []float64 // [N, Outputs]; nil in a classification
}

// Select returns a copy of the given rows, in the given order.
func (s Split) Select(rows []int) Split {
	out := Split{N: len(rows), X: selectRows(s.X, s.N, rows), Y: selectRows(s.Y, s.N, rows)}
	if s.Labels != nil {
		out.Labels = make([]int32, len(rows))
		for i, r := range rows {
			out.Labels[i] = s.Labels[r]
		}
	}
	return out
}

func selectRows(v []float64, n int, rows []int) []float64 {
	if v == nil {
		return nil
	}
	w := width(v, n)
	out := make([]float64, 0, len(rows)*w)
	for _, r := range rows {
		out = append(out, v[r*w:(r+1)*w]...)
	}
	return out
}

func width(v []float64, n int) int {
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
	}{{"inputs", len(s.X), d.Inputs}, {"labels", len(s.Labels), labels}, {"real targets", len(s.Y), targets}} {
		if s.N < 1 {
			return fail(-1, -1, "at least one sample", fmt.Sprint(s.N))
		}
		if c.got != s.N*c.each {
			return fail(-1, -1, fmt.Sprintf("%d %s (%d samples of %d)", s.N*c.each, c.what, s.N, c.each), fmt.Sprint(c.got))
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
