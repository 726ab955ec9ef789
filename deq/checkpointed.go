package deq

import (
	"context"
	"fmt"
)

// RelaxCheckpointed is Relax that keeps every so many states only, and the last two. VJP
// computes the others again, a segment at a time: of T steps it holds T/every + every
// states, least for every = √T, at the price of a second run of the cell.
//
// A. Griewank and A. Walther, ACM TOMS 26 (2000) 19–45, doi:10.1145/347837.347846.
func (l *Layer[T]) RelaxCheckpointed(ctx context.Context, x, z0 []T, steps, every int) (*Trajectory[T], error) {
	rows, err := l.checkInput(x, z0)
	if err != nil {
		return nil, err
	}
	if steps < 1 || every < 1 {
		return nil, fmt.Errorf("deq: relaxation of %d steps with a checkpoint every %d: expected at least 1", steps, every)
	}
	tr := &Trajectory[T]{layer: l, Rows: rows, X: append([]T(nil), x...), Z: make([][]T, steps+1), every: every}
	for t := range tr.Z {
		if t%every == 0 || t >= steps-1 {
			tr.Z[t] = make([]T, rows*l.Units)
		}
	}
	tr.segment = max(0, min(every-1, steps-2))
	copy(tr.Z[0], z0)
	return tr, tr.run(ctx, 0, steps, func(t int) []T { return tr.Z[t] })
}

// run runs the cell from state to state: from z(first), which is there, to z(last). A state
// for which z returns nil is passed over.
func (tr *Trajectory[T]) run(ctx context.Context, first, last int, z func(t int) []T) error {
	l := tr.layer
	id := l.points.Add(1)
	passed := make([]T, tr.Rows*l.Units)
	return l.each(tr.Rows, func(s *shard[T], n int) error {
		here := at[T]{id: id, x: s.part(tr.X, n, l.Inputs)}
		from := s.part(z(first), n, l.Units)
		for t := first; t < last; t++ {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("deq: relaxation stopped at step %d: %w", t, err)
			}
			to := z(t + 1)
			if to == nil {
				to = passed
			}
			part := s.part(to, n, l.Units)
			if err := s.applyTo(cell, here, s.all(n), from, part); err != nil {
				return err
			}
			from = part
		}
		return nil
	})
}

// recompute fills again with the states first, which is kept, to last.
func (tr *Trajectory[T]) recompute(ctx context.Context, first, last int, again [][]T) error {
	again[0] = tr.Z[first]
	for k := 1; k <= last-first; k++ {
		if again[k] == nil {
			again[k] = make([]T, len(tr.Last()))
		}
	}
	return tr.run(ctx, first, last, func(t int) []T { return again[t-first] })
}
