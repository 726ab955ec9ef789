package deq

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// Loss is a loss of the output of each sample, with its target inside.
type Loss[T Float] interface {
	// Eval writes the losses ℓ_b of the samples rows (indices in the batch) and their
	// gradients dy = ∂ℓ_b/∂y_b, for the outputs y [len(rows), Outputs]. It is called from
	// several goroutines at once, for different samples.
	Eval(rows []int, y, dy []T, losses []float64) error
}

// Output is the readout of a state and its loss: L is the mean of the samples' losses.
type Output[T Float] struct {
	Y      []T       // [rows, Outputs]
	Losses []float64 // ℓ_b [rows]
	DY     []T       // ∂L/∂y [rows, Outputs]
	DZ     []T       // ∂L/∂z [rows, Units]

	Weights []T // of the losses [rows]; nil for 1 everywhere
}

// Mean is the loss L = Σ wℓ/Σ w.
func (o *Output[T]) Mean() float64 { return Outputs[T]{o}.Loss() }

// weight is w of sample b.
func (o *Output[T]) weight(b int) float64 {
	if o.Weights == nil {
		return 1
	}
	return float64(o.Weights[b])
}

// Outputs are the outputs of the states z_t of a trajectory, by t = 0 … T; nil for a state that is not
// read out. L is the weighted mean of their losses.
type Outputs[T Float] []*Output[T]

// Weight is Σ w.
func (o Outputs[T]) Weight() float64 {
	_, weight := o.sums()
	return weight
}

// Loss is L = Σ wℓ/Σ w.
func (o Outputs[T]) Loss() float64 {
	loss, weight := o.sums()
	return loss / weight
}

func (o Outputs[T]) sums() (loss, weight float64) {
	for _, out := range o {
		if out == nil {
			continue
		}
		for b, l := range out.Losses {
			if w := out.weight(b); w != 0 {
				loss, weight = loss+w*l, weight+w
			}
		}
	}
	return loss, weight
}

// Bytes is the memory of ∂L/∂z of all outputs.
func (o Outputs[T]) Bytes() int {
	n := 0
	for t := range o {
		n += len(o.DZ(t))
	}
	return n * sizeof[T]()
}

// DY is ∂L/∂y_t [rows, Outputs], nil where the state has no loss.
func (o Outputs[T]) DY(t int) []T {
	if o[t] == nil {
		return nil
	}
	return o[t].DY
}

// DZ is ∂L/∂z_t by the readout of z_t alone, [rows, Units]: nil where the state has no loss, or where the
// trajectory has not kept it.
func (o Outputs[T]) DZ(t int) []T {
	if o[t] == nil {
		return nil
	}
	return o[t].DZ
}

// Evaluate reads the states z [rows, Units] out and returns the loss with its gradients for the
// output and the state. With g not nil, the gradients of the readout's parameters are
// added to it.
func (l *Layer[T]) Evaluate(z []T, loss Loss[T], g Params[T]) (*Output[T], error) {
	return l.evaluate(0, z, loss, g)
}

// evaluate is Evaluate for what was made in the given state, or 0.
func (l *Layer[T]) evaluate(made uint64, z []T, loss Loss[T], g Params[T]) (*Output[T], error) {
	rows, err := l.rowsOf(z)
	if err != nil {
		return nil, err
	}
	o := &Output[T]{
		Y: make([]T, rows*l.Outputs), DY: make([]T, rows*l.Outputs),
		DZ: make([]T, rows*l.Units), Losses: make([]float64, rows),
	}
	err = l.accumulate(made, rows, g, func(s *shard[T], n int) (*unit[T], error) {
		return s.judge(loss, s.part(z, n, l.Units), n, o, float64(rows))
	})
	return o, err
}

// Read writes the readout y [rows, Outputs] of the states z [rows, Units].
func (l *Layer[T]) Read(z, y []T) error {
	rows, err := l.rowsOf(z)
	if err = cmp.Or(err, shape("y", y, rows, l.Outputs)); err != nil {
		return err
	}
	id := l.points.Add(1)
	return l.each(0, rows, func(s *shard[T], n int) error {
		states := s.part(z, n, l.Units)
		return s.read(at[T]{id: id, z: states}, s.all(n), states, s.part(y, n, l.Outputs))
	})
}

// ReadoutVJP writes dyᵀ ∂y/∂z [rows, Units] to dz, for the readout y of the states z [rows,
// Units] and dy [rows, Outputs]. With g not nil, dyᵀ ∂y/∂θ is added to it; dz may then be nil.
func (l *Layer[T]) ReadoutVJP(z, dy, dz []T, g Params[T]) error {
	rows, err := l.rowsOf(z)
	if err = cmp.Or(err, shape("dy", dy, rows, l.Outputs)); err != nil {
		return err
	}
	if (dz != nil || g == nil) && len(dz) != len(z) {
		return shape("dz", dz, rows, l.Units)
	}
	id := l.points.Add(1)
	if g == nil {
		return l.each(0, rows, func(s *shard[T], n int) error {
			u, err := s.readoutAdjoint(s.part(z, n, l.Units), s.part(dy, n, l.Outputs))
			if err == nil {
				copy(s.part(dz, n, l.Units), u)
			}
			return err
		})
	}
	return l.accumulate(0, rows, g, func(s *shard[T], n int) (*unit[T], error) {
		return s.readoutVJP(at[T]{id: id, z: s.part(z, n, l.Units)}, n, s.part(dy, n, l.Outputs), dz)
	})
}

// readoutVJP takes dy back through the readout of the shard's n states, to its rows of dz unless that is
// nil; the unit has the gradients of the parameters.
func (s *shard[T]) readoutVJP(here at[T], n int, dy, dz []T) (*unit[T], error) {
	u, err := s.apply(readoutGradient, here, s.all(n), dy)
	if err == nil && dz != nil {
		copy(s.part(dz, n, s.layer.Units), u.program.Out(0))
	}
	return u, err
}

// judge fills in the shard's part of an output of the states z, n of them, whose losses have in all the
// weight total.
func (s *shard[T]) judge(loss Loss[T], z []T, n int, o *Output[T], total float64) (*unit[T], error) {
	l := s.layer
	here := at[T]{id: l.points.Add(1), z: z}
	dy := s.part(o.DY, n, l.Outputs)
	if err := s.loss(loss, here, s.all(n), z, s.part(o.Y, n, l.Outputs), dy, o.Losses[s.start:s.start+n]); err != nil {
		return nil, err
	}
	o.weigh(dy, s.start, total)
	return s.readoutVJP(here, n, dy, o.DZ)
}

// weigh turns gradients ∂ℓ/∂y [_, Outputs] of the samples from first on into those of L, where all losses
// have the weight total.
func (o *Output[T]) weigh(dy []T, first int, total float64) {
	width := len(o.DY) / len(o.Losses)
	for i := range dy {
		if w := o.weight(first + i/width); w != 1 {
			dy[i] *= T(w)
		}
		dy[i] /= T(total)
	}
}

// loss reads states out and evaluates the loss of the samples rows of the shard.
func (s *shard[T]) loss(loss Loss[T], here at[T], rows []int, z, y, dy []T, losses []float64) error {
	if err := s.read(here, rows, z, y); err != nil {
		return err
	}
	return loss.Eval(s.batch, y, dy, losses)
}

// read reads states out, and sets batch to the samples rows.
func (s *shard[T]) read(here at[T], rows []int, z, y []T) error {
	u, err := s.apply(readout, here, rows, z)
	if err != nil {
		return err
	}
	copy(y, u.program.Out(0))
	s.batch = s.batch[:0]
	for _, r := range rows {
		s.batch = append(s.batch, s.start+r)
	}
	return nil
}

// EvaluateLast is Layer.Evaluate of the last state: what a relaxation is judged by.
func (tr *Trajectory[T]) EvaluateLast(loss Loss[T], g Params[T]) (Outputs[T], error) {
	o, err := tr.layer.evaluate(tr.made, tr.Last(), loss, g)
	outs := make(Outputs[T], tr.Steps+1)
	outs[tr.Steps] = o
	return outs, err
}

// LastOutput is an output with the given ∂L/∂z [rows, Units] of the last state, and no other.
func (tr *Trajectory[T]) LastOutput(dz []T) Outputs[T] {
	outs := make(Outputs[T], tr.Steps+1)
	outs[tr.Steps] = &Output[T]{DZ: dz}
	return outs
}

// Evaluate reads the states z_1 … z_T out and returns their losses, with the weights [steps, rows] (nil: 1
// everywhere): z_{t+1} has the index t·rows + b in the loss and in the weights. With g not nil, the gradients of
// the readout's parameters are added to it. A state none of whose samples has a weight is read out, but
// has no gradients. DZ is nil where states are not kept, VJP then makes it on its way, and where the
// trajectory was run Once.
func (tr *Trajectory[T]) Evaluate(ctx context.Context, loss Loss[T], weights []T, g Params[T]) (Outputs[T], error) {
	l, rows := tr.layer, tr.Rows
	if weights != nil && len(weights) != tr.Steps*rows {
		return nil, fmt.Errorf("deq: %d weights of losses: expected %d (%d steps of %d samples)", len(weights), tr.Steps*rows, tr.Steps, rows)
	}
	if tr.back != nil {
		return nil, fmt.Errorf("deq: a reversible relaxation keeps no states to be read out but the last")
	}
	outs := make(Outputs[T], tr.Steps+1)
	old := tr.spare
	tr.outs, tr.spare = outs, nil
	for t := 1; t <= tr.Steps; t++ {
		was := &Output[T]{}
		if old != nil && old[t] != nil {
			was = old[t]
		}
		o := &Output[T]{Y: sized(was.Y, rows*l.Outputs), Losses: sized(was.Losses, rows)}
		if weights != nil {
			o.Weights = weights[(t-1)*rows : t*rows]
		}
		if weights == nil || slices.ContainsFunc(o.Weights, func(w T) bool { return w != 0 }) {
			o.DY = sized(was.DY, rows*l.Outputs)
			if tr.every == 1 && !tr.once {
				o.DZ = sized(was.DZ, rows*l.Units)
			}
		}
		outs[t] = o
	}
	total := float64(tr.Steps * rows)
	if weights != nil {
		total = 0
		for _, w := range weights {
			total += float64(w)
		}
	}
	if !(total > 0) || math.IsInf(total, 1) {
		return nil, fmt.Errorf("deq: the weights of the losses add up to %g: expected a positive, finite number", total)
	}
	again, err := tr.newSegment()
	if err != nil {
		return nil, err
	}
	return outs, l.sweeps(tr.made, rows, step, g, func(w *sweep[T]) error {
		again, r := again.own(), w.reading(loss, outs, total, rows, g != nil)
		for t := 1; t <= tr.Steps; t++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: readout stopped at step %d: %w", t, err)
			}
			if tr.Z[t] == nil {
				if err := tr.hold(ctx, w, t, &again); err != nil {
					return err
				}
			}
			if err := r.add(t, w.states(tr.state(t, again))); err != nil {
				return err
			}
		}
		return r.flush()
	})
}

// readoutAdjoint is dyᵀ ∂y/∂z at some states of the shard, of which dy [_, Outputs] has the gradients.
func (s *shard[T]) readoutAdjoint(z, dy []T) ([]T, error) {
	here := at[T]{id: s.layer.points.Add(1), z: z}
	u, err := s.apply(readoutAdjoint, here, s.all(len(z)/s.layer.Units), dy)
	if err != nil {
		return nil, err
	}
	return u.program.Out(0)[:len(z)], nil
}

// Nudge relaxes the state z [rows, Units] to the fixed point of
//
//	z = f(z, x) − β ∂ℓ_b/∂z(z)
//
// for every sample b, in place: the nudged phase of equilibrium propagation in its
// vector-field form (Scellier et al. 2018, arXiv:1808.04873).
func (e *Equilibrium[T]) Nudge(ctx context.Context, z []T, beta float64, loss Loss[T], with Solver[T]) (*solvers.Report, error) {
	return e.nudge(ctx, z, beta, loss, with, false)
}

// NudgePre is Nudge with the force inside, for cells with one activation z⁺ = φ(pre) (or a leak of it):
//
//	z = φ(pre(z, x) − β ∂ℓ_b/∂z(z)).
//
// With symmetric recurrent weights it is the nudged phase of a network with an energy (Scellier and
// Bengio 2017, doi:10.3389/fncom.2017.00024).
func (e *Equilibrium[T]) NudgePre(ctx context.Context, z []T, beta float64, loss Loss[T], with Solver[T]) (*solvers.Report, error) {
	return e.nudge(ctx, z, beta, loss, with, true)
}

func (e *Equilibrium[T]) nudge(ctx context.Context, z []T, beta float64, loss Loss[T], with Solver[T], inside bool) (*solvers.Report, error) {
	if err := e.checkState("z", z); err != nil {
		return nil, err
	}
	slopes := make([]slope[T], len(e.layer.shards))
	return e.relax(ctx, z, with, nil, func(s *shard[T], rows []int, z, fz []T) error {
		g, err := slopes[s.index()].of(s, loss, rows, z)
		if err != nil {
			return err
		}
		kernels.Axpy(T(-beta), g, fz)
		return nil
	}, inside)
}

// Displace relaxes the state z [rows, Units] to the fixed point of z = f(z, x) + shift, in place.
func (e *Equilibrium[T]) Displace(ctx context.Context, z, shift []T, with Solver[T]) (*solvers.Report, error) {
	return e.displace(ctx, z, shift, with, false)
}

// DisplacePre is Displace with the shift inside, for cells with one activation z⁺ = φ(pre) (or a leak of
// it): z = φ(pre(z, x) + shift).
func (e *Equilibrium[T]) DisplacePre(ctx context.Context, z, shift []T, with Solver[T]) (*solvers.Report, error) {
	return e.displace(ctx, z, shift, with, true)
}

func (e *Equilibrium[T]) displace(ctx context.Context, z, shift []T, with Solver[T], inside bool) (*solvers.Report, error) {
	if err := e.checkStates("z", z, "shift", shift); err != nil {
		return nil, err
	}
	width := e.layer.Units
	return e.relax(ctx, z, with, nil, func(s *shard[T], rows []int, _, fz []T) error {
		for i, r := range rows {
			out, at := fz[i*width:(i+1)*width], (s.start+r)*width
			kernels.Add(out, out, shift[at:at+width])
		}
		return nil
	}, inside)
}

// slope is the memory for gradients of a loss at states of a shard.
type slope[T Float] struct {
	states, y, dy []T
	losses        []float64
}

// of returns ∂ℓ_b/∂z at the states z of the samples rows, valid until it is next asked for.
func (w *slope[T]) of(s *shard[T], loss Loss[T], rows []int, z []T) ([]T, error) {
	l := s.layer
	if w.losses == nil {
		*w = slope[T]{
			states: make([]T, s.capacity*l.Units), losses: make([]float64, s.capacity),
			y: make([]T, s.capacity*l.Outputs), dy: make([]T, s.capacity*l.Outputs),
		}
	}
	n := len(rows)
	scatter(w.states, z, rows, l.Units)
	here := at[T]{id: l.points.Add(1), z: w.states}
	dy := w.dy[:n*l.Outputs]
	if err := s.loss(loss, here, rows, z, w.y[:n*l.Outputs], dy, w.losses[:n]); err != nil {
		return nil, err
	}
	u, err := s.apply(readoutAdjoint, here, rows, dy)
	if err != nil {
		return nil, err
	}
	return u.program.Out(0)[:len(z)], nil
}
