package optim

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"attractor/internal/kernels"
)

// ClipNorm returns the norm ‖g‖ of all gradients together, summed in float64, and when
// it is above limit multiplies them by limit/‖g‖ (Pascanu, Mikolov and Bengio 2013,
// arXiv:1211.5063). A limit of zero or less only measures. A norm that is not finite
// leaves the gradients as they are, for [FirstNonFinite] to say where.
func ClipNorm[T kernels.Float](grads [][]T, limit float64) (norm float64) {
	sum := 0.0
	for _, g := range grads {
		sum += kernels.SumSquares(g)
	}
	norm = math.Sqrt(sum)
	if !(limit > 0) || !(norm > limit) || math.IsInf(norm, 1) {
		return norm
	}
	scale := T(limit / norm)
	for _, g := range grads {
		kernels.Scale(g, scale, g)
	}
	return norm
}

// FirstNonFinite returns a *NonFiniteError for the first NaN or infinity among the
// values, whose names are given in the same order, and nil if there is none.
func FirstNonFinite[T kernels.Float](names []string, values [][]T) error {
	if len(names) != len(values) {
		panic(fmt.Sprintf("optim: %d names for %d values", len(names), len(values)))
	}
	for i, v := range values {
		if j := nonFinite(v); j >= 0 {
			return &NonFiniteError{Name: names[i], Index: j, Value: float64(v[j])}
		}
	}
	return nil
}

// NonFiniteError says where a NaN or infinity stands.
type NonFiniteError struct {
	Name  string
	Index int
	Value float64
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("optim: %s[%d] is %v", e.Name, e.Index, e.Value)
}

// nonFinite is the first place of a NaN or infinity, -1 if there is none.
func nonFinite[T kernels.Float](v []T) int {
	if kernels.AllFinite(v) {
		return -1
	}
	for j, x := range v {
		if x-x != 0 {
			return j
		}
	}
	return -1
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
