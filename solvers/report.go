package solvers

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Status says how the solve of a sample ended.
type Status uint8

const (
	Unfinished Status = iota // the solve was broken off by an error or a cancellation
	Converged                // at a fixed point: the stopping measure is at most 1 and a fixed point within reach, see Settings
	MaxEvals                 // the evaluations are used up
	Stalled                  // no new best for a long time, or the method gave up
	Diverged                 // the residual grew far beyond the first one, or the state runs off while it does not fall
	NonFinite                // f returned NaN or Inf
)

var statusNames = [...]string{"unfinished", "converged", "max_evals", "stalled", "diverged", "non_finite"}

// String returns the name used in reports: converged, max_evals, stalled, diverged,
// non_finite or unfinished.
func (s Status) String() string { return name(statusNames[:], int(s), "Status") }

// Breakdown says why a sample has not converged: why its method gave it up, with the status Stalled, or Drift with any.
type Breakdown uint8

const (
	NoBreakdown   Breakdown = iota
	Stagnation              // a linear method no longer reduces its residual
	Singular                // the linear system is singular to working precision
	NoDescent               // no step length reduces the residual
	ZeroDirection           // a recurrence divided by zero (BiCGStab's ρ or ω)
	Drift                   // the residual is within the tolerance, but no fixed point is within reach, see Settings
)

var breakdownNames = [...]string{"none", "stagnation", "singular", "no_descent", "zero_direction", "drift"}

// String returns none, stagnation, singular, no_descent, zero_direction or drift.
func (b Breakdown) String() string { return name(breakdownNames[:], int(b), "Breakdown") }

// Reason says why a sample was handed from one method to the next.
type Reason uint8

const (
	WarmedUp Reason = iota + 1 // the first iterations are done
	Slow                       // the residual no longer falls fast enough
	Growing                    // the residual grew
)

var reasonNames = [...]string{"", "warmed_up", "slow", "growing"}

// String returns warmed_up, slow or growing.
func (r Reason) String() string { return name(reasonNames[:], int(r), "Reason") }

// MarshalText writes the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes the name.
func (b Breakdown) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// MarshalText writes the name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Remedy says what may help a sample that ended so, by the keys of the options; empty where nothing is known.
func Remedy(s Status, why Breakdown) string {
	switch {
	case why == Drift && s != Converged:
		return "the residual is within the tolerance, but changes so little with the state that no fixed point is near: there may be none; give atol where a small residual is enough, or raise max_evals"
	case s == MaxEvals:
		return "raise max_evals, or choose another solver"
	case s == Stalled && why == NoBreakdown:
		return "its residual no longer falls: raise stall (negative: never stop for it), raise rtol or atol, or choose another solver"
	case s == Stalled && why == Singular:
		return "I − J is singular there: begin elsewhere, or choose a solver that needs no inverse, such as picard"
	case s == Stalled:
		return "begin elsewhere, or choose another solver"
	case s == Diverged:
		return "there may be no fixed point within reach: begin elsewhere, raise growth (negative: never stop for it), or choose another solver"
	}
	return ""
}

func name(names []string, i int, kind string) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

// Handover is the passing of a sample from one method to another.
type Handover struct {
	Sample   int
	Evals    int // evaluations spent by then
	From, To string
	Reason   Reason
}

// Point is an entry of a residual history.
type Point struct {
	Evals    int     // evaluations spent by then
	Residual float64 // as in Report.Residual
}

// Report says how a solve went. Its slices have one entry per sample.
type Report struct {
	Status    []Status
	Evals     []int       // evaluations spent: f, J v and Jᵀu count one each
	Residual  []float64   // of the best iterate: ‖g‖/‖f‖, or ‖g‖ for the measure abs
	Breakdown []Breakdown // why the method gave up, where it did
	History   [][]Point   // residual after every iteration; nil unless asked for
	Handovers []Handover  // in the order they happened
	Steps     int         // iterations of the loop
	Wall      time.Duration
}

// Clone returns a copy that the next solve does not overwrite.
func (r *Report) Clone() *Report {
	c := *r
	c.Status = slices.Clone(r.Status)
	c.Evals = slices.Clone(r.Evals)
	c.Residual = slices.Clone(r.Residual)
	c.Breakdown = slices.Clone(r.Breakdown)
	c.Handovers = slices.Clone(r.Handovers)
	c.History = slices.Clone(r.History)
	for i, h := range c.History {
		c.History[i] = slices.Clone(h)
	}
	return &c
}

// Count is the number of samples with that status.
func (r *Report) Count(s Status) int {
	n := 0
	for _, have := range r.Status {
		if have == s {
			n++
		}
	}
	return n
}

// Failed is the number of samples that have not converged.
func (r *Report) Failed() int { return len(r.Status) - r.Count(Converged) }

// MeanEvals is the mean number of evaluations of a sample.
func (r *Report) MeanEvals() float64 {
	if len(r.Evals) == 0 {
		return 0
	}
	sum := 0
	for _, e := range r.Evals {
		sum += e
	}
	return float64(sum) / float64(len(r.Evals))
}

// Err returns nil if all samples converged, and else a *ConvergenceError that wraps
// ErrNotConverged and tells of the first sample that has not.
func (r *Report) Err() error {
	for i, s := range r.Status {
		if s != Converged {
			return &ConvergenceError{
				Failed: r.Failed(), Batch: len(r.Status),
				Sample: i, Status: s, Evals: r.Evals[i], Residual: r.Residual[i], Breakdown: r.Breakdown[i],
			}
		}
	}
	return nil
}

// ErrNotConverged is wrapped by a ConvergenceError.
var ErrNotConverged = errors.New("not converged")

// ConvergenceError says that samples have not converged, and which was the first.
type ConvergenceError struct {
	Failed, Batch int // how many, of how many
	Sample        int // the first of them, and how it ended
	Status        Status
	Evals         int
	Residual      float64
	Breakdown     Breakdown
}

func (e *ConvergenceError) Error() string {
	s := fmt.Sprintf("solvers: %d of %d samples not converged; sample %d: %v after %d evaluations, residual %.3g",
		e.Failed, e.Batch, e.Sample, e.Status, e.Evals, e.Residual)
	if e.Breakdown != NoBreakdown {
		s += fmt.Sprintf(" (%v)", e.Breakdown)
	}
	if r := Remedy(e.Status, e.Breakdown); r != "" {
		s += ": " + r
	}
	return s
}

func (e *ConvergenceError) Unwrap() error { return ErrNotConverged }
