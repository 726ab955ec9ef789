package stability

import (
	"math"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// sdirk are the stages of the method SDIRK4 by rows, the last of which is the step of order 4, and the difference of that
// to the embedded one of order 3. It is stiffly accurate and L-stable, and all stages have the same diagonal γ.
//
// E. Hairer and G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., Springer 1996, table IV.6.5,
// doi:10.1007/978-3-642-05221-7.
var sdirk = struct {
	diagonal float64
	stages   [5][]float64 // without the diagonal
	error    [5]float64
}{
	diagonal: 1.0 / 4,
	stages: [5][]float64{
		{},
		{1.0 / 2},
		{17.0 / 50, -1.0 / 25},
		{371.0 / 1360, -137.0 / 2720, 15.0 / 544},
		{25.0 / 24, -49.0 / 48, 125.0 / 16, -85.0 / 12},
	},
	error: [5]float64{-3.0 / 16, -27.0 / 32, 25.0 / 32, 0, 1.0 / 4},
}

// implicit makes steps of dy/dt = field(y) by SDIRK4, for one state. Unlike those of an explicit method they need not be
// shorter than the time in which the fastest deviations decay. The equations of the stages
//
//	Y = r + hγ field(Y)
//
// are solved by Newton's method with the matrix I − hγJ of a step, or where that does not reach them with one of each
// iterate and a damping by the natural level function.
//
// P. Deuflhard, Newton Methods for Nonlinear Problems, Springer 2004, section 3.3, doi:10.1007/978-3-642-23899-4.
type implicit[T deq.Float] struct {
	field    func(y, dy []T) error
	jacobian func(y []T) (*mat.Dense, error) // of field
	evals    float64                         // of field, or what takes as long

	slopes [5][]float64
	next   []float64
	off    []float64
	known  *mat.Dense // J at the state that the step begins at, nil where it is not known
	lu     mat.LU
	fresh  bool // lu is of this iterate
	lead   []float64
	try    []float64
	step   [2][]float64
	narrow []T
	slope  []T
}

func newImplicit[T deq.Float](n int, field func(y, dy []T) error, jacobian func(y []T) (*mat.Dense, error)) *implicit[T] {
	m := &implicit[T]{field: field, jacobian: jacobian}
	for i := range m.slopes {
		m.slopes[i] = make([]float64, n)
	}
	for _, v := range []*[]float64{&m.next, &m.off, &m.lead, &m.try, &m.step[0], &m.step[1]} {
		*v = make([]float64, n)
	}
	m.narrow, m.slope = make([]T, n), make([]T, n)
	return m
}

// attempt makes next and off, the difference of it to the embedded solution, from y by a step h; tol is the error of the
// stages that is left. It reports false where these are not found: the step is too long.
func (m *implicit[T]) attempt(y []float64, h, tol float64) (bool, error) {
	if m.known == nil {
		j, err := m.derive(y)
		if err != nil {
			return false, err
		}
		m.known = j
	}
	hγ := h * sdirk.diagonal
	if !m.factor(m.known, hγ) {
		return false, nil
	}
	copy(m.next, y)
	for i, a := range sdirk.stages {
		copy(m.lead, y)
		for k, v := range a {
			kernels.Axpy(h*v, m.slopes[k], m.lead)
		}
		m.fresh = i == 0
		found, err := m.solve(hγ, tol)
		if err != nil || !found {
			return false, err
		}
		kernels.Sub(m.slopes[i], m.next, m.lead)
		kernels.Scale(m.slopes[i], 1/hγ, m.slopes[i])
	}
	clear(m.try)
	for i, v := range sdirk.error {
		kernels.Axpy(h*v, m.slopes[i], m.try)
	}
	return m.backsolve(m.off, m.try), nil // which damps it where the step does
}

// accept goes on from where the step has come to.
func (m *implicit[T]) accept() { m.known = nil }

// derive is J at a state.
func (m *implicit[T]) derive(y []float64) (*mat.Dense, error) {
	narrow(m.narrow, y)
	m.evals += float64(len(y))
	return m.jacobian(m.narrow)
}

// factor factors I − hγJ.
func (m *implicit[T]) factor(j *mat.Dense, hγ float64) bool {
	n, _ := j.Dims()
	a := mat.NewDense(n, n, nil)
	a.Scale(-hγ, j)
	for i := range n {
		a.Set(i, i, a.At(i, i)+1)
	}
	m.lu.Factorize(a)
	m.evals += float64(n) / 3 // its n³/3 multiplications, over the n² of an evaluation
	return !math.IsInf(m.lu.Cond(), 1) && !math.IsNaN(m.lu.Cond())
}

func (m *implicit[T]) backsolve(to, from []float64) bool {
	copy(to, from)
	v := mat.NewVecDense(len(to), to)
	err := m.lu.SolveVecTo(v, false, v)
	_, poor := err.(mat.Condition)
	return err == nil || poor && kernels.AllFinite(to)
}

// towards writes the Newton step −(I − hγJ)⁻¹(y − lead − hγ field(y)).
func (m *implicit[T]) towards(step, y []float64, hγ float64) (bool, error) {
	narrow(m.narrow, y)
	m.evals++
	if err := m.field(m.narrow, m.slope); err != nil {
		return false, err
	}
	for i := range step {
		step[i] = m.lead[i] + hγ*float64(m.slope[i]) - y[i]
	}
	return kernels.AllFinite(step) && m.backsolve(step, step), nil
}

// solve solves the equations of a stage from next.
func (m *implicit[T]) solve(hγ, tol float64) (bool, error) {
	const (
		most      = 60
		quick     = 0.3 // contraction of the steps with which the matrix is kept
		shortened = 1e-10
	)
	y := m.next
	step, then := m.step[0], m.step[1]
	if fine, err := m.towards(step, y, hγ); err != nil || !fine {
		return false, err
	}
	t := 1.0
	for range most {
		size := norm(step)
		if size <= tol {
			kernels.Axpy(1, step, y)
			return true, nil
		}
		t = min(1, 4*t)
		for {
			copy(m.try, y)
			kernels.Axpy(t, step, m.try)
			fine, err := m.towards(then, m.try, hγ)
			if err != nil {
				return false, err
			}
			ratio := norm(then) / size
			if fine && t == 1 && ratio <= quick {
				copy(y, m.try)
				step, then = then, step
				m.fresh = false
				break
			}
			if m.fresh && fine && ratio <= 1-t/4 {
				copy(y, m.try)
			} else if m.fresh {
				if t /= 2; t < shortened {
					return false, nil
				}
				continue
			}
			j, err := m.derive(y)
			if err != nil {
				return false, err
			}
			if !m.factor(j, hγ) {
				return false, nil
			}
			m.fresh = true
			if fine, err := m.towards(step, y, hγ); err != nil || !fine {
				return false, err
			}
			break
		}
	}
	return false, nil
}
