package stability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// exponentEvals is how many evaluations of f, with its tangents, the exponents are allowed on average in a unit of time.
const exponentEvals = 1000

// pace tells whether steps are so short that all of them would be more than are allowed.
type pace struct {
	most, whole float64 // evaluations allowed, for a time
	evals, time float64 // so far

	fromEvals, fromAt float64 // at the begin of this part
}

// overrun says that they are.
type overrun struct{ cost float64 } // evaluations in a unit of time

func (o *overrun) Error() string {
	return fmt.Sprintf("stability: Lyapunov exponents: %.2g evaluations in a unit of time are more than are allowed", o.cost)
}

// allow sets the allowance.
func (g *glide[T]) allow(o Lyapunov) {
	whole := step * float64(o.Warmup+o.Steps)
	g.pace = pace{whole: whole, most: exponentEvals * whole * o.Effort}
}

// count counts a step. The pace is judged by parts of a sixteenth of what is allowed: a state may begin where it moves fast, and the short
// steps at some kinks say nothing of what follows.
func (p *pace) count(taken bool, h float64) error {
	if p.evals += explicitEvals; taken {
		p.time += h
	}
	if p.evals-p.fromEvals < max(leastPart, p.most/16) {
		return nil
	}
	cost := (p.evals - p.fromEvals) / (p.time - p.fromAt)
	p.fromEvals, p.fromAt = p.evals, p.time
	if p.evals+cost*(p.whole-p.time) > p.most {
		return &overrun{cost}
	}
	return nil
}

// leastPart is how many evaluations are a part at least by which the pace is judged.
const leastPart = 3000

// hurry finds the exponents of dynamics that are too fast for the method that moves tangents: exactly where the state comes to
// rest, else over fewer steps, or not at all.
func (g *glide[T]) hurry(ctx context.Context, o Lyapunov, over *overrun) ([]Exponent, error) {
	if rests, err := g.bring(ctx, o); err != nil {
		return nil, err
	} else if rests {
		g.allow(o)
		clear(g.off)
		return g.measure(ctx, g, o)
	}
	const least = 300 // steps, as the slowest part of −z + f(z) takes tens to come to an attractor
	all := o
	e := &StiffError{Allowed: g.pace.most}
	for {
		part := 0.8 * g.pace.most / (over.cost * step)
		e.Needed = over.cost * step * float64(all.Warmup+all.Steps)
		o.Warmup = min(all.Warmup, int(part/5))
		o.Steps = min(all.Steps, int(part)-o.Warmup)
		if part < least || o.Steps < o.Blocks {
			e.What = "there are no Lyapunov exponents, as the state does not come to rest"
			if err := rates(ctx, g.layer, g.x, g.z, e); err != nil {
				return nil, err
			}
			return nil, e
		}
		most := g.pace.most
		g.allow(o)
		g.pace.most = most
		clear(g.off)
		out, err := g.measure(ctx, g, o)
		if errors.As(err, &over) {
			g.pace.most = most
			continue
		}
		if err != nil {
			return nil, err
		}
		e.What = fmt.Sprintf("the Lyapunov exponents are those of %d steps of %g after %d, not of %d after %d", o.Steps, step, o.Warmup, all.Steps, all.Warmup)
		if err := rates(ctx, g.layer, g.x, g.z, e); err != nil {
			return nil, err
		}
		return out, e
	}
}

// bring moves the state by the methods for states alone until it rests, for all of the time at most, and reports whether it does. Of
// a linear cell any state will do: its J is one.
func (g *glide[T]) bring(ctx context.Context, o Lyapunov) (rests bool, err error) {
	if g.n > MaxDense || g.driven(o.Warmup+o.Steps) {
		return false, nil
	}
	if g.layer.Activation() == "linear" && g.layer.SingleActivation() == nil {
		return g.decompose(ctx, g.z, false)
	}
	z := slices.Clone(g.z)
	time := step * float64(o.Warmup+o.Steps)
	within, left := newAllowance(1, g.n, 1, time, o.Effort), false
	err2 := runWithin(ctx, g.layer, g.x, z, "rate", 1, int(math.Ceil(time)), within, func(_ int, gone []bool) bool {
		if left = gone[0]; left || within.spent[0] {
			return false
		}
		rests, err = g.settled(ctx, z)
		return err == nil && !rests
	})
	if err2 != nil || err != nil {
		return false, errors.Join(err2, err)
	}
	if !rests && !left {
		copy(g.z, z) // on the attractor, or nearer to it
	}
	return rests, nil
}

// driven reports whether the input varies.
func (g *glide[T]) driven(steps int) bool {
	if g.drive == nil {
		return false
	}
	for t := range steps {
		if g.drive(t, g.ahead); !slices.Equal(g.ahead, g.x) {
			return true
		}
	}
	return false
}

// settled reports whether a state has come to a fixed point that attracts it, and goes there.
func (g *glide[T]) settled(ctx context.Context, z []T) (bool, error) {
	const near, rounds = 1e-7, 10
	at := slices.Clone(z)
	scale := math.Sqrt(float64(g.n)) * max(1, norm(z)/math.Sqrt(float64(g.n)))
	slope := make([]T, g.n)
	for range rounds {
		here, err := g.layer.At(g.x, at)
		if err != nil {
			return false, err
		}
		if err := here.Next(slope); err != nil {
			return false, err
		}
		kernels.Sub(slope, slope, at)
		j, err := Jacobian(ctx, here, 0)
		if err != nil {
			return false, err
		}
		for i := range g.n {
			j.Set(i, i, j.At(i, i)-1)
		}
		var lu mat.LU
		lu.Factorize(j)
		move := mat.NewVecDense(g.n, widen(slope))
		if err := lu.SolveVecTo(move, false, move); err != nil {
			return false, nil
		}
		size := mat.Norm(move, 2)
		for i := range at {
			at[i] -= T(move.AtVec(i))
		}
		if !(math.Sqrt(kernels.SquaredDistance(at, z)) <= near*scale) {
			return false, nil
		}
		if size <= 16*unit[T]()*scale {
			return g.decompose(ctx, at, true)
		}
	}
	return false, nil
}

// decompose takes the exponents from the eigenvalues of J at a state, with bounds of their errors, n ε ‖J‖ over |lᴴr| of
// their vectors of unit length. attracting demands that all are negative.
func (g *glide[T]) decompose(ctx context.Context, z []T, attracting bool) (bool, error) {
	j, err := g.jacobian(ctx, z)
	if err != nil || j == nil {
		return false, err
	}
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenBoth) {
		return false, nil
	}
	values, right, left := eigen.Values(nil), new(mat.CDense), new(mat.CDense)
	eigen.VectorsTo(right)
	eigen.LeftVectorsTo(left)
	floor := float64(g.n) * 2 * unit[T]() * mat.Norm(j, 2)
	order, bounds := make([]int, g.n), make([]float64, g.n)
	for i := range order {
		l, r := make([]complex128, g.n), make([]complex128, g.n)
		for c := range g.n {
			l[c], r[c] = left.At(c, i), right.At(c, i)
		}
		order[i], bounds[i] = i, floor/overlap(l, r)
		if attracting && !(real(values[i])-1 < -bounds[i]) {
			return false, nil
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(real(values[b]), real(values[a])) })
	g.resting, g.restError = nil, nil
	for _, i := range order {
		g.resting, g.restError = append(g.resting, real(values[i])-1), append(g.restError, bounds[i])
	}
	g.restX = slices.Clone(g.x)
	copy(g.z, z)
	return true, nil
}
