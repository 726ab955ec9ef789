package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// target emits instructions for one number type at one level.
type target struct {
	*build.Context
	double bool                   // float64, else float32
	wide   bool                   // AVX-512, else AVX2 with FMA
	tables map[string]operand.Mem // vector constants by name
	held   int                    // constants in registers in the function
}

func targets(c *build.Context) []*target {
	var all []*target
	for _, double := range []bool{false, true} {
		for _, wide := range []bool{true, false} {
			all = append(all, &target{Context: c, double: double, wide: wide, tables: make(map[string]operand.Mem)})
		}
	}
	return all
}

// instruction is the type of a Context's instruction methods.
type instruction = func(ops ...operand.Op)

// pick returns the instruction for the target's number type.
func (t *target) pick(single, double instruction) instruction {
	if t.double {
		return double
	}
	return single
}

func (t *target) suffix() string {
	s := "F32"
	if t.double {
		s = "F64"
	}
	if t.wide {
		return s + "AVX512"
	}
	return s + "AVX2"
}

// goType is the Go name of the number type.
func (t *target) goType() string {
	if t.double {
		return "float64"
	}
	return "float32"
}

// shift is the binary logarithm of an element's bytes.
func (t *target) shift() uint64 {
	if t.double {
		return 3
	}
	return 2
}

// bytes is the size of a vector.
func (t *target) bytes() int {
	if t.wide {
		return 64
	}
	return 32
}

// lanes is the number of elements of a vector.
func (t *target) lanes() int { return t.bytes() >> t.shift() }

func (t *target) vec() reg.VecVirtual {
	if t.wide {
		return t.ZMM()
	}
	return t.YMM()
}

func (t *target) load(m operand.Mem, v reg.VecVirtual)  { t.pick(t.VMOVUPS, t.VMOVUPD)(m, v) }
func (t *target) store(v reg.VecVirtual, m operand.Mem) { t.pick(t.VMOVUPS, t.VMOVUPD)(v, m) }

// A mask tells the lanes that are present: an opmask register, or a vector whose
// lanes' highest bits count.
type mask = reg.Register

// loadMasked loads the lanes of the mask and sets the others to zero.
func (t *target) loadMasked(m operand.Mem, k mask, v reg.VecVirtual) {
	switch {
	case t.wide && t.double:
		t.VMOVUPD_Z(m, k, v)
	case t.wide:
		t.VMOVUPS_Z(m, k, v)
	case t.double:
		t.VMASKMOVPD(m, k, v)
	default:
		t.VMASKMOVPS(m, k, v)
	}
}

func (t *target) storeMasked(v reg.VecVirtual, k mask, m operand.Mem) {
	switch {
	case t.wide:
		t.pick(t.VMOVUPS, t.VMOVUPD)(v, k, m)
	case t.double:
		t.VMASKMOVPD(v, k, m)
	default:
		t.VMASKMOVPS(v, k, m)
	}
}

// laneMasks returns masks for count vectors of which the first n elements are
// present, 0 ≤ n ≤ count·lanes.
func (t *target) laneMasks(n reg.GPVirtual, count int) []mask {
	masks := make([]mask, count)
	if t.wide {
		bits := t.GP64()
		t.MOVQ(operand.I64(-1), bits)
		t.BZHIQ(n, bits, bits)
		for i := range masks {
			k := t.K()
			t.KMOVW(bits.As32(), k)
			masks[i] = k
			if i < count-1 {
				t.SHRQ(operand.U8(uint8(t.lanes())), bits)
			}
		}
		return masks
	}
	// Lane numbers compared with n.
	limit := t.vec()
	t.VMOVQ(n, limit.AsX())
	t.pick(t.VPBROADCASTD, t.VPBROADCASTQ)(limit.AsX(), limit)
	for i := range masks {
		v := t.vec()
		if t.double {
			t.VPCMPGTQ(t.laneNumbers(i), limit, v)
		} else {
			t.VPCMPGTD(t.laneNumbers(i), limit, v)
		}
		masks[i] = v
	}
	return masks
}

// putAway keeps a mask of AVX2 on the stack, for a function that has no register for it.
func (t *target) putAway(m mask) operand.Op {
	if t.wide {
		return m
	}
	stack := t.AllocLocal(t.bytes())
	t.VMOVDQU(m, stack)
	return stack
}

// mask returns a mask that putAway has kept, in a register.
func (t *target) mask(kept operand.Op) mask {
	if t.wide {
		return kept.(mask)
	}
	v := t.vec()
	t.VMOVDQU(kept, v)
	return v
}
