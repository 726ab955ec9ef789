package engine

import "fmt"

// dependence says how a value depends on the samples of a batch.
type dependence uint8

const (
	fixed   dependence = iota // on none
	uniform                   // on none, and it is the same for every sample's part
	rowed                     // it has one part per sample, one after the other, each depending on its sample only
	summed                    // it has no parts and depends on all samples
	mixed                     // anything else
)

var dependenceNames = [...]string{"fixed", "uniform", "rows", "sum over rows", "mixed rows"}

func (d dependence) String() string { return dependenceNames[d] }

// followRows finds the dependence of every value on the samples, operands first.
func (x *expression) followRows() {
	for _, v := range x.values {
		v.rows, v.mixes = x.dependence(v)
	}
}

// firstMixed returns what keeps the expression from running on a part of its rows, or nil.
func (x *expression) firstMixed() error {
	for _, v := range x.values {
		if v.rows == mixed {
			return fmt.Errorf("engine: %s%v: %s", v.label(), v.shape, v.mixes)
		}
	}
	return nil
}

// leads reports whether the leading axis of a [length, …] view is made of whole samples.
func (x *expression) leads(length int) bool { return x.batch > 0 && length%x.batch == 0 }

func (x *expression) dependence(v *value) (dependence, string) {
	if len(v.args) == 0 {
		switch {
		case v.bound && v.rate >= Batch:
			return rowed, ""
		case x.uniformConstant(v):
			return uniform, ""
		}
		return fixed, ""
	}
	all := func(allowed ...dependence) bool {
		for _, a := range v.args {
			ok := false
			for _, d := range allowed {
				ok = ok || a.rows == d
			}
			if !ok {
				return false
			}
		}
		return true
	}
	if all(fixed, uniform) {
		if x.keepsUniform(v) {
			return uniform, ""
		}
		return fixed, ""
	}
	if x.batch == 1 {
		return rowed, "" // of the one sample there is
	}
	if all(fixed, uniform, summed) {
		return summed, ""
	}
	for _, a := range v.args {
		if a.rows == mixed {
			return mixed, "depends on mixed rows"
		}
	}
	a := v.args[0]
	switch v.op.kind {
	case mapKind, reshapeKind:
		return rowed, ""
	case zipKind:
		for _, b := range v.args {
			if b.rows == rowed || b.rows == uniform || b.size == 1 && b.rows == fixed {
				continue
			}
			return mixed, fmt.Sprintf("combines rows with a value that is %v", b.rows)
		}
		if v.size%x.batch != 0 {
			return mixed, "combines a single row with others"
		}
		return rowed, ""
	case productKind:
		return x.productRows(v)
	case batchKind:
		if x.leads(v.outer) && all(rowed, uniform) {
			return rowed, ""
		}
		return mixed, "multiplies across the batch axis"
	case repeatKind:
		if x.leads(v.outer) {
			return rowed, ""
		}
		return mixed, "repeats rows"
	case sumKind, maxKind:
		switch {
		case x.leads(v.outer) && v.outer > 1:
			return rowed, ""
		case v.outer == 1 && x.leads(v.count):
			return summed, ""
		}
		return mixed, "reduces some of the rows"
	case sliceKind, scatterKind, softmaxKind, softmaxVJPKind, concatKind:
		if x.leads(v.outer) && all(rowed, uniform) {
			return rowed, ""
		}
		return mixed, "works along the batch axis"
	case transposeKind:
		if v.op.axes[0] == 0 && x.leads(a.shape[0]) {
			return rowed, ""
		}
		return mixed, "moves the batch axis"
	}
	return mixed, "is not known to keep rows apart"
}

// productRows: rows may be those of the left operand and of the result, or what is summed over.
func (x *expression) productRows(v *value) (dependence, string) {
	a, b := v.args[0], v.args[1]
	if len(v.args) == 3 && v.args[2].rows != rowed && v.args[2].rows != summed {
		return mixed, "adds products of different kinds"
	}
	switch {
	case a.rows == rowed && !v.op.transA && (b.rows == fixed || b.rows == uniform) && x.leads(v.m):
		if len(v.args) == 3 && v.args[2].rows != rowed {
			return mixed, "adds products of different kinds"
		}
		return rowed, ""
	case (a.rows == rowed || a.rows == uniform) && (b.rows == rowed || b.rows == uniform) &&
		(v.op.transA || v.m == 1) && (!v.op.transB || v.n == 1) && x.leads(v.k):
		if len(v.args) == 3 && v.args[2].rows != summed {
			return mixed, "adds products of different kinds"
		}
		return summed, ""
	}
	return mixed, "multiplies across the batch axis"
}

// uniformConstant reports whether a leaf has the same numbers in the part of every sample.
func (x *expression) uniformConstant(v *value) bool {
	if v.size == 1 {
		return true
	}
	if len(v.data) == 0 || x.batch == 0 || v.size%x.batch != 0 {
		return false
	}
	part := v.size / x.batch
	for i := part; i < v.size; i++ {
		if v.data[i] != v.data[i-part] {
			return false
		}
	}
	return true
}

// keepsUniform reports whether v, of operands that do not depend on the batch, has the same numbers
// in the part of every sample.
func (x *expression) keepsUniform(v *value) bool {
	if v.size == 1 {
		return true
	}
	if x.batch == 0 || v.size%x.batch != 0 {
		return false
	}
	switch v.op.kind {
	case mapKind, zipKind, reshapeKind:
		for _, a := range v.args {
			if a.rows != uniform && a.size != 1 {
				return false
			}
		}
		return true
	case repeatKind:
		period := v.count * v.inner // of the outermost index, within which the source advances
		if v.outer == 1 {
			return (v.size/x.batch)%v.inner == 0
		}
		return v.args[0].rows == uniform && v.args[0].size > 1 && (v.size/x.batch)%period == 0
	}
	return false
}
