package solvers

import "attractor/internal/kernels"

// Float is the number type of states and residuals.
type Float = kernels.Float

// Problem is a batched fixed-point problem z = f(z): Batch independent samples of Dim
// numbers. Every callback works on the samples whose indices are in rows (ascending);
// row i of its arguments, which are [len(rows), Dim], belongs to sample rows[i]. The
// result for a sample must not depend on which other samples are in rows. The slices are
// the solver's: a callback must not keep them.
type Problem[T Float] struct {
	Batch, Dim int

	// F writes f(z) to fz.
	F func(rows []int, z, fz []T) error

	// Linearise fixes the points at which JVP and VJP are taken, until it is called again
	// for the same sample. It is not counted as an evaluation. Nil where there is nothing
	// to be done, as for an affine f.
	Linearise func(rows []int, z []T) error

	// JVP writes J v to jv, VJP writes Jᵀu to ju. Both are optional: a method that needs
	// products takes differences of F where it has to. They are asked for samples that
	// have been linearised.
	JVP func(rows []int, v, jv []T) error
	VJP func(rows []int, u, ju []T) error

	// Outer writes the gradient ∂L/∂z, up to a factor, at z of the loss L that the fixed point is solved
	// for, which methods may be aware of. It is optional, and not counted as an evaluation.
	Outer func(rows []int, z, dz []T) error

	// Known says that the initial states are fixed points of the map but for a slight change of it: those within the
	// tolerance have converged without a further evaluation.
	Known bool

	// Splitting is what the operator-splitting methods need, and only they.
	Splitting Splitting[T]
}

// Shape is what a method needs to know to allocate its state.
type Shape struct {
	Batch, Dim int
	MaxEvals   int // evaluations that a sample may spend
}

// Method is a way to solve a fixed-point problem: an immutable value whose fields are its
// options, comparable with ==. Start checks the options and allocates the state of a run.
type Method[T Float] interface {
	Start(s Shape) (Stepper[T], error)
}

// Stepper is the state of a run of a method, kept by sample: the active samples change
// from step to step.
//
// Step is given the active samples with z and fz = f(z), and overwrites z with the next
// iterate. Reset forgets everything, for a new solve on the same memory. Bytes is the
// memory it holds. Neither Step nor Reset allocates.
type Stepper[T Float] interface {
	Reset()
	Step(it *Iterate[T]) error
	Bytes() int
}

// Inverse is a Stepper that approximates the inverse of the Jacobian of g = f − id,
// H ≈ (J − I)⁻¹, for each sample, also after the solve. Broyden's methods have it.
type Inverse[T Float] interface {
	Stepper[T]
	ApplyH(sample int, x, out []T)  // out = H x, both [Dim]
	ApplyHT(sample int, x, out []T) // out = Hᵀx, both [Dim]
}

// Iterate is what a Stepper is given: the active samples, where they are, and counted
// access to the problem. Its slices are the solver's and are valid during the step.
type Iterate[T Float] struct {
	K     int       // steps taken before this one
	Rows  []int     // indices of the active samples, ascending
	Z     []T       // [len(Rows), Dim], to be overwritten by the next iterate
	FZ    []T       // [len(Rows), Dim], f(Z)
	GNorm []float64 // [len(Rows)], ‖g‖₂
	R     []float64 // [len(Rows)], the stopping measure: a sample has converged at 1

	// Fresh is set by a Step, for a row, when it leaves f of the new Z in FZ, so that the
	// loop need not evaluate it again.
	Fresh []bool

	run *Solver[T]
}

// Dim is the number of numbers of a sample.
func (it *Iterate[T]) Dim() int { return it.run.dim }

// F evaluates f for the samples rows, which are charged one evaluation each.
func (it *Iterate[T]) F(rows []int, z, fz []T) error {
	it.run.charge(rows)
	return it.run.problem.F(rows, z, fz)
}

// Linearise fixes the points at which JVP and VJP are taken.
func (it *Iterate[T]) Linearise(rows []int, z []T) error {
	if it.run.problem.Linearise == nil {
		return nil
	}
	return it.run.problem.Linearise(rows, z)
}

// HasJVP says whether the problem offers J v.
func (it *Iterate[T]) HasJVP() bool { return it.run.problem.JVP != nil }

// HasVJP says whether the problem offers Jᵀu.
func (it *Iterate[T]) HasVJP() bool { return it.run.problem.VJP != nil }

// HasOuter says whether the problem offers ∂L/∂z.
func (it *Iterate[T]) HasOuter() bool { return it.run.problem.Outer != nil }

// Outer writes ∂L/∂z at z for the samples rows.
func (it *Iterate[T]) Outer(rows []int, z, dz []T) error { return it.run.problem.Outer(rows, z, dz) }

// JVP writes J v for the samples rows, which are charged one evaluation each.
func (it *Iterate[T]) JVP(rows []int, v, jv []T) error {
	it.run.charge(rows)
	return it.run.problem.JVP(rows, v, jv)
}

// VJP writes Jᵀu for the samples rows, which are charged one evaluation each.
func (it *Iterate[T]) VJP(rows []int, u, ju []T) error {
	it.run.charge(rows)
	return it.run.problem.VJP(rows, u, ju)
}

// Left is the number of evaluations that the sample of row i may still spend.
func (it *Iterate[T]) Left(i int) int {
	return it.run.settings.MaxEvals - it.run.report.Evals[it.Rows[i]]
}

// leastLeft is the least of Left.
func (it *Iterate[T]) leastLeft() int {
	left := it.Left(0)
	for i := range it.Rows {
		left = min(left, it.Left(i))
	}
	return left
}

// Best returns the best iterate so far of row i and f of it, both [Dim], to be read only.
func (it *Iterate[T]) Best(i int) (z, fz []T) {
	n := it.run.dim
	at := it.Rows[i] * n
	return it.run.best[at : at+n], it.run.bestF[at : at+n]
}

// GiveUp ends the sample of row i after this step: the method cannot improve it. Its
// status becomes Stalled and the report has the reason.
func (it *Iterate[T]) GiveUp(i int, why Breakdown) {
	b := it.Rows[i]
	it.run.report.Breakdown[b], it.run.report.Status[b] = why, Stalled
}

// HandOver records that one method gave the sample of row i to another.
func (it *Iterate[T]) HandOver(i int, from, to string, why Reason) {
	r := &it.run.report
	b := it.Rows[i]
	r.Handovers = append(r.Handovers, Handover{Sample: b, Evals: r.Evals[b], From: from, To: to, Reason: why})
}

// rowsFrom returns the part of the iterate that is made of rows lo to hi−1.
func (it *Iterate[T]) rowsFrom(lo, hi int) Iterate[T] {
	n := it.run.dim
	sub := *it
	sub.Rows = it.Rows[lo:hi]
	sub.Z, sub.FZ = it.Z[lo*n:hi*n], it.FZ[lo*n:hi*n]
	sub.GNorm, sub.R, sub.Fresh = it.GNorm[lo:hi], it.R[lo:hi], it.Fresh[lo:hi]
	return sub
}
