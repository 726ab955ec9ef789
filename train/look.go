package train

import (
	"context"

	"attractor/deq"
	"attractor/train/tasks"
)

// Look is what a step on the batch would be at the given parameters, which it takes over: the
// gradients are there, and nothing moves. The forward solve begins at guess (nil: at 0).
func (t *Trainer[T]) Look(ctx context.Context, params deq.Params[T], batch *tasks.Batch[T], guess []T) (Step[T], error) {
	if err := t.Layer.Update(params.Into); err != nil {
		return Step[T]{}, err
	}
	counts := t.Layer.Counts()
	s, err := t.gradients(ctx, batch, guess)
	s.Record.spend(t.Layer.Counts().Sub(counts), float64(len(batch.Rows)))
	return s, err
}

// spend notes the evaluations of a step by sample.
func (r *StepRecord) spend(c deq.Counts, rows float64) {
	r.Cell, r.Adjoint = float64(c.Cell)/rows, float64(c.Adjoint+c.Tangent)/rows
}
