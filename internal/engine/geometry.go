package engine

import "gorgonia.org/tensor"

// measure works out the geometry of an op from the shapes of its operands and drops operands of
// which only the shape matters. It reports false, and changes no operand, if the op is not
// one that we compute.
func (v *value) measure() bool {
	switch v.op.kind {
	case zipKind:
		for _, a := range v.args {
			if a.size != v.size && a.size != 1 {
				return false
			}
		}
		return len(v.args) == 2
	case mapKind, reshapeKind:
		return v.args[0].size == v.size
	case productKind:
		return v.measureProduct()
	case batchKind:
		return v.measureBatch()
	case repeatKind:
		return v.measureRepeat()
	case sumKind, maxKind:
		return v.measureReduction()
	case sliceKind:
		if v.op.name == wholeName {
			v.op = operation{kind: reshapeKind}
			return v.args[0].size == v.size
		}
		return v.op.start >= 0 && v.op.step >= 1 && v.split(v.args[0].shape, v.op.axis) &&
			v.size == v.outer*v.inner*sliceLength(v.op)
	case scatterKind:
		if v.op.name == wholeName && v.args[1].size == v.size {
			v.op, v.args = operation{kind: reshapeKind}, v.args[1:]
			return true
		}
		part := v.args[len(v.args)-1] // before it, in Gorgonia's op, something of the result's shape
		if v.op.start < 0 || v.op.step < 1 || !v.split(v.shape, v.op.axis) ||
			part.size != v.outer*v.inner*sliceLength(v.op) {
			return false
		}
		v.args = []*value{part}
		return true
	case concatKind:
		return v.split(v.shape, v.op.axis)
	case softmaxKind, softmaxVJPKind:
		if v.op.axis < 0 {
			v.op.axis = len(v.shape) - 1
			if v.shape.IsColVec() {
				v.op.axis = 0
			}
		}
		if !v.split(v.shape, v.op.axis) {
			return false
		}
		if v.op.kind == softmaxVJPKind {
			v.args = v.args[1:] // what softmax was of
		}
		return true
	case transposeKind:
		return len(v.op.axes) == len(v.args[0].shape)
	case norm2Kind, norm2GradKind:
		shape := v.args[0].shape
		v.m, v.n = shape[0], shape[1]
		return true
	}
	return true
}

// sliceLength is how many indices a slice takes.
func sliceLength(op operation) int { return (op.end - op.start + op.step - 1) / op.step }

// split sees shape as [outer, count, inner] around axis.
func (v *value) split(shape tensor.Shape, axis int) bool {
	if axis < 0 || axis >= len(shape) {
		return false
	}
	v.outer, v.count, v.inner = volume(shape[:axis]), shape[axis], volume(shape[axis+1:])
	return true
}

func (v *value) measureProduct() bool {
	a, b := v.args[0].shape, v.args[1].shape
	switch v.op.name {
	case "matmul":
		if len(a) != 2 || len(b) != 2 {
			return false
		}
		v.m, v.k, v.n = a[0], a[1], b[1]
		if v.op.transA {
			v.m, v.k = a[1], a[0]
		}
		if v.op.transB {
			v.n = b[0]
		}
	case "matvec":
		if len(a) != 2 {
			return false
		}
		v.m, v.k, v.n = a[0], a[1], 1
		if v.op.transA {
			v.m, v.k = a[1], a[0]
		}
		v.op.transB = false
	case "dot":
		v.m, v.k, v.n = 1, v.args[0].size, 1
		v.op.transA, v.op.transB = false, false
	case "outer":
		v.m, v.k, v.n = v.args[0].size, 1, v.args[1].size
		v.op.transA, v.op.transB = false, false
	}
	if v.op.name == "tensordot" && !v.measureTensordot() {
		return false
	}
	return v.args[0].size == v.m*v.k && v.args[1].size == v.k*v.n && v.size == v.m*v.n
}

// measureTensordot accepts contractions over the first or the last axes of each operand, in order.
func (v *value) measureTensordot() bool {
	a, b := v.args[0].shape, v.args[1].shape
	count := len(v.op.axes)
	if count == 0 || len(v.op.axesB) != count || count > len(a) || count > len(b) {
		return false
	}
	// from returns the first of the axes if they follow each other.
	from := func(axes []int) int {
		for i, x := range axes {
			if x != axes[0]+i {
				return -1
			}
		}
		return axes[0]
	}
	switch from(v.op.axes) {
	case len(a) - count:
		v.m, v.k, v.op.transA = volume(a[:len(a)-count]), volume(a[len(a)-count:]), false
	case 0:
		v.m, v.k, v.op.transA = volume(a[count:]), volume(a[:count]), true
	default:
		return false
	}
	switch from(v.op.axesB) {
	case 0:
		v.n, v.op.transB = volume(b[count:]), false
	case len(b) - count:
		v.n, v.op.transB = volume(b[:len(b)-count]), true
	default:
		return false
	}
	return true
}

func (v *value) measureBatch() bool {
	a, b := v.args[0].shape, v.args[1].shape
	d := len(a)
	if d < 3 || len(b) != d {
		return false
	}
	v.m, v.k, v.n = a[d-2], a[d-1], b[d-1]
	if v.op.transA {
		v.m, v.k = v.k, v.m
	}
	if v.op.transB {
		v.n = b[d-2]
	}
	v.outer = volume(a[:d-2])
	return v.args[1].size == v.outer*v.k*v.n && v.size == v.outer*v.m*v.n
}

// measureRepeat sees repeat as [outer, 1, inner] → [outer, count, inner]: Gorgonia repeats every
// element along the axis where it stands. The number of repeats is known from the shapes.
func (v *value) measureRepeat() bool {
	source := v.args[0].shape
	size := v.args[0].size
	if size == 0 || v.size%size != 0 {
		return false
	}
	v.outer = volume(source[:min(v.op.axis+1, len(source))])
	v.inner = size / v.outer
	v.count = v.size / size
	v.args = v.args[:1]
	return true
}

// measureReduction accepts axes that are neighbours, apart from axes of length 1; simplify turns
// others into several reductions.
func (v *value) measureReduction() bool {
	shape := v.args[0].shape
	reduced := make([]bool, len(shape))
	for _, a := range v.op.axes {
		if a < 0 || a >= len(shape) {
			return false
		}
		reduced[a] = true
	}
	v.outer, v.count, v.inner = 1, 1, 1
	state := 0 // before, in and after the reduced axes
	for i, d := range shape {
		if d == 1 {
			continue
		}
		if reduced[i] && state == 2 {
			return v.splitReduction(reduced)
		}
		if reduced[i] {
			state = 1
		} else if state == 1 {
			state = 2
		}
		switch state {
		case 0:
			v.outer *= d
		case 1:
			v.count *= d
		case 2:
			v.inner *= d
		}
	}
	return v.size == v.outer*v.inner
}

// splitReduction reduces the last axis in a value of its own, and the others after it.
func (v *value) splitReduction(reduced []bool) bool {
	source := v.args[0]
	last := len(reduced) - 1
	for !reduced[last] {
		last--
	}
	first := &value{
		op: operation{kind: v.op.kind, axes: []int{last}}, args: []*value{source},
		float: true, memory: -1,
	}
	first.shape = append(append(tensor.Shape{}, source.shape[:last]...), source.shape[last+1:]...)
	first.size = volume(first.shape)
	first.split(source.shape, last)
	rest := v.op
	rest.axes = nil
	for i := range last {
		if reduced[i] {
			rest.axes = append(rest.axes, i)
		}
	}
	v.op, v.args = rest, []*value{first}
	return v.measureReduction()
}
