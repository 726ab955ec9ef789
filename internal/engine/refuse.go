package engine

import (
	"fmt"
	"reflect"

	"gorgonia.org/gorgonia"

	"attractor/internal/vjp"
)

// wrongOps lists ops whose results are wrong in Gorgonia v0.9.18 or cannot be repeated, and what
// to do instead.
var wrongOps = map[string]string{
	"randomOp":                "it draws from a generator that cannot be seeded; pass the random numbers as an input",
	"dropoutOp":               "it draws from a generator that cannot be seeded; pass the mask as an input",
	"avgPoolDiffOp":           "the gradient of AveragePool2D is wrong; use a convolution with a constant filter or means over reshaped axes",
	"globalAveragePoolOp":     "GlobalAveragePool2D has no usable gradient; use Mean over the last two axes of a reshaped input",
	"globalAveragePoolDiffOp": "GlobalAveragePool2D has no usable gradient; use Mean over the last two axes of a reshaped input",
	"letOp":                   "statements do not belong into an expression",
	"readOp":                  "statements do not belong into an expression",
}

// refuse returns an error for an op that is known to be silently wrong.
func refuse(n *gorgonia.Node) error {
	if n.Op() == nil {
		return nil
	}
	f := fieldsOf(n.Op())
	if f.value.Type().PkgPath() != gorgoniaPackage {
		return nil
	}
	name := f.value.Type().Name()
	if why, wrong := wrongOps[name]; wrong {
		return fmt.Errorf("engine: op %v (%s): %s", n.Op(), name, why)
	}
	if name == "byIndicesOpDiffOp" {
		inner := fields{value: reflect.Indirect(f.value.Field(0))}
		if inner.int("axis") != 0 {
			return fmt.Errorf("engine: op %v: the gradient of ByIndices along axis %d is wrong; transpose and index axis 0", n.Op(), inner.int("axis"))
		}
	}
	return nil
}

// refuseOnTape returns an error for an op that the engine computes rightly and Gorgonia does not.
func refuseOnTape(x *expression) error {
	for _, v := range x.values {
		if v.node == nil || v.node.Op() == nil {
			continue
		}
		op, err := decode(v.node.Op())
		if err != nil || op.kind != sumKind && op.kind != maxKind {
			continue
		}
		shape := vjp.Children(v.node)[0].Shape()
		for _, a := range op.axes {
			if len(shape) >= 4 && a >= 2 && a < len(shape)-1 {
				return fmt.Errorf("engine: tape: op %v reduces inner axis %d of %v, which Gorgonia gets wrong; use Compile, or reshape to three axes", v.node.Op(), a, shape)
			}
		}
	}
	return nil
}
