package train

import (
	"fmt"

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
	return o.loss.Eval(y, o.outputs, o.target(rows...), loss, dy)
}

// target is that of some rows.
func (o objective[T]) target(rows ...int) (target losses.Target[T]) {
	for _, r := range rows {
		if o.batch.Labels != nil {
			target.Labels = append(target.Labels, o.batch.Labels[r])
		} else {
			target.Y = append(target.Y, o.batch.Y[r*o.outputs:(r+1)*o.outputs]...)
		}
	}
	return target
}

// Continue implements rules.HolomorphicLoss.
func (o objective[T]) Continue(row int, y, dy []complex128) error {
	loss, ok := o.loss.(losses.Holomorphic[T])
	if !ok {
		return fmt.Errorf("train: a loss of type %T cannot be continued into the complex plane", o.loss)
	}
	loss.Continue(y, o.target(row), dy)
	return nil
}
