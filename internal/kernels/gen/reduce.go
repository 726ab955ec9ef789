package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// partial is the number of partial results of a reduction.
const partial = 16

// A reduction adds its terms of x[i] and y[i], in float64, to partial sums i mod 16
// of its results.
type reduction struct {
	name, doc string
	pair      bool // whether it reads y
	results   int
	add       func(s *sums, x, y reg.VecVirtual, to []reg.VecVirtual)
}

var reductions = []reduction{
	{"Sum", "out[0] to the sum of x", false, 1, func(s *sums, x, _ reg.VecVirtual, to []reg.VecVirtual) {
		s.VADDPD(x, to[0], to[0])
	}},
	{"Dot", "out[0] to the sum of x·y", true, 1, func(s *sums, x, y reg.VecVirtual, to []reg.VecVirtual) {
		s.addProduct(x, y, to[0])
	}},
	{"SquaredDistance", "out[0] to the sum of (x − y)²", true, 1, func(s *sums, x, y reg.VecVirtual, to []reg.VecVirtual) {
		d := s.sub(x, y)
		s.VADDPD(s.mul(d, d), to[0], to[0])
	}},
	{"DistanceAndSquares", "out[0] to the sum of (x − y)² and out[1] to that of x²", true, 2, func(s *sums, x, y reg.VecVirtual, to []reg.VecVirtual) {
		d := s.sub(x, y)
		s.VADDPD(s.mul(d, d), to[0], to[0])
		s.addProduct(x, x, to[1])
	}},
}

func emitReductions(t *target) {
	for _, r := range reductions {
		t.emitSum(r)
	}
	t.emitDots()
	t.emitMaxAbs()
}

// sums emits computations in float64 with elements of a target's type.
type sums struct {
	target         // for float64
	from   *target // of the elements
}

func (t *target) sums() *sums {
	s := &sums{target: *t, from: t}
	s.double = true
	return s
}

// vectors is the number of vectors that hold the partial sums of one result.
func (s *sums) vectors() int { return partial / s.lanes() }

func (s *sums) zeros() []reg.VecVirtual {
	v := make([]reg.VecVirtual, s.vectors())
	for g := range v {
		v[g] = s.vec()
		s.VXORPD(v[g], v[g], v[g])
	}
	return v
}

// addProduct computes to = to + x·y, with two roundings; the product of two float32
// is exact.
func (s *sums) addProduct(x, y, to reg.VecVirtual) {
	if s.from.double {
		s.VADDPD(s.mul(x, y), to, to)
	} else {
		s.VFMADD231PD(x, y, to)
	}
}

// load returns vector g of the 16 elements at base[i], or those of the mask.
func (s *sums) load(base, i reg.Register, g int, k mask) reg.VecVirtual {
	v := s.vec()
	m := operand.Mem{Base: base, Index: i, Scale: 1 << s.from.shift(), Disp: g * s.lanes() << s.from.shift()}
	switch {
	case s.from.double && k == nil:
		s.VMOVUPD(m, v)
	case s.from.double:
		s.loadMasked(m, k, v)
	case k == nil:
		s.VCVTPS2PD(m, v)
	case s.wide:
		s.VCVTPS2PD_Z(m, k, v)
	default:
		s.VMASKMOVPS(m, k, v.AsX())
		s.VCVTPS2PD(v.AsX(), v)
	}
	return v
}

// masks returns the masks of the vectors of which the first n elements are present.
func (s *sums) masks(n reg.GPVirtual) func(g int) mask {
	if s.wide {
		k := s.laneMasks(n, s.vectors())
		return func(g int) mask { return k[g] }
	}
	limit := s.vec()
	s.VMOVQ(n, limit.AsX())
	if s.from.double {
		s.VPBROADCASTQ(limit.AsX(), limit)
	} else {
		s.VPBROADCASTD(limit.AsX(), limit)
	}
	return func(g int) mask {
		v := s.vec()
		if s.from.double {
			s.VPCMPGTQ(s.from.laneNumbers(g), limit, v)
			return v
		}
		s.VPCMPGTD(s.from.laneNumbers(g/2).Offset(g%2*16), limit.AsX(), v.AsX())
		return v.AsX()
	}
}

// over emits a loop over n elements, 16 at a time, and one over the rest. It uses up n.
func (s *sums) over(prefix string, n reg.GPVirtual, body func(i reg.Register, masks func(g int) mask)) {
	i := s.GP64()
	s.XORQ(i, i)
	s.SUBQ(operand.U8(partial), n)
	s.JL(operand.LabelRef(prefix + "rest"))
	s.Label(prefix + "loop")
	body(i, func(int) mask { return nil })
	s.ADDQ(operand.U8(partial), i)
	s.SUBQ(operand.U8(partial), n)
	s.JGE(operand.LabelRef(prefix + "loop"))
	s.Label(prefix + "rest")
	s.ADDQ(operand.U8(partial), n)
	s.JZ(operand.LabelRef(prefix + "done"))
	body(i, s.masks(n))
	s.Label(prefix + "done")
}

// fold adds the partial sums pairwise, l to l + 8, to l + 4, to l + 2, to l + 1, and
// stores the sum.
func (s *sums) fold(v []reg.VecVirtual, to operand.Mem) {
	for half := len(v) / 2; half > 0; half /= 2 {
		for g := range half {
			s.VADDPD(v[g+half], v[g], v[g])
		}
	}
	if s.wide {
		high := s.YMM()
		s.VEXTRACTF64X4(operand.U8(1), v[0], high)
		s.VADDPD(high, v[0].AsY(), v[0].AsY())
	}
	high := s.XMM()
	s.VEXTRACTF128(operand.U8(1), v[0].AsY(), high)
	s.VADDPD(high, v[0].AsX(), v[0].AsX())
	s.VPERMILPD(operand.U8(1), v[0].AsX(), high)
	s.VADDSD(high, v[0].AsX(), v[0].AsX())
	s.VMOVSD(v[0].AsX(), to)
}

func (t *target) emitSum(r reduction) {
	s := t.sums()
	name := lowerFirst(r.name) + t.suffix()
	t.Function(name)
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(name + " sets " + r.doc + ", over n elements.")
	t.SignatureExpr(fmt.Sprintf("func(out *float64, x, y *%s, n int)", t.goType()))
	x := t.Load(t.Param("x"), t.GP64()).(reg.GPVirtual)
	y := x
	if r.pair {
		y = t.Load(t.Param("y"), t.GP64()).(reg.GPVirtual)
	}
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	results := make([][]reg.VecVirtual, r.results)
	for k := range results {
		results[k] = s.zeros()
	}
	s.over("", n, func(i reg.Register, masks func(g int) mask) {
		for g := range s.vectors() {
			k := masks(g)
			u := s.load(x, i, g, k)
			v := u
			if r.pair {
				v = s.load(y, i, g, k)
			}
			to := make([]reg.VecVirtual, r.results)
			for j := range to {
				to[j] = results[j][g]
			}
			r.add(s, u, v, to)
		}
	})
	out := t.Load(t.Param("out"), t.GP64()).(reg.GPVirtual)
	for k, v := range results {
		s.fold(v, operand.Mem{Base: out, Disp: 8 * k})
	}
	t.VZEROUPPER()
	t.RET()
}

// dotRows is the greatest number of rows that emitDots takes: what fits in the registers.
func (t *target) dotRows() int {
	if t.wide {
		return 8
	}
	return 3
}

// emitDots emits the dot products of one vector with several.
func (t *target) emitDots() {
	s := t.sums()
	name := "dots" + t.suffix()
	t.Function(name)
	t.Attributes(attr.NOSPLIT)
	t.Pragma("noescape")
	t.Doc(fmt.Sprintf("%s sets out[j] to the sum of x·y[j] over n elements for rows y[j] that are ldy elements apart, 1 ≤ rows ≤ %d.", name, t.dotRows()))
	t.SignatureExpr(fmt.Sprintf("func(out *float64, x, y *%s, ldy, rows, n int)", t.goType()))
	out := t.Load(t.Param("out"), t.GP64()).(reg.GPVirtual)
	x := t.Load(t.Param("x"), t.GP64()).(reg.GPVirtual)
	y := t.Load(t.Param("y"), t.GP64()).(reg.GPVirtual)
	ldy := t.stride("ldy")
	n := t.Load(t.Param("n"), t.GP64()).(reg.GPVirtual)
	t.eachCount("rows", t.dotRows(), func(rows int, prefix string) {
		bases := t.rowBases(y, ldy, rows)
		sum := make([][]reg.VecVirtual, rows)
		for j := range sum {
			sum[j] = s.zeros()
		}
		s.over(prefix, n, func(i reg.Register, masks func(g int) mask) {
			for g := range s.vectors() {
				k := masks(g)
				u := s.load(x, i, g, k)
				for j := range sum {
					v := s.load(bases[j], i, g, k)
					if t.double {
						t.VMULPD(u, v, v)
						t.VADDPD(v, sum[j][g], sum[j][g])
					} else {
						t.VFMADD231PD(u, v, sum[j][g])
					}
				}
			}
		})
		for j, v := range sum {
			s.fold(v, operand.Mem{Base: out, Disp: 8 * j})
		}
		t.VZEROUPPER()
		t.RET()
	})
}

// eachCount emits a variant for every value of a parameter, 1 to most.
func (t *target) eachCount(param string, most int, variant func(count int, prefix string)) {
	count := t.Load(t.Param(param), t.GP64()).(reg.GPVirtual)
	for i := 1; i < most; i++ {
		t.CMPQ(count, operand.U8(uint8(i)))
		t.JE(operand.LabelRef(fmt.Sprint(param, i)))
	}
	for i := most; i > 0; i-- {
		prefix := fmt.Sprint(param, i)
		t.Label(prefix)
		variant(i, prefix)
	}
}

// rowBases returns the addresses of rows that are a stride, in bytes, apart.
func (t *target) rowBases(first, stride reg.GPVirtual, rows int) []reg.GPVirtual {
	bases := []reg.GPVirtual{first}
	for j := 1; j < rows; j++ {
		base := t.GP64()
		t.LEAQ(operand.Mem{Base: bases[j-1], Index: stride, Scale: 1}, base)
		bases = append(bases, base)
	}
	return bases
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
