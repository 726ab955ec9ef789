package kernels

import (
	"fmt"
	"math"
)

// The sums are accumulated in float64: term i goes to partial sum i mod 16, every
// step rounded (not fused), and the partial sums are added pairwise. Their bits
// depend neither on the level nor on the architecture.

const lanes = 16

// Sum returns Σ x.
func Sum[T Float](x []T) float64 {
	return reduce(opSum, x, x, func(x, _ float64) float64 { return x })
}

// Dot returns Σ x·y.
func Dot[T Float](x, y []T) float64 {
	return reduce(opDot, x, y, times)
}

// SumSquares returns Σ x².
func SumSquares[T Float](x []T) float64 {
	return reduce(opDot, x, x, times)
}

// SquaredDistance returns Σ (x − y)², the difference taken in float64.
func SquaredDistance[T Float](x, y []T) float64 {
	return reduce(opSquaredDistance, x, y, squaredDifference)
}

// DistanceAndSquares returns [SquaredDistance] of x and y and [SumSquares] of x.
func DistanceAndSquares[T Float](x, y []T) (distance, squares float64) {
	checkReduction(len(x), len(y))
	var out [2]float64
	if !reduceVector(opDistanceAndSquares, &out, x, y) {
		out[0], out[1] = fold(x, y, squaredDifference), fold(x, x, times)
	}
	return out[0], out[1]
}

// Dots computes dst[j] = [Dot] of x and row j of y, whose rows are ldy elements apart.
func Dots[T Float](dst []float64, x, y []T, ldy int) {
	checkMatrix("y", len(dst), len(x), len(y), ldy)
	if len(x) == 0 {
		clear(dst)
		return
	}
	if len(dst) == 0 || dotsVector(dst, x, y, ldy) {
		return
	}
	for j := range dst {
		dst[j] = fold(x, y[j*ldy:j*ldy+len(x)], times)
	}
}

func times(x, y float64) float64 { return x * y }

func squaredDifference(x, y float64) float64 { d := x - y; return d * d }

func checkReduction(x, y int) {
	if x != y {
		panic(fmt.Sprintf("kernels: reduction over %d and %d elements", x, y))
	}
}

func reduce[T Float](o op, x, y []T, term func(x, y float64) float64) float64 {
	checkReduction(len(x), len(y))
	var out [2]float64
	if reduceVector(o, &out, x, y) {
		return out[0]
	}
	return fold(x, y, term)
}

func fold[T Float](x, y []T, term func(x, y float64) float64) float64 {
	var part [lanes]float64
	i := 0
	for ; i+lanes <= len(x); i += lanes {
		u, v := x[i:][:lanes], y[i:][:lanes]
		for l := range part {
			part[l] += float64(term(float64(u[l]), float64(v[l])))
		}
	}
	for l := range len(x) - i {
		part[l] += float64(term(float64(x[i+l]), float64(y[i+l])))
	}
	for half := lanes / 2; half > 0; half /= 2 {
		for l := range half {
			part[l] += part[l+half]
		}
	}
	return part[0]
}

// MaxAbs returns max |x|, 0 for no elements, NaN if any is NaN.
func MaxAbs[T Float](x []T) T {
	var part [lanes]T
	for i := maxAbsVector(&part, x); i < len(x); i++ {
		part[i%lanes] = larger(T(math.Abs(float64(x[i]))), part[i%lanes])
	}
	m := part[0]
	for _, v := range part[1:] {
		m = larger(v, m)
	}
	return m
}

// AllFinite reports whether no element is NaN or ±Inf.
func AllFinite[T Float](x []T) bool { m := MaxAbs(x); return m-m == 0 }

// RowSums computes dst[i] = Σⱼ x[i,j] for x [rows,cols] whose rows are ldx
// elements apart, as [Sum] does.
func RowSums[T Float](dst []T, rows, cols int, x []T, ldx int) {
	checkMatrix("x", rows, cols, len(x), ldx)
	checkLength(len(dst), rows)
	for i := range rows {
		dst[i] = T(Sum(x[i*ldx : i*ldx+cols]))
	}
}

// ColSums computes dst[j] = Σᵢ x[i,j] for x [rows,cols] whose rows are ldx
// elements apart, accumulated in float64 in the order of the rows.
func ColSums[T Float](dst []T, rows, cols int, x []T, ldx int) {
	checkMatrix("x", rows, cols, len(x), ldx)
	checkLength(len(dst), cols)
	var sum [64]float64
	for j := 0; j < cols; j += len(sum) {
		part := sum[:min(len(sum), cols-j)]
		clear(part)
		for i := range rows {
			for l, v := range x[i*ldx+j:][:len(part)] {
				part[l] += float64(v)
			}
		}
		for l, v := range part {
			dst[j+l] = T(v)
		}
	}
}
