package stability

import (
	"math"
	"math/rand/v2"
	"slices"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// polyhedron is the set of the states z₀ + N y with A y + c ≥ 0, where the columns of N are orthonormal.
type polyhedron struct {
	origin []float64
	basis  [][]float64 // columns of N
	a      [][]float64 // rows of A, of unit length
	c      []float64
	j      *mat.Dense // ∂f/∂z on the piece whose fixed points they are

	dimension int
	scale     float64     // √n + ‖z₀‖
	centre    []float64   // one of its states, off its boundary
	corners   [][]float64 // states of it that are far from each other, its ends among them
	endless   bool        // it goes on beyond reach
}

// nearest is the state of the polyhedron that is nearest to z, and its distance. It begins at the nearest of the span, and makes the
// constraints that do not hold active one after the other, with forces that are not negative.
//
// D. Goldfarb and A. Idnani, Math. Program. 27 (1983) 1–33, doi:10.1007/BF02591962.
func (p *polyhedron) nearest(z []float64) ([]float64, float64) {
	way := make([]float64, len(z))
	kernels.Sub(way, z, p.origin)
	y := make([]float64, len(p.basis))
	for i, b := range p.basis {
		y[i] = kernels.Dot(b, way)
	}
	tol := 1e-14 * (p.scale + norm(y))
	var active []int
	var forces []float64
	for range 10 * (len(p.a) + len(y)) {
		next, worst := -1, -tol
		for i, a := range p.a {
			if left := kernels.Dot(a, y) + p.c[i]; left < worst && !slices.Contains(active, i) {
				next, worst = i, left
			}
		}
		if next < 0 {
			break
		}
		for force := 0.0; ; {
			share, rest := p.along(active, p.a[next])
			drop, t := -1, math.Inf(1)
			for i, v := range share {
				if v > 0 && forces[i]/v < t {
					drop, t = i, forces[i]/v
				}
			}
			if size := kernels.SumSquares(rest); size > 1e-20 {
				if full := -(kernels.Dot(p.a[next], y) + p.c[next]) / size; full <= t {
					drop, t = -1, full
				}
				kernels.Axpy(t, rest, y)
			} else if drop < 0 {
				break // it holds nowhere but for rounding
			}
			kernels.Axpy(-t, share, forces)
			force += t
			if drop < 0 {
				active, forces = append(active, next), append(forces, force)
				break
			}
			active, forces = slices.Delete(active, drop, drop+1), slices.Delete(forces, drop, drop+1)
		}
	}
	for range 2 { // what rounding has left
		left := make([]float64, len(p.a))
		for _, i := range active {
			left[i] = kernels.Dot(p.a[i], y) + p.c[i]
		}
		p.restore(active, left, y)
	}
	at := append([]float64(nil), p.origin...)
	for i, b := range p.basis {
		kernels.Axpy(y[i], b, at)
	}
	return at, math.Sqrt(kernels.SquaredDistance(at, z))
}

// along writes a vector as a sum of shares of the normals of constraints and a rest that is orthogonal to them.
func (p *polyhedron) along(active []int, v []float64) (share, rest []float64) {
	rest = slices.Clone(v)
	if len(active) == 0 {
		return nil, rest
	}
	var c mat.VecDense
	if c.SolveVec(p.normals(active).T(), mat.NewVecDense(len(v), slices.Clone(v))) != nil && c.IsEmpty() {
		return make([]float64, len(active)), rest
	}
	share = c.RawVector().Data
	for k, i := range active {
		kernels.Axpy(-share[k], p.a[i], rest)
	}
	return share, rest
}

// restore takes from y what is left of active constraints, by the least step.
func (p *polyhedron) restore(active []int, left, y []float64) {
	if len(active) == 0 {
		return
	}
	miss := mat.NewVecDense(len(active), nil)
	for k, i := range active {
		miss.SetVec(k, -left[i])
	}
	var step mat.VecDense
	if step.SolveVec(p.normals(active), miss) == nil {
		kernels.Add(y, y, step.RawVector().Data)
	}
}

// normals are rows of A.
func (p *polyhedron) normals(active []int) *mat.Dense {
	a := mat.NewDense(len(active), len(p.basis), nil)
	for k, i := range active {
		a.SetRow(k, p.a[i])
	}
	return a
}

// bound adds the side of a kink that is so far away, to which the slopes are those along the basis.
func (p *polyhedron) bound(slopes []float64, far float64) {
	size := norm(slopes)
	if size <= 1e-12 { // the kink is as far everywhere
		return
	}
	kernels.Scale(slopes, 1/size, slopes)
	p.a, p.c = append(p.a, slopes), append(p.c, far/size)
}

// survey finds the ends of the polyhedron, its centre and its dimension: the states nearest to those far away in all directions.
func (p *polyhedron) survey(r *rand.Rand) {
	const most = 64 // corners
	d := len(p.basis)
	for k := range 2*d + 8*d*(d-1) {
		way := make([]float64, d)
		if k < 2*d {
			way[k/2] = float64(1 - 2*(k%2))
		} else {
			for i := range way {
				way[i] = r.NormFloat64()
			}
		}
		far := append([]float64(nil), p.origin...)
		for i, b := range p.basis {
			kernels.Axpy(2*reach*p.scale*way[i]/norm(way), b, far)
		}
		at, _ := p.nearest(far)
		for i, v := range at {
			if math.Abs(v) <= 1e-13*norm(at) {
				at[i] = 0
			}
		}
		p.endless = p.endless || math.Sqrt(kernels.SquaredDistance(at, p.origin)) > reach*p.scale
		if len(p.corners) < most && p.alone(at) {
			p.corners = append(p.corners, at)
		}
	}
	p.centre = make([]float64, len(p.origin))
	for _, q := range p.corners { // none of them so far that the numbers are large
		way := make([]float64, len(q))
		kernels.Sub(way, q, p.origin)
		share := 1 / float64(len(p.corners))
		kernels.Axpy(share, p.origin, p.centre)
		kernels.Axpy(share*min(1, p.scale/norm(way)), way, p.centre)
	}
	apart := mat.NewDense(len(p.corners), len(p.centre), nil)
	for i, q := range p.corners {
		kernels.Sub(apart.RawRowView(i), q, p.centre)
	}
	var svd mat.SVD
	if !svd.Factorize(apart, mat.SVDNone) {
		return
	}
	sizes := svd.Values(nil)
	for _, v := range sizes {
		if v > max(1e-6*p.scale, 1e-7*sizes[0]) {
			p.dimension++
		}
	}
}

// alone says that a state is none of the corners.
func (p *polyhedron) alone(z []float64) bool {
	for _, q := range p.corners {
		if math.Sqrt(kernels.SquaredDistance(q, z)) <= 1e-9*p.scale {
			return false
		}
	}
	return true
}

// within says that all of the polyhedron is part of another.
func (p *polyhedron) within(other *polyhedron) bool {
	for _, z := range append([][]float64{p.centre}, p.corners...) {
		if _, far := other.nearest(z); far > 1e-9*(p.scale+norm(z)) {
			return false
		}
	}
	return true
}

// touches says that a corner of one is a state of the other.
func (p *polyhedron) touches(other *polyhedron) bool {
	for _, z := range p.corners {
		if _, far := other.nearest(z); far <= 1e-9*(p.scale+norm(z)) {
			return true
		}
	}
	for _, z := range other.corners {
		if _, far := p.nearest(z); far <= 1e-9*(p.scale+norm(z)) {
			return true
		}
	}
	return false
}
