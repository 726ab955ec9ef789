package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// special holds the arguments where functions go wrong.
var special = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, math.Inf(1), math.Inf(-1), math.NaN(),
	5e-324, -5e-324, 2e-308, 1e-45, -1e-45, 1e-39, 1e-20, -1e-20, math.MaxFloat32, -math.MaxFloat32,
	math.MaxFloat64, -math.MaxFloat64, 88.7, -88.7, 89, -89, -87.5, -103.9, -104, 709.7, 709.8, -708.5, -745.1, -745.2, 9, -9.1, 19, -22, 17, 37,
}

func arguments[T Float](rng *rand.Rand) []T {
	x := normals[T](rng, 150)
	for _, v := range special {
		x = append(x, T(v))
	}
	return x
}

type elementwise[T Float] struct {
	name string
	run  func(dst, x, y, z []T)
	want func(x, y, z T) T // the definition; exact but for rounding
}

// with fixes the scalar of the scalar kernels.
const with = 0.75

func elementwiseTable[T Float]() []elementwise[T] {
	one := func(f func(dst, x []T)) func(dst, x, y, z []T) {
		return func(dst, x, _, _ []T) { f(dst, x) }
	}
	two := func(f func(dst, x, y []T)) func(dst, x, y, z []T) {
		return func(dst, x, y, _ []T) { f(dst, x, y) }
	}
	after := func(f func(dst, x []T, s T)) func(dst, x, y, z []T) {
		return func(dst, x, _, _ []T) { f(dst, x, with) }
	}
	before := func(f func(dst []T, s T, x []T)) func(dst, x, y, z []T) {
		return func(dst, x, _, _ []T) { f(dst, with, x) }
	}
	first := func(f func(x T) T) func(x, y, z T) T { return func(x, _, _ T) T { return f(x) } }
	pair := func(f func(x, y T) T) func(x, y, z T) T { return func(x, y, _ T) T { return f(x, y) } }
	nan := T(math.NaN())
	return []elementwise[T]{
		{"Relu", one(Relu[T]), first(func(x T) T {
			if x < 0 {
				return 0
			}
			return x
		})},
		{"Sqrt", one(Sqrt[T]), first(func(x T) T { return T(math.Sqrt(float64(x))) })},
		{"Square", one(Square[T]), first(func(x T) T { return x * x })},
		{"Neg", one(Neg[T]), first(func(x T) T { return -x })},
		{"Abs", one(Abs[T]), first(func(x T) T { return T(math.Abs(float64(x))) })},
		{"Inv", one(Inv[T]), first(func(x T) T { return 1 / x })},
		{"Add", two(Add[T]), pair(func(x, y T) T { return x + y })},
		{"Sub", two(Sub[T]), pair(func(x, y T) T { return x - y })},
		{"Mul", two(Mul[T]), pair(func(x, y T) T { return x * y })},
		{"Div", two(Div[T]), pair(func(x, y T) T { return x / y })},
		{"Max", two(Max[T]), pair(func(x, y T) T {
			switch {
			case x != x || y != y:
				return nan
			case x > y:
				return x
			}
			return y
		})},
		{"Min", two(Min[T]), pair(func(x, y T) T {
			switch {
			case x != x || y != y:
				return nan
			case x < y:
				return x
			}
			return y
		})},
		{"Less", two(Less[T]), pair(func(x, y T) T { return truth[T](x < y) })},
		{"LessEqual", two(LessEqual[T]), pair(func(x, y T) T { return truth[T](x <= y) })},
		{"Greater", two(Greater[T]), pair(func(x, y T) T { return truth[T](x > y) })},
		{"GreaterEqual", two(GreaterEqual[T]), pair(func(x, y T) T { return truth[T](x >= y) })},
		{"Equal", two(Equal[T]), pair(func(x, y T) T { return truth[T](x == y) })},
		{"NotEqual", two(NotEqual[T]), pair(func(x, y T) T { return truth[T](x != y) })},
		{"LessScalar", after(LessScalar[T]), first(func(x T) T { return truth[T](x < with) })},
		{"LessEqualScalar", after(LessEqualScalar[T]), first(func(x T) T { return truth[T](x <= with) })},
		{"GreaterScalar", after(GreaterScalar[T]), first(func(x T) T { return truth[T](x > with) })},
		{"GreaterEqualScalar", after(GreaterEqualScalar[T]), first(func(x T) T { return truth[T](x >= with) })},
		{"EqualScalar", after(EqualScalar[T]), first(func(x T) T { return truth[T](x == with) })},
		{"NotEqualScalar", after(NotEqualScalar[T]), first(func(x T) T { return truth[T](x != with) })},
		{"Fill", func(dst, _, _, _ []T) { Fill(dst, with) }, first(func(T) T { return with })},
		{"Scale", before(Scale[T]), first(func(x T) T { return with * x })},
		{"AddScalar", after(AddScalar[T]), first(func(x T) T { return x + with })},
		{"SubScalar", after(SubScalar[T]), first(func(x T) T { return x - with })},
		{"ScalarSub", before(ScalarSub[T]), first(func(x T) T { return with - x })},
		{"DivScalar", after(DivScalar[T]), first(func(x T) T { return x / with })},
		{"ScalarDiv", before(ScalarDiv[T]), first(func(x T) T { return with / x })},
		{"MaxScalar", after(MaxScalar[T]), first(func(x T) T {
			if x < with {
				return with
			}
			return x
		})},
		{"MinScalar", after(MinScalar[T]), first(func(x T) T {
			if x > with {
				return with
			}
			return x
		})},
		{"Axpy", func(dst, x, y, _ []T) {
			z := append([]T(nil), y...)
			Axpy(with, x, z)
			copy(dst, z)
		}, pair(func(x, y T) T { return y + T(with*x) })},
		{"Lerp", func(dst, x, y, _ []T) { Lerp(dst, x, y, with) }, pair(func(x, y T) T { return x + T(with*T(y-x)) })},
		{"MulAdd", MulAdd[T], func(x, y, z T) T { return T(x*y) + z }},
		{"TanhGrad", two(TanhGrad[T]), pair(func(g, y T) T { return g * (1 - T(y*y)) })},
		{"SigmoidGrad", two(SigmoidGrad[T]), pair(func(g, y T) T { return g * (y * (1 - y)) })},
		{"ReluGrad", two(ReluGrad[T]), pair(func(g, x T) T {
			if x > 0 {
				return g
			}
			return 0
		})},
		{"Tanh", one(Tanh[T]), nil},
		{"Exp", one(Exp[T]), nil},
		{"Sigmoid", one(Sigmoid[T]), nil},
		{"Softplus", one(Softplus[T]), nil},
		{"Log", one(Log[T]), nil},
	}
}

// Every kernel must give its definition's bits (the transcendental ones are
// checked by TestFunctionErrors), the same at every place of a slice of any
// length, in place or not, and must write nothing else.
func TestElementwise(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testElementwise[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testElementwise[float64]) })
}

func testElementwise[T Float](t *testing.T) {
	rng := newRand()
	x := arguments[T](rng)
	y := arguments[T](rng)
	rng.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
	z := normals[T](rng, len(x))
	copy(y[20:30], x[20:30]) // equal operands
	x[31], y[32] = with, with
	for _, e := range elementwiseTable[T]() {
		t.Run("op="+e.name, func(t *testing.T) {
			whole := make([]T, len(x))
			e.run(whole, x, y, z)
			if e.want != nil {
				for i := range x {
					if want := e.want(x[i], y[i], z[i]); !sameBits(whole[i], want) {
						t.Fatalf("at %v, %v, %v: %v, want %v", x[i], y[i], z[i], whole[i], want)
					}
				}
			}
			const guard = 12345
			part := make([]T, len(x))
			for n := range 75 {
				i := rng.IntN(len(x) - n)
				for _, dst := range []string{"new", "x", "y"} {
					xs, ys := append([]T(nil), x[i:i+n]...), append([]T(nil), y[i:i+n]...)
					Fill(part, guard)
					d := part[3 : 3+n]
					switch dst {
					case "x":
						copy(d, xs)
						xs = d
					case "y":
						copy(d, ys)
						ys = d
					}
					e.run(d, xs, ys, z[i:i+n])
					for j := range d {
						if !sameBits(d[j], whole[i+j]) {
							t.Fatalf("n=%d dst=%s at %v, %v: %v alone, %v in a longer slice", n, dst, x[i+j], y[i+j], d[j], whole[i+j])
						}
					}
					if part[2] != guard || part[3+n] != guard {
						t.Fatalf("n=%d wrote outside dst", n)
					}
				}
			}
		})
	}
}
