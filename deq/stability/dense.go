package stability

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"

	"attractor/deq"

	"gonum.org/v1/gonum/mat"
)

// MaxDense is the largest number of units for which a Jacobian is decomposed.
const MaxDense = 1024

// small is the largest number of units for which the full spectrum is found at least as fast as
// a part of it.
const small = 64

// Jacobian assembles J [units, units] at z* of one sample from its products with the unit
// vectors, as many at a time as the layer's batch holds.
func Jacobian[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int) (*mat.Dense, error) {
	n := e.Layer().Units
	rows := min(n, e.Layer().Batch())
	same, err := e.Repeat(sample, rows)
	if err != nil {
		return nil, err
	}
	j, err := assemble(n, rows, func(v, jv []T) error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stability: Jacobian: %w", err)
		}
		return same.JVP(v, jv)
	})
	if err != nil {
		return nil, err
	}
	for k := range n {
		for i, f := range j.RawRowView(k) {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("stability: sample %d: ∂f[%d]/∂z[%d] is %v", sample, k, i, f)
			}
		}
	}
	return j, nil
}

// assemble makes the matrix J [n, n] of jvp, which writes J v to jv for rows v [rows, n].
func assemble[T deq.Float](n, rows int, jvp func(v, jv []T) error) (*mat.Dense, error) {
	j := mat.NewDense(n, n, nil)
	v, jv := make([]T, rows*n), make([]T, rows*n)
	for first := 0; first < n; first += rows {
		columns := min(rows, n-first)
		clear(v)
		for i := range columns {
			v[i*n+first+i] = 1
		}
		if err := jvp(v, jv); err != nil {
			return nil, err
		}
		for i := range columns {
			for k, y := range jv[i*n : (i+1)*n] {
				j.Set(k, first+i, float64(y))
			}
		}
	}
	return j, nil
}

// dense is Jacobian for what decomposes it.
func dense[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int) (*mat.Dense, error) {
	if n := e.Layer().Units; n > MaxDense {
		return nil, fmt.Errorf("stability: %d units: a Jacobian of at most %d is decomposed; see Leading and Norm", n, MaxDense)
	}
	return Jacobian(ctx, e, sample)
}

// Spectrum returns all eigenvalues of J of one sample, those of largest modulus first. It
// takes some 10·units³ operations.
func Spectrum[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int) ([]complex128, error) {
	j, err := dense(ctx, e, sample)
	if err != nil {
		return nil, err
	}
	return eigenvalues(j)
}

// eigenvalues are all of a matrix, those of largest modulus first.
func eigenvalues(j *mat.Dense) ([]complex128, error) {
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenNone) {
		n, _ := j.Dims()
		return nil, fmt.Errorf("stability: the eigenvalues of a %d×%d matrix did not converge", n, n)
	}
	values := eigen.Values(nil)
	sortByModulus(values)
	return values, nil
}

// Eigenvalues returns the k eigenvalues of J of one sample that are largest in modulus, or k + 1
// where that would split a pair: from the full spectrum for small layers, or where Leading does
// not converge; beyond MaxDense units then only those that Leading has found.
func Eigenvalues[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample, k int) ([]complex128, error) {
	n := e.Layer().Units
	if n > small && k < n/4 {
		one, err := e.Repeat(sample, 1)
		if err != nil {
			return nil, err
		}
		found, err := Leading(ctx, one, Arnoldi{K: k, Basis: max(40, 2*k+2)})
		if err != nil {
			return nil, err
		}
		if found[0].Converged || n > MaxDense {
			return found[0].good(), nil
		}
	}
	values, err := Spectrum(ctx, e, sample)
	if err != nil {
		return nil, err
	}
	if k < len(values) && imag(values[k-1]) > 0 {
		k++ // of a pair that with the positive imaginary part comes first
	}
	return values[:min(k, len(values))], nil
}

// SingularValues returns all singular values of J of one sample, the largest first, which is
// ‖J‖₂.
func SingularValues[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int) ([]float64, error) {
	j, err := dense(ctx, e, sample)
	if err != nil {
		return nil, err
	}
	var svd mat.SVD
	if !svd.Factorize(j, mat.SVDNone) {
		return nil, fmt.Errorf("stability: sample %d: the singular values did not converge", sample)
	}
	return svd.Values(nil), nil
}

// SpectralRadius returns the spectral radius of J of every sample: from the full spectrum for
// small layers, else by Leading, where that does not converge from the full spectrum after
// all, and beyond MaxDense units by the growth over 2000 steps.
func SpectralRadius[T deq.Float](ctx context.Context, e *deq.Equilibrium[T]) ([]float64, error) {
	radius := make([]float64, e.Rows)
	full := func(b int) error {
		values, err := Spectrum(ctx, e, b)
		if err == nil {
			radius[b] = cmplx.Abs(values[0])
		}
		return err
	}
	if e.Layer().Units <= small {
		for b := range radius {
			if err := full(b); err != nil {
				return nil, err
			}
		}
		return radius, nil
	}
	leading, err := Leading(ctx, e, Arnoldi{K: 2, Basis: 40})
	if err != nil {
		return nil, err
	}
	var rates []float64
	for b, l := range leading {
		switch {
		case l.Converged:
			radius[b] = cmplx.Abs(l.Values[0])
		case e.Layer().Units <= MaxDense:
			if err := full(b); err != nil {
				return nil, err
			}
		default:
			if rates == nil {
				if rates, err = Radius(e, 2000, 0); err != nil {
					return nil, err
				}
			}
			radius[b] = rates[b]
		}
	}
	return radius, nil
}
