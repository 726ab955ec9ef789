package stability_test

import (
	"math"
	"testing"

	"attractor/deq/stability"
)

func TestKaplanYorke(t *testing.T) {
	inf := math.Inf(-1)
	for _, c := range []struct {
		values []float64
		units  int
		want   float64
	}{
		{[]float64{-1}, 3, 0},
		{[]float64{0.906, 0, -14.572}, 3, 2 + 0.906/14.572}, // Lorenz' attractor
		{[]float64{0.419, -1.623}, 2, 1 + 0.419/1.623},      // Hénon's map
		{[]float64{0, -0.5}, 4, 1},
		{[]float64{0.5, 0.1}, 4, math.NaN()},
		{[]float64{0.5, 0.1}, 2, 2},
		{[]float64{0.5, -0.1, inf}, 3, 2},
		{[]float64{inf, inf}, 2, 0},
		{[]float64{0.3, -0.1, -0.1, -0.1, -0.2}, 9, 4},
	} {
		var found []stability.Exponent
		for _, v := range c.values {
			found = append(found, stability.Exponent{Value: v})
		}
		d := stability.KaplanYorke(found, c.units)
		if !(math.Abs(d.Value-c.want) <= 1e-12) && !(math.IsNaN(d.Value) && math.IsNaN(c.want)) || !math.IsNaN(c.want) && (d.Lo != d.Value || d.Hi != d.Value) {
			t.Errorf("%v of %d units: %+v, want %g", c.values, c.units, d, c.want)
		}
	}
	d := stability.KaplanYorke([]stability.Exponent{{Value: -0.001, StdErr: 0.002}, {Value: -1, StdErr: 0}}, 2)
	if d.Value != 1 || !d.Neutral || d.Lo != 0 || !(math.Abs(d.Hi-1.003) <= 1e-12) {
		t.Errorf("%+v", d)
	}
}
