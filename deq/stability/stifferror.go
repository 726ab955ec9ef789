package stability

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"

	"attractor/deq"

	"gonum.org/v1/gonum/mat"
)

// StiffError says that what was asked for of rate dynamics takes more evaluations of f than are allowed, as their fastest rates
// demand shorter steps than their slowest ones ask to go on for.
type StiffError struct {
	What string // was done, or not
	// Slowest and Fastest are the least |Re λ − 1| and the largest |λ − 1| of the eigenvalues λ of ∂f/∂z where that was found, per
	// unit of time; NaN where they are not known.
	Slowest, Fastest float64
	Needed, Allowed  float64 // evaluations

	time, all float64 // of a state that was stopped, and what was asked for
	state     int     // which it is
}

// Effort is the factor of the allowance with which it could be done, about.
func (e *StiffError) Effort() float64 {
	size := math.Pow(10, math.Floor(math.Log10(e.Needed/e.Allowed)))
	return math.Ceil(1.2*e.Needed/e.Allowed/size) * size
}

func (e *StiffError) Error() string {
	kind := "the rate dynamics take many evaluations"
	if e.Fastest == e.Fastest {
		kind = fmt.Sprintf("the rate dynamics have rates from %.2g to %.2g per unit of time", e.Slowest, e.Fastest)
		if e.Fastest > stiffRate {
			kind = fmt.Sprintf("the rate dynamics are stiff, with rates from %.2g to %.2g per unit of time", e.Slowest, e.Fastest)
		}
	}
	return fmt.Sprintf("%s: %s; all would take about %.2g evaluations of f where %.2g are allowed: allow more by an effort of %.2g, or ask for less",
		kind, e.What, e.Needed, e.Allowed, e.Effort())
}

// stiffRate is the rate from which dynamics count as stiff beside the rate 1 of −z.
const stiffRate = 30

// rates fills in the rates at a state.
func rates[T deq.Float](ctx context.Context, l *deq.Layer[T], x, z []T, e *StiffError) error {
	e.Slowest, e.Fastest = math.NaN(), math.NaN()
	const most = 300 // units, whose eigenvalues take no time
	if l.Units > most {
		return nil
	}
	here, err := l.At(x, z)
	if err != nil {
		return err
	}
	j, err := Jacobian(ctx, here, 0)
	if err != nil {
		return err
	}
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenNone) {
		return nil
	}
	e.Slowest, e.Fastest = math.Inf(1), 0
	for _, λ := range eigen.Values(nil) {
		e.Slowest, e.Fastest = min(e.Slowest, math.Abs(real(λ)-1)), max(e.Fastest, cmplx.Abs(λ-1))
	}
	return nil
}
