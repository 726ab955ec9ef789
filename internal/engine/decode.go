package engine

import (
	"fmt"
	"reflect"
	"strings"

	"gorgonia.org/gorgonia"

	"attractor/internal/ops"
)

// kind is what the compiler knows how to do.
type kind uint8

const (
	opaqueKind     kind = iota // by the op's own Do
	inputKind                  // bound or constant memory
	mapKind                    // elementwise function of one operand
	zipKind                    // elementwise function of two operands
	repeatKind                 // copies along an axis
	sliceKind                  // a part of an axis
	scatterKind                // zeros but for a part of an axis
	reshapeKind                // the same memory
	transposeKind              // axes in another order
	concatKind                 // operands one after the other along an axis
	productKind                // matrix product, plus a third operand if there is one
	batchKind                  // a matrix product per leading index
	sumKind                    // sum over axes
	maxKind                    // maximum over axes
	softmaxKind                // softmax along an axis, or its logarithm
	softmaxVJPKind             // its vector–Jacobian product
	norm2Kind                  // largest singular value of a matrix
	norm2GradKind              // its gradient
)

var kindNames = [...]string{
	"opaque", "input", "map", "zip", "repeat", "slice", "scatter", "reshape", "transpose", "concat",
	"product", "batched product", "sum", "max", "softmax", "softmax VJP", "norm2", "norm2 gradient",
}

func (k kind) String() string { return kindNames[k] }

// operation is an op and its parameters.
type operation struct {
	kind             kind
	name             string // elementwise function or kind of product
	axes             []int  // reduced axes, or a permutation
	axesB            []int  // contracted axes of the right operand of tensordot, axes being the left's
	axis             int
	start, end, step int
	transA, transB   bool
	log              bool // of softmax
}

const gorgoniaPackage = "gorgonia.org/gorgonia"

// products names the values of Gorgonia's āBinaryOperator.
var products = [...]string{"matmul", "matvec", "dot", "outer", "batched"}

// decode reads an op. What it does not know is opaque; a field that is not where it should be
// is an error, for then this is not the Gorgonia we know.
func decode(op gorgonia.Op) (operation, error) {
	if op == nil {
		return operation{kind: inputKind}, nil
	}
	if own, ok := op.(ops.Op); ok {
		return decodeOwn(own), nil
	}
	f := fieldsOf(op)
	if f.value.Type().PkgPath() != gorgoniaPackage {
		return operation{}, nil
	}
	var o operation
	switch f.value.Type().Name() {
	case "constantScalar", "constantTensor":
		o.kind = inputKind
	case "elemUnaryOp":
		if name := op.String(); mapNames[name] {
			o = operation{kind: mapKind, name: name}
		}
	case "elemBinOp":
		name, _, _ := strings.Cut(op.String(), " ")
		family := zipNames[name]
		if family == arithmetic || family == comparison && f.bool("retSame") {
			o = operation{kind: zipKind, name: name}
		}
	case "linAlgBinOp":
		o = operation{kind: productKind, transA: f.bool("transA"), transB: f.bool("transB")}
		which := f.uint("āBinaryOperator")
		if which >= len(products) {
			return o, fmt.Errorf("engine: unknown matrix product %d in %v", which, op)
		}
		o.name = products[which]
		if o.name == "batched" {
			o.kind = batchKind
		}
	case "sumOp":
		o = operation{kind: sumKind, axes: f.ints("along")}
	case "maxOp":
		o = operation{kind: maxKind, axes: f.ints("along")}
	case "repeatOp":
		o = operation{kind: repeatKind, axis: f.int("along")}
	case "reshapeOp":
		o = operation{kind: reshapeKind}
	case "transposeOp":
		o = operation{kind: transposeKind, axes: f.ints("pattern")}
	case "concatOp":
		o = operation{kind: concatKind, axis: f.int("axis")}
	case "sliceOp", "sliceIncrOp":
		o = operation{kind: sliceKind, axis: f.int("along")}
		if f.value.Type().Name() == "sliceIncrOp" {
			o.kind = scatterKind
		}
		s, ok := op.(interface {
			Start() int
			End() int
			Step() int
		})
		if !f.isNil("Slice") && ok {
			o.start, o.end, o.step = s.Start(), s.End(), max(s.Step(), 1)
		}
		if o.end <= o.start { // the whole axis, to Gorgonia
			o = operation{kind: o.kind, name: wholeName}
		}
	case "tensordotOp":
		o = operation{kind: productKind, name: "tensordot", axes: f.ints("aAxes"), axesB: f.ints("bAxes")}
	case "softmaxOp":
		o = operation{kind: softmaxKind, axis: f.int("axis"), log: f.bool("isLog")}
	case "softmaxDiffOp":
		o = operation{kind: softmaxVJPKind, axis: f.int("axis"), log: f.bool("isLog")}
	case "sizeOp":
		o = operation{kind: inputKind, name: "size", axis: f.int("axis")}
	}
	if f.err != nil {
		return operation{}, fmt.Errorf("engine: %T: %w", op, f.err)
	}
	return o, nil
}

// decodeOwn reads an op of ours.
func decodeOwn(op ops.Op) operation {
	switch op.Kind {
	case ops.Slice:
		return operation{kind: sliceKind, axis: 1, start: op.Lo, end: op.Hi, step: 1}
	case ops.Pad:
		return operation{kind: scatterKind, axis: 1, start: op.Lo, end: op.Hi, step: 1}
	case ops.Concat:
		return operation{kind: concatKind, axis: 1}
	case ops.Sum:
		return operation{kind: sumKind, axes: []int{op.Axis}}
	case ops.Repeat:
		return operation{kind: repeatKind, axis: op.Axis}
	case ops.SoftMax, ops.LogSoftMax:
		return operation{kind: softmaxKind, axis: 1, log: op.Kind == ops.LogSoftMax}
	case ops.Norm2:
		return operation{kind: norm2Kind}
	case ops.Norm2Grad:
		return operation{kind: norm2GradKind}
	}
	return operation{}
}

// fields reads the unexported fields of an op, remembering the first that is not as expected.
type fields struct {
	value reflect.Value
	err   error
}

func fieldsOf(op gorgonia.Op) *fields {
	v := reflect.ValueOf(op)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return &fields{value: v}
}

// get returns the field, also one promoted from an embedded struct, and whether it has the kind
// wanted.
func (f *fields) get(name string, kinds ...reflect.Kind) (reflect.Value, bool) {
	var v reflect.Value
	if f.value.Kind() == reflect.Struct {
		v = f.value.FieldByName(name)
	}
	for _, k := range kinds {
		if v.IsValid() && v.Kind() == k {
			return v, true
		}
	}
	if f.err == nil {
		f.err = fmt.Errorf("field %s is not laid out as in gorgonia v0.9.18", name)
	}
	return v, false
}

func (f *fields) bool(name string) bool {
	v, ok := f.get(name, reflect.Bool)
	return ok && v.Bool()
}

func (f *fields) int(name string) int {
	if v, ok := f.get(name, reflect.Int); ok {
		return int(v.Int())
	}
	return 0
}

func (f *fields) uint(name string) int {
	if v, ok := f.get(name, reflect.Uint8); ok {
		return int(v.Uint())
	}
	return 0
}

func (f *fields) ints(name string) []int {
	v, ok := f.get(name, reflect.Slice)
	if !ok || v.Type().Elem().Kind() != reflect.Int {
		return nil
	}
	s := make([]int, v.Len())
	for i := range s {
		s[i] = int(v.Index(i).Int())
	}
	return s
}

func (f *fields) isNil(name string) bool {
	v, ok := f.get(name, reflect.Interface)
	return !ok || v.IsNil()
}
