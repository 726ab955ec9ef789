package kernels

import "math"

// In the elementwise functions dst and every source have equal length; dst may be
// a source itself but must not otherwise overlap one. An element's result does
// not depend on its place in the slice.
//
// The errors below are in units in the last place (ulp) of the exact result, for
// float32 and float64 and over all arguments. NaN, ±Inf, −0 and subnormal numbers
// are treated as package math documents. AVX2 and AVX512 give the same bits;
// Portable rounds package math's result.

// Tanh computes dst = tanh(x), to 3 ulp.
func Tanh[T Float](dst, x []T) {
	unary(opTanh, dst, x, func(v T) T { return T(math.Tanh(float64(v))) })
}

// Exp computes dst = eˣ, to 1.5 ulp.
func Exp[T Float](dst, x []T) {
	unary(opExp, dst, x, func(v T) T { return T(exp(float64(v))) })
}

// Sigmoid computes dst = 1/(1 + e⁻ˣ), to 3 ulp.
func Sigmoid[T Float](dst, x []T) {
	unary(opSigmoid, dst, x, func(v T) T {
		e := math.Exp(-math.Abs(float64(v)))
		if v < 0 {
			return T(e / (1 + e))
		}
		return T(1 / (1 + e))
	})
}

// Softplus computes dst = log(1 + eˣ), to 2.5 ulp.
func Softplus[T Float](dst, x []T) {
	unary(opSoftplus, dst, x, func(v T) T {
		w := float64(v)
		return T(max(w, 0) + math.Log1p(math.Exp(-math.Abs(w))))
	})
}

// Log computes dst = log x, to 1.5 ulp.
func Log[T Float](dst, x []T) {
	unary(opLog, dst, x, func(v T) T { return T(log(float64(v))) })
}

// exp is math.Exp, which on amd64 overflows from 709.45 on instead of 709.78.
func exp(x float64) float64 {
	if x > 709 {
		return math.Expm1(x)
	}
	return math.Exp(x)
}

// log is math.Log, which on amd64 is wrong for subnormal numbers.
func log(x float64) float64 {
	if 0 < x && x < 0x1p-1022 {
		return math.Log(x*0x1p52) - 52*math.Ln2
	}
	return math.Log(x)
}

// Relu computes dst = max(x, 0); NaN stays NaN and −0 stays −0.
func Relu[T Float](dst, x []T) {
	unary(opRelu, dst, x, func(v T) T {
		if v < 0 {
			return 0
		}
		return v
	})
}

// Sqrt computes dst = √x, correctly rounded.
func Sqrt[T Float](dst, x []T) {
	unary(opSqrt, dst, x, func(v T) T { return T(math.Sqrt(float64(v))) })
}

// Square computes dst = x².
func Square[T Float](dst, x []T) { unary(opSquare, dst, x, func(v T) T { return v * v }) }

// Neg computes dst = −x.
func Neg[T Float](dst, x []T) { unary(opNeg, dst, x, func(v T) T { return -v }) }

// Abs computes dst = |x|.
func Abs[T Float](dst, x []T) {
	unary(opAbs, dst, x, func(v T) T { return T(math.Abs(float64(v))) })
}

// Inv computes dst = 1/x.
func Inv[T Float](dst, x []T) { unary(opInv, dst, x, func(v T) T { return 1 / v }) }
