package solvers

import (
	"fmt"

	"attractor/train/kit"
)

// Picard is the damped fixed-point iteration
//
//	z ← (1 − τ) z + τ f(z),  0 < τ ≤ 1.
//
// It is also Euler's method with the step τ = dt/τ_m for the relaxation τ_m dz/dt = −z + f(z).
// It converges where the spectral radius of (1 − τ)I + τJ at the fixed point is below 1,
// at that rate, costs one evaluation and two passes over the state a step, and has no memory.
//
// E. Picard, Journal de Mathématiques Pures et Appliquées 6 (1890) 145–210.
type Picard[T Float] struct {
	Damping float64 `default:"1" doc:"step length τ, 0 < τ ≤ 1"`
}

// Start implements Method.
func (m Picard[T]) Start(Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if !(m.Damping > 0 && m.Damping <= 1) {
		return nil, fmt.Errorf("solvers: Picard.Damping: expected a step length above 0 and up to 1, found %v", m.Damping)
	}
	return picard[T]{tau: m.Damping}, nil
}

type picard[T Float] struct{ tau float64 }

func (picard[T]) Reset()     {}
func (picard[T]) Bytes() int { return 0 }

func (p picard[T]) Step(it *Iterate[T]) error {
	Damp(it.Z, it.FZ, p.tau)
	return nil
}
