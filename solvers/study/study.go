// Package study measures what the solvers spend on random networks from easy to hopeless:
// z = tanh(Wz + b) with W = g·randn/√n and b = 0.3·randn. Up to gain g ≈ 1 the map contracts near
// its fixed point and every method converges; beyond, Picard's iteration fails first.
package study

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"time"

	"attractor/internal/catalog"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/solvers"
)

// Options say what is measured.
type Options struct {
	Gains    []float64 `default:"0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5" doc:"gains g of the networks"`
	Seeds    int       `default:"15" doc:"networks per gain"`
	Units    int       `default:"100" doc:"units n of a network"`
	RTol     float64   `default:"1e-5" doc:"tolerance of ‖g‖/‖f‖"`
	MaxEvals int       `default:"200" doc:"evaluations at most; a method whose own default is larger has that"`
	Repeats  int       `default:"3" doc:"solves of each network, of which the fastest counts"`
}

// Quick are options for a first look, of a second or so.
var Quick = Options{Gains: []float64{0.7, 0.9, 1.1, 1.3}, Seeds: 5, Units: 50, Repeats: 1}

// Method is a method with its name.
type Method struct {
	Name  string
	Value solvers.Method[float64]
}

// Methods are those of a catalogue and, beside each of ours whose memory matters, one with more or a better kept one.
// Operator splittings are left out: the study's networks are not monotone.
func Methods(c *catalog.Catalog[solvers.Method[float64]]) []Method {
	var all []Method
	splittings := solvers.Splittings[float64]().Names()
	for _, e := range c.Entries() {
		if slices.Contains(splittings, e.Name) {
			continue
		}
		all = append(all, Method{e.Name, e.Value})
		switch e.Value {
		case solvers.Anderson[float64]{}:
			all = append(all, Method{e.Name + ", window 27", solvers.Anderson[float64]{Window: 27}})
		case solvers.Broyden[float64]{}:
			all = append(all, Method{e.Name + ", full memory", solvers.Broyden[float64]{Memory: -1}},
				Method{e.Name + ", compressed", solvers.Broyden[float64]{Compress: 20}})
		}
	}
	return all
}

// Table is the outcome.
type Table struct {
	Units    int       `json:"units"`
	Seeds    int       `json:"seeds"`
	RTol     float64   `json:"rtol"`
	MaxEvals int       `json:"max_evals"`
	Gains    []float64 `json:"gains"`
	Rows     []Row     `json:"methods"`
}

// Row is the outcome of a method.
type Row struct {
	Name     string `json:"name"`
	MaxEvals int    `json:"max_evals"` // evaluations that it was allowed
	Cells    []Cell `json:"gains"`     // by gain
}

// Cell is the outcome of a method at a gain. Evals and Micros are medians over the networks, among
// which one that was not solved counts as dearer than any other; null where it is the median.
type Cell struct {
	Gain     float64  `json:"gain"`
	Evals    *float64 `json:"evals"`
	Micros   *float64 `json:"time_us"`
	Failures int      `json:"failures"`
}

// Run measures every method on every network, one at a time and from z = 0. done, which may be
// nil, is told after each row of cells how many of all have been measured.
func Run(ctx context.Context, methods []Method, o Options, done func(cells, of int)) (*Table, error) {
	o = options.WithDefaults(o)
	if o.Seeds < 1 || o.Units < 1 || o.Repeats < 1 {
		return nil, fmt.Errorf("study: %d seeds, %d units, %d repeats: expected positive numbers", o.Seeds, o.Units, o.Repeats)
	}
	t := &Table{Units: o.Units, Seeds: o.Seeds, RTol: o.RTol, MaxEvals: o.MaxEvals, Gains: o.Gains}
	runs := make([]*solvers.Solver[float64], len(methods))
	for i, m := range methods {
		// A dense method cannot take two steps in the evaluations that others need to converge.
		own, err := solvers.New(m.Value, 1, o.Units, solvers.Settings{Measure: "rel", RTol: o.RTol, Stall: -1})
		if err != nil {
			return nil, fmt.Errorf("study: %s: %w", m.Name, err)
		}
		limit := o.MaxEvals
		if n := own.Settings().MaxEvals; n > options.WithDefaults(solvers.Settings{}).MaxEvals {
			limit = max(limit, n)
		}
		if runs[i], err = solvers.New(m.Value, 1, o.Units, solvers.Settings{Measure: "rel", RTol: o.RTol, Stall: -1, MaxEvals: limit}); err != nil {
			return nil, fmt.Errorf("study: %s: %w", m.Name, err)
		}
		t.Rows = append(t.Rows, Row{Name: m.Name, MaxEvals: limit})
	}
	z := make([]float64, o.Units)
	for k, gain := range o.Gains {
		spent := make([]cell, len(methods))
		for seed := range o.Seeds {
			p := Network(o.Units, int64(seed), gain)
			for i, m := range methods {
				evals, took := 0, math.Inf(1)
				for range o.Repeats {
					clear(z)
					rep, err := runs[i].Solve(ctx, p, z)
					if err != nil {
						return nil, fmt.Errorf("study: %s at gain %g, seed %d: %w", m.Name, gain, seed, err)
					}
					if rep.Failed() > 0 {
						break // all methods are deterministic
					}
					evals, took = rep.Evals[0], min(took, float64(rep.Wall)/float64(time.Microsecond))
				}
				spent[i].add(evals, took)
			}
		}
		for i := range methods {
			t.Rows[i].Cells = append(t.Rows[i].Cells, spent[i].summary(gain))
		}
		if done != nil {
			done((k+1)*len(methods), len(o.Gains)*len(methods))
		}
	}
	return t, nil
}

// cell collects what a method has spent at a gain.
type cell struct {
	evals, micros []float64
	failures      int
}

func (c *cell) add(evals int, micros float64) {
	e := float64(evals)
	if math.IsInf(micros, 1) {
		e = micros
		c.failures++
	}
	c.evals, c.micros = append(c.evals, e), append(c.micros, micros)
}

func (c *cell) summary(gain float64) Cell {
	return Cell{Gain: gain, Evals: median(c.evals), Micros: median(c.micros), Failures: c.failures}
}

// median is the upper median, or nil where that is infinite.
func median(v []float64) *float64 {
	slices.Sort(v)
	m := v[len(v)/2]
	if math.IsInf(m, 1) {
		return nil
	}
	return &m
}

// Network is the network of a seed: from r = rand.New(rand.NewSource(seed)), row by row,
// W[i][j] = g/√n·r.NormFloat64() for all j and then b[i] = 0.3·r.NormFloat64().
func Network(n int, seed int64, gain float64) solvers.Problem[float64] {
	r := rand.New(rand.NewSource(seed))
	w, b := make([]float64, n*n), make([]float64, n)
	for i := range n {
		for j := range n {
			w[i*n+j] = gain / math.Sqrt(float64(n)) * r.NormFloat64()
		}
		b[i] = 0.3 * r.NormFloat64()
	}
	row := func(i int) []float64 { return w[i*n : (i+1)*n] }
	f := func(z, fz []float64) {
		for i := range n {
			fz[i] = b[i] + kernels.Dot(row(i), z)
		}
		kernels.Tanh(fz, fz)
	}
	slope := make([]float64, n)
	return solvers.Problem[float64]{
		Batch: 1, Dim: n,
		F: func(_ []int, z, fz []float64) error { f(z, fz); return nil },
		Linearise: func(_ []int, z []float64) error {
			f(z, slope)
			for i, t := range slope {
				slope[i] = 1 - t*t
			}
			return nil
		},
		JVP: func(_ []int, v, jv []float64) error {
			for i := range n {
				jv[i] = slope[i] * kernels.Dot(row(i), v)
			}
			return nil
		},
		VJP: func(_ []int, u, ju []float64) error {
			clear(ju)
			for i := range n {
				kernels.Axpy(slope[i]*u[i], row(i), ju)
			}
			return nil
		},
	}
}
