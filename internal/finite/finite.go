// Package finite takes derivatives by finite differences, to check those that are computed
// otherwise.
package finite

import "math"

// Derivative returns dv/dt at 0 of a function of one variable, by the four-point central
// difference
//
//	[8(v(h) − v(−h)) − (v(2h) − v(−2h))] / 12h,   error O(h⁴)
//
// with the h, of 1e-3 down to 1e-6, at which it agrees best with the two-point difference: large
// steps suffer from curvature and kinks, small ones from rounding. The choice does not
// know the derivative it is to check.
func Derivative(v func(t float64) (float64, error)) (float64, error) {
	d, _, err := Estimate(v)
	return d, err
}

// Estimate is Derivative with the distance of the two differences, a bound of its error but for
// chance. Where v is not finite so are both.
func Estimate(v func(t float64) (float64, error)) (derivative, spread float64, err error) {
	best, spread := math.NaN(), math.Inf(1)
	for _, h := range []float64{1e-3, 1e-4, 1e-5, 1e-6} {
		var at [4]float64
		for i, t := range []float64{h, -h, 2 * h, -2 * h} {
			var err error
			if at[i], err = v(t); err != nil {
				return 0, 0, err
			}
		}
		two := (at[0] - at[1]) / (2 * h)
		four := (8*(at[0]-at[1]) - (at[2] - at[3])) / (12 * h)
		if d := math.Abs(four - two); d < spread {
			best, spread = four, d
		}
		if spread < 1e-10*math.Abs(best) {
			break
		}
	}
	return best, spread, nil
}
