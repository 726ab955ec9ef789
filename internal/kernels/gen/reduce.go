package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// partial is the number of partial results of a reduction.
const partial = 16

// A reduction adds term(x[i], y[i]), in float64, to partial sum i mod 16.
type reduction struct {
	name, doc string
	pair      bool // whether it reads y
	term      func(t *target, x, y reg.VecVirtual) reg.VecVirtual
}

var reductions = []reduction{
	{"Sum", "x", false, func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return x }},
	{"Dot", "x·y", true, func(t *target, x, y reg.VecVirtual) reg.VecVirtual { return t.mul(x, y) }},
	{"SquaredDistance", "(x − y)²", true, func(t *target, x, y reg.VecVirtual) reg.VecVirtual {
		d := t.sub(x, y)
		return t.mul(d, d)
	}},
}

func emitReductions(t *target) {
	for _, r := range reductions {
		t.emitSum(r)
	}
	t.emitMaxAbs()
}

func (t *target) emitSum(r reduction) {
	double := *t // computes in float64
	double.double = true
	name := lowerFirst(r.name) + t.suffix()
	t.Function(name)
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s sets part[l] to the sum of %s over the elements l, l + %d, …; n is a positive multiple of %[3]d.", name, r.doc, partial))
	t.SignatureExpr(fmt.Sprintf("func(part *float64, x, y *%s, n int)", t.goType()))
	x := t.Load(t.Param("x"), t.GP64()).(reg.GPVirtual)
	y := x
	if r.pair {
		y = t.Load(t.Param("y"), t.GP64()).(reg.GPVirtual)
	}
	var sums [partial * 8 / 32]reg.VecVirtual
	count := partial / double.lanes()
	for g := range count {
		sums[g] = t.vec()
		t.VXORPD(sums[g], sums[g], sums[g])
	}
	load := func(base reg.Register, i reg.Register, group int) reg.VecVirtual {
		v := t.vec()
		m := operand.Mem{Base: base, Index: i, Scale: 1 << t.shift(), Disp: group * double.lanes() << t.shift()}
		if t.double {
			t.VMOVUPD(m, v)
		} else {
			t.VCVTPS2PD(m, v)
		}
		return v
	}
	t.sixteens(func(i reg.Register) {
		for g := range count {
			u := load(x, i, g)
			v := u
			if r.pair {
				v = load(y, i, g)
			}
			t.VADDPD(r.term(&double, u, v), sums[g], sums[g])
		}
	})
	part := t.Load(t.Param("part"), t.GP64()).(reg.GPVirtual)
	for g := range count {
		t.VMOVUPD(sums[g], operand.Mem{Base: part, Disp: g * t.bytes()})
	}
	t.VZEROUPPER()
	t.RET()
}

// sixteens emits a loop over n elements, 16 at a time.
func (t *target) sixteens(body func(i reg.Register)) {
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	i := t.GP64()
	t.XORQ(i, i)
	t.Label("loop")
	body(i)
	t.ADDQ(operand.U8(partial), i)
	t.CMPQ(i, n)
	t.JL(operand.LabelRef("loop"))
}

// emitMaxAbs compares the bits without the sign as integers, where NaN is the
// greatest.
func (t *target) emitMaxAbs() {
	name := "maxAbs" + t.suffix()
	t.Function(name)
	t.held = 0
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s sets part[l] to the greatest |x|, or NaN, of the elements l, l + %d, …; n is a positive multiple of %[2]d.", name, partial))
	t.SignatureExpr(fmt.Sprintf("func(part, x *%s, n int)", t.goType()))
	x := t.Load(t.Param("x"), t.GP64()).(reg.GPVirtual)
	rest := t.register(t.bits(1<<31-1, 1<<63-1))
	most := make([]reg.VecVirtual, partial/t.lanes())
	for g := range most {
		most[g] = t.vec()
		t.pick(t.VXORPS, t.VXORPD)(most[g], most[g], most[g])
	}
	t.sixteens(func(i reg.Register) {
		for g, m := range most {
			v := t.and(rest, operand.Mem{Base: x, Index: i, Scale: 1 << t.shift(), Disp: g * t.bytes()})
			switch {
			case !t.double:
				t.VPMAXSD(v, m, m)
			case t.wide:
				t.VPMAXSQ(v, m, m)
			default:
				more := t.vec()
				t.VPCMPGTQ(m, v, more)
				t.VBLENDVPD(more, v, m, m)
			}
		}
	})
	part := t.Load(t.Param("part"), t.GP64()).(reg.GPVirtual)
	for g, m := range most {
		t.store(m, operand.Mem{Base: part, Disp: g * t.bytes()})
	}
	t.VZEROUPPER()
	t.RET()
}
