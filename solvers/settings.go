package solvers

import (
	"fmt"
	"math"

	"attractor/train/kit"
)

// Settings say when a solve stops. Zero fields mean the defaults.
//
// A sample has converged when its stopping measure r ≤ 1,
//
//	mixed  r = ‖g‖ / (atol + rtol·‖f‖)
//	rel    r = ‖g‖ / (rtol·‖f‖)
//	abs    r = ‖g‖ / atol
//
// and a fixed point is within reach: a small residual that the state cannot make up for is that of one which runs away
// ever more slowly, as of z + e^−z, or creeps on for ever, as of max(z + 1e-9, 0) at 1. What is left to go, (I − J)⁻¹g, has to be
// no more than the cube root of rtol of the state's size, at first or now, which contractions of a rate up to about
// 1 − rtol^⅔ meet with the tolerance. The last move tells that where it can, without an evaluation; a state that does so
// at first, or has moved far or hardly changed its residual, is looked at by up to five, and again whenever ‖g‖ has halved; one that
// fails ends with the Breakdown Drift. A drift below a quarter of the residual or of its rounding is not seen, nor is one beside which
// the last move has still brought down the residual of other components. A residual below ATol, where that is given, is
// small enough.
//
// The scale of the problem decides where a relative test says nothing. A state that runs off to infinity meets it in
// the end: one that has grown to ten times its first size, or from an initial state other than 0 to ten per unit,
// has converged only if ‖g‖ is also a small part, ε^¼, of what drives the state there, ‖f(0)‖ or twice ‖g‖ at half of
// the state. On the way to a fixed point at 0 it is never met: a state that has shrunk to rtol of its first size is
// taken to be 0 if f(0) = 0, and the solution is that 0. Each costs an evaluation.
type Settings struct {
	RTol     float64 `doc:"relative tolerance (default 1e-8 in float64, 1e-4 in float32)"`
	ATol     float64 `doc:"absolute tolerance (default 0)"`
	Measure  string  `default:"mixed" doc:"what is compared with the tolerance" choices:"mixed,rel,abs"`
	Norm     string  `default:"l2" doc:"norm of a sample" choices:"l2,max"`
	MaxEvals int     `default:"200" doc:"evaluations a sample may spend; a product with the Jacobian counts as one (newton and lu, whose step takes dim + 1: 20·(dim + 1) where that is more)" max:"1e9: no solve takes more evaluations"`
	Stall    int     `default:"50" doc:"evaluations without a new best by 1 % after which a sample has stalled, and at least an eighth of those spent, unless its residual falls steadily; negative: never" max:"1e9: no solve takes more evaluations"`
	Growth   float64 `default:"1000" doc:"a sample has diverged when its residual norm exceeds that many times the first and has risen to new heights five steps in a row; negative: never"`
	History  bool    `doc:"record the residual of every iteration"`
}

// stallSteps is the number of steps without a new best before a sample can have stalled:
// a single step of Newton's method may cost more than Settings.Stall evaluations.
const stallSteps = 3

// eps is the distance from 1 to the next number of the type.
func eps[T Float]() float64 {
	if _, ok := any(T(0)).(float32); ok {
		return 0x1p-23
	}
	return 0x1p-52
}

// byType returns the value for the number type.
func byType[T Float](float32s, float64s float64) float64 {
	if _, ok := any(T(0)).(float32); ok {
		return float32s
	}
	return float64s
}

// elemSize is the size of a number of the type in bytes.
func elemSize[T Float]() int { return int(byType[T](4, 8)) }

// typeName names the number type in messages.
func typeName[T Float]() string { return fmt.Sprintf("%T", T(0)) }

// SettingError is a setting that cannot be: a tolerance, say, below what the number type resolves.
type SettingError struct {
	Field, Expected string
	Found           any
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("solvers: Settings.%s: expected %s, found %v", e.Field, e.Expected, e.Found)
}

// ceil3 rounds up to three decimal digits, so that what a message calls the least is accepted.
func ceil3(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x))-2)
	return math.Ceil(x/unit) * unit
}

// complete fills in the defaults for the number type and checks the settings.
func complete[T Float](s Settings) (Settings, error) {
	s = kit.WithDefaults(s)
	if s.RTol == 0 {
		s.RTol = byType[T](1e-4, 1e-8)
	}
	bad := func(field, expected string, found any) (Settings, error) {
		return s, &SettingError{Field: field, Expected: expected, Found: found}
	}
	switch {
	case s.Measure != "mixed" && s.Measure != "rel" && s.Measure != "abs":
		return bad("Measure", "mixed, rel or abs", s.Measure)
	case s.Norm != "l2" && s.Norm != "max":
		return bad("Norm", "l2 or max", s.Norm)
	case math.IsNaN(s.RTol) || s.RTol < 20*eps[T]() || s.RTol >= 1:
		return bad("RTol", fmt.Sprintf("a tolerance from %.3g (20 eps of %s) to below 1", ceil3(20*eps[T]()), typeName[T]()), s.RTol)
	case !(s.ATol >= 0) || math.IsInf(s.ATol, 0):
		return bad("ATol", "a finite tolerance of at least 0", s.ATol)
	case s.Measure == "abs" && s.ATol == 0:
		return bad("ATol", "a positive tolerance for the measure abs", s.ATol)
	case s.MaxEvals < 1:
		return bad("MaxEvals", "at least 1", s.MaxEvals)
	case math.IsNaN(s.Growth) || s.Growth > 0 && s.Growth <= 1:
		return bad("Growth", "a factor above 1, or a negative number for never", s.Growth)
	}
	return s, nil
}

// measure returns the stopping measure and the residual that is reported: ‖g‖/‖f‖, or ‖g‖ for the measure abs.
func (s *Settings) measure(g, f float64) (r, residual float64) {
	if g == 0 {
		return 0, 0
	}
	switch s.Measure {
	case "abs":
		return g / s.ATol, g
	case "rel":
		return g / (s.RTol * f), g / f
	}
	return g / (s.ATol + s.RTol*f), g / f
}

// absolute is the residual that is small enough whatever the state is.
func (s *Settings) absolute() float64 {
	if s.Measure == "rel" {
		return 0
	}
	return s.ATol
}
