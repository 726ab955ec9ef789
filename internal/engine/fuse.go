package engine

import (
	"slices"
)

// group is a set of elementwise operations that run together, a block of elements at a time,
// leaving the result of the last of them, root, in memory.
type group struct {
	root    *value
	members []*value // operands first; loaders among them may be in several groups
	has     map[*value]bool
}

// isLoader reports whether v only places elements of its source, so that groups can read the source
// instead of v.
func isLoader(v *value) bool {
	return v.op.kind == repeatKind && v.oneRun() || v.op.kind == sliceKind && v.op.step == 1
}

func isElementwise(v *value) bool {
	return v.op.kind == mapKind || v.op.kind == zipKind || isLoader(v)
}

// reads reports whether the group reads v, from outside, element by element.
func (g *group) readsPointwise(v *value) bool {
	for _, m := range g.members {
		for _, a := range m.args {
			if a.resolve() == v && (isLoader(m) || a.size != g.root.size) {
				return false
			}
		}
	}
	return true
}

// operands returns what the group reads from memory.
func (g *group) operands() []*value {
	var from []*value
	for _, m := range g.members {
		for _, a := range m.args {
			if !g.has[a] && !slices.Contains(from, a.resolve()) {
				from = append(from, a.resolve())
			}
		}
	}
	return from
}

// fuse makes the groups: from each operation whose result is needed in memory it goes up to all
// operations that serve that one alone.
func (x *expression) fuse() {
	for i := len(x.values) - 1; i >= 0; i-- {
		v := x.values[i]
		if v.group != nil || !isElementwise(v) || isLoader(v) && !neededWhole(v) {
			continue
		}
		x.grow(v)
	}
}

// neededWhole reports whether a loader must be in memory, since something other than groups reads it.
func neededWhole(v *value) bool {
	return v.out || slices.ContainsFunc(v.uses, func(u *value) bool { return !isElementwise(u) || isLoader(u) || u.size != v.size })
}

func (x *expression) grow(root *value) {
	g := &group{root: root, has: map[*value]bool{root: true}, members: []*value{root}}
	root.group = g
	x.groups = append(x.groups, g)
	var pending []*value // by id; consumers come before their operands
	push := func(v *value) {
		if i, found := slices.BinarySearchFunc(pending, v.id, func(p *value, id int) int { return p.id - id }); !found {
			pending = slices.Insert(pending, i, v)
		}
	}
	pushAll := func(v *value) {
		if !isLoader(v) {
			for _, a := range v.args {
				push(a)
			}
		}
	}
	pushAll(root)
	for len(pending) > 0 {
		v := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if !isElementwise(v) || v.size != root.size {
			continue
		}
		if !isLoader(v) {
			inside := func(u *value) bool { return g.has[u] }
			if v.group != nil || v.out || v.rate != root.rate || !allOf(v.uses, inside) {
				continue
			}
			v.group = g
		}
		g.has[v] = true
		g.members = append(g.members, v)
		pushAll(v)
	}
	slices.SortFunc(g.members, func(a, b *value) int { return a.id - b.id })
}

func allOf(s []*value, f func(*value) bool) bool {
	return !slices.ContainsFunc(s, func(v *value) bool { return !f(v) })
}
