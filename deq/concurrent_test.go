package deq_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// turns is a method that, in the middle of a solve, lets someone else try to use the layer.
type turns struct {
	solvers.Method[float64]
	meanwhile func()
}

func (m turns) Start(s solvers.Shape) (solvers.Stepper[float64], error) {
	m.meanwhile()
	return m.Method.Start(s)
}

// A layer that is in use refuses everyone else, whatever they want of it, and what it computes
// for the first is right.
func TestConcurrentUse(t *testing.T) {
	l := must(deq.New[float64](models.Rate{N: 8}, 3, 2, 1, deq.Config{Batch: 4}))
	twin := must(l.Twin(func(deq.Params[float64]) {}))
	x, out := normals(1, 12, 1), make([]float64, 32)
	with := deq.Solver[float64]{Method: solvers.Anderson[float64]{}}
	e, err := l.Solve(t.Context(), x, nil, with)
	if err != nil {
		t.Fatal(err)
	}
	want, tr := slices.Clone(e.Z), must(l.Relax(t.Context(), x, nil, 3))
	var errs []error
	try := &turns{Method: solvers.Anderson[float64]{}, meanwhile: func() {
		note := func(err error) { errs = append(errs, err) }
		_, err := l.Solve(t.Context(), x, nil, with)
		note(err)
		_, err = twin.Solve(t.Context(), x, nil, with)
		note(err)
		_, err = l.Relax(t.Context(), x, nil, 3)
		note(err)
		_, err = e.Adjoint(t.Context(), out, slices.Clone(out), with)
		note(err)
		note(e.ApplyJT(out, slices.Clone(out)))
		note(e.VJP(out, l.Params.ZerosLike()))
		note(l.Read(e.Z, make([]float64, 8)))
		note(tr.VJP(t.Context(), deq.Back[float64]{Outputs: make(deq.Outputs[float64], 4)}, l.Params.ZerosLike()))
	}}
	got, err := l.Solve(t.Context(), x, nil, deq.Solver[float64]{Method: try})
	if err != nil || !slices.Equal(got.Z, want) {
		t.Errorf("the first is disturbed: %v", err)
	}
	if len(errs) != 8 {
		t.Errorf("%d tries", len(errs))
	}
	for i, err := range errs {
		if !errors.Is(err, deq.ErrConcurrent) {
			t.Errorf("try %d: error %v, want ErrConcurrent", i, err)
		}
	}
	if _, err := l.Solve(t.Context(), x, nil, with); err != nil { // it is free again
		t.Error(err)
	}
}

// Of two goroutines that use one layer each gets right answers or ErrConcurrent.
func TestConcurrentSolves(t *testing.T) {
	l := must(deq.New[float64](models.Rate{N: 32}, 3, 2, 1, deq.Config{Batch: 2}))
	with := deq.Solver[float64]{Method: solvers.Anderson[float64]{}}
	var group sync.WaitGroup
	var right atomic.Int64
	inputs := [][]float64{normals(1, 6, 1), normals(2, 6, 1)}
	wants := make([][]float64, 2)
	for i, x := range inputs {
		wants[i] = slices.Clone(must(l.Solve(t.Context(), x, nil, with)).Z)
	}
	for i := range 2 {
		group.Go(func() {
			for range 200 {
				e, err := l.Solve(t.Context(), inputs[i], nil, with)
				switch {
				case err == nil && slices.Equal(e.Z, wants[i]):
					right.Add(1)
				case !errors.Is(err, deq.ErrConcurrent):
					t.Errorf("a wrong answer, and the error %v", err)
				}
			}
		})
	}
	group.Wait()
	if right.Load() == 0 {
		t.Error("no right answer at all")
	}
}
