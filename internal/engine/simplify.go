package engine

import (
	"slices"

	"gorgonia.org/tensor"
)

// refresh recomputes, after a change of the expression, which values live, their order
// (operands first), rates and uses.
func (x *expression) refresh() {
	x.values = x.values[:0]
	seen := make(map[*value]bool)
	var visit func(v *value)
	visit = func(v *value) {
		if seen[v] {
			return
		}
		seen[v] = true
		if len(v.args) > 0 {
			v.rate = Constant
		}
		for _, a := range v.args {
			visit(a)
			v.rate = max(v.rate, a.rate)
		}
		v.uses = v.uses[:0]
		v.id = len(x.values)
		x.values = append(x.values, v)
	}
	for _, v := range x.outs {
		visit(v)
	}
	for _, v := range x.values {
		v.out = false
		for _, a := range v.args {
			if len(a.uses) == 0 || a.uses[len(a.uses)-1] != v {
				a.uses = append(a.uses, v)
			}
		}
	}
	for _, v := range x.outs {
		v.out = true
	}
}

// simplify rewrites the expression so that less is to be done.
func (x *expression) simplify() {
	for _, pass := range []func(){
		x.absorbMovements,
		x.recogniseForms,
		func() { x.regroup(plus) },
		func() { x.regroup(times) },
		x.recogniseDerivatives,
		x.keepInputs,
	} {
		pass()
		x.refresh()
	}
}

// derived makes a value of the shape of like.
func derived(like *value, op operation, args ...*value) *value {
	v := &value{op: op, args: args, shape: like.shape, size: like.size, float: true, memory: -1}
	for _, a := range args {
		v.rate = max(v.rate, a.rate)
	}
	return v
}

// single reports whether v is read by one operation only, if perhaps twice, and is no output.
func single(v *value) bool { return len(v.uses) == 1 && !v.out }

func isZip(v *value, name string) bool { return v.op.kind == zipKind && v.op.name == name }

func isMap(v *value, name string) bool { return v.op.kind == mapKind && v.op.name == name }

// isConstant reports whether every element of v is c.
func isConstant(v *value, c float64) bool {
	for v.op.kind == repeatKind || v.op.kind == reshapeKind {
		v = v.args[0]
	}
	return len(v.data) > 0 && !slices.ContainsFunc(v.data, func(d float64) bool { return d != c })
}

// absorbMovements folds transpositions into products and chains of repeats into one.
func (x *expression) absorbMovements() {
	for _, v := range x.values {
		switch v.op.kind {
		case transposeKind:
			if keepsOrder(v.args[0].shape, v.op.axes) {
				v.op = operation{kind: reshapeKind}
			} else {
				v.turnProduct()
			}
		case productKind:
			for i := range 2 {
				for {
					a := v.args[i]
					if i == 0 && !v.op.transA && v.m == 1 || i == 1 && v.n == 1 {
						break // a vector
					}
					if a.op.kind != transposeKind || len(a.shape) != 2 || a.op.axes[0] != 1 {
						break
					}
					v.args[i] = a.args[0]
					if i == 0 {
						v.op.transA = !v.op.transA
					} else {
						v.op.transB = !v.op.transB
					}
				}
			}
		case repeatKind:
			if v.count == 1 {
				v.op = operation{kind: reshapeKind}
				break
			}
			for x.mergeRepeats(v) {
			}
		}
	}
}

// turnProduct makes (A·B)ᵀ the product Bᵀ·Aᵀ, if v is that.
func (v *value) turnProduct() {
	p := v.args[0]
	if p.op.kind != productKind || !single(p) || len(p.args) != 2 {
		return
	}
	rotated := v.op.axes[0] // axes go rotated, …, last, 0, …, rotated−1
	for i, a := range v.op.axes {
		if a != (i+rotated)%len(v.op.axes) {
			return
		}
	}
	if volume(p.shape[:rotated]) != p.m {
		return
	}
	v.op = operation{kind: productKind, name: p.op.name, transA: !p.op.transB, transB: !p.op.transA}
	v.args = []*value{p.args[1], p.args[0]}
	v.m, v.n, v.k = p.n, p.m, p.k
	for i, a := range v.args { // vectors are not transposed
		if i == 0 && (v.m == 1 || v.k == 1) && a.size == v.m*v.k {
			v.op.transA = false
		}
		if i == 1 && (v.n == 1 || v.k == 1) && a.size == v.n*v.k {
			v.op.transB = false
		}
	}
}

// mergeRepeats lets a repeat of a repeat read the first source, if the result is still one run: element
// i reads source element (i / inner) mod period.
func (x *expression) mergeRepeats(v *value) bool {
	s := v.args[0].resolve()
	if s.op.kind != repeatKind || !v.oneRun() || !s.oneRun() {
		return false
	}
	vp, vi := v.run()
	sp, si := s.run()
	if vp == 1 {
		sp, si = 1, v.size // of one element
	} else {
		si *= vi
	}
	source := s.args[0]
	if sp != source.size {
		return false
	}
	v.args = []*value{source}
	if sp == 1 {
		v.outer, v.count, v.inner = 1, v.size, 1
	} else if v.size == sp*si { // [period, inner]
		v.outer, v.count, v.inner = sp, si, 1
	} else if si == 1 {
		v.outer, v.count, v.inner = 1, v.size/sp, sp
	} else {
		// period and inner within an outer repetition: two axes, not one run of ours.
		v.args = []*value{s}
		return false
	}
	return true
}

// oneRun reports whether element i of the repeat is source element (i / inner) mod period.
func (v *value) oneRun() bool { return v.outer == 1 || v.inner == 1 }

// run returns period and inner of a repeat that is one run.
func (v *value) run() (period, inner int) {
	if v.outer == 1 {
		return v.inner, 1
	}
	return v.outer, v.count
}

// keepsOrder reports whether a transposition moves axes of length 1 only.
func keepsOrder(shape tensor.Shape, axes []int) bool {
	last := -1
	for _, a := range axes {
		if shape[a] == 1 {
			continue
		}
		if a < last {
			return false
		}
		last = a
	}
	return true
}

// recogniseForms turns x⊙x into square and x⊙[x≥0] into relu.
func (x *expression) recogniseForms() {
	for _, v := range x.values {
		if !isZip(v, times) {
			continue
		}
		a, b := v.args[0], v.args[1]
		if a == b {
			v.op, v.args = operation{kind: mapKind, name: squareName}, []*value{a}
			continue
		}
		if isZip(a, atLeast) {
			a, b = b, a
		}
		if isZip(b, atLeast) && b.args[0] == a && a.size == v.size && isConstant(b.args[1], 0) {
			v.op, v.args = operation{kind: mapKind, name: reluName}, []*value{a}
		}
	}
}

// recogniseDerivatives turns g⊙(1−y²) and g⊙(y⊙(1−y)) into one function each where g and the rest are
// computed at the same rate; where they are not, the rest is computed once and kept.
func (x *expression) recogniseDerivatives() {
	for _, v := range x.values {
		if !isZip(v, times) {
			continue
		}
		for i := range 2 {
			f, g := v.args[i], v.args[1-i]
			if f.rate != v.rate || f.size != v.size || g.size != v.size || !single(f) {
				continue
			}
			if isZip(f, minus) && isConstant(f.args[0], 1) && isMap(f.args[1], squareName) && single(f.args[1]) && f.args[1].size == v.size {
				v.op, v.args = operation{kind: zipKind, name: tanhVJPName}, []*value{g, f.args[1].args[0]}
				break
			}
			if y := sigmoidSlope(f); y != nil {
				v.op, v.args = operation{kind: zipKind, name: sigmoidVJPName}, []*value{g, y}
				break
			}
		}
	}
}

// sigmoidSlope returns y if v is y⊙(1−y), else nil.
func sigmoidSlope(v *value) *value {
	if !isZip(v, times) {
		return nil
	}
	for i := range 2 {
		y, d := v.args[i], v.args[1-i]
		if isZip(d, minus) && d.args[1] == y && isConstant(d.args[0], 1) && single(d) && y.size == v.size {
			return y
		}
	}
	return nil
}

// regroup reorders sums (or elementwise products) of several operands so that those which change
// slowly are combined first, at their own rate, and so that products of matrices which
// change together accumulate in one place.
func (x *expression) regroup(name string) {
	for i := len(x.values) - 1; i >= 0; i-- {
		v := x.values[i]
		if !isZip(v, name) || v.inTree(name) {
			continue
		}
		var terms []*value
		v.collect(name, &terms)
		if len(terms) < 2 {
			continue
		}
		slices.SortStableFunc(terms, func(a, b *value) int { return int(a.rate) - int(b.rate) })
		changed := len(terms) > 2 && terms[0].rate != terms[len(terms)-1].rate
		if name == plus {
			var joined bool
			if terms, joined = accumulate(terms); joined {
				changed = true
			}
		}
		if !changed {
			continue
		}
		if len(terms) == 1 {
			v.op, v.args = operation{kind: reshapeKind}, terms
			continue
		}
		sum := terms[0]
		for _, t := range terms[1 : len(terms)-1] {
			like := sum
			if sum.size == 1 {
				like = t
			}
			sum = derived(like, operation{kind: zipKind, name: name}, sum, t)
		}
		v.args = []*value{sum, terms[len(terms)-1]}
	}
}

// inTree reports whether v is an inner node of a larger sum or product.
func (v *value) inTree(name string) bool {
	return single(v) && isZip(v.uses[0], name) && v.uses[0].size == v.size && v.uses[0].args[0] != v.uses[0].args[1]
}

// collect appends the terms of the tree below v.
func (v *value) collect(name string, terms *[]*value) {
	for _, a := range v.args {
		if isZip(a, name) && a.inTree(name) {
			a.collect(name, terms)
		} else {
			*terms = append(*terms, a)
		}
	}
}

// accumulate makes the matrix products among terms that change together one chain, each adding
// onto the one before.
func accumulate(terms []*value) (rest []*value, joined bool) {
	count := make(map[*value]int)
	for _, t := range terms {
		count[t]++
	}
	alone := func(t *value) bool { return t.op.kind == productKind && single(t) && count[t] == 1 }
	for _, t := range terms {
		i := slices.IndexFunc(rest, func(r *value) bool {
			return alone(r) && alone(t) && r.rate == t.rate && r.m == t.m && r.n == t.n && len(t.args) == 2
		})
		if i < 0 {
			rest = append(rest, t)
			continue
		}
		t.args = append(t.args, rest[i])
		rest[i] = t
		joined = true
	}
	return rest, joined
}

// keepInputs makes nodes of a faster rate than a row-indexed input read a copy of it, made when the
// input's own rate runs: rows may move between the runs. Outputs are copies as well.
func (x *expression) keepInputs() {
	copies := make(map[*value]*value)
	copied := func(v *value) *value {
		c := copies[v]
		if c == nil {
			c = derived(v, operation{kind: mapKind, name: copyName}, v)
			copies[v] = c
		}
		return c
	}
	for _, v := range x.values {
		for i, a := range v.args {
			if in := a.resolve(); in.bound && in.rate >= Batch && v.rate > in.rate && a.rate == in.rate {
				v.args[i] = copied(a)
			}
		}
	}
	for i, v := range x.outs {
		if v.resolve().op.kind == inputKind {
			x.outs[i] = copied(v)
		}
	}
}
