package deq

import (
	"fmt"
	"slices"

	"attractor/internal/engine"
	"attractor/internal/kernels"
	"attractor/solvers"
)

// shard holds what solves a fixed range of the samples of a batch: programs and solvers of
// its own, so that shards share nothing but the parameters.
type shard[T Float] struct {
	layer    *Layer[T]
	start    int // first sample
	capacity int // samples at most
	units    [functions]*unit[T]
	solvers  map[solverKey[T]]*solvers.Solver[T]
	solved   map[solverKey[T]]uint64 // the equilibrium that a solver has found last, if it has since solved nothing else
	indices  []int                   // 0, 1, …
	batch    []int                   // scratch: indices in the batch
	between  []float64               // scratch of splitting methods [capacity, units]
	resolved []float64               // likewise
	time     sweep[T]                // through time
}

// solverKey is a solver for samples of so many numbers.
type solverKey[T Float] struct {
	Solver[T]
	dim int
}

// unit is a compiled function with what it was last prepared for.
type unit[T Float] struct {
	f       function
	expr    *expression
	program engine.Program[T]
	version uint64 // of the parameters it has packed
	drawn   uint64 // of the masks that it holds
	masks   [][]T  // those samples' masks
	noise   [][]T  // and their noise; empty for none
	point   uint64 // the point that it holds; 0 for none
	rows    []int  // the samples of it that it holds
	x, z    []T    // those samples' inputs and states
	fz      []T    // and f there
	keep    []int
}

// program returns the unit of f, compiled when first asked for.
func (s *shard[T]) program(f function) (*unit[T], error) {
	if s.units[f] != nil {
		return s.units[f], nil
	}
	l := s.layer
	if f.ofPre() {
		if err := l.SingleActivation(); err != nil {
			return nil, err
		}
	}
	var e *expression
	rows := s.capacity
	if f.ofSteps() {
		rows *= block(rows)
	}
	err := engine.Build(func() (err error) {
		e, err = express(f, l.Model, l.dims, rows, dtypeOf[T]())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("deq: %w", err)
	}
	p, err := l.compile(e, rows)
	if err != nil {
		return nil, fmt.Errorf("deq: compile the %v: %w", f, err)
	}
	s.units[f] = &unit[T]{f: f, expr: e, program: p}
	return s.units[f], s.units[f].quiet()
}

// quiet sets the noise to 0.
func (u *unit[T]) quiet() error {
	for _, n := range u.expr.noises {
		if err := u.program.Bind(n.Node, make([]T, n.Node.Shape().TotalSize())); err != nil {
			return err
		}
	}
	return nil
}

// compile makes the program of an expression that reads the parameters of the layer.
func (l *Layer[T]) compile(e *expression, rows int) (engine.Program[T], error) {
	compile := engine.Compile[T]
	if l.config.Engine == "tape" {
		compile = engine.CompileTape[T]
	}
	p, err := compile(e.outs, engine.Options{Inputs: e.inputs, Rows: rows})
	if err != nil {
		return nil, err
	}
	p.Share(&l.weights)
	for i, n := range e.theta {
		if n == nil {
			continue
		}
		if err := p.Bind(n, l.Params[i].Data); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// current returns the unit of f with the parameters of now.
func (s *shard[T]) current(f function) (*unit[T], error) {
	u, err := s.program(f)
	if err != nil || u.version == s.layer.version {
		return u, err
	}
	if err := u.program.Run(engine.Parameters, 0); err != nil {
		return nil, err
	}
	u.version, u.point = s.layer.version, 0
	return u, nil
}

// at is a point of the state space, by sample of a shard: the inputs x and, for what
// is linearised, the states z and, where it is known, fz = f(z, x). Its id tells it from every
// other point.
type at[T Float] struct {
	id       uint64
	x, z, fz []T
	masked   int   // as of the Equilibrium
	noise    [][]T // of the cell's inputs of noise; nil for none
}

// prepared returns the unit of f with the parameters of now, holding the samples rows
// (ascending, counted from the shard's first) of the point p.
func (s *shard[T]) prepared(f function, p at[T], rows []int) (*unit[T], error) {
	u, err := s.current(f)
	if err != nil {
		return nil, err
	}
	if u.drawn != s.layer.drawn {
		u.drawn, u.point = s.layer.drawn, 0
	}
	if u.point == p.id && (len(rows) == len(u.rows) && slices.Equal(rows, u.rows) || u.follow(rows)) {
		return u, nil
	}
	if err := s.bindMasks(u, rows, p.masked); err != nil {
		return nil, err
	}
	if err := u.bindNoise(p.noise, rows); err != nil {
		return nil, err
	}
	if u.expr.fz != nil {
		if err := s.give(u, p, rows); err != nil {
			return nil, err
		}
	}
	if err := u.bind(p, rows, s.layer.Inputs, s.layer.Units); err != nil {
		return nil, err
	}
	u.point, u.rows = p.id, append(u.rows[:0], rows...)
	return u, nil
}

// bind gives the program the samples rows of a point and runs the rates that follow.
func (u *unit[T]) bind(p at[T], rows []int, inputs, units int) error {
	rate := engine.Batch
	if u.expr.u != nil {
		rate = engine.Linearisation
		u.z = gather(u.z, p.z, rows, units)
		if err := u.program.Bind(u.expr.z, u.z); err != nil {
			return err
		}
	}
	if u.expr.x != nil {
		u.x = gather(u.x, p.x, rows, inputs)
		if err := u.program.Bind(u.expr.x, u.x); err != nil {
			return err
		}
	}
	return u.program.Run(rate, len(rows))
}

// give binds f at the samples rows of a point, which is computed where it is not known.
func (s *shard[T]) give(u *unit[T], p at[T], rows []int) error {
	if p.fz != nil {
		u.fz = gather(u.fz, p.fz, rows, s.layer.Units)
		return u.program.Bind(u.expr.fz, u.fz)
	}
	f, err := s.prepared(cell, at[T]{id: p.id, x: p.x, masked: p.masked, noise: p.noise}, rows)
	if err != nil {
		return err
	}
	u.z = gather(u.z, p.z, rows, s.layer.Units)
	if err := f.program.Bind(f.expr.z, u.z); err != nil {
		return err
	}
	if err := f.program.Run(engine.State, len(rows)); err != nil {
		return err
	}
	return u.program.Bind(u.expr.fz, f.program.Out(0)[:len(u.z)])
}

// gather returns the rows of from [_, width], in dst's memory where it is large enough.
func gather[T Float](dst, from []T, rows []int, width int) []T {
	dst = dst[:0]
	for _, r := range rows {
		dst = append(dst, from[r*width:(r+1)*width]...)
	}
	return dst
}

// follow drops the samples that are not in rows, and reports whether the unit held all of rows.
func (u *unit[T]) follow(rows []int) bool {
	u.keep = u.keep[:0]
	for i, r := range u.rows {
		if len(u.keep) < len(rows) && r == rows[len(u.keep)] {
			u.keep = append(u.keep, i)
		}
	}
	if len(u.keep) != len(rows) {
		return false
	}
	u.program.Compact(u.keep)
	u.rows = append(u.rows[:0], rows...)
	return true
}

// apply evaluates f for the samples rows at in, their states for the cell and the readout,
// their cotangents or tangents otherwise; p is where it is linearised.
func (s *shard[T]) apply(f function, p at[T], rows []int, in []T) (*unit[T], error) {
	u, err := s.prepared(f, p, rows)
	if err != nil {
		return nil, err
	}
	return u, s.evaluate(u, rows, in)
}

// evaluate runs a prepared unit.
func (s *shard[T]) evaluate(u *unit[T], rows []int, in []T) error {
	node, rate := u.expr.z, engine.State
	if u.expr.u != nil {
		node, rate = u.expr.u, engine.Cotangent
	}
	if err := u.program.Bind(node, in); err != nil {
		return err
	}
	s.layer.count(u.f, len(rows))
	return u.program.Run(rate, len(rows))
}

// applyTo is apply with the result, of the same size as in, in out.
func (s *shard[T]) applyTo(f function, p at[T], rows []int, in, out []T) error {
	u, err := s.prepared(f, p, rows)
	if err != nil {
		return err
	}
	out = out[:len(in)]
	if len(u.expr.outs) == 0 { // the function is 0: out does not depend on it
		s.layer.count(f, len(rows))
		clear(out)
		return nil
	}
	if &in[0] != &out[0] && u.program.Into(0, out) {
		defer u.program.Into(0, nil)
		return s.evaluate(u, rows, in)
	}
	if err := s.evaluate(u, rows, in); err != nil {
		return err
	}
	copy(out, u.program.Out(0))
	return nil
}

// activate writes f to fz, which holds the pre-activation, for the samples rows in the states z.
func (s *shard[T]) activate(p at[T], rows []int, z, fz []T) error {
	u, err := s.prepared(activated, p, rows)
	if err != nil {
		return err
	}
	if err := u.program.Bind(u.expr.pre, fz); err != nil {
		return err
	}
	return s.applyTo(activated, p, rows, z, fz)
}

// part returns the shard's rows of v [batch, width], n of them.
func (s *shard[T]) part(v []T, n, width int) []T { return v[s.start*width : (s.start+n)*width] }

// all returns 0, 1, … n−1.
func (s *shard[T]) all(n int) []int {
	for len(s.indices) < n {
		s.indices = append(s.indices, len(s.indices))
	}
	return s.indices[:n]
}

func (s *shard[T]) index() int { return s.start / s.layer.config.Shard }

// scatter writes the rows of from to their places in dst [_, width].
func scatter[T Float](dst, from []T, rows []int, width int) {
	for i, r := range rows {
		copy(dst[r*width:(r+1)*width], from[i*width:(i+1)*width])
	}
}

// addGradients adds the parameter gradients that the unit has computed to g.
func (u *unit[T]) addGradients(g Params[T]) {
	if g == nil {
		return
	}
	for i, p := range u.expr.param {
		if p >= 0 && g[p].Data != nil {
			kernels.Add(g[p].Data, g[p].Data, u.program.Out(i))
		}
	}
}

// solver returns the solver of that method and stopping rule for samples of dim numbers.
func (s *shard[T]) solver(with Solver[T], dim int) (*solvers.Solver[T], error) {
	key := solverKey[T]{with, dim}
	if v := s.solvers[key]; v != nil {
		return v, nil
	}
	v, err := solvers.New(with.Method, s.capacity, dim, with.Settings)
	if err != nil {
		return nil, err
	}
	if s.solvers == nil {
		s.solvers, s.solved = make(map[solverKey[T]]*solvers.Solver[T]), make(map[solverKey[T]]uint64)
	}
	s.solvers[key] = v
	return v, nil
}

func (s *shard[T]) bytes() int {
	n := 0
	for _, u := range s.units {
		if u != nil {
			n += u.program.Bytes()
		}
	}
	for _, v := range s.solvers {
		n += v.Bytes()
	}
	n += s.time.bytes() + 8*(len(s.between)+len(s.resolved))
	return n
}
