package kernels

// The arithmetic functions round after every operation (no fused multiply-add):
// they give the same bits at every level and on every architecture.

// Add computes dst = x + y.
func Add[T Float](dst, x, y []T) { binary(opAdd, dst, x, y, func(x, y T) T { return x + y }) }

// Sub computes dst = x − y.
func Sub[T Float](dst, x, y []T) { binary(opSub, dst, x, y, func(x, y T) T { return x - y }) }

// Mul computes dst = x·y, element by element.
func Mul[T Float](dst, x, y []T) { binary(opMul, dst, x, y, func(x, y T) T { return x * y }) }

// Div computes dst = x/y, element by element.
func Div[T Float](dst, x, y []T) { binary(opDiv, dst, x, y, func(x, y T) T { return x / y }) }

// Max computes dst = x if x > y, else y; NaN if either is NaN.
func Max[T Float](dst, x, y []T) { binary(opMax, dst, x, y, larger[T]) }

// Min computes dst = x if x < y, else y; NaN if either is NaN.
func Min[T Float](dst, x, y []T) { binary(opMin, dst, x, y, smaller[T]) }

// Fill computes dst = s.
func Fill[T Float](dst []T, s T) { scalar(opFill, dst, dst, s, func(_, s T) T { return s }) }

// Scale computes dst = s·x.
func Scale[T Float](dst []T, s T, x []T) {
	scalar(opScale, dst, x, s, func(x, s T) T { return s * x })
}

// AddScalar computes dst = x + s.
func AddScalar[T Float](dst, x []T, s T) {
	scalar(opAddScalar, dst, x, s, func(x, s T) T { return x + s })
}

// SubScalar computes dst = x − s.
func SubScalar[T Float](dst, x []T, s T) { AddScalar(dst, x, -s) }

// ScalarSub computes dst = s − x.
func ScalarSub[T Float](dst []T, s T, x []T) {
	scalar(opScalarSub, dst, x, s, func(x, s T) T { return s - x })
}

// DivScalar computes dst = x/s.
func DivScalar[T Float](dst, x []T, s T) {
	scalar(opDivScalar, dst, x, s, func(x, s T) T { return x / s })
}

// ScalarDiv computes dst = s/x.
func ScalarDiv[T Float](dst []T, s T, x []T) {
	scalar(opScalarDiv, dst, x, s, func(x, s T) T { return s / x })
}

// MaxScalar computes dst = x if x > s, else s; NaN if either is NaN.
func MaxScalar[T Float](dst, x []T, s T) { scalar(opMaxScalar, dst, x, s, larger[T]) }

// MinScalar computes dst = x if x < s, else s; NaN if either is NaN.
func MinScalar[T Float](dst, x []T, s T) { scalar(opMinScalar, dst, x, s, smaller[T]) }

func larger[T Float](x, y T) T {
	if x > y || x != x {
		return x
	}
	return y
}

func smaller[T Float](x, y T) T {
	if x < y || x != x {
		return x
	}
	return y
}
