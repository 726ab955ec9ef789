package solvers

import (
	"math"

	"attractor/internal/kernels"
)

func norm[T Float](x []T) float64 { return math.Sqrt(kernels.SumSquares(x)) }

// maxNorms returns max|x − y| and max|x|, NaN where there is one.
func maxNorms[T Float](x, y []T) (diff, size float64) {
	y = y[:len(x)]
	for i, v := range x {
		diff = max(diff, math.Abs(float64(v)-float64(y[i])))
		size = max(size, math.Abs(float64(v)))
	}
	return diff, size
}
