// Package readout trains linear readouts y = w r on rates r [units] with weights w [outputs,
// units]: at one go from samples, by least squares, ridge regression or gradient descent, and
// sample by sample, by recursive least squares, while the network runs with what is learned
// (FORCE).
package readout

import (
	"fmt"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// samples checks rates [samples, units] and targets [samples, outputs] and returns the numbers of
// samples and outputs.
func samples(units int, rates, targets []float64) (n, outputs int, err error) {
	if units > 0 {
		n = len(rates) / units
	}
	if n < 1 || len(rates) != n*units {
		return 0, 0, fmt.Errorf("readout: rates of %d numbers: expected at least one sample of %d units", len(rates), units)
	}
	outputs = len(targets) / n
	if outputs < 1 || len(targets) != n*outputs {
		return 0, 0, fmt.Errorf("readout: targets of %d numbers for %d samples: expected as many outputs for each", len(targets), n)
	}
	if !kernels.AllFinite(rates) || !kernels.AllFinite(targets) {
		return 0, 0, fmt.Errorf("readout: rates and targets: expected finite numbers")
	}
	return n, outputs, nil
}

// Ridge returns the w [outputs, units] that minimises Σ|w r − y|² + α|w|² over samples of rates r [samples,
// units] and targets y [samples, outputs]. With α = 0 that is least squares; of several
// solutions it is the shortest. With a single sample w = y rᵀ/(|r|² + α). With α = 0 the
// samples, or the units where they are fewer, must be linearly independent.
func Ridge(units int, rates, targets []float64, alpha float64) ([]float64, error) {
	n, outputs, err := samples(units, rates, targets)
	if err != nil {
		return nil, err
	}
	if !(alpha >= 0) {
		return nil, fmt.Errorf("readout: ridge regression: α: expected at least 0, found %g", alpha)
	}
	r, y := mat.NewDense(n, units, rates), mat.NewDense(n, outputs, targets)
	var w mat.Dense // [units, outputs]
	switch {
	case alpha == 0 && n <= units:
		var f mat.LQ
		f.Factorize(r)
		err = f.SolveTo(&w, false, y)
	case alpha == 0:
		var f mat.QR
		f.Factorize(r)
		err = f.SolveTo(&w, false, y)
	case n <= units: // w = Rᵀ(RRᵀ + αI)⁻¹Y
		var dual mat.Dense
		if err = regularized(n, r, true, alpha, &dual, y); err == nil {
			w.Mul(r.T(), &dual)
		}
	default: // w = (RᵀR + αI)⁻¹RᵀY
		var right mat.Dense
		right.Mul(r.T(), y)
		err = regularized(units, r, false, alpha, &w, &right)
	}
	if err != nil {
		return nil, fmt.Errorf("readout: %d samples of %d units, α = %g: %w; a larger α makes the problem regular", n, units, alpha, err)
	}
	out := make([]float64, outputs*units)
	mat.NewDense(outputs, units, out).Copy(w.T())
	return out, nil
}

// regularized solves (RRᵀ + αI)x = y, or with RᵀR.
func regularized(n int, r *mat.Dense, outer bool, alpha float64, x *mat.Dense, y mat.Matrix) error {
	gram := mat.NewSymDense(n, nil)
	if outer {
		gram.SymOuterK(1, r)
	} else {
		gram.SymOuterK(1, r.T())
	}
	for i := range n {
		gram.SetSym(i, i, gram.At(i, i)+alpha)
	}
	var f mat.Cholesky
	if !f.Factorize(gram) {
		return fmt.Errorf("the matrix is not positive definite")
	}
	return f.SolveTo(x, y)
}

// Descend returns the w after steps of gradient descent on ½Σ|w r − y|² from 0. A rate below 2/λ, for
// the largest eigenvalue λ of Σ r rᵀ, converges to what Ridge returns with α = 0.
func Descend(units int, rates, targets []float64, rate float64, steps int) ([]float64, error) {
	n, outputs, err := samples(units, rates, targets)
	if err != nil {
		return nil, err
	}
	if !(rate > 0) || steps < 0 {
		return nil, fmt.Errorf("readout: gradient descent: rate %g and %d steps: expected a positive rate and at least 0 steps", rate, steps)
	}
	w, e := make([]float64, outputs*units), make([]float64, n*outputs)
	for range steps {
		copy(e, targets)
		kernels.Gemm(false, true, n, outputs, units, rates, units, w, units, -1, e, outputs) // w r − y
		kernels.Scale(e, -rate, e)
		kernels.Gemm(true, false, outputs, units, n, e, outputs, rates, units, 1, w, units)
	}
	if !kernels.AllFinite(w) {
		return nil, fmt.Errorf("readout: gradient descent at the rate %g diverges", rate)
	}
	return w, nil
}
