package deq

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// Twin is a second layer of the same model and configuration, for credit that goes through other
// weights than the network's: it has the parameters and the masks that l has now, but for what
// set changes. It is made when first asked for and kept, so that only the one got last is
// valid, and none once l has changed: that is an ErrStale. Its memory is part of l.Bytes, its evaluations
// are counted among those of l.
func (l *Layer[T]) Twin(set func(p Params[T])) (*Layer[T], error) {
	if err := l.take(0); err != nil {
		return nil, err
	}
	defer l.done()
	if l.source != nil {
		return nil, fmt.Errorf("deq: a twin has no twin of its own")
	}
	if l.twin == nil {
		t := &Layer[T]{
			Model: l.Model, Inputs: l.Inputs, Units: l.Units, Outputs: l.Outputs,
			Params: l.Params.ZerosLike(), config: l.config, dims: l.dims,
			masks: slices.Clone(l.masks), source: l, leak: l.leak, form: l.form,
		}
		t.memory = slices.Clone(t.Params)
		for i, m := range t.masks {
			t.masks[i].data = slices.Clone(m.data)
		}
		t.makeShards()
		l.twin = t
	}
	t := l.twin
	t.Params.CopyFrom(l.Params)
	defer t.updated()
	set(t.Params)
	CopyMasks(t, l)
	t.origin = l.state.Load()
	return t, t.restoreMemory()
}

// checkTwin reports a layer that is no twin of that of the equilibrium, or is stale.
func (l *Layer[T]) checkTwin(twin *Layer[T]) error {
	if twin == nil || twin.source != l {
		return fmt.Errorf("deq: expected a twin of the layer")
	}
	return twin.fresh(0)
}

// AdjointThrough is Adjoint with other recurrent weights on the way back, those of a twin: for a
// cell (1−α)z + αφ(pre) with one activation it solves
//
//	u = dz + (1−α) u + α (φ′(pre) ⊙ u) ∂pre/∂z
//
// with φ′ of this layer and ∂pre/∂z, which is W for pre = zWᵀ + xUᵀ + b, of the twin.
func (e *Equilibrium[T]) AdjointThrough(ctx context.Context, twin *Layer[T], dz, u []T, with Solver[T]) (*solvers.Report, error) {
	if _, ok := with.Method.(solvers.Splitter); ok {
		return nil, fmt.Errorf("deq: %w: %T is for the adjoint of the cell itself, not one through the weights of a twin", solvers.ErrNoSplitting, with.Method)
	}
	if err := cmp.Or(e.layer.checkTwin(twin), e.checkStates("dz", dz, "u", u)); err != nil {
		return nil, err
	}
	keep := T(1 - e.layer.leak)
	e.layer.tally.solves.Add(int64(e.Rows))
	return e.solve(ctx, u, with, func(s *shard[T], n int) solvers.Problem[T] {
		here, other := e.at(s, n), twin.shards[s.index()]
		there := here
		there.id, there.fz = twin.points.Add(1), nil
		between := make([]T, n*e.layer.Units)
		both := func(first, second func(rows []int, in, out []T) error) func(rows []int, in, out []T) error {
			return func(rows []int, in, out []T) error {
				if err := first(rows, in, between); err != nil {
					return err
				}
				if err := second(rows, between[:len(in)], out); err != nil {
					return err
				}
				kernels.Axpy(keep, in, out[:len(in)])
				return nil
			}
		}
		slope := func(rows []int, in, out []T) error { return s.applyTo(gain, here, rows, in, out) }
		return e.linear(s, n, dz,
			both(slope, func(rows []int, in, out []T) error { return other.applyTo(recurrentAdjoint, there, rows, in, out) }),
			both(func(rows []int, in, out []T) error { return other.applyTo(recurrent, there, rows, in, out) }, slope))
	})
}
