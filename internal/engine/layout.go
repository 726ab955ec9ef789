package engine

import (
	"fmt"
	"reflect"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/vjp"
)

// SelfCheck reports whether the linked Gorgonia is the one that the compiler can read: it builds
// one expression per op and compares what it decodes with what it built. It does the
// work once. When it fails, Compile falls back to the TapeMachine.
func SelfCheck() error { return selfCheck() }

var selfCheck = sync.OnceValue(func() (err error) {
	if err := vjp.CheckGorgonia(); err != nil {
		return err
	}
	building.Lock()
	defer building.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: self-check of gorgonia: %v", r)
		}
	}()
	for _, c := range layoutCases() {
		n, err := c.node, c.err
		if err != nil {
			return fmt.Errorf("engine: self-check of gorgonia: build %s: %w", c.name, err)
		}
		got, err := decode(n.Op())
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, c.want) {
			return fmt.Errorf("engine: self-check of gorgonia: %s is read as %+v, want %+v", c.name, got, c.want)
		}
	}
	return nil
})

type layoutCase struct {
	name string
	node *gorgonia.Node
	err  error
	want operation
}

func layoutCases() []layoutCase {
	g := gorgonia.NewGraph()
	input := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	a, b, v, w := input("a", 3, 4), input("b", 4, 5), input("v", 4), input("w", 4)
	c, d, e := input("c", 3, 4), input("d", 2, 3, 4), input("e", 2, 4, 5)
	var cases []layoutCase
	add := func(name string, want operation) func(*gorgonia.Node, error) {
		return func(n *gorgonia.Node, err error) {
			cases = append(cases, layoutCase{name: name, node: n, err: err, want: want})
		}
	}
	add("Mul of matrices", operation{kind: productKind, name: "matmul"})(gorgonia.Mul(a, b))
	add("Mul of matrix and vector", operation{kind: productKind, name: "matvec"})(gorgonia.Mul(a, v))
	add("Mul of vectors", operation{kind: productKind, name: "dot"})(gorgonia.Mul(v, w))
	add("OuterProd", operation{kind: productKind, name: "outer"})(gorgonia.OuterProd(v, w))
	add("BatchedMatMul", operation{kind: batchKind, name: "batched"})(gorgonia.BatchedMatMul(d, e))
	add("BatchedMatMul, transposed", operation{kind: batchKind, name: "batched", transA: true})(gorgonia.BatchedMatMul(d, d, true))
	for name, f := range map[string]func(a, b *gorgonia.Node) (*gorgonia.Node, error){
		"+": gorgonia.Add, "-": gorgonia.Sub, "⊙": gorgonia.HadamardProd, "÷": gorgonia.HadamardDiv, "^": gorgonia.Pow,
	} {
		add("elementwise "+name, operation{kind: zipKind, name: name})(f(a, c))
	}
	for name, f := range map[string]func(a, b *gorgonia.Node, same bool) (*gorgonia.Node, error){
		"<": gorgonia.Lt, ">": gorgonia.Gt, "<=": gorgonia.Lte, ">=": gorgonia.Gte, "==": gorgonia.Eq, "!=": gorgonia.Ne,
	} {
		add("elementwise "+name, operation{kind: zipKind, name: name})(f(a, c, true))
	}
	add("comparison to bool", operation{})(gorgonia.Lt(a, c, false))
	for name, f := range map[string]func(*gorgonia.Node) (*gorgonia.Node, error){
		"abs": gorgonia.Abs, "sign": gorgonia.Sign, "ceil": gorgonia.Ceil, "floor": gorgonia.Floor, "sin": gorgonia.Sin,
		"cos": gorgonia.Cos, "exp": gorgonia.Exp, "ln": gorgonia.Log, "log2": gorgonia.Log2, "neg": gorgonia.Neg,
		"square": gorgonia.Square, "sqrt": gorgonia.Sqrt, "inv": gorgonia.Inverse, "invSqrt": gorgonia.InverseSqrt,
		"cube": gorgonia.Cube, "tanh": gorgonia.Tanh, "sigmoid": gorgonia.Sigmoid, "log1p": gorgonia.Log1p,
		"expm1": gorgonia.Expm1, "softplus": gorgonia.Softplus,
	} {
		add(name, operation{kind: mapKind, name: name})(f(a))
	}
	add("Tensordot", operation{kind: productKind, name: "tensordot", axes: []int{2}, axesB: []int{0}})(gorgonia.Tensordot([]int{2}, []int{0}, d, b))
	add("Sum", operation{kind: sumKind, axes: []int{0, 2}})(gorgonia.Sum(d, 0, 2))
	add("Max", operation{kind: maxKind, axes: []int{1}})(gorgonia.Max(a, 1))
	add("Reshape", operation{kind: reshapeKind})(gorgonia.Reshape(a, tensor.Shape{12}))
	add("Transpose", operation{kind: transposeKind, axes: []int{2, 0, 1}})(gorgonia.Transpose(d, 2, 0, 1))
	add("Concat", operation{kind: concatKind, axis: 1})(gorgonia.Concat(1, a, c))
	add("Slice", operation{kind: sliceKind, axis: 1, start: 1, end: 3, step: 1})(gorgonia.Slice(a, nil, gorgonia.S(1, 3)))
	add("SoftMax", operation{kind: softmaxKind, axis: 1})(gorgonia.SoftMax(a, 1))
	add("LogSoftMax", operation{kind: softmaxKind, axis: 1, log: true})(gorgonia.LogSoftMax(c, 1))
	broadcast, err := gorgonia.BroadcastAdd(a, v, nil, []byte{0})
	if err == nil {
		repeat := vjp.Children(broadcast)[1]
		add("broadcast", operation{kind: repeatKind, axis: 0})(repeat, nil)
		size := vjp.Children(repeat)[1]
		if size.Op() != nil {
			add("size", operation{kind: inputKind, name: "size", axis: 0})(size, nil)
		}
	} else {
		add("broadcast", operation{})(nil, err)
	}
	return cases
}
