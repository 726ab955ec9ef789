package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// emitTranspose emits the transpose of one square of a 32-byte vector's width,
// for both levels.
func emitTranspose(t *target) {
	if t.wide {
		return
	}
	name := "transpose" + t.suffix()
	size := t.lanes()
	t.Function(name)
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s computes dst[p,i] = src[i,p] for src [%d,cols]; cols is a positive multiple of %[2]d.", name, size))
	t.SignatureExpr(fmt.Sprintf("func(dst *%[1]s, ldd int, src *%[1]s, lds, cols int)", t.goType()))
	dst := t.Load(t.Param("dst"), t.GP64()).(reg.GPVirtual)
	ldd := t.stride("ldd")
	src := t.Load(t.Param("src"), t.GP64()).(reg.GPVirtual)
	lds := t.stride("lds")
	cols := t.Load(t.Param("cols"), t.GP64()).(reg.GPVirtual)

	t.Label("square")
	rows := make([]reg.VecVirtual, size)
	row := t.GP64()
	t.MOVQ(src, row)
	for i := range rows {
		rows[i] = t.vec()
		t.load(operand.Mem{Base: row}, rows[i])
		t.ADDQ(lds, row)
	}
	if t.double {
		rows = exchange(rows, 1, func(x, y reg.VecVirtual) (low, high reg.VecVirtual) {
			return t.do(nil, t.VUNPCKLPD, y, x), t.do(nil, t.VUNPCKHPD, y, x)
		})
	} else {
		rows = exchange(rows, 1, func(x, y reg.VecVirtual) (low, high reg.VecVirtual) {
			return t.do(t.VUNPCKLPS, nil, y, x), t.do(t.VUNPCKHPS, nil, y, x)
		})
		// Pairs (x0 y0 x1 y1) and (x2 y2 x3 y3) are in rows 2i and 2i+1.
		rows = exchange(rows, 2, func(x, y reg.VecVirtual) (low, high reg.VecVirtual) {
			return t.do(t.VUNPCKLPD, nil, y, x), t.do(t.VUNPCKHPD, nil, y, x)
		})
		for i := 0; i < size; i += 4 {
			rows[i+1], rows[i+2] = rows[i+2], rows[i+1]
		}
	}
	rows = exchange(rows, size/2, func(x, y reg.VecVirtual) (low, high reg.VecVirtual) {
		low, high = t.vec(), t.vec()
		t.VPERM2F128(operand.U8(0x20), y, x, low)
		t.VPERM2F128(operand.U8(0x31), y, x, high)
		return low, high
	})
	for _, v := range rows {
		t.store(v, operand.Mem{Base: dst})
		t.ADDQ(ldd, dst)
	}
	t.ADDQ(operand.U8(32), src)
	t.SUBQ(operand.U8(uint8(size)), cols)
	t.JNZ(operand.LabelRef("square"))
	t.VZEROUPPER()
	t.RET()
}

// exchange puts f of each two rows that are distance apart in their places.
func exchange(rows []reg.VecVirtual, distance int, f func(x, y reg.VecVirtual) (low, high reg.VecVirtual)) []reg.VecVirtual {
	for i := range rows {
		if i&distance == 0 {
			rows[i], rows[i+distance] = f(rows[i], rows[i+distance])
		}
	}
	return rows
}
