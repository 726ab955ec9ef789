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

// step is a step of the rate dynamics dz/dt = −z + f(z) in units of time, in which the input does not change.
const step = 0.1

// tangentTol is the largest local error of a step in which a state moves with its tangents, of each relative to
// its norm.
const tangentTol = 1e-7

// glide moves a state with its tangents by the rate dynamics and dQ/dt = −Q + J(z)Q.
type glide[T deq.Float] struct {
	*flow[T]
	runge    rungeKutta[T]
	y, slope []T       // [1 + k, units]: the state and its tangents, and their d/dt; of a cell with kinks then its way
	h        float64   // step that comes next
	off      []float64 // of the logarithms of R_ii, summed
	embedded *tangents // by the method of order 4
	ahead    []T       // the input of the step to come, where it is another
	known    bool      // that it is
	resting  []float64 // exponents where it rests, once it does
	restX    []T       // with this input
	pace     pace

	restError []float64 // of resting, where an implicit method has come there
}

func newGlide[T deq.Float](f *flow[T]) *glide[T] {
	width := (1+f.k)*f.n + len(f.way)
	g := &glide[T]{flow: f, y: make([]T, width), slope: make([]T, width), h: step, off: make([]float64, f.k), ahead: make([]T, len(f.x))}
	g.runge = rungeKutta[T]{width: width, field: g.rate}
	g.embedded = newTangents(f.k, f.n, f.rounding, f.random)
	return g
}

// rate is −z + f(z) and −Q + J(z)Q.
func (g *glide[T]) rate(y, dy []T) error {
	here, err := g.layer.At(g.x, y[:g.n])
	if err != nil {
		return err
	}
	if err := here.Next(dy[:g.n]); err != nil {
		return err
	}
	end := (1 + g.k) * g.n
	if err := g.tangent(here, y[end:], y[g.n:end], dy[end:], dy[g.n:end]); err != nil {
		return err
	}
	kernels.Sub(dy, dy, y)
	return nil
}

// move goes on from step t for as many steps as have one input, to step last at most, and returns the step that it
// comes to. measure, which may be nil, is given what is to be added to the sum of log R_ii.
func (g *glide[T]) move(ctx context.Context, t, last int, measure func(i int, growth float64)) (int, error) {
	from := t
	if g.drive != nil && !g.known {
		g.drive(t, g.x)
	} else if g.known {
		copy(g.x, g.ahead)
	}
	g.known = false
	for t++; t < last; t++ {
		if g.drive == nil {
			continue
		}
		if g.drive(t, g.ahead); !slices.Equal(g.ahead, g.x) {
			g.known = true
			break
		}
	}
	g.gather()
	if err := g.rate(g.y, g.slope); err != nil {
		return t, err
	}
	if t == last {
		if at, err := g.rest(ctx); err != nil {
			return t, err
		} else if at {
			for i := 0; i < g.k && measure != nil; i++ {
				measure(i, g.resting[i]*step*float64(t-from))
			}
			return t, nil
		}
	}
	for left := step * float64(t-from); left > 0; {
		if err := ctx.Err(); err != nil {
			return t, fmt.Errorf("stability: Lyapunov exponents: step %d: %w", t, err)
		}
		h := min(g.h, left)
		if err := g.runge.try(g.y, g.slope, []float64{h}); err != nil {
			return t, err
		}
		off := g.error()
		if err := g.pace.count(off <= 1, h); err != nil {
			return t, err
		}
		if next := control(h, off); off > 1 || h == g.h || next < g.h || math.IsNaN(off) { // not of one that the time cut
			g.h = next
		}
		if g.h < shortest {
			return t, fmt.Errorf("stability: Lyapunov exponents: at step %d %w", t, ErrUnbounded)
		}
		if !(off <= 1) {
			continue
		}
		left -= h
		if left < 1e-12*step {
			left = 0
		}
		if err := g.accept(measure); err != nil {
			return t, err
		}
	}
	return t, nil
}

// error is that of the step which was tried, over what is tolerated.
func (g *glide[T]) error() (worst float64) {
	tol := tolerated[T](tangentTol)
	for first := 0; first < len(g.y); first += g.n {
		part := func(v []T) []T { return v[first : first+g.n] }
		size := max(norm(part(g.y)), norm(part(g.runge.next)))
		if off := norm(part(g.runge.off)) / (tol*size + math.SmallestNonzeroFloat64); !(off <= worst) {
			worst = off
		}
	}
	if !kernels.AllFinite(g.runge.next[:g.n]) {
		return math.NaN()
	}
	return worst
}

// accept takes the step, orthonormalises, and adds up by how much the two orders differ.
func (g *glide[T]) accept(measure func(i int, growth float64)) error {
	copy(g.z, g.runge.next)
	for i := range g.q {
		g.q[i] = float64(g.runge.next[g.n+i])
		g.embedded.q[i] = g.q[i] - float64(g.runge.off[g.n+i])
	}
	last := g.runge.last(len(g.y))
	lost := false
	g.orthonormalise(func(int) { lost = true })
	if measure != nil {
		g.embedded.orthonormalise(nil)
		for i := range g.off {
			at := i*g.k + i
			measure(i, math.Log(g.r[at]))
			g.off[i] += math.Abs(math.Log(g.r[at] / g.embedded.r[at]))
		}
	}
	stretch := 1.0
	if g.way != nil {
		lost = g.vanish() || lost
		if copy(g.way, g.runge.next[(1+g.k)*g.n:]); norm(g.way) > 0 {
			stretch = 1 / norm(g.way)
			kernels.Scale(g.way, T(stretch), g.way)
		}
	}
	g.gather()
	if lost {
		return g.rate(g.y, g.slope)
	}
	copy(g.slope, last)
	// The slopes of the tangents are linear in them: Q before = Rᵀ·Q after.
	for i := range g.k {
		own := g.slope[(1+i)*g.n : (2+i)*g.n]
		for j := range i {
			kernels.Axpy(T(-g.r[j*g.k+i]), g.slope[(1+j)*g.n:(2+j)*g.n], own)
		}
		kernels.Scale(own, T(1/g.r[i*g.k+i]), own)
	}
	kernels.Scale(g.slope[(1+g.k)*g.n:], T(stretch), g.slope[(1+g.k)*g.n:])
	return nil
}

// gather writes what moves to y.
func (g *glide[T]) gather() {
	copy(g.y, g.z)
	for i, q := range g.q {
		g.y[g.n+i] = T(q)
	}
	copy(g.y[(1+g.k)*g.n:], g.way)
}

// jacobian is J at a state, nil on a kink.
func (g *glide[T]) jacobian(ctx context.Context, z []T) (*mat.Dense, error) {
	here, err := g.layer.At(g.x, z)
	if err != nil {
		return nil, err
	}
	if sides, err := here.Sides(nearKink); err != nil || sides.On[0] > 0 {
		return nil, err
	}
	return Jacobian(ctx, here, 0)
}

// rest reports whether the state is at a fixed point to rounding, where the tangents' equation has constant
// coefficients: the exponents are then Re λ − 1, of the eigenvalues λ of J, however stiff it is.
func (g *glide[T]) rest(ctx context.Context) (bool, error) {
	const most = 200 // units, whose eigenvalues are found in less time than the exponents
	if g.resting != nil && slices.Equal(g.x, g.restX) {
		return true, nil
	}
	if g.n > most || norm(g.slope[:g.n]) > 1e-11*math.Sqrt(float64(g.n)) {
		return false, nil
	}
	j, err := g.jacobian(ctx, g.z)
	if err != nil || j == nil {
		return false, err
	}
	if norm(g.slope[:g.n])*mat.Norm(j, 2) > 1e-11*math.Sqrt(float64(g.n)) {
		return false, nil
	}
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenNone) {
		return false, nil
	}
	g.resting, g.restX = nil, slices.Clone(g.x)
	for _, v := range eigen.Values(nil) {
		g.resting = append(g.resting, real(v)-1)
	}
	slices.Sort(g.resting)
	slices.Reverse(g.resting)
	return true, nil
}
