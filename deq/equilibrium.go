package deq

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// Equilibrium is z* = f(z*, x) for a batch, with the derivatives there. X and Z are to be read. Once the parameters of
// its layer change, or its masks of dropout, what it holds can still be read, and every method that computes returns
// ErrStale. Several rules may look at one equilibrium: no method changes what it says.
type Equilibrium[T Float] struct {
	Rows   int             // samples
	X      []T             // inputs [rows, inputs]
	Z      []T             // states [rows, units]: the best iterates where a sample has not converged
	Report *solvers.Report // of the forward solve

	// Iterates are states that the solver came through, evenly spaced, in order: see Along.
	Iterates [][]T // each [rows, units]

	layer   *Layer[T]
	made    uint64 // in which state of the layer
	id      uint64
	fz      []T       // f(z*, x) [rows, units], or nil
	forward Solver[T] // that found it
	loss    Loss[T]   // that it is for, or nil
	masked  int       // of Repeat: the sample whose masks all rows have, from 1; 0 for their own
	noise   [][]T     // of a step of a trajectory: by input of noise [rows, width]; nil for none
	taken   bool      // the layer is taken for the whole of a solve
}

// Solve finds the fixed points for the inputs x [rows, Inputs], from the states z0 [rows,
// Units] (nil: from 0). That samples do not converge is no error: see Report.
func (l *Layer[T]) Solve(ctx context.Context, x, z0 []T, with Solver[T]) (*Equilibrium[T], error) {
	return l.SolveAlong(ctx, x, z0, with, Along[T]{})
}

// Along is what goes along with a solve.
type Along[T Float] struct {
	// Keep is how many of the states at which the solver evaluated f on the way to z*, evenly spaced for
	// each sample, are kept in Equilibrium.Iterates.
	Keep int
	// Loss, if not nil, is what z* is solved for: a method that is aware of it learns J in the direction of
	// its gradient (solvers.Broyden.Aware).
	Loss Loss[T]
}

// SolveAlong is Solve with something along.
func (l *Layer[T]) SolveAlong(ctx context.Context, x, z0 []T, with Solver[T], along Along[T]) (*Equilibrium[T], error) {
	rows, err := l.checkInput(x, z0)
	if err != nil {
		return nil, err
	}
	if err := l.CheckSolver(with); err != nil {
		return nil, err
	}
	e := &Equilibrium[T]{layer: l, made: l.state.Load(), Rows: rows, X: append([]T(nil), x...), Z: make([]T, rows*l.Units), forward: with}
	copy(e.Z, z0)
	if err := l.take(e.made); err != nil { // until what the solvers hold is copied
		return nil, err
	}
	e.taken = true
	defer func() { e.taken = false; l.done() }()
	watch := newIterates[T](along.Keep, rows, l.Units)
	e.loss = along.Loss
	e.Report, err = e.relax(ctx, e.Z, with, watch, nil, false)
	e.Iterates = watch.chosen()
	e.id = l.points.Add(1)
	if err != nil {
		return e, err
	}
	e.fz = make([]T, len(e.Z))
	for _, s := range l.shards {
		key := solverKey[T]{with, l.Units}
		if v := s.solvers[key]; v != nil && s.start < rows {
			s.solved[key] = e.id
			copy(e.fz[s.start*l.Units:], v.FZ())
		}
	}
	return e, nil
}

// At takes the states z [rows, Units] as the equilibria for the inputs x, without solving:
// for a rule that looks at what another has solved. Report is nil.
func (l *Layer[T]) At(x, z []T) (*Equilibrium[T], error) {
	rows, err := l.checkInput(x, nil)
	if err = cmp.Or(err, shape("states z", z, rows, l.Units)); err != nil {
		return nil, err
	}
	return &Equilibrium[T]{layer: l, made: l.state.Load(), id: l.points.Add(1), Rows: rows,
		X: append([]T(nil), x...), Z: append([]T(nil), z...)}, nil
}

// Repeat returns rows copies of one sample, with its masks of dropout: for as many products with
// its Jacobian at a time.
func (e *Equilibrium[T]) Repeat(sample, rows int) (*Equilibrium[T], error) {
	l := e.layer
	if sample < 0 || sample >= e.Rows || rows < 1 {
		return nil, fmt.Errorf("deq: %d copies of sample %d: expected 1 or more, of a sample from 0 to %d", rows, sample, e.Rows-1)
	}
	if err := l.fresh(e.made); err != nil {
		return nil, err
	}
	same, err := l.At(slices.Repeat(e.X[sample*l.Inputs:(sample+1)*l.Inputs], rows), slices.Repeat(e.Z[sample*l.Units:(sample+1)*l.Units], rows))
	if err != nil {
		return nil, err
	}
	if same.masked = e.masked; same.masked == 0 {
		same.masked = sample + 1
	}
	if e.fz != nil {
		same.fz = slices.Repeat(e.fz[sample*l.Units:(sample+1)*l.Units], rows)
	}
	for _, n := range e.noise {
		width := len(n) / e.Rows
		same.noise = append(same.noise, slices.Repeat(n[sample*width:(sample+1)*width], rows))
	}
	return same, nil
}

func (l *Layer[T]) checkInput(x, z0 []T) (rows int, err error) {
	rows = len(x) / l.Inputs
	switch {
	case rows < 1 || len(x) != rows*l.Inputs:
		return 0, fmt.Errorf("deq: input x of %d numbers: expected rows of %d", len(x), l.Inputs)
	case rows > l.config.Batch:
		return 0, fmt.Errorf("deq: %d samples in a layer for at most %d", rows, l.config.Batch)
	case z0 != nil && len(z0) != rows*l.Units:
		return 0, shape("initial states z0", z0, rows, l.Units)
	}
	return rows, nil
}

// Layer is the layer that was solved.
func (e *Equilibrium[T]) Layer() *Layer[T] { return e.layer }

// relax solves z = f(z) + push(z) in place, shard by shard; push, which may be nil, adds to fz
// for the samples rows of the shard, or with inside to the pre-activation of a cell that has
// one; watch, which may be nil, is shown the states.
func (e *Equilibrium[T]) relax(ctx context.Context, z []T, with Solver[T], watch *iterates[T],
	push func(s *shard[T], rows []int, z, fz []T) error, inside bool) (*solvers.Report, error) {
	return e.solve(ctx, z, with, func(s *shard[T], n int) solvers.Problem[T] {
		here := at[T]{id: e.layer.points.Add(1), x: e.inputs(s, n)}
		p := solvers.Problem[T]{Batch: n, Dim: e.layer.Units, Known: true}
		f := cell
		if inside {
			f = preActivation
		}
		p.F = func(rows []int, z, fz []T) error {
			watch.see(s.start, rows, z)
			if err := s.applyTo(f, here, rows, z, fz); err != nil || push == nil {
				return err
			}
			if err := push(s, rows, z, fz); err != nil || !inside {
				return err
			}
			return s.activate(here, rows, z, fz)
		}
		if push != nil {
			return p // the push has a Jacobian that we do not know
		}
		if _, ok := with.Method.(solvers.Splitter); ok {
			p.Splitting = &splitting[T]{shard: s, here: at[T]{id: e.layer.points.Add(1), x: here.x, masked: e.masked}, n: n}
		}
		visited := at[T]{x: here.x, z: make([]T, n*e.layer.Units), masked: e.masked}
		p.Linearise = func(rows []int, z []T) error {
			visited.id = e.layer.points.Add(1)
			scatter(visited.z, z, rows, e.layer.Units)
			return nil
		}
		if e.loss != nil {
			down := slope[T]{}
			p.Outer = func(rows []int, z, dz []T) error {
				g, err := down.of(s, e.loss, rows, z)
				copy(dz, g)
				return err
			}
		}
		p.JVP = func(rows []int, v, jv []T) error { return s.applyTo(tangent, visited, rows, v, jv) }
		p.VJP = func(rows []int, u, ju []T) error { return s.applyTo(adjoint, visited, rows, u, ju) }
		return p
	})
}

// Adjoint solves (I − Jᵀ) u = dz for the cotangent dz = ∂L/∂z* [rows, Units], in u, which
// holds the initial guess. L's gradient is then uᵀ ∂f/∂θ, by VJP (implicit function theorem).
// Methods that split operators solve the adjoint of a cell with one activation (see CheckSolver).
func (e *Equilibrium[T]) Adjoint(ctx context.Context, dz, u []T, with Solver[T]) (*solvers.Report, error) {
	if err := e.checkStates("dz", dz, "u", u); err != nil {
		return nil, err
	}
	e.layer.tally.solves.Add(int64(e.Rows))
	if _, ok := with.Method.(solvers.Splitter); ok {
		return e.adjointBySplitting(ctx, dz, u, with)
	}
	return e.solve(ctx, u, with, func(s *shard[T], n int) solvers.Problem[T] {
		here := e.at(s, n)
		return e.linear(s, n, dz,
			func(rows []int, u, ju []T) error { return s.applyTo(adjoint, here, rows, u, ju) },
			func(rows []int, v, jv []T) error { return s.applyTo(tangent, here, rows, v, jv) })
	})
}

// linear is the problem u = A u + rhs of a shard, with the products of A and of Aᵀ.
func (e *Equilibrium[T]) linear(s *shard[T], n int, rhs []T, a, transposed func(rows []int, in, out []T) error) solvers.Problem[T] {
	rhs = e.states(s, n, rhs)
	width := e.layer.Units
	return solvers.Problem[T]{
		Batch: n, Dim: width, JVP: a, VJP: transposed,
		F: func(rows []int, u, fu []T) error {
			if err := a(rows, u, fu); err != nil {
				return err
			}
			for i, r := range rows {
				out := fu[i*width : (i+1)*width]
				kernels.Add(out, out, rhs[r*width:(r+1)*width])
			}
			return nil
		},
	}
}

// solve runs one problem a shard, with the rows of z as states, and joins the reports.
func (e *Equilibrium[T]) solve(ctx context.Context, z []T, with Solver[T], problem func(s *shard[T], n int) solvers.Problem[T]) (*solvers.Report, error) {
	if err := checkMethod(with.Method); err != nil {
		return nil, err
	}
	reports := make([]*solvers.Report, len(e.layer.shards))
	err := e.each(func(s *shard[T], n int) error {
		p := problem(s, n)
		v, err := s.solver(with, p.Dim)
		if err != nil {
			return err
		}
		delete(s.solved, solverKey[T]{with, p.Dim})
		rep, err := v.Solve(ctx, p, s.part(z, n, p.Dim))
		if rep != nil {
			reports[s.index()] = rep.Clone()
		}
		return err
	})
	return merged(reports), err
}

// each runs work on the shards of the layer, unless that has changed.
func (e *Equilibrium[T]) each(work func(s *shard[T], n int) error) error {
	if e.taken {
		return e.layer.run(e.Rows, work)
	}
	return e.layer.each(e.made, e.Rows, work)
}

// merged joins the reports of the shards, in their order.
func merged(reports []*solvers.Report) *solvers.Report {
	all := &solvers.Report{}
	for _, r := range reports {
		if r == nil {
			continue
		}
		first := len(all.Status)
		for _, h := range r.Handovers {
			h.Sample += first
			all.Handovers = append(all.Handovers, h)
		}
		all.Status = append(all.Status, r.Status...)
		all.Evals = append(all.Evals, r.Evals...)
		all.Residual = append(all.Residual, r.Residual...)
		all.Breakdown = append(all.Breakdown, r.Breakdown...)
		all.History = append(all.History, r.History...)
		all.Steps = max(all.Steps, r.Steps)
		all.Wall = max(all.Wall, r.Wall)
	}
	return all
}

// Next writes f(z*, x) to out [rows, Units], which is z* but for the residual; of states that are
// no equilibria, the step of the network from there.
func (e *Equilibrium[T]) Next(out []T) error {
	if err := e.apply(cell, "z", e.Z, "out", out); err != nil {
		return err
	}
	if e.fz == nil {
		e.fz = slices.Clone(out)
	}
	return nil
}

// VJP adds uᵀ ∂f/∂θ at z* to the gradients g, for u [rows, Units].
func (e *Equilibrium[T]) VJP(u []T, g Params[T]) error {
	return e.accumulate(gradient, e.Z, u, g)
}

// ApplyJT writes Jᵀu [rows, Units] to out, J = ∂f/∂z at z*.
func (e *Equilibrium[T]) ApplyJT(u, out []T) error { return e.apply(adjoint, "u", u, "out", out) }

// JVP writes J v [rows, Units] to out.
func (e *Equilibrium[T]) JVP(v, out []T) error { return e.apply(tangent, "v", v, "out", out) }

// Gain writes φ′(pre) ⊙ v to out, for cells with one activation z⁺ = φ(pre) (or a leak of it).
func (e *Equilibrium[T]) Gain(v, out []T) error {
	if err := e.apply(gain, "v", v, "out", out); err != nil {
		return err
	}
	if alpha := e.layer.leak; alpha != 1 {
		for i := range out {
			out[i] /= T(alpha)
		}
	}
	return nil
}

// PreActivation writes pre to out, for cells with one activation z⁺ = φ(pre) (or a leak of it).
func (e *Equilibrium[T]) PreActivation(out []T) error {
	return e.apply(preActivation, "z", e.Z, "out", out)
}

// Recurrent writes v·Wᵀ to out: the derivative of the pre-activation along v.
func (e *Equilibrium[T]) Recurrent(v, out []T) error {
	return e.apply(recurrent, "v", v, "out", out)
}

// RecurrentAdjoint writes u·W to out.
func (e *Equilibrium[T]) RecurrentAdjoint(u, out []T) error {
	return e.apply(recurrentAdjoint, "u", u, "out", out)
}

// PreVJP adds uᵀ ∂pre/∂θ to the gradients g, with the pre-activation's state set to z
// [rows, Units]; for W it is the outer product uᵀz, for the bias the sum of u.
func (e *Equilibrium[T]) PreVJP(z, u []T, g Params[T]) error {
	return e.accumulate(preGradient, z, u, g)
}

// apply evaluates a function of the shape of the state at z*. The arguments are called by their names.
func (e *Equilibrium[T]) apply(f function, name string, in []T, other string, out []T) error {
	if err := e.checkStates(name, in, other, out); err != nil {
		return err
	}
	return e.each(func(s *shard[T], n int) error {
		return s.applyTo(f, e.at(s, n), s.all(n), e.states(s, n, in), e.states(s, n, out))
	})
}

// accumulate adds the parameter gradients of f at the states z.
func (e *Equilibrium[T]) accumulate(f function, z, u []T, g Params[T]) error {
	if err := e.checkStates("z", z, "u", u); err != nil {
		return err
	}
	there := e
	if &z[0] != &e.Z[0] {
		there = &Equilibrium[T]{layer: e.layer, Rows: e.Rows, id: e.layer.points.Add(1), X: e.X, Z: z, masked: e.masked, noise: e.noise}
	}
	return e.layer.accumulate(e.made, e.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
		return s.apply(f, there.at(s, n), s.all(n), e.states(s, n, u))
	})
}

// accumulate evaluates a gradient in every shard and adds the results in the shards' order,
// so that the sum does not depend on the number of cores; for what was made in the given state, or 0.
func (l *Layer[T]) accumulate(made uint64, rows int, g Params[T], evaluate func(s *shard[T], n int) (*unit[T], error)) error {
	if err := l.checkGradients(g); err != nil {
		return err
	}
	if err := l.take(made); err != nil {
		return err
	}
	defer l.done()
	units := make([]*unit[T], len(l.shards))
	err := l.run(rows, func(s *shard[T], n int) (err error) {
		units[s.index()], err = evaluate(s, n)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range units {
		if u != nil {
			u.addGradients(g)
		}
	}
	return nil
}

// at is the equilibrium as the point of a shard with n samples.
func (e *Equilibrium[T]) at(s *shard[T], n int) at[T] {
	here := at[T]{id: e.id, x: e.inputs(s, n), z: e.states(s, n, e.Z), masked: e.masked}
	if e.fz != nil {
		here.fz = e.states(s, n, e.fz)
	}
	for _, v := range e.noise {
		here.noise = append(here.noise, s.part(v, n, len(v)/e.Rows))
	}
	return here
}

func (e *Equilibrium[T]) inputs(s *shard[T], n int) []T { return s.part(e.X, n, e.layer.Inputs) }

func (e *Equilibrium[T]) states(s *shard[T], n int, z []T) []T { return s.part(z, n, e.layer.Units) }
