package models

import (
	"fmt"

	"attractor/internal/ops"

	"gorgonia.org/gorgonia"
)

// Normalizations are the names of parametrisations of a matrix of weights: as it is, with row norms that
// are parameters of their own, and with a bounded spectral norm. They change with the
// parameters only, so that an evaluation of the cell costs no more.
var Normalizations = []string{"none", "weight", "spectral"}

// WeightNorm returns g·V/‖V‖ row by row, for directions V [m, n] and lengths g [m, 1]. No row of V may be
// zero.
//
// Salimans & Kingma 2016, arXiv:1602.07868.
func (s *Scope) WeightNorm(v, g *gorgonia.Node) *gorgonia.Node {
	if !s.ready(v, g) {
		return nil
	}
	if g.Shape()[0] != v.Shape()[0] || g.Shape()[1] != 1 {
		return s.fail(fmt.Errorf("lengths of shape %v for %d rows: expected (%d, 1)", g.Shape(), v.Shape()[0], v.Shape()[0]))
	}
	return s.Mul(v, s.Broadcast(s.Div(g, s.Sqrt(s.Sum(s.Square(v)))), v))
}

// SpectralNorm returns the largest singular value σ of w, [1, 1]. It is exact, with derivatives of first
// and second order; at a multiple σ, where there are none, they are some subgradient's.
func (s *Scope) SpectralNorm(w *gorgonia.Node) *gorgonia.Node {
	return s.apply(ops.Op{Kind: ops.Norm2}, w)
}

// BoundSpectralNorm returns w·bound/max(σ, bound), whose largest singular value is at most bound: w itself where it
// is within the bound. With bound·max φ′ < 1 the cell φ(z·Wᵀ + …) contracts, and has exactly one
// fixed point.
//
// Miyato et al. 2018, arXiv:1802.05957, with σ itself in place of their estimate.
func (s *Scope) BoundSpectralNorm(w *gorgonia.Node, bound float64) *gorgonia.Node {
	if !(bound > 0) {
		return s.fail(fmt.Errorf("spectral norm: the bound is %g, expected a positive number", bound))
	}
	norm := s.SpectralNorm(w)
	if s.err != nil {
		return nil
	}
	larger := s.Shift(bound, s.Relu(s.Shift(-bound, norm))) // max(σ, bound)
	return s.Mul(w, s.Broadcast(s.Scale(bound, s.Inverse(larger)), w))
}
