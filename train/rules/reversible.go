package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// Reversible is back-propagation through a relaxation that is run backwards instead of being
// stored (RevDEQ). From y₀ = z₀ = 0,
//
//	y⁺ = (1−β) y + β f(z, x),   z⁺ = (1−β) z + β f(y⁺, x),
//
// the last z is read out, and the way back solves these for z and y. It is exact for that
// relaxation, and for many steps the implicit gradient where they converge. Memory does not
// depend on the steps.
//
// Rounding grows by 1/|1−β| a step or more on the way back, the more the better the relaxation
// contracts. The states are therefore carried in float64, and the report tells the drift: how
// far a sample misses the start, which is known. A sample with more than MaxDrift counts as
// failed. Fewer steps help, or Every > 0: one pair of states in so many is kept. In
// float32 with β = 1/2 and up to some 25 steps there is no drift at all, for then nothing is
// rounded away.
//
// S. McCallum, K. Arora and J. Foster, Reversible Deep Equilibrium Models, 2025,
// arXiv:2509.12917.
type Reversible[T deq.Float] struct {
	Steps    int     `default:"8" doc:"steps T of the relaxation, of two evaluations each" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Beta     float64 `default:"0.8" doc:"step length β, 0 < β < 2, not 1"`
	Every    int     `doc:"steps after which a pair of states is kept, from which the way back begins anew; 0: none is" max:"1e6: no relaxation has more steps"`
	MaxDrift float64 `default:"1e-3" doc:"relative drift above which a sample counts as failed"`
}

func reversibleEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "reversible", Value: Reversible[T]{}, Doc: `back-propagation through a relaxation that is run backwards (RevDEQ)

Relaxes two coupled states, y ← (1−β)y + βf(z, x) and z ← (1−β)z + βf(y, x), and recovers them
from the last ones on the way back: exact for that relaxation, in a memory that does not depend
on the steps. Rounding grows on the way back; the drift is measured and reported, and a sample
with more than max_drift counts as failed.`,
		Refs: []string{`@misc{mccallum2025reversible,
  title  = {Reversible Deep Equilibrium Models},
  author = {McCallum, Sam and Arora, Kamran and Foster, James},
  year   = {2025},
  eprint = {2509.12917},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r Reversible[T]) Validate() error {
	r = kit.WithDefaults(r)
	switch {
	case r.Steps < 1 || r.Every < 0:
		return fmt.Errorf("steps and every: expected at least 1 and 0, found %d and %d", r.Steps, r.Every)
	case !(r.Beta > 0 && r.Beta < 2 && r.Beta != 1):
		return fmt.Errorf("beta: expected a step length between 0 and 2 other than 1, found %g", r.Beta)
	case !(r.MaxDrift > 0):
		return fmt.Errorf("max_drift: expected a positive bound, found %g", r.MaxDrift)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r Reversible[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (Reversible[T]) Exact() bool { return true }

// Audit implements Rule.
func (r Reversible[T]) Audit() Audit {
	a := Audit{RecurrentTransport: true, ReadoutTransport: true, Phases: true, Memory: "n", Time: "T n^2"}
	if r.Every > 0 {
		a.StoredStates, a.Memory = true, "T n"
	}
	return a
}

// Horizon implements TemporalRule.
func (r Reversible[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// CheckSequence implements SequenceChecker: a sequence has losses at states that are not kept.
func (Reversible[T]) CheckSequence(int) error {
	return fmt.Errorf("it keeps no state of a sequence to be read out but the last: use bptt, or unrolled, which takes less memory")
}

// Run implements Runner.
func (r Reversible[T]) Run(ctx context.Context, l *deq.Layer[T], q deq.Sequence[T]) (*deq.Trajectory[T], error) {
	r = kit.WithDefaults(r)
	return l.RunReversibly(ctx, q, r.Beta, r.Every)
}

// Gradient implements TemporalRule. The trajectory must be one of Run.
func (r Reversible[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	err := p.VJP(ctx, deq.Back[T]{Outputs: p.Outputs}, g)
	rep := Report{Bytes: p.Bytes() + 2*p.Outputs.Bytes(), Drift: p.Drift, MaxDrift: kit.WithDefaults(r).MaxDrift}
	return rep, err
}
