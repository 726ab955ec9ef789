package deq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"attractor/internal/budget"
	"attractor/internal/kernels"
)

// Sequence is what a trajectory runs through.
type Sequence[T Float] struct {
	Rows  int // samples
	Steps int // T
	X     []T // inputs [Rows, Inputs], the same at all steps, or [Steps, Rows, Inputs]
	Z0    []T // initial states [Rows, Units]; nil: 0

	// Every is 1, or 0, to keep all states; c > 1 keeps one state in c and the last two. What is not
	// kept is computed again on the way back, a segment at a time: T/c + c states in place of
	// T, least for c = √T, at the price of a second run of the cell.
	//
	// A. Griewank and A. Walther, ACM TOMS 26 (2000) 19–45, doi:10.1145/347837.347846.
	Every int

	// Noise begins the stream of the model's noise of a name at step t for a sample. It must be the same at every
	// call and is called from several goroutines; nil: there is no noise.
	Noise func(name string, t, sample int) *rand.Rand

	// Once is set where there will be no way back: nothing is kept for it but the states.
	Once bool

	// Reuse, if not nil, is a trajectory that nobody needs any more, nor its Outputs: the new one takes over
	// what it can of their memory.
	Reuse *Trajectory[T]
}

// Trajectory is the cell stepped through time from z_0,
//
//	z_{t+1} = f(z_t, x_t),   t = 0 … T−1,
//
// for a batch: a relaxation, where the input is the same at all steps, or a sequence. It knows how
// it was run, and VJP goes back the same way. X and Z are to be read. Once the parameters of its layer change, or its
// masks of dropout, what it holds can still be read, and every method that computes returns ErrStale.
type Trajectory[T Float] struct {
	Rows  int
	Steps int
	X     []T   // [rows, inputs], or [steps, rows, inputs]
	Z     [][]T // Z[t] [rows, units], t = 0 … steps; nil for a state that is not kept

	// Drift is, after VJP of a reversible trajectory, how far every sample has missed the
	// states that are known, relative to its last state. Nil otherwise.
	Drift []float64

	layer *Layer[T]
	made  uint64 // in which state of the layer
	every int    // one state in so many is kept
	once  bool
	noise func(name string, t, sample int) *rand.Rand
	marks [][][]T    // by mark and step; nil where not kept
	outs  Outputs[T] // that Evaluate has made last
	spare Outputs[T] // that it may take the memory of
	back  *reversal  // of a reversible trajectory
}

// Relax runs z_{t+1} = f(z_t, x) for a number of steps from z0 (nil: from 0).
func (l *Layer[T]) Relax(ctx context.Context, x, z0 []T, steps int) (*Trajectory[T], error) {
	return l.Run(ctx, Sequence[T]{Rows: len(x) / l.Inputs, Steps: steps, X: x, Z0: z0})
}

// Run steps the cell through a sequence.
func (l *Layer[T]) Run(ctx context.Context, q Sequence[T]) (*Trajectory[T], error) {
	tr, err := l.begin(q)
	if err != nil {
		return nil, err
	}
	tr.every, tr.once = max(q.Every, 1), q.Once
	old := &Trajectory[T]{Z: make([][]T, q.Steps+1)}
	if r := q.Reuse; r != nil && r.layer == l && r.Rows == q.Rows && r.Steps == q.Steps {
		old, *r = &Trajectory[T]{Z: r.Z, marks: r.marks, outs: r.outs}, Trajectory[T]{}
	}
	tr.spare = old.outs
	for t := range tr.Z {
		if t%tr.every == 0 || t >= q.Steps-1 {
			tr.Z[t] = sized(old.Z[t], q.Rows*l.Units)
		}
	}
	if q.Z0 == nil {
		clear(tr.Z[0])
	} else {
		copy(tr.Z[0], q.Z0)
	}
	kept := span[T]{z: tr.Z}
	if tr.every == 1 && !q.Once {
		if tr.marks = old.marks; tr.marks == nil {
			if tr.marks, err = l.newMarks(q.Rows, q.Steps); err != nil {
				return nil, err
			}
		}
		kept.marks = tr.marks
	}
	return tr, l.sweeps(tr.made, q.Rows, step, nil, func(w *sweep[T]) error { return tr.forward(ctx, w, kept, q.Steps) })
}

// begin checks a sequence and makes a trajectory without states.
func (l *Layer[T]) begin(q Sequence[T]) (*Trajectory[T], error) {
	if q.Steps < 1 || q.Every < 0 {
		return nil, fmt.Errorf("deq: trajectory of %d steps, a state kept every %d: expected at least 1 and 0", q.Steps, q.Every)
	}
	first := q.X
	switch each := q.Rows * l.Inputs; {
	case q.Rows < 1:
		return nil, fmt.Errorf("deq: trajectory of %d samples: expected at least 1", q.Rows)
	case len(q.X) == q.Steps*each:
		first = q.X[:each]
	case len(q.X) != each:
		return nil, fmt.Errorf("deq: input X of %d numbers: expected %d (%d samples of %d), or %d times as many", len(q.X), each, q.Rows, l.Inputs, q.Steps)
	}
	if _, err := l.checkInput(first, q.Z0); err != nil {
		return nil, err
	}
	kept := 1 + float64(q.Steps)/float64(max(q.Every, 1))
	if err := budget.Fit((24+float64(sizeof[T]())*float64(q.Rows)*float64(l.Units))*kept+float64(sizeof[T]()*len(q.X)),
		fmt.Sprintf("deq: a trajectory of %d samples of %d units through %d steps", q.Rows, l.Units, q.Steps), "run fewer steps or a smaller batch"); q.Reuse == nil && err != nil {
		return nil, err
	}
	var x []T
	if q.Reuse != nil {
		x = q.Reuse.X[:0]
	}
	return &Trajectory[T]{
		layer: l, made: l.state.Load(), Rows: q.Rows, Steps: q.Steps, X: append(x, q.X...), Z: make([][]T, q.Steps+1), noise: q.Noise,
	}, nil
}

// newMarks makes the memory of the marks of some steps, of those that are not the next state itself.
func (l *Layer[T]) newMarks(rows, steps int) ([][][]T, error) {
	u, err := l.shards[0].program(step)
	if err != nil {
		return nil, err
	}
	all := make([][][]T, len(u.expr.marks))
	for i, m := range u.expr.marks {
		if m.out == 0 {
			continue
		}
		all[i] = make([][]T, steps)
		memory := make([]T, steps*rows*m.width)
		for t := range all[i] {
			all[i][t] = memory[t*rows*m.width : (t+1)*rows*m.width]
		}
	}
	return all, nil
}

// span holds the states from first on, and the marks of the steps between them.
type span[T Float] struct {
	first int
	z     [][]T   // nil for a state that is not kept
	marks [][][]T // by mark and step; empty where none are kept
}

// own is the span for one shard: shards are at different segments at a time.
func (p span[T]) own() span[T] {
	p.z = slices.Clone(p.z)
	return p
}

// len is how many numbers it holds.
func (p span[T]) len() int {
	n := 0
	for _, v := range slices.Concat(append(p.marks, p.z)...) {
		n += len(v)
	}
	return n
}

// forward runs the cell from the first state of a span to state last. States that the span has
// no memory for are passed over.
func (tr *Trajectory[T]) forward(ctx context.Context, w *sweep[T], to span[T], last int) error {
	p := w.forward.program
	defer func() {
		for i := range w.forward.expr.outs {
			p.Into(i, nil)
		}
	}()
	z := w.states(to.z[0])
	for t := to.first; t < last; t++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deq: trajectory stopped at step %d: %w", t, err)
		}
		if err := w.draw(t, tr.noise); err != nil {
			return err
		}
		next := w.passed[:len(z)]
		if kept := to.z[t+1-to.first]; kept != nil {
			next = w.states(kept)
			p.Into(0, next)
		} else {
			p.Into(0, nil)
		}
		mark := func(i int) []T { return w.shard.part(to.marks[i][t-to.first], w.n, w.forward.expr.marks[i].width) }
		for i, m := range to.marks {
			if m != nil {
				p.Into(w.forward.expr.marks[i].out, mark(i))
			}
		}
		f, err := w.step(z, tr.input(w, t))
		if err != nil {
			return err
		}
		for i, m := range to.marks {
			if m != nil {
				put(mark(i), w.mark(i))
			}
		}
		put(next, f)
		z = next
	}
	return nil
}

// put copies what is not there yet.
func put[T Float](dst, from []T) {
	if &dst[0] != &from[0] {
		copy(dst, from)
	}
}

// Input is x_t [rows, inputs].
func (tr *Trajectory[T]) Input(t int) []T { return tr.at(tr.X, t) }

// at is the part of v, which has the shape of X, that belongs to step t.
func (tr *Trajectory[T]) at(v []T, t int) []T {
	each := tr.Rows * tr.layer.Inputs
	if len(v) == each {
		return v
	}
	return v[t*each : (t+1)*each]
}

// input is the shard's part of x_t.
func (tr *Trajectory[T]) input(w *sweep[T], t int) []T { return w.inputs(tr.Input(t)) }

// Last is the final state [rows, units].
func (tr *Trajectory[T]) Last() []T { return tr.Z[len(tr.Z)-1] }

// Layer is the layer that was run.
func (tr *Trajectory[T]) Layer() *Layer[T] { return tr.layer }

// Bytes is the memory of the inputs, of the states and of what else is kept, with what VJP holds besides.
func (tr *Trajectory[T]) Bytes() int {
	n := len(tr.X) + span[T]{z: tr.Z, marks: tr.marks}.len()
	if tr.marks == nil && tr.back == nil {
		if again, err := tr.newSegment(); err == nil {
			n += again.len()
		}
	}
	return n*sizeof[T]() + tr.back.bytes()
}

// Back is what is taken back through a trajectory.
type Back[T Float] struct {
	// Outputs are the losses of the states; their DZ = ∂L/∂z_t is what z_t gives to L by the
	// readout, apart from what it gives by later states.
	Outputs Outputs[T]

	// Readout, if not nil, is a Twin whose readout's weights take ∂L/∂y_t back in place of the network's own: DZ of
	// the Outputs is then not looked at.
	Readout *Layer[T]

	Credit Credit // the ways that are taken: AllCredit, CutCredit or UnitCredit

	Stop int // the state at which the way back ends: z_Stop is a constant

	DZ0 []T // unless nil, dL/dz_Stop [rows, units] is written here
	DX  []T // unless nil, dL/dx, of the shape of X, is added here
}

// VJP takes the losses of a trajectory back through it, and adds
//
//	dL/dθ = Σ_t u_tᵀ ∂f/∂θ at z_t,   u_{T−1} = ∂L/∂z_T,   u_{t−1} = ∂L/∂z_t + J(z_t)ᵀ u_t,
//
// to g (nil: is left out): back-propagation through time.
func (tr *Trajectory[T]) VJP(ctx context.Context, b Back[T], g Params[T]) error {
	last, err := tr.check(b)
	if err != nil {
		return err
	}
	back, ok := map[Credit]function{AllCredit: stepAdjoint, CutCredit: stepCut, UnitCredit: stepUnit}[b.Credit]
	switch {
	case !ok || b.Credit != AllCredit && (b.DX != nil || tr.back != nil):
		return fmt.Errorf("deq: credit %d does not go back through this trajectory, or not to its inputs", b.Credit)
	case b.DX != nil:
		back = stepInputs
	}
	if tr.back != nil {
		return tr.reverse(ctx, back, b, g)
	}
	again, err := tr.newSegment()
	if err != nil {
		return err
	}
	return tr.layer.sweeps(tr.made, tr.Rows, back, g, func(w *sweep[T]) error { return tr.backward(ctx, w, b, last, again) })
}

// check returns the last state that has a loss, Stop if none later has one.
func (tr *Trajectory[T]) check(b Back[T]) (last int, err error) {
	n := tr.Rows * tr.layer.Units
	switch {
	case b.Readout != nil && tr.layer.checkTwin(b.Readout) != nil:
		return 0, fmt.Errorf("deq: readout that takes errors back: %w", tr.layer.checkTwin(b.Readout))
	case len(b.Outputs) != tr.Steps+1:
		return 0, fmt.Errorf("deq: losses of %d states of a trajectory that has %d", len(b.Outputs), tr.Steps+1)
	case b.Stop < 0 || b.Stop >= tr.Steps:
		return 0, fmt.Errorf("deq: a way back to state %d of a trajectory of %d steps", b.Stop, tr.Steps)
	case b.DZ0 != nil && len(b.DZ0) != n:
		return 0, length("DZ0", len(b.DZ0), n)
	case b.DX != nil && len(b.DX) != len(tr.X):
		return 0, length("DX", len(b.DX), len(tr.X))
	}
	last = b.Stop
	for t := range b.Outputs {
		if dz := b.Outputs.DZ(t); dz != nil && len(dz) != n {
			return 0, length(fmt.Sprintf("DZ at state %d", t), len(dz), n)
		}
		if dy := b.Outputs.DY(t); dy != nil && len(dy) != tr.Rows*tr.layer.Outputs {
			return 0, length(fmt.Sprintf("DY at state %d", t), len(dy), tr.Rows*tr.layer.Outputs)
		}
		if b.Outputs.DY(t) != nil || b.Outputs.DZ(t) != nil {
			last = max(last, t)
		}
	}
	return last, nil
}

// backward goes from the last state that has a loss back to b.Stop.
func (tr *Trajectory[T]) backward(ctx context.Context, w *sweep[T], b Back[T], last int, again span[T]) error {
	again = again.own()
	u := w.cotangent()
	clear(u)
	through := w.shard
	if b.Readout != nil {
		through = b.Readout.shards[w.shard.index()]
	}
	take := func(t int) error {
		dz, dy := b.Outputs.DZ(t), b.Outputs.DY(t)
		if b.Readout != nil {
			dz = nil
		}
		if dz == nil && dy == nil {
			return nil
		}
		if dz != nil {
			kernels.Add(u, u, w.states(dz))
			return nil
		}
		if t < tr.Steps { // the last state is kept
			if err := tr.hold(ctx, w, t, &again); err != nil {
				return err
			}
		}
		dz, err := through.readoutAdjoint(w.states(tr.state(t, again)), through.part(dy, w.n, through.layer.Outputs))
		if err == nil {
			kernels.Add(u, u, dz)
		}
		return err
	}
	if err := take(last); err != nil {
		return err
	}
	for t := last - 1; t >= b.Stop; t-- {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("deq: back-propagation stopped at step %d: %w", t, err)
		}
		if err := tr.hold(ctx, w, t, &again); err != nil {
			return err
		}
		du, err := w.pull(w.states(tr.state(t, again)), tr.input(w, t), func(i int) []T { return tr.mark(w, t, i, again) },
			t > b.Stop || b.DZ0 != nil || b.DX != nil)
		if err != nil {
			return err
		}
		if b.DX != nil {
			w.addInputs(w.inputs(tr.at(b.DX, t)))
		}
		if u = w.cotangent(); du == nil {
			clear(u)
		} else {
			copy(u, du)
		}
		if err := take(t); err != nil {
			return err
		}
	}
	if b.DZ0 != nil {
		copy(w.states(b.DZ0), u)
	}
	return nil
}

// newSegment makes the memory of the steps from one kept state to the next, with their marks.
func (tr *Trajectory[T]) newSegment() (span[T], error) {
	if tr.marks != nil {
		return span[T]{}, nil
	}
	steps := min(tr.every, tr.Steps)
	marks, err := tr.layer.newMarks(tr.Rows, steps)
	if err != nil {
		return span[T]{}, err
	}
	again := span[T]{first: -1, z: make([][]T, steps+1), marks: marks}
	for t := 1; t < steps; t++ {
		again.z[t] = make([]T, len(tr.Last()))
	}
	return again, nil
}

// hold provides the state t and the marks of the step from there: if they are not kept, their segment is
// run again.
func (tr *Trajectory[T]) hold(ctx context.Context, w *sweep[T], t int, again *span[T]) error {
	marked := slices.ContainsFunc(again.marks, func(m [][]T) bool { return m != nil })
	if tr.marks != nil || tr.Z[t] != nil && tr.Z[t+1] != nil && !marked {
		return nil
	}
	first := t - t%tr.every
	if again.first == first {
		return nil
	}
	last := min(first+tr.every, tr.Steps)
	if !marked {
		last-- // which is kept
	}
	again.first, again.z[0] = first, tr.Z[first]
	return tr.forward(ctx, w, *again, last)
}

// state is z_t, kept or computed again.
func (tr *Trajectory[T]) state(t int, again span[T]) []T {
	if tr.Z[t] != nil {
		return tr.Z[t]
	}
	return again.z[t-again.first]
}

// mark is mark i of the shard at the step from z_t, kept or computed again.
func (tr *Trajectory[T]) mark(w *sweep[T], t, i int, again span[T]) []T {
	m := w.forward.expr.marks[i]
	switch {
	case m.out == 0:
		return w.states(tr.state(t+1, again))
	case tr.marks != nil:
		return w.shard.part(tr.marks[i][t], w.n, m.width)
	}
	return w.shard.part(again.marks[i][t-again.first], w.n, m.width)
}
