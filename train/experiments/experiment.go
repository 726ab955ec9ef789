// Package experiments defines what `attractor reproduce` runs: a paper's experiment, with the
// numbers that were published, ours, and whether the two agree.
package experiments

import (
	"context"
	"math"

	"attractor/internal/folder"
	"attractor/train"
	"attractor/train/compare"
)

// Experiment is one experiment of a paper. It is listed by a catalog.Entry with its name
// ("paper/figure"), what it does, and the paper.
type Experiment interface {
	// Run runs it and writes its figures. When ctx is cancelled it returns ctx's error.
	Run(ctx context.Context, o Options) (*Result, error)
}

// Func is a function that is an Experiment.
type Func func(ctx context.Context, o Options) (*Result, error)

// Run implements Experiment.
func (f Func) Run(ctx context.Context, o Options) (*Result, error) { return f(ctx, o) }

// Quirky is an Experiment whose published script does something that the paper does not say. It is
// done with Options.Faithful only.
type Quirky struct {
	Func
	Quirk string // what it does
}

// Options say how an experiment is run.
type Options struct {
	Quick bool           // a small part of it, to see that it works; what needs all of it is not checked
	Seed  uint64         // 0: the published one, or the experiment's own
	Out   *folder.Folder // for figures; nil for none

	// Faithful asks for the quirk of the published script, of an experiment that is Quirky.
	Faithful bool

	// Progress, which may be nil, is told how much of the work is done. It is called
	// from one goroutine at a time.
	Progress func(done, total int, note string)
}

// Result is what an experiment found.
type Result struct {
	Name    string   `json:"name"`
	Seed    uint64   `json:"seed"`
	Notes   []string `json:"notes"` // what a reader has to know, such as the settings and the seeds
	Checks  []Check  `json:"checks"`
	Values  []Value  `json:"values"`
	Figures []string `json:"figures"` // paths of files
}

// Check compares a number with what was published.
type Check struct {
	ID        string       `json:"id"`
	Relation  Relation     `json:"relation"` // of the measured to the expected number
	Expected  train.Number `json:"expected"`
	Measured  train.Number `json:"measured"`
	Tolerance train.Number `json:"tolerance"` // largest |measured − expected| for Equal; otherwise 0
	Holds     bool         `json:"holds"`
	Source    string       `json:"source"` // where the expected number is from
}

// Relation says how a measured number has to relate to the expected one.
type Relation string

// The relations.
const (
	Equal   Relation = "=" // up to the tolerance
	Below   Relation = "<"
	Above   Relation = ">"
	AtMost  Relation = "≤"
	AtLeast Relation = "≥"
)

// Value is a number for which nothing was published.
type Value struct {
	ID       string       `json:"id"`
	Measured train.Number `json:"measured"`
}

// Equal checks |measured − expected| ≤ tolerance.
func (r *Result) Equal(id string, measured, expected, tolerance float64, source string) {
	r.add(id, Equal, measured, expected, tolerance, math.Abs(measured-expected) <= tolerance, source)
}

// Bound checks an inequality between the measured number and a bound. What is not a number
// fulfils none.
func (r *Result) Bound(id string, measured float64, is Relation, bound float64, source string) {
	holds := false
	switch is {
	case Below:
		holds = measured < bound
	case Above:
		holds = measured > bound
	case AtMost:
		holds = measured <= bound
	case AtLeast:
		holds = measured >= bound
	default:
		panic("experiments: a bound by the relation " + string(is))
	}
	r.add(id, is, measured, bound, 0, holds, source)
}

func (r *Result) add(id string, is Relation, measured, expected, tolerance float64, holds bool, source string) {
	r.Checks = append(r.Checks, Check{
		ID: id, Relation: is, Expected: train.Number(expected), Measured: train.Number(measured),
		Tolerance: train.Number(tolerance), Holds: holds, Source: source,
	})
}

// Value records a number for which nothing was published.
func (r *Result) Value(id string, measured float64) {
	r.Values = append(r.Values, Value{id, train.Number(measured)})
}

// Mean records the mean of a number over seeds with its 95 % interval, Student's t, as id, id/lo and id/hi.
func (r *Result) Mean(id string, over []float64) compare.Interval {
	return r.interval(id, compare.MeanInterval(over))
}

// Share records in how many of n seeds something happened, as a share with its exact 95 % interval: id, id/lo and id/hi.
func (r *Result) Share(id string, k, n int) compare.Interval {
	return r.interval(id, compare.ShareInterval(k, n))
}

func (r *Result) interval(id string, iv compare.Interval) compare.Interval {
	r.Value(id, iv.Mean)
	r.Value(id+"/lo", iv.Lo)
	r.Value(id+"/hi", iv.Hi)
	return iv
}

// Failed is the number of checks that do not hold.
func (r *Result) Failed() int {
	n := 0
	for _, c := range r.Checks {
		if !c.Holds {
			n++
		}
	}
	return n
}
