package stability_test

import (
	"math"
	"testing"

	"attractor/deq/stability"
)

// Where the growth of perturbations approaches its limit as slowly as 1/t, or exponentially at a small rate, the error that is stated
// reaches to the limit.
func TestErrorsOfSlowExponents(t *testing.T) {
	focus := func(g, angle float64) []float64 {
		s, c := math.Sincos(angle)
		return []float64{g * c, -g * s, g * s, g * c}
	}
	for name, c := range map[string]struct {
		activation, dynamics string
		w, b, z0             []float64
		want                 float64
		steps, warmup        int
	}{
		"critical unit":               {"tanh", "map", []float64{1}, nil, nil, 0, 20000, 1000},
		"critical unit, short":        {"tanh", "map", []float64{1}, nil, []float64{0.1}, 0, 2000, 2000},
		"critical unit, near":         {"tanh", "map", []float64{1}, nil, []float64{1e-3}, 0, 4000, 1000},
		"critical unit in time":       {"tanh", "rate", []float64{1}, nil, nil, 0, 20000, 1000},
		"critical units":              {"tanh", "map", []float64{1, 0, 0, 0, 1, 0, 0, 0, 0.5}, nil, []float64{1, -0.5, 1}, 0, 20000, 1000},
		"flip":                        {"tanh", "map", []float64{-1}, nil, nil, 0, 20000, 1000},
		"fold":                        {"tanh", "map", []float64{2}, []float64{fold(2)}, []float64{1}, 0, 20000, 1000},
		"slow unit":                   {"tanh", "map", []float64{1 - 1e-3}, nil, []float64{1}, math.Log(1 - 1e-3), 3000, 100},
		"slow focus":                  {"tanh", "map", focus(1-1e-4, 1), nil, nil, math.Log(1 - 1e-4), 20000, 1000},
		"slow focus in time":          {"tanh", "rate", []float64{1 - 1e-3, -1, 1, 1 - 1e-3}, nil, nil, -1e-3, 20000, 1000},
		"line":                        {"linear", "map", []float64{1, 0, 0, 0.5}, nil, nil, 0, 2000, 100},
		"line aslant":                 {"linear", "map", []float64{0.6, 0.8, 0.3, 0.4}, nil, nil, 0, 2000, 100},
		"line in time":                {"linear", "rate", []float64{0.6, 0.8, 0.3, 0.4}, nil, nil, 0, 2000, 100},
		"shear":                       {"linear", "rate", []float64{0, -1, 0, 0}, nil, nil, -1, 20000, 1000},
		"end of a segment in time":    {"relu", "rate", []float64{0, -1, -1, 0}, []float64{1, 1}, []float64{2, -1}, -1, 20000, 1000},
		"inside of a segment in time": {"relu", "rate", []float64{0, -1, -1, 0}, []float64{1, 1}, []float64{0.6, 0.6}, 0, 2000, 1000},
	} {
		l := weighted(t, c.activation, c.w, c.b)
		e := exponents(t, l, nil, c.z0, stability.Lyapunov{Dynamics: c.dynamics, Steps: c.steps, Warmup: c.warmup})[0]
		if !(math.Abs(e.Value-c.want) <= e.StdErr) || !(e.StdErr <= 2*math.Abs(e.Value-c.want)+1e-3) {
			t.Errorf("%s: %.3g ± %.1g, which is %.3g off", name, e.Value, e.StdErr, e.Value-c.want)
		}
	}
}

// fold is the bias at which z = tanh(w z + b) has a double root, at the larger z.
func fold(w float64) float64 {
	z := math.Sqrt(1 - 1/w)
	return math.Atanh(z) - w*z
}
