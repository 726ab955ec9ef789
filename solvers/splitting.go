package solvers

import (
	"errors"
	"math"
)

// Splitting is what operator splitting knows of an equilibrium z = φ(Wz + c), whose I − W
// is strongly monotone and whose φ is the proximal operator of a convex function, so that
// the equilibrium exists, is unique, and splitting converges to it. Arguments are as in
// Problem: [len(rows), Dim], row i for sample rows[i].
//
// The adjoint of such an equilibrium is one too: with j = φ′, d = (1 − j)/j and v = j·ℓ it is
// u = j·Wᵀu + v, with Wᵀ for W, no c, and Prox(α, x) = (x + α(1 + d)v)/(1 + αd), which is v
// where j = 0; the adjoint of the state is then ℓ + Wᵀu.
type Splitting[T Float] interface {
	// Affine writes Wz + c to out.
	Affine(rows []int, z, out []T) error
	// Resolvent writes (I + α(I − W))⁻¹(v + αc) to out.
	Resolvent(alpha float64, rows []int, v, out []T) error
	// Prox writes to out the p with p + α(φ⁻¹(p) − p) = v. It is φ itself for α = 1, and for
	// every α where φ is relu. See the function Prox.
	Prox(alpha float64, rows []int, v, out []T)
}

// Split makes the fixed-point problem f(z) = φ(Wz + c) of a splitting.
func Split[T Float](batch, dim int, s Splitting[T]) Problem[T] {
	return Problem[T]{
		Batch: batch, Dim: dim, Splitting: s,
		F: func(rows []int, z, fz []T) error {
			if err := s.Affine(rows, z, fz); err != nil {
				return err
			}
			s.Prox(1, rows, fz, fz)
			return nil
		},
	}
}

// Prox returns the p with p + α(φ⁻¹(p) − p) = v, for an increasing φ of slope 0 to 1, which
// need not be invertible: with p = φ(t) it solves (1 − α)φ(t) + αt = v by Newton's method
// kept in a bracket. It is NaN where v is, whatever φ makes of that.
func Prox(alpha, v float64, phi func(t float64) (value, slope float64)) float64 {
	if math.IsNaN(v) {
		return v
	}
	if alpha == 1 {
		p, _ := phi(v)
		return p
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	t := v
	for range 100 {
		p, slope := phi(t)
		h := (1-alpha)*p + alpha*t - v
		if h == 0 || math.IsNaN(h) {
			return p
		}
		if h > 0 {
			hi = t
		} else {
			lo = t
		}
		next := t - h/((1-alpha)*slope+alpha)
		if !(next > lo && next < hi) {
			if math.IsInf(lo, 0) || math.IsInf(hi, 0) { // nowhere to halve yet: the slope is at least min(1, α)
				next = t - h/min(1, alpha)
			} else {
				next = lo + (hi-lo)/2
			}
		}
		if math.Abs(next-t) <= 0x1p-52*math.Abs(next) {
			p, _ = phi(next)
			return p
		}
		t = next
	}
	p, _ := phi(t)
	return p
}

// Splitter is a Method that needs the Splitting of its problem.
type Splitter interface{ Splits() }

// ErrNoSplitting says that a splitting method was given a problem without a Splitting.
var ErrNoSplitting = errors.New("the problem has no Splitting")

// affine writes Wz + c for the active samples, which are charged one evaluation each.
func (it *Iterate[T]) affine(z, out []T) error {
	it.run.charge(it.Rows)
	return it.run.problem.Splitting.Affine(it.Rows, z, out)
}
