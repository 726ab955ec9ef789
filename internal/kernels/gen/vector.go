package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The methods below are expressions: each emits one operation and returns its
// result in a register of its own. Operands that are written operand.Op may be
// constants.

func (t *target) add(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VADDPS, t.VADDPD, y, x)
}

// sub returns x − y.
func (t *target) sub(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VSUBPS, t.VSUBPD, y, x)
}

func (t *target) mul(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VMULPS, t.VMULPD, y, x)
}

// div returns x/y.
func (t *target) div(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VDIVPS, t.VDIVPD, y, x)
}

func (t *target) sqrt(x reg.VecVirtual) reg.VecVirtual { return t.do(t.VSQRTPS, t.VSQRTPD, x) }

// max returns x if x > y, else y.
func (t *target) max(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VMAXPS, t.VMAXPD, y, x)
}

// min returns x if x < y, else y.
func (t *target) min(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VMINPS, t.VMINPD, y, x)
}

func (t *target) and(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VANDPS, t.VANDPD, y, x)
}

// andNot returns the bits of x that are not set in mask.
func (t *target) andNot(x operand.Op, mask reg.VecVirtual) reg.VecVirtual {
	return t.do(t.VANDNPS, t.VANDNPD, x, mask)
}

func (t *target) or(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VORPS, t.VORPD, y, x)
}

func (t *target) xor(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VXORPS, t.VXORPD, y, x)
}

// addInt adds as integers.
func (t *target) addInt(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VPADDD, t.VPADDQ, y, x)
}

// subInt returns x − y as integers.
func (t *target) subInt(x reg.VecVirtual, y operand.Op) reg.VecVirtual {
	return t.do(t.VPSUBD, t.VPSUBQ, y, x)
}

func (t *target) shiftLeft(x reg.VecVirtual, bits int) reg.VecVirtual {
	return t.do(t.VPSLLD, t.VPSLLQ, operand.U8(uint8(bits)), x)
}

// shiftRight fills up with zeros.
func (t *target) shiftRight(x reg.VecVirtual, bits int) reg.VecVirtual {
	return t.do(t.VPSRLD, t.VPSRLQ, operand.U8(uint8(bits)), x)
}

// mulAdd returns x·y + z, rounded once.
func (t *target) mulAdd(x operand.Op, y, z reg.VecVirtual) reg.VecVirtual {
	r := t.copy(z)
	t.pick(t.VFMADD231PS, t.VFMADD231PD)(x, y, r)
	return r
}

// negMulAdd returns z − x·y, rounded once.
func (t *target) negMulAdd(x operand.Op, y, z reg.VecVirtual) reg.VecVirtual {
	r := t.copy(z)
	t.pick(t.VFNMADD231PS, t.VFNMADD231PD)(x, y, r)
	return r
}

// mulSub returns x·y − z, rounded once.
func (t *target) mulSub(x operand.Op, y, z reg.VecVirtual) reg.VecVirtual {
	r := t.copy(z)
	t.pick(t.VFMSUB231PS, t.VFMSUB231PD)(x, y, r)
	return r
}

// polynomial returns Σ c[i]·xⁱ by Horner's rule, a long one as the sum of its even
// and its odd part, which run side by side.
func (t *target) polynomial(c []operand.Op, x reg.VecVirtual) reg.VecVirtual {
	if len(c) > 6 {
		var parts [2][]operand.Op
		for i, v := range c {
			parts[i%2] = append(parts[i%2], v)
		}
		square := t.mul(x, x)
		return t.mulAdd(t.polynomial(parts[1], square), x, t.polynomial(parts[0], square))
	}
	r := t.copy(c[len(c)-1])
	for i := len(c) - 2; i >= 0; i-- {
		t.pick(t.VFMADD213PS, t.VFMADD213PD)(c[i], x, r)
	}
	return r
}

func (t *target) copy(x operand.Op) reg.VecVirtual {
	r := t.vec()
	t.pick(t.VMOVUPS, t.VMOVUPD)(x, r)
	return r
}

// do emits an instruction with the operands and a new register for its result.
func (t *target) do(single, double instruction, operands ...operand.Op) reg.VecVirtual {
	r := t.vec()
	t.pick(single, double)(append(operands, r)...)
	return r
}

// A relation is the immediate operand of a comparison.
type relation uint8

const (
	equal        relation = 0x00
	less         relation = 0x11
	lessEqual    relation = 0x12
	unordered    relation = 0x03
	notEqual     relation = 0x04
	greaterEqual relation = 0x1d
	greater      relation = 0x1e
)

// choose returns yes in the lanes where x stands in the relation to y, else no.
func (t *target) choose(x reg.VecVirtual, is relation, y operand.Op, yes, no reg.VecVirtual) reg.VecVirtual {
	if t.wide {
		k, r := t.K(), t.copy(no)
		t.pick(t.VCMPPS, t.VCMPPD)(operand.U8(is), y, x, k)
		t.pick(t.VMOVUPS, t.VMOVUPD)(yes, k, r)
		return r
	}
	m, r := t.vec(), t.vec()
	t.pick(t.VCMPPS, t.VCMPPD)(operand.U8(is), y, x, m)
	if t.double {
		t.VBLENDVPD(m, yes, no, r)
	} else {
		t.VBLENDVPS(m, yes, no, r)
	}
	return r
}

// bits returns an integer constant of an element's size: single or double.
func (t *target) bits(single uint32, double uint64) operand.Op {
	value, name := operand.Constant(operand.U32(single)), fmt.Sprintf("c%x", single)
	if t.double {
		value, name = operand.U64(double), fmt.Sprintf("c%x", double)
	}
	m := t.table(name, func(int) operand.Constant { return value })
	if limit := map[bool]int{false: 8, true: 18}[t.wide]; t.held == limit {
		return m // the other half of the registers is for the computation
	}
	t.held++
	v := t.vec()
	t.load(m, v)
	return v
}

// constant returns x rounded to the number type.
func (t *target) constant(x float64) operand.Op {
	return t.bits(math.Float32bits(float32(x)), math.Float64bits(x))
}

// register returns a constant that is in a register at either level.
func (t *target) register(c operand.Op) reg.VecVirtual {
	if v, ok := c.(reg.VecVirtual); ok {
		return v
	}
	return t.copy(c)
}

func (t *target) constants(x []float64) []operand.Op {
	c := make([]operand.Op, len(x))
	for i, v := range x {
		c[i] = t.constant(v)
	}
	return c
}

// laneNumbers returns i·lanes, i·lanes + 1, … as integers of an element's size.
func (t *target) laneNumbers(i int) operand.Mem {
	return t.table(fmt.Sprintf("lanes%d", i), func(lane int) operand.Constant {
		if t.double {
			return operand.U64(uint64(i*t.lanes() + lane))
		}
		return operand.U32(uint32(i*t.lanes() + lane))
	})
}

// table returns a vector constant, which it defines on first use.
func (t *target) table(name string, value func(lane int) operand.Constant) operand.Mem {
	name += t.suffix()
	if m, ok := t.tables[name]; ok {
		return m
	}
	m := t.StaticGlobal(name)
	t.DataAttributes(attr.RODATA | attr.NOPTR)
	for lane := range t.lanes() {
		t.AppendDatum(value(lane))
	}
	t.tables[name] = m
	return m
}
