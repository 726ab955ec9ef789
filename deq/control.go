package deq

import (
	"context"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// Controlled is a batch at an equilibrium under control.
type Controlled[T Float] struct {
	Z      []T // states [rows, Units]
	Psi    []T // control ψ of the units [rows, Units]
	U      []T // control u of the outputs [rows, Outputs]
	Report *solvers.Report
}

// Control finds, from z*, the equilibrium at which a controller with the leak α ≥ 0 holds the
// loss ℓ of every sample down,
//
//	z = f(z, x) + ψ,   o = y(z) + u,   α u = −∂ℓ/∂o (o),   (I − Jᵀ) ψ = uᵀ ∂y/∂z,
//
// with J and ∂y/∂z at z: direct inversion. Where through is not nil, the controller acts on the
// units through the readout y′ of that twin instead, ψ = uᵀ ∂y′/∂z. States and controls relax
// together, u in steps of −(∂ℓ/∂o + α u)/(1 + α).
//
// With α = 0 the loss of o is stationary, as a rule at its minimum. With direct inversion and α > 0
// the equilibrium is a stationary point in z and o of ½‖z − f(z)‖² + ½‖o − y(z)‖² + ℓ(o)/α, so
// that no less control brings the loss down as far, but for other stationary points.
func (e *Equilibrium[T]) Control(ctx context.Context, leak float64, through *Layer[T], loss Loss[T], with Solver[T]) (*Controlled[T], error) {
	n, m := e.layer.Units, e.layer.Outputs
	if through != nil {
		if err := e.layer.checkTwin(through); err != nil {
			return nil, err
		}
	} else {
		e.layer.tally.solves.Add(int64(e.Rows))
	}
	all := make([]T, e.Rows*(2*n+m))
	join(all, e.Z, make([]T, e.Rows*n), make([]T, e.Rows*m), e.Rows)
	report, err := e.solve(ctx, all, with, func(s *shard[T], rows int) solvers.Problem[T] {
		c := &controller[T]{
			leak: T(leak), shard: s, back: s, direct: through == nil, loss: loss, here: e.at(s, rows),
			visited: make([]T, s.capacity*n), reached: make([]T, s.capacity*n),
			z: make([]T, rows*n), psi: make([]T, rows*n), fz: make([]T, rows*n), push: make([]T, rows*n),
			u: make([]T, rows*m), o: make([]T, rows*m), slope: make([]T, rows*m), losses: make([]float64, rows),
		}
		if !c.direct {
			c.back = through.shards[s.index()]
		}
		return solvers.Problem[T]{Batch: rows, Dim: 2*n + m, F: c.relax}
	})
	if err != nil {
		return nil, err
	}
	held := &Controlled[T]{Z: make([]T, e.Rows*n), Psi: make([]T, e.Rows*n), U: make([]T, e.Rows*m), Report: report}
	split(all, held.Z, held.Psi, held.U, e.Rows)
	return held, nil
}

// controller is Control for the samples of a shard: what it needs, and scratch memory.
type controller[T Float] struct {
	leak   T
	shard  *shard[T]
	back   *shard[T] // whose readout the control goes through
	direct bool
	loss   Loss[T]
	here   at[T] // z*

	visited, reached []T // z and f(z) of the samples at their places
	z, psi, fz, push []T
	u, o, slope      []T
	losses           []float64
}

// relax makes a step of states and controls.
func (c *controller[T]) relax(rows []int, all, next []T) error {
	s, l := c.shard, c.shard.layer
	states := len(rows) * l.Units
	z, psi, fz, push, u := c.z[:states], c.psi[:states], c.fz[:states], c.push[:states], c.u[:len(rows)*l.Outputs]
	split(all, z, psi, u, len(rows))
	if err := s.applyTo(cell, c.here, rows, z, fz); err != nil {
		return err
	}
	scatter(c.visited, z, rows, l.Units)
	scatter(c.reached, fz, rows, l.Units)
	there := c.here
	there.id, there.z, there.fz = l.points.Add(1), c.visited, c.reached
	if err := c.advance(there, rows, z, u); err != nil {
		return err
	}
	clear(push)
	if c.direct {
		if err := s.applyTo(adjoint, there, rows, psi, push); err != nil {
			return err
		}
	}
	there.id = c.back.layer.points.Add(1)
	back, err := c.back.apply(readoutAdjoint, there, rows, u)
	if err != nil {
		return err
	}
	kernels.Add(push, push, back.program.Out(0)[:states])
	kernels.Add(fz, fz, push)
	join(next, fz, push, u, len(rows))
	return nil
}

// advance makes a step of the controls u of the outputs.
func (c *controller[T]) advance(there at[T], rows []int, z, u []T) error {
	s := c.shard
	o, slope := c.o[:len(u)], c.slope[:len(u)]
	if err := s.read(there, rows, z, o); err != nil {
		return err
	}
	kernels.Add(o, o, u)
	if err := c.loss.Eval(s.batch, o, slope, c.losses[:len(rows)]); err != nil {
		return err
	}
	for i := range u {
		u[i] -= (slope[i] + c.leak*u[i]) / (1 + c.leak)
	}
	return nil
}

// join puts states, controls of the units and controls of the outputs side by side, row by row.
func join[T Float](all, z, psi, u []T, rows int) {
	n, m := len(z)/rows, len(u)/rows
	for b := range rows {
		row := all[b*(2*n+m):]
		copy(row, z[b*n:(b+1)*n])
		copy(row[n:], psi[b*n:(b+1)*n])
		copy(row[2*n:], u[b*m:(b+1)*m])
	}
}

// split takes apart what join has put together.
func split[T Float](all, z, psi, u []T, rows int) {
	n, m := len(z)/rows, len(u)/rows
	for b := range rows {
		row := all[b*(2*n+m):]
		copy(z[b*n:(b+1)*n], row)
		copy(psi[b*n:(b+1)*n], row[n:])
		copy(u[b*m:(b+1)*m], row[2*n:])
	}
}
