package deq

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"sync/atomic"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A NodeLayer is three kinds of ops in the user's graph:
//
//	solve     (x, θ…) → z*
//	pullback  (∂L/∂z*, z*, x, θ…) → all gradients in one vector, for an op has only one result
//	part      the vector → one gradient
//
// They return memory of their own, which belongs to the machine: later ops may overwrite it,
// and BindDualValues adds to it. They keep nothing between runs that one would need of
// another, so that several machines may run one graph.
var (
	_ gorgonia.SDOp = (*solveOp[float64])(nil)
	_ gorgonia.ADOp = (*solveOp[float64])(nil)
	_ gorgonia.SDOp = (*pullbackOp[float64])(nil)
	_ gorgonia.SDOp = (*partOp[float64])(nil)
)

var opIDs atomic.Uint64

// opID is what an op is told by, for Gorgonia merges nodes whose ops have one hash.
type opID uint64

func (id opID) WriteHash(h hash.Hash) { fmt.Fprintf(h, "attractor/deq/%d", id) }

func (id opID) Hashcode() uint32 {
	h := fnv.New32a()
	id.WriteHash(h)
	return h.Sum32()
}

func (opID) ReturnsPtr() bool     { return false }
func (opID) CallsExtern() bool    { return false }
func (opID) OverwritesInput() int { return -1 }

// applyNew adds a new op to the graph. Where Gorgonia returns another node instead, because the
// 32 bits of their hashes agree, the op gets another id.
func applyNew(op func(id opID) gorgonia.Op, operands ...*gorgonia.Node) (*gorgonia.Node, error) {
	for range 4 {
		o := op(opID(opIDs.Add(1)))
		n, err := gorgonia.ApplyOp(o, operands...)
		if err != nil {
			return nil, err
		}
		if n.Op() == o {
			return n, nil
		}
	}
	return nil, fmt.Errorf("its op is merged with others by Gorgonia")
}

func tensorType[T Float](dims int) hm.Type {
	return gorgonia.TensorType{Dims: dims, Of: dtypeOf[T]()}
}

// denseOf wraps memory that belongs to the result.
func denseOf[T Float](data []T, shape ...int) gorgonia.Value {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// operands are the types of x and the parameters.
func (l *NodeLayer[T]) operands() []hm.Type {
	types := []hm.Type{tensorType[T](2)}
	for _, k := range l.theta {
		types = append(types, tensorType[T](len(l.layer.Params[k].Shape)))
	}
	return types
}

type solveOp[T Float] struct {
	opID
	l *NodeLayer[T]
}

func (o *solveOp[T]) String() string { return "equilibrium " + o.l.Name }
func (o *solveOp[T]) Arity() int     { return 1 + len(o.l.theta) }
func (o *solveOp[T]) Type() hm.Type  { return hm.NewFnType(append(o.l.operands(), tensorType[T](2))...) }

func (o *solveOp[T]) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.l.rows, o.l.layer.Units}, nil
}

func (o *solveOp[T]) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	if len(v) != o.Arity() {
		return nil, fmt.Errorf("deq: node %s: %d values, expected %d", o.l.Name, len(v), o.Arity())
	}
	z, err := o.l.solve(v[0], v[1:])
	if err != nil {
		return nil, err
	}
	return denseOf(z, o.l.rows, o.l.layer.Units), nil
}

func (o *solveOp[T]) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

func (o *solveOp[T]) SymDiff(in gorgonia.Nodes, z, dz *gorgonia.Node) (_ gorgonia.Nodes, err error) {
	l := o.l
	defer panicAsError("derivative of node "+l.Name, &err)
	l.mu.Lock()
	err = l.differentiable()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	all, err := applyNew(func(id opID) gorgonia.Op { return &pullbackOp[T]{id, l} }, append(gorgonia.Nodes{dz, z}, in...)...)
	if err != nil {
		return nil, fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
	}
	grads := make(gorgonia.Nodes, len(in))
	for i, n := range in {
		shape := n.Shape()
		grads[i], err = applyNew(func(id opID) gorgonia.Op { return &partOp[T]{id, l, i, shape} }, all)
		if err != nil {
			return nil, fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
		}
	}
	return grads, nil
}

// DoDiff adds to the gradients of the operands, for the LispMachine.
func (o *solveOp[T]) DoDiff(_ gorgonia.ExecutionContext, in gorgonia.Nodes, z *gorgonia.Node) (err error) {
	l := o.l
	defer panicAsError("derivative of node "+l.Name, &err)
	dz, err := z.Grad()
	if err != nil {
		return fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
	}
	values := make([]gorgonia.Value, len(in))
	for i, n := range in {
		values[i] = n.Value()
	}
	grads, err := l.differentiate(dz, z.Value(), values[0], values[1:])
	if err != nil {
		return err
	}
	for i, n := range in {
		sum, err := n.Grad()
		if err != nil {
			return fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
		}
		if _, err := tensor.Add(sum.(tensor.Tensor), denseOf(l.part(grads, i), n.Shape()...), tensor.UseUnsafe()); err != nil {
			return fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
		}
	}
	return nil
}

// part returns the gradient of operand i.
func (l *NodeLayer[T]) part(grads []T, i int) []T { return grads[l.starts[i]:l.starts[i+1]] }

type pullbackOp[T Float] struct {
	opID
	l *NodeLayer[T]
}

func (o *pullbackOp[T]) String() string { return "adjoint of equilibrium " + o.l.Name }
func (o *pullbackOp[T]) Arity() int     { return 3 + len(o.l.theta) }

func (o *pullbackOp[T]) Type() hm.Type {
	types := append([]hm.Type{tensorType[T](2), tensorType[T](2)}, o.l.operands()...)
	return hm.NewFnType(append(types, tensorType[T](1))...)
}

func (o *pullbackOp[T]) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.l.starts[len(o.l.starts)-1]}, nil
}

func (o *pullbackOp[T]) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	if len(v) != o.Arity() {
		return nil, fmt.Errorf("deq: adjoint of node %s: %d values, expected %d", o.l.Name, len(v), o.Arity())
	}
	grads, err := o.l.differentiate(v[0], v[1], v[2], v[3:])
	if err != nil {
		return nil, err
	}
	return denseOf(grads, len(grads)), nil
}

func (o *pullbackOp[T]) DiffWRT(inputs int) []bool { return slices.Repeat([]bool{true}, inputs) }

func (o *pullbackOp[T]) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, o.l.noSecond()
}

type partOp[T Float] struct {
	opID
	l     *NodeLayer[T]
	i     int // the operand whose gradient it is
	shape tensor.Shape
}

func (o *partOp[T]) String() string {
	return fmt.Sprintf("gradient %d of equilibrium %s", o.i, o.l.Name)
}
func (o *partOp[T]) Arity() int { return 1 }

func (o *partOp[T]) Type() hm.Type {
	return hm.NewFnType(tensorType[T](1), tensorType[T](len(o.shape)))
}

func (o *partOp[T]) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

func (o *partOp[T]) Do(v ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer panicAsError("gradient of node "+o.l.Name, &err)
	if len(v) != 1 {
		return nil, fmt.Errorf("deq: gradient of node %s: %d values, expected 1", o.l.Name, len(v))
	}
	all, err := numbers[T](v[0], o.l.starts[len(o.l.starts)-1])
	if err != nil {
		return nil, fmt.Errorf("deq: gradient of node %s: %w", o.l.Name, err)
	}
	return denseOf(slices.Clone(o.l.part(all, o.i)), o.shape...), nil
}

func (o *partOp[T]) DiffWRT(int) []bool { return []bool{true} }

func (o *partOp[T]) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, o.l.noSecond()
}

func (l *NodeLayer[T]) noSecond() error {
	return fmt.Errorf("deq: node %s has no second derivative", l.Name)
}
