package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// combineRows is the greatest number of rows that emitCombine takes.
const combineRows = 8

// emitCombine emits linear combinations of rows.
func emitCombine(t *target) {
	name := "combine" + t.suffix()
	t.Function(name)
	t.held = 0
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s computes dst = Σ a[j]·x[j], or dst + Σ a[j]·x[j] if add is set, over n > 0 elements of rows x[j] that are ldx elements apart, 1 ≤ rows ≤ %d.", name, combineRows))
	t.SignatureExpr(fmt.Sprintf("func(dst, a, x *%s, ldx, rows, n int, add bool)", t.goType()))
	dst := t.Load(t.Param("dst"), t.GP64()).(reg.GPVirtual)
	a := t.Load(t.Param("a"), t.GP64()).(reg.GPVirtual)
	x := t.Load(t.Param("x"), t.GP64()).(reg.GPVirtual)
	ldx := t.stride("ldx")
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	add := t.Load(t.Param("add"), t.GP8()).(reg.GPVirtual)
	t.eachCount("rows", combineRows, func(rows int, prefix string) {
		bases := t.rowBases(x, ldx, rows)
		weights := make([]reg.VecVirtual, rows)
		for j := range weights {
			weights[j] = t.vec()
			t.pick(t.VBROADCASTSS, t.VBROADCASTSD)(operand.Mem{Base: a, Disp: j << t.shift()}, weights[j])
		}
		i := t.GP64()
		t.XORQ(i, i)
		step := func(label string, m mask) {
			load := func(base reg.Register, v reg.VecVirtual) {
				at := operand.Mem{Base: base, Index: i, Scale: 1 << t.shift()}
				if m != nil {
					t.loadMasked(at, m, v)
				} else {
					t.load(at, v)
				}
			}
			sum := t.vec()
			t.pick(t.VXORPS, t.VXORPD)(sum, sum, sum)
			t.TESTB(add, add)
			t.JZ(operand.LabelRef(label))
			load(dst, sum)
			t.Label(label)
			for j, w := range weights {
				v := t.vec()
				load(bases[j], v)
				t.pick(t.VMULPS, t.VMULPD)(w, v, v)
				t.pick(t.VADDPS, t.VADDPD)(v, sum, sum)
			}
			at := operand.Mem{Base: dst, Index: i, Scale: 1 << t.shift()}
			if m != nil {
				t.storeMasked(sum, m, at)
			} else {
				t.store(sum, at)
			}
		}
		width := operand.U8(uint8(t.lanes()))
		t.SUBQ(width, n)
		t.JL(operand.LabelRef(prefix + "rest"))
		t.Label(prefix + "loop")
		step(prefix+"add", nil)
		t.ADDQ(width, i)
		t.SUBQ(width, n)
		t.JGE(operand.LabelRef(prefix + "loop"))
		t.Label(prefix + "rest")
		t.ADDQ(width, n)
		t.JZ(operand.LabelRef(prefix + "done"))
		step(prefix+"addRest", t.laneMasks(n, 1)[0])
		t.Label(prefix + "done")
		t.VZEROUPPER()
		t.RET()
	})
}
