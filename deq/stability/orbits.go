package stability

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// orbitTol is the largest local error of a step along a cycle of the rate dynamics, relative to the norms of the state and of its
// derivative.
const orbitTol = 1e-11

// mostTangents is the largest number of units for which the derivative after a period is found.
const mostTangents = 200

// passes are the times at which a state comes by where it was.
type passes struct {
	times []float64
	size  float64 // largest distance on the way, root mean square
	gone  bool    // it leaves all bounds
}

// passing finds when states of the rate dynamics come back through the plane across their way, near to where they were.
func (c *cycling[T]) passing(ctx context.Context, states []T) ([]passes, error) {
	const most = 4 // times that are kept
	every, err := c.lookTime(ctx, states)
	if err != nil {
		return nil, err
	}
	n := c.layer.Units
	root := math.Sqrt(float64(n))
	z := append([]T(nil), states...)
	out := make([]passes, len(z)/n)
	ways := make([][]float64, len(out))
	for b := range out {
		g, err := c.residual(widen(states[b*n : (b+1)*n]))
		if err != nil {
			return nil, err
		}
		ways[b] = g
	}
	before, side := append([]T(nil), z...), make([]float64, len(out))
	over := make([]bool, len(out))
	times := int(math.Round(float64(c.Longest) / every))
	within := newAllowance(len(out), n, c.all, float64(c.Longest), c.Effort)
	err = runWithin(ctx, c.layer, c.x, z, "rate", every, times, within, func(step int, gone []bool) bool {
		if step == 0 {
			return true
		}
		for b := range out {
			if out[b].gone = out[b].gone || gone[b]; over[b] || gone[b] || within.spent[b] {
				over[b] = true
				continue
			}
			here := states[b*n : (b+1)*n]
			row, was := z[b*n:(b+1)*n], before[b*n:(b+1)*n]
			away := make([]T, n)
			kernels.Sub(away, row, here)
			now := kernels.Dot(widen(away), ways[b])
			d := norm(away) / root
			o := &out[b]
			if o.size = max(o.size, d); side[b] < 0 && now >= 0 {
				part := side[b] / (side[b] - now)
				at := make([]T, n)
				kernels.Lerp(at, was, row, T(part))
				if d := math.Sqrt(kernels.SquaredDistance(at, here)) / root; d < c.Near && d < 0.1*o.size {
					o.times = append(o.times, every*(float64(step-1)+part))
					over[b] = len(o.times) == most
				}
			}
			side[b] = now
		}
		copy(before, z)
		return slices.Contains(over, false)
	})
	return out, err
}

// lookTime is how much time passes between looks at states: 0.1, or less where they turn faster than by a radian in it.
func (c *cycling[T]) lookTime(ctx context.Context, states []T) (float64, error) {
	const (
		usual = 0.1
		some  = 16
	)
	n := c.layer.Units
	fastest := 0.0
	states = append(make([]T, n), states[:min(len(states), some*n)]...)
	for at := 0; at < len(states) && n <= mostTangents; at += n {
		here, err := c.layer.At(c.x, states[at:at+n])
		if err != nil {
			return 0, err
		}
		values, err := Spectrum(ctx, here, 0)
		if err != nil {
			return 0, err
		}
		for _, v := range values {
			fastest = max(fastest, imag(v))
		}
	}
	return min(usual, 1/fastest), nil
}

// orbitEvals is how many evaluations of f one way along a cycle is allowed.
const orbitEvals = 2e5

// flow moves a state by a time of the rate dynamics with its derivative to where it was, which is left out without tangents; look,
// which may be nil, sees the states on the way.
func (c *cycling[T]) flow(ctx context.Context, z []float64, time, tol float64, tangents bool, look func(t float64, z []float64)) ([]float64, *mat.Dense, error) {
	n := len(z)
	k := 0
	if tangents {
		k = n
	}
	y, slope := make([]T, (1+k)*n), make([]T, (1+k)*n)
	narrow(y[:n], z)
	for i := range k {
		y[n+i*n+i] = 1
	}
	field := func(y, dy []T) error {
		here, err := c.layer.At(c.x, y[:n])
		if err != nil {
			return err
		}
		if err := here.Next(dy[:n]); err != nil {
			return err
		}
		if k > 0 {
			if err := product(here, y[n:], dy[n:]); err != nil {
				return err
			}
		}
		kernels.Sub(dy, dy, y)
		return nil
	}
	runge := rungeKutta[T]{width: len(y), field: field}
	if err := field(y, slope); err != nil {
		return nil, nil, err
	}
	tol = tolerated[T](tol)
	pace := pace{most: orbitEvals * c.Effort, whole: time}
	for t, h := 0.0, 0.05; t < time; {
		if err := ctx.Err(); err != nil {
			return nil, nil, fmt.Errorf("stability: cycles: %w", err)
		}
		step := min(h, time-t)
		if err := runge.try(y, slope, []float64{step}); err != nil {
			return nil, nil, err
		}
		off := 0.0
		for first := 0; first < len(y); first += n {
			part := func(v []T) []T { return v[first : first+n] }
			off = max(off, norm(part(runge.off))/(tol*(max(norm(part(y)), norm(part(runge.next)))+1e-6)))
		}
		if err := pace.count(off <= 1, step); err != nil {
			return nil, nil, err
		}
		if next := control(step, off); off > 1 || step == h || next < h {
			h = next
		}
		if h < shortest || !kernels.AllFinite(runge.next) {
			return nil, nil, fmt.Errorf("stability: cycles: %w", ErrUnbounded)
		}
		if !(off <= 1) {
			continue
		}
		if t += step; time-t < 1e-14*time {
			t = time
		}
		copy(y, runge.next[:len(y)])
		copy(slope, runge.last(len(y)))
		if look != nil {
			look(t, widen(y[:n]))
		}
	}
	var m *mat.Dense
	if k > 0 {
		m = mat.NewDense(n, n, nil)
		for i := range k {
			m.SetCol(i, widen(y[n+i*n:n+(i+1)*n]))
		}
	}
	return widen(y[:n]), m, nil
}

// orbit finds the cycle of the rate dynamics that a state is on which comes back after about a time.
func (c *cycling[T]) orbit(ctx context.Context, z []float64, period, size float64) (int, error) {
	const (
		rounds = 12
		same   = 1e-6 // relative difference of periods that are one
	)
	n := len(z)
	root := math.Sqrt(float64(n))
	for i, old := range c.cycles {
		if math.Abs(period-old.Period) < 0.02*old.Period && distanceToPath(z, old.path) < 2*c.Near*root {
			return i, nil
		}
	}
	if n > mostTangents {
		return c.roughOrbit(ctx, z, period, size)
	}
	at, time := z, period
	var m *mat.Dense
	var left float64 // of Φ(z) − z
	for round := 0; ; round++ {
		next, derivative, err := c.flow(ctx, at, time, orbitTol, true, nil)
		if err != nil {
			return Nowhere, err
		}
		g := make([]float64, n)
		kernels.Sub(g, next, at)
		m = derivative
		if left = norm(g); left <= 1e-9*(norm(at)+1e-3*root) {
			break
		}
		if round == rounds || !(math.Sqrt(kernels.SquaredDistance(at, z)) < 5*c.Near*root) {
			return Nowhere, nil
		}
		end, err := c.residual(next)
		if err != nil {
			return Nowhere, err
		}
		way, err := c.residual(at)
		if err != nil {
			return Nowhere, err
		}
		kernels.Scale(way, 1/norm(way), way)
		// (I − M) δz − ż δT = Φ(z) − z, across the way.
		a := mat.NewDense(n+1, n+1, nil)
		for i := range n {
			for k := range n {
				a.Set(i, k, -m.At(i, k))
			}
			a.Set(i, i, a.At(i, i)+1)
			a.Set(i, n, -end[i])
			a.Set(n, i, way[i])
		}
		var svd mat.SVD
		if !svd.Factorize(a, mat.SVDFull) {
			return Nowhere, nil
		}
		rank := svd.Rank(1e-7)
		if rank == 0 {
			return Nowhere, nil
		}
		δ := mat.NewVecDense(n+1, nil)
		svd.SolveVecTo(δ, mat.NewVecDense(n+1, append(g, 0)), rank)
		moved := append([]float64(nil), at...)
		for i := range moved {
			moved[i] += δ.AtVec(i)
		}
		at, time = moved, time+δ.AtVec(n)
		if !(time > 0.5*period && time < 1.5*period) {
			return Nowhere, nil
		}
	}
	if !(math.Sqrt(kernels.SquaredDistance(at, z)) < 5*c.Near*root) {
		return Nowhere, nil
	}
	if whole, err := c.leastPeriod(ctx, at, time, size); err != nil {
		return Nowhere, err
	} else if whole < time {
		return c.orbit(ctx, at, whole, size)
	}
	_, other, err := c.flow(ctx, at, time, 100*orbitTol, true, nil)
	if err != nil {
		return Nowhere, err
	}
	cycle := Cycle{Period: time, Z: at, Error: math.NaN(), Status: Stable}
	if err := c.follow(ctx, &cycle); err != nil {
		return Nowhere, err
	}
	if cycle.Size < 1e-3*c.Near*root {
		return Nowhere, nil // it rests
	}
	for i, old := range c.cycles {
		if math.Abs(time-old.Period) < same*old.Period && distanceToPath(at, old.path) < 1e-3*old.Size {
			return i, nil
		}
	}
	var eigen mat.Eigen
	if !eigen.Factorize(m, mat.EigenNone) {
		return Nowhere, fmt.Errorf("stability: cycles: the eigenvalues of a %d×%d matrix did not converge", n, n)
	}
	values := eigen.Values(nil)
	errors, err := c.errors(ctx, m, FixedPoint{Z: at}, values)
	if err != nil {
		return Nowhere, err
	}
	// The derivative is not known to rounding, but as far as steps of another error tell, and the place.
	other.Sub(other, m)
	coarse := 1 + (mat.Norm(other, 2)+left)/(float64(n)*2*unit[T]()*mat.Norm(m, 2))
	trivial := 0
	for i, v := range values {
		if cmplx.Abs(v-1) < cmplx.Abs(values[trivial]-1) {
			trivial = i
		}
	}
	nearest, neutral, repels := math.Inf(1), false, false
	for i, v := range values {
		if i == trivial {
			continue
		}
		cycle.Multipliers = append(cycle.Multipliers, v)
		gap, bound := cmplx.Abs(v)-1, errors[i]*coarse
		if math.Abs(gap) < nearest {
			nearest, cycle.MultiplierError = math.Abs(gap), bound
		}
		neutral = neutral || math.Abs(gap) <= bound
		repels = repels || gap > bound
		cycle.Family = cycle.Family || cmplx.Abs(v-1) <= bound
	}
	sortByModulus(cycle.Multipliers)
	switch {
	case repels:
		return Nowhere, nil // the state only passes
	case neutral:
		cycle.Status = Marginal
	}
	if cycle.Family {
		for i, old := range c.cycles {
			if old.Family && math.Abs(time-old.Period) < same*old.Period {
				return i, nil
			}
		}
	}
	c.cycles = append(c.cycles, cycle)
	return len(c.cycles) - 1, nil
}

// leastPeriod is the part of a period after which the state has come back already.
func (c *cycling[T]) leastPeriod(ctx context.Context, z []float64, period, size float64) (float64, error) {
	const parts = 10
	for k := parts; k > 1; k-- {
		next, _, err := c.flow(ctx, z, period/float64(k), 1e-8, false, nil)
		if err != nil {
			return 0, err
		}
		if math.Sqrt(kernels.SquaredDistance(next, z)) < 1e-3*size*math.Sqrt(float64(len(z))) {
			return period / float64(k), nil
		}
	}
	return period, nil
}

// follow draws the path of a cycle.
func (c *cycling[T]) follow(ctx context.Context, cycle *Cycle) error {
	cycle.path = [][]float64{cycle.Z}
	_, _, err := c.flow(ctx, cycle.Z, cycle.Period, 1e-8, false, func(_ float64, z []float64) {
		cycle.path = append(cycle.path, z)
		cycle.Size = max(cycle.Size, math.Sqrt(kernels.SquaredDistance(z, cycle.Z)))
	})
	return err
}

// roughOrbit takes a state that comes back for one of a cycle.
func (c *cycling[T]) roughOrbit(ctx context.Context, z []float64, period, size float64) (int, error) {
	next, _, err := c.flow(ctx, z, period, 1e-8, false, nil)
	if err != nil {
		return Nowhere, err
	}
	root := math.Sqrt(float64(len(z)))
	if !(math.Sqrt(kernels.SquaredDistance(next, z)) < 0.01*size*root) {
		return Nowhere, nil
	}
	cycle := Cycle{Period: period, Z: z, Error: math.NaN(), MultiplierError: math.NaN(), Status: Unclear}
	if err := c.follow(ctx, &cycle); err != nil {
		return Nowhere, err
	}
	c.cycles = append(c.cycles, cycle)
	return len(c.cycles) - 1, nil
}

// distanceToPath is that to the straight lines between states.
func distanceToPath(z []float64, path [][]float64) float64 {
	best := math.Inf(1)
	way, to := make([]float64, len(z)), make([]float64, len(z))
	for i := 1; i < len(path); i++ {
		kernels.Sub(way, path[i], path[i-1])
		kernels.Sub(to, z, path[i-1])
		if s := kernels.SumSquares(way); s > 0 {
			kernels.Axpy(-min(1, max(0, kernels.Dot(way, to)/s)), way, to)
		}
		best = min(best, norm(to))
	}
	return best
}
