package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/options"
)

// BPTT is back-propagation through time over the relaxation z_{t+1} = f(z_t, x) from z_0 = 0,
// whose last state z_T is read out:
//
//	u_{T−1} = ∂L/∂z_T,   u_{t−1} = J(z_t)ᵀ u_t,   dL/dθ = Σ_t u_tᵀ ∂f/∂θ at z_t.
//
// It is exact for the relaxation; for T → ∞ it is the implicit gradient where f converges.
// It keeps all T states.
type BPTT[T deq.Float] struct {
	Steps int `default:"30" doc:"steps T of the relaxation"`
}

// Validate reports options outside their range.
func (r BPTT[T]) Validate() error {
	if r.Steps < 0 {
		return fmt.Errorf("steps: expected at least 1, found %d", r.Steps)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r BPTT[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (BPTT[T]) Exact() bool { return true }

// Horizon implements TemporalRule.
func (r BPTT[T]) Horizon() int { return options.WithDefaults(r).Steps }

// Gradient implements TemporalRule.
func (BPTT[T]) Gradient(ctx context.Context, tr *deq.Trajectory[T], o *deq.Output[T], g deq.Params[T]) (Report, error) {
	return Report{Bytes: tr.Bytes() + bytesOf(o.DZ)}, tr.VJP(ctx, o.DZ, g)
}
