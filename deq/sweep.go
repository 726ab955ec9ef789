package deq

import (
	"math/rand/v2"
	"slices"

	"attractor/internal/engine"
	"attractor/internal/kernels"

	"gorgonia.org/gorgonia"
)

// stacked is how many rows the steps have, about, whose parameter gradients are summed by one product of
// matrices: a long sum costs less than many short ones that are added up.
const stacked = 256

// block is the number of steps that are stacked, for so many samples.
func block(samples int) int { return max(1, stacked/samples) }

// sweep takes the samples of a shard through time, and back. Its memory is used again from one trajectory to
// the next.
type sweep[T Float] struct {
	shard *shard[T]
	n     int // samples
	all   []int

	forward, back, sums *unit[T] // nil where not wanted

	x      *T   // the first input that forward holds
	passed []T  // a state that nobody keeps
	drawn  bool // whether forward holds noise
	noise  [][]T

	// The stack: what uᵀ∂f/∂θ is taken of, step behind step, each [n, width].
	u, z, xs []T
	marks    [][]T
	held     int // steps
	tiled    []int

	grads Params[T] // sums so far

	indicators [][]T // of the slots, [capacity, units]
}

// sweeps runs work on the shards that hold the first rows samples, each ready to go forward, and back if
// back is not step but one of stepAdjoint, stepInputs, stepCut and stepUnit, and adds the sums of the shards to g in their order; for
// what was made in the given state, or 0.
func (l *Layer[T]) sweeps(made uint64, rows int, back function, g Params[T], work func(w *sweep[T]) error) error {
	if err := l.checkGradients(g); err != nil {
		return err
	}
	if err := l.take(made); err != nil {
		return err
	}
	defer l.done()
	err := l.run(rows, func(s *shard[T], n int) error {
		w := &s.time
		if err := w.begin(s, n, back, g != nil); err != nil {
			return err
		}
		if err := work(w); err != nil {
			return err
		}
		return w.flush()
	})
	if err != nil || g == nil {
		return err
	}
	for _, s := range l.shards {
		if s.start < rows {
			for i, sum := range s.time.grads {
				if g[i].Data != nil {
					kernels.Add(g[i].Data, g[i].Data, sum.Data)
				}
			}
		}
	}
	return nil
}

func (w *sweep[T]) begin(s *shard[T], n int, back function, gradients bool) (err error) {
	*w = sweep[T]{shard: s, n: n, all: s.all(n), passed: w.passed, u: w.u, z: w.z, xs: w.xs, marks: w.marks, tiled: w.tiled, grads: w.grads, indicators: w.indicators, noise: w.noise, drawn: w.drawn}
	l := s.layer
	if w.forward, err = w.unit(step, w.all); err != nil {
		return err
	}
	if w.drawn {
		w.drawn = false
		if err := w.forward.quiet(); err != nil {
			return err
		}
	}
	w.passed = sized(w.passed, s.capacity*l.Units)
	if gradients {
		if w.grads == nil {
			w.grads = l.Params.ZerosLike()
		}
		w.grads.Clear()
	}
	if back == step {
		return nil
	}
	if w.back, err = w.unit(back, w.all); err != nil {
		return err
	}
	depth := block(s.capacity)
	w.u, w.z = sized(w.u, depth*s.capacity*l.Units), sized(w.z, depth*s.capacity*l.Units)
	w.xs = sized(w.xs, depth*s.capacity*l.Inputs)
	for i, m := range w.forward.expr.marks {
		if len(w.marks) <= i {
			w.marks = append(w.marks, nil)
		}
		w.marks[i] = sized(w.marks[i], depth*s.capacity*m.width)
	}
	if !gradients {
		return nil
	}
	w.tiled = w.tiled[:0]
	for range depth {
		w.tiled = append(w.tiled, w.all...)
	}
	sums := stepGradient
	if back == stepCut || back == stepUnit {
		sums = stepCutGradient
	}
	w.sums, err = w.unit(sums, w.tiled)
	return err
}

// unit returns the unit of f with the parameters of now and the masks of some samples.
func (w *sweep[T]) unit(f function, rows []int) (*unit[T], error) {
	u, err := w.shard.current(f)
	if err != nil {
		return nil, err
	}
	return u, w.shard.bindMasks(u, rows, 0)
}

// sized returns v with at least n numbers.
func sized[T Float](v []T, n int) []T {
	if len(v) < n {
		return make([]T, n)
	}
	return v
}

// states returns the shard's rows of states [batch, units].
func (w *sweep[T]) states(z []T) []T { return w.shard.part(z, w.n, w.shard.layer.Units) }

// inputs returns the shard's rows of inputs [batch, inputs].
func (w *sweep[T]) inputs(x []T) []T { return w.shard.part(x, w.n, w.shard.layer.Inputs) }

// step computes f(z, x) and the marks of the step.
func (w *sweep[T]) step(z, x []T) (next []T, err error) {
	p := w.forward.program
	if w.x != &x[0] {
		if err := p.Bind(w.forward.expr.x, x); err != nil {
			return nil, err
		}
		if err := p.Run(engine.Batch, w.n); err != nil {
			return nil, err
		}
		w.x = &x[0]
	}
	if err := p.Bind(w.forward.expr.z, z); err != nil {
		return nil, err
	}
	w.shard.layer.count(step, w.n)
	if err := p.Run(engine.State, w.n); err != nil {
		return nil, err
	}
	return p.Out(0)[:len(z)], nil
}

// draw gives the next step its noise, of step t.
func (w *sweep[T]) draw(t int, stream func(name string, t, sample int) *rand.Rand) error {
	if stream == nil {
		return nil
	}
	for i, noise := range w.forward.expr.noises {
		if len(w.noise) <= i {
			w.noise = append(w.noise, make([]T, noise.Node.Shape().TotalSize()))
		}
		width := noise.Node.Shape()[1]
		drawn := w.noise[i][:w.n*width]
		drawNoise(noise.Name, noise.SD, drawn, width, t, w.shard.start, stream)
		if err := w.forward.program.Bind(noise.Node, drawn); err != nil {
			return err
		}
		w.drawn = true
	}
	return nil
}

// mark returns mark i of the last step.
func (w *sweep[T]) mark(i int) []T {
	m := w.forward.expr.marks[i]
	return w.forward.program.Out(m.out)[:w.n*m.width]
}

// cotangent is the memory [n, units] of the u that pull is to take back.
func (w *sweep[T]) cotangent() []T { return w.slot(w.u, w.shard.layer.Units) }

// slot is the place for the next step on a stack.
func (w *sweep[T]) slot(stack []T, width int) []T {
	return stack[w.held*w.n*width : (w.held+1)*w.n*width]
}

// pull takes the cotangent u of a step's result back to its state z: it puts uᵀ∂f/∂θ on the stack
// and returns, where it is to go further, uᵀ∂f/∂z, nil if that is 0.
func (w *sweep[T]) pull(z, x []T, mark func(i int) []T, further bool) (du []T, err error) {
	l := w.shard.layer
	copy(w.slot(w.z, l.Units), z)
	copy(w.slot(w.xs, l.Inputs), x)
	for i, m := range w.forward.expr.marks {
		copy(w.slot(w.marks[i], m.width), mark(i))
	}
	if further {
		if err := w.bind(w.back, w.held, w.held+1); err != nil {
			return nil, err
		}
		l.count(w.back.f, w.n)
		if err := w.back.program.Run(engine.Cotangent, w.n); err != nil {
			return nil, err
		}
		if w.back.expr.onState() {
			du = w.back.program.Out(0)[:w.n*l.Units]
		}
	}
	if w.sums == nil {
		return du, nil
	}
	if w.held++; w.held == block(w.shard.capacity) {
		return du, w.flush()
	}
	return du, nil
}

// addInputs adds the uᵀ∂f/∂x of the last pull to dx.
func (w *sweep[T]) addInputs(dx []T) {
	for i, p := range w.back.expr.param {
		if p == ofInput {
			kernels.Add(dx, dx, w.back.program.Out(i)[:len(dx)])
		}
	}
}

// bind gives a unit the steps first to last of the stack, without last.
func (w *sweep[T]) bind(u *unit[T], first, last int) error {
	l, e := w.shard.layer, u.expr
	steps := func(stack []T, width int) []T { return stack[first*w.n*width : last*w.n*width] }
	for _, in := range []struct {
		node *gorgonia.Node
		data []T
	}{{e.u, steps(w.u, l.Units)}, {e.z, steps(w.z, l.Units)}, {e.x, steps(w.xs, l.Inputs)}} {
		if err := u.program.Bind(in.node, in.data); err != nil {
			return err
		}
	}
	for _, m := range e.marks {
		for i, own := range w.forward.expr.marks {
			if own.place != m.place {
				continue
			}
			if err := u.program.Bind(m.node, steps(w.marks[i], m.width)); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush adds the parameter gradients of the steps on the stack to the sums.
func (w *sweep[T]) flush() error {
	if w.sums == nil || w.held == 0 {
		return nil
	}
	if err := w.bind(w.sums, 0, w.held); err != nil {
		return err
	}
	if err := w.sums.program.Run(engine.Cotangent, w.held*w.n); err != nil {
		return err
	}
	w.shard.layer.count(w.sums.f, w.held*w.n)
	w.held = 0
	w.sums.addGradients(w.grads)
	return nil
}

func (w *sweep[T]) bytes() int {
	n := len(w.passed) + len(w.u) + len(w.z) + len(w.xs)
	for _, m := range slices.Concat(w.marks, w.indicators, w.noise) {
		n += len(m)
	}
	return n*sizeof[T]() + w.grads.Bytes()
}
