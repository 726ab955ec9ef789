package losses

import (
	"math"
	"math/cmplx"

	"attractor/internal/kernels"
)

const crossEntropyDoc = `softmax cross-entropy, for labels
ℓ_b = log Σ_k exp(y_bk) − y_b,label, in nats; ∂ℓ_b/∂y_bk = softmax(y_b)_k − [k = label].
y is [rows, classes], the labels are [rows]. The sum is taken in float64 after subtracting
the largest entry, so that no finite output overflows. Guessing evenly costs log(classes).`

// CrossEntropy is the softmax cross-entropy; see its entry in [Catalog].
type CrossEntropy[T kernels.Float] struct{}

// Check demands labels.
func (CrossEntropy[T]) Check(dim int, target Target[T]) error {
	if target.Labels == nil || target.Y != nil {
		return &TargetError{Loss: "cross-entropy", Row: -1, Column: -1,
			Expected: "labels", Found: found(target)}
	}
	return checkLabels("cross-entropy", dim, target.Labels)
}

// Eval implements [Loss].
func (l CrossEntropy[T]) Eval(y []T, dim int, target Target[T], loss []float64, dy []T) error {
	n := rows(y, dim, target, loss, dy)
	if err := l.Check(dim, target); err != nil {
		return err
	}
	for b := range n {
		row, label := y[b*dim:(b+1)*dim], int(target.Labels[b])
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, float64(v)) // a NaN stays
		}
		own, rest := math.Exp(float64(row[label])-top), 0.0
		for k, v := range row {
			if k != label {
				rest += math.Exp(float64(v) - top)
			}
		}
		sum := own + rest
		if own == 1 { // the label leads: keep the digits of a small loss
			loss[b] = math.Log1p(rest)
		} else {
			loss[b] = math.Log(sum) + (top - float64(row[label]))
		}
		if dy == nil {
			continue
		}
		grad := dy[b*dim : (b+1)*dim]
		for k, v := range row {
			grad[k] = T(math.Exp(float64(v)-top) / sum)
		}
		grad[label] = T(-rest / sum) // softmax − 1 without cancellation
	}
	return nil
}

// Continue implements [Holomorphic]: softmax(y) − [k = label], where Σ exp y_k is not 0.
func (CrossEntropy[T]) Continue(y []complex128, target Target[T], dy []complex128) {
	top := math.Inf(-1)
	for _, v := range y {
		top = max(top, real(v))
	}
	sum := complex128(0)
	for k, v := range y {
		dy[k] = cmplx.Exp(v - complex(top, 0))
		sum += dy[k]
	}
	for k := range dy {
		dy[k] /= sum
	}
	dy[target.Labels[0]]--
}
