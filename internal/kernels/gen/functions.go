package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The polynomials interpolate at the Chebyshev nodes of their interval; they were
// computed with 60 digits. Errors are relative to the function they serve.
var (
	// (eʳ − 1 − r)/r² for |r| ≤ (log 2)/2: 1.0e-8 and 2.3e-19.
	expPolynomial = [2][]float64{
		{0.5, 0.16666576989698775683, 0.041666554617204574203, 0.0083631790527225773704, 0.0013926183587713494542},
		{0.5, 0.16666666666666670991, 0.041666666666666669755, 0.0083333333333261351258, 0.0013888888888883748305,
			0.00019841269874820625271, 0.000024801587325547741216, 2.755725540020642443e-6, 2.7557273643110295328e-7,
			2.5105217004720745164e-8, 2.0914686968086877233e-9},
	}
	// (2 artanh(s)/s − 2)/s² as a polynomial in s² ≤ 1/9: 3.9e-10 and 4.8e-18.
	logPolynomial = [2][]float64{
		{0.66666667320527412469, 0.39999706331929717402, 0.28592357994302837723, 0.21706575800880372646, 0.23224329224233348832},
		{0.66666666666666658561, 0.40000000000014582673, 0.28571428567108757162, 0.22222222717427862989, 0.18181789436132858169,
			0.15385570064958623103, 0.1331414420965493615, 0.12001072809590712535, 0.088007384861446738822, 0.16164045611943532221},
	}
)

// ln2 returns log 2 as a sum of two numbers of the type.
func (t *target) ln2() (high, low operand.Op) {
	if t.double {
		return t.constant(math.Ln2), t.constant(2.3190468138462996e-17)
	}
	return t.constant(math.Ln2), t.constant(-1.9046542999576802e-9)
}

func (t *target) coefficients(p [2][]float64) []operand.Op {
	if t.double {
		return t.constants(p[1])
	}
	return t.constants(p[0])
}

// digits is the number of bits after the point of a number's significand.
func (t *target) digits() int {
	if t.double {
		return 52
	}
	return 23
}

// bias is what an exponent is stored with.
func (t *target) bias() int {
	if t.double {
		return 1023
	}
	return 127
}

// rounding is 1.5·2^digits: a small x plus it has the nearest integer to x in its
// lowest bits.
func (t *target) rounding() float64 { return 1.5 * math.Ldexp(1, t.digits()) }

// expression computes a vector from one vector.
type expression = func(x reg.VecVirtual) reg.VecVirtual

func unary(f func(t *target) expression) func(*target, operand.Op) func([3]reg.VecVirtual) reg.VecVirtual {
	return func(t *target, _ operand.Op) func([3]reg.VecVirtual) reg.VecVirtual {
		g := f(t)
		return func(v [3]reg.VecVirtual) reg.VecVirtual { return g(v[0]) }
	}
}

// reduce prepares x = n·log 2 + r, |r| ≤ (log 2)/2. It returns eʳ − 1, and n in
// the lowest bits of a vector that is otherwise those of [target.rounding].
func reduce(t *target) func(x reg.VecVirtual) (p, n reg.VecVirtual) {
	c := t.coefficients(expPolynomial)
	log2e, rounding := t.constant(math.Log2E), t.constant(t.rounding())
	high, low := t.ln2()
	return func(x reg.VecVirtual) (p, n reg.VecVirtual) {
		n = t.mulAdd(log2e, x, t.copy(rounding))
		whole := t.sub(n, rounding)
		r := t.negMulAdd(low, whole, t.negMulAdd(high, whole, x))
		return t.mulAdd(t.mul(r, r), t.polynomial(c, r), r), n
	}
}

// exp prepares eˣ for x not above the first number whose eˣ overflows by much. It
// multiplies by 2ⁿ in two steps, the first exact, so that a subnormal result is
// rounded once.
func exp(t *target) expression {
	lowest := t.constant(map[bool]float64{false: -105, true: -746}[t.double])
	one := t.constant(1)
	rounding := math.Float64bits(t.rounding())
	if !t.double {
		rounding = uint64(math.Float32bits(float32(t.rounding())))
	}
	rounding -= uint64(2 * t.bias())
	offset := t.bits(uint32(rounding), rounding)
	red := reduce(t)
	return func(x reg.VecVirtual) reg.VecVirtual {
		p, n := red(t.max(t.register(lowest), x))
		p = t.add(p, one)
		sum := t.subInt(n, offset) // n + 2·bias
		half := t.shiftRight(sum, 1)
		p = t.mul(p, t.shiftLeft(half, t.digits()))
		return t.mul(p, t.shiftLeft(t.subInt(sum, half), t.digits()))
	}
}

func expOp(t *target) expression {
	highest := t.constant(map[bool]float64{false: 89, true: 710}[t.double])
	e := exp(t)
	return func(x reg.VecVirtual) reg.VecVirtual { return e(t.min(t.register(highest), x)) }
}

// tanhOp computes e/(e + 1) for e = (e^{2|x|} − 1)/2 = 2ⁿ·(e^{2r} − 1)/2 + (2ⁿ − 1)/2
// with |x| = n·(log 2)/2 + r, and gives it the sign of x. Where |x| is clamped the
// result is 1.
func tanhOp(t *target) expression {
	c := expPolynomial[0]
	highest := 10.
	if t.double {
		c, highest = expPolynomial[1], 20
	}
	var scaled []float64 // (e^{2r} − 1)/2 = r + r²·Σ scaled[i]·rⁱ
	for i, v := range c {
		scaled = append(scaled, math.Ldexp(v, i+1))
	}
	sign := t.bits(1<<31, 1<<63)
	log4e, rounding := t.constant(2*math.Log2E), t.constant(t.rounding())
	one, half, ln2 := t.constant(1), t.constant(0.5), t.constant(math.Ln2/2)
	coefficients := t.constants(scaled)
	clamp := t.constant(highest)
	return func(x reg.VecVirtual) reg.VecVirtual {
		y := t.min(t.register(clamp), t.andNot(x, t.register(sign)))
		n := t.mulAdd(log4e, y, t.register(rounding))
		r := t.negMulAdd(ln2, t.sub(n, rounding), y)
		p := t.mulAdd(t.mul(r, r), t.polynomial(coefficients, r), r)
		power := t.addInt(t.shiftLeft(n, t.digits()), one)
		e := t.mulAdd(p, power, t.mulSub(half, power, t.register(half)))
		return t.or(t.div(e, t.add(e, one)), t.and(x, sign))
	}
}

// sigmoidOp computes 1/(1 + e) for x ≥ 0 and e/(1 + e) for x < 0, e = e^{−|x|}.
func sigmoidOp(t *target) expression {
	sign := t.bits(1<<31, 1<<63)
	one := t.constant(1)
	zero := t.constant(0)
	f := exp(t)
	return func(x reg.VecVirtual) reg.VecVirtual {
		e := f(t.or(x, sign))
		return t.div(t.choose(x, less, zero, e, t.register(one)), t.add(e, one))
	}
}

// log1p prepares log(1 + f), −0.3 < f ≤ 1, as f − (f²/2 − s·(f²/2 + R(s²))) with
// s = f/(2 + f); low, if not nil, is added in the inner bracket.
func log1p(t *target) func(f, low reg.VecVirtual) reg.VecVirtual {
	c := t.coefficients(logPolynomial)
	half, two := t.constant(0.5), t.constant(2)
	return func(f, low reg.VecVirtual) reg.VecVirtual {
		s := t.div(f, t.add(f, two))
		w := t.mul(s, s)
		square := t.mul(t.mul(f, half), f)
		inner := t.mulAdd(t.polynomial(c, w), w, square)
		if low == nil {
			return t.sub(f, t.negMulAdd(inner, s, square))
		}
		return t.sub(f, t.sub(square, t.mulAdd(inner, s, low)))
	}
}

// softplusOp computes max(x, 0) + log(1 + e^{−|x|}).
func softplusOp(t *target) expression {
	sign := t.bits(1<<31, 1<<63)
	zero := t.constant(0)
	f, g := exp(t), log1p(t)
	return func(x reg.VecVirtual) reg.VecVirtual {
		return t.add(g(f(t.or(x, sign)), nil), t.max(x, zero))
	}
}

// logOp computes k·log 2 + log m for x = 2ᵏ·m, √½ ≤ m < √2.
func logOp(t *target) expression {
	if !t.wide {
		t.held += 2 // of the 16 registers the computation needs ten
	}
	inf := t.constant(math.Inf(1))
	nan := t.constant(math.NaN())
	minusInf := t.constant(math.Inf(-1))
	zero, one := t.constant(0), t.constant(1)
	least := t.constant(math.Ldexp(1, 1-t.bias())) // the least normal number
	up := t.constant(math.Ldexp(1, t.digits()))
	rounding := t.constant(t.rounding())
	// x's bits less those of √½, with k + bias in place of k.
	root := t.bits(math.Float32bits(math.Sqrt2/2)-127<<23, math.Float64bits(math.Sqrt2/2)-1023<<52)
	unbias := t.constant(t.rounding() + float64(t.bias()))
	down := t.constant(float64(-t.digits()))
	shift := t.bits(127<<23, 1023<<52)
	high, low := t.ln2()
	g := log1p(t)
	return func(x reg.VecVirtual) reg.VecVirtual {
		y := t.choose(x, less, least, t.mul(x, up), x)
		scaled := t.choose(x, less, least, t.register(down), t.register(zero))
		biased := t.shiftRight(t.subInt(y, root), t.digits())
		k := t.sub(t.addInt(biased, rounding), unbias)
		m := t.subInt(y, t.shiftLeft(biased, t.digits()))
		m = t.addInt(m, shift)
		k = t.add(k, scaled)
		r := g(t.sub(m, one), t.mul(k, low))
		r = t.mulAdd(high, k, r)
		r = t.choose(x, less, inf, r, x)
		r = t.choose(x, equal, zero, t.register(minusInf), r)
		return t.choose(x, less, zero, t.register(nan), r)
	}
}
