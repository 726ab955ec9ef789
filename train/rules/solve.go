package rules

import (
	"fmt"

	"attractor/solvers"
)

// Solve is a solve of a step: that of the equilibrium, or one of the rule's own.
type Solve struct {
	*solvers.Report
	Of      string // what is solved for, "the adjoint"
	Section string // of the options that it is solved with, "solver" or "backward"
	Bound   string // the option that bounds its evaluations; empty is max_evals of the section
}

// adjoint is a solve with the backward solver, and phase one of the cell with the forward solver.
func adjoint(of string, r *solvers.Report) Solve {
	return Solve{Report: r, Of: of, Section: "backward"}
}
func phase(of string, r *solvers.Report) Solve { return Solve{Report: r, Of: of, Section: "solver"} }

// Err returns nil if all samples converged, and else a *[SolveError].
func (s Solve) Err() error {
	if err := s.Report.Err(); err != nil {
		return &SolveError{Solve: s, Err: err}
	}
	return nil
}

// Remedy says what may help the samples that have not converged, by the options of the configuration.
func (s Solve) Remedy() string {
	for i, status := range s.Status {
		switch {
		case status == solvers.Converged:
			continue
		case status == solvers.MaxEvals && s.Bound != "":
			return fmt.Sprintf("raise %s, or %s.rtol", s.Bound, s.Section)
		case status == solvers.MaxEvals:
			return fmt.Sprintf("raise %[1]s.max_evals or %[1]s.rtol, or choose another %[1]s", s.Section)
		case status == solvers.Diverged && s.Bound != "":
			return "the relaxation leads away from where it would rest: choose a rule that solves for it, such as implicit"
		}
		if remedy := solvers.Remedy(status, s.Breakdown[i]); remedy != "" {
			return fmt.Sprintf("%s (options of %s)", remedy, s.Section)
		}
	}
	return ""
}

// Worst is the largest residual of the samples that have not converged.
func (s Solve) Worst() float64 {
	worst := 0.0
	for i, status := range s.Status {
		if r := s.Residual[i]; status != solvers.Converged && !(r <= worst) {
			worst = r
		}
	}
	return worst
}

// SolveError says which solve of a step has not converged. It wraps a *solvers.ConvergenceError.
type SolveError struct {
	Solve Solve
	Err   error
}

func (e *SolveError) Error() string {
	for i, status := range e.Solve.Status {
		if status != solvers.Converged {
			text := fmt.Sprintf("%s: %d of %d samples not converged; sample %d: %v after %d evaluations, residual %.3g",
				e.Solve.Of, e.Solve.Failed(), len(e.Solve.Status), i, status, e.Solve.Report.Evals[i], e.Solve.Residual[i])
			if remedy := e.Solve.Remedy(); remedy != "" {
				text += ": " + remedy
			}
			return text
		}
	}
	return e.Err.Error()
}

func (e *SolveError) Unwrap() error { return e.Err }
