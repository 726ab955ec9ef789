package train

import (
	"attractor/deq"
	"attractor/train/losses"
	"attractor/train/tasks"
)

// objective is a loss with the targets of a batch: the deq.Loss of a step.
type objective[T deq.Float] struct {
	loss    losses.Loss[T]
	outputs int
	batch   *tasks.Batch[T]
}

// Eval implements deq.Loss.
func (o objective[T]) Eval(rows []int, y, dy []T, loss []float64) error {
	var target losses.Target[T]
	for _, r := range rows {
		if o.batch.Labels != nil {
			target.Labels = append(target.Labels, o.batch.Labels[r])
		} else {
			target.Y = append(target.Y, o.batch.Y[r*o.outputs:(r+1)*o.outputs]...)
		}
	}
	return o.loss.Eval(y, o.outputs, target, loss, dy)
}
