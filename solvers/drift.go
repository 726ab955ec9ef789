package solvers

import (
	"math"

	"attractor/internal/kernels"
)

// A residual within the tolerance is evidence of a fixed point only where the state can make up for it: of softplus,
// z + log(1 + e^−z), it falls because z runs away, by 1 for every factor of e, and of z ← max(z + 1e-9, 0) at 1 it stays
// what it is. So a sample that meets the stopping measure has converged if a fixed point is within reach: if what is left
// to go, (I − J)⁻¹g, is no more than the cube root of rtol of its scale, which is so of every contraction of a rate up to
// about 1 − rtol^⅔.
//
// The last move Δz tells that, and costs nothing: with the change Δg of the residual the least ‖g + tΔg‖ is
// |gᵀΔg|/‖Δg‖²·‖Δz‖ away, and what is left to go has shrunk at least as √‖g‖ does, as it would at a double root.
// Where that is far, or Δg is rounding, or there has been no move, a few evaluations look for a way to the fixed point.

// reach is how far, relative to its scale, the fixed point of a state may be.
func (s *Settings) reach() float64 { return math.Cbrt(s.RTol) }

// rests says whether a fixed point is within reach of row i, whose residual is within the tolerance. A row that was found
// adrift is searched again whenever ‖g‖ has halved, and at rest if it has fallen by 64, or to rounding, on a short way:
// what runs off moves as far for every halving. Else one whose residual is rounding by then has run off if it is large.
func (s *Solver[T]) rests(i int, g, f float64) (bool, error) {
	b := s.it.Rows[i]
	c := &s.courses[b]
	noise := rounding * s.eps * f
	far := s.settings.reach() * max(c.size(), f)
	switch {
	case g <= max(noise, s.settings.absolute()) && !c.adrift:
		return true, nil
	case c.adrift && g <= max(noise, c.driftG/64) && s.moved(i) <= far/4:
		c.adrift = false
		return true, nil
	case g <= noise: // what is left says nothing any more
		if c.large(f, s.dim) {
			s.status[b] = Diverged
		} else if g == 0 {
			s.status[b] = Stalled
		}
		return false, nil
	case c.adrift && g > c.driftG/2:
		return false, nil
	}
	if s.it.K > 0 && !c.adrift && s.settles(i, far/4, noise) { // as secants make little of what is left
		return true, nil
	}
	c.driftG = g
	copy(s.driftZ[b*s.dim:(b+1)*s.dim], s.it.Z[i*s.dim:(i+1)*s.dim])
	leads, err := s.way.leads(s, i, far, noise)
	c.adrift = !leads
	return leads, err
}

// moved is how far row i is from where it was found adrift last.
func (s *Solver[T]) moved(i int) float64 {
	n, b := s.dim, s.it.Rows[i]
	d, _ := norms(s.it.Z[i*n:(i+1)*n], s.driftZ[b*n:(b+1)*n])
	return d
}

// settles says whether the last move of row i, from the best iterate so far, shows that what is left to go is no more
// than far.
func (s *Solver[T]) settles(i int, far, noise float64) bool {
	n, b := s.dim, s.it.Rows[i]
	z, fz := s.it.Z[i*n:(i+1)*n], s.it.FZ[i*n:(i+1)*n]
	best, bestF := s.best[b*n:(b+1)*n], s.bestF[b*n:(b+1)*n]
	g, dz, df := s.it.GNorm[i], s.trial, s.trialF
	before, _ := norms(bestF, best)
	kernels.Sub(dz, z, best)
	kernels.Sub(df, fz, bestF)
	change, _ := norms(df, dz)
	_, move := norms(dz, dz)
	if !(change > noise) || !(move*math.Sqrt(g/before) <= far) {
		return false
	}
	if g*move <= far*change {
		return true
	}
	along := 0.0 // gᵀΔg/‖Δg‖
	for j, d := range df {
		along += (float64(fz[j]) - float64(z[j])) * ((float64(d) - float64(dz[j])) / change)
	}
	return math.Abs(along)*move <= far*change
}

// way looks for a way to a fixed point: for a step s within reach of which ‖g − (I − J)s‖ is ¼ of ‖g‖ and the residual
// at z + s no more than ½ of it. The steps are those of least residual, of the Krylov space that g spans, by differences of f
// over the whole reach, which rounding does not hide: with p₀ = g and q = (I − J)p, made orthogonal to those before and of
// unit length, p with it,
//
//	s ← s + (qᵀr)p,  r ← r − (qᵀr)q,  p ← r, or q where qᵀr = 0.
//
// P. K. W. Vinsome, Orthomin, SPE 5729 (1976); D. M. Young, K. C. Jea, Linear Algebra Appl. 34 (1980) 159–194,
// doi:10.1016/0024-3795(80)90165-2.
type way[T Float] struct {
	p, q [][]T // [products][dim]
	s, r []T   // [dim]
}

// hidden is the part of the residual that no state within reach need make up for: a drift that is less, beside what is left
// of the other components, is not seen.
const hidden = 0.25

// wayProducts is how many differences way takes at most: one is enough where g has come to lie along what is slow.
const wayProducts = 4

func newWay[T Float](dim int) way[T] {
	w := way[T]{s: make([]T, dim), r: make([]T, dim)}
	for range min(dim, wayProducts) {
		w.p, w.q = append(w.p, make([]T, dim)), append(w.q, make([]T, dim))
	}
	return w
}

func (w *way[T]) bytes() int { return elemSize[T]() * len(w.s) * (2 + 2*len(w.p)) }

func (w *way[T]) leads(run *Solver[T], i int, far, noise float64) (bool, error) {
	n, b := run.dim, run.it.Rows[i]
	z, fz, g := run.it.Z[i*n:(i+1)*n], run.it.FZ[i*n:(i+1)*n], run.it.GNorm[i]
	left := func() int { return run.settings.MaxEvals - run.evals[b] }
	clear(w.s)
	kernels.Sub(w.r, fz, z)
	copy(w.p[0], w.r)
	divide(w.r, g) // all but p is in units of ‖g‖
	for k, p := range w.p {
		if left() < 2 {
			return false, nil
		}
		q, size := w.q[k], 0.0
		if _, size = norms(p, p); !(size > 0) {
			return false, nil
		}
		for j, x := range p {
			run.trial[j] = T(float64(z[j]) + far*(float64(x)/size))
		}
		if err := run.try(i); err != nil {
			return false, err
		}
		kernels.Sub(run.trialF, run.trialF, fz)
		kernels.Sub(run.trial, run.trial, z)
		change, _ := norms(run.trial, run.trialF)
		if !(change > noise) {
			return false, nil
		}
		for j, d := range run.trial { // of a move of far, in units of ‖g‖
			p[j] = T(float64(d) / g)
			q[j] = T((float64(d) - float64(run.trialF[j])) / g)
		}
		for range 2 {
			for e, other := range w.q[:k] {
				d := kernels.Dot(q, other)
				kernels.Axpy(T(-d), other, q)
				kernels.Axpy(T(-d), w.p[e], p)
			}
		}
		length := norm(q)
		if !(length*g > noise) {
			return false, nil
		}
		divide(q, length)
		divide(p, length)
		d := kernels.Dot(q, w.r)
		kernels.Axpy(T(d), p, w.s)
		kernels.Axpy(T(-d), q, w.r)
		if norm(w.r) <= hidden && norm(w.s)*g <= far {
			kernels.Scale(run.trial, T(g), w.s)
			kernels.Add(run.trial, run.trial, z)
			if err := run.try(i); err != nil {
				return false, err
			}
			rest, _ := norms(run.trialF, run.trial)
			return rest <= 2*hidden*g, nil
		}
		if k+1 < len(w.p) {
			next := w.r
			if math.Abs(d) <= math.Sqrt(run.eps) { // it would say the same again
				next = q
			}
			copy(w.p[k+1], next)
		}
	}
	return false, nil
}
