package meanfield

import (
	"fmt"
	"math"
)

// Bifurcation is a value of a parameter at which the number of stationary states changes.
type Bifurcation struct {
	At            float64
	Before, After int // states below and above it

	// Z is where two states meet and F′(Z) = 1: a saddle-node. It is infinite where states come
	// from infinity or go there: a flex.
	Z float64
}

// SaddleNode reports that two states meet.
func (b Bifurcation) SaddleNode() bool { return !math.IsInf(b.Z, 0) }

// Bifurcations follows the stationary states, such as Loop.FixedPoints, over a parameter from lo to
// hi in equal steps, and finds where their number changes: saddle-nodes to 1e-9 of the range,
// a flex, beside which states lie beyond the scan, to 1e-5 or so of the parameter. Changes
// that cancel within a step are not seen.
func Bifurcations(states func(p float64) ([]float64, error), lo, hi float64, steps int) ([]Bifurcation, error) {
	if err := checkRange(lo, hi, steps); err != nil {
		return nil, err
	}
	before, err := states(lo)
	if err != nil {
		return nil, parameterError(lo, err)
	}
	var found []Bifurcation
	for i := range steps {
		a, b := step(lo, hi, i, steps), step(lo, hi, i+1, steps)
		after, err := states(b)
		if err != nil {
			return nil, parameterError(b, err)
		}
		last := after
		for len(before) != len(after) && b-a > 1e-9*(hi-lo) {
			middle := a + (b-a)/2
			z, err := states(middle)
			if err != nil {
				return nil, parameterError(middle, err)
			}
			if len(z) == len(before) {
				a, before = middle, z
			} else {
				b, after = middle, z
			}
		}
		if len(before) != len(after) {
			more := before
			if len(after) > len(before) {
				more = after
			}
			found = append(found, Bifurcation{At: a + (b-a)/2, Before: len(before), After: len(after), Z: meeting(more)})
		}
		before = last
	}
	return found, nil
}

// meeting returns the middle of the two nearest of ascending points, infinity where none are near.
func meeting(z []float64) float64 {
	nearest, at := math.Inf(1), math.Inf(1)
	for i := 1; i < len(z); i++ {
		if d := z[i] - z[i-1]; d < nearest {
			nearest, at = d, (z[i]+z[i-1])/2
		}
	}
	if nearest > 1e-2*(1+math.Abs(at)) {
		return math.Inf(1)
	}
	return at
}

// Zeros finds where a quantity, such as the largest real part of an outlier minus 1, passes 0 as a
// parameter goes from lo to hi in equal steps. Where its sign changes by a pole is none.
func Zeros(of func(p float64) (float64, error), lo, hi float64, steps int) ([]float64, error) {
	if err := checkRange(lo, hi, steps); err != nil {
		return nil, err
	}
	var failed error
	f := func(p float64) float64 {
		v, err := of(p)
		if err != nil && failed == nil {
			failed = parameterError(p, err)
		}
		return v
	}
	var zeros []float64
	a, fa := lo, f(lo)
	for i := range steps {
		b := step(lo, hi, i+1, steps)
		fb := f(b)
		if fa*fb < 0 && failed == nil {
			at := crossing(f, a, fa, b, fb)
			if math.Abs(f(at)) <= 1e-6*max(math.Abs(fa), math.Abs(fb)) {
				zeros = append(zeros, at)
			}
		}
		if fb == 0 {
			zeros = append(zeros, b)
		}
		a, fa = b, fb
	}
	return zeros, failed
}

// CriticalGain returns the gain above which the state fluctuates with the readout held at z: that of
// radius g√⟨φ′²⟩ = 1. The network's own gain does not matter.
func (n Network) CriticalGain(z float64) float64 {
	excess := func(gain float64) float64 {
		m := n
		m.Gain = gain
		return m.radius(m.Static(z).moments) - 1
	}
	lo, hi := 1.0, 2.0 // φ′ is at most 1
	for excess(hi) <= 0 {
		lo, hi = hi, 2*hi
		if math.IsInf(hi, 0) {
			return hi
		}
	}
	if e := excess(lo); e < 0 {
		return crossing(excess, lo, e, hi, excess(hi))
	}
	return lo
}

func step(lo, hi float64, i, steps int) float64 { return lo + float64(i)/float64(steps)*(hi-lo) }

func checkRange(lo, hi float64, steps int) error {
	if steps < 1 || !(hi > lo) || math.IsInf(hi-lo, 0) {
		return fmt.Errorf("meanfield: a parameter from %g to %g in %d steps: expected an ascending range and at least 1", lo, hi, steps)
	}
	return nil
}

func parameterError(p float64, err error) error {
	return fmt.Errorf("meanfield: at the parameter %g: %w", p, err)
}
