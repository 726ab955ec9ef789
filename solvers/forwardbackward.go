package solvers

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// ForwardBackward is forward–backward splitting for a monotone equilibrium,
//
//	z ← prox^α((1 − α) z + α (Wz + c)).
//
// It converges for 0 < α < 2m/‖I − W‖², where I − W ⪰ mI. A step costs one product with W, and
// the first one more. The residual that is measured is that of f(z) = φ(Wz + c).
//
// E. Winston, J. Z. Kolter, NeurIPS 2020, arXiv:2006.08591.
type ForwardBackward[T Float] struct {
	Alpha float64 `default:"0.5" doc:"step length α"`
}

// Splits implements Splitter.
func (ForwardBackward[T]) Splits() {}

// Start implements Method.
func (m ForwardBackward[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if !(m.Alpha > 0) || math.IsInf(m.Alpha, 0) {
		return nil, fmt.Errorf("solvers: ForwardBackward.Alpha: expected a positive step length, found %v", m.Alpha)
	}
	return &forwardBackward[T]{
		alpha: m.Alpha, a: make([]T, s.Batch*s.Dim), packed: make([]T, s.Batch*s.Dim), begun: make([]bool, s.Batch),
	}, nil
}

type forwardBackward[T Float] struct {
	alpha  float64
	a      []T    // [batch, dim] by sample: Wz + c at the iterate
	begun  []bool // by sample
	packed []T    // [batch, dim]
}

func (f *forwardBackward[T]) Reset() { clear(f.begun) }

func (f *forwardBackward[T]) Bytes() int { return 2*elemSize[T]()*len(f.a) + len(f.begun) }

func (f *forwardBackward[T]) Step(it *Iterate[T]) error {
	s, n := it.run.problem.Splitting, it.Dim()
	if s == nil {
		return fmt.Errorf("forward-backward: %w", ErrNoSplitting)
	}
	packed := f.packed[:len(it.Z)]
	if !f.begun[it.Rows[0]] { // all samples begin together
		if it.Left(0) < 2 { // of which one is left: f is at least as near
			copy(it.Z, it.FZ)
			return nil
		}
		if err := it.affine(it.Z, packed); err != nil {
			return err
		}
		f.scatter(it, packed)
	}
	for i, b := range it.Rows {
		z := it.Z[i*n : (i+1)*n]
		kernels.Lerp(z, z, f.a[b*n:(b+1)*n], T(f.alpha))
	}
	s.Prox(f.alpha, it.Rows, it.Z, it.Z)
	if err := it.affine(it.Z, packed); err != nil {
		return err
	}
	f.scatter(it, packed)
	s.Prox(1, it.Rows, packed, it.FZ)
	for i := range it.Fresh {
		it.Fresh[i] = true
	}
	return nil
}

func (f *forwardBackward[T]) scatter(it *Iterate[T], packed []T) {
	n := it.Dim()
	for i, b := range it.Rows {
		copy(f.a[b*n:(b+1)*n], packed[i*n:(i+1)*n])
		f.begun[b] = true
	}
}
