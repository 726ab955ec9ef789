package deq_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// argument is a slice that a method takes.
type argument struct {
	name string
	size int
	none bool // whether it may be nil
	rows int  // the width of rows, for what may have any number of them
}

// Every method that takes slices says which one is not as long as it must be, and how long that is. What is as long
// but not a number does no more harm than to make the result that.
func TestArgumentsAreChecked(t *testing.T) {
	l := layer(t, models.Rate{})
	relu := layer(t, models.Rate{Activation: "relu"})
	x := normals(4, rows*inputs, 1)
	n := rows * units
	with := exact()
	with.Method, with.Settings.MaxEvals = solvers.Broyden[float64]{}, 50
	fresh := func(l *deq.Layer[float64]) *deq.Equilibrium[float64] { return must(l.Solve(ctx, x, nil, with)) }
	e, kinked := fresh(l), fresh(relu)
	tr := must(l.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: 3, X: x}))
	outs := must(tr.Evaluate(ctx, quadratic{outputs}, nil, nil))
	back := must(l.RunReversibly(ctx, deq.Sequence[float64]{Rows: rows, Steps: 3, X: x}, 0.5, 0))
	sides := must(kinked.Sides(1e-9))
	twin := must(l.Twin(func(deq.Params[float64]) {}))
	synapses := must(l.Synapses())
	state := func(name string) argument { return argument{name: name, size: n} }
	states := argument{name: "z", size: n, rows: units}
	theta := argument{name: "g", size: 0, none: true}
	for name, m := range map[string]struct {
		args []argument
		call func(v [][]float64, g deq.Params[float64]) error
	}{
		"Solve": {[]argument{{name: "x", size: rows * inputs, rows: inputs}, {name: "z0", size: n, none: true}}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(l.Solve(ctx, v[0], v[1], with))
		}},
		"At": {[]argument{{name: "x", size: rows * inputs, rows: inputs}, state("z")}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(l.At(v[0], v[1]))
		}},
		"Relax": {[]argument{{name: "X", size: rows * inputs}, {name: "z0", size: n, none: true}}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(l.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: 2, X: v[0], Z0: v[1]}))
		}},
		"RunReversibly": {[]argument{{name: "X", size: rows * inputs}, {name: "z0", size: n, none: true}}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(l.RunReversibly(ctx, deq.Sequence[float64]{Rows: rows, Steps: 2, X: v[0], Z0: v[1]}, 0.5, 0))
		}},
		"Layer.Evaluate": {[]argument{states, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return second(l.Evaluate(v[0], quadratic{outputs}, g))
		}},
		"Read": {[]argument{states, {name: "y", size: rows * outputs}}, func(v [][]float64, _ deq.Params[float64]) error { return l.Read(v[0], v[1]) }},
		"ReadoutVJP": {[]argument{states, {name: "dy", size: rows * outputs}, state("dz")}, func(v [][]float64, _ deq.Params[float64]) error {
			return l.ReadoutVJP(v[0], v[1], v[2], nil)
		}},
		"ReadoutVJP with gradients": {[]argument{states, {name: "dy", size: rows * outputs}, {name: "dz", size: n, none: true}, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return l.ReadoutVJP(v[0], v[1], v[2], g)
		}},
		"Rates": {[]argument{states, state("r")}, func(v [][]float64, _ deq.Params[float64]) error { return l.Rates(v[0], v[1]) }},
		"WeightVJP": {[]argument{{name: "dw", size: synapses[0].Post * synapses[0].Pre}, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return l.WeightVJP(0, v[0], g)
		}},
		"Adjoint": {[]argument{state("dz"), state("u")}, func(v [][]float64, _ deq.Params[float64]) error { return second(e.Adjoint(ctx, v[0], v[1], with)) }},
		"Adjoint by splitting": {[]argument{state("dz"), state("u")}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(e.Adjoint(ctx, v[0], v[1], deq.Solver[float64]{Method: solvers.PeacemanRachford[float64]{}, Settings: solvers.Settings{MaxEvals: 20}}))
		}},
		"AdjointThrough": {[]argument{state("dz"), state("u")}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(e.AdjointThrough(ctx, twin, v[0], v[1], with))
		}},
		"Next":             {[]argument{state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.Next(v[0]) }},
		"VJP":              {[]argument{state("u"), theta}, func(v [][]float64, g deq.Params[float64]) error { return e.VJP(v[0], g) }},
		"ApplyJT":          {[]argument{state("u"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.ApplyJT(v[0], v[1]) }},
		"ApplyHT":          {[]argument{state("u"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return fresh(l).ApplyHT(v[0], v[1]) }},
		"ApplyCut":         {[]argument{state("u"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.ApplyCut(v[0], v[1]) }},
		"JVP":              {[]argument{state("v"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.JVP(v[0], v[1]) }},
		"Gain":             {[]argument{state("v"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.Gain(v[0], v[1]) }},
		"PreActivation":    {[]argument{state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.PreActivation(v[0]) }},
		"Recurrent":        {[]argument{state("v"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.Recurrent(v[0], v[1]) }},
		"RecurrentAdjoint": {[]argument{state("u"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return e.RecurrentAdjoint(v[0], v[1]) }},
		"PreVJP":           {[]argument{state("z"), state("u"), theta}, func(v [][]float64, g deq.Params[float64]) error { return e.PreVJP(v[0], v[1], g) }},
		"Nudge": {[]argument{state("z")}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(e.Nudge(ctx, v[0], 0.1, quadratic{outputs}, with))
		}},
		"NudgePre": {[]argument{state("z")}, func(v [][]float64, _ deq.Params[float64]) error {
			return second(e.NudgePre(ctx, v[0], 0.1, quadratic{outputs}, with))
		}},
		"Displace":    {[]argument{state("z"), state("shift")}, func(v [][]float64, _ deq.Params[float64]) error { return second(e.Displace(ctx, v[0], v[1], with)) }},
		"DisplacePre": {[]argument{state("z"), state("shift")}, func(v [][]float64, _ deq.Params[float64]) error { return second(e.DisplacePre(ctx, v[0], v[1], with)) }},
		"JacobianPenalty": {[]argument{state("v"), {name: "dz", size: n, none: true}, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return second(e.JacobianPenalty(v[0], 1, g, v[1]))
		}},
		"Correction": {[]argument{theta}, func(_ [][]float64, g deq.Params[float64]) error {
			return second(e.Correction(quadratic{outputs}, 0.9, g))
		}},
		"TangentVJP": {[]argument{state("v"), state("w"), state("a"), state("dv"), state("dz"), theta}, func(v [][]float64, g deq.Params[float64]) error {
			return e.TangentVJP(v[0], v[1], v[2], deq.AllCredit, v[3], v[4], g)
		}},
		"Sides":         {[]argument{state("direction")}, func(v [][]float64, _ deq.Params[float64]) error { return second(kinked.Sides(1e-9, v[0])) }},
		"Sides.JVP":     {[]argument{state("v"), state("out")}, func(v [][]float64, _ deq.Params[float64]) error { return sides.JVP(v[0], v[1]) }},
		"Trajectory.At": {[]argument{state("z")}, func(v [][]float64, _ deq.Params[float64]) error { return second(tr.At(1, v[0])) }},
		"Trajectory.VJP": {[]argument{{name: "DZ0", size: n, none: true}, {name: "DX", size: rows * inputs, none: true}, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return tr.VJP(ctx, deq.Back[float64]{Outputs: outs, DZ0: v[0], DX: v[1]}, g)
		}},
		"Trajectory.VJP of DZ": {[]argument{{name: "DZ", size: n, none: true}}, func(v [][]float64, _ deq.Params[float64]) error {
			return tr.VJP(ctx, deq.Back[float64]{Outputs: tr.LastOutput(v[0])}, nil)
		}},
		"Trajectory.VJP of DY": {[]argument{{name: "DY", size: rows * outputs, none: true}}, func(v [][]float64, _ deq.Params[float64]) error {
			own := make(deq.Outputs[float64], 4)
			own[3] = &deq.Output[float64]{DY: v[0]}
			return tr.VJP(ctx, deq.Back[float64]{Outputs: own}, nil)
		}},
		"reversible VJP": {[]argument{{name: "DZ", size: n}, {name: "DZ0", size: n, none: true}, theta}, func(v [][]float64, g deq.Params[float64]) error {
			return back.VJP(ctx, deq.Back[float64]{Outputs: back.LastOutput(v[0]), DZ0: v[1]}, g)
		}},
		"Trajectory.Evaluate": {[]argument{theta}, func(_ [][]float64, g deq.Params[float64]) error {
			return second(tr.Evaluate(ctx, quadratic{outputs}, nil, g))
		}},
		"Trajectory.EvaluateLast": {[]argument{theta}, func(_ [][]float64, g deq.Params[float64]) error {
			return second(tr.EvaluateLast(quadratic{outputs}, g))
		}},
		"Trajectory.Jacobians": {[]argument{{name: "dst", size: n * units}}, func(v [][]float64, _ deq.Params[float64]) error { return tr.Jacobians(ctx, 1, v[0]) }},
	} {
		t.Run(name, func(t *testing.T) {
			// call calls the method with the argument which in another way, none if that is −1.
			call := func(which int, other func(v []float64) []float64) (err error) {
				defer func() {
					if r := recover(); r != nil {
						err = fmt.Errorf("panic: %v", r)
					}
				}()
				var v [][]float64
				g := l.Params.ZerosLike()
				for i, a := range m.args {
					own := normals(uint64(i), a.size, 0.1)
					if i == which {
						if a.name == "g" {
							g[len(g)-1].Data = other(g[len(g)-1].Data)
						}
						own = other(own)
					}
					v = append(v, own)
				}
				return m.call(v, g)
			}
			if err := call(-1, nil); err != nil {
				t.Fatal(err)
			}
			for i, a := range m.args {
				expected := a.size
				if a.name == "g" {
					expected = len(l.Params[len(l.Params)-1].Data)
				}
				for found, other := range map[int]func(v []float64) []float64{
					expected - 1: func(v []float64) []float64 { return v[:max(len(v)-1, 0)] },
					expected + 1: func(v []float64) []float64 { return append(slices.Clone(v), 1) },
					0:            func([]float64) []float64 { return nil },
				} {
					err := call(i, other)
					if found == 0 && a.none {
						if err != nil {
							t.Errorf("%s of nil: %v", a.name, err)
						}
						continue
					}
					if err == nil || strings.Contains(err.Error(), "panic") {
						t.Errorf("%s of %d numbers, expected %d: error %v", a.name, found, expected, err)
						continue
					}
					say := fmt.Sprint("expected ", expected)
					if a.rows > 0 {
						say = fmt.Sprint("expected rows of ", a.rows)
					}
					for _, want := range []string{a.name, fmt.Sprint(found, " numbers"), say} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%s of %d numbers, expected %d: %q does not say %q", a.name, found, expected, err, want)
						}
					}
				}
				if err := call(i, func(v []float64) []float64 { return slices.Repeat([]float64{math.NaN()}, len(v)) }); err != nil && strings.Contains(err.Error(), "panic") {
					t.Errorf("%s of NaNs: %v", a.name, err)
				}
			}
		})
	}
}

// Gradients of another number of parameters are none of the layer's.
func TestGradientsOfOtherParameters(t *testing.T) {
	l := layer(t, models.Rate{})
	e := solve(t, l, normals(4, rows*inputs, 1))
	g := l.Params.ZerosLike()
	if err := e.VJP(e.Z, g[:1]); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("1 parameters: expected %d", len(l.Params))) {
		t.Errorf("error %v", err)
	}
}

// Copies of a sample that is not there, and rows of sides, are refused.
func TestRepeatChecks(t *testing.T) {
	l := layer(t, models.Rate{Activation: "relu"})
	e := solve(t, l, normals(4, rows*inputs, 1))
	sides := must(e.Sides(1e-9))
	for _, c := range [][2]int{{-1, 1}, {rows, 1}, {0, 0}, {0, -1}, {0, l.Batch() + 1}} {
		for name, err := range map[string]error{
			"equilibrium": second(e.Repeat(c[0], c[1])), "sides": second(sides.Repeat(c[0], c[1])), "piece": second(sides.Piece(c[0], c[1], 0)),
		} {
			if err == nil {
				t.Errorf("%s: %d copies of sample %d", name, c[1], c[0])
			}
		}
	}
	if _, err := l.Weights(99); err == nil {
		t.Error("synapse 99 has weights")
	}
}

// weighted is a method that == cannot compare.
type weighted struct {
	solvers.Picard[float64]
	weights []float64
}

// A method by which no solver can be found again is refused wherever it is given; by a pointer it is not.
func TestMethodsThatCannotBeCompared(t *testing.T) {
	l := layer(t, models.Rate{})
	x, v := normals(4, rows*inputs, 1), normals(5, rows*units, 1)
	e := solve(t, l, x)
	twin := must(l.Twin(func(deq.Params[float64]) {}))
	all := func(m solvers.Method[float64]) map[string]error {
		with := deq.Solver[float64]{Method: m}
		return map[string]error{
			"CheckSolver": l.CheckSolver(with), "Solve": second(l.Solve(ctx, x, nil, with)), "Adjoint": second(e.Adjoint(ctx, v, slices.Clone(v), with)),
			"AdjointThrough": second(e.AdjointThrough(ctx, twin, v, slices.Clone(v), with)), "Nudge": second(e.Nudge(ctx, slices.Clone(v), 0.1, quadratic{outputs}, with)),
			"Displace": second(e.Displace(ctx, slices.Clone(v), v, with)), "Control": second(e.Control(ctx, 1, nil, quadratic{outputs}, with)),
		}
	}
	for name, err := range all(weighted{weights: []float64{1}}) {
		if err == nil || !strings.Contains(err.Error(), "deq_test.weighted cannot be compared") || !strings.Contains(err.Error(), "its field weights is a []float64") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, err := range all(nil) {
		if err == nil || !strings.Contains(err.Error(), "without a method") {
			t.Errorf("%s without a method: error %v", name, err)
		}
	}
	for name, err := range all(&weighted{weights: []float64{1}}) {
		if err != nil {
			t.Errorf("%s by a pointer: %v", name, err)
		}
	}
}
