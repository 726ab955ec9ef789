package bench

import (
	"fmt"

	"attractor/deq"
	"attractor/internal/engine"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rate is the cell of most cases, tanh(zWᵀ + xUᵀ + b).
func rate(units int) models.Rate { return models.Rate{N: units, Gain: 0.9, InputGain: 0.5} }

// normal returns n draws from N(0, 1), the same for the same name.
func normal(name string, n int) []float32 {
	r, v := rng.Stream(seed, name), make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// graph is an expression of a model: its outputs and inputs.
type graph struct {
	outs   gorgonia.Nodes
	inputs []engine.Input
	data   [][]float32 // by input
	rate   engine.Rate // the one that is measured
	rows   int
}

// express builds f(z, x), or uᵀ∂f/∂z or uᵀ∂f/∂θ of it.
func express(m models.Model, s Shape, params deq.Params[float32], of string) (*graph, error) {
	scope := models.NewScope(tensor.Float32, m.Params(inputs, outputs))
	z, x := scope.Variable("z", s.Batch, s.Units), scope.Variable("x", s.Batch, inputs)
	f := m.Cell(scope, z, x)
	g := &graph{outs: gorgonia.Nodes{f}, rate: engine.State, rows: s.Batch}
	state, drive := engine.State, engine.Batch
	var u *gorgonia.Node
	if of != "cell" {
		state, drive, g.rate = engine.Linearisation, engine.Linearisation, engine.Cotangent
		u = scope.Variable("u", s.Batch, s.Units)
	}
	if err := scope.Err(); err != nil {
		return nil, err
	}
	add := func(n *gorgonia.Node, r engine.Rate, data []float32) {
		g.inputs, g.data = append(g.inputs, engine.Input{Node: n, Rate: r}), append(g.data, data)
	}
	var theta gorgonia.Nodes
	nodes := scope.ParamNodes()
	for _, p := range params {
		if n := nodes[p.Name]; n != nil {
			add(n, engine.Parameters, p.Data)
			theta = append(theta, n)
		}
	}
	add(x, drive, normal("x", s.Batch*inputs))
	add(z, state, normal("z", s.Batch*s.Units))
	if u == nil {
		return g, nil
	}
	add(u, engine.Cotangent, normal("u", s.Batch*s.Units))
	wrt := gorgonia.Nodes{z}
	if of == "parameters" {
		wrt = theta
	}
	var err error
	g.outs, err = vjp.VJP(gorgonia.Nodes{f}, gorgonia.Nodes{u}, wrt)
	return g, err
}

type compiler func(gorgonia.Nodes, engine.Options) (engine.Program[float32], error)

// compile returns a run of the measured rate of g, with all slower rates already run.
func (g *graph) compile(by compiler) (run func() error, out func() []float32, err error) {
	p, err := by(g.outs, engine.Options{Inputs: g.inputs, Rows: g.rows})
	if err != nil {
		return nil, nil, err
	}
	for i, in := range g.inputs {
		if err := p.Bind(in.Node, g.data[i]); err != nil {
			return nil, nil, err
		}
	}
	for r := engine.Parameters; r <= engine.Cotangent; r++ {
		if err := p.Run(r, g.rows); err != nil {
			return nil, nil, fmt.Errorf("run of rate %v: %w", r, err)
		}
	}
	run = func() error { return p.Run(g.rate, g.rows) }
	out = func() []float32 {
		var all []float32
		for i := range g.outs {
			all = append(all, p.Out(i)...)
		}
		return all
	}
	return run, out, nil
}

// programWork measures the expression of a model. gemm has its products only.
func programWork(m models.Model, s Shape, of string, gemm func(params deq.Params[float32]) func() error) (*work, error) {
	params := deq.NewParams[float32](m, inputs, outputs, seed)
	build := func() (*graph, error) { return express(m, s, params, of) }
	g, err := build()
	if err != nil {
		return nil, err
	}
	w := &work{gemm: gemm(params), still: true}
	if w.ours, w.out, err = g.compile(engine.Compile[float32]); err != nil {
		return nil, err
	}
	w.tape = func() (func() error, func() []float32, error) {
		g, err := build() // a graph runs on one machine
		if err != nil {
			return nil, nil, err
		}
		return g.compile(engine.CompileTape[float32])
	}
	return w, nil
}

// cellWork is an evaluation f(z) with x and the weights as they were.
func cellWork(m models.Model, s Shape) (*work, error) {
	return programWork(m, s, "cell", func(params deq.Params[float32]) func() error { return products(params, s, true) })
}

// adjointWork is a product Jᵀu at a state that stays.
func adjointWork(m models.Model, s Shape) (*work, error) {
	return programWork(m, s, "adjoint", func(params deq.Params[float32]) func() error { return products(params, s, false) })
}

// products multiplies a state by every recurrent weight, packed before.
func products(params deq.Params[float32], s Shape, transposed bool) func() error {
	var packed []*kernels.Packed[float32]
	for _, p := range params {
		if p.Role == models.Recurrent {
			w := &kernels.Packed[float32]{}
			w.Pack(transposed, s.Units, s.Units, p.Data, s.Units)
			packed = append(packed, w)
		}
	}
	z, f := normal("z", s.Batch*s.Units), make([]float32, s.Batch*s.Units)
	return func() error {
		for _, w := range packed {
			kernels.GemmPacked(s.Batch, z, s.Units, w, 0, f, s.Units, nil)
		}
		return nil
	}
}

// gradientWork is uᵀ∂f/∂θ: products of cotangents with states and inputs over the batch.
func gradientWork(m models.Model, s Shape) (*work, error) {
	return programWork(m, s, "parameters", func(deq.Params[float32]) func() error { return outerProducts(s) })
}

// outerProducts has the matrix products of the gradients of W and U.
func outerProducts(s Shape) func() error {
	z, u, x := normal("z", s.Batch*s.Units), normal("u", s.Batch*s.Units), normal("x", s.Batch*inputs)
	dw, du := make([]float32, s.Units*s.Units), make([]float32, s.Units*inputs)
	return func() error {
		kernels.Gemm(true, false, s.Units, s.Units, s.Batch, u, s.Units, z, s.Units, 0, dw, s.Units)
		kernels.Gemm(true, false, s.Units, inputs, s.Batch, u, s.Units, x, inputs, 0, du, inputs)
		return nil
	}
}
