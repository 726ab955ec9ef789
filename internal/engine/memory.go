package engine

// buffers are the buffers of a program. Results that a later rate reads, and outputs, have one to
// themselves; others share.
type buffers struct {
	sizes []int
	free  []int // buffers that hold nothing any more, for results that only their own rate reads
}

func (b *buffers) add(size int) int {
	b.sizes = append(b.sizes, size)
	return len(b.sizes) - 1
}

// reuse returns the smallest free buffer of at least size, or a new one.
func (b *buffers) reuse(size int) int {
	best := -1
	for i, f := range b.free {
		if n := b.sizes[f]; n >= size && (best < 0 || n < b.sizes[b.free[best]]) {
			best = i
		}
	}
	if best < 0 {
		return b.add(size)
	}
	m := b.free[best]
	b.free = append(b.free[:best], b.free[best+1:]...)
	return m
}

// owner returns the value in whose buffer v is computed: a product that another one accumulates onto
// shares that one's, and a product that a single group reads, block by block as it is
// made, is overwritten by the result of the group.
func (v *value) owner() *value {
	for {
		if v.op.kind != productKind || !single(v) {
			return v
		}
		u := v.uses[0]
		switch {
		case u.op.kind == productKind && len(u.args) == 3 && u.args[2] == v:
			v = u
		case u.group != nil && u.group.root.step == v.step && u.group.readsPointwise(v):
			return u.group.root
		default:
			return v
		}
	}
}

// allocate gives every input and every result of a step its buffer.
func (x *expression) allocate() {
	for _, v := range x.values {
		if v.op.kind == inputKind {
			v.memory = x.add(0) // not ours, or of its own
		}
	}
	kept := make(map[*value]bool)
	last := make(map[*value]int) // the last step that reads it, for those not kept
	for _, v := range x.outs {
		kept[v.resolve().owner()] = true
	}
	x.eachStep(func(s *step) {
		for _, v := range s.reads() {
			o := v.owner()
			if o.rate != s.rate {
				kept[o] = true
				continue
			}
			last[o] = max(last[o], s.index)
		}
		for _, v := range s.writes() {
			last[v.owner()] = max(last[v.owner()], s.index)
		}
	})
	for r := range x.steps {
		for _, s := range x.steps[r] {
			x.allocateStep(s, kept, last)
		}
	}
	for _, v := range x.values {
		if v.step != nil {
			v.memory = v.owner().memory
		}
	}
}

func (x *expression) eachStep(f func(s *step)) {
	for _, steps := range x.steps {
		for _, s := range steps {
			f(s)
		}
	}
}

func (x *expression) allocateStep(s *step, kept map[*value]bool, last map[*value]int) {
	// dies reports whether nothing reads v's buffer after this step.
	dies := func(v *value) bool {
		return v.op.kind != inputKind && v.rate == s.rate && !kept[v] && last[v] <= s.index
	}
	taken := make(map[*value]bool) // operands overwritten by a result
	for _, w := range s.writes() {
		o := w.owner()
		switch {
		case o.memory >= 0:
		case kept[o] || !w.float:
			o.memory = x.add(o.size)
		default:
			if v := s.overwritable(w, dies, taken); v != nil {
				taken[v] = true
				o.memory = v.memory
				break
			}
			o.memory = x.reuse(o.size)
		}
	}
	released := make(map[*value]bool)
	for _, v := range append(s.reads(), s.writes()...) {
		o := v.owner()
		if dies(o) && !taken[o] && !released[o] {
			released[o] = true
			x.free = append(x.free, o.memory)
		}
	}
}

// overwritable returns an operand in whose memory a group alone may leave its result: one that is
// read for the last time, element by element.
func (s *step) overwritable(w *value, dies func(*value) bool, taken map[*value]bool) *value {
	if s.value != nil || len(s.groups) != 1 || w.owner() != w {
		return nil
	}
	g := s.groups[0]
	for _, v := range g.operands() {
		if o := v.owner(); o == v && dies(v) && v.size == w.size && !taken[v] && g.readsPointwise(v) {
			return v
		}
	}
	return nil
}
