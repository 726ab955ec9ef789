package solvers

import "math"

func dot[T Float](x, y []T) float64 {
	y = y[:len(x)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += float64(x[i]) * float64(y[i])
		s1 += float64(x[i+1]) * float64(y[i+1])
		s2 += float64(x[i+2]) * float64(y[i+2])
		s3 += float64(x[i+3]) * float64(y[i+3])
	}
	for ; i < len(x); i++ {
		s0 += float64(x[i]) * float64(y[i])
	}
	return (s0 + s1) + (s2 + s3)
}

func sumSquares[T Float](x []T) float64 { return dot(x, x) }

func squaredDistance[T Float](x, y []T) float64 {
	y = y[:len(x)]
	var s0, s1 float64
	i := 0
	for ; i+2 <= len(x); i += 2 {
		d0, d1 := float64(x[i])-float64(y[i]), float64(x[i+1])-float64(y[i+1])
		s0 += d0 * d0
		s1 += d1 * d1
	}
	for ; i < len(x); i++ {
		d := float64(x[i]) - float64(y[i])
		s0 += d * d
	}
	return s0 + s1
}

// axpy is y += a·x.
func axpy[T Float](a T, x, y []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// sub is out = x − y.
func sub[T Float](x, y, out []T) {
	y, out = y[:len(x)], out[:len(x)]
	for i, v := range x {
		out[i] = v - y[i]
	}
}

func scale[T Float](a T, x []T) {
	for i := range x {
		x[i] *= a
	}
}

func allFinite[T Float](x []T) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}

func norm[T Float](x []T) float64 { return math.Sqrt(sumSquares(x)) }

// maxNorms returns max|x − y| and max|x|, NaN where there is one.
func maxNorms[T Float](x, y []T) (diff, size float64) {
	y = y[:len(x)]
	for i, v := range x {
		diff = max(diff, math.Abs(float64(v)-float64(y[i])))
		size = max(size, math.Abs(float64(v)))
	}
	return diff, size
}
