package engine

import (
	"fmt"
	"io"
	"sync"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
	"attractor/internal/vjp"
)

// building is held while Gorgonia's graph structures are read or written.
var building sync.Mutex

// Build runs f, which builds graphs, while nobody else builds or compiles one: Gorgonia
// shares nodes between graphs and writes to them. f must not call Compile.
func Build(f func() error) error {
	building.Lock()
	defer building.Unlock()
	return f()
}

// tape runs a program on Gorgonia's TapeMachine. It works on a private copy of the graph,
// which holds the outputs and what they need and nothing else: other programs of the
// same graph are not disturbed, and inputs that the outputs do not use need no value.
type tape[T kernels.Float] struct {
	rows    int
	fastest Rate
	inputs  []*tapeInput[T]
	byNode  map[*gorgonia.Node]*tapeInput[T]
	known   map[*gorgonia.Node]bool
	nodes   gorgonia.Nodes
	vm      gorgonia.VM
	reads   []gorgonia.Value
	outs    [][]T
	reason  error // why the tape is used instead of the engine
	rowWise error
}

type tapeInput[T kernels.Float] struct {
	source *gorgonia.Node // in the caller's graph
	node   *gorgonia.Node // in ours
	rate   Rate
	bound  []T
	copied []T // what the machine reads, if the rows are indexed; zero beyond the rows run
}

// CompileTape returns a program that runs on Gorgonia's TapeMachine: the reference for the
// engine's own, slow.
//
// Run computes everything at the program's fastest rate and only copies inputs below it. The
// whole batch is always computed: rows beyond those asked for are zero in every input
// of rate Batch or faster, so that sums over the batch (gradients of parameters)
// are right as long as they are linear in a cotangent. Rows of outputs beyond those asked
// for are undefined. An op that panics makes Run fail; under a bare TapeMachine it
// would end the process.
//
// Ops that keep state between their calls (max-pooling, batch normalisation) are shared by all
// programs of one graph, which must then not run at the same time.
func CompileTape[T kernels.Float](outs gorgonia.Nodes, o Options) (Program[T], error) {
	rows, err := batchRows(o)
	if err != nil {
		return nil, err
	}
	readable := SelfCheck() == nil
	building.Lock()
	defer building.Unlock()
	p := &tape[T]{
		rows:   rows,
		byNode: make(map[*gorgonia.Node]*tapeInput[T]),
		known:  make(map[*gorgonia.Node]bool),
		reads:  make([]gorgonia.Value, len(outs)),
		outs:   make([][]T, len(outs)),
	}
	p.rowWise = selfCheck()
	if readable {
		x, err := understand(outs, o, dtypeOf[T](), rows, func(*expression) {})
		if err != nil {
			return nil, err
		}
		p.rowWise = x.firstMixed()
		if err := refuseOnTape(x); err != nil {
			return nil, err
		}
	}
	if err := p.build(outs, o, readable); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *tape[T]) build(outs gorgonia.Nodes, o Options, readable bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: tape: %v", r)
		}
	}()
	rate := make(map[*gorgonia.Node]Rate)
	for _, in := range o.Inputs {
		rate[in.Node] = in.Rate
		p.known[in.Node] = true
	}
	p.nodes = vjp.TopologicalFrom(p.known, outs...)
	graph := gorgonia.NewGraph()
	copies := make(map[*gorgonia.Node]*gorgonia.Node)
	taken := make(map[*gorgonia.Node]bool)
	for i, n := range p.nodes {
		given := p.known[n]
		if given && n.Dtype() != dtypeOf[T]() {
			return fmt.Errorf("engine: input %v is of %v, the program of %v", n, n.Dtype(), dtypeOf[T]())
		}
		options := []gorgonia.NodeConsOpt{gorgonia.In(graph), gorgonia.WithType(n.Type()), gorgonia.WithShape(n.Shape().Clone()...)}
		children := vjp.Children(n)
		leaf := given || n.Op() == nil || len(children) == 0
		if leaf {
			options = append(options, gorgonia.WithName(fmt.Sprintf("leaf%d", i)))
		} else {
			own := make(gorgonia.Nodes, len(children))
			for j, c := range children {
				own[j] = copies[c]
				rate[n] = max(rate[n], rate[c])
			}
			options = append(options, gorgonia.WithOp(guard(n.Op(), i)), gorgonia.WithChildren(own))
		}
		c := gorgonia.NewUniqueNode(options...)
		if taken[c] {
			return fmt.Errorf("engine: tape: hashes of two nodes collide at %v", n)
		}
		taken[c] = true
		copies[n] = c
		p.fastest = max(p.fastest, rate[n])
		if !leaf {
			continue
		}
		if rate[n] == Constant {
			v := n.Value()
			if v == nil && readable { // only its shape matters
				if v, err = zero(n); err != nil {
					return err
				}
			}
			if v == nil {
				return fmt.Errorf("engine: input %v is not listed and has no value", n)
			}
			if err := gorgonia.Let(c, v); err != nil {
				return fmt.Errorf("engine: constant %v: %w", n, err)
			}
			continue
		}
		in := &tapeInput[T]{source: n, node: c, rate: rate[n]}
		if in.rate >= Batch {
			in.copied = make([]T, volume(n.Shape()))
			if err := in.let(in.copied); err != nil {
				return err
			}
		}
		p.inputs = append(p.inputs, in)
		p.byNode[n] = in
	}
	for i, n := range outs {
		gorgonia.Read(copies[n], &p.reads[i])
		p.outs[i] = make([]T, volume(n.Shape()))
	}
	p.vm = gorgonia.NewTapeMachine(graph)
	return nil
}

// zero returns a value for a node.
func zero(n *gorgonia.Node) (gorgonia.Value, error) {
	if n.Shape().Dims() == 0 {
		return scalarOf(n.Dtype())
	}
	return tensor.New(tensor.Of(n.Dtype()), tensor.WithShape(n.Shape().Clone()...)), nil
}

func scalarOf(dt tensor.Dtype) (gorgonia.Value, error) {
	switch dt {
	case tensor.Float32:
		return gorgonia.NewF32(0), nil
	case tensor.Float64:
		return gorgonia.NewF64(0), nil
	}
	return nil, fmt.Errorf("engine: no zero of %v", dt)
}

// let makes the machine read data, under a header of our own.
func (in *tapeInput[T]) let(data []T) error {
	shape := in.source.Shape()
	var v any
	if shape.Dims() == 0 {
		v = scalarValue(data[0])
	} else {
		v = tensor.New(tensor.WithShape(shape.Clone()...), tensor.WithBacking(data))
	}
	if err := gorgonia.Let(in.node, v); err != nil {
		return fmt.Errorf("engine: bind %v: %w", in.source, err)
	}
	return nil
}

func (p *tape[T]) Bind(n *gorgonia.Node, data []T) error {
	in, used := p.byNode[n]
	if !used {
		if p.known[n] {
			return nil
		}
		return fmt.Errorf("engine: bind %v: not an input of this program", n)
	}
	if err := checkBinding(n, in.rate, len(data), volume(n.Shape()), p.rows); err != nil {
		return err
	}
	in.bound = data
	if in.rate < Batch {
		return in.let(data)
	}
	return nil
}

// Share does nothing: the TapeMachine packs nothing.
func (p *tape[T]) Share(*Weights[T]) {}

func (p *tape[T]) Run(r Rate, rows int) error {
	if r < Batch {
		rows = p.rows
	}
	if rows < 0 || rows > p.rows {
		return fmt.Errorf("engine: run on %d rows of %d", rows, p.rows)
	}
	if rows < p.rows && p.rowWise != nil {
		return fmt.Errorf("engine: run on %d rows of %d: %w", rows, p.rows, p.rowWise)
	}
	for _, in := range p.inputs {
		if in.rate < Batch && r == p.fastest && in.source.Shape().Dims() == 0 && in.bound != nil {
			if err := in.let(in.bound); err != nil { // a scalar is a copy
				return err
			}
		}
		if in.rate != r || r < Batch {
			continue
		}
		n := rows * (len(in.copied) / p.rows)
		if len(in.bound) < n {
			return fmt.Errorf("engine: input %v is bound to %d numbers, %d rows need %d", in.source, len(in.bound), rows, n)
		}
		clear(in.copied[copy(in.copied, in.bound[:n]):])
	}
	if r != p.fastest {
		return nil
	}
	for _, in := range p.inputs {
		if in.bound == nil {
			return fmt.Errorf("engine: input %v is not bound", in.source)
		}
	}
	p.vm.Reset()
	clear(p.reads)
	if err := p.vm.RunAll(); err != nil {
		return fmt.Errorf("engine: tape: %w", err)
	}
	for i, v := range p.reads {
		if err := flatten(p.outs[i], v); err != nil {
			return fmt.Errorf("engine: output %d: %w", i, err)
		}
	}
	return nil
}

func (p *tape[T]) Compact(keep []int) {
	checkKeep(keep, p.rows, p.rowWise)
	for _, in := range p.inputs {
		if in.rate >= Batch {
			compactRows(in.copied, len(in.copied)/p.rows, keep)
			clear(in.copied[len(keep)*(len(in.copied)/p.rows):])
		}
	}
}

// compactRows moves row keep[i] of data to row i.
func compactRows[T kernels.Float](data []T, width int, keep []int) {
	for i, k := range keep {
		if i != k {
			copy(data[i*width:(i+1)*width], data[k*width:(k+1)*width])
		}
	}
}

func (p *tape[T]) Out(i int) []T      { return p.outs[i] }
func (p *tape[T]) Into(int, []T) bool { return false }
func (p *tape[T]) RowWise() error     { return p.rowWise }

// Bytes counts one buffer for every node; what the TapeMachine really holds is not known.
func (p *tape[T]) Bytes() int {
	n := 0
	for _, c := range p.nodes {
		n += volume(c.Shape()) * int(dtypeOf[T]().Size())
	}
	return n
}

func (p *tape[T]) Explain(w io.Writer) {
	if p.reason != nil {
		fmt.Fprintf(w, "not compiled: %v\n", p.reason)
	}
	fmt.Fprintf(w, "TapeMachine: %d nodes, all run at rate %v\n", len(p.nodes), p.fastest)
	for i, n := range p.nodes {
		fmt.Fprintf(w, "  %3d %v %v\n", i, n.Shape(), n)
	}
}

// flatten writes the elements of v in row-major order to dst.
func flatten[T kernels.Float](dst []T, v gorgonia.Value) error {
	if v == nil {
		return fmt.Errorf("no value")
	}
	switch data := v.Data().(type) {
	case T:
		dst[0] = data
		return nil
	case []T:
		d, ok := v.(*tensor.Dense)
		if !ok || !d.RequiresIterator() && len(data) == len(dst) {
			copy(dst, data)
			return nil
		}
		it := d.Iterator()
		i := 0
		for k, err := it.Next(); err == nil && i < len(dst); k, err = it.Next() {
			dst[i] = data[k]
			i++
		}
		if i != len(dst) {
			return fmt.Errorf("%d elements, want %d", i, len(dst))
		}
		return nil
	}
	return fmt.Errorf("value of %T, want numbers of %v", v.Data(), dtypeOf[T]())
}

// scalarValue wraps x for Gorgonia.
func scalarValue[T kernels.Float](x T) gorgonia.Value {
	if y, ok := any(x).(float32); ok {
		return gorgonia.NewF32(y)
	}
	return gorgonia.NewF64(float64(x))
}
