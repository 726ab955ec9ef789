package deq

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"attractor/internal/engine"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/internal/vjp"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// NodeConfig says how Node adds an equilibrium to a graph. Zero fields mean the defaults.
type NodeConfig[T Float] struct {
	Name        string    `doc:"name of the node and prefix of its parameters' names (default: deq, deq2, …, the first that the graph does not have)"`
	Seed        uint64    `doc:"seed of the initial parameters; layers of different names draw different ones"`
	Forward     Solver[T] `key:"-"` // of z*; without a Method, solvers.Anderson
	Adjoint     Solver[T] `key:"-"` // of the adjoint; without a Method, solvers.GMRES
	Unconverged string    `default:"stop" doc:"when samples do not converge: make the run fail, or go on with their best iterates and count them" choices:"stop,continue"`
	Shard       int       `default:"32" doc:"samples that one core solves at a time"`
	Workers     int       `doc:"cores to use; 0 means all of GOMAXPROCS"`
	Engine      string    `default:"fast" doc:"executor of the cell: our own, or Gorgonia's TapeMachine" choices:"fast,tape"`
}

// NodeLayer is an equilibrium in a graph of the user's. Several machines may run it at once.
type NodeLayer[T Float] struct {
	Name   string
	Z      *gorgonia.Node // z* [batch, units]
	Params gorgonia.Nodes // the parameters θ of the cell, in the order of the model's Params

	config NodeConfig[T]
	layer  *Layer[T]
	rows   int
	theta  []int // the layer's parameter that Params[i] is
	starts []int // where the gradients of x and of Params begin in their joint vector, and its end

	mu       sync.Mutex // held while an op runs: several machines may run one graph
	gradient *nodeGradient[T]
	report   NodeReport
}

// NodeReport says how the solves of a NodeLayer went.
type NodeReport struct {
	Forward, Adjoint               *solvers.Report // of the last solves; nil before the first
	Forwards, Adjoints             int             // how many solves there were
	ForwardsFailed, AdjointsFailed int             // samples in them that did not converge
	Counts                         Counts          // evaluations, of all solves
	Err                            error           // what the last operation failed with; nil if it did not
}

// Node adds the equilibrium of the model's cell,
//
//	z* = f(z*, x; θ),
//
// to the graph of x [batch, inputs], any node of a network of the user's. The node Z of the result,
// [batch, units], and the parameters, ordinary learnable nodes with their initial
// values, are used like all others: gorgonia.Grad differentiates through Z with regard to
// Params, to x and to what x is computed from; TapeMachine, with BindDualValues and
// Gorgonia's solvers or without, and LispMachine run it. T must be the number type of x.
// The model's readout is not part of it.
//
// Every run solves for z* from 0 with the values that x and the parameters have then. Its
// derivative is that of the implicit function theorem, whatever the forward solver did,
//
//	(I − Jᵀ) u = ∂L/∂z*,   ∂L/∂θ = uᵀ ∂f/∂θ,   ∂L/∂x = uᵀ ∂f/∂x,   J = ∂f/∂z at z*,
//
// with u from a solve of its own. Tolerances are those of the Settings of the two solvers (by
// default relative ones of 1e-8, in float32 1e-4); the gradient is no better than either.
//
// When a sample does not converge, RunAll fails, unless Unconverged is "continue": then its
// best iterate is taken, and counted in the Report. A panic in an op becomes an error. Gorgonia's
// errors hide what they wrap from errors.Is and errors.As; the Report's Err is the error
// itself. There are no second derivatives: Grad of a gradient through Z fails.
//
// Node fails when x is no matrix of number type T, when the model is unfit, and when the graph
// has a node of that name already: Gorgonia would merge parameters of one name.
//
// S. Bai, J. Z. Kolter, V. Koltun, Deep Equilibrium Models, NeurIPS 2019, arXiv:1909.01377;
// S. Gould, R. Hartley, D. Campbell, Deep Declarative Networks: A New Hope,
// arXiv:1909.04866.
func Node[T Float](m models.Model, x *gorgonia.Node, c NodeConfig[T]) (_ *NodeLayer[T], err error) {
	defer panicAsError("add a node", &err)
	if c, err = c.complete(); err != nil {
		return nil, err
	}
	switch {
	case m == nil:
		return nil, fmt.Errorf("deq: node without a model")
	case x == nil || x.Graph() == nil:
		return nil, fmt.Errorf("deq: node without an input x in a graph")
	case x.Dtype() != dtypeOf[T]():
		return nil, fmt.Errorf("deq: the node's input %v is of %v, its NodeConfig of %v", x, x.Dtype(), dtypeOf[T]())
	case x.Dims() != 2:
		return nil, fmt.Errorf("deq: the node's input %v has shape %v: expected [batch, inputs]", x, x.Shape())
	}
	rows, inputs := x.Shape()[0], x.Shape()[1]
	if c.Name, err = freeName(x.Graph(), c.Name, m.Params(inputs, 1)); err != nil {
		return nil, err
	}
	// An output of width 1 stands for the readout, which is not used.
	layer, err := New[T](m, inputs, 1, rng.Stream(c.Seed, "node/"+c.Name).Uint64(),
		Config{Batch: rows, Shard: c.Shard, Workers: c.Workers, Engine: c.Engine})
	if err != nil {
		return nil, err
	}
	l := &NodeLayer[T]{Name: c.Name, config: c, layer: layer, rows: rows}
	for what, with := range map[string]Solver[T]{"equilibrium": c.Forward, "adjoint": c.Adjoint} {
		_, err := solvers.New(with.Method, 1, layer.Units, with.Settings)
		if err == nil {
			err = layer.CheckSolver(with)
		}
		if err != nil {
			return nil, fmt.Errorf("deq: node %s: %s: %w", l.Name, what, err)
		}
	}
	cell, err := l.build(1)
	if err != nil {
		return nil, err
	}
	used := cell.scope.ParamNodes()
	l.starts = []int{0, rows * inputs}
	for i, p := range layer.Params {
		if used[p.Name] == nil {
			continue
		}
		n, err := l.parameter(x.Graph(), p)
		if err != nil {
			return nil, err
		}
		l.Params, l.theta = append(l.Params, n), append(l.theta, i)
		l.starts = append(l.starts, l.starts[len(l.starts)-1]+p.Len())
	}
	l.Z, err = applyNew(func(id opID) gorgonia.Op { return &solveOp[T]{id, l} }, append(gorgonia.Nodes{x}, l.Params...)...)
	if err != nil {
		return nil, fmt.Errorf("deq: node %s: %w", l.Name, err)
	}
	gorgonia.WithName(l.Name)(l.Z)
	return l, nil
}

// complete checks the configuration and fills its defaults in.
func (c NodeConfig[T]) complete() (NodeConfig[T], error) {
	c = options.WithDefaults(c)
	if c.Unconverged != "stop" && c.Unconverged != "continue" {
		return c, fmt.Errorf("deq: node: Unconverged: expected stop or continue, found %q", c.Unconverged)
	}
	if c.Engine != "fast" && c.Engine != "tape" {
		return c, fmt.Errorf("deq: node: Engine: expected fast or tape, found %q", c.Engine)
	}
	if c.Forward.Method == nil {
		c.Forward.Method = solvers.Anderson[T]{}
	}
	if c.Adjoint.Method == nil {
		c.Adjoint.Method = solvers.GMRES[T]{}
	}
	return c, nil
}

// freeName returns the name asked for, or, without one, the first that is free in the graph for the
// node and its parameters.
func freeName(g *gorgonia.ExprGraph, name string, params []models.Param) (string, error) {
	if name != "" {
		if t := taken(g, name, params); t != "" {
			return "", fmt.Errorf("deq: the graph has a node named %q already", t)
		}
		return name, nil
	}
	name = "deq"
	for k := 2; taken(g, name, params) != ""; k++ {
		name = fmt.Sprintf("deq%d", k)
	}
	return name, nil
}

// taken returns a name that a node of that name would need and that the graph has.
func taken(g *gorgonia.ExprGraph, name string, params []models.Param) string {
	if len(g.ByName(name)) > 0 {
		return name
	}
	for _, p := range params {
		if full := name + "." + p.Name; len(g.ByName(full)) > 0 {
			return full
		}
	}
	return ""
}

// parameter makes the node of a parameter, with its initial value.
func (l *NodeLayer[T]) parameter(g *gorgonia.ExprGraph, p Tensor[T]) (*gorgonia.Node, error) {
	name := l.Name + "." + p.Name
	value := tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(slices.Clone(p.Data)))
	n := gorgonia.NewTensor(g, dtypeOf[T](), len(p.Shape), gorgonia.WithShape(p.Shape...), gorgonia.WithName(name), gorgonia.WithValue(value))
	if n.Name() != name || g.Node(n.ID()) != n {
		return nil, fmt.Errorf("deq: Gorgonia merged the parameter %s with another node, %v: choose another name", name, n)
	}
	return n, nil
}

// Param returns the node of the parameter that the model calls name, nil if the cell has none.
func (l *NodeLayer[T]) Param(name string) *gorgonia.Node {
	for i, k := range l.theta {
		if l.layer.Params[k].Name == name {
			return l.Params[i]
		}
	}
	return nil
}

// Report says how the solves went so far. It may be called at any time.
func (l *NodeLayer[T]) Report() NodeReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.report
	r.Counts = l.layer.Counts()
	return r
}

// solve returns z* for the values of x and the parameters, in memory of its own.
func (l *NodeLayer[T]) solve(x gorgonia.Value, theta []gorgonia.Value) (z []T, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.report.Err = err }()
	defer panicAsError("node "+l.Name, &err)
	in, err := l.take(x, theta)
	if err != nil {
		return nil, err
	}
	e, err := l.layer.Solve(context.Background(), in, nil, l.config.Forward)
	if err != nil {
		return nil, fmt.Errorf("deq: node %s: equilibrium: %w", l.Name, err)
	}
	l.report.Forward = e.Report
	l.report.Forwards++
	l.report.ForwardsFailed += e.Report.Failed()
	if err := l.judge(e.Report); err != nil {
		return nil, fmt.Errorf("deq: node %s: equilibrium: %w", l.Name, err)
	}
	return slices.Clone(e.Z), nil
}

// differentiate returns the gradients of x and of the parameters for the cotangent of z, one
// after the other, in memory of its own.
func (l *NodeLayer[T]) differentiate(cotangent, z, x gorgonia.Value, theta []gorgonia.Value) (grads []T, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.report.Err = err }()
	defer panicAsError("adjoint of node "+l.Name, &err)
	in, err := l.take(x, theta)
	if err != nil {
		return nil, err
	}
	state, err := numbers[T](z, l.rows, l.layer.Units)
	if err != nil {
		return nil, fmt.Errorf("deq: state of node %s: %w", l.Name, err)
	}
	dz, err := numbers[T](cotangent, l.rows, l.layer.Units)
	if err != nil {
		return nil, fmt.Errorf("deq: gradient of node %s: %w", l.Name, err)
	}
	e, err := l.layer.At(in, state)
	if err != nil {
		return nil, err
	}
	u := slices.Clone(dz)
	rep, err := e.Adjoint(context.Background(), dz, u, l.config.Adjoint)
	if err != nil {
		return nil, fmt.Errorf("deq: node %s: adjoint: %w", l.Name, err)
	}
	l.report.Adjoint = rep
	l.report.Adjoints++
	l.report.AdjointsFailed += rep.Failed()
	if err := l.judge(rep); err != nil {
		return nil, fmt.Errorf("deq: node %s: adjoint: %w", l.Name, err)
	}
	return l.gradients(e, u)
}

func (l *NodeLayer[T]) judge(rep *solvers.Report) error {
	if l.config.Unconverged == "continue" {
		return nil
	}
	return rep.Err()
}

// take returns the numbers of x, and gives the layer the parameters.
func (l *NodeLayer[T]) take(x gorgonia.Value, theta []gorgonia.Value) ([]T, error) {
	if len(theta) != len(l.theta) {
		return nil, fmt.Errorf("deq: node %s: %d parameters, expected %d", l.Name, len(theta), len(l.theta))
	}
	values, changed := make([][]T, len(theta)), false
	for i, v := range theta {
		p := l.layer.Params[l.theta[i]]
		data, err := numbers[T](v, p.Shape...)
		if err != nil {
			return nil, fmt.Errorf("deq: parameter %s of node %s: %w", p.Name, l.Name, err)
		}
		values[i], changed = data, changed || !slices.Equal(p.Data, data)
	}
	if changed {
		if err := l.layer.Update(func(p Params[T]) error {
			for i, data := range values {
				copy(p[l.theta[i]].Data, data)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	in, err := numbers[T](x, l.rows, l.layer.Inputs)
	if err != nil {
		return nil, fmt.Errorf("deq: input of node %s: %w", l.Name, err)
	}
	return in, nil
}

// numbers returns the entries of a value row by row, in its own memory where they lie in it so.
// The value must have the given shape but for axes of length 1, which some of Gorgonia's ops
// drop.
func numbers[T Float](v gorgonia.Value, shape ...int) ([]T, error) {
	if v == nil {
		return nil, fmt.Errorf("it has no value")
	}
	if !slices.Equal(longAxes(v.Shape()), longAxes(shape)) {
		return nil, fmt.Errorf("it has shape %v, expected %v", v.Shape(), shape)
	}
	if d, ok := v.(*tensor.Dense); ok && (d.RequiresIterator() || d.DataOrder().IsColMajor()) {
		return rowMajor[T](d)
	}
	switch data := v.Data().(type) {
	case []T:
		return data, nil
	case T:
		return []T{data}, nil
	}
	return nil, fmt.Errorf("it is of %v, expected %v", v.Dtype(), dtypeOf[T]())
}

// longAxes are the axes that are not of length 1.
func longAxes(shape []int) (axes []int) {
	for _, n := range shape {
		if n != 1 {
			axes = append(axes, n)
		}
	}
	return axes
}

// rowMajor copies a tensor whose memory is not simply its rows, such as a transposed one.
func rowMajor[T Float](d *tensor.Dense) ([]T, error) {
	shape := d.Shape()
	out := make([]T, 0, shape.TotalSize())
	at := make([]int, len(shape))
	for len(out) < cap(out) {
		v, err := d.At(at...)
		if err != nil {
			return nil, err
		}
		n, ok := v.(T)
		if !ok {
			return nil, fmt.Errorf("it is of %v, expected %v", d.Dtype(), dtypeOf[T]())
		}
		out = append(out, n)
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < shape[k] {
				break
			}
			at[k] = 0
		}
	}
	return out, nil
}

// nodeCell is one cell in a graph of its own.
type nodeCell struct {
	scope     *models.Scope
	z, x, out *gorgonia.Node
}

func (l *NodeLayer[T]) build(rows int) (nodeCell, error) {
	var b nodeCell
	b.scope = models.NewScope(dtypeOf[T](), l.layer.dims.params)
	b.z, b.x = b.scope.Variable("z", rows, l.layer.Units), b.scope.Variable("x", rows, l.layer.Inputs)
	b.out = l.layer.Model.Cell(b.scope, b.z, b.x)
	return b, b.scope.Err()
}

// nodeGradient is the program of uᵀ ∂f/∂x and uᵀ ∂f/∂θ for the whole batch.
type nodeGradient[T Float] struct {
	program engine.Program[T]
	z, x, u *gorgonia.Node
	part    []int // output i is the gradient of x (0) or of Params[part[i]−1]
	version uint64
}

// newGradient compiles the program; gradients of what f does not depend on have no output.
func (l *NodeLayer[T]) newGradient() (*nodeGradient[T], error) {
	b, err := l.build(l.rows)
	if err != nil {
		return nil, err
	}
	p := &nodeGradient[T]{z: b.z, x: b.x, u: b.scope.Variable("u", l.rows, l.layer.Units)}
	if err := b.scope.Err(); err != nil {
		return nil, err
	}
	wrt := gorgonia.Nodes{p.x}
	inputs := []engine.Input{{Node: p.z, Rate: engine.Linearisation}, {Node: p.x, Rate: engine.Linearisation}, {Node: p.u, Rate: engine.Cotangent}}
	used := b.scope.ParamNodes()
	for _, k := range l.theta {
		n := used[l.layer.Params[k].Name]
		wrt, inputs = append(wrt, n), append(inputs, engine.Input{Node: n, Rate: engine.Parameters})
	}
	grads, err := vjp.VJP(gorgonia.Nodes{b.out}, gorgonia.Nodes{p.u}, wrt)
	if err != nil {
		return nil, err
	}
	var outs gorgonia.Nodes
	for i, g := range grads {
		if g != nil {
			outs, p.part = append(outs, g), append(p.part, i)
		}
	}
	if len(outs) == 0 {
		return p, nil
	}
	compile := engine.Compile[T]
	if l.config.Engine == "tape" {
		compile = engine.CompileTape[T]
	}
	if p.program, err = compile(outs, engine.Options{Inputs: inputs, Rows: l.rows}); err != nil {
		return nil, err
	}
	for i, k := range l.theta {
		if err := p.program.Bind(wrt[1+i], l.layer.Params[k].Data); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// differentiable compiles what the derivative needs, once.
func (l *NodeLayer[T]) differentiable() (err error) {
	if l.gradient == nil {
		if l.gradient, err = l.newGradient(); err != nil {
			return fmt.Errorf("deq: derivative of node %s: %w", l.Name, err)
		}
	}
	return nil
}

// gradients evaluates uᵀ ∂f/∂(x, θ) at e.
func (l *NodeLayer[T]) gradients(e *Equilibrium[T], u []T) ([]T, error) {
	if err := l.differentiable(); err != nil {
		return nil, err
	}
	grads := make([]T, l.starts[len(l.starts)-1])
	p := l.gradient
	if p.program == nil {
		return grads, nil
	}
	for n, data := range map[*gorgonia.Node][]T{p.z: e.Z, p.x: e.X, p.u: u} {
		if err := p.program.Bind(n, data); err != nil {
			return nil, err
		}
	}
	if p.version != l.layer.version {
		if err := p.program.Run(engine.Parameters, l.rows); err != nil {
			return nil, err
		}
		p.version = l.layer.version
	}
	for _, rate := range []engine.Rate{engine.Linearisation, engine.Cotangent} {
		if err := p.program.Run(rate, l.rows); err != nil {
			return nil, err
		}
	}
	for i, part := range p.part {
		copy(grads[l.starts[part]:l.starts[part+1]], p.program.Out(i))
	}
	return grads, nil
}

// panicAsError turns a panic into an error: machines run ops on a goroutine of their own, where a
// panic would end the process.
func panicAsError(what string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("deq: %s: panic: %v", what, r)
	}
}
