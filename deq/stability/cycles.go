package stability

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"

	"gonum.org/v1/gonum/mat"
)

// Cycling are the options of Cycles.
type Cycling struct {
	Dynamics string  `default:"map" doc:"the map z ← f(z), or the rate dynamics dz/dt = −z + f(z)" choices:"map,rate"`
	Longest  int     `doc:"longest period, in steps of the map or units of time (default 1000 and 200)"`
	Effort   float64 `default:"1" doc:"factor of the evaluations of f that are allowed with the rate dynamics"`
	Near     float64 `default:"0.01" doc:"root mean square difference of units within which a state has come back, and is on a cycle"`
}

// Cycle is a periodic orbit at which states end.
type Cycle struct {
	Period float64 // in steps of the map, or in units of time
	Z      []float64
	// Error bounds how far Z is from a state of the cycle; NaN where it is not refined.
	Error float64
	Size  float64 // largest ‖z − Z‖ of its states
	// Status is Stable, Marginal where a multiplier is on the unit circle up to its error, Saddle where one is beyond, or
	// Unclear where they are not computed.
	Status string
	// Multipliers are the Floquet multipliers, the largest first: the eigenvalues of the derivative of the state after a
	// period, without the one of 1 that a flow has along its orbit. nil: not computed.
	Multipliers     []complex128
	MultiplierError float64 // bound of the error of the multiplier nearest to the unit circle
	// Family says that it is one of many, which other states beside it are on.
	Family bool
	Found  int // of the states

	continuum *Continuum  // of a family
	path      [][]float64 // of a flow
}

// Unbounded is the end of a state that leaves all bounds.
const Unbounded = -2

// Unclear is Cycle.Status where the multipliers are not computed.
const Unclear = "unclear"

// Cycles finds on which cycles the states [any number, units] are, up to Near, under the input x (nil: 0). It lets them run until they
// come back to where they were, goes on from there by Newton's method for z = f(… f(z)), and returns for each state the index of its
// cycle, Unbounded, or Nowhere: what comes back to no place is chaotic, quasi-periodic, or too slow. A cycle that repels states counts only
// for those that are on it to rounding. Where cycles of the rate dynamics take more evaluations of f to follow than are allowed, the
// error is a *StiffError, and the result what there is.
func Cycles[T deq.Float](ctx context.Context, l *deq.Layer[T], x, states []T, o Cycling) (cycles []Cycle, ends []int, err error) {
	o = options.WithDefaults(o)
	if o.Longest == 0 {
		if o.Longest = 1000; o.Dynamics == "rate" {
			o.Longest = 200
		}
	}
	if o.Dynamics != "map" && o.Dynamics != "rate" || o.Longest < 1 || !(o.Near > 0) {
		return nil, nil, fmt.Errorf("stability: cycles: expected map or rate dynamics, at least 1 step and a positive distance, found %q, %d and %g", o.Dynamics, o.Longest, o.Near)
	}
	if x == nil {
		x = make([]T, l.Inputs)
	}
	c := &cycling[T]{Cycling: o, search: &search[T]{Finder: Finder{Dynamics: "map"}, layer: l, x: x}, all: len(states) / l.Units}
	n := l.Units
	for first := 0; first < len(states); first += l.Batch() * n {
		z := states[first:min(first+l.Batch()*n, len(states))]
		if o.Dynamics == "rate" {
			own, err := c.orbits(ctx, z)
			if err != nil {
				return nil, nil, err
			}
			ends = append(ends, own...)
			continue
		}
		returns, err := c.returns(ctx, z)
		if err != nil {
			return nil, nil, err
		}
		for b, back := range returns {
			end := Nowhere
			if back.gone {
				end = Unbounded
			}
			if back.period > 0 {
				if end, err = c.place(ctx, widen(z[b*n:(b+1)*n]), back); err != nil {
					return nil, nil, err
				}
			}
			if end >= 0 {
				c.cycles[end].Found++
			}
			ends = append(ends, end)
		}
	}
	if c.stiff != nil {
		return c.cycles, ends, c.stiff
	}
	return c.cycles, ends, nil
}

// orbits finds the cycles of the rate dynamics that states are on.
func (c *cycling[T]) orbits(ctx context.Context, states []T) (ends []int, err error) {
	const most = 10 // times in vain
	n := c.layer.Units
	passes, err := c.passing(ctx, states)
	if err != nil {
		return nil, err
	}
	for b, p := range passes {
		end := Nowhere
		if p.gone {
			end = Unbounded
		}
		for _, period := range p.times {
			if p.gone {
				break
			}
			if c.failed >= most || c.stiff != nil {
				break
			}
			end, err = c.orbit(ctx, widen(states[b*n:(b+1)*n]), period, p.size)
			if over := (*overrun)(nil); errors.As(err, &over) {
				end, err = Nowhere, c.refuse(ctx, states[b*n:(b+1)*n], period, over)
			}
			if err != nil {
				return nil, err
			}
			if end != Nowhere {
				c.cycles[end].Found++
				break
			}
			c.failed++
		}
		ends = append(ends, end)
	}
	return ends, nil
}

// cycling is a search for cycles.
type cycling[T deq.Float] struct {
	Cycling
	*search[T]
	cycles []Cycle
	failed int // states that come near to where they were without a cycle
	all    int // states
	stiff  *StiffError
}

// refuse notes that a period takes too many evaluations of f.
func (c *cycling[T]) refuse(ctx context.Context, z []T, period float64, over *overrun) error {
	c.stiff = &StiffError{
		What: fmt.Sprintf("the cycle of a state that comes back after %.4g units of time, and others, were not followed", period), Needed: over.cost * period, Allowed: orbitEvals * c.Effort,
	}
	return rates(ctx, c.layer, c.x, z, c.stiff)
}

// comeback says that a state comes back.
type comeback struct {
	period float64 // 0 if it does not
	left   float64 // distance, root mean square
	size   float64 // largest distance on the way, root mean square
	exact  bool    // to rounding
	gone   bool    // it leaves all bounds
}

// returns finds after how many steps of the map states first come back.
func (c *cycling[T]) returns(ctx context.Context, states []T) ([]comeback, error) {
	const exact = 1e-10
	n := c.layer.Units
	z := append([]T(nil), states...)
	out := make([]comeback, len(z)/n)
	last := slices.Repeat([]float64{math.Inf(1)}, len(out))
	over := make([]bool, len(out))
	err := run(ctx, c.layer, c.x, z, "map", 1, c.Longest, func(step int, gone []bool) bool {
		if step == 0 {
			return true
		}
		for b := range out {
			if over[b] {
				continue
			}
			if gone[b] {
				out[b], over[b] = comeback{gone: true}, true
				continue
			}
			d := math.Sqrt(kernels.SquaredDistance(z[b*n:(b+1)*n], states[b*n:(b+1)*n]) / float64(n))
			size := norm(widen(states[b*n:(b+1)*n])) / math.Sqrt(float64(n))
			o := &out[b]
			o.size = max(o.size, d)
			switch {
			case math.IsInf(d+size, 0): // on its way out
			case d <= exact*(size+1e-3):
				*o, over[b] = comeback{period: float64(step), left: d, size: o.size, exact: true}, true
			case d < c.Near && d < 0.1*o.size && d < last[b] && (o.period == 0 || d < 0.01*o.left):
				o.period, o.left = float64(step), d
			}
			last[b] = d
		}
		return slices.Contains(over, false)
	})
	return out, err
}

// place finds the cycle that a state is on.
func (c *cycling[T]) place(ctx context.Context, z []float64, b comeback) (int, error) {
	const (
		most = 5   // states in vain
		work = 4e9 // multiplications for one derivative after a period
		less = 1e8 // and where the state may only pass by
	)
	n := len(z)
	root := math.Sqrt(float64(n))
	period := int(b.period)
	if period == 1 || c.failed >= most {
		return Nowhere, nil
	}
	c.times = period
	effort := float64(period) * math.Pow(float64(n), 3)
	if !b.exact && effort > less {
		return Nowhere, nil
	}
	if n > MaxDense || effort > work {
		if !(b.left < 1e-6) {
			return Nowhere, nil
		}
		return c.rough(ctx, z, b)
	}
	if i, err := c.seen(ctx, z, b.period, c.Near*root); i >= 0 || err != nil {
		return i, err
	}
	p, inverse, err := c.polish(ctx, z)
	if err != nil {
		return Nowhere, err
	}
	var f *factors
	if !p.still() {
		q, own, err := c.correct(ctx, p.z, -1, nil)
		if err != nil {
			return Nowhere, err
		}
		if q != nil {
			p, f = q, own
		}
	}
	if !p.still() || !(math.Sqrt(kernels.SquaredDistance(p.z, z)) < 5*c.Near*root) {
		c.failed++
		return Nowhere, nil
	}
	// The least period.
	for d := 1; d < period; d++ {
		if period%d != 0 {
			continue
		}
		c.times = d
		g, err := c.residual(p.z)
		if err != nil {
			return Nowhere, err
		}
		if norm(g) < 1e-6*b.size*root {
			if d == 1 {
				return Nowhere, nil // it rests, or is about to
			}
			return c.place(ctx, p.z, comeback{period: float64(d), size: b.size, exact: b.exact})
		}
	}
	c.times = period
	if i, err := c.seen(ctx, p.z, b.period, 1e-6*root); i >= 0 || err != nil {
		return i, err
	}
	cycle := Cycle{Period: b.period, Z: p.z, Error: p.noise * inverse, Status: Stable}
	if cycle.Size, err = c.extent(p.z, period); err != nil {
		return Nowhere, err
	}
	if !(inverse < singular) {
		if f == nil {
			if f = p.factor(); f == nil {
				return Nowhere, nil
			}
		}
		near, err := c.around(p, f)
		if err != nil {
			return Nowhere, err
		}
		cycle.Error = near.uncertain
		if near.open > 0 || f.weak(1e-7) > 1 {
			if cycle.continuum, _, err = c.explore(ctx, p, f); err != nil {
				return Nowhere, err
			}
			if k := cycle.continuum; k != nil && k.Dimension > 0 && len(f.sigma) > k.Dimension {
				cycle.Error = p.noise / f.sigma[n-1-k.Dimension]
			} else if k != nil {
				cycle.Error = 0
			}
		}
	}
	var eigen mat.Eigen
	if !eigen.Factorize(p.j, mat.EigenNone) {
		return Nowhere, fmt.Errorf("stability: cycles: the eigenvalues of a %d×%d matrix did not converge", n, n)
	}
	cycle.Multipliers = eigen.Values(nil)
	sortByModulus(cycle.Multipliers)
	errors := make([]float64, n)
	if slices.ContainsFunc(cycle.Multipliers, c.close) {
		if errors, err = c.errors(ctx, p.j, FixedPoint{Z: p.z, Error: cycle.Error}, cycle.Multipliers); err != nil {
			return Nowhere, err
		}
	}
	rests := restingModes(cycle.Multipliers, cycle.continuum.dimension())
	nearest, repels := math.Inf(1), false
	for i, v := range cycle.Multipliers {
		gap := cmplx.Abs(v) - 1
		if math.Abs(gap) < nearest {
			nearest, cycle.MultiplierError = math.Abs(gap), errors[i]
		}
		switch {
		case rests[i] || math.Abs(gap) <= errors[i]:
			cycle.Status = Marginal
		case gap > 0:
			repels = true
		}
	}
	if repels && !b.exact {
		c.failed++ // the state only passes
		return Nowhere, nil
	}
	if repels {
		cycle.Status = Saddle
	}
	cycle.Family = cycle.continuum != nil
	c.cycles = append(c.cycles, cycle)
	return len(c.cycles) - 1, nil
}

// seen is which of the cycles with a period a state is within some distance of, −1 for none.
func (c *cycling[T]) seen(ctx context.Context, z []float64, period, within float64) (int, error) {
	own := make([]T, len(z))
	narrow(own, z)
	for phase := 0; phase < int(period); phase++ {
		at := widen(own)
		for i, old := range c.cycles {
			if old.Period != period {
				continue
			}
			if math.Sqrt(kernels.SquaredDistance(at, old.Z)) <= max(within, 4*old.Error) {
				return i, nil
			}
			if old.continuum == nil {
				continue
			}
			left, err := c.approach(ctx, old.continuum, at, within)
			if err != nil {
				return Nowhere, err
			}
			if left <= within {
				return i, nil
			}
		}
		if len(c.cycles) == 0 {
			break
		}
		here, err := c.layer.At(c.x, own)
		if err != nil {
			return Nowhere, err
		}
		if err := here.Next(own); err != nil {
			return Nowhere, err
		}
	}
	return Nowhere, nil
}

// extent is the largest distance from z within a period.
func (c *cycling[T]) extent(z []float64, period int) (largest float64, err error) {
	own := make([]T, len(z))
	narrow(own, z)
	for range period {
		here, err := c.layer.At(c.x, own)
		if err != nil {
			return 0, err
		}
		if err := here.Next(own); err != nil {
			return 0, err
		}
		largest = max(largest, math.Sqrt(kernels.SquaredDistance(widen(own), z)))
	}
	return largest, nil
}

// rough takes a state that comes back for one of a cycle, whose leading multipliers come from products alone.
func (c *cycling[T]) rough(ctx context.Context, z []float64, b comeback) (int, error) {
	const leadingOnes = 6
	n, period := len(z), int(b.period)
	if i, err := c.seen(ctx, z, b.period, 1e-3*math.Sqrt(float64(n))); i >= 0 || err != nil {
		return i, err
	}
	cycle := Cycle{Period: b.period, Z: z, Error: math.NaN(), Status: Stable}
	var err error
	if cycle.Size, err = c.extent(z, period); err != nil {
		return Nowhere, err
	}
	own := make([]T, n)
	narrow(own, z)
	var along []*deq.Equilibrium[T]
	for range period {
		here, err := c.layer.At(c.x, own)
		if err != nil {
			return Nowhere, err
		}
		along = append(along, here)
		own = make([]T, n)
		if err := here.Next(own); err != nil {
			return Nowhere, err
		}
	}
	found, err := leading(ctx, 1, n, func(in, out []T) error {
		copy(out, in)
		for _, here := range along {
			if err := here.JVP(slices.Clone(out), out); err != nil {
				return err
			}
		}
		return nil
	}, Arnoldi{K: leadingOnes, Tol: 1e-6, Restarts: 20})
	if err != nil {
		return Nowhere, err
	}
	cycle.Multipliers = found[0].good()
	for i, v := range found[0].Values {
		gap := cmplx.Abs(v) - 1
		if gap > found[0].Residual[i] {
			cycle.Status = Saddle
			if !b.exact {
				return Nowhere, nil
			}
		} else if gap > -found[0].Residual[i]-1e-6 {
			cycle.Status, cycle.MultiplierError = Marginal, found[0].Residual[i]+1e-6
		}
	}
	c.cycles = append(c.cycles, cycle)
	return len(c.cycles) - 1, nil
}
