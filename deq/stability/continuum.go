package stability

import (
	"context"
	"math"
	"slices"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// Continuum is a connected set of fixed points: a line, a ring, a plane.
type Continuum struct {
	Dimension int
	// Extent is the largest distance ‖z − z′‖ of two of its points that were seen, infinite where it goes on beyond
	// 32 √n from where it was found, of cells with kinks 32 (√n + ‖z‖).
	Extent float64
	Closed bool        // a curve that returns to itself
	Points [][]float64 // a few of its points, far from each other
	// Neutrality is the largest distance from 1 that the eigenvalues along it have at these points, in modulus or with
	// rate dynamics in real part: rounding, if nothing drifts on it.
	Neutrality float64
	// Transversal is the largest modulus, or real part, of the other eigenvalues at these points, NaN where there are no
	// others. Below 1 by more than its error everywhere it is Attracting.
	Transversal float64
	Attracting  bool

	samples []sample
	faces   []*polyhedron // that it is made of, nil where it is not
}

// dimension is 0 of nil.
func (c *Continuum) dimension() int {
	if c == nil {
		return 0
	}
	return c.Dimension
}

// sample is a state of a continuum or of a curve of slow states.
type sample struct {
	*spot
	f     *factors  // of I − J there or nearby, nil if not known
	u     []float64 // the left singular vector of the weakest direction, with one sign along the curve
	drift float64   // the residual along it
}

// weakestLeft is u, or that of the factors where there is no sign to keep.
func (q sample) weakestLeft() []float64 {
	if q.u != nil {
		return q.u
	}
	return q.f.left()
}

// left is the left singular vector of the smallest value.
func (f *factors) left() []float64 { return mat.Col(nil, len(f.sigma)-1, f.u) }

// aligned is left with the sign that it has at a neighbour.
func (f *factors) aligned(to sample) []float64 {
	u := f.left()
	if kernels.Dot(u, to.weakestLeft()) < 0 {
		kernels.Scale(u, -1, u)
	}
	return u
}

// drift is a residual along the weakest direction, with the sign of a neighbour.
func (f *factors) drift(g []float64, beside sample) float64 { return kernels.Dot(f.aligned(beside), g) }

const (
	// least is the root mean square of the units' differences over which fixed points must go on to be a continuum.
	least = 0.05
	// finest is the root mean square difference from which two fixed points are told apart.
	finest = 1e-9
	// reach is where following it ends.
	reach = 32.0
	// weakest is the singular value of I − J below which a direction is looked at.
	weakest = 1e-4
)

// neighbourhood is what is around a fixed point where I − J is nearly singular.
type neighbourhood struct {
	uncertain float64     // distance within which rounding hides where the point is
	sure      bool        // that the residual changes sign across it, or that it is small
	others    [][]float64 // states near other fixed points
	open      int         // directions in which the residual stays at rounding level up to least
}

// around looks at the residual along each weak direction v of I − J at p, with the state in the others where f(z) − z
// vanishes (Lyapunov and Schmidt): from the distance at which it leaves rounding level it is known how well the point is, and
// where it changes sign there is another.
func (s *search[T]) around(p *spot, f *factors) (*neighbourhood, error) {
	const most = 8 // directions
	n := len(p.z)
	root := math.Sqrt(float64(n))
	weak := f.weak(weakest)
	out := &neighbourhood{sure: true}
	if weak < n {
		out.uncertain = p.noise / f.sigma[n-1-weak]
	}
	for k := range min(weak, most) {
		v, u := f.direction(k), make([]float64, n)
		for i := range u {
			u[i] = f.u.At(i, n-1-k)
		}
		var first [2]float64 // the residual that leaves rounding level on either side
		for side, sign := range []float64{1, -1} {
			unsure, was := true, 0.0
			far := 0.0
			for a := finest * root; a <= root; a *= 2 {
				z := append([]float64(nil), p.z...)
				kernels.Axpy(sign*a, v, z)
				g, err := s.residual(z)
				if err != nil {
					return nil, err
				}
				for range 8 { // what the others correct
					step := f.step(g, weak)
					next := make([]float64, n)
					kernels.Add(next, z, step)
					after, err := s.residual(next)
					if err != nil {
						return nil, err
					}
					if !(norm(after) < norm(g)) {
						break
					}
					enough := norm(after) > 0.5*norm(g)
					if z, g = next, after; enough {
						break
					}
				}
				along, noise := kernels.Dot(u, g), s.noise(p.j, z)
				if unsure {
					if far = a; norm(g) <= noise {
						continue
					}
					unsure, first[side] = false, along
				}
				if math.Abs(along) > noise {
					if was*along < 0 {
						half := append([]float64(nil), p.z...)
						kernels.Axpy(0.75*sign*a, v, half)
						out.others = append(out.others, half)
					}
					was = along
				}
			}
			if far == finest*root { // it leaves at once: the linear part decides
				far = p.noise / f.sigma[n-1-k]
			}
			if out.uncertain = max(out.uncertain, far); far > least*root {
				out.open++
			}
		}
		if !(first[0]*first[1] < 0) {
			out.sure = false
		}
	}
	out.sure = out.sure || out.uncertain <= least*root
	return out, nil
}

// explore finds the continuum that a fixed point is on, or if p is on a curve of slow states, as is what is left of a
// continuum when the network is not quite symmetric, the fixed points along that. Both are nil where there is neither.
func (s *search[T]) explore(ctx context.Context, p *spot, f *factors) (c *Continuum, rests []*spot, err error) {
	const most = 6 // directions that are followed far
	root := math.Sqrt(float64(len(p.z)))
	var ways [][]float64
	if p.still() {
		for k := range f.weak(weakest) {
			way, err := s.probe(ctx, p, f.direction(k))
			if err != nil {
				return nil, nil, err
			}
			if way != nil && fresh(way, ways) {
				ways = append(ways, way)
			}
		}
	}
	c = &Continuum{Dimension: len(ways), samples: []sample{{spot: p, f: f}}}
	if len(ways) == 0 {
		ways = [][]float64{f.direction(0)}
	}
	fixed, unbounded := c.Dimension > 0, false
	for _, way := range ways[:min(most, len(ways))] {
		var paths [2][]sample
		reached := 0.0
		for side, sign := range []float64{1, -1} {
			d := make([]float64, len(way))
			kernels.Scale(d, sign, way)
			path, end, err := s.trace(ctx, p, f, d, len(ways))
			if err != nil {
				return nil, nil, err
			}
			fixed = fixed && resting(path, end, root)
			paths[side] = path
			for _, q := range path {
				if !q.still() {
					break
				}
				reached = max(reached, math.Sqrt(kernels.SquaredDistance(q.z, p.z)))
			}
			unbounded = unbounded || end == unending
			if end == closes {
				c.Closed, reached = len(ways) == 1, math.Inf(1)
				break
			}
		}
		for _, path := range paths {
			for _, q := range path {
				if q.still() || !fixed {
					c.samples = append(c.samples, q)
				}
			}
		}
		if !(reached >= least*root) {
			c.Dimension--
		}
		if len(ways) == 1 && !fixed {
			slices.Reverse(paths[1])
			path := append(append(paths[1], sample{spot: p, f: f, drift: kernels.Dot(f.left(), p.g)}), paths[0]...)
			if c.Closed {
				path = append(path, path[0])
			}
			if rests, err = s.crossings(ctx, path); err != nil {
				return nil, nil, err
			}
		}
	}
	if !fixed || c.Dimension == 0 {
		if c.Dimension = 1; len(rests) == 0 {
			c = nil
		}
		return c, rests, nil
	}
	for i, a := range c.samples {
		for _, b := range c.samples[:i] {
			c.Extent = max(c.Extent, math.Sqrt(kernels.SquaredDistance(a.z, b.z)))
		}
	}
	if unbounded {
		c.Extent = math.Inf(1)
	}
	return c, nil, nil
}

// resting says that the states of a path rest up to its end, and that they do not fade out of rounding into slow ones: where they
// end the residual rises at once, as at a kink.
func resting(path []sample, end string, root float64) bool {
	last := -1
	for last+1 < len(path) && path[last+1].still() {
		last++
	}
	if last == len(path)-1 {
		return true
	}
	for _, q := range path[last+1:] {
		if q.size > 1e3*q.noise {
			return last < 0 || math.Sqrt(kernels.SquaredDistance(q.z, path[last].z)) < 2e-3*root
		}
	}
	return end == leaves
}

// crossings finds the fixed points between the states of a path where the drift along it changes its sign.
func (s *search[T]) crossings(ctx context.Context, path []sample) (rests []*spot, err error) {
	last := -1 // that has a drift above rounding
	for i, q := range path {
		if !(math.Abs(q.drift) > q.noise) {
			continue
		}
		if last >= 0 && q.drift*path[last].drift < 0 {
			lo, hi := path[last], q
			for range 60 {
				z := make([]float64, len(q.z))
				kernels.Lerp(z, lo.z, hi.z, 0.5)
				p, f, err := s.correct(ctx, z, 1, lo.f)
				if err != nil {
					return nil, err
				}
				if p == nil {
					break
				}
				if p.still() {
					rests = append(rests, p)
					break
				}
				if f == nil {
					f = lo.f
				}
				m := sample{spot: p, f: f, u: f.aligned(lo), drift: f.drift(p.g, lo)}
				if m.drift*lo.drift > 0 {
					lo = m
				} else {
					hi = m
				}
			}
		}
		last = i
	}
	return rests, nil
}

// fresh says that a unit vector is not in the span of others, and takes what is in it off.
func fresh(v []float64, basis [][]float64) bool {
	for range 2 {
		for _, b := range basis {
			kernels.Axpy(-kernels.Dot(b, v), b, v)
		}
	}
	size := norm(v)
	if !(size > 0.3) {
		return false
	}
	kernels.Scale(v, 1/size, v)
	return true
}

// probe returns the unit vector to a fixed point some way off along ±v, nil where there is none.
func (s *search[T]) probe(ctx context.Context, p *spot, v []float64) ([]float64, error) {
	for _, h := range []float64{least, least / 5, least / 25} {
		h *= math.Sqrt(float64(len(v)))
		for _, sign := range []float64{1, -1} {
			z := append([]float64(nil), p.z...)
			kernels.Axpy(sign*h, v, z)
			q, _, err := s.correct(ctx, z, -1, nil)
			if err != nil {
				return nil, err
			}
			if q == nil {
				continue
			}
			d := make([]float64, len(v))
			kernels.Sub(d, q.z, p.z)
			if far := norm(d); far > h/4 && math.Sqrt(kernels.SquaredDistance(q.z, z)) < h {
				kernels.Scale(d, 1/far, d)
				return d, nil
			}
		}
	}
	return nil, nil
}

// The ends of following a curve.
const (
	closes   = "closes"   // at its begin
	unending = "unending" // within reach
	leaves   = "leaves"   // the states that are slow
)

// trace follows a curve of slow states from p in a direction by steps along the secant, each corrected across the d directions in
// which the set goes on, as long as the residual is small: that of fixed points stays at rounding level.
func (s *search[T]) trace(ctx context.Context, p *spot, f *factors, dir []float64, d int) (path []sample, end string, err error) {
	const (
		most = 2000 // states
		slow = 1e-5 // largest ‖f(z) − z‖, relative to ‖z‖ + √n
	)
	n := len(p.z)
	root := math.Sqrt(float64(n))
	begin := dir
	at := sample{spot: p, f: f, drift: kernels.Dot(f.left(), p.g)}
	h, gone, slope := least/5*root, 0.0, 0.0
	for len(path) < most {
		z := append([]float64(nil), at.z...)
		kernels.Axpy(h, dir, z)
		q, own, err := s.correct(ctx, z, d, at.f)
		if err != nil {
			return nil, "", err
		}
		if q != nil && q.size <= slow*(norm(q.z)+root) {
			if own == nil {
				own = at.f
			}
			step := make([]float64, n)
			kernels.Sub(step, q.z, at.z)
			far := norm(step)
			next := sample{spot: q, f: own}
			next.drift = own.drift(q.g, at)
			surprise := math.Abs(next.drift - at.drift - far*slope)
			seen := max(math.Abs(next.drift), math.Abs(at.drift))
			if far > h/2 && math.Sqrt(kernels.SquaredDistance(q.z, z)) < h/4 && (seen <= 10*q.noise || surprise < 0.5*seen || h < 1e-4*root) {
				kernels.Scale(step, 1/far, step)
				if gone > 2*far && closesAt(p.z, at.z, step, far) && kernels.Dot(step, begin) > 0.5 {
					return path, closes, nil
				}
				turn := kernels.Dot(step, dir)
				gone += far
				dir = step
				next.u = next.f.aligned(at)
				slope = (next.drift - at.drift) / far
				at = next
				path = append(path, sample{spot: &spot{z: q.z, g: q.g, size: q.size, noise: q.noise}, u: at.u, drift: at.drift})
				if turn > 0.998 && surprise < 0.2*max(seen, 50*q.noise) {
					h *= 1.5
				} else if turn < 0.98 {
					h /= 1.5
				}
				if math.Sqrt(kernels.SquaredDistance(at.z, p.z)) > reach*root {
					return path, unending, nil
				}
				continue
			}
		}
		if h /= 2; h < 1e-6*root {
			break
		}
	}
	return path, leaves, nil
}

// closesAt says that a step of length far from a state passes a point.
func closesAt(point, from, step []float64, far float64) bool {
	d := make([]float64, len(point))
	kernels.Sub(d, point, from)
	along := kernels.Dot(step, d)
	if along < 0 || along > far {
		return false
	}
	kernels.Axpy(-along, step, d)
	return norm(d) < far/4
}

// approach goes on the continuum as near to z as it can and returns the distance that is left. As soon as that is at most
// enough it ends.
func (s *search[T]) approach(ctx context.Context, c *Continuum, z []float64, enough float64) (float64, error) {
	const steps = 30
	if c.faces != nil {
		return c.far(z), nil
	}
	near, best := 0, math.Inf(1)
	for i, q := range c.samples {
		if d := kernels.SquaredDistance(q.z, z); d < best {
			near, best = i, d
		}
	}
	best = math.Sqrt(best)
	n := len(z)
	at, f := c.samples[near].z, c.samples[near].f
	for range steps {
		if best <= enough {
			return best, nil
		}
		if f == nil {
			p, err := s.spot(ctx, at)
			if err != nil {
				return 0, err
			}
			if f = p.factor(); f == nil {
				return best, nil
			}
			if n <= 128 && &at[0] == &c.samples[near].z[0] {
				c.samples[near].f = f
			}
		}
		way := make([]float64, n)
		kernels.Sub(way, z, at)
		way = f.along(way, c.Dimension)
		if !(norm(way) > 1e-3*enough) {
			return best, nil
		}
		moved := false
		for t := 1.0; t > 0.02 && !moved; t /= 2 {
			to := append([]float64(nil), at...)
			kernels.Axpy(t, way, to)
			q, _, err := s.correct(ctx, to, c.Dimension, f)
			if err != nil {
				return 0, err
			}
			if q == nil || math.Sqrt(kernels.SquaredDistance(q.z, to)) > t*norm(way)/2+enough {
				continue
			}
			if left := math.Sqrt(kernels.SquaredDistance(q.z, z)); left < 0.999*best {
				at, best, moved = q.z, left, true
			}
		}
		if !moved {
			return best, nil
		}
		f = nil
	}
	return best, nil
}

// represent chooses a few samples far from each other as the points of a continuum.
func (c *Continuum) represent() {
	const few = 5
	far := make([]float64, len(c.samples))
	for i := range far {
		far[i] = math.Inf(1)
	}
	next := 0
	for len(c.Points) < min(few, len(c.samples)) {
		c.Points = append(c.Points, c.samples[next].z)
		for i, q := range c.samples {
			far[i] = min(far[i], kernels.SquaredDistance(q.z, c.samples[next].z))
			if far[i] > far[next] {
				next = i
			}
		}
		if far[next] == 0 {
			return
		}
	}
}
