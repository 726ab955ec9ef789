package kernels

// The comparisons give 1 where they hold and 0 where not; with a NaN only the
// unequal ones hold.

// Less computes dst = [x < y].
func Less[T Float](dst, x, y []T) {
	binary(opLess, dst, x, y, func(x, y T) T { return truth[T](x < y) })
}

// LessEqual computes dst = [x ≤ y].
func LessEqual[T Float](dst, x, y []T) {
	binary(opLessEqual, dst, x, y, func(x, y T) T { return truth[T](x <= y) })
}

// Greater computes dst = [x > y].
func Greater[T Float](dst, x, y []T) { Less(dst, y, x) }

// GreaterEqual computes dst = [x ≥ y].
func GreaterEqual[T Float](dst, x, y []T) { LessEqual(dst, y, x) }

// Equal computes dst = [x = y].
func Equal[T Float](dst, x, y []T) {
	binary(opEqual, dst, x, y, func(x, y T) T { return truth[T](x == y) })
}

// NotEqual computes dst = [x ≠ y].
func NotEqual[T Float](dst, x, y []T) {
	binary(opNotEqual, dst, x, y, func(x, y T) T { return truth[T](x != y) })
}

// LessScalar computes dst = [x < s].
func LessScalar[T Float](dst, x []T, s T) {
	scalar(opLessScalar, dst, x, s, func(x, s T) T { return truth[T](x < s) })
}

// LessEqualScalar computes dst = [x ≤ s].
func LessEqualScalar[T Float](dst, x []T, s T) {
	scalar(opLessEqualScalar, dst, x, s, func(x, s T) T { return truth[T](x <= s) })
}

// GreaterScalar computes dst = [x > s].
func GreaterScalar[T Float](dst, x []T, s T) {
	scalar(opGreaterScalar, dst, x, s, func(x, s T) T { return truth[T](x > s) })
}

// GreaterEqualScalar computes dst = [x ≥ s].
func GreaterEqualScalar[T Float](dst, x []T, s T) {
	scalar(opGreaterEqualScalar, dst, x, s, func(x, s T) T { return truth[T](x >= s) })
}

// EqualScalar computes dst = [x = s].
func EqualScalar[T Float](dst, x []T, s T) {
	scalar(opEqualScalar, dst, x, s, func(x, s T) T { return truth[T](x == s) })
}

// NotEqualScalar computes dst = [x ≠ s].
func NotEqualScalar[T Float](dst, x []T, s T) {
	scalar(opNotEqualScalar, dst, x, s, func(x, s T) T { return truth[T](x != s) })
}
