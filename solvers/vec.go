package solvers

import (
	"fmt"
	"math"

	"attractor/internal/budget"
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

// divide divides x by a number whose inverse may be beyond the range of the type.
func divide[T Float](x []T, by float64) {
	if inverse := T(1 / by); inverse != 0 && inverse-inverse == 0 {
		kernels.Scale(x, inverse, x)
		return
	}
	for i, v := range x {
		x[i] = T(float64(v) / by)
	}
}

// fits returns a *[budget.Error] where so many states of every sample do not fit in the memory that is left.
func fits[T Float](s Shape, states float64, what, remedy string) error {
	what = fmt.Sprintf("%s, of %d samples of %d numbers,", what, s.Batch, s.Dim)
	return budget.Fit(states*float64(s.Batch)*float64(s.Dim)*float64(elemSize[T]()), what, remedy)
}
