package deq

import (
	"attractor/internal/engine"
)

// reading reads the states of a trajectory out, for a shard: those of several steps at once, which costs less than
// step by step.
type reading[T Float] struct {
	w      *sweep[T]
	loss   Loss[T]
	outs   Outputs[T]
	total  float64 // weight of all losses
	sums   bool    // whether the gradients of parameters are wanted
	batch  int     // samples of the trajectory
	steps  []int   // t of the states z_t that wait
	z, dy  []T     // of them [n, width], step behind step
	rows   []int   // their indices in the loss
	tiled  []int
	losses []float64
}

func (w *sweep[T]) reading(loss Loss[T], outs Outputs[T], total float64, batch int, sums bool) *reading[T] {
	l := w.shard.layer
	r := &reading[T]{w: w, loss: loss, outs: outs, total: total, batch: batch, sums: sums}
	depth := min(block(w.shard.capacity), len(outs)-1)
	for range depth {
		r.tiled = append(r.tiled, w.all...)
	}
	r.z, r.dy, r.losses = make([]T, depth*w.n*l.Units), make([]T, depth*w.n*l.Outputs), make([]float64, depth*w.n)
	return r
}

// add takes the state z_t. Steps that wait together either all have a loss or none has.
func (r *reading[T]) add(t int, z []T) error {
	if len(r.steps) > 0 && (r.outs[t].DY == nil) != (r.outs[r.steps[0]].DY == nil) {
		if err := r.flush(); err != nil {
			return err
		}
	}
	copy(r.z[len(r.steps)*len(z):], z)
	if r.steps = append(r.steps, t); len(r.steps)*r.w.n < len(r.tiled) {
		return nil
	}
	return r.flush()
}

// flush reads the states that wait.
func (r *reading[T]) flush() error {
	if len(r.steps) == 0 {
		return nil
	}
	s, n := r.w.shard, r.w.n
	l, rows := s.layer, len(r.steps)*r.w.n
	z, dy, losses := r.z[:rows*l.Units], r.dy[:rows*l.Outputs], r.losses[:rows]
	u, err := r.w.unit(stepReadout, r.tiled[:rows])
	if err != nil {
		return err
	}
	if err := u.program.Bind(u.expr.z, z); err != nil {
		return err
	}
	l.count(u.f, rows)
	for _, rate := range []engine.Rate{engine.Batch, engine.State} {
		if err := u.program.Run(rate, rows); err != nil {
			return err
		}
	}
	r.rows = r.rows[:0]
	for _, t := range r.steps {
		for b := range n {
			r.rows = append(r.rows, (t-1)*r.batch+s.start+b)
		}
	}
	y := u.program.Out(0)[:len(dy)]
	if err := r.loss.Eval(r.rows, y, dy, losses); err != nil {
		return err
	}
	scored := r.outs[r.steps[0]].DY != nil
	for i, t := range r.steps {
		o := r.outs[t]
		copy(s.part(o.Y, n, l.Outputs), y[i*n*l.Outputs:])
		copy(o.Losses[s.start:s.start+n], losses[i*n:])
		if scored {
			own := dy[i*n*l.Outputs : (i+1)*n*l.Outputs]
			o.weigh(own, s.start, r.total)
			copy(s.part(o.DY, n, l.Outputs), own)
		}
	}
	steps := r.steps
	r.steps = r.steps[:0]
	if !scored || r.outs[steps[0]].DZ == nil && !r.sums {
		return nil
	}
	if u, err = r.w.unit(stepReadoutGradient, r.tiled[:rows]); err != nil {
		return err
	}
	if err := u.program.Bind(u.expr.z, z); err != nil {
		return err
	}
	if err := u.program.Bind(u.expr.u, dy); err != nil {
		return err
	}
	l.count(u.f, rows)
	if err := u.program.Run(engine.Cotangent, rows); err != nil {
		return err
	}
	for i, t := range steps {
		if o := r.outs[t]; o.DZ != nil {
			copy(s.part(o.DZ, n, l.Units), u.program.Out(0)[i*n*l.Units:])
		}
	}
	if r.sums {
		u.addGradients(r.w.grads)
	}
	return nil
}
