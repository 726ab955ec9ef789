package engine

import (
	"attractor/internal/kernels"
)

// registerBytes is what the registers and operands of a fused group may take of the first-level
// cache at a time.
const registerBytes = 24 << 10

// fused runs a group. Its registers are slices: views of memory, or a block of scratch.
type fused[T kernels.Float] struct {
	p        *program[T]
	root     *value
	length   func(rows int) int
	block    int // elements at a time
	row      int // blocks do not cross multiples of it, 0 if they may
	regs     [][]T
	views    []view
	loads    []*load[T]
	code     []instruction[T]
	rootView int // register that is the result
}

// view is a register that shows memory at the same elements.
type view struct{ register, memory int }

// load is a register that shows elements of a source of another shape.
type load[T kernels.Float] struct {
	register int
	memory   int
	// Repeat: element i is source element (i / inner) mod period.
	period, inner int
	// Slice: element i is source element (i / segment)·stride + offset + i mod segment.
	segment, stride, offset int
	buffer                  []T
	filled                  bool // with whole periods from the start
}

// instruction applies one function to registers.
type instruction[T kernels.Float] struct {
	of1    func(dst, x []T)
	of2    func(dst, x, y []T)
	scalar func(dst, x []T, s T)
	flip   func(dst []T, s T, x []T)

	dst, x, y int
	number    int // memory of the scalar
}

// newFused compiles a group.
func (p *program[T]) newFused(g *group) *fused[T] {
	f := &fused[T]{p: p, root: g.root, length: p.rowsOf(g.root.rows, g.root.size)}
	register := make(map[*value]int) // of members, and of operands by the value they resolve to
	lastRead := make(map[*value]int)
	for i, m := range g.members {
		for _, a := range m.args {
			lastRead[a] = i
		}
	}
	newRegister := func() int {
		f.regs = append(f.regs, nil)
		return len(f.regs) - 1
	}
	showing := make(map[int]int) // memory to register
	show := func(memory int) int {
		if r, ok := showing[memory]; ok {
			return r
		}
		r := newRegister()
		showing[memory] = r
		f.views = append(f.views, view{r, memory})
		return r
	}
	operand := func(a *value) int {
		if g.has[a] {
			return register[a]
		}
		return show(source(a))
	}
	var free, scratch []int
	f.rootView = show(g.root.memory)
	for i, m := range g.members {
		if isLoader(m) && m != g.root {
			if m.op.kind == repeatKind && m.args[0].size == 1 && onlyScalarUse(g, m) {
				continue // operands of instructions read the number itself
			}
			register[m] = newRegister()
			f.addLoad(m, register[m])
			continue
		}
		in := instruction[T]{}
		switch m.op.kind {
		case mapKind:
			in.of1 = mapping[T](m.op.name)
			if m.args[0].size != m.size {
				panic("engine: map of another size")
			}
			in.x = operand(m.args[0])
		case zipKind:
			z := zip[T](m.op.name)
			a, b := m.args[0], m.args[1]
			an, as := number(g, m, a)
			bn, bs := number(g, m, b)
			switch {
			case bs:
				in.scalar, in.number = z.scalar, bn
				if as && m.size > 1 { // both: the left one in a register
					in.x = f.constantRegister(an, newRegister())
				} else {
					in.x = operand(a)
				}
			case as:
				in.flip, in.number, in.x = z.flip, an, operand(b)
			default:
				in.of2, in.x, in.y = z.both, operand(a), operand(b)
			}
		default: // a loader in memory
			r := newRegister()
			f.addLoad(m, r)
			in.of1, in.x = func(dst, x []T) { copy(dst, x) }, r
		}
		// Scratch registers whose value is read for the last time here may be overwritten.
		for _, a := range m.args {
			if g.has[a] && !isLoader(a) && lastRead[a] == i {
				if r := register[a]; contains(scratch, r) && !contains(free, r) {
					free = append(free, r)
				}
			}
		}
		switch {
		case m == g.root:
			in.dst = f.rootView
		case len(free) > 0:
			in.dst = free[len(free)-1]
			free = free[:len(free)-1]
		default:
			in.dst = newRegister()
			scratch = append(scratch, in.dst)
		}
		register[m] = in.dst
		f.code = append(f.code, in)
	}
	f.setBlocks(g)
	for _, r := range scratch {
		f.regs[r] = aligned[T](f.block)
		p.scratch += f.block
	}
	for _, l := range f.loads {
		l.buffer = aligned[T](f.block)
		p.scratch += f.block
	}
	return f
}

func contains(s []int, x int) bool {
	for _, y := range s {
		if x == y {
			return true
		}
	}
	return false
}

// number returns the memory of a, an operand of m, if it is a single number in memory.
func number(g *group, m, a *value) (int, bool) {
	if zipNames[m.op.name] == unknown {
		return 0, false
	}
	if g.has[a] && a.op.kind == repeatKind && a.args[0].size == 1 && a != g.root {
		return source(a.args[0]), true
	}
	if a.size == 1 && m.size > 1 {
		return source(a), true
	}
	return 0, false
}

// onlyScalarUse reports whether the members that read a repeated number read the number itself.
func onlyScalarUse(g *group, repeat *value) bool {
	for _, m := range g.members {
		for _, a := range m.args {
			if a == repeat && m.op.kind != zipKind || a == repeat && zipNames[m.op.name] == unknown {
				return false
			}
		}
	}
	return true
}

// constantRegister makes a register that holds one number everywhere.
func (f *fused[T]) constantRegister(memory, register int) int {
	f.loads = append(f.loads, &load[T]{register: register, memory: memory, period: 1, inner: 1})
	return register
}

func (f *fused[T]) addLoad(m *value, register int) {
	l := &load[T]{register: register, memory: source(m.args[0])}
	if m.op.kind == repeatKind {
		l.period, l.inner = m.run()
	} else {
		l.segment = (m.op.end - m.op.start) * m.inner
		l.stride = m.count * m.inner
		l.offset = m.op.start * m.inner
	}
	f.loads = append(f.loads, l)
}

// setBlocks chooses how many elements are done at a time: as many as fit the first-level cache, and
// whole periods of loads or parts of one, so that most loads need not copy.
func (f *fused[T]) setBlocks(g *group) {
	size := int(dtypeOf[T]().Size())
	f.block = min(max(registerBytes/size/(len(f.regs)+1)&^63, 256), 4096)
	period := 0
	for _, l := range f.loads {
		if l.segment > 0 {
			period = max(period, l.segment)
		} else if l.inner == 1 && l.period > 1 {
			period = max(period, l.period)
		}
	}
	switch {
	case period == 0:
	case period <= f.block/2:
		f.block = f.block / period * period
	default:
		f.row = period
	}
	if n := g.root.size; n < f.block {
		f.block = n
	}
}

// begin forgets what loads have copied: their sources may have changed.
func (f *fused[T]) begin() {
	for _, l := range f.loads {
		l.filled = false
	}
}

// run computes elements lo to hi of the result.
func (f *fused[T]) run(lo, hi int) {
	for lo < hi {
		end := min(lo+f.block, hi)
		if f.row > 0 {
			end = min(end, lo-lo%f.row+f.row)
		}
		f.runBlock(lo, end)
		lo = end
	}
}

func (f *fused[T]) runBlock(lo, hi int) {
	for _, v := range f.views {
		f.regs[v.register] = f.p.memory[v.memory][lo:hi]
	}
	for _, l := range f.loads {
		f.regs[l.register] = l.show(f.p.memory[l.memory], lo, hi)
	}
	n := hi - lo
	for i := range f.code {
		c := &f.code[i]
		dst, x := f.regs[c.dst][:n], f.regs[c.x][:n]
		switch {
		case c.of1 != nil:
			c.of1(dst, x)
		case c.of2 != nil:
			c.of2(dst, x, f.regs[c.y][:n])
		case c.scalar != nil:
			c.scalar(dst, x, f.p.memory[c.number][0])
		default:
			c.flip(dst, f.p.memory[c.number][0], x)
		}
	}
}

// show returns elements lo to hi of what is loaded, of the source itself where it can.
func (l *load[T]) show(src []T, lo, hi int) []T {
	switch n := hi - lo; {
	case l.segment > 0:
		at := lo/l.segment*l.stride + l.offset + lo%l.segment
		if lo%l.segment+n <= l.segment {
			return src[at : at+n]
		}
		for i := 0; i < n; {
			e := lo + i
			at := e/l.segment*l.stride + l.offset + e%l.segment
			w := min(n-i, l.segment-e%l.segment)
			copy(l.buffer[i:i+w], src[at:at+w])
			i += w
		}
		return l.buffer[:n]
	case l.period == 1:
		if !l.filled {
			kernels.Fill(l.buffer, src[0])
			l.filled = true
		}
		return l.buffer[:n]
	case l.inner == 1:
		at := lo % l.period
		if at+n <= l.period {
			return src[at : at+n]
		}
		if at == 0 && l.filled {
			return l.buffer[:n]
		}
		l.filled = at == 0
		for i := 0; i < len(l.buffer); at = 0 {
			i += copy(l.buffer[i:], src[at:l.period])
		}
		return l.buffer[:n]
	default:
		for i := 0; i < n; {
			e := lo + i
			w := min(n-i, l.inner-e%l.inner)
			kernels.Fill(l.buffer[i:i+w], src[e/l.inner%l.period])
			i += w
		}
		return l.buffer[:n]
	}
}
