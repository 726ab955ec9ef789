package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
	"attractor/internal/ops"
	"attractor/internal/vjp"
)

type node = *gorgonia.Node

// opCase builds an expression of inputs of given shapes. The first is of rate State, the others
// of rate Parameters.
type opCase struct {
	name     string
	shapes   [][]int
	build    func(c constants, x []node) (node, error)
	positive bool // the inputs must be positive
	noVJP    bool // no derivative, or a wrong one
	once     bool // no second derivative
	mixes    bool // not row by row
}

// constants makes constants of the number type under test.
type constants struct{ dtype tensor.Dtype }

func (c constants) of(v float64) node {
	if c.dtype == tensor.Float32 {
		return gorgonia.NewConstant(float32(v))
	}
	return gorgonia.NewConstant(v)
}

func s(d ...int) []int        { return d }
func dims(d ...[]int) [][]int { return d }
func each1(f func(node) (node, error)) func(constants, []node) (node, error) {
	return func(_ constants, x []node) (node, error) { return f(x[0]) }
}
func each2(f func(a, b node) (node, error)) func(constants, []node) (node, error) {
	return func(_ constants, x []node) (node, error) { return f(x[0], x[1]) }
}

func opCases() []opCase {
	m := gorgonia.Must
	var cases []opCase
	for _, u := range []struct {
		name            string
		f               func(node) (node, error)
		positive, noVJP bool
	}{
		{"tanh", gorgonia.Tanh, false, false}, {"sigmoid", gorgonia.Sigmoid, false, false}, {"rectify", gorgonia.Rectify, false, false},
		{"softplus", gorgonia.Softplus, false, false}, {"square", gorgonia.Square, false, false}, {"cube", gorgonia.Cube, false, false},
		{"sqrt", gorgonia.Sqrt, true, false}, {"exp", gorgonia.Exp, false, false}, {"log", gorgonia.Log, true, false},
		{"abs", gorgonia.Abs, false, false}, {"neg", gorgonia.Neg, false, false}, {"sin", gorgonia.Sin, false, false},
		{"cos", gorgonia.Cos, false, false}, {"log1p", gorgonia.Log1p, true, false}, {"expm1", gorgonia.Expm1, false, false},
		{"inverse", gorgonia.Inverse, true, false}, {"inverse sqrt", gorgonia.InverseSqrt, true, true}, {"log2", gorgonia.Log2, true, true},
		{"sign", gorgonia.Sign, false, true}, {"ceil", gorgonia.Ceil, false, true}, {"floor", gorgonia.Floor, false, true},
	} {
		cases = append(cases, opCase{name: u.name, shapes: dims(s(3, 4)), build: each1(u.f), positive: u.positive, noVJP: u.noVJP})
	}
	for _, b := range []struct {
		name     string
		f        func(a, b node) (node, error)
		positive bool
	}{
		{"add", gorgonia.Add, false}, {"sub", gorgonia.Sub, false}, {"product", gorgonia.HadamardProd, false},
		{"quotient", gorgonia.HadamardDiv, true}, {"power", gorgonia.Pow, true},
	} {
		f := b.f
		cases = append(cases,
			opCase{name: b.name, shapes: dims(s(3, 4), s(3, 4)), build: each2(f), positive: b.positive, noVJP: b.name == "power", mixes: true},
			opCase{name: b.name + " constant", shapes: dims(s(3, 4)), positive: b.positive, noVJP: b.name == "power",
				build: func(c constants, x []node) (node, error) { return f(x[0], c.of(1.5)) }},
			opCase{name: "constant " + b.name, shapes: dims(s(3, 4)), positive: b.positive, noVJP: b.name == "power",
				build: func(c constants, x []node) (node, error) { return f(c.of(1.5), x[0]) }},
			opCase{name: b.name + " scalar", shapes: dims(s(3, 4), nil), positive: b.positive, noVJP: true, build: each2(f)})
	}
	for name, f := range map[string]func(a, b node, same bool) (node, error){
		"<": gorgonia.Lt, ">": gorgonia.Gt, "<=": gorgonia.Lte, ">=": gorgonia.Gte, "==": gorgonia.Eq, "!=": gorgonia.Ne,
	} {
		cases = append(cases,
			opCase{name: "mask " + name, shapes: dims(s(3, 4), s(3, 4)), mixes: true,
				build: each2(func(a, b node) (node, error) { return gorgonia.HadamardProd(a, m(f(a, b, true))) })},
			opCase{name: "mask " + name + " constant", shapes: dims(s(3, 4)),
				build: func(c constants, x []node) (node, error) {
					return gorgonia.HadamardProd(x[0], m(f(x[0], c.of(0.2), true)))
				}},
			opCase{name: "mask constant " + name, shapes: dims(s(3, 4)),
				build: func(c constants, x []node) (node, error) {
					return gorgonia.HadamardProd(x[0], m(f(c.of(0.2), x[0], true)))
				}})
	}
	broadcast := func(f func(a, b node, l, r []byte) (node, error), l, r []byte) func(constants, []node) (node, error) {
		return each2(func(a, b node) (node, error) { return f(a, b, l, r) })
	}
	return append(append(cases, []opCase{
		{name: "leaky relu", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.LeakyRelu(x, 0.1) })},
		{name: "matmul", shapes: dims(s(3, 4), s(4, 5)), build: each2(gorgonia.Mul)},
		{name: "matmul of itself", shapes: dims(s(4, 4)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.Mul(x, x) })},
		{name: "matmul transposed", shapes: dims(s(3, 4), s(5, 4)), build: each2(func(a, b node) (node, error) { return gorgonia.Mul(a, m(gorgonia.Transpose(b))) })},
		{name: "matmul from the left", shapes: dims(s(3, 4), s(5, 3)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.Mul(b, a) })},
		{name: "gram", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Mul(m(gorgonia.Transpose(x)), x) })},
		{name: "matvec", shapes: dims(s(3, 4), s(4)), build: each2(gorgonia.Mul)},
		{name: "vecmat", shapes: dims(s(3), s(3, 4)), mixes: true, build: each2(gorgonia.Mul)},
		{name: "dot", shapes: dims(s(3), s(3)), mixes: true, noVJP: true, build: each2(gorgonia.Mul)},
		{name: "outer", shapes: dims(s(3), s(4)), noVJP: true, build: each2(gorgonia.OuterProd)},
		{name: "batched", shapes: dims(s(2, 3, 4), s(2, 4, 5)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.BatchedMatMul(a, b) })},
		{name: "batched A'", shapes: dims(s(2, 4, 3), s(2, 4, 5)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.BatchedMatMul(a, b, true) })},
		{name: "batched B'", shapes: dims(s(2, 3, 4), s(2, 5, 4)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.BatchedMatMul(a, b, false, true) })},
		{name: "tensordot", shapes: dims(s(2, 3, 4), s(4, 5)), build: each2(func(a, b node) (node, error) { return gorgonia.Tensordot([]int{2}, []int{0}, a, b) })},
		{name: "add row", shapes: dims(s(3, 4), s(4)), build: broadcast(gorgonia.BroadcastAdd, nil, []byte{0})},
		{name: "add row [1,N]", shapes: dims(s(3, 4), s(1, 4)), build: broadcast(gorgonia.BroadcastAdd, nil, []byte{0})},
		{name: "row add", shapes: dims(s(3, 4), s(4)), build: each2(func(a, b node) (node, error) { return gorgonia.BroadcastAdd(b, a, []byte{0}, nil) })},
		{name: "add column", shapes: dims(s(3, 4), s(3)), mixes: true, build: broadcast(gorgonia.BroadcastAdd, nil, []byte{1})},
		{name: "sub column [B,1]", shapes: dims(s(3, 4), s(3, 1)), mixes: true, build: broadcast(gorgonia.BroadcastSub, nil, []byte{1})},
		{name: "scale row", shapes: dims(s(3, 4), s(4)), build: broadcast(gorgonia.BroadcastHadamardProd, nil, []byte{0})},
		{name: "divide by column", shapes: dims(s(3, 4), s(3, 1)), positive: true, mixes: true, build: broadcast(gorgonia.BroadcastHadamardDiv, nil, []byte{1})},
		{name: "add channels", shapes: dims(s(2, 3, 4, 5), s(1, 3, 1, 1)), build: broadcast(gorgonia.BroadcastAdd, nil, []byte{0, 2, 3}), noVJP: true},
		{name: "sum", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(m(gorgonia.Square(x))) })},
		{name: "sum 0", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(x, 0) })},
		{name: "sum 1", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(x, 1) })},
		{name: "sum 1 of 3", shapes: dims(s(2, 3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(x, 1) })},
		{name: "sum 0,2 of 3", shapes: dims(s(2, 3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(x, 0, 2) })},
		{name: "sum 1,2 of 3", shapes: dims(s(2, 3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Sum(x, 1, 2) })},
		{name: "mean", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Mean(m(gorgonia.Square(x))) })},
		{name: "mean 1", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Mean(x, 1) })},
		{name: "max", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Max(x) }), mixes: true},
		{name: "max 1", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Max(x, 1) })},
		{name: "norm", shapes: dims(s(3, 4)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.Norm(x, 1, 2) })},
		{name: "slice columns", shapes: dims(s(3, 6)), build: each1(func(x node) (node, error) {
			return gorgonia.Tanh(m(gorgonia.Add(m(gorgonia.Slice(x, nil, gorgonia.S(0, 3))), m(gorgonia.Slice(x, nil, gorgonia.S(3, 6))))))
		})},
		{name: "slice rows", shapes: dims(s(4, 5)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.Slice(x, gorgonia.S(1, 3)) })},
		{name: "slice column", shapes: dims(s(4, 5)), build: each1(func(x node) (node, error) { return gorgonia.Slice(x, nil, gorgonia.S(1)) })},
		{name: "slice step", shapes: dims(s(6, 5)), mixes: true, noVJP: true, build: each1(func(x node) (node, error) { return gorgonia.Slice(x, gorgonia.S(0, 6, 2)) })},
		{name: "concat 0", shapes: dims(s(2, 4), s(3, 4)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.Concat(0, a, b) })},
		{name: "concat 1", shapes: dims(s(3, 2), s(3, 4)), mixes: true, build: each2(func(a, b node) (node, error) { return gorgonia.Concat(1, a, b) })},
		{name: "concat 1 of itself", shapes: dims(s(3, 2)), build: each1(func(x node) (node, error) { return gorgonia.Concat(1, x, m(gorgonia.Tanh(x))) })},
		{name: "reshape", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Reshape(x, tensor.Shape{6, 2}) })},
		{name: "reshape and the original", shapes: dims(s(3, 4)), build: func(c constants, x []node) (node, error) {
			y := m(gorgonia.Tanh(x[0]))
			r := m(gorgonia.Reshape(y, tensor.Shape{12}))
			squares := m(gorgonia.Sub(c.of(1), m(gorgonia.HadamardProd(y, y))))
			return gorgonia.HadamardProd(m(gorgonia.Reshape(r, tensor.Shape{3, 4})), squares)
		}},
		{name: "transpose", shapes: dims(s(3, 4)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.Transpose(x) })},
		{name: "transpose 3", shapes: dims(s(2, 3, 4)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.Transpose(x, 2, 0, 1) })},
		{name: "transpose inner", shapes: dims(s(2, 3, 4)), build: each1(func(x node) (node, error) { return gorgonia.Transpose(x, 0, 2, 1) })},
		{name: "softmax", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.SoftMax(x, 1) })},
		{name: "softmax 0", shapes: dims(s(3, 4)), mixes: true, build: each1(func(x node) (node, error) { return gorgonia.SoftMax(x, 0) })},
		{name: "softmax default", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.SoftMax(x) })},
		{name: "log softmax", shapes: dims(s(3, 4)), build: each1(func(x node) (node, error) { return gorgonia.LogSoftMax(x, 1) })},
		{name: "conv", shapes: dims(s(2, 2, 4, 4), s(3, 2, 3, 3)), mixes: true, build: each2(func(a, b node) (node, error) {
			return gorgonia.Conv2d(a, b, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
		})},
		{name: "max pool", shapes: dims(s(2, 2, 4, 4)), mixes: true, build: each1(func(x node) (node, error) {
			return gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		})},
		{name: "batch norm", shapes: dims(s(5, 3), s(1, 3), s(1, 3)), mixes: true, noVJP: true, build: func(_ constants, x []node) (node, error) {
			y, _, _, _, err := gorgonia.BatchNorm(x[0], x[1], x[2], 0.9, 1e-5)
			return y, err
		}},
		{name: "by indices", shapes: dims(s(5, 3)), mixes: true, build: each1(func(x node) (node, error) {
			at := gorgonia.NewTensor(x.Graph(), tensor.Int, 1, gorgonia.WithShape(4), gorgonia.WithName("at"),
				gorgonia.WithValue(tensor.New(tensor.WithShape(4), tensor.WithBacking([]int{2, 0, 4, 2}))))
			return gorgonia.ByIndices(x, at, 0)
		})},
		{name: "layer norm", shapes: dims(s(3, 4), s(4), s(4)), build: func(c constants, x []node) (node, error) {
			d := m(gorgonia.BroadcastSub(x[0], m(gorgonia.Mean(x[0], 1)), nil, []byte{1}))
			v := m(gorgonia.Mean(m(gorgonia.Square(d)), 1))
			y := m(gorgonia.BroadcastHadamardDiv(d, m(gorgonia.Sqrt(m(gorgonia.Add(v, c.of(1e-3))))), nil, []byte{1}))
			y = m(gorgonia.BroadcastHadamardProd(y, x[1], nil, []byte{0}))
			return gorgonia.BroadcastAdd(y, x[2], nil, []byte{0})
		}},
		{name: "log loss", shapes: dims(s(3, 4)), build: func(c constants, x []node) (node, error) {
			return gorgonia.Neg(m(gorgonia.Mean(m(gorgonia.Sum(m(gorgonia.LogSoftMax(x[0], 1)), 1)))))
		}},
		{name: "gru", shapes: dims(s(3, 4), s(4, 4), s(4, 4), s(4, 4)), build: func(c constants, x []node) (node, error) {
			h := x[0]
			r := m(gorgonia.Sigmoid(m(gorgonia.Mul(h, x[1]))))
			u := m(gorgonia.Sigmoid(m(gorgonia.Mul(h, x[2]))))
			n := m(gorgonia.Tanh(m(gorgonia.Mul(m(gorgonia.HadamardProd(r, h)), x[3]))))
			return gorgonia.Add(m(gorgonia.HadamardProd(u, h)), m(gorgonia.HadamardProd(m(gorgonia.Sub(c.of(1), u)), n)))
		}},
		{name: "lstm", shapes: dims(s(3, 4), s(4, 8), s(8)), build: func(c constants, x []node) (node, error) {
			gates := m(gorgonia.BroadcastAdd(m(gorgonia.Mul(x[0], x[1])), x[2], nil, []byte{0}))
			at := func(i int) node { return m(gorgonia.Slice(gates, nil, gorgonia.S(2*i, 2*i+2))) }
			in, forget, out, cell := m(gorgonia.Sigmoid(at(0))), m(gorgonia.Sigmoid(at(1))), m(gorgonia.Sigmoid(at(2))), m(gorgonia.Tanh(at(3)))
			old := m(gorgonia.Slice(x[0], nil, gorgonia.S(2, 4)))
			state := m(gorgonia.Add(m(gorgonia.HadamardProd(forget, old)), m(gorgonia.HadamardProd(in, cell))))
			return gorgonia.Concat(1, m(gorgonia.HadamardProd(out, m(gorgonia.Tanh(state)))), state)
		}},
	}...), ownCases()...)
}

// ownCases are the ops of package ops.
func ownCases() []opCase {
	m := gorgonia.Must
	of := func(o ops.Op) func(constants, []node) (node, error) {
		return func(_ constants, x []node) (node, error) { return ops.Apply(o, x...) }
	}
	return []opCase{
		{name: "own slice", shapes: dims(s(3, 6)), build: of(ops.Op{Kind: ops.Slice, Lo: 2, Hi: 5})},
		{name: "own slice of one", shapes: dims(s(3, 6)), build: of(ops.Op{Kind: ops.Slice, Lo: 5, Hi: 6})},
		{name: "own slice of all", shapes: dims(s(3, 6)), build: of(ops.Op{Kind: ops.Slice, Hi: 6})},
		{name: "own pad", shapes: dims(s(3, 2)), build: of(ops.Op{Kind: ops.Pad, Lo: 1, Hi: 3, Size: 4})},
		{name: "own concat", shapes: dims(s(3, 2), s(3, 4), s(3, 1)), mixes: true, build: of(ops.Op{Kind: ops.Concat, Inputs: 3})},
		{name: "own sum 0", shapes: dims(s(3, 4)), build: of(ops.Op{Kind: ops.Sum, Axis: 0})},
		{name: "own sum 1", shapes: dims(s(3, 4)), build: of(ops.Op{Kind: ops.Sum, Axis: 1})},
		{name: "own repeat 0", shapes: dims(s(1, 4)), build: of(ops.Op{Kind: ops.Repeat, Axis: 0, Size: 3})},
		{name: "own repeat 1", shapes: dims(s(3, 1)), build: of(ops.Op{Kind: ops.Repeat, Axis: 1, Size: 5})},
		{name: "own softmax", shapes: dims(s(3, 4)), build: of(ops.Op{Kind: ops.SoftMax})},
		{name: "own log softmax", shapes: dims(s(3, 4)), build: of(ops.Op{Kind: ops.LogSoftMax})},
		{name: "own log softmax of one sample", shapes: dims(s(1, 4)), build: of(ops.Op{Kind: ops.LogSoftMax})},
		{name: "own softmax of one unit", shapes: dims(s(3, 1)), build: of(ops.Op{Kind: ops.SoftMax})},
		{name: "own norm2", shapes: dims(s(5, 4)), mixes: true, build: of(ops.Op{Kind: ops.Norm2})},
		{name: "own norm2, wide", shapes: dims(s(3, 7)), mixes: true, build: of(ops.Op{Kind: ops.Norm2})},
		{name: "own norm2 of a column", shapes: dims(s(5, 1)), mixes: true, build: of(ops.Op{Kind: ops.Norm2})},
		{name: "own norm2 gradient", shapes: dims(s(4, 5)), mixes: true, once: true, build: of(ops.Op{Kind: ops.Norm2Grad})},
		{name: "own gates", shapes: dims(s(3, 4), s(4, 8)), build: func(_ constants, x []node) (node, error) {
			all := m(ops.Apply(ops.Op{Kind: ops.Slice, Hi: 4}, m(gorgonia.Mul(x[0], x[1]))))
			rest := m(ops.Apply(ops.Op{Kind: ops.Slice, Lo: 4, Hi: 8}, m(gorgonia.Mul(x[0], x[1]))))
			both := m(gorgonia.HadamardProd(m(gorgonia.Sigmoid(all)), m(gorgonia.Tanh(rest))))
			return ops.Apply(ops.Op{Kind: ops.Concat, Inputs: 2}, both, x[0])
		}},
	}
}

// built is a case as a graph with its first derivatives.
type built struct {
	graph  *gorgonia.ExprGraph
	inputs []Input // the case's own, then the cotangent
	outs   gorgonia.Nodes
}

func (c opCase) graph(t testing.TB, dt tensor.Dtype) built {
	t.Helper()
	b := built{graph: gorgonia.NewGraph()}
	var x gorgonia.Nodes
	for i, shape := range c.shapes {
		name := fmt.Sprintf("x%d", i)
		n := node(nil)
		if len(shape) == 0 {
			n = gorgonia.NewScalar(b.graph, dt, gorgonia.WithName(name))
		} else {
			n = input(b.graph, dt, name, shape...)
		}
		x = append(x, n)
		rate := Parameters
		if i == 0 {
			rate = State
		}
		b.inputs = append(b.inputs, Input{n, rate})
	}
	y, err := c.build(constants{dt}, x)
	must(t, err)
	b.outs = gorgonia.Nodes{y}
	if c.noVJP {
		return b
	}
	var u node
	if y.Dims() == 0 {
		u = gorgonia.NewScalar(b.graph, dt, gorgonia.WithName("u"))
	} else {
		u = input(b.graph, dt, "u", y.Shape()...)
	}
	rate := Parameters
	if y.Dims() > 0 && y.Shape()[0] == c.shapes[0][0] && !c.mixes {
		rate = Cotangent
	}
	b.inputs = append(b.inputs, Input{u, rate})
	grads, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{u}, x)
	must(t, err)
	for _, g := range grads {
		if g != nil {
			b.outs = append(b.outs, g)
		}
	}
	return b
}

// fill binds fresh numbers to every input of all programs.
func fill[T kernels.Float](t testing.TB, r *rand.Rand, inputs []Input, positive bool, programs ...Program[T]) map[node][]T {
	t.Helper()
	data := make(map[node][]T)
	for _, in := range inputs {
		d := normal[T](r, volume(in.Node.Shape()))
		for i := range d {
			if positive {
				d[i] = T(0.5 + math.Abs(float64(d[i])))
			}
		}
		data[in.Node] = d
		for _, p := range programs {
			must(t, p.Bind(in.Node, d))
		}
	}
	return data
}

func runAll[T kernels.Float](t testing.TB, p Program[T], rows int) {
	t.Helper()
	for r := Parameters; r <= Cotangent; r++ {
		must(t, p.Run(r, rows))
	}
}

// difference is the largest |a − b| over the largest |b|, or over 1 if that is larger than the smaller
// of both: ops with large results are compared relatively.
func difference[T kernels.Float](a, b []T) float64 {
	worst, scale := 0.0, 1.0
	for i := range b {
		x, y := float64(a[i]), float64(b[i])
		if math.IsNaN(x) != math.IsNaN(y) {
			return math.Inf(1)
		}
		if x == y || math.IsNaN(x) {
			continue
		}
		worst, scale = max(worst, math.Abs(x-y)), max(scale, math.Abs(y))
	}
	return worst / scale
}

// tolerance bounds the difference to the tape: a few dozen roundings.
func tolerance[T kernels.Float]() float64 {
	if dtypeOf[T]() == tensor.Float32 {
		return 4e-6
	}
	return 1e-13
}

func testOps[T kernels.Float](t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			b := c.graph(t, dtypeOf[T]())
			p, err := Compile[T](b.outs, Options{Inputs: b.inputs})
			must(t, err)
			q, err := CompileTape[T](b.outs, Options{Inputs: b.inputs})
			must(t, err)
			r := rand.New(rand.NewPCG(1, 2))
			for range 2 {
				fill(t, r, b.inputs, c.positive, p, q)
				runAll(t, p, c.shapes[0][0])
				runAll(t, q, c.shapes[0][0])
				for i := range b.outs {
					if d := difference(p.Out(i), q.Out(i)); !(d <= tolerance[T]()) {
						t.Errorf("output %d (%v) differs by %.2g:\n%v\n%v", i, b.outs[i], d, p.Out(i), q.Out(i))
					}
				}
			}
			if err := p.RowWise(); err != nil != c.mixes {
				t.Errorf("RowWise: %v", err)
			}
		})
	}
}

func TestOpsFloat64(t *testing.T) { testOps[float64](t) }
func TestOpsFloat32(t *testing.T) { testOps[float32](t) }
