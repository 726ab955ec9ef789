package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An op is an elementwise kernel dst = op(x, y, z, s). Its name is that of the
// package's function and of its number, op and that name.
type op struct {
	name    string
	vectors int  // how many of x, y and z it reads
	scalar  bool // whether it reads s
	doc     string
	// prepare emits what comes before the loop, and returns a function that
	// emits the computation for one vector of each operand.
	prepare func(t *target, s operand.Op) func(v [3]reg.VecVirtual) reg.VecVirtual
}

const unroll = 2

// emitElementwise emits every op.
func emitElementwise(t *target) {
	for _, o := range ops {
		t.emitOp(o)
	}
}

func (t *target) emitOp(o op) {
	name := lowerFirst(o.name) + t.suffix()
	t.Function(name)
	t.held = 0
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(name + " computes dst = " + o.doc + ".")
	t.SignatureExpr(fmt.Sprintf("func(dst, x, y, z *%[1]s, s %[1]s, n int)", t.goType()))

	var sources [3]reg.GPVirtual
	for i := range o.vectors {
		sources[i] = t.Load(t.Param([]string{"x", "y", "z"}[i]), t.GP64()).(reg.GPVirtual)
	}
	dst := t.Load(t.Param("dst"), t.GP64()).(reg.GPVirtual)
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	var s operand.Op
	if o.scalar {
		m, err := t.Param("s").Resolve()
		if err != nil {
			panic(err)
		}
		v := t.vec()
		t.pick(t.VBROADCASTSS, t.VBROADCASTSD)(m.Addr, v)
		s = v
	}
	compute := o.prepare(t, s)
	i := t.GP64() // the elements done
	t.XORQ(i, i)
	at := func(base reg.Register, vector int) operand.Mem {
		return operand.Mem{Base: base, Index: i, Scale: 1 << t.shift(), Disp: vector * t.bytes()}
	}
	step := func(vector int, m mask) {
		var v [3]reg.VecVirtual
		for j := range o.vectors {
			v[j] = t.vec()
			if m != nil {
				t.loadMasked(at(sources[j], vector), m, v[j])
			} else {
				t.load(at(sources[j], vector), v[j])
			}
		}
		if r := compute(v); m != nil {
			t.storeMasked(r, m, at(dst, vector))
		} else {
			t.store(r, at(dst, vector))
		}
	}
	// n counts down from here on: at the head of a loop over count vectors it
	// is how many elements there are beyond them.
	loop := func(label, next string, count int) {
		width := operand.U8(uint8(count * t.lanes()))
		t.SUBQ(width, n)
		t.JL(operand.LabelRef(next))
		t.Label(label)
		for j := range count {
			step(j, nil)
		}
		t.ADDQ(width, i)
		t.SUBQ(width, n)
		t.JGE(operand.LabelRef(label))
		t.Label(next)
		t.ADDQ(width, n)
	}
	loop("many", "few", unroll)
	loop("one", "last", 1)
	t.JZ(operand.LabelRef("done"))
	step(0, t.laneMasks(n, 1)[0])
	t.Label("done")
	t.VZEROUPPER()
	t.RET()
}
