package models

import (
	"fmt"
	"slices"
	"sync"

	"attractor/internal/vjp"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Scope builds the expressions of one model in one graph, safely: every input and
// constant has a unique name, there is one number type, and every node that
// Gorgonia hands back is compared with what was asked for (Gorgonia merges nodes
// by a hash that leaves out some parameters of ops). The first error sticks: after it the operations
// return nil and Err tells what happened, so that a model needs no error handling.
//
// It records the synapses and the activation of the cell for the local rules.
type Scope struct {
	graph    *gorgonia.ExprGraph
	dtype    tensor.Dtype
	params   []Param
	nodes    map[string]*gorgonia.Node
	consts   int
	synapses []Synapse
	biases   []Synapse
	units    []Unit
	masks    []Mask
	noises   []Noise
	kinks    []Kink
	sided    bool
	leak     float64
	err      error
}

// Synapse is a product pre·Wᵀ of a cell.
type Synapse struct {
	Param   string         // the weights W [post units, pre units], or what they are made of
	Weights *gorgonia.Node // W, or of a bias [1, post units]
	Pre     *gorgonia.Node // presynaptic activity [batch, pre units]; nil for that of a bias, which is 1
	Product *gorgonia.Node // pre·Wᵀ [batch, post units]
}

// Unit is an activation φ(Pre) of a cell, applied to every entry.
type Unit struct {
	Activation string
	Pre, Post  *gorgonia.Node // [batch, units]
}

// Mask is an input that multiplies entries by 0 with probability P and by 1/(1−P) otherwise, drawn once per
// solve; by 1 when the network is tested.
type Mask struct {
	Name string
	P    float64
	Node *gorgonia.Node // [batch, columns]
}

// Noise is an input that is added at every step through time, drawn from N(0, SD²); 0 at an equilibrium.
type Noise struct {
	Name string
	SD   float64
	Node *gorgonia.Node // [batch, columns]
	Sum  *gorgonia.Node // of what it is added to, with it
}

// NewScope starts a graph for a model with the given parameters, of the number type
// tensor.Float32 or tensor.Float64.
func NewScope(dtype tensor.Dtype, params []Param) *Scope {
	s := &Scope{graph: gorgonia.NewGraph(), dtype: dtype, params: params, nodes: make(map[string]*gorgonia.Node), leak: 1}
	if dtype != tensor.Float32 && dtype != tensor.Float64 {
		s.fail(fmt.Errorf("number type %v: expected float32 or float64", dtype))
	}
	seen := make(map[string]bool)
	for _, p := range params {
		switch {
		case p.Name == "":
			s.fail(fmt.Errorf("a parameter has no name"))
		case seen[p.Name]:
			s.fail(fmt.Errorf("two parameters are named %q", p.Name))
		case len(p.Shape) < 1 || len(p.Shape) > 2 || slices.Min(p.Shape) < 1:
			s.fail(fmt.Errorf("parameter %q has shape %v: expected a vector or a matrix without empty axes", p.Name, p.Shape))
		}
		seen[p.Name] = true
	}
	return s
}

// Err is the first error of any operation.
func (s *Scope) Err() error { return s.err }

// Graph is the graph under construction.
func (s *Scope) Graph() *gorgonia.ExprGraph { return s.graph }

// Synapses lists the products with parameters built so far.
func (s *Scope) Synapses() []Synapse { return slices.Clone(s.synapses) }

// Biases lists the biases built so far, as synapses of a presynaptic activity of 1.
func (s *Scope) Biases() []Synapse { return slices.Clone(s.biases) }

// Units lists the activations built so far.
func (s *Scope) Units() []Unit { return slices.Clone(s.units) }

// Masks lists the masks of Dropout built so far.
func (s *Scope) Masks() []Mask { return slices.Clone(s.masks) }

// Noises lists the noise of Noise built so far.
func (s *Scope) Noises() []Noise { return slices.Clone(s.noises) }

// LeakRate is the α of Leak, 1 without one.
func (s *Scope) LeakRate() float64 { return s.leak }

// ParamNodes returns the nodes of the parameters used so far, by name.
func (s *Scope) ParamNodes() map[string]*gorgonia.Node {
	used := make(map[string]*gorgonia.Node)
	for _, p := range s.params {
		if n := s.nodes[p.Name]; n != nil {
			used[p.Name] = n
		}
	}
	return used
}

// Variable makes an input [rows, columns] that is not a parameter, such as z or x.
func (s *Scope) Variable(name string, rows, columns int) *gorgonia.Node {
	if s.err != nil {
		return nil
	}
	if name == "" {
		return s.fail(fmt.Errorf("an input has no name"))
	}
	if s.nodes[name] != nil || slices.ContainsFunc(s.params, func(p Param) bool { return p.Name == name }) {
		return s.fail(fmt.Errorf("the name %q is taken", name))
	}
	return s.input(name, rows, columns)
}

// Param returns the node of a parameter: a matrix as it is, a vector [n] as one row [1, n].
func (s *Scope) Param(name string) *gorgonia.Node {
	if s.err != nil {
		return nil
	}
	i := slices.IndexFunc(s.params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return s.fail(fmt.Errorf("parameter %q is not listed by Params", name))
	}
	if n := s.nodes[name]; n != nil {
		return n
	}
	shape := s.params[i].Shape
	if len(shape) == 1 {
		return s.input(name, 1, shape[0])
	}
	return s.input(name, shape[0], shape[1])
}

// Const returns the scalar constant c.
func (s *Scope) Const(c float64) *gorgonia.Node {
	if s.err != nil {
		return nil
	}
	s.consts++
	var value any = c
	if s.dtype == tensor.Float32 {
		value = float32(c)
	}
	n := gorgonia.NewScalar(s.graph, s.dtype, gorgonia.WithName(fmt.Sprintf("const%d(%v)", s.consts, c)), gorgonia.WithValue(value))
	return s.owned(n, "a constant")
}

// Linear returns pre·Wᵀ [batch, out] for pre [batch, in] and the parameter W [out, in], and
// records the synapse.
func (s *Scope) Linear(param string, pre *gorgonia.Node) *gorgonia.Node {
	return s.LinearWith(param, s.Param(param), pre)
}

// LinearWith is Linear with weights [out, in] that are a function of the parameter.
func (s *Scope) LinearWith(param string, weights, pre *gorgonia.Node) *gorgonia.Node {
	product := s.MatMul(pre, weights, false, true)
	if s.err != nil {
		return nil
	}
	s.synapses = append(s.synapses, Synapse{Param: param, Weights: weights, Pre: pre, Product: product})
	return product
}

// Bias returns a + b with the parameter b [n] added to every row of a [batch, n].
func (s *Scope) Bias(param string, a *gorgonia.Node) *gorgonia.Node {
	b := s.Param(param)
	if !s.ready(a) {
		return nil
	}
	if b.Shape()[0] != 1 || b.Shape()[1] != a.Shape()[1] {
		return s.fail(fmt.Errorf("bias %q of shape %v on %d columns", param, b.Shape(), a.Shape()[1]))
	}
	every := s.Broadcast(b, a)
	if s.err == nil {
		s.biases = append(s.biases, Synapse{Param: param, Weights: b, Product: every})
	}
	return s.Add(a, every)
}

// MatMul returns op(a)·op(b), with a or b transposed where asked.
func (s *Scope) MatMul(a, b *gorgonia.Node, transA, transB bool) *gorgonia.Node {
	if !s.ready(a, b) {
		return nil
	}
	m, k := dims(a, transA)
	k2, n := dims(b, transB)
	if k != k2 {
		return s.fail(fmt.Errorf("product of %v and %v (transposed: %v, %v): inner sizes %d and %d differ", a.Shape(), b.Shape(), transA, transB, k, k2))
	}
	if transA && transB {
		return s.fail(fmt.Errorf("product with both operands transposed: transpose the product of the operands in the other order"))
	}
	ops, err := products()
	if err != nil {
		return s.fail(err)
	}
	op := ops.plain
	if transA {
		op = ops.transA
	} else if transB {
		op = ops.transB
	}
	p, err := gorgonia.ApplyOp(op, a, b)
	return s.checked(p, err, "MatMul", tensor.Shape{m, n}, a, b)
}

// Add returns the sum of nodes of one shape.
func (s *Scope) Add(a *gorgonia.Node, more ...*gorgonia.Node) *gorgonia.Node {
	for _, b := range more {
		a = s.binary("Add", gorgonia.Add, a, b)
	}
	return a
}

// Sub returns a − b.
func (s *Scope) Sub(a, b *gorgonia.Node) *gorgonia.Node { return s.binary("Sub", gorgonia.Sub, a, b) }

// Mul returns the elementwise product a ⊙ b.
func (s *Scope) Mul(a, b *gorgonia.Node) *gorgonia.Node {
	return s.binary("Mul", gorgonia.HadamardProd, a, b)
}

// Scale returns c·a.
func (s *Scope) Scale(c float64, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	k := s.Const(c)
	n, err := gorgonia.HadamardProd(a, k)
	return s.checked(n, err, "Scale", a.Shape(), a, k)
}

// Leak returns (1−α)·z + α·next, one step of a leaky unit (a = dt/τ), and records α, of which
// a fixed point does not depend.
func (s *Scope) Leak(alpha float64, z, next *gorgonia.Node) *gorgonia.Node {
	if alpha == 1 || s.err != nil {
		return next
	}
	s.leak = alpha
	return s.Add(s.Scale(1-alpha, z), s.Scale(alpha, next))
}

// Tanh returns tanh(a).
func (s *Scope) Tanh(a *gorgonia.Node) *gorgonia.Node { return s.unary("Tanh", gorgonia.Tanh, a) }

// Sigmoid returns 1/(1+e^−a).
func (s *Scope) Sigmoid(a *gorgonia.Node) *gorgonia.Node {
	return s.unary("Sigmoid", gorgonia.Sigmoid, a)
}

// Relu returns max(a, 0), as a ⊙ [a ≥ 0]: derivatives at the kink, a = 0, take the slope to be 1. Training leaves it at
// that; what is said of the dynamics at such states takes the side that they are on (see Kink).
func (s *Scope) Relu(a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	if side := s.kink(a); side != nil || s.err != nil {
		return s.Mul(a, side)
	}
	zero := s.Const(0)
	n, err := gorgonia.Gte(a, zero, true)
	return s.Mul(a, s.checked(n, err, "Relu", a.Shape(), a, zero))
}

// Softplus returns log(1 + eᵃ).
func (s *Scope) Softplus(a *gorgonia.Node) *gorgonia.Node {
	return s.unary("Softplus", gorgonia.Softplus, a)
}

// products are Gorgonia's ops for A·B, Aᵀ·B and A·Bᵀ. Its API offers only the first; the
// other two are the ops of the first one's derivative: for C = A·B with cotangent G,
// dA = G·Bᵀ and dB = Aᵀ·G. They read the transposed operand in place, where
// gorgonia.Transpose would copy it at every evaluation.
var products = sync.OnceValues(func() (ops struct{ plain, transA, transB gorgonia.Op }, err error) {
	g := gorgonia.NewGraph()
	square := func(name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName(name))
	}
	a, b, cot := square("a"), square("b"), square("g")
	c, err := gorgonia.Mul(a, b)
	if err != nil {
		return ops, err
	}
	grads, err := vjp.VJP(gorgonia.Nodes{c}, gorgonia.Nodes{cot}, gorgonia.Nodes{a, b})
	if err != nil {
		return ops, err
	}
	ops.plain, ops.transB, ops.transA = c.Op(), grads[0].Op(), grads[1].Op()
	return ops, nil
})

func (s *Scope) unary(name string, op func(*gorgonia.Node) (*gorgonia.Node, error), a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	n, err := op(a)
	return s.checked(n, err, name, a.Shape(), a)
}

func (s *Scope) binary(name string, op func(a, b *gorgonia.Node) (*gorgonia.Node, error), a, b *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a, b) {
		return nil
	}
	if !a.Shape().Eq(b.Shape()) {
		return s.fail(fmt.Errorf("%s of shapes %v and %v: they must be equal", name, a.Shape(), b.Shape()))
	}
	n, err := op(a, b)
	return s.checked(n, err, name, a.Shape(), a, b)
}

func (s *Scope) input(name string, rows, columns int) *gorgonia.Node {
	n := gorgonia.NewMatrix(s.graph, s.dtype, gorgonia.WithShape(rows, columns), gorgonia.WithName(name))
	s.nodes[name] = n
	return s.owned(n, fmt.Sprintf("the input %q", name))
}

// ready reports whether an operation may go on.
func (s *Scope) ready(operands ...*gorgonia.Node) bool {
	if s.err != nil {
		return false
	}
	for _, n := range operands {
		if n == nil {
			s.fail(fmt.Errorf("an operand is nil"))
			return false
		}
		if n.Graph() != s.graph {
			s.fail(fmt.Errorf("operand %v belongs to another graph", n))
			return false
		}
	}
	return true
}

// checked accepts a node only if it is what was asked for.
func (s *Scope) checked(n *gorgonia.Node, err error, what string, shape tensor.Shape, operands ...*gorgonia.Node) *gorgonia.Node {
	if err != nil {
		return s.fail(fmt.Errorf("%s: %w", what, err))
	}
	if n.Dtype() != s.dtype || !n.Shape().Eq(shape) {
		return s.fail(fmt.Errorf("%s gave a %v of shape %v, expected %v of shape %v", what, n.Dtype(), n.Shape(), s.dtype, shape))
	}
	children := vjp.Children(n)
	for _, operand := range operands {
		if !slices.Contains(children, operand) {
			return s.fail(fmt.Errorf("%s: Gorgonia returned another expression, %v, whose hash collides", what, n))
		}
	}
	return s.owned(n, what)
}

// owned checks that the graph knows the node itself, not one that it was merged with.
func (s *Scope) owned(n *gorgonia.Node, what string) *gorgonia.Node {
	if s.graph.Node(n.ID()) != n {
		return s.fail(fmt.Errorf("%s: Gorgonia merged %v with another node", what, n))
	}
	return n
}

// fail keeps the first error.
func (s *Scope) fail(err error) *gorgonia.Node {
	if s.err == nil {
		s.err = fmt.Errorf("models: %w", err)
	}
	return nil
}

func dims(n *gorgonia.Node, trans bool) (rows, columns int) {
	if trans {
		return n.Shape()[1], n.Shape()[0]
	}
	return n.Shape()[0], n.Shape()[1]
}
