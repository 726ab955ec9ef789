package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

// spread finds the continuum that a fixed point of a cell with kinks is on, where the cell is linear between them: of each piece
// the fixed points are a polyhedron, the solutions of (I − J) z = c on the piece's sides of the kinks. Those that have a state
// in common are one continuum. It returns nil where there is none, and where a piece is not linear.
func (s *search[T]) spread(ctx context.Context, p *spot) (*Continuum, error) {
	const most = 4096 // pieces
	c := &Continuum{}
	seen := map[string]bool{}
	for queue := [][]float64{p.z}; len(queue) > 0 && len(seen) < most; queue = queue[1:] {
		pieces, err := s.pieces(queue[0])
		if err != nil {
			return nil, err
		}
		for _, piece := range pieces {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("stability: fixed points: %w", err)
			}
			key := fmt.Sprint(piece.Taken(0))
			if seen[key] {
				continue
			}
			seen[key] = true
			q, err := s.solutions(queue[0], piece)
			if err != nil {
				return nil, err
			}
			if q != nil && c.join(q) {
				queue = append(append(queue, q.corners...), q.centre)
			}
		}
	}
	if len(c.faces) == 0 {
		return nil, nil
	}
	c.gather()
	return c, nil
}

// pieces are those that meet at a state: all where it is on few kinks, or those to which random directions lead.
func (s *search[T]) pieces(z []float64) (pieces []*deq.Sides[T], err error) {
	const kinks = 10
	here, err := s.at(z)
	if err != nil {
		return nil, err
	}
	sides, err := here.Sides(nearKink)
	if err != nil {
		return nil, err
	}
	on := sides.On[0]
	all := uint64(1) << min(on, kinks)
	bits := make([]uint64, 0, all)
	for b := range all {
		bits = append(bits, b)
	}
	if on > kinks {
		bits = []uint64{0, math.MaxUint64}
	}
	for _, b := range bits {
		piece, err := sides.Piece(0, 1, b)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
	}
	if on <= kinks {
		return pieces, nil
	}
	r := rng.Stream(s.Seed, "stability/pieces")
	directions := 256
	if len(z) > 64 {
		directions = 16
	}
	for range directions {
		v := make([]T, len(z))
		for i := range v {
			v[i] = T(r.NormFloat64())
		}
		piece, err := here.Sides(nearKink, v)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

// solutions are the fixed points of a piece around one, nil where it is the only one and where the piece is not linear.
func (s *search[T]) solutions(z []float64, piece *deq.Sides[T]) (*polyhedron, error) {
	const regular = 1e8 // condition up to which I − J surely is
	n := len(z)
	j, err := s.jacobian(piece, 0)
	if err != nil {
		return nil, err
	}
	p := &polyhedron{origin: z, j: j, scale: math.Sqrt(float64(n)) + norm(z)}
	here := &spot{z: z, j: j}
	var lu mat.LU
	if lu.Factorize(here.apart()); lu.Cond() < regular {
		return nil, nil
	}
	f := here.factor()
	if f == nil {
		return nil, nil
	}
	d := f.weak(16 * float64(n) * unit[T]() * max(1, f.sigma[0]))
	at, err := piece.Kinks()
	if err != nil || d == 0 {
		return nil, err
	}
	slopes := make([][]float64, len(at))
	for k := range d {
		p.basis = append(p.basis, f.direction(k))
		v := make([]T, n)
		narrow(v, p.basis[k])
		own, err := piece.Slopes(v)
		if err != nil {
			return nil, err
		}
		for i, slope := range own {
			slopes[i] = append(slopes[i], float64(slope))
		}
	}
	for i, side := range piece.Taken(0) {
		far := float64(at[i])
		if side <= 0 {
			far = -far
			kernels.Scale(slopes[i], -1, slopes[i])
		}
		p.bound(slopes[i], far)
	}
	if p.survey(rng.Stream(s.Seed, "stability/survey")); p.dimension == 0 {
		return nil, nil
	}
	for _, q := range append([][]float64{p.centre}, p.corners...) {
		g, err := s.residual(q)
		if err != nil {
			return nil, err
		}
		if norm(g) > 8*s.noise(j, q)+8*unit[T]()*p.scale {
			return nil, nil
		}
	}
	return p, nil
}

// jacobian is the matrix ∂f/∂z on the sides of a row.
func (s *search[T]) jacobian(sides *deq.Sides[T], row int) (*mat.Dense, error) {
	n := s.layer.Units
	rows := min(n, s.layer.Batch())
	same, err := sides.Repeat(row, rows)
	if err != nil {
		return nil, err
	}
	return assemble(n, rows, same.JVP)
}

// join takes a polyhedron among those of the continuum, unless it is part of one.
func (c *Continuum) join(q *polyhedron) bool {
	if slices.ContainsFunc(c.faces, q.within) {
		return false
	}
	c.faces = append(slices.DeleteFunc(c.faces, func(old *polyhedron) bool { return old.within(q) }), q)
	return true
}

// gather finds what the polyhedra are together.
func (c *Continuum) gather() {
	c.Dimension, c.Extent, c.samples = 0, 0, nil
	var all [][]float64
	endless := false
	for _, q := range c.faces {
		c.Dimension = max(c.Dimension, q.dimension)
		endless = endless || q.endless
		all = append(append(all, q.corners...), q.centre)
	}
	for i, a := range all {
		for _, b := range all[:i] {
			c.Extent = max(c.Extent, math.Sqrt(kernels.SquaredDistance(a, b)))
		}
		c.samples = append(c.samples, sample{spot: &spot{z: a}})
	}
	if endless {
		c.Extent = math.Inf(1)
	}
	c.Closed = c.Dimension == 1 && !endless && c.loops()
}

// loops says that each end of every line is one of another.
func (c *Continuum) loops() bool {
	for i, q := range c.faces {
		for _, z := range q.corners {
			if !slices.ContainsFunc(slices.Concat(c.faces[:i], c.faces[i+1:]), func(o *polyhedron) bool { return !o.alone(z) }) {
				return false
			}
		}
	}
	return true
}

// touches says that two continua of polyhedra are one.
func (c *Continuum) touches(other *Continuum) bool {
	for _, q := range c.faces {
		if slices.ContainsFunc(other.faces, q.touches) {
			return true
		}
	}
	return false
}

// onPieces counts a fixed point of a cell with kinks to the continuum that it is on, and lists that if it is new; it reports whether
// there is one.
func (s *search[T]) onPieces(ctx context.Context, p *spot) (bool, error) {
	if s.times > 1 || !p.still() || !s.layer.Kinked() {
		return false, nil
	}
	near := 1e-6 * math.Sqrt(float64(len(p.z)))
	for _, c := range s.curves {
		if c.faces != nil && c.far(p.z) <= near {
			s.found(c, p.z)
			return true, nil
		}
	}
	c, err := s.spread(ctx, p)
	if c == nil || err != nil {
		return false, err
	}
	widest := c.widest()
	here := &spot{z: widest.centre, j: widest.j}
	if here.g, err = s.residual(here.z); err != nil {
		return false, err
	}
	here.size, here.noise = norm(here.g), s.noise(here.j, here.z)
	return true, s.extend(ctx, here, c)
}

// widest is one of the polyhedra that have the most dimensions, nil where there are none.
func (c *Continuum) widest() *polyhedron {
	if c == nil || c.faces == nil {
		return nil
	}
	return slices.MaxFunc(c.faces, func(a, b *polyhedron) int { return a.dimension - b.dimension })
}

// far is the distance of a state from the polyhedra.
func (c *Continuum) far(z []float64) float64 {
	least := math.Inf(1)
	for _, q := range c.faces {
		_, far := q.nearest(z)
		least = min(least, far)
	}
	return least
}

// measureFaces fills in what the spectra of the polyhedra say, each within it, and how perturbations of the corners grow.
func (s *search[T]) measureFaces(ctx context.Context, p *FixedPoint) error {
	const corners, directions = 8, 32
	c := p.Continuum
	c.represent()
	c.Transversal, c.Attracting = math.Inf(-1), true
	for _, q := range c.faces {
		found, err := s.spectrumOf(ctx, q.j, FixedPoint{Z: q.centre})
		if err != nil {
			return err
		}
		c.compare(found, q.dimension, gapOf(s.Dynamics))
	}
	seen := 0
	for _, q := range c.faces {
		for _, z := range q.corners[:min(len(q.corners), corners-seen)] {
			seen++
			found, _, err := s.newCone(z).grow(ctx, directions)
			if err != nil {
				return err
			}
			for _, g := range found {
				c.Attracting = c.Attracting && !(g.rate > g.err)
			}
		}
	}
	if c.Dimension == len(p.Z) {
		c.Transversal = math.NaN()
	}
	return nil
}
