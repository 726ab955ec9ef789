package stability

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// ErrUnbounded is wrapped by the error about a trajectory that leaves all bounds.
var ErrUnbounded = errors.New("a state is not finite: it has no attractor")

// trajectoryTol is the largest local error of a step in which a state moves by the rate dynamics, relative to the
// norm of the state.
const trajectoryTol = 1e-5

// run moves the states z [rows, units] in place by the dynamics, z ← f(z) or dz/dt = −z + f(z), as long as look
// says so: it sees them at the begin, and then so many times after each step of the map, or after so much
// time. Rows that leave all bounds are gone: they are 0 from then on.
func run[T deq.Float](ctx context.Context, l *deq.Layer[T], x, z []T, dynamics string, every float64, times int, look func(step int, gone []bool) bool) error {
	return runWithin(ctx, l, x, z, dynamics, every, times, newAllowance(len(z)/l.Units, l.Units, len(z)/l.Units, every*float64(times), 1), look)
}

// runWithin is run with an allowance.
func runWithin[T deq.Float](ctx context.Context, l *deq.Layer[T], x, z []T, dynamics string, every float64, times int, within *allowance, look func(step int, gone []bool) bool) error {
	m := mover[T]{layer: l, xs: slices.Repeat(x, len(z)/l.Units), z: z, gone: make([]bool, len(z)/l.Units), tol: trajectoryTol, within: within}
	move := m.step
	if dynamics == "rate" {
		m.begin()
		m.jacobian = nil
		if l.Units <= MaxDense {
			m.jacobian = m.derivative
		}
		move = func() error { return m.flow(ctx, every) }
	}
	for t := 0; ; t++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stability: dynamics: %w", err)
		}
		if !look(t, m.gone) || t == times {
			return nil
		}
		if err := move(); err != nil {
			return err
		}
	}
}

// mover moves states, each by itself.
type mover[T deq.Float] struct {
	layer *deq.Layer[T]
	xs, z []T
	gone  []bool
	tol   float64 // of the rate dynamics

	next []T // scratch of step

	runge    rungeKutta[T]
	slope    []T       // dz/dt [rows, units], nil where it is not known
	h        []float64 // step that comes next, by row
	within   *allowance
	contests []contest[T] // by row
	// jacobian is that of the field at a state; nil where it is not to be had.
	jacobian func(z []T) (*mat.Dense, error)
	current  []T // rows under way [≤ rows, units]
	slopes   []T // their dz/dt
}

// step makes one of the map.
func (m *mover[T]) step() error {
	here, err := m.layer.At(m.xs, m.z)
	if err != nil {
		return err
	}
	if m.next == nil {
		m.next = make([]T, len(m.z))
	}
	if err := here.Next(m.next); err != nil {
		return err
	}
	copy(m.z, m.next)
	for b := range m.gone {
		m.check(b)
	}
	return nil
}

// check finds out whether a row has left all bounds.
func (m *mover[T]) check(b int) {
	if row := m.row(b); m.gone[b] || !kernels.AllFinite(row) {
		m.gone[b] = true
		clear(row)
	}
}

func (m *mover[T]) row(b int) []T { return m.z[b*m.layer.Units : (b+1)*m.layer.Units] }

// begin readies the rate dynamics.
func (m *mover[T]) begin() {
	m.runge = rungeKutta[T]{width: m.layer.Units, field: m.rate}
	m.h = slices.Repeat([]float64{0.1}, len(m.gone))
	m.contests = make([]contest[T], len(m.gone))
	m.jacobian = m.differences
	if m.within == nil {
		m.within = newAllowance(len(m.gone), 1, 1, math.Inf(1), 1)
	}
}

// rate is −z + f(z).
func (m *mover[T]) rate(z, dz []T) error {
	here, err := m.layer.At(m.xs[:len(z)/m.layer.Units*m.layer.Inputs], z)
	if err != nil {
		return err
	}
	if err := here.Next(dz); err != nil {
		return err
	}
	kernels.Sub(dz, dz, z)
	return nil
}

// flow moves every row by a time of the rate dynamics. A row takes steps of its own, so that its path does
// not depend on the others.
func (m *mover[T]) flow(ctx context.Context, time float64) error {
	if m.slope == nil {
		m.slope = make([]T, len(m.z))
		if err := m.rate(m.z, m.slope); err != nil {
			return err
		}
	}
	n, tol := m.layer.Units, tolerated[T](m.tol)
	left := make([]float64, len(m.gone))
	var under []int // way
	for b := range m.gone {
		if left[b] = time; !m.gone[b] && !m.within.spent[b] {
			under = append(under, b)
		}
	}
	for h := make([]float64, 0, len(under)); len(under) > 0; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stability: dynamics: %w", err)
		}
		var err error
		if under, err = m.leap(ctx, under, left, tol, time); err != nil {
			return err
		}
		if len(under) == 0 {
			return nil
		}
		h, m.current, m.slopes = h[:0], m.current[:0], m.slopes[:0]
		for _, b := range under {
			h = append(h, min(m.h[b], left[b]))
			m.current, m.slopes = append(m.current, m.row(b)...), append(m.slopes, m.slope[b*n:(b+1)*n]...)
		}
		if err := m.runge.try(m.current, m.slopes, h); err != nil {
			return err
		}
		last, still := m.runge.last(len(m.current)), under[:0]
		for i, b := range under {
			own := func(v []T) []T { return v[i*n : (i+1)*n] }
			next := own(m.runge.next)
			size := max(norm(m.row(b)), norm(next))
			off := norm(own(m.runge.off)) / (tol*size + math.SmallestNonzeroFloat64)
			ended := false
			if off <= 1 {
				copy(m.row(b), next)
				copy(m.slope[b*n:(b+1)*n], own(last))
				left[b] -= h[i]
				m.within.time[b] += h[i]
				ended = left[b] <= 1e-12*time
			}
			ended = m.within.take(b, explicitEvals) || ended
			m.judge(b)
			if next := control(h[i], off); off > 1 || h[i] == m.h[b] || next < m.h[b] { // not of one that the time cut
				m.h[b] = next
			}
			if math.IsInf(size, 0) && off <= 1 || m.h[b] < shortest {
				m.gone[b] = true
				clear(m.row(b))
				ended = true
			}
			if !ended {
				still = append(still, b)
			}
		}
		under = still
	}
	return nil
}

// shortest is a step of the rate dynamics below which a state counts as leaving all bounds: no finite
// weights and state demand it.
const shortest = 1e-14
