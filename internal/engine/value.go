package engine

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/vjp"
)

// value is a node of the expression under compilation. Its elements lie in row-major order.
type value struct {
	id      int
	node    *gorgonia.Node // nil for what the compiler made itself
	op      operation
	args    []*value
	uses    []*value // who reads it, each once
	shape   tensor.Shape
	size    int
	rate    Rate
	out     bool
	float   bool           // of the program's number type; others exist for opaque ops only
	data    []float64      // of a constant
	raw     gorgonia.Value // of a constant that is not float
	bound   bool           // an input that Bind may bind
	missing bool           // an input that is not listed and has no value

	rows  dependence
	mixes string // why rows are mixed

	// A product is [m,k]·[k,n]. Other ops see the source as [outer, count, inner] and work on
	// the middle axis; repeat makes each of the outer·inner elements count times.
	m, n, k             int
	outer, count, inner int

	group  *group // the fused group whose member it is
	step   *step  // that computes it
	memory int    // index of its buffer in the program, -1 before it has one
}

// expression is what is being compiled.
type expression struct {
	dtype  tensor.Dtype
	batch  int      // rows
	values []*value // operands first
	outs   []*value
	inputs []*value         // bound ones, also those that died
	listed []*gorgonia.Node // inputs that may be bound

	fastest Rate // of these

	groups []*group
	steps  [rates][]*step
	buffers
}

// read builds the expression of outs.
func read(outs gorgonia.Nodes, o Options, dtype tensor.Dtype, batch int) (*expression, error) {
	x := &expression{dtype: dtype, batch: batch}
	rate := make(map[*gorgonia.Node]Rate)
	for _, in := range o.Inputs {
		rate[in.Node] = in.Rate
	}
	byNode := make(map[*gorgonia.Node]*value)
	for _, n := range vjp.TopologicalFrom(o.given(), outs...) {
		v, err := x.readNode(n, rate[n], byNode)
		if err != nil {
			return nil, err
		}
		byNode[n] = v
	}
	for _, n := range outs {
		v := byNode[n]
		if !v.float {
			return nil, fmt.Errorf("engine: output %v is of %v, the program of %v", n, n.Dtype(), dtype)
		}
		x.outs = append(x.outs, v)
	}
	x.refresh()
	return x, nil
}

// complete reports an input without a value that the outputs need. Inputs of which only the shape matters
// do not count.
func (x *expression) complete() error {
	for _, v := range x.values {
		if v.missing {
			return fmt.Errorf("engine: input %v is not listed and has no value", v.node)
		}
	}
	return nil
}

func (x *expression) readNode(n *gorgonia.Node, r Rate, byNode map[*gorgonia.Node]*value) (*value, error) {
	op := operation{kind: inputKind}
	if r == Constant {
		if err := refuse(n); err != nil {
			return nil, err
		}
		var err error
		if op, err = decode(n.Op()); err != nil {
			return nil, err
		}
	}
	v := &value{node: n, op: op, shape: n.Shape().Clone(), size: volume(n.Shape()), rate: r, memory: -1}
	v.float = n.Dtype() == x.dtype
	if r == Constant {
		for _, c := range vjp.Children(n) {
			v.args = append(v.args, byNode[c])
		}
	}
	if !v.float && r != Constant {
		return nil, fmt.Errorf("engine: input %v is of %v, the program of %v", n, n.Dtype(), x.dtype)
	}
	for _, a := range v.args {
		if !a.float && v.op.name != "size" && v.op.kind != repeatKind {
			v.op = operation{}
		}
	}
	if !v.float && v.op.kind != inputKind {
		v.op = operation{}
	}
	if v.op.kind == inputKind {
		return v, x.readLeaf(v)
	}
	if !v.measure() {
		v.op = operation{}
	}
	return v, nil
}

// readLeaf completes an input or a constant.
func (x *expression) readLeaf(v *value) error {
	defer func() { v.args = nil }()
	switch {
	case v.op.name == "size":
		v.data = []float64{float64(v.args[0].shape[v.op.axis])}
	case v.rate != Constant:
		v.bound = true
		x.inputs = append(x.inputs, v)
	case v.node.Value() == nil:
		v.missing = true
	case !v.float:
		v.raw = v.node.Value()
	default:
		v.data = make([]float64, v.size)
		if x.dtype == tensor.Float64 {
			return flatten(v.data, v.node.Value())
		}
		narrow := make([]float32, v.size)
		if err := flatten(narrow, v.node.Value()); err != nil {
			return err
		}
		for i, f := range narrow {
			v.data[i] = float64(f)
		}
	}
	return nil
}

// resolve returns the value whose memory v is.
func (v *value) resolve() *value {
	for v.op.kind == reshapeKind {
		v = v.args[0]
	}
	return v
}

// label names v in messages.
func (v *value) label() string {
	switch {
	case v.op.kind == inputKind && v.node != nil && v.node.Name() != "":
		return v.node.Name()
	case v.op.name != "":
		return v.op.name
	case v.op.kind == opaqueKind && v.node != nil:
		return fmt.Sprint(v.node.Op())
	}
	return v.op.kind.String()
}
