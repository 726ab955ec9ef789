package kernels

// Axpy computes y = y + alpha·x.
func Axpy[T Float](alpha T, x, y []T) {
	checkLength(len(y), len(x))
	if vector(opAxpy, y, x, y, y, alpha) {
		return
	}
	for i, v := range x {
		y[i] += T(alpha * v)
	}
}

// Axpys computes y = y + Σⱼ alpha[j]·x[j] in the order of the rows x[j], which are ldx
// elements apart: what [Axpy] does one by one.
func Axpys[T Float](alpha, x []T, ldx int, y []T) {
	checkMatrix("x", len(alpha), len(y), len(x), ldx)
	combine(y, alpha, x, ldx, true)
}

// Combine computes dst = Σⱼ alpha[j]·x[j], as [Axpys] does from zero. dst must not
// overlap x.
func Combine[T Float](dst, alpha, x []T, ldx int) {
	checkMatrix("x", len(alpha), len(dst), len(x), ldx)
	if len(alpha) == 0 {
		clear(dst)
	}
	combine(dst, alpha, x, ldx, false)
}

func combine[T Float](dst, alpha, x []T, ldx int, add bool) {
	if len(dst) == 0 || len(alpha) == 0 || combineVector(dst, alpha, x, ldx, add) {
		return
	}
	if !add {
		clear(dst)
	}
	for j, s := range alpha {
		for i, v := range x[j*ldx : j*ldx+len(dst)] {
			dst[i] += T(s * v)
		}
	}
}

// Lerp computes dst = x + s·(y − x): damping, leak.
func Lerp[T Float](dst, x, y []T, s T) {
	checkLength(len(dst), len(x))
	checkLength(len(dst), len(y))
	if vector(opLerp, dst, x, y, y, s) {
		return
	}
	for i, v := range x {
		dst[i] = v + T(s*(y[i]-v))
	}
}

// MulAdd computes dst = x·y + z, element by element.
func MulAdd[T Float](dst, x, y, z []T) {
	checkLength(len(dst), len(x))
	checkLength(len(dst), len(y))
	checkLength(len(dst), len(z))
	if vector(opMulAdd, dst, x, y, z, 0) {
		return
	}
	for i, v := range x {
		dst[i] = T(v*y[i]) + z[i]
	}
}

// TanhGrad computes dst = g·(1 − y²): the cotangent of x where y = tanh(x).
func TanhGrad[T Float](dst, g, y []T) {
	binary(opTanhGrad, dst, g, y, func(g, y T) T { return g * (1 - T(y*y)) })
}

// SigmoidGrad computes dst = g·(y·(1 − y)): the cotangent of x where y is its
// sigmoid.
func SigmoidGrad[T Float](dst, g, y []T) {
	binary(opSigmoidGrad, dst, g, y, func(g, y T) T { return g * (y * (1 - y)) })
}

// ReluGrad computes dst = g where x > 0, else 0.
func ReluGrad[T Float](dst, g, x []T) {
	binary(opReluGrad, dst, g, x, func(g, x T) T {
		if x > 0 {
			return g
		}
		return 0
	})
}
