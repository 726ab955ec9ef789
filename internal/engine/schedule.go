package engine

import "slices"

// step is a unit of execution: a matrix product with the groups that work on its blocks while they
// are in cache, or groups alone, or another operation.
type step struct {
	rate   Rate
	index  int    // among the steps of its rate
	value  *value // product or other operation, nil for a group alone
	groups []*group
}

// reads returns what the step reads from memory, without what it makes itself.
func (s *step) reads() []*value {
	var from []*value
	add := func(v *value) {
		if v.step != s && !slices.Contains(from, v) {
			from = append(from, v)
		}
	}
	if s.value != nil {
		for _, a := range s.value.args {
			add(a.resolve())
		}
	}
	for _, g := range s.groups {
		for _, v := range g.operands() {
			add(v)
		}
	}
	return from
}

// writes returns what the step computes, in order.
func (s *step) writes() []*value {
	var to []*value
	if s.value != nil {
		to = append(to, s.value)
	}
	for _, g := range s.groups {
		to = append(to, g.root)
	}
	return to
}

// schedule orders the operations that the outputs need, rate by rate.
func (x *expression) schedule() {
	for _, v := range x.outs {
		x.place(v.resolve())
	}
}

// place appends the step that computes v, after those of its operands.
func (x *expression) place(v *value) {
	if v.step != nil || v.op.kind == inputKind {
		return
	}
	if v.group != nil {
		x.placeGroup(v.group)
		return
	}
	for _, a := range v.args {
		x.place(a.resolve())
	}
	v.step = x.newStep(&step{rate: v.rate, value: v})
}

func (x *expression) newStep(s *step) *step {
	s.index = len(x.steps[s.rate])
	x.steps[s.rate] = append(x.steps[s.rate], s)
	return s
}

// placeGroup places a group with the product that comes last among its operands, if it can be
// computed block by block with it.
func (x *expression) placeGroup(g *group) {
	operands := g.operands()
	isHost := func(v *value) bool {
		return v.op.kind == productKind && v.rate == g.root.rate && v.size == g.root.size && g.readsPointwise(v)
	}
	for _, hosts := range []bool{false, true} {
		for _, v := range operands {
			if isHost(v) == hosts {
				x.place(v)
			}
		}
	}
	var last *step
	for _, v := range operands {
		if v.step != nil && v.step.rate == g.root.rate && (last == nil || v.step.index > last.index) {
			last = v.step
		}
	}
	if last != nil && x.hosts(last, g, operands) {
		last.groups = append(last.groups, g)
		g.root.step = last
		return
	}
	g.root.step = x.newStep(&step{rate: g.root.rate, groups: []*group{g}})
}

// hosts reports whether g may run on the blocks of s as they are finished: it reads what s makes
// element by element, and has the rows of the product.
func (x *expression) hosts(s *step, g *group, operands []*value) bool {
	if s.value == nil || s.value.op.kind != productKind || s.value.size != g.root.size || s.value.rows != g.root.rows {
		return false
	}
	for _, v := range operands {
		if v.step == s && !g.readsPointwise(v) {
			return false
		}
	}
	return true
}
