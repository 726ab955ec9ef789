package deq_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// made is what a layer has made, with every method that computes.
type made struct {
	z       []float64
	methods map[string]func() error
}

// makeAll has a layer make one of each.
func makeAll(t *testing.T, l *deq.Layer[float64]) made {
	t.Helper()
	x := normals(4, rows*inputs, 1)
	with := exact()
	with.Method = solvers.Broyden[float64]{} // which keeps an inverse
	e := must(l.Solve(ctx, x, nil, with))
	tr := must(l.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: 3, X: x}))
	outs := must(tr.Evaluate(ctx, quadratic{outputs}, nil, nil))
	back := must(l.RunReversibly(ctx, deq.Sequence[float64]{Rows: rows, Steps: 3, X: x}, 0.5, 0))
	sides := must(e.Sides(1e-9))
	n := rows * units
	v, out, again := normals(5, n, 1), make([]float64, n), make([]float64, n)
	g := l.Params.ZerosLike()
	return made{z: e.Z, methods: map[string]func() error{
		"Adjoint":          func() error { return second(e.Adjoint(ctx, v, out, exact())) },
		"Nudge":            func() error { return second(e.Nudge(ctx, slices.Clone(e.Z), 0.1, quadratic{outputs}, exact())) },
		"NudgePre":         func() error { return second(e.NudgePre(ctx, slices.Clone(e.Z), 0.1, quadratic{outputs}, exact())) },
		"Displace":         func() error { return second(e.Displace(ctx, slices.Clone(e.Z), v, exact())) },
		"DisplacePre":      func() error { return second(e.DisplacePre(ctx, slices.Clone(e.Z), v, exact())) },
		"Control":          func() error { return second(e.Control(ctx, 1, nil, quadratic{outputs}, exact())) },
		"Next":             func() error { return e.Next(out) },
		"VJP":              func() error { return e.VJP(v, g) },
		"ApplyJT":          func() error { return e.ApplyJT(v, out) },
		"ApplyHT":          func() error { return e.ApplyHT(v, out) },
		"ApplyCut":         func() error { return e.ApplyCut(v, out) },
		"JVP":              func() error { return e.JVP(v, out) },
		"Gain":             func() error { return e.Gain(v, out) },
		"PreActivation":    func() error { return e.PreActivation(out) },
		"Recurrent":        func() error { return e.Recurrent(v, out) },
		"RecurrentAdjoint": func() error { return e.RecurrentAdjoint(v, out) },
		"PreVJP":           func() error { return e.PreVJP(e.Z, v, g) },
		"JacobianPenalty":  func() error { return second(e.JacobianPenalty(v, 1, g, nil)) },
		"Correction":       func() error { return second(e.Correction(quadratic{outputs}, 0.9, g)) },
		"TangentVJP":       func() error { return e.TangentVJP(v, v, v, deq.AllCredit, out, again, g) },
		"Repeat":           func() error { return second(e.Repeat(1, 2)) },
		"Sides":            func() error { return second(e.Sides(1e-9)) },
		"Sides.JVP":        func() error { return sides.JVP(v, out) },
		"Sides.Repeat":     func() error { return second(sides.Repeat(0, 2)) },

		"Trajectory.VJP":          func() error { return tr.VJP(ctx, deq.Back[float64]{Outputs: outs}, g) },
		"Trajectory.Evaluate":     func() error { return second(tr.Evaluate(ctx, quadratic{outputs}, nil, g)) },
		"Trajectory.EvaluateLast": func() error { return second(tr.EvaluateLast(quadratic{outputs}, g)) },
		"Trajectory.At":           func() error { return second(tr.At(1, tr.Z[1])) },
		"Trajectory.Locals":       func() error { return second(tr.Locals(ctx, 0, 2, nil)) },
		"Trajectory.Jacobians":    func() error { return tr.Jacobians(ctx, 1, make([]float64, n*units)) },
		"reversible VJP":          func() error { return back.VJP(ctx, deq.Back[float64]{Outputs: back.LastOutput(v)}, g) },
	}}
}

// Once parameters have changed nothing that was made before computes; what it holds can be read.
func TestStale(t *testing.T) {
	for name, change := range map[string]func(l *deq.Layer[float64]){
		"update": func(l *deq.Layer[float64]) { update(l, func() { l.Params.Data("W")[0] += 1 }) },
		"an update that fails": func(l *deq.Layer[float64]) {
			failed := errors.New("half way")
			if err := l.Update(func(p deq.Params[float64]) error { p.Data("W")[0] += 1; return failed }); err != failed {
				t.Errorf("error %v", err)
			}
		},
		"an update that panics": func(l *deq.Layer[float64]) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = l.Update(func(p deq.Params[float64]) error { p.Data("W")[0] += 1; p.Data("none")[0] = 1; return nil })
		},
		"masks": func(l *deq.Layer[float64]) { l.DrawMasks(rng.Stream(1, "dropout")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := layer(t, models.Rate{Dropout: 0.5})
			old := makeAll(t, l)
			z := slices.Clone(old.z)
			for name, method := range old.methods { // "Next" and others may keep what they find
				if name == "ApplyHT" {
					continue // the solver has solved something else by then
				}
				if err := method(); err != nil {
					t.Fatalf("%s before: %v", name, err)
				}
			}
			change(l)
			for name, method := range old.methods {
				if err := method(); !errors.Is(err, deq.ErrStale) {
					t.Errorf("%s: error %v", name, err)
				}
			}
			if !slices.Equal(old.z, z) {
				t.Error("the states have changed")
			}
			if again := makeAll(t, l); slices.Equal(again.z, z) {
				t.Error("the old answer is given again")
			}
		})
	}
}

// A change that is only tried leaves valid what was there before, and the parameters as they were.
func TestVary(t *testing.T) {
	l := layer(t, models.Rate{})
	old, was := makeAll(t, l), slices.Clone(l.Params.Data("W"))
	want := make([]float64, rows*units)
	e := must(l.Solve(ctx, normals(4, rows*inputs, 1), nil, exact()))
	if err := e.JVP(e.Z, want); err != nil {
		t.Fatal(err)
	}
	var within made
	failed := errors.New("failed")
	for _, fails := range []error{nil, failed} {
		err := l.Vary(func(p deq.Params[float64]) error { p.Data("W")[0] += 1; return nil }, func() error {
			if err := old.methods["JVP"](); !errors.Is(err, deq.ErrStale) {
				t.Errorf("while it is tried: error %v", err)
			}
			within = makeAll(t, l)
			return fails
		})
		if err != fails || !slices.Equal(l.Params.Data("W"), was) {
			t.Errorf("error %v, parameters put back: %v", err, slices.Equal(l.Params.Data("W"), was))
		}
	}
	if err := l.Vary(func(p deq.Params[float64]) error { p.Data("W")[0] += 1; return failed }, nil); err != failed || !slices.Equal(l.Params.Data("W"), was) {
		t.Errorf("a change that fails: error %v, parameters put back: %v", err, slices.Equal(l.Params.Data("W"), was))
	}
	for name, method := range old.methods {
		if err := method(); err != nil && name != "ApplyHT" {
			t.Errorf("%s, after: %v", name, err)
		}
	}
	got := make([]float64, rows*units)
	if err := e.JVP(e.Z, got); err != nil || !slices.Equal(got, want) {
		t.Errorf("the derivative is another after: %v", err)
	}
	update(l, func() {}) // which must not be taken for the state that was tried
	for name, method := range within.methods {
		if err := method(); !errors.Is(err, deq.ErrStale) {
			t.Errorf("%s of what was tried: error %v", name, err)
		}
	}
}

// A twin is of what its layer was when it was got.
func TestStaleTwin(t *testing.T) {
	l := layer(t, models.Rate{})
	x, v := normals(4, rows*inputs, 1), normals(5, rows*units, 1)
	twin := must(l.Twin(func(p deq.Params[float64]) { clear(p.Data("W")) }))
	of := must(twin.Solve(ctx, x, nil, exact()))
	if err := of.JVP(v, make([]float64, len(v))); err != nil {
		t.Fatal(err)
	}
	update(l, func() { l.Params.Data("W")[0] += 1 })
	e := must(l.Solve(ctx, x, nil, exact()))
	tr := must(l.Relax(ctx, x, nil, 2))
	for name, err := range map[string]error{
		"solve":            second(twin.Solve(ctx, x, nil, exact())),
		"its equilibrium":  of.JVP(v, make([]float64, len(v))),
		"adjoint through":  second(e.AdjointThrough(ctx, twin, v, slices.Clone(v), exact())),
		"control":          second(e.Control(ctx, 1, twin, quadratic{outputs}, exact())),
		"readout":          tr.VJP(ctx, deq.Back[float64]{Outputs: tr.LastOutput(v), Readout: twin}, nil),
		"update of a twin": twin.Update(func(deq.Params[float64]) error { return nil }),
	} {
		if !errors.Is(err, deq.ErrStale) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	twin = must(l.Twin(func(deq.Params[float64]) {}))
	if err := of.JVP(v, make([]float64, len(v))); !errors.Is(err, deq.ErrStale) {
		t.Errorf("equilibrium of an earlier twin: error %v", err)
	}
	other := layer(t, models.Rate{})
	if _, err := e.AdjointThrough(ctx, other, v, slices.Clone(v), exact()); err == nil || errors.Is(err, deq.ErrStale) {
		t.Errorf("a layer that is no twin: error %v", err)
	}
	if _, err := e.AdjointThrough(ctx, twin, v, slices.Clone(v), exact()); err != nil {
		t.Error(err)
	}
}

func second(_ any, err error) error { return err }

// Memory that is put in the place of a parameter's is read by no program: it is refused, and the parameter stays.
func TestUpdateKeepsMemory(t *testing.T) {
	l := layer(t, models.Rate{})
	was := l.Params.Data("W")
	err := l.Update(func(p deq.Params[float64]) error {
		for i := range p {
			if p[i].Name == "W" {
				p[i].Data = make([]float64, len(was))
			}
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "parameter W") || &l.Params.Data("W")[0] != &was[0] {
		t.Errorf("error %v", err)
	}
}

// A guarded layer tells a parameter that was written to other than by Update, whatever it is asked for.
func TestGuard(t *testing.T) {
	write := func(l *deq.Layer[float64]) { l.Params.Data("U")[2] = 7 }
	for name, do := range map[string]func(l *deq.Layer[float64], check func() error) error{
		"check": func(_ *deq.Layer[float64], check func() error) error { return check() },
		"solve": func(l *deq.Layer[float64], _ func() error) error {
			return second(l.Solve(ctx, normals(4, inputs, 1), nil, exact()))
		},
		"run": func(l *deq.Layer[float64], _ func() error) error {
			return second(l.Relax(ctx, normals(4, inputs, 1), nil, 2))
		},
		"update": func(l *deq.Layer[float64], _ func() error) error {
			return l.Update(func(deq.Params[float64]) error { return nil })
		},
	} {
		l := layer(t, models.Rate{})
		check := l.Guard()
		update(l, func() { l.Params.Data("W")[1] = math.NaN() })
		if err := check(); err != nil {
			t.Errorf("%s, after an update: %v", name, err)
		}
		write(l)
		if err := do(l, check); err == nil || !strings.Contains(err.Error(), "parameter U was written to other than by Update: its entry 2 is 7") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	l := layer(t, models.Rate{})
	check := l.Guard()
	l.Params[0].Data = slices.Clone(l.Params[0].Data)
	if err := check(); err == nil || !strings.Contains(err.Error(), "memory of parameter "+l.Params[0].Name) {
		t.Errorf("memory that is another: error %v", err)
	}
}

// A layer in use cannot be updated, nor can it compute while it is.
func TestUpdateInUse(t *testing.T) {
	l := layer(t, models.Rate{})
	x, was := normals(4, inputs, 1), slices.Clone(l.Params.Data("W"))
	move := func(p deq.Params[float64]) error { clear(p.Data("W")); return nil }
	busy := &turns{Method: solvers.Anderson[float64]{}, meanwhile: func() {
		for name, err := range map[string]error{
			"update": l.Update(move), "vary": l.Vary(move, func() error { return nil }), "twin": second(l.Twin(func(deq.Params[float64]) {})),
		} {
			if !errors.Is(err, deq.ErrConcurrent) {
				t.Errorf("%s while it solves: %v", name, err)
			}
		}
	}}
	if _, err := l.Solve(ctx, x, nil, deq.Solver[float64]{Method: busy}); err != nil || !slices.Equal(l.Params.Data("W"), was) {
		t.Errorf("%v", err)
	}
	if err := l.Update(func(deq.Params[float64]) error { return second(l.Solve(ctx, x, nil, exact())) }); !errors.Is(err, deq.ErrConcurrent) {
		t.Errorf("solve in an update: %v", err)
	}
}

// A node whose parameter has a shape that is not its own takes over none, and the others later on.
func TestNodeTakesAllParametersOrNone(t *testing.T) {
	run := func(bad bool) []float64 {
		g := gorgonia.NewGraph()
		x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, inputs), gorgonia.WithName("x"),
			gorgonia.WithValue(tensor.New(tensor.WithShape(2, inputs), tensor.WithBacking(normals(4, 2*inputs, 1)))))
		n := must(deq.Node(models.Rate{N: units}, x, deq.NodeConfig[float64]{Seed: 1}))
		vm := gorgonia.NewTapeMachine(g)
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		for _, p := range n.Params[:len(n.Params)-1] {
			for i, data := 0, p.Value().Data().([]float64); i < len(data); i++ {
				data[i] *= 0.5
			}
		}
		if bad {
			last := n.Params[len(n.Params)-1]
			kept := last.Value().Shape().Clone()
			dense := last.Value().(*tensor.Dense)
			if err := dense.Reshape(1, 2, kept.TotalSize()/2); err != nil {
				t.Fatal(err)
			}
			vm.Reset()
			if err := vm.RunAll(); err == nil {
				t.Fatal("a parameter of another shape is taken")
			}
			if err := dense.Reshape(kept...); err != nil {
				t.Fatal(err)
			}
		}
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(n.Z.Value().Data().([]float64))
	}
	if want := run(false); !slices.Equal(run(true), want) {
		t.Error("the state is another after a parameter was refused")
	}
}
