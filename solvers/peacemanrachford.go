package solvers

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// PeacemanRachford is Peaceman–Rachford splitting for a monotone equilibrium: from u = z,
//
//	u½ = 2z − u,  z½ = (I + α(I − W))⁻¹(u½ + αc),  u = 2z½ − u½,  z = prox^α(u).
//
// It converges for any α > 0, usually in fewer steps than forward–backward splitting. A step
// costs one application of the resolvent and one evaluation of f for the residual.
//
// E. Winston, J. Z. Kolter, NeurIPS 2020, arXiv:2006.08591.
type PeacemanRachford[T Float] struct {
	Alpha float64 `default:"1" doc:"step length α"`
}

// Splits implements Splitter.
func (PeacemanRachford[T]) Splits() {}

// Start implements Method.
func (m PeacemanRachford[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if !(m.Alpha > 0) || math.IsInf(m.Alpha, 0) {
		return nil, fmt.Errorf("solvers: PeacemanRachford.Alpha: expected a positive step length, found %v", m.Alpha)
	}
	n := s.Batch * s.Dim
	return &peacemanRachford[T]{
		alpha: m.Alpha, u: make([]T, n), begun: make([]bool, s.Batch), half: make([]T, n), zHalf: make([]T, n),
	}, nil
}

type peacemanRachford[T Float] struct {
	alpha       float64
	u           []T    // [batch, dim] by sample
	begun       []bool // by sample
	half, zHalf []T    // [batch, dim], packed
}

func (r *peacemanRachford[T]) Reset() { clear(r.begun) }

func (r *peacemanRachford[T]) Bytes() int { return 3*elemSize[T]()*len(r.u) + len(r.begun) }

// stepEvals implements costly.
func (r *peacemanRachford[T]) stepEvals() int { return 2 }

func (r *peacemanRachford[T]) Step(it *Iterate[T]) error {
	s, n := it.run.problem.Splitting, it.Dim()
	if s == nil {
		return fmt.Errorf("peaceman-rachford: %w", ErrNoSplitting)
	}
	half, zHalf := r.half[:len(it.Z)], r.zHalf[:len(it.Z)]
	for i, b := range it.Rows {
		z, u := it.Z[i*n:(i+1)*n], r.u[b*n:(b+1)*n]
		if !r.begun[b] {
			r.begun[b] = true
			copy(u, z)
		}
		kernels.Lerp(half[i*n:(i+1)*n], u, z, 2)
	}
	it.run.charge(it.Rows)
	if err := s.Resolvent(r.alpha, it.Rows, half, zHalf); err != nil {
		return err
	}
	for i, b := range it.Rows {
		u := r.u[b*n : (b+1)*n]
		kernels.Lerp(u, half[i*n:(i+1)*n], zHalf[i*n:(i+1)*n], 2)
		copy(it.Z[i*n:(i+1)*n], u)
	}
	s.Prox(r.alpha, it.Rows, it.Z, it.Z)
	return nil
}
