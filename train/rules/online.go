package rules

import (
	"context"
	"fmt"
	"slices"

	"attractor/deq"
)

// online goes through a passage forwards. It visits every step with the state e that the step is from, and
// dz = ∂L/∂z_{t+1} [rows, units] of the state after it by its readout alone, nil where that has no loss.
func (p Passage[T]) online(ctx context.Context, visit func(t int, e *deq.Equilibrium[T], dz []T) error) error {
	z := p.Z[0]
	for t := range p.Steps {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped at step %d: %w", t, err)
		}
		e, err := p.At(t, z)
		if err != nil {
			return err
		}
		next := p.Z[t+1]
		if next == nil { // not kept
			next = make([]T, len(z))
			if err := e.Next(next); err != nil {
				return err
			}
		}
		dz := p.Outputs.DZ(t + 1)
		if dy := p.Outputs.DY(t + 1); dz == nil && dy != nil {
			dz = make([]T, len(z))
			if err := p.Layer().ReadoutVJP(next, dy, dz, nil); err != nil {
				return err
			}
		}
		if err := visit(t, e, dz); err != nil {
			return err
		}
		z = next
	}
	return nil
}

// jacobian writes Jᵀ [units, units] of a sample, row j being J e_j, to dst.
func jacobian[T deq.Float](e *deq.Equilibrium[T], sample int, dst []T) error {
	n, most := e.Layer().Units, e.Layer().Batch()
	for first := 0; first < n; first += most {
		rows := min(most, n-first)
		same, err := e.Repeat(sample, rows)
		if err != nil {
			return err
		}
		v := make([]T, rows*n)
		for i := range rows {
			v[i*n+first+i] = 1
		}
		if err := same.JVP(v, dst[first*n:(first+rows)*n]); err != nil {
			return err
		}
	}
	return nil
}

// weights is the number of parameters of a cell.
func weights[T deq.Float](l *deq.Layer[T]) int {
	n := 0
	for i, p := range l.Params {
		if l.InCell(i) {
			n += len(p.Data)
		}
	}
	return n
}

// view is the numbers of v as the parameters of a cell; those of others have no entries.
func view[T deq.Float](l *deq.Layer[T], v []T) deq.Params[T] {
	params := slices.Clone(l.Params)
	for i := range params {
		n := len(params[i].Data)
		if params[i].Data = nil; l.InCell(i) {
			params[i].Data, v = v[:n:n], v[n:]
		}
	}
	return params
}
