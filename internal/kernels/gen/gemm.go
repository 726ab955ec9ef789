package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileVectors is the width of a register tile in vectors.
const tileVectors = 2

// tileRows is the greatest height of a register tile: what fits in the registers
// with two vectors of B and one element of A.
func (t *target) tileRows() int {
	if t.wide {
		return 14
	}
	return 6
}

// emitTile emits the gemm micro-kernel.
func emitTile(t *target) {
	t.Function("tile" + t.suffix())
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(
		fmt.Sprintf("tile%s computes C = C + A·B, or C = A·B unless add is set, for C [rows,cols],", t.suffix()),
		fmt.Sprintf("A [rows,k] and B [k,cols], 1 ≤ rows ≤ %d and 1 ≤ cols ≤ %d.", t.tileRows(), tileVectors*t.lanes()),
	)
	t.SignatureExpr(fmt.Sprintf("func(rows, cols, k int, a *%[1]s, rowStep, colStep int, b *%[1]s, ldb int, c *%[1]s, ldc int, add bool)", t.goType()))

	k := t.Load(t.Param("k"), t.GP64()).(reg.GPVirtual)
	a := t.Load(t.Param("a"), t.GP64()).(reg.GPVirtual)
	rowStep := t.stride("rowStep")
	colStep := t.stride("colStep")
	b := t.Load(t.Param("b"), t.GP64()).(reg.GPVirtual)
	ldb := t.stride("ldb")
	c := t.Load(t.Param("c"), t.GP64()).(reg.GPVirtual)
	ldc := t.stride("ldc")
	add := t.Load(t.Param("add"), t.GP8()).(reg.GPVirtual)
	rows := t.Load(t.Param("rows"), t.GP64()).(reg.GPVirtual)
	cols := t.Load(t.Param("cols"), t.GP64()).(reg.GPVirtual)
	masks := make([]operand.Op, tileVectors)
	for i, m := range t.laneMasks(cols, tileVectors) {
		masks[i] = t.putAway(m)
	}

	// AVX-512 masks loads and stores for nothing; AVX2 has its own code for them.
	masked := t.wide
	if !t.wide {
		t.CMPQ(cols, operand.U8(uint8(tileVectors*t.lanes())))
		t.JNE(operand.LabelRef("partial"))
	}
	for {
		prefix := "rows"
		if masked && !t.wide {
			prefix = "partial"
			t.Label("partial")
		}
		for i := 1; i < t.tileRows(); i++ {
			t.CMPQ(rows, operand.U8(uint8(i)))
			t.JE(operand.LabelRef(fmt.Sprint(prefix, i)))
		}
		for i := t.tileRows(); i > 0; i-- {
			label := fmt.Sprint(prefix, i)
			t.Label(label)
			t.tileOf(i, label, masked, masks, k, a, rowStep, colStep, b, ldb, c, ldc, add)
		}
		if masked {
			return
		}
		masked = true
	}
}

// stride loads a parameter that counts elements and turns it into bytes.
func (t *target) stride(name string) reg.GPVirtual {
	r := t.Load(t.Param(name), t.GP64()).(reg.GPVirtual)
	t.SHLQ(operand.U8(uint8(t.shift())), r)
	return r
}

// tileOf emits a tile of the given number of rows, its loop over k, and a return.
func (t *target) tileOf(rows int, label string, masked bool, masks []operand.Op, k, a, rowStep, colStep, b, ldb, c, ldc, add reg.GPVirtual) {
	// Each base register serves three rows.
	bases := []reg.GPVirtual{a}
	for i := 3; i < rows; i += 3 {
		base := t.GP64()
		t.LEAQ(operand.Mem{Base: bases[len(bases)-1], Index: rowStep, Scale: 2}, base)
		t.ADDQ(rowStep, base)
		bases = append(bases, base)
	}
	element := func(i int) operand.Mem {
		m := operand.Mem{Base: bases[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = rowStep, uint8(i%3)
		}
		return m
	}
	vector := func(base reg.Register, j int) operand.Mem { return operand.Mem{Base: base, Disp: j * t.bytes()} }

	sum := make([][tileVectors]reg.VecVirtual, rows)
	for i := range sum {
		for j := range sum[i] {
			sum[i][j] = t.vec()
		}
	}
	// eachRow runs f with the address of each row of C.
	eachRow := func(f func(i int, row reg.Register)) {
		row := t.GP64()
		t.MOVQ(c, row)
		for i := range rows {
			f(i, row)
			if i < rows-1 {
				t.ADDQ(ldc, row)
			}
		}
	}
	for _, s := range sum {
		for _, v := range s {
			t.pick(t.VXORPS, t.VXORPD)(v, v, v)
		}
	}
	t.TESTB(add, add)
	t.JZ(operand.LabelRef(label + "start"))
	eachRow(func(i int, row reg.Register) {
		for j, v := range sum[i] {
			if masked {
				t.loadMasked(vector(row, j), t.mask(masks[j]), v)
			} else {
				t.load(vector(row, j), v)
			}
		}
	})
	t.Label(label + "start")
	t.TESTQ(k, k)
	t.JZ(operand.LabelRef(label + "end"))

	t.Label(label + "step")
	y := [tileVectors]reg.VecVirtual{}
	for j := range y {
		y[j] = t.vec()
		if masked {
			t.loadMasked(vector(b, j), t.mask(masks[j]), y[j])
		} else {
			t.load(vector(b, j), y[j])
		}
	}
	t.ADDQ(ldb, b)
	for i := range rows {
		x := t.vec()
		t.pick(t.VBROADCASTSS, t.VBROADCASTSD)(element(i), x)
		for j := range y {
			t.pick(t.VFMADD231PS, t.VFMADD231PD)(y[j], x, sum[i][j])
		}
	}
	for _, base := range bases {
		t.ADDQ(colStep, base)
	}
	t.DECQ(k)
	t.JNZ(operand.LabelRef(label + "step"))

	t.Label(label + "end")
	eachRow(func(i int, row reg.Register) {
		for j, v := range sum[i] {
			if masked {
				t.storeMasked(v, t.mask(masks[j]), vector(row, j))
			} else {
				t.store(v, vector(row, j))
			}
		}
	})
	t.VZEROUPPER()
	t.RET()
}
