package deq

import (
	"errors"
	"fmt"

	"attractor/solvers"
)

// ErrNoInverse says that an equilibrium has no inverse of its Jacobian.
var ErrNoInverse = errors.New("no inverse of the Jacobian")

// ApplyHT writes Hᵀu [rows, Units] to out, where H ≈ (J − I)⁻¹ is what the forward solver has
// built up for each sample (solvers.Inverse: Broyden's methods). The solver keeps H until it
// solves again; after that, or when the solver has none, the error wraps ErrNoInverse.
func (e *Equilibrium[T]) ApplyHT(u, out []T) error {
	if err := e.checkStates("u", u, "out", out); err != nil {
		return err
	}
	n := e.layer.Units
	e.layer.tally.solves.Add(int64(e.Rows))
	return e.each(func(s *shard[T], rows int) error {
		key := solverKey[T]{e.forward, n}
		if s.solved[key] != e.id {
			return fmt.Errorf("deq: %w: the forward solver has solved something else since, or nothing", ErrNoInverse)
		}
		inverse, ok := s.solvers[key].Stepper().(solvers.Inverse[T])
		if !ok {
			return fmt.Errorf("deq: %w: %T does not keep one", ErrNoInverse, e.forward.Method)
		}
		in, out := e.states(s, rows, u), e.states(s, rows, out)
		for b := range rows {
			inverse.ApplyHT(b, in[b*n:(b+1)*n], out[b*n:(b+1)*n])
		}
		return nil
	})
}
