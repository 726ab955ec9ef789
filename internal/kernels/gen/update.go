package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An update is a step of an optimiser, element by element: from the arrays, the
// parameter first and the gradient second, and the coefficients c it computes the new
// contents of all arrays but the gradient, in their order.
type update struct {
	name    string
	arrays  []string
	scalars int
	compute func(t *target, a, c []reg.VecVirtual) []reg.VecVirtual
}

var updates = []update{
	{"adam", []string{"p", "grad", "m", "v"}, 8, func(t *target, a, c []reg.VecVirtual) []reg.VecVirtual {
		g := a[1]
		m := t.add(t.mul(c[0], a[2]), t.mul(c[1], g))
		v := t.add(t.mul(c[2], a[3]), t.mul(t.mul(c[3], g), g))
		size := t.add(t.sqrt(t.mul(v, c[5])), c[6])
		return []reg.VecVirtual{t.sub(t.mul(c[7], a[0]), t.div(t.mul(c[4], m), size)), m, v}
	}},
	{"rmsProp", []string{"p", "grad", "v"}, 4, func(t *target, a, c []reg.VecVirtual) []reg.VecVirtual {
		g := a[1]
		v := t.add(t.mul(c[0], a[2]), t.mul(t.mul(c[1], g), g))
		return []reg.VecVirtual{t.sub(a[0], t.div(t.mul(c[2], g), t.add(t.sqrt(v), c[3]))), v}
	}},
	{"momentum", []string{"p", "grad", "v"}, 3, func(t *target, a, c []reg.VecVirtual) []reg.VecVirtual {
		g := t.add(a[1], t.mul(c[0], a[0]))
		v := t.add(t.mul(c[1], a[2]), g)
		return []reg.VecVirtual{t.sub(a[0], t.mul(c[2], v)), v}
	}},
	{"nesterov", []string{"p", "grad", "v"}, 3, func(t *target, a, c []reg.VecVirtual) []reg.VecVirtual {
		g := t.add(a[1], t.mul(c[0], a[0]))
		v := t.add(t.mul(c[1], a[2]), g)
		return []reg.VecVirtual{t.sub(a[0], t.mul(c[2], t.add(g, t.mul(c[1], v)))), v}
	}},
}

func emitUpdates(t *target) {
	for _, u := range updates {
		t.emitUpdate(u)
	}
}

func (t *target) emitUpdate(u update) {
	name := u.name + t.suffix()
	t.Function(name)
	t.held = 0
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s does what %sPortable does, with the coefficients c in the order of their fields.", name, u.name))
	arrays := make([]reg.GPVirtual, len(u.arrays))
	signature := "func("
	for _, a := range u.arrays {
		signature += a + ", "
	}
	t.SignatureExpr(signature + fmt.Sprintf("c *%s, n int)", t.goType()))
	for j, a := range u.arrays {
		arrays[j] = t.Load(t.Param(a), t.GP64()).(reg.GPVirtual)
	}
	c := t.Load(t.Param("c"), t.GP64()).(reg.GPVirtual)
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	scalars := make([]reg.VecVirtual, u.scalars)
	for j := range scalars {
		scalars[j] = t.vec()
		t.pick(t.VBROADCASTSS, t.VBROADCASTSD)(operand.Mem{Base: c, Disp: j << t.shift()}, scalars[j])
	}
	i := t.GP64()
	t.XORQ(i, i)
	step := func(m mask) {
		at := func(j int) operand.Mem { return operand.Mem{Base: arrays[j], Index: i, Scale: 1 << t.shift()} }
		values := make([]reg.VecVirtual, len(arrays))
		for j := range values {
			values[j] = t.vec()
			if m != nil {
				t.loadMasked(at(j), m, values[j])
			} else {
				t.load(at(j), values[j])
			}
		}
		for k, v := range u.compute(t, values, scalars) {
			j := k
			if k > 0 {
				j++ // the gradient stays
			}
			if m != nil {
				t.storeMasked(v, m, at(j))
			} else {
				t.store(v, at(j))
			}
		}
	}
	width := operand.U8(uint8(t.lanes()))
	t.SUBQ(width, n)
	t.JL(operand.LabelRef("rest"))
	t.Label("loop")
	step(nil)
	t.ADDQ(width, i)
	t.SUBQ(width, n)
	t.JGE(operand.LabelRef("loop"))
	t.Label("rest")
	t.ADDQ(width, n)
	t.JZ(operand.LabelRef("done"))
	step(t.laneMasks(n, 1)[0])
	t.Label("done")
	t.VZEROUPPER()
	t.RET()
}
