package losses

import (
	"fmt"

	"attractor/internal/kernels"
)

const meanSquaredDoc = `mean squared error, for real targets or labels
ℓ_b = (1/dim) Σ_k (y_bk − t_bk)², the mean over the outputs and without a factor ½, as in
PyTorch and Keras; ∂ℓ_b/∂y_bk = (2/dim)(y_bk − t_bk). y and t are [rows, dim]. Labels stand for
targets of 1 at the label and 0 elsewhere.`

// MeanSquared is the mean squared error; see its entry in [Catalog].
type MeanSquared[T kernels.Float] struct{}

// Check demands finite targets or labels.
func (MeanSquared[T]) Check(dim int, target Target[T]) error {
	if (target.Y == nil) == (target.Labels == nil) {
		return &TargetError{Loss: "mse", Row: -1, Column: -1, Expected: "real targets or labels", Found: found(target)}
	}
	for i, t := range target.Y {
		if !finite(t) {
			return &TargetError{Loss: "mse", Row: i / dim, Column: i % dim, Expected: "a finite target", Found: fmt.Sprint(t)}
		}
	}
	return checkLabels("mse", dim, target.Labels)
}

// Eval implements [Loss].
func (l MeanSquared[T]) Eval(y []T, dim int, target Target[T], loss []float64, dy []T) error {
	n := rows(y, dim, target, loss, dy)
	if err := l.Check(dim, target); err != nil {
		return err
	}
	for b := range n {
		sum := 0.0
		for k := range dim {
			i, t := b*dim+k, 0.0
			switch {
			case target.Y != nil:
				t = float64(target.Y[i])
			case int(target.Labels[b]) == k:
				t = 1
			}
			e := float64(y[i]) - t
			sum += e * e
			if dy != nil {
				dy[i] = T(2 * e / float64(dim))
			}
		}
		loss[b] = sum / float64(dim)
	}
	return nil
}

// Continue implements [Holomorphic]: (2/dim)(y − t).
func (MeanSquared[T]) Continue(y []complex128, target Target[T], dy []complex128) {
	for k := range y {
		t := 0.0
		switch {
		case target.Y != nil:
			t = float64(target.Y[k])
		case int(target.Labels[0]) == k:
			t = 1
		}
		dy[k] = complex(2/float64(len(y)), 0) * (y[k] - complex(t, 0))
	}
}
