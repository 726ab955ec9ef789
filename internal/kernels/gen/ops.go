package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

type v3 = [3]reg.VecVirtual

var ops = []op{
	{"Tanh", 1, false, "tanh(x)", unary(tanhOp)},
	{"Exp", 1, false, "eˣ", unary(expOp)},
	{"Sigmoid", 1, false, "1/(1 + e⁻ˣ)", unary(sigmoidOp)},
	{"Softplus", 1, false, "log(1 + eˣ)", unary(softplusOp)},
	{"Log", 1, false, "log x", unary(logOp)},
	{"Relu", 1, false, "max(x, 0)", unary(func(t *target) expression {
		zero := t.register(t.constant(0))
		return func(x reg.VecVirtual) reg.VecVirtual { return t.max(zero, x) }
	})},
	{"Sqrt", 1, false, "√x", unary(func(t *target) expression { return t.sqrt })},
	{"Square", 1, false, "x²", unary(func(t *target) expression {
		return func(x reg.VecVirtual) reg.VecVirtual { return t.mul(x, x) }
	})},
	{"Neg", 1, false, "−x", unary(func(t *target) expression {
		sign := t.bits(1<<31, 1<<63)
		return func(x reg.VecVirtual) reg.VecVirtual { return t.xor(x, sign) }
	})},
	{"Abs", 1, false, "|x|", unary(func(t *target) expression {
		rest := t.bits(1<<31-1, 1<<63-1)
		return func(x reg.VecVirtual) reg.VecVirtual { return t.and(x, rest) }
	})},
	{"Inv", 1, false, "1/x", unary(func(t *target) expression {
		one := t.register(t.constant(1))
		return func(x reg.VecVirtual) reg.VecVirtual { return t.div(one, x) }
	})},

	binary("Add", "x + y", func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return t.add(x, y) }),
	binary("Sub", "x − y", func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return t.sub(x, y) }),
	binary("Mul", "x·y", func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return t.mul(x, y) }),
	binary("Div", "x/y", func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return t.div(x, y) }),
	binary("Max", "max(x, y)", larger),
	binary("Min", "min(x, y)", smaller),
	compare("Less", "[x < y]", less),
	compare("LessEqual", "[x ≤ y]", lessEqual),
	compare("Equal", "[x = y]", equal),
	compare("NotEqual", "[x ≠ y]", notEqual),

	{"MulAdd", 3, false, "x·y + z", func(t *target, _ operand.Op) func(v3) reg.VecVirtual {
		return func(v v3) reg.VecVirtual { return t.add(t.mul(v[0], v[1]), v[2]) }
	}},
	{"TanhGrad", 2, false, "x·(1 − y²)", func(t *target, _ operand.Op) func(v3) reg.VecVirtual {
		one := t.register(t.constant(1))
		return func(v v3) reg.VecVirtual { return t.mul(v[0], t.sub(one, t.mul(v[1], v[1]))) }
	}},
	{"SigmoidGrad", 2, false, "x·(y·(1 − y))", func(t *target, _ operand.Op) func(v3) reg.VecVirtual {
		one := t.register(t.constant(1))
		return func(v v3) reg.VecVirtual { return t.mul(v[0], t.mul(v[1], t.sub(one, v[1]))) }
	}},
	{"ReluGrad", 2, false, "x where y > 0, else 0", func(t *target, _ operand.Op) func(v3) reg.VecVirtual {
		zero := t.register(t.constant(0))
		return func(v v3) reg.VecVirtual { return t.choose(v[1], greater, zero, v[0], zero) }
	}},

	{"Fill", 0, true, "s", func(t *target, s operand.Op) func(v3) reg.VecVirtual {
		return func(v3) reg.VecVirtual { return t.register(s) }
	}},
	scalar("Scale", "s·x", func(t *target, x, s reg.VecVirtual) reg.VecVirtual { return t.mul(s, x) }),
	scalar("AddScalar", "x + s", func(t *target, x, s reg.VecVirtual) reg.VecVirtual { return t.add(x, s) }),
	scalar("ScalarSub", "s − x", func(t *target, x, s reg.VecVirtual) reg.VecVirtual { return t.sub(s, x) }),
	scalar("DivScalar", "x/s", func(t *target, x, s reg.VecVirtual) reg.VecVirtual { return t.div(x, s) }),
	scalar("ScalarDiv", "s/x", func(t *target, x, s reg.VecVirtual) reg.VecVirtual { return t.div(s, x) }),
	scalar("MaxScalar", "max(x, s)", larger),
	scalar("MinScalar", "min(x, s)", smaller),
	compare("LessScalar", "[x < s]", less),
	compare("LessEqualScalar", "[x ≤ s]", lessEqual),
	compare("GreaterScalar", "[x > s]", greater),
	compare("GreaterEqualScalar", "[x ≥ s]", greaterEqual),
	compare("EqualScalar", "[x = s]", equal),
	compare("NotEqualScalar", "[x ≠ s]", notEqual),

	{"Axpy", 2, true, "y + s·x", func(t *target, s operand.Op) func(v3) reg.VecVirtual {
		return func(v v3) reg.VecVirtual { return t.add(v[1], t.mul(v[0], s)) }
	}},
	{"Lerp", 2, true, "x + s·(y − x)", func(t *target, s operand.Op) func(v3) reg.VecVirtual {
		return func(v v3) reg.VecVirtual { return t.add(v[0], t.mul(t.sub(v[1], v[0]), s)) }
	}},
}

type pair = func(t *target, x, y reg.VecVirtual) reg.VecVirtual

func binary(name, doc string, f pair) op {
	return op{name, 2, false, doc, func(t *target, _ operand.Op) func(v3) reg.VecVirtual {
		return func(v v3) reg.VecVirtual { return f(t, v[0], v[1]) }
	}}
}

func scalar(name, doc string, f pair) op {
	return op{name, 1, true, doc, func(t *target, s operand.Op) func(v3) reg.VecVirtual {
		return func(v v3) reg.VecVirtual { return f(t, v[0], t.register(s)) }
	}}
}

// compare makes an op of x and y, or of x and s if its name says so.
func compare(name, doc string, is relation) op {
	o := op{name, 2, false, doc, nil}
	if strings.HasSuffix(name, "Scalar") {
		o.vectors, o.scalar = 1, true
	}
	o.prepare = func(t *target, s operand.Op) func(v3) reg.VecVirtual {
		zero, one := t.register(t.constant(0)), t.register(t.constant(1))
		return func(v v3) reg.VecVirtual {
			if o.scalar {
				return t.choose(v[0], is, s, one, zero)
			}
			return t.choose(v[0], is, v[1], one, zero)
		}
	}
	return o
}

// larger is NaN if either operand is: the instruction returns the second, y.
func larger(t *target, x, y reg.VecVirtual) reg.VecVirtual {
	return t.choose(x, unordered, x, x, t.max(x, y))
}

func smaller(t *target, x, y reg.VecVirtual) reg.VecVirtual {
	return t.choose(x, unordered, x, x, t.min(x, y))
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }
