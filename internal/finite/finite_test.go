package finite_test

import (
	"math"
	"testing"

	"attractor/internal/finite"
)

func TestDerivative(t *testing.T) {
	for name, c := range map[string]struct {
		v         func(t float64) float64
		want, tol float64
	}{
		"exp":          {func(t float64) float64 { return math.Exp(3 * t) }, 3, 1e-10},
		"kink at 2e-4": {func(t float64) float64 { return t + 5*max(t-2e-4, 0) }, 1, 1e-9},
		"noisy":        {func(t float64) float64 { return math.Sin(t) + 1e-13*math.Sin(1e9*t) }, 1, 1e-8},
		"constant":     {func(float64) float64 { return 7 }, 0, 0},
	} {
		got, err := finite.Derivative(func(t float64) (float64, error) { return c.v(t), nil })
		if err != nil || !(math.Abs(got-c.want) <= c.tol) {
			t.Errorf("%s: %v (error %v), want %v", name, got, err, c.want)
		}
	}
}
