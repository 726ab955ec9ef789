package vjp

import (
	"fmt"
	"reflect"

	"gorgonia.org/gorgonia"
)

// wrong lists, by type, ops of Gorgonia v0.9.18 whose derivatives are wrong without saying so, or end the
// process, and what to use instead. Among them are ops that derivatives are made of: what
// refuses them are second derivatives.
var wrong = map[string]string{
	"sliceIncrOp":             "the second derivative of Slice is wrong: use models.Scope.Slice",
	"avgPoolOp":               "the derivative of AveragePool2D is wrong: use a convolution with a constant filter",
	"avgPoolDiffOp":           "the derivative of AveragePool2D is wrong: use a convolution with a constant filter",
	"globalAveragePoolOp":     "the derivative of GlobalAveragePool2D fails: use Mean over the last axis of an input reshaped to three",
	"globalAveragePoolDiffOp": "the derivative of GlobalAveragePool2D fails: use Mean over the last axis of an input reshaped to three",
	"dropoutOp":               "the derivative of Dropout draws a mask of its own: use models.Scope.Dropout",
	"dropoutDiffOp":           "the derivative of Dropout draws a mask of its own: use models.Scope.Dropout",
	"atOp":                    "At has no derivative, and passes for a constant: use Slice",
	"byIndicesOpDiffOp":       "ByIndices has no second derivative: use a product with a matrix of zeros and ones",
	"softmaxDiffOp":           "SoftMax and LogSoftMax have no second derivative: use models.Scope.SoftMax and LogSoftMax",
	"sparsemaxDiffOp":         "Sparsemax has no second derivative",
	"maxPoolDiffOp":           "MaxPool2D has no second derivative: use Max over axes of a reshaped input",
	"upsampleDiffOp":          "Upsample2D has no second derivative: use a product with a matrix of zeros and ones",
	"col2imOp":                "the second derivative of Conv2d is wrong, or ends the process: use products of matrices",
	"BatchNormOp":             "the derivative of BatchNorm reads what its last evaluation has left behind, and the second derivative is wrong: use models.Scope.LayerNorm",
	"batchnormDiffOp":         "the second derivative of BatchNorm is wrong: use models.Scope.LayerNorm",
	"GroupNormOp":             "the derivative of GroupNorm reads what its last evaluation has left behind: use models.Scope.LayerNorm",
	"groupNormDiffOp":         "the derivative of GroupNorm reads what its last evaluation has left behind: use models.Scope.LayerNorm",
}

// wrongFunctions are the same for the elementwise functions.
var wrongFunctions = map[string]string{
	"invSqrt": "the derivative of InverseSqrt is wrong: use the Inverse of Sqrt",
	"log2":    "the derivative of Log2 is wrong: use Log times 1/ln 2",
}

const (
	gorgoniaPackage = "gorgonia.org/gorgonia"
	outerProduct    = 3 // value of āBinaryOperator
)

// refuse returns an error if derivatives by way of n are known to be wrong.
func refuse(n *gorgonia.Node) error {
	op := n.Op()
	if op == nil {
		return nil
	}
	v := reflect.Indirect(reflect.ValueOf(op))
	if v.Type().PkgPath() != gorgoniaPackage {
		return nil
	}
	why := wrong[v.Type().Name()]
	switch v.Type().Name() {
	case "elemUnaryOp":
		why = wrongFunctions[op.String()]
	case "linAlgBinOp":
		if f := v.FieldByName("āBinaryOperator"); f.IsValid() && f.Kind() == reflect.Uint8 && f.Uint() == outerProduct {
			why = "the derivative of OuterProd, and with it the second derivative of a product of matrix and vector, is wrong: use products of matrices [n, 1] and [1, n]"
		}
	case "byIndicesOp":
		if f := v.FieldByName("axis"); f.IsValid() && f.Kind() == reflect.Int && f.Int() != 0 {
			why = fmt.Sprintf("the derivative of ByIndices along axis %d is wrong: transpose and index axis 0", f.Int())
		}
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("vjp: op %v (%s): %s", op, v.Type().Name(), why)
}

// checkSlices returns an error if the derivative of a Slice or a Concat is another one: Gorgonia's hash of
// slices keeps the last byte of their bounds only, so that [0:256] and [256:512] become one.
func checkSlices(op gorgonia.Op, children, local gorgonia.Nodes) error {
	type bounds interface {
		Start() int
		End() int
	}
	at := func(n *gorgonia.Node) (start, end int, ok bool) {
		if n == nil {
			return 0, 0, false
		}
		b, ok := n.Op().(bounds)
		if !ok || n.Op() == nil {
			return 0, 0, false
		}
		defer func() {
			if recover() != nil { // a slice of everything has no bounds
				ok = false
			}
		}()
		return b.Start(), b.End(), true
	}
	v := reflect.Indirect(reflect.ValueOf(op))
	if v.Type().PkgPath() != gorgoniaPackage {
		return nil
	}
	switch v.Type().Name() {
	case "concatOp":
		axis, start := v.FieldByName("axis"), 0
		if !axis.IsValid() || axis.Kind() != reflect.Int {
			return nil
		}
		for i, c := range children {
			end := start + c.Shape()[axis.Int()]
			if from, to, ok := at(local[i]); ok && (from != start || to != end) {
				return fmt.Errorf("vjp: op %v: Gorgonia merges the slices [%d:%d] and [%d:%d] of its derivative: use models.Scope.Concat", op, start, end, from, to)
			}
			start = end
		}
	case "sliceOp":
		if b, ok := op.(bounds); ok && len(local) == 1 {
			if from, to, ok := at(local[0]); ok && (from != b.Start() || to != b.End()) {
				return fmt.Errorf("vjp: op %v: Gorgonia merges its derivative with that of the slice [%d:%d]: use models.Scope.Slice", op, from, to)
			}
		}
	}
	return nil
}

// symDiff calls op.SymDiff; a panic becomes an error.
func symDiff(op gorgonia.SDOp, children gorgonia.Nodes, n, g *gorgonia.Node) (local gorgonia.Nodes, differentiable []bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("vjp: derivative of op %v (%T) panicked: %v", op, op, r)
		}
	}()
	if local, err = op.SymDiff(children, n, g); err != nil {
		return nil, nil, fmt.Errorf("vjp: derivative of op %v: %w", op, err)
	}
	return local, op.DiffWRT(len(children)), checkSlices(op, children, local)
}
