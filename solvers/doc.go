// Package solvers finds fixed points z = f(z) of batches of independent samples on plain
// slices, and solves linear systems (I − A)u = ℓ, which are the fixed points of the affine
// map f(u) = ℓ + Au.
//
// A [Problem] says what is to be solved, a [Method] says how, and one loop, [Solver.Solve],
// does for every method what does not depend on it: it counts evaluations, stops and
// freezes each sample by itself, keeps its best iterate, notices divergence, stalling and
// numbers that are not finite, and looks at the context. A method is an immutable value
// whose fields are its options; a zero field means the default stated in its tag. The
// state of a run is its [Stepper].
//
//	p := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
//		fz[0] = math.Cos(z[0])
//		return nil
//	}}
//	z := []float64{0}
//	report, err := solvers.Solve(ctx, p, z, solvers.Anderson[float64]{}, solvers.Settings{})
//
// An error means that the solve could not go on: a callback failed, the context was
// cancelled, the settings are impossible. Samples that do not converge are no error; their
// [Status] says why, and [Report.Err] turns them into a [*ConvergenceError] for the caller
// who wants one.
//
// Throughout, z is the state, fz = f(z), g = f(z) − z the residual and J = ∂f/∂z; all are
// [rows, dim], one row per sample.
package solvers
