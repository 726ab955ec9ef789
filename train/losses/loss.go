// Package losses holds what training makes small: a loss maps the output of a network
// and a target to a number per sample, and to its gradient with respect to the output.
// [Catalog] lists them.
package losses

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// Loss is an immutable loss function. Each row of y [rows, dim] has its own loss
// ℓ_b and gradient ∂ℓ_b/∂y_b, which do not depend on the other rows: whoever wants the
// mean over a batch divides by its size.
type Loss[T kernels.Float] interface {
	// Check verifies the targets of any number of rows for outputs of width dim: give
	// it a whole split before training. Its errors are of type *TargetError.
	Check(dim int, target Target[T]) error
	// Eval writes ℓ_b to loss [rows] and, unless dy is nil, ∂ℓ_b/∂y_b to dy
	// [rows, dim], which may be y itself. It returns the error of Check, in which case
	// nothing is written. An output of NaN or +Inf gives a loss that is not finite.
	Eval(y []T, dim int, target Target[T], loss []float64, dy []T) error
}

// Holomorphic is a Loss whose gradient can be continued from real outputs into the complex plane.
type Holomorphic[T kernels.Float] interface {
	Loss[T]
	// Continue writes ∂ℓ/∂y at the complex outputs y [dim] of one row to dy [dim].
	Continue(y []complex128, target Target[T], dy []complex128)
}

// Target is what the outputs of some rows should have been: one of the two.
type Target[T kernels.Float] struct {
	Labels []int32 // [rows], each in [0, dim)
	Y      []T     // [rows, dim]
}

// Catalog lists the losses.
func Catalog[T kernels.Float]() *kit.Catalog[Loss[T]] {
	return kit.Must("loss",
		kit.Entry[Loss[T]]{Name: "cross-entropy", Doc: crossEntropyDoc, Value: CrossEntropy[T]{}},
		kit.Entry[Loss[T]]{Name: "mse", Doc: meanSquaredDoc, Value: MeanSquared[T]{}},
	)
}

// Accuracy is the share of rows of y [rows, dim] whose largest entry stands at the
// label. Among equal entries the first counts; a row with a NaN is wrong. No rows give NaN.
func Accuracy[T kernels.Float](y []T, dim int, labels []int32) float64 {
	return float64(Correct(y, dim, labels)) / float64(len(labels))
}

// Correct is the number of rows that [Accuracy] counts, to be added up over batches.
func Correct[T kernels.Float](y []T, dim int, labels []int32) int {
	mustMatch("outputs", len(y), len(labels)*dim)
	n := 0
	for b, label := range labels {
		if argmax(y[b*dim:(b+1)*dim]) == int(label) {
			n++
		}
	}
	return n
}

// argmax is the first place of the largest entry, -1 if there is a NaN.
func argmax[T kernels.Float](row []T) int {
	best := -1
	for k, v := range row {
		if v != v {
			return -1
		}
		if best < 0 || v > row[best] {
			best = k
		}
	}
	return best
}

// TargetError says which target cannot be used.
type TargetError struct {
	Loss            string
	Row, Column     int // counted from 0; -1 when the error is not in one place
	Expected, Found string
}

func (e *TargetError) Error() string {
	s := "losses: " + e.Loss
	if e.Row >= 0 {
		s += fmt.Sprintf(": row %d", e.Row)
	}
	if e.Column >= 0 {
		s += fmt.Sprintf(", output %d", e.Column)
	}
	return s + ": expected " + e.Expected + ", found " + e.Found
}

func checkLabels(loss string, dim int, labels []int32) error {
	for b, l := range labels {
		if l < 0 || int(l) >= dim {
			return &TargetError{Loss: loss, Row: b, Column: -1,
				Expected: fmt.Sprintf("a label from 0 to %d", dim-1), Found: fmt.Sprint(l)}
		}
	}
	return nil
}

// rows is the number of rows of y; it panics when a buffer does not fit them.
func rows[T kernels.Float](y []T, dim int, target Target[T], loss []float64, dy []T) int {
	if dim < 1 || len(y)%dim != 0 {
		panic(fmt.Sprintf("losses: %d outputs in rows of %d", len(y), dim))
	}
	n := len(y) / dim
	mustMatch("losses", len(loss), n)
	if dy != nil {
		mustMatch("gradients", len(dy), len(y))
	}
	if target.Labels != nil {
		mustMatch("labels", len(target.Labels), n)
	}
	if target.Y != nil {
		mustMatch("targets", len(target.Y), len(y))
	}
	return n
}

func mustMatch(what string, got, want int) {
	if got != want {
		panic(fmt.Sprintf("losses: %d %s, want %d", got, what, want))
	}
}

// found names a target that a loss does not take.
func found[T kernels.Float](t Target[T]) string {
	switch {
	case t.Labels != nil && t.Y != nil:
		return "labels and real targets"
	case t.Y != nil:
		return "real targets (which mse takes)"
	}
	return "neither"
}

func finite[T kernels.Float](x T) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }
