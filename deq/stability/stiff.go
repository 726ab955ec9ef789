package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

const (
	// allowedWork is how many multiplications states of the rate dynamics are allowed, all together: they take some ten
	// seconds. An evaluation of f counts as n², and evaluationWork for what it takes of the smallest network.
	allowedWork    = 2e10
	evaluationWork = 1000
	// leastEvals and mostEvals bound what that comes to, in evaluations of a state on average in a unit of time. The first
	// is for twice as long as rates of 1 ask for, the second for rates of 100.
	leastEvals, mostEvals = 20, 200
	// startEvals are for the fast part of a path at its begin.
	startEvals = 1e4
)

// allowance bounds the work for states of the rate dynamics, for each by itself.
type allowance struct {
	most        float64   // evaluations of f
	evals, time []float64 // so far, by row
	spent       []bool    // the row has had all
}

// newAllowance is what each of some rows is allowed that has so many units and is one of several states, for a time and with
// a factor.
func newAllowance(rows, units, states int, time, factor float64) *allowance {
	each := allowedWork / (float64(states) * (float64(units)*float64(units) + evaluationWork))
	a := &allowance{evals: make([]float64, rows), time: make([]float64, rows), spent: make([]bool, rows)}
	a.most = factor * (startEvals + min(mostEvals*time, max(leastEvals*time, each)))
	return a
}

// take takes evaluations for a row, and reports whether it has had all.
func (a *allowance) take(b int, evals float64) bool {
	a.evals[b] += evals
	a.spent[b] = a.evals[b] >= a.most
	return a.spent[b]
}

// contest is that of the two methods for a row: after every few steps the one goes on that needs fewer evaluations of f
// for a time.
type contest[T deq.Float] struct {
	implicit    *implicit[T] // nil while the explicit method is at work
	steps       int          // of this part, tried
	evals, time float64      // at its begin
	explicit    float64      // evaluations in a unit of time by the explicit method, when it was last at work
	steepest    float64      // largest ‖J‖ in this part
	wait        float64      // evaluations before which the implicit method is not tried again
}

// contestSteps is how many steps are a part.
const contestSteps = 15

// leapCost is how many evaluations an implicit step takes, about: the Jacobian of n units, its factors, and the
// stages with two or three iterations each.
func leapCost(n int) float64 { return 4*float64(n)/3 + 15 }

// judge counts a step that a row has tried, and at the end of a part changes its method if the other is cheaper. It reports whether
// that is now the explicit one again.
func (m *mover[T]) judge(b int) bool {
	const (
		length  = 1.0 / 3 // of an implicit step, assumed
		cheaper = 4       // times than the explicit method the implicit one is to be for a trial
	)
	c := &m.contests[b]
	if c.steps++; c.steps < contestSteps || m.jacobian == nil {
		return false
	}
	n := m.layer.Units
	evals, time := m.within.evals[b]-c.evals, m.within.time[b]-c.time
	cost := evals / time // +∞ without progress
	back := false
	if c.implicit == nil {
		if c.explicit = cost; cost > cheaper*leapCost(n)/length && m.within.evals[b] >= c.wait {
			c.implicit = newImplicit(n, m.runge.field, m.jacobian)
		}
	} else if estimate := explicitEvals * max(c.steepest/explicitReach, float64(c.steps)/time); !(cost <= min(c.explicit, estimate)) {
		back = true
		c.implicit = nil
		m.h[b] = min(m.h[b], explicitReach/c.steepest)
		c.wait = 2 * m.within.evals[b]
	}
	c.steps, c.steepest, c.evals, c.time = 0, 0, m.within.evals[b], m.within.time[b]
	return back
}

const (
	explicitEvals = 6 // of f in a step of Dormand and Prince
	explicitReach = 3 // about the largest product of its step and the rate of what decays at which it is stable
)

// stageTol is the error of a stage over that of a step.
const stageTol = 0.03

// leap moves the rows of the implicit method by what is left of a time, and returns those of the rows under way that are not
// there yet, all of the explicit one.
func (m *mover[T]) leap(ctx context.Context, under []int, left []float64, tol, time float64) ([]int, error) {
	still := under[:0]
	for _, b := range under {
		for m.contests[b].implicit != nil && left[b] > 0 {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("stability: dynamics: %w", err)
			}
			moved, err := m.leapOnce(b, left[b], tol)
			if err != nil {
				return nil, err
			}
			if left[b] -= moved; left[b] <= 1e-12*time || m.gone[b] || m.within.spent[b] {
				left[b] = 0
			}
		}
		if left[b] > 0 {
			still = append(still, b)
		}
	}
	return still, nil
}

// leapOnce tries an implicit step of a row, and returns by how much time it has moved.
func (m *mover[T]) leapOnce(b int, left, tol float64) (moved float64, err error) {
	c, n := &m.contests[b], m.layer.Units
	y := widen(m.row(b))
	h := min(m.h[b], left)
	before := c.implicit.evals
	found, err := c.implicit.attempt(y, h, stageTol*tol*norm(y))
	if err != nil {
		return 0, err
	}
	off := math.Inf(1)
	if found {
		off = norm(c.implicit.off) / (tol*max(norm(y), norm(c.implicit.next)) + math.SmallestNonzeroFloat64)
	}
	if next := control(h, off); !(off <= 1) || h == m.h[b] || next < h {
		m.h[b] = max(next, 10*shortest)
	}
	m.within.take(b, c.implicit.evals-before)
	c.steepest = max(c.steepest, mat.Norm(c.implicit.known, 2))
	if off <= 1 {
		moved = h
		m.within.time[b] += h
		narrow(m.row(b), c.implicit.next)
		m.check(b)
		c.implicit.accept()
	}
	if m.judge(b) {
		m.within.take(b, 1)
		return moved, m.runge.field(m.row(b), m.slope[b*n:(b+1)*n])
	}
	return moved, nil
}

// derivative is the Jacobian of −z + f(z).
func (m *mover[T]) derivative(z []T) (*mat.Dense, error) {
	here, err := m.layer.At(m.xs[:m.layer.Inputs], z)
	if err != nil {
		return nil, err
	}
	j, err := Jacobian(context.Background(), here, 0)
	if err != nil {
		return nil, err
	}
	for i := range z {
		j.Set(i, i, j.At(i, i)-1)
	}
	return j, nil
}

// differences is the Jacobian of any field, by differences.
func (m *mover[T]) differences(z []T) (*mat.Dense, error) {
	n := len(z)
	h := T(math.Sqrt(unit[T]()) * (norm(z)/math.Sqrt(float64(n)) + math.SmallestNonzeroFloat64))
	at, slopes := slices.Repeat(z, n+1), make([]T, (n+1)*n)
	for i := range n {
		at[i*n+i] += h
	}
	if err := m.runge.field(at, slopes); err != nil {
		return nil, err
	}
	j := mat.NewDense(n, n, nil)
	for i := range n {
		kernels.Sub(slopes[i*n:(i+1)*n], slopes[i*n:(i+1)*n], slopes[n*n:])
		kernels.Scale(slopes[i*n:(i+1)*n], 1/(at[i*n+i]-z[i]), slopes[i*n:(i+1)*n])
		j.SetCol(i, widen(slopes[i*n:(i+1)*n]))
	}
	return j, nil
}
