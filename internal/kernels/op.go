package kernels

import "fmt"

// op names an elementwise kernel: dst[i] = op(x[i], y[i], z[i], s). The
// generator in gen makes one function for each op, type and level.
type op int

const (
	opTanh op = iota
	opExp
	opSigmoid
	opSoftplus
	opLog
	opRelu
	opSqrt
	opSquare
	opNeg
	opAbs
	opInv
	opAdd
	opSub
	opMul
	opDiv
	opMax
	opMin
	opLess
	opLessEqual
	opEqual
	opNotEqual
	opMulAdd
	opTanhGrad
	opSigmoidGrad
	opReluGrad
	opFill
	opScale
	opAddScalar
	opScalarSub
	opDivScalar
	opScalarDiv
	opMaxScalar
	opMinScalar
	opLessScalar
	opLessEqualScalar
	opGreaterScalar
	opGreaterEqualScalar
	opEqualScalar
	opNotEqualScalar
	opAxpy
	opLerp
	opSum
	opDot
	opSquaredDistance
	opDistanceAndSquares
)

// unary runs op, or f where there is no assembly for it.
func unary[T Float](o op, dst, x []T, f func(T) T) {
	checkLength(len(dst), len(x))
	if vector(o, dst, x, x, x, 0) {
		return
	}
	for i, v := range x {
		dst[i] = f(v)
	}
}

func binary[T Float](o op, dst, x, y []T, f func(x, y T) T) {
	checkLength(len(dst), len(x))
	checkLength(len(dst), len(y))
	if vector(o, dst, x, y, x, 0) {
		return
	}
	for i, v := range x {
		dst[i] = f(v, y[i])
	}
}

func scalar[T Float](o op, dst, x []T, s T, f func(x, s T) T) {
	checkLength(len(dst), len(x))
	if vector(o, dst, x, x, x, s) {
		return
	}
	for i, v := range x {
		dst[i] = f(v, s)
	}
}

func checkLength(dst, x int) {
	if dst != x {
		panic(fmt.Sprintf("kernels: dst has %d elements, a source %d", dst, x))
	}
}

func truth[T Float](b bool) T {
	if b {
		return 1
	}
	return 0
}
