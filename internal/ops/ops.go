// Package ops holds operations of our own for Gorgonia expressions, in place of those of Gorgonia
// that are merged with others when a graph is built or differentiated wrongly.
//
// They work on matrices [rows, columns] and give matrices, keeping axes of length 1. Their
// hashes hold all of their parameters, and their derivatives are expressions of these
// operations and of Gorgonia's sound ones, so that they can be differentiated again. Package
// engine has kernels for them; Do serves the TapeMachine.
package ops

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"attractor/internal/vjp"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Kind says what an Op does.
type Kind uint8

const (
	Slice        Kind = iota // columns Lo to Hi of [r, c]
	Pad                      // [r, Hi−Lo] as columns Lo to Hi of zeros [r, Size]
	Concat                   // Arity matrices side by side
	Sum                      // sum over Axis, which becomes 1 long
	Repeat                   // an Axis of length 1 repeated Size times
	SoftMax                  // eˣ/Σeˣ of every row
	LogSoftMax               // x − log Σeˣ of every row
	Norm2                    // the largest singular value σ [1, 1]
	Norm2Grad                // its gradient u·vᵀ, of the matrix
	Norm2Hessian             // the product of a cotangent, the second operand, with the Jacobian of Norm2Grad
)

var kindNames = [...]string{"Slice", "Pad", "Concat", "Sum", "Repeat", "SoftMax", "LogSoftMax", "Norm2", "Norm2Grad", "Norm2Hessian"}

func (k Kind) String() string { return kindNames[k] }

// Op is an operation with its parameters; what a kind does not use is 0. Two that are equal do
// the same.
type Op struct {
	Kind   Kind
	Axis   int // of Sum and Repeat
	Lo, Hi int // of Slice and Pad
	Size   int // of Pad and Repeat
	Inputs int // of Concat
}

var _ gorgonia.SDOp = Op{}

// Apply adds the node op(operands…) to their graph. It is an error if Gorgonia returns a node of
// another expression, for its hash collides.
func Apply(o Op, operands ...*gorgonia.Node) (*gorgonia.Node, error) {
	n, err := gorgonia.ApplyOp(o, operands...)
	if err != nil {
		return nil, fmt.Errorf("ops: %v: %w", o, err)
	}
	if n.Op() != gorgonia.Op(o) || !slices.Equal(vjp.Children(n), gorgonia.Nodes(operands)) {
		return nil, fmt.Errorf("ops: %v: Gorgonia returned another expression, %v, whose hash collides", o, n)
	}
	return n, nil
}

// Arity implements gorgonia.Op.
func (o Op) Arity() int {
	switch o.Kind {
	case Concat:
		return o.Inputs
	case Norm2Hessian:
		return 2
	}
	return 1
}

// Type implements gorgonia.Op: matrices of one number type.
func (o Op) Type() hm.Type {
	all := make([]hm.Type, o.Arity()+1)
	for i := range all {
		all[i] = gorgonia.TensorType{Dims: 2, Of: hm.TypeVariable('a')}
	}
	return hm.NewFnType(all...)
}

// InferShape implements gorgonia.Op and refuses operands that do not fit.
func (o Op) InferShape(sizes ...gorgonia.DimSizer) (tensor.Shape, error) {
	shapes := make([]tensor.Shape, len(sizes))
	for i, s := range sizes {
		shape, ok := s.(tensor.Shape)
		if !ok || len(shape) != 2 {
			return nil, fmt.Errorf("ops: %v of %v: expected matrices", o, s)
		}
		shapes[i] = shape
	}
	if len(shapes) != o.Arity() || len(shapes) == 0 {
		return nil, fmt.Errorf("ops: %v of %d operands: expected %d", o, len(shapes), o.Arity())
	}
	rows, columns := shapes[0][0], shapes[0][1]
	switch o.Kind {
	case Slice:
		if o.Lo < 0 || o.Hi <= o.Lo || o.Hi > columns {
			return nil, fmt.Errorf("ops: columns %d to %d of %d", o.Lo, o.Hi, columns)
		}
		return tensor.Shape{rows, o.Hi - o.Lo}, nil
	case Pad:
		if o.Lo < 0 || o.Hi-o.Lo != columns || o.Hi > o.Size {
			return nil, fmt.Errorf("ops: %d columns as %d to %d of %d", columns, o.Lo, o.Hi, o.Size)
		}
		return tensor.Shape{rows, o.Size}, nil
	case Concat:
		total := 0
		for _, s := range shapes {
			if s[0] != rows {
				return nil, fmt.Errorf("ops: %v of %v: the rows differ", o, shapes)
			}
			total += s[1]
		}
		return tensor.Shape{rows, total}, nil
	case Sum:
		out := shapes[0].Clone()
		out[o.Axis] = 1
		return out, nil
	case Repeat:
		out := shapes[0].Clone()
		if out[o.Axis] != 1 {
			return nil, fmt.Errorf("ops: %v of %v: axis %d is longer than 1", o, out, o.Axis)
		}
		out[o.Axis] = o.Size
		return out, nil
	case Norm2:
		return tensor.Shape{1, 1}, nil
	case Norm2Hessian:
		if !shapes[1].Eq(shapes[0]) {
			return nil, fmt.Errorf("ops: %v of shapes %v and %v: they must be equal", o, shapes[0], shapes[1])
		}
	}
	return shapes[0].Clone(), nil
}

// DiffWRT implements gorgonia.SDOp.
func (o Op) DiffWRT(inputs int) []bool {
	all := make([]bool, inputs)
	for i := range all {
		all[i] = true
	}
	return all
}

// SymDiff implements gorgonia.SDOp.
func (o Op) SymDiff(inputs gorgonia.Nodes, out, g *gorgonia.Node) (gorgonia.Nodes, error) {
	b := builder{}
	x := inputs[0]
	rows, columns := x.Shape()[0], x.Shape()[1]
	switch o.Kind {
	case Slice:
		return b.nodes(b.apply(Op{Kind: Pad, Lo: o.Lo, Hi: o.Hi, Size: columns}, g))
	case Pad:
		return b.nodes(b.apply(Op{Kind: Slice, Lo: o.Lo, Hi: o.Hi}, g))
	case Concat:
		var parts gorgonia.Nodes
		at := 0
		for _, in := range inputs {
			width := in.Shape()[1]
			parts = append(parts, b.apply(Op{Kind: Slice, Lo: at, Hi: at + width}, g))
			at += width
		}
		return b.nodes(parts...)
	case Sum:
		return b.nodes(b.apply(Op{Kind: Repeat, Axis: o.Axis, Size: x.Shape()[o.Axis]}, g))
	case Repeat:
		return b.nodes(b.apply(Op{Kind: Sum, Axis: o.Axis}, g))
	case SoftMax: // y⊙(g − Σ g⊙y)
		sum := b.apply(Op{Kind: Sum, Axis: 1}, b.times(g, out))
		return b.nodes(b.times(out, b.minus(g, b.apply(Op{Kind: Repeat, Axis: 1, Size: columns}, sum))))
	case LogSoftMax: // g − eʸ⊙Σg
		sum := b.apply(Op{Kind: Sum, Axis: 1}, g)
		p := b.of(gorgonia.Exp, out)
		return b.nodes(b.minus(g, b.times(p, b.apply(Op{Kind: Repeat, Axis: 1, Size: columns}, sum))))
	case Norm2:
		all := b.apply(Op{Kind: Repeat, Size: rows}, b.apply(Op{Kind: Repeat, Axis: 1, Size: columns}, g))
		return b.nodes(b.times(all, b.apply(Op{Kind: Norm2Grad}, x)))
	case Norm2Grad:
		return b.nodes(b.apply(Op{Kind: Norm2Hessian}, x, g))
	}
	return nil, fmt.Errorf("ops: %v: the largest singular value has no third derivative here", o)
}

// builder makes nodes and keeps the first error.
type builder struct{ err error }

func (b *builder) apply(o Op, operands ...*gorgonia.Node) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	n, err := Apply(o, operands...)
	b.err = err
	return n
}

func (b *builder) of(f func(*gorgonia.Node) (*gorgonia.Node, error), x *gorgonia.Node) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	n, err := f(x)
	b.err = err
	return n
}

func (b *builder) times(x, y *gorgonia.Node) *gorgonia.Node {
	return b.of(func(x *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.HadamardProd(x, y) }, x)
}

func (b *builder) minus(x, y *gorgonia.Node) *gorgonia.Node {
	return b.of(func(x *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Sub(x, y) }, x)
}

func (b *builder) nodes(n ...*gorgonia.Node) (gorgonia.Nodes, error) {
	if b.err != nil {
		return nil, b.err
	}
	return n, nil
}

// ReturnsPtr implements gorgonia.Op: results have memory of their own.
func (Op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (Op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op.
func (Op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op with everything that tells an Op from another.
func (o Op) WriteHash(h hash.Hash) {
	fmt.Fprintf(h, "attractor/ops %d %d %d %d %d %d;", o.Kind, o.Axis, o.Lo, o.Hi, o.Size, o.Inputs)
}

// Hashcode implements gorgonia.Op.
func (o Op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o Op) String() string {
	switch o.Kind {
	case Slice:
		return fmt.Sprintf("Slice[:, %d:%d]", o.Lo, o.Hi)
	case Pad:
		return fmt.Sprintf("Pad[:, %d:%d of %d]", o.Lo, o.Hi, o.Size)
	case Sum:
		return fmt.Sprintf("Sum[axis %d]", o.Axis)
	case Repeat:
		return fmt.Sprintf("Repeat[axis %d, %d]", o.Axis, o.Size)
	}
	return o.Kind.String()
}
