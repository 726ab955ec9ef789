package solvers

import (
	"fmt"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// LU solves a linear system (I − A)u = ℓ, given as the affine fixed-point problem
// f(u) = ℓ + Au, by assembling A from its products with the n unit vectors and factoring
// I − A in float64. It takes n + 1 evaluations, and n more for each step of refinement that
// the tolerance may need. Products come from JVP, else VJP, else differences of f.
// A singular I − A gives the sample up.
type LU[T Float] struct {
	MaxDim int `default:"512" doc:"largest dimension accepted" max:"1e5: a Jacobian of every sample is kept"`
}

// Start implements Method.
func (m LU[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if s.Dim > m.MaxDim {
		return nil, fmt.Errorf("solvers: LU.MaxDim: expected a problem of at most %d dimensions, found %d", m.MaxDim, s.Dim)
	}
	return &lu[T]{dense: newDense[T](s, true)}, nil
}

func (LU[T]) defaultMaxEvals(dim int) int { return denseEvals(dim) }

type lu[T Float] struct{ *dense[T] }

func (w *lu[T]) Reset()     {}
func (w *lu[T]) Bytes() int { return w.dense.bytes() }

func (w *lu[T]) Step(it *Iterate[T]) error {
	ok, err := w.directions(it)
	if err != nil {
		return err
	}
	n := it.Dim()
	for _, i := range ok {
		kernels.Axpy(1, w.s[i*n:(i+1)*n], it.Z[i*n:(i+1)*n])
	}
	return nil
}
