package engine

import (
	"math"

	"attractor/internal/kernels"
)

// family of an elementwise function of two operands.
type family uint8

const (
	unknown family = iota
	arithmetic
	comparison
)

// zipNames lists Gorgonia's elementwise functions of two operands that we know.
var zipNames = map[string]family{
	"+": arithmetic, "-": arithmetic, "⊙": arithmetic, "÷": arithmetic, "^": arithmetic,
	"<": comparison, ">": comparison, "<=": comparison, ">=": comparison, "==": comparison, "!=": comparison,
}

// mapNames lists Gorgonia's elementwise functions of one operand that we know.
var mapNames = map[string]bool{
	"abs": true, "sign": true, "ceil": true, "floor": true, "sin": true, "cos": true, "exp": true, "ln": true,
	"log2": true, "neg": true, "square": true, "sqrt": true, "inv": true, "invSqrt": true, "cube": true,
	"tanh": true, "sigmoid": true, "log1p": true, "expm1": true, "softplus": true,
}

// Names of functions that the compiler makes itself.
const (
	wholeName      = "whole" // slice of a whole axis
	copyName       = "copy"
	reluName       = "relu"
	tanhVJPName    = "tanh'"    // g·(1 − y²) of g and y
	sigmoidVJPName = "sigmoid'" // g·y·(1 − y) of g and y
	plus, times    = "+", "⊙"
	minus, atLeast = "-", ">="
	squareName     = "square"
)

// mapping returns dst = f(x).
func mapping[T kernels.Float](name string) func(dst, x []T) {
	switch name {
	case copyName:
		return func(dst, x []T) { copy(dst, x) }
	case reluName:
		return kernels.Relu[T]
	case "abs":
		return kernels.Abs[T]
	case "exp":
		return kernels.Exp[T]
	case "ln":
		return kernels.Log[T]
	case "neg":
		return kernels.Neg[T]
	case "square":
		return kernels.Square[T]
	case "sqrt":
		return kernels.Sqrt[T]
	case "inv":
		return kernels.Inv[T]
	case "tanh":
		return kernels.Tanh[T]
	case "sigmoid":
		return kernels.Sigmoid[T]
	case "softplus":
		return kernels.Softplus[T]
	case "cube":
		return each(func(x T) T { return x * x * x })
	case "sign":
		return each(func(x T) T {
			switch {
			case x > 0:
				return 1
			case x < 0:
				return -1
			}
			return 0
		})
	case "invSqrt":
		return each(func(x T) T { return T(1 / math.Sqrt(float64(x))) })
	case "ceil":
		return widened[T](math.Ceil)
	case "floor":
		return widened[T](math.Floor)
	case "sin":
		return widened[T](math.Sin)
	case "cos":
		return widened[T](math.Cos)
	case "log2":
		return widened[T](math.Log2)
	case "log1p":
		return widened[T](math.Log1p)
	case "expm1":
		return widened[T](math.Expm1)
	}
	return nil
}

func each[T kernels.Float](f func(T) T) func(dst, x []T) {
	return func(dst, x []T) {
		for i, v := range x {
			dst[i] = f(v)
		}
	}
}

func widened[T kernels.Float](f func(float64) float64) func(dst, x []T) {
	return func(dst, x []T) {
		for i, v := range x {
			dst[i] = T(f(float64(v)))
		}
	}
}

// zipping is an elementwise function of two operands, of which either may be one number.
type zipping[T kernels.Float] struct {
	both   func(dst, x, y []T)
	scalar func(dst, x []T, s T) // f(x, s)
	flip   func(dst []T, s T, x []T)
}

// zip returns the function of that name; only both is set for a function that never meets a
// scalar.
func zip[T kernels.Float](name string) zipping[T] {
	// commuted makes f(s, x) of a g(x, s) with the same value.
	commuted := func(g func(dst, x []T, s T)) func(dst []T, s T, x []T) {
		return func(dst []T, s T, x []T) { g(dst, x, s) }
	}
	switch name {
	case "+":
		return zipping[T]{kernels.Add[T], kernels.AddScalar[T], commuted(kernels.AddScalar[T])}
	case "-":
		return zipping[T]{kernels.Sub[T], kernels.SubScalar[T], kernels.ScalarSub[T]}
	case "⊙":
		scale := func(dst, x []T, s T) { kernels.Scale(dst, s, x) }
		return zipping[T]{kernels.Mul[T], scale, kernels.Scale[T]}
	case "÷":
		return zipping[T]{kernels.Div[T], kernels.DivScalar[T], kernels.ScalarDiv[T]}
	case "<":
		return zipping[T]{kernels.Less[T], kernels.LessScalar[T], commuted(kernels.GreaterScalar[T])}
	case ">":
		return zipping[T]{kernels.Greater[T], kernels.GreaterScalar[T], commuted(kernels.LessScalar[T])}
	case "<=":
		return zipping[T]{kernels.LessEqual[T], kernels.LessEqualScalar[T], commuted(kernels.GreaterEqualScalar[T])}
	case ">=":
		return zipping[T]{kernels.GreaterEqual[T], kernels.GreaterEqualScalar[T], commuted(kernels.LessEqualScalar[T])}
	case "==":
		return zipping[T]{kernels.Equal[T], kernels.EqualScalar[T], commuted(kernels.EqualScalar[T])}
	case "!=":
		return zipping[T]{kernels.NotEqual[T], kernels.NotEqualScalar[T], commuted(kernels.NotEqualScalar[T])}
	case tanhVJPName:
		return zipping[T]{both: kernels.TanhGrad[T]}
	case sigmoidVJPName:
		return zipping[T]{both: kernels.SigmoidGrad[T]}
	case "^":
		return zipping[T]{
			both: func(dst, x, y []T) {
				for i, v := range x {
					dst[i] = power(v, y[i])
				}
			},
			scalar: func(dst, x []T, s T) {
				for i, v := range x {
					dst[i] = power(v, s)
				}
			},
			flip: func(dst []T, s T, x []T) {
				for i, v := range x {
					dst[i] = power(s, v)
				}
			},
		}
	}
	return zipping[T]{}
}

func power[T kernels.Float](x, y T) T { return T(math.Pow(float64(x), float64(y))) }
