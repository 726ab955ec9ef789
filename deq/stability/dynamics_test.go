package stability_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
)

// own is a network of the weights given, without a bias.
func own(t testing.TB, activation string, w ...float64) *deq.Layer[float64] {
	t.Helper()
	n := int(math.Sqrt(float64(len(w))))
	l := free[float64](t, models.Rate{N: n, Activation: activation}, 1, 64, 1)
	update(l, func() {
		copy(l.Params.Data("W"), w)
		clear(l.Params.Data("b"))
	})
	return l
}

// In continuous time the exponents of a cell at rest are the real parts of J − I, however fast it turns or decays.
func TestRateExponentsAtRest(t *testing.T) {
	for name, c := range map[string]struct {
		activation string
		w          []float64
		want       []float64
	}{
		"focus":        {"tanh", []float64{0.9, -3, 3, 0.9}, []float64{-0.1, -0.1}},
		"linear focus": {"linear", []float64{0.9, -3, 3, 0.9}, []float64{-0.1, -0.1}},
		"no weights":   {"tanh", make([]float64, 9), []float64{-1, -1, -1}},
		"fast focus":   {"linear", []float64{-0.5, -40, 40, -0.5}, []float64{-1.5, -1.5}},
		"stiff":        {"tanh", diagonal(-200, 0.5, -0.5), []float64{-0.5, -1.5, -201}},
		"sheared":      {"linear", []float64{0.5, 100, 0, -0.5}, []float64{-0.5, -1.5}},
	} {
		l := own(t, c.activation, c.w...)
		found := exponents(t, l, nil, nil, stability.Lyapunov{Dynamics: "rate", K: len(c.want), Steps: 2000})
		for i, e := range found {
			if !(math.Abs(e.Value-c.want[i]) <= 1e-4+e.StdErr) || !(e.StdErr <= 1e-3) {
				t.Errorf("%s: exponent %d is %+v, want %g", name, i, e, c.want[i])
			}
		}
		points, err := stability.FixedPoints(ctx, l, nil, nil, stability.Finder{Dynamics: "rate", Trajectories: 4, Steps: 20})
		if err != nil || len(points) != 1 {
			t.Fatalf("%s: %d points, %v", name, len(points), err)
		}
		ends, err := stability.AtRandom(ctx, l, nil, 20, 1, 1, points, stability.Basins{Dynamics: "rate"})
		if err != nil {
			t.Fatal(err)
		}
		for i, end := range ends {
			if end != 0 {
				t.Errorf("%s: random state %d settles at %d", name, i, end)
			}
		}
	}
}

// Exponents of the rate dynamics of an oscillating network: 0 along the cycle, and all together the mean trace of
// J − I, within the errors that are stated.
func TestRateExponentsOfCycle(t *testing.T) {
	l := own(t, "tanh", 2, -3, 3, 2)
	found := exponents(t, l, nil, nil, stability.Lyapunov{Dynamics: "rate", K: 2, Steps: 5000})
	for i, want := range []float64{0, cycleExponent} {
		if e := found[i]; !(math.Abs(e.Value-want) <= 3*e.StdErr+1e-6) || !(e.StdErr < 0.01) {
			t.Errorf("exponent %d is %+v, want %g", i, e, want)
		}
	}
}

// cycleExponent is the mean of tr J − 2 along the cycle of W = (2 −3; 3 2), by an independent integration of order 8.
const cycleExponent = -0.7400522941556936

// A trajectory does not depend on those beside it, and comes where the exact solution does.
func TestRateTrajectory(t *testing.T) {
	w := []float64{0.5, -2, 2, 0.5}
	l := own(t, "linear", w...)
	target := mat.NewDense(2, 2, w)
	target.Set(0, 0, target.At(0, 0)-1)
	target.Set(1, 1, target.At(1, 1)-1)
	target.Scale(3, target)
	var flow mat.Dense
	flow.Exp(target)
	z := []float64{1, 2}
	var want mat.VecDense
	want.MulVec(&flow, mat.NewVecDense(2, z))
	at := []stability.FixedPoint{{Z: []float64{want.AtVec(0), want.AtVec(1)}, Status: stability.Stable}}
	for near, end := range map[float64]int{1e-3: 0, 1e-9: stability.Nowhere} { // of a path with an error of some 1e-5
		ends, err := stability.Settle(ctx, l, nil, []float64{1, 2, 100, -100}, at, stability.Basins{Dynamics: "rate", Steps: 3, Near: near})
		if err != nil || ends[0] != end || ends[1] != stability.Nowhere {
			t.Errorf("within %g: %v, %v", near, ends, err)
		}
	}
}
