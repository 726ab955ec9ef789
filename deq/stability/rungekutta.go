package stability

import (
	"math"

	"attractor/deq"
	"attractor/internal/kernels"
)

// dormandPrince are the stages of the method by rows, the last of which is the step of order 5, and the
// difference of that to the embedded one of order 4.
//
// J. R. Dormand and P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19–26, doi:10.1016/0771-050X(80)90013-3.
var dormandPrince = struct {
	stages [6][]float64
	error  [7]float64
}{
	stages: [6][]float64{
		{1.0 / 5},
		{3.0 / 40, 9.0 / 40},
		{44.0 / 45, -56.0 / 15, 32.0 / 9},
		{19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
		{9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
		{35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
	},
	error: [7]float64{71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40},
}

// rungeKutta makes steps of dy/dt = field(y) by the method of Dormand and Prince, for rows of one width, each by
// a step of its own.
type rungeKutta[T deq.Float] struct {
	width  int
	field  func(y, dy []T) error // of rows [any number, width]
	slopes []T                   // [7, rows, width]: those of the stages, the last at the end of the step
	next   []T                   // [rows, width]
	off    []T                   // [rows, width]: next less the embedded solution
	weight []T
}

// try makes next and off from y [rows, width] with the slopes dy there and steps h [rows].
func (r *rungeKutta[T]) try(y, dy []T, h []float64) error {
	size := len(y)
	if len(r.next) < size {
		r.slopes, r.next, r.off = make([]T, 7*size), make([]T, size), make([]T, size)
	}
	next, off := r.next[:size], r.off[:size]
	copy(r.slopes, dy)
	for i, a := range dormandPrince.stages {
		copy(next, y)
		for b, h := range h {
			kernels.Axpys(r.times(h, a), r.slopes[b*r.width:], size, next[b*r.width:(b+1)*r.width])
		}
		if err := r.field(next, r.slopes[(i+1)*size:(i+2)*size]); err != nil {
			return err
		}
	}
	for b, h := range h {
		kernels.Combine(off[b*r.width:(b+1)*r.width], r.times(h, dormandPrince.error[:]), r.slopes[b*r.width:], size)
	}
	return nil
}

// last are the slopes at the end of the step that was tried, for rows of size numbers in all.
func (r *rungeKutta[T]) last(size int) []T { return r.slopes[6*size : 7*size] }

func (r *rungeKutta[T]) times(h float64, a []float64) []T {
	r.weight = r.weight[:0]
	for _, v := range a {
		r.weight = append(r.weight, T(h*v))
	}
	return r.weight
}

// control is the step that should follow one whose error is so many times the tolerance.
func control(h, off float64) float64 {
	if math.IsNaN(off) || math.IsInf(off, 0) {
		return h / 10
	}
	return h * min(5, max(0.2, 0.9*math.Pow(off, -0.2)))
}

// tolerated is the largest local error of a step, relative to the norm of what moves.
func tolerated[T deq.Float](double float64) float64 {
	if _, single := any(T(0)).(float32); single {
		return max(double, 1e-5)
	}
	return double
}
