package engine

import (
	"fmt"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
)

// Compile returns a program of outs that runs on our own kernels. An op that it does not know runs
// by its own Do, on buffers of the program; Explain says which.
//
// The numbers agree with those of the TapeMachine but for rounding: sums are reordered so that what
// changes slowly is added up once, and exp, tanh and their like are our own.
//
// If the linked Gorgonia is not the one that Compile can read (SelfCheck), the program runs on the
// TapeMachine, and Explain says so.
func Compile[T kernels.Float](outs gorgonia.Nodes, o Options) (Program[T], error) {
	if err := SelfCheck(); err != nil {
		p, tapeErr := CompileTape[T](outs, o)
		if tapeErr != nil {
			return nil, tapeErr
		}
		p.(*tape[T]).reason = err
		return p, nil
	}
	x, err := analyse(outs, o, dtypeOf[T]())
	if err != nil {
		return nil, err
	}
	p := newProgram[T](x)
	if err := p.Run(Constant, x.batch); err != nil {
		return nil, err
	}
	return p, nil
}

// analyse does the part of compilation that does not depend on the number type.
func analyse(outs gorgonia.Nodes, o Options, dtype tensor.Dtype) (x *expression, err error) {
	rows, err := batchRows(o)
	if err != nil {
		return nil, err
	}
	building.Lock()
	defer building.Unlock()
	return understand(outs, o, dtype, rows, (*expression).plan)
}

// understand reads and simplifies outs, finds out about their rows, and applies then. The caller
// holds building.
func understand(outs gorgonia.Nodes, o Options, dtype tensor.Dtype, rows int, then func(*expression)) (x *expression, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: compile: %v", r)
		}
	}()
	x, err = read(outs, o, dtype, rows)
	if err != nil {
		return nil, err
	}
	for _, in := range o.Inputs {
		x.listed = append(x.listed, in.Node)
		x.fastest = max(x.fastest, in.Rate)
	}
	x.simplify()
	if err := x.complete(); err != nil {
		return nil, err
	}
	x.followRows()
	then(x)
	return x, nil
}

// plan decides how the expression is computed.
func (x *expression) plan() {
	x.fuse()
	x.schedule()
	x.allocate()
}

// program is an expression with memory.
type program[T kernels.Float] struct {
	x       *expression
	rowWise error
	memory  [][]T
	own     [][]T            // memory of the outputs that are elsewhere
	raw     []gorgonia.Value // of values that are not of type T, by memory index
	code    [rates][]func(rows int) error
	inputs  map[*gorgonia.Node]*value
	listed  map[*gorgonia.Node]bool
	moving  []moving
	packed  []*packing[T]
	shared  *Weights[T] // nil without
	scratch int         // numbers in registers and the like
}

// moving is a buffer whose rows Compact moves.
type moving struct{ memory, width int }

func newProgram[T kernels.Float](x *expression) *program[T] {
	p := &program[T]{
		x: x, rowWise: x.firstMixed(),
		memory: make([][]T, len(x.sizes)), raw: make([]gorgonia.Value, len(x.sizes)),
		own:    make([][]T, len(x.outs)),
		inputs: make(map[*gorgonia.Node]*value), listed: make(map[*gorgonia.Node]bool),
	}
	for i, n := range x.sizes {
		p.memory[i] = aligned[T](n)
	}
	for _, n := range x.listed {
		p.listed[n] = true
	}
	for _, v := range x.values {
		switch {
		case v.op.kind != inputKind:
		case v.bound:
			p.inputs[v.node] = v
		case v.float:
			p.memory[v.memory] = converted[T](v.data)
		default:
			p.raw[v.memory] = v.raw
		}
	}
	x.eachStep(func(s *step) { p.emit(s) })
	p.findMoving()
	return p
}

// findMoving lists the row-indexed buffers that a faster rate reads.
func (p *program[T]) findMoving() {
	seen := make(map[int]bool)
	p.x.eachStep(func(s *step) {
		for _, v := range s.reads() {
			if v.step != nil && v.rate != s.rate && v.rows == rowed && !seen[v.memory] {
				seen[v.memory] = true
				p.moving = append(p.moving, moving{memory: v.memory, width: v.size / p.x.batch})
			}
		}
	})
}

func (p *program[T]) Bind(n *gorgonia.Node, data []T) error {
	v, used := p.inputs[n]
	if !used {
		if p.listed[n] {
			return nil
		}
		return fmt.Errorf("engine: bind %v: not an input of this program", n)
	}
	if err := checkBinding(n, v.rate, len(data), v.size, p.x.batch); err != nil {
		return err
	}
	p.memory[v.memory] = data
	return nil
}

func (p *program[T]) Share(w *Weights[T]) { p.shared = w }

func (p *program[T]) Run(r Rate, rows int) error {
	if r < Batch {
		rows = p.x.batch // whatever the caller says: nothing of these rates has rows
	}
	if rows < 0 || rows > p.x.batch {
		return fmt.Errorf("engine: run on %d rows of %d", rows, p.x.batch)
	}
	if rows < p.x.batch && p.rowWise != nil {
		return fmt.Errorf("engine: run on %d rows of %d: %w", rows, p.x.batch, p.rowWise)
	}
	if err := p.checkBound(r, rows); err != nil {
		return err
	}
	for _, f := range p.code[r] {
		if err := f(rows); err != nil {
			return err
		}
	}
	return nil
}

// checkBound verifies that the inputs that Run(r, rows) reads have that many rows.
func (p *program[T]) checkBound(r Rate, rows int) error {
	if len(p.code[r]) == 0 {
		return nil
	}
	for _, v := range p.x.inputs {
		if v.memory < 0 || v.rate > r || v.rate >= Batch && v.rate != r {
			continue
		}
		need := v.size
		if v.rate >= Batch {
			need = v.size / p.x.batch * rows
		}
		if have := len(p.memory[v.memory]); have < need {
			return fmt.Errorf("engine: input %v is bound to %d numbers, %d rows need %d", v.node, have, rows, need)
		}
	}
	return nil
}

func (p *program[T]) Compact(keep []int) {
	checkKeep(keep, p.x.batch, p.rowWise)
	for _, m := range p.moving {
		compactRows(p.memory[m.memory], m.width, keep)
	}
}

func (p *program[T]) Out(i int) []T {
	v := p.x.outs[i].resolve()
	m := p.memory[v.memory]
	return m[:min(len(m), v.size)]
}

func (p *program[T]) Into(i int, dst []T) bool {
	v := p.x.outs[i].resolve()
	if v.op.kind == inputKind || v.rate != p.x.fastest {
		return false
	}
	for k, other := range p.x.outs {
		if k != i && other.resolve().memory == v.memory {
			return false
		}
	}
	if p.own[i] == nil {
		p.own[i] = p.memory[v.memory]
	}
	if dst == nil {
		dst = p.own[i]
	}
	p.memory[v.memory] = dst
	return true
}

func (p *program[T]) RowWise() error { return p.rowWise }

// Bytes counts a constant three times: as the graph, the expression and the program hold it.
func (p *program[T]) Bytes() int {
	n, constants := p.scratch, 0
	for _, size := range p.x.sizes {
		n += size
	}
	for _, v := range p.x.values {
		constants += len(v.data)
	}
	var zero T
	n = int(unsafe.Sizeof(zero))*(n+2*constants) + 8*constants
	for _, k := range p.packed {
		n += k.own.Bytes()
	}
	return n
}

// rowsOf returns how much of a length, made of whole samples if v's rows are indexed by sample, there
// is in the given number of rows.
func (p *program[T]) rowsOf(d dependence, length int) func(rows int) int {
	batch := p.x.batch
	if d != rowed || batch == 0 {
		return func(int) int { return length }
	}
	per := length / batch
	return func(rows int) int { return rows * per }
}

// aligned returns n numbers of which the first is at the start of a cache line.
func aligned[T kernels.Float](n int) []T {
	const line = 64
	var zero T
	size := int(unsafe.Sizeof(zero))
	s := make([]T, n+line/size)
	skip := (-int(uintptr(unsafe.Pointer(&s[0]))) & (line - 1)) / size
	return s[skip : skip+n : skip+n]
}

func converted[T kernels.Float](data []float64) []T {
	s := make([]T, len(data))
	for i, d := range data {
		s[i] = T(d)
	}
	return s
}
