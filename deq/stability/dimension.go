package stability

import (
	"math"
	"slices"
)

// Dimension is the Kaplan–Yorke dimension of an attractor,
//
//	D = k + (λ_1 + … + λ_k) / |λ_{k+1}|
//
// with the largest k for which the sum is not negative: 0 where all exponents are, and the number of units where they add up to 0
// or more. As λ_1 alone decides whether it is 0 or at least 1, a λ_1 that is 0 up to its error counts as 0, as along a limit cycle.
type Dimension struct {
	Value  float64 // NaN where more exponents are needed
	Lo, Hi float64 // with all exponents lower and higher by two of their standard errors
	// Neutral says that λ_1 is 0 up to two standard errors, and Value that of 0.
	Neutral bool
}

// KaplanYorke finds the dimension from the largest exponents of a cell with so many units. It needs one more than the sum of which
// is not negative.
//
// J. L. Kaplan and J. A. Yorke, Lecture Notes in Mathematics 730 (1979) 204–227, doi:10.1007/BFb0064319.
func KaplanYorke(found []Exponent, units int) Dimension {
	with := func(errors float64) float64 {
		sum := 0.0
		for i, e := range found {
			v := e.Value
			if !math.IsInf(v, 0) {
				v += errors * e.StdErr
			}
			if sum+v < 0 {
				return float64(i) + sum/-v
			}
			sum += v
		}
		if len(found) == units {
			return float64(units)
		}
		return math.NaN()
	}
	d := Dimension{Lo: with(-2), Hi: with(2)}
	if d.Neutral = len(found) > 0 && math.Abs(found[0].Value) <= 2*found[0].StdErr; d.Neutral {
		found = slices.Clone(found)
		found[0].Value = 0
	}
	d.Value = with(0)
	return d
}
