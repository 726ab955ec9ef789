package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

// nearKink is how near to a kink, relative to the state, a fixed point counts as on it: its position is known to about that.
const nearKink = 1e-9

// cone is the one-sided derivative g of a cell at a state on kinks, which is positively homogeneous, g(a v) = a g(v) for a ≥ 0,
// and linear on each of several cones. Perturbations v follow v ← g(v), or dv/dt = −v + g(v).
type cone[T deq.Float] struct {
	*search[T]
	z    []T
	here map[int]*deq.Sides[T] // of so many rows, before a direction
}

func (s *search[T]) newCone(z []float64) *cone[T] {
	c := &cone[T]{search: s, z: make([]T, len(z))}
	narrow(c.z, z)
	return c
}

// of writes g(v) to out, for rows v [any number, units].
func (c *cone[T]) of(v, out []T) error {
	n := len(c.z)
	size := c.layer.Batch() * n
	for first := 0; first < len(v); first += size {
		last := min(first+size, len(v))
		sides, err := c.sides(v[first:last])
		if err != nil {
			return err
		}
		if err := sides.JVP(v[first:last], out[first:last]); err != nil {
			return err
		}
	}
	return nil
}

// sides are those which directions v lead to, no more rows than the layer's batch holds.
func (c *cone[T]) sides(v []T) (*deq.Sides[T], error) {
	rows := len(v) / len(c.z)
	if c.here[rows] == nil {
		here, err := c.layer.At(c.inputs(rows), slices.Repeat(c.z, rows))
		if err != nil {
			return nil, err
		}
		if c.here == nil {
			c.here = map[int]*deq.Sides[T]{}
		}
		if c.here[rows], err = here.Sides(nearKink); err != nil {
			return nil, err
		}
	}
	return c.here[rows].Towards(v)
}

// growth is how the norm of perturbations grows along a direction, in nats per step or per unit of time.
type growth struct {
	rate, err float64
	last      []float64 // where the direction has come to, of unit length
}

// follow follows directions v [rows, units], each until its growth is steady: told from 0, or the same to the last digits that count.
func (c *cone[T]) follow(ctx context.Context, v []T) ([]growth, error) {
	const most = 3
	n := len(c.z)
	part, floor := 100, 1e-9 // steps of which means are taken, and what is not seen of a growth
	if c.Dynamics == "rate" {
		part, floor = 30, 1e-9+10*coneTol
	}
	out := make([]growth, len(v)/n)
	under := make([]int, len(out)) // way
	for b := range out {
		unit, _ := toUnit(v[b*n : (b+1)*n])
		under[b], out[b] = b, growth{last: unit}
	}
	for range most {
		v = v[:0]
		for _, b := range under {
			for _, x := range out[b].last {
				v = append(v, T(x))
			}
		}
		var means [3][]float64
		for third := range means {
			means[third] = make([]float64, len(under))
			for range part {
				if err := ctx.Err(); err != nil {
					return nil, fmt.Errorf("stability: fixed points: %w", err)
				}
				next := make([]T, len(v))
				if err := c.move(ctx, v, next); err != nil {
					return nil, err
				}
				for i := range under {
					unit, grown := toUnit(next[i*n : (i+1)*n])
					narrow(v[i*n:(i+1)*n], unit)
					means[third][i] += grown / float64(part)
				}
			}
		}
		still := under[:0]
		for i, b := range under {
			drift := math.Abs(means[2][i] - means[1][i])
			g := growth{rate: (means[2][i] + means[1][i]) / 2, err: drift + floor, last: widen(v[i*n : (i+1)*n])}
			if math.IsInf(means[2][i], -1) {
				g.rate, g.err = math.Inf(-1), 0
			}
			if out[b] = g; drift > floor && math.Abs(g.rate) <= 3*g.err {
				still = append(still, b)
			}
		}
		if under = still; len(under) == 0 {
			break
		}
		part *= 4
	}
	return out, nil
}

// toUnit is a vector at unit length, with the logarithm of its size: 0 and −∞ where it vanishes.
func toUnit[T deq.Float](v []T) ([]float64, float64) {
	unit, size := make([]float64, len(v)), norm(v)
	if !(size > 0) {
		return unit, math.Inf(-1)
	}
	kernels.Scale(unit, 1/size, widen(v))
	return unit, logOf(size)
}

// coneTol is the largest local error of a step by which perturbations follow the rate dynamics.
const coneTol = 1e-7

// move writes to next where v comes to in a step or a unit of time.
func (c *cone[T]) move(ctx context.Context, v, next []T) error {
	if c.Dynamics != "rate" {
		return c.of(v, next)
	}
	copy(next, v)
	m := mover[T]{layer: c.layer, z: next, gone: make([]bool, len(v)/len(c.z)), tol: coneTol}
	m.begin()
	m.runge.field = func(y, dy []T) error {
		if err := c.of(y, dy); err != nil {
			return err
		}
		kernels.Sub(dy, dy, y)
		return nil
	}
	m.slope = make([]T, len(v))
	if err := m.runge.field(next, m.slope); err != nil {
		return err
	}
	return m.flow(ctx, 1)
}

// onKinks classifies a point that is on kinks, by how perturbations of it grow along random directions, and along those that a
// piece maps to multiples of themselves where there are few pieces; it reports whether it is such a point.
func (s *search[T]) onKinks(ctx context.Context, p *FixedPoint) (bool, error) {
	if !s.layer.Kinked() {
		return false, nil
	}
	n := s.layer.Units
	c := s.newCone(p.Z)
	directions := 256
	switch {
	case n > 256:
		directions = 16
	case n > 64:
		directions = 64
	}
	found, on, err := c.grow(ctx, directions)
	if on == 0 || err != nil {
		return false, err
	}
	p.Kinks = on
	best := growth{rate: math.Inf(-1)}
	for _, g := range found {
		if g.rate > best.rate || best.last == nil {
			best = g
		}
		if g.rate > g.err {
			p.rays = distinct(p.rays, g.last)
		}
	}
	p.Gap, p.GapError = best.rate, best.err
	if s.Dynamics != "rate" {
		p.Gap = math.Expm1(best.rate)
		p.GapError = best.err * math.Exp(best.rate)
	}
	if err := c.eigenvalues(p, best.last); err != nil {
		return true, err
	}
	index, err := c.enumerate(ctx, p)
	if err != nil {
		return true, err
	}
	switch p.Complete = len(p.Values) == n || s.K > 0; {
	case len(p.rays) > 0:
		p.Status = Saddle
		p.Unstable = max(1, p.Unstable)
		p.Index = index
	case math.Abs(best.rate) <= best.err:
		p.Status, p.Marginal = Marginal, 1
	default:
		p.Status, p.Unstable = Stable, 0
		p.Index = 1 // of whatever returns from everywhere nearby
	}
	return true, nil
}

// OnKinks returns by what factor perturbations of a fixed point of one sample grow in a step at most, and on how many kinks of
// the cell that matter it is: with none it has a Jacobian, whose spectral radius tells that. See FixedPoint.Kinks.
func OnKinks[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int) (factor float64, kinks int, err error) {
	l := e.Layer()
	s := &search[T]{Finder: options.WithDefaults(Finder{}), layer: l, x: e.X[sample*l.Inputs : (sample+1)*l.Inputs]}
	p := FixedPoint{Z: widen(e.Z[sample*l.Units : (sample+1)*l.Units])}
	if on, err := s.onKinks(ctx, &p); !on || err != nil {
		return math.NaN(), 0, err
	}
	return 1 + p.Gap, p.Kinks, nil
}

// distinct adds a direction to those that are told apart by more than a hundredth, the first few.
func distinct(rays [][]float64, d []float64) [][]float64 {
	const most = 8
	for _, r := range rays {
		if kernels.Dot(r, d) > 1-1e-4 {
			return rays
		}
	}
	if len(rays) < most {
		rays = append(rays, d)
	}
	return rays
}

// grow follows random directions; it returns on how many kinks that matter the state is, and nothing where there are none.
func (c *cone[T]) grow(ctx context.Context, directions int) (found []growth, on int, err error) {
	r := rng.Stream(c.Seed, "stability/kinks")
	v := make([]T, directions*len(c.z))
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	linear, on, err := c.linear(v)
	if linear || err != nil {
		return nil, 0, err
	}
	found, err = c.follow(ctx, v)
	return found, on, err
}

// linear reports whether the kinks do not matter, g(−v) = −g(v), and on how many the point is.
func (c *cone[T]) linear(v []T) (bool, int, error) {
	n := len(c.z)
	few := v[:min(len(v), c.layer.Batch()*n)]
	sides, err := c.sides(few)
	if err != nil || sides.On[0] == 0 {
		return true, 0, err
	}
	there, back, minus := make([]T, len(few)), make([]T, len(few)), make([]T, len(few))
	kernels.Scale(minus, -1, few)
	if err := c.of(few, there); err != nil {
		return false, 0, err
	}
	if err := c.of(minus, back); err != nil {
		return false, 0, err
	}
	for i, x := range there {
		if x != -back[i] {
			return false, sides.On[0], nil
		}
	}
	return true, 0, nil
}

// eigenvalues are those of the piece that a direction leads to.
func (c *cone[T]) eigenvalues(p *FixedPoint, d []float64) error {
	n := len(c.z)
	if n > MaxDense {
		return nil
	}
	v := make([]T, n)
	narrow(v, d)
	sides, err := c.sides(v)
	if err != nil {
		return err
	}
	j, err := c.jacobian(sides, 0)
	if err != nil {
		return err
	}
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenNone) {
		return fmt.Errorf("stability: the eigenvalues of a piece of a %d×%d Jacobian did not converge", n, n)
	}
	p.Values = eigen.Values(nil)
	beyond := gapOf(c.Dynamics)
	slices.SortStableFunc(p.Values, func(a, b complex128) int {
		switch x, y := beyond(a), beyond(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for _, v := range p.Values {
		if beyond(v) > 0 {
			p.Unstable++
		}
	}
	if c.K > 0 && c.K < len(p.Values) {
		p.Values = p.Values[:c.K]
		p.Unstable = min(p.Unstable, c.K)
	}
	return nil
}

// enumerate goes through all pieces where there are few: it adds the unstable directions that one of them maps to multiples of
// themselves, which random ones need not come to, and finds the index, the sum of the signs of det(I − J) over the v
// with v − g(v) = y for any y; 0 where it is not known.
func (c *cone[T]) enumerate(ctx context.Context, p *FixedPoint) (index int, err error) {
	const kinks, units = 10, 64
	n := len(c.z)
	if p.Kinks > kinks || n > units {
		return 0, nil
	}
	r := rng.Stream(c.Seed, "stability/index")
	y := mat.NewVecDense(n, nil)
	v := make([]T, n)
	for i := range n {
		y.SetVec(i, r.NormFloat64())
		v[i] = 1
	}
	sides, err := c.sides(v)
	if err != nil {
		return 0, err
	}
	holds := func(v []float64, want func(i int) float64) (bool, error) { // g(v) = want
		own, g := make([]T, n), make([]T, n)
		narrow(own, v)
		if err := c.of(own, g); err != nil {
			return false, err
		}
		size := norm(v) + norm(g)
		for i, x := range g {
			if !(math.Abs(float64(x)-want(i)) <= 1e-9*size) {
				return false, nil
			}
		}
		return true, nil
	}
	beyond := gapOf(c.Dynamics)
	var roots [][]float64
	for bits := range uint64(1) << sides.On[0] {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("stability: fixed points: %w", err)
		}
		piece, err := sides.Piece(0, 1, bits)
		if err != nil {
			return 0, err
		}
		j, err := c.jacobian(piece, 0)
		if err != nil {
			return 0, err
		}
		var eigen mat.Eigen
		if !eigen.Factorize(j, mat.EigenRight) {
			return 0, nil
		}
		vectors := new(mat.CDense)
		eigen.VectorsTo(vectors)
		for k, value := range eigen.Values(nil) {
			if imag(value) != 0 || !(real(value) > 0 && beyond(value) > 1e-9) {
				continue
			}
			for _, sign := range []float64{1, -1} {
				d := make([]float64, n)
				for i := range d {
					d[i] = sign * real(vectors.At(i, k))
				}
				own, err := holds(d, func(i int) float64 { return real(value) * d[i] })
				if err != nil {
					return 0, err
				}
				if own {
					kernels.Scale(d, 1/norm(d), d)
					p.rays = distinct(p.rays, d)
				}
			}
		}
		apart := (&spot{z: p.Z, j: j}).apart()
		var lu mat.LU
		lu.Factorize(apart)
		root := mat.NewVecDense(n, nil)
		if lu.SolveVecTo(root, false, y) != nil {
			continue // singular, or nearly so: y is not reached from there but by chance
		}
		at := root.RawVector().Data
		own, err := holds(at, func(i int) float64 { return at[i] - y.AtVec(i) })
		if err != nil {
			return 0, err
		}
		if !own || slices.ContainsFunc(roots, func(o []float64) bool { return kernels.SquaredDistance(o, at) < 1e-16*kernels.SumSquares(at) }) {
			continue
		}
		roots = append(roots, slices.Clone(at))
		if _, sign := lu.LogDet(); sign > 0 {
			index++
		} else {
			index--
		}
	}
	return index, nil
}

// tiny is the size below which an entry of the state of a cell with kinks counts as 0: smaller numbers lose their digits.
const tiny = 1e-290

// vanish sets what is tiny of the state to 0, and reports whether there is some.
func (f *flow[T]) vanish() (some bool) {
	for i, v := range f.z {
		if v != 0 && math.Abs(float64(v)) < tiny {
			f.z[i], some = 0, true
		}
	}
	return some
}

// tangent writes J v to jv for rows v [any number, units] and J way to wayOut, which may be way. Where the state is on kinks J
// is that of the piece which way, and then v, lead to.
func (f *flow[T]) tangent(here *deq.Equilibrium[T], way, v, wayOut, jv []T) error {
	if f.way == nil {
		return product(here, v, jv)
	}
	directions := [][]T{way}
	for first := 0; first < len(v); first += f.n {
		directions = append(directions, v[first:first+f.n])
	}
	sides, err := here.Sides(0, directions...)
	if err != nil {
		return err
	}
	if sides.On[0] == 0 {
		if err := product(here, v, jv); err != nil {
			return err
		}
		return here.JVP(way, wayOut)
	}
	size := f.layer.Batch() * f.n
	for first := 0; first < len(v); first += size {
		last := min(first+size, len(v))
		same, err := sides.Repeat(0, (last-first)/f.n)
		if err != nil {
			return err
		}
		if err := same.JVP(v[first:last], jv[first:last]); err != nil {
			return err
		}
	}
	return sides.JVP(way, wayOut)
}

// lead keeps the way at unit length. Once it has vanished, at a state that rests, it is the direction that grows
// most of many.
func (f *flow[T]) lead() error {
	if f.way == nil {
		return nil
	}
	if size := norm(f.way); size > 0 && !math.IsInf(size, 0) {
		kernels.Scale(f.way, T(1/size), f.way)
		return nil
	}
	if f.led || !slices.Equal(f.z, f.next) {
		return nil
	}
	f.led = true
	const directions = 64
	r := rng.Stream(1, "stability/way")
	v := make([]T, directions*f.n)
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	c := &cone[T]{search: &search[T]{layer: f.layer, x: f.x}, z: f.z}
	found, err := c.follow(context.Background(), v)
	if err != nil {
		return err
	}
	best := math.Inf(-1)
	for _, g := range found {
		if g.rate > best {
			best = g.rate
			narrow(f.way, g.last)
		}
	}
	return nil
}
