package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// entry is the size of an entry of eight systems.
const entry = 8 * 8

// emitSolve emits the solution of eight symmetric systems side by side.
func emitSolve(t *target) {
	if !t.double {
		return
	}
	name := "solveSymmetric" + t.suffix()
	t.Function(name)
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(name + " does what solvePortable does, for k > 0.")
	t.SignatureExpr("func(a *float64, k int)")
	a := t.Load(t.Param("a"), t.GP64()).(reg.GPVirtual)
	k := t.Load(t.Param("k"), t.GP64()).(reg.GPVirtual)

	parts := entry / t.bytes()
	at := func(base reg.Register, part int) operand.Mem { return operand.Mem{Base: base, Disp: part * t.bytes()} }
	scaled := func(x reg.Register, by int) reg.GPVirtual { // x + by, in entries
		r := t.GP64()
		t.LEAQ(operand.Mem{Base: x, Disp: by}, r)
		t.SHLQ(operand.U8(6), r)
		return r
	}
	one := t.vec()
	t.load(t.table("one", func(int) operand.Constant { return operand.U64(0x3ff0000000000000) }), one)

	// reduce computes s = s − l·u for rows of u that grow by an entry.
	reduce := func(l, u operand.Mem, s []reg.VecVirtual) {
		for h := range parts {
			x := t.vec()
			l, u := l.Offset(h*t.bytes()), u.Offset(h*t.bytes())
			t.VMOVUPD(l, x)
			t.VMULPD(u, x, x)
			t.VSUBPD(x, s[h], s[h])
		}
	}
	vectors := func() []reg.VecVirtual {
		v := make([]reg.VecVirtual, parts)
		for h := range v {
			v[h] = t.vec()
		}
		return v
	}

	j, pivot := t.GP64(), t.GP64()
	t.XORQ(j, j)
	t.MOVQ(a, pivot)
	t.Label("column")
	inv := vectors()
	for h, v := range inv {
		t.VDIVPD(at(pivot, h), one, v)
		t.VMOVUPD(v, at(pivot, h))
	}
	below := t.GP64() // the entry below the pivot
	t.LEAQ(operand.Mem{Base: pivot, Disp: entry}, below)
	t.ADDQ(scaled(j, 0), below)
	row, i := t.GP64(), t.GP64()
	t.MOVQ(below, row) // the entry of row i in column j
	t.LEAQ(operand.Mem{Base: j, Disp: 1}, i)
	t.Label("row")
	l := vectors()
	for h, v := range l {
		t.VMULPD(at(row, h), inv[h], v)
	}
	u, step, v := t.GP64(), scaled(j, 2), t.GP64()
	t.MOVQ(below, u)
	t.LEAQ(operand.Mem{Base: row, Disp: entry}, v)
	count, last := t.GP64(), t.GP64() // min(i, k − 1) − j
	t.LEAQ(operand.Mem{Base: k, Disp: -1}, last)
	t.MOVQ(i, count)
	t.CMPQ(i, last)
	t.CMOVQGT(last, count)
	t.SUBQ(j, count)
	t.JZ(operand.LabelRef("rowDone"))
	t.Label("entry")
	for h := range parts {
		x, s := t.vec(), t.vec()
		t.VMULPD(at(u, h), l[h], x)
		t.VMOVUPD(at(v, h), s)
		t.VSUBPD(x, s, s)
		t.VMOVUPD(s, at(v, h))
	}
	t.ADDQ(step, u)
	t.ADDQ(operand.U8(entry), step)
	t.ADDQ(operand.U8(entry), v)
	t.DECQ(count)
	t.JNZ(operand.LabelRef("entry"))
	t.Label("rowDone")
	t.ADDQ(scaled(i, 1), row)
	t.INCQ(i)
	t.CMPQ(i, k)
	t.JLE(operand.LabelRef("row"))
	t.ADDQ(scaled(j, 2), pivot)
	t.INCQ(j)
	t.CMPQ(j, k)
	t.JL(operand.LabelRef("column"))

	// Here pivot is past the last, in the row of the right-hand side.
	x := t.GP64()
	t.MOVQ(pivot, x)
	t.SUBQ(scaled(k, 0), x)
	t.SUBQ(scaled(k, 1), pivot) // the last
	t.MOVQ(k, j)
	t.DECQ(j)
	t.ADDQ(scaled(j, 0), x)
	t.Label("unknown")
	s := vectors()
	for h, v := range s {
		t.VMOVUPD(at(x, h), v)
	}
	from, with, stride, left := t.GP64(), t.GP64(), scaled(j, 2), t.GP64()
	t.LEAQ(operand.Mem{Base: pivot, Disp: entry}, from)
	t.ADDQ(scaled(j, 0), from)
	t.LEAQ(operand.Mem{Base: x, Disp: entry}, with)
	t.MOVQ(k, left)
	t.DECQ(left)
	t.SUBQ(j, left)
	t.JZ(operand.LabelRef("unknownDone"))
	t.Label("term")
	reduce(operand.Mem{Base: with}, operand.Mem{Base: from}, s)
	t.ADDQ(stride, from)
	t.ADDQ(operand.U8(entry), stride)
	t.ADDQ(operand.U8(entry), with)
	t.DECQ(left)
	t.JNZ(operand.LabelRef("term"))
	t.Label("unknownDone")
	for h, v := range s {
		t.VMULPD(at(pivot, h), v, v)
		t.VMOVUPD(v, at(x, h))
	}
	t.SUBQ(scaled(j, 1), pivot)
	t.SUBQ(operand.U8(entry), x)
	t.DECQ(j)
	t.JGE(operand.LabelRef("unknown"))
	t.VZEROUPPER()
	t.RET()
}
