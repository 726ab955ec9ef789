package models

import (
	"fmt"
	"math"
	"sync"

	"attractor/internal/ops"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Slice returns the columns lo to hi of a, without hi.
func (s *Scope) Slice(a *gorgonia.Node, lo, hi int) *gorgonia.Node {
	return s.apply(ops.Op{Kind: ops.Slice, Lo: lo, Hi: hi}, a)
}

// Concat returns matrices of the same number of rows side by side.
func (s *Scope) Concat(a ...*gorgonia.Node) *gorgonia.Node {
	if len(a) == 0 {
		return s.fail(fmt.Errorf("Concat of no operands"))
	}
	return s.apply(ops.Op{Kind: ops.Concat, Inputs: len(a)}, a...)
}

// Sum returns the sum of every row, [rows, 1].
func (s *Scope) Sum(a *gorgonia.Node) *gorgonia.Node {
	return s.apply(ops.Op{Kind: ops.Sum, Axis: 1}, a)
}

// Diagonal returns the diagonal of a square matrix, [1, n].
func (s *Scope) Diagonal(a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	n := a.Shape()[0]
	if a.Shape()[1] != n {
		return s.fail(fmt.Errorf("diagonal of a matrix of shape %v: expected a square one", a.Shape()))
	}
	return s.apply(ops.Op{Kind: ops.Sum, Axis: 0}, s.Mul(a, s.identity(n)))
}

// identity returns the identity matrix [n, n], a constant.
func (s *Scope) identity(n int) *gorgonia.Node {
	name := fmt.Sprintf("identity%d", n)
	if known := s.nodes[name]; known != nil {
		return known
	}
	node := s.input(name, n, n)
	if s.err != nil {
		return nil
	}
	if err := gorgonia.Let(node, tensor.I(s.dtype, n, n, 0)); err != nil {
		return s.fail(fmt.Errorf("identity: %w", err))
	}
	return node
}

// Mean returns the mean of every row, [rows, 1].
func (s *Scope) Mean(a *gorgonia.Node) *gorgonia.Node {
	sum := s.Sum(a)
	if s.err != nil {
		return nil
	}
	return s.Scale(1/float64(a.Shape()[1]), sum)
}

// Broadcast repeats a column [rows, 1], a row [1, columns] or a number [1, 1] to the shape of like.
func (s *Scope) Broadcast(a, like *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a, like) {
		return nil
	}
	for axis, want := range like.Shape() {
		if s.err != nil {
			return nil
		}
		if have := a.Shape()[axis]; have != want {
			a = s.apply(ops.Op{Kind: ops.Repeat, Axis: axis, Size: want}, a)
		}
	}
	return a
}

// SoftMax returns eᵃ/Σeᵃ of every row.
func (s *Scope) SoftMax(a *gorgonia.Node) *gorgonia.Node {
	return s.apply(ops.Op{Kind: ops.SoftMax}, a)
}

// LogSoftMax returns a − log Σeᵃ of every row.
func (s *Scope) LogSoftMax(a *gorgonia.Node) *gorgonia.Node {
	return s.apply(ops.Op{Kind: ops.LogSoftMax}, a)
}

// LogSumExp returns log Σeᵃ of every row, [rows, 1].
func (s *Scope) LogSumExp(a *gorgonia.Node) *gorgonia.Node {
	// a − logsoftmax is the result in every column; the softmax weights those that are exact.
	return s.Sum(s.Mul(s.SoftMax(a), s.Sub(a, s.LogSoftMax(a))))
}

// LayerNorm returns (a − mean)/√(variance + eps) of every row, the variance being the mean square. A gain and
// a bias of its own for every column are added by Gain and Bias.
//
// Ba, Kiros & Hinton 2016, arXiv:1607.06450.
func (s *Scope) LayerNorm(a *gorgonia.Node, eps float64) *gorgonia.Node {
	if !(eps > 0) {
		return s.fail(fmt.Errorf("LayerNorm: eps is %g, expected a positive number", eps))
	}
	centred := s.Sub(a, s.Broadcast(s.Mean(a), a))
	sd := s.Sqrt(s.Shift(eps, s.Mean(s.Square(centred))))
	return s.Div(centred, s.Broadcast(sd, a))
}

// Gain returns a with every row multiplied by the parameter g [n], elementwise.
func (s *Scope) Gain(param string, a *gorgonia.Node) *gorgonia.Node {
	g := s.Param(param)
	if !s.ready(a, g) {
		return nil
	}
	if g.Shape()[0] != 1 || g.Shape()[1] != a.Shape()[1] {
		return s.fail(fmt.Errorf("gain %q of shape %v on %d columns", param, g.Shape(), a.Shape()[1]))
	}
	return s.Mul(a, s.Broadcast(g, a))
}

// Dropout returns a ⊙ m with a mask m of the given name, whose entries are 0 with probability p: one mask for a
// whole solve, so that there still is a fixed point, and its adjoint. With p = 0 it is a.
//
// Gal & Ghahramani 2016, arXiv:1512.05287; in equilibria, Bai et al. 2019, arXiv:1909.01377.
func (s *Scope) Dropout(name string, p float64, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	if p == 0 {
		return a
	}
	if !(p > 0 && p < 1) {
		return s.fail(fmt.Errorf("dropout %q: the probability is %g, expected a number in [0, 1)", name, p))
	}
	m := s.Variable(name, a.Shape()[0], a.Shape()[1])
	if s.err != nil {
		return nil
	}
	s.masks = append(s.masks, Mask{Name: name, P: p, Node: m})
	return s.Mul(a, m)
}

// Noise returns a + n with noise n of the given name and standard deviation, drawn anew at every step
// through time, and 0 at an equilibrium. With a deviation of 0 it is a.
func (s *Scope) Noise(name string, sd float64, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) || sd == 0 {
		return a
	}
	if !(sd > 0) || math.IsInf(sd, 1) {
		return s.fail(fmt.Errorf("noise %q: the standard deviation is %g, expected a positive number", name, sd))
	}
	n := s.Variable(name, a.Shape()[0], a.Shape()[1])
	sum := s.Add(a, n)
	if s.err == nil {
		s.noises = append(s.noises, Noise{Name: name, SD: sd, Node: n, Sum: sum})
	}
	return sum
}

// Exp returns eᵃ.
func (s *Scope) Exp(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("exp", a) }

// Log returns the natural logarithm of a.
func (s *Scope) Log(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("ln", a) }

// Sqrt returns √a.
func (s *Scope) Sqrt(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("sqrt", a) }

// Square returns a⊙a.
func (s *Scope) Square(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("square", a) }

// Abs returns |a|, with derivative 0 at 0.
func (s *Scope) Abs(a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	if side := s.kink(a); side != nil {
		return s.Mul(a, s.Shift(-1, s.Scale(2, side)))
	}
	return s.elementwise("abs", a)
}

// Neg returns −a.
func (s *Scope) Neg(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("neg", a) }

// Inverse returns 1/a.
func (s *Scope) Inverse(a *gorgonia.Node) *gorgonia.Node { return s.elementwise("inv", a) }

// Div returns a/b elementwise.
func (s *Scope) Div(a, b *gorgonia.Node) *gorgonia.Node {
	return s.binary("Div", gorgonia.HadamardDiv, a, b)
}

// Max returns the larger of a and b elementwise, to rounding: a + max(b − a, 0). Where they are equal
// the derivative is b's.
func (s *Scope) Max(a, b *gorgonia.Node) *gorgonia.Node { return s.Add(a, s.Relu(s.Sub(b, a))) }

// Min returns the smaller of a and b elementwise, to rounding: a − max(a − b, 0).
func (s *Scope) Min(a, b *gorgonia.Node) *gorgonia.Node { return s.Sub(a, s.Relu(s.Sub(a, b))) }

// Shift returns a + c.
func (s *Scope) Shift(c float64, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	k := s.Const(c)
	n, err := gorgonia.Add(a, k)
	return s.checked(n, err, "Shift", a.Shape(), a, k)
}

// OneMinus returns 1 − a.
func (s *Scope) OneMinus(a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	one := s.Const(1)
	n, err := gorgonia.Sub(one, a)
	return s.checked(n, err, "OneMinus", a.Shape(), one, a)
}

// apply adds an op of ours.
func (s *Scope) apply(o ops.Op, operands ...*gorgonia.Node) *gorgonia.Node {
	if !s.ready(operands...) {
		return nil
	}
	n, err := ops.Apply(o, operands...)
	if err != nil {
		return s.fail(err)
	}
	return s.checked(n, nil, o.String(), n.Shape(), operands...)
}

// elementwise adds one of Gorgonia's functions of one operand as it is. The functions of its interface
// rewrite their operand at times: Log(1+a) takes the node 1+a out of the graph, though
// others may use it.
func (s *Scope) elementwise(name string, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	all, err := elementwiseOps()
	if err != nil {
		return s.fail(err)
	}
	n, err := gorgonia.ApplyOp(all[elementwiseOp{name, s.dtype}], a)
	return s.checked(n, err, name, a.Shape(), a)
}

type elementwiseOp struct {
	name  string
	dtype tensor.Dtype
}

// elementwiseOps are Gorgonia's ops, taken out of expressions in a graph of their own.
var elementwiseOps = sync.OnceValues(func() (map[elementwiseOp]gorgonia.Op, error) {
	all := make(map[elementwiseOp]gorgonia.Op)
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		x := gorgonia.NewMatrix(gorgonia.NewGraph(), dtype, gorgonia.WithShape(2, 2), gorgonia.WithName("x"))
		for _, f := range []func(*gorgonia.Node) (*gorgonia.Node, error){
			gorgonia.Exp, gorgonia.Log, gorgonia.Sqrt, gorgonia.Square, gorgonia.Abs, gorgonia.Neg, gorgonia.Inverse,
		} {
			n, err := f(x)
			if err != nil {
				return nil, err
			}
			all[elementwiseOp{n.Op().String(), dtype}] = n.Op()
		}
	}
	return all, nil
})
