package stability_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/rng"
)

// Stiff rate dynamics come to rest within the evaluations that are allowed, where they do by the exact solution, and the exponents
// there are those of the Jacobian.
func TestStiffRest(t *testing.T) {
	tail := func(w float64) float64 { // z = tanh(w z) > 0
		z := 1.0
		for range 200 {
			z = math.Tanh(w * z)
		}
		return z
	}
	z := tail(2)
	for name, c := range map[string]struct {
		activation string
		w          []float64
		want       []float64
		rest       float64 // |z₂|
	}{
		"linear":    {"linear", diagonal(-1e4, 0.5, 0.9), []float64{-0.1, -0.5, -10001}, 0},
		"fast":      {"tanh", diagonal(-1e8, 0.5, 0.9), []float64{-0.1, -0.5, -1e8 - 1}, 0},
		"bistable":  {"tanh", diagonal(-1e6, 2), []float64{2*(1-z*z) - 1, -1e6 - 1}, z},
		"turning":   {"tanh", []float64{-1e5, 0, 0, 0, 0.5, -2, 0, 2, 0.5}, []float64{-0.5, -0.5, -1e5 - 1}, 0},
		"saturated": {"tanh", []float64{-1e6, 3e5, 0, 2}, []float64{2*(1-z*z) - 1, math.NaN()}, z},
	} {
		l := own(t, c.activation, c.w...)
		found := exponents(t, l, nil, nil, stability.Lyapunov{Dynamics: "rate", K: len(c.want), Steps: 2000})
		for i, e := range found {
			if want := c.want[i]; want == want && !(math.Abs(e.Value-want) <= e.StdErr+1e-12*math.Abs(want)) || !(e.StdErr <= 1e-6) {
				t.Errorf("%s: exponent %d is %+v, want %g", name, i, e, want)
			}
		}
		n := len(c.want)
		ends, err := stability.Run(ctx, l, nil, stability.RandomStates(l, 10, 1, 1), []stability.FixedPoint{}, stability.Basins{Dynamics: "rate", Steps: 300})
		if err != nil || ends.Stiff != nil {
			t.Errorf("%s: %v, %v", name, ends.Stiff, err)
			continue
		}
		for b := range 10 {
			if z := ends.Last[b*n+1]; !(math.Abs(math.Abs(z)-c.rest) <= 1e-4) {
				t.Errorf("%s: state %d comes to %g", name, b, ends.Last[b*n:(b+1)*n])
			}
		}
	}
}

// A stiff path is as near to the exact one as the error of its steps says: z₂ = e^{−t/2} slaves z₁ = c e^{−t/2}.
func TestStiffPath(t *testing.T) {
	const fast, across, time = 1e5, 3e4, 4
	l := own(t, "linear", -fast, across, 0, 0.5)
	want := math.Exp(-time / 2.0)
	ends, err := stability.Run(ctx, l, nil, []float64{-1, 1}, nil, stability.Basins{Dynamics: "rate", Steps: time})
	if err != nil || ends.Stiff != nil {
		t.Fatal(ends.Stiff, err)
	}
	slaved := across / (fast + 0.5) * want
	if z := ends.Last; !(math.Abs(z[1]-want) <= 1e-4*want) || !(math.Abs(z[0]-slaved) <= 1e-4*want) {
		t.Errorf("came to %g, want %g and %g", z, slaved, want)
	}
}

// What turns fast for ever is told to be too fast, with its rates; the cycle is found by what is allowed, and the exponents of fewer steps
// agree with its multiplier.
func TestStiffCycle(t *testing.T) {
	l := own(t, "tanh", 1.5, -300, 300, 1.5)
	ends, err := stability.Run(ctx, l, nil, []float64{0.01, 0}, nil, stability.Basins{Dynamics: "rate"})
	if err != nil || !slices.Equal(ends.Stopped, []bool{true}) || ends.Stiff == nil || !(ends.Stiff.Fastest > 30) {
		t.Fatalf("%v, %v, %v", ends.Stopped, ends.Stiff, err)
	}
	if _, err := stability.Settle(ctx, l, nil, []float64{0.01, 0}, nil, stability.Basins{Dynamics: "rate"}); !errors.As(err, new(*stability.StiffError)) {
		t.Errorf("%v, want that it was stopped", err)
	}
	cycles, _, err := stability.Cycles(ctx, l, nil, ends.Last, stability.Cycling{Dynamics: "rate"})
	if err != nil || len(cycles) != 1 || !(math.Abs(cycles[0].Period-0.0318668) <= 1e-6) {
		t.Fatalf("cycles %+v, %v", cycles, err)
	}
	found, err := stability.Exponents(ctx, l, nil, nil, stability.Lyapunov{Dynamics: "rate", K: 2, Steps: 20000, Effort: 0.2})
	if stiff := (*stability.StiffError)(nil); !errors.As(err, &stiff) || !(stiff.Needed > stiff.Allowed) || stiff.Allowed != 0.2*1000*2100 {
		t.Fatalf("%v, %v", found, err)
	}
	for i, e := range found {
		if want := []float64{0, math.Log(real(cycles[0].Multipliers[0])) / cycles[0].Period}[i]; !(math.Abs(e.Value-want) <= 4*e.StdErr) || !(e.StdErr < 0.1) {
			t.Errorf("exponent %d is %+v, want %g", i, e, want)
		}
	}
	if found, err := stability.Exponents(ctx, l, nil, nil, stability.Lyapunov{Dynamics: "rate", Effort: 0.01}); found != nil || !errors.As(err, new(*stability.StiffError)) {
		t.Errorf("%v, %v: want a refusal", found, err)
	}
}

// A state that begins among kinks, where steps are short, is no stiff one: its exponents are those of all steps.
func TestShortStepsAtFirst(t *testing.T) {
	for _, seed := range []uint64{0, 2} {
		const n = 21
		r := rng.Stream(seed, "kinks")
		w, b := make([]float64, n*n), make([]float64, n)
		for i := range w {
			w[i] = 1.7 * r.NormFloat64() / math.Sqrt(n)
		}
		for i := range b {
			b[i] = 0.3 * r.NormFloat64()
		}
		if _, err := stability.Exponents(ctx, weighted(t, "relu", w, b), nil, nil, stability.Lyapunov{Dynamics: "rate", K: 2, Steps: 3000}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// Unstable directions are followed as far as is allowed for all of them together: of the others nothing is said.
func TestGraphAllowance(t *testing.T) {
	l := own(t, "tanh", 2, -2, 2, 2) // to a cycle, where no state settles
	origin := stability.FixedPoint{Z: []float64{0, 0}, Status: stability.Saddle, Values: []complex128{2 + 2i, 2 - 2i}, Unstable: 2}
	points := slices.Repeat([]stability.FixedPoint{origin}, 40)
	o := stability.Basins{Dynamics: "rate", Steps: 20}
	edges, err := stability.Graph(ctx, l, nil, points, 1e-3, o)
	if err != nil || len(edges) != 160 || slices.ContainsFunc(edges, func(e stability.Edge) bool { return e.Stopped || e.Last == nil }) {
		t.Fatal(len(edges), err)
	}
	o.Effort = 1e-6
	edges, err = stability.Graph(ctx, l, nil, points, 1e-3, o)
	if stiff := (*stability.StiffError)(nil); !errors.As(err, &stiff) || !(stiff.Needed > stiff.Allowed) {
		t.Fatal(err)
	}
	for i, e := range edges {
		if !e.Stopped || e.To != stability.Nowhere {
			t.Errorf("edge %d: %+v", i, e)
		}
	}
	if last := edges[len(edges)-1]; edges[0].Last == nil || last.Last != nil {
		t.Errorf("%+v has begun, %+v has not", edges[0], last)
	}
}
