// Package stability measures how an equilibrium reacts to perturbations, by the eigenvalues and
// singular values of the Jacobian J = ∂f/∂z at z*, sample by sample:
//
//   - Growth and Radius estimate the spectral radius ρ(J) from J·v alone,
//   - Leading finds the eigenvalues of largest modulus or real part, with their right or
//     left vectors, by a restarted Arnoldi iteration on J·v or Jᵀu,
//   - Norm finds ‖J‖₂ in the same way,
//   - Eigenvalues finds the leading ones in the way that suits the size,
//   - Jacobian, Spectrum and SingularValues assemble J, for up to MaxDense units,
//   - SpectralRadius chooses among them.
//
// Of trajectories it measures how nearby ones part, by Exponents and RandomNetworks: the Lyapunov
// exponents of a cell, autonomous or driven. FlossingGradient differentiates them, exactly or by local
// variants, and a Flosser moves them to a target.
//
// FixedPoints searches for the points where the dynamics rest, and tells their kinds by their
// spectra, where rounding leaves them open and where they are a whole line or ring too; ScanLoop finds them all for a network with one feedback loop. Settle, Along, AtRandom and
// Graph tell where the dynamics lead, and Cycles on which periodic orbits; Modes hold the linear response of a fixed point and the loop that
// would move its eigenvalues; BulkRadius and Split part a spectrum; Geometry
// tells how the vectors of a loop lie to each other; SVCCA, Distances and MDS compare networks.
//
// As a map, z ← f(z) returns to z* from nearby if ρ(J) < 1, and surely at each step in norm
// if ‖J‖₂ < 1. In continuous time, τ dz/dt = −z + f(z) returns if the spectral abscissa of J,
// its largest real part, is below 1. A cell with the leak α has J = (1 − α)I + αJ₁, whose
// eigenvalues 1 − α + αλ are less than 1 in real part just where those of J₁ are.
package stability

import (
	"cmp"
	"math"
	"math/cmplx"
	"slices"
)

// Abscissa is the largest real part of the eigenvalues.
func Abscissa(values []complex128) float64 {
	largest := math.Inf(-1)
	for _, v := range values {
		largest = max(largest, real(v))
	}
	return largest
}

// byModulus orders eigenvalues: the largest first, of a pair that with the positive imaginary
// part.
func byModulus(a, b complex128) int {
	x, y := cmplx.Abs(a), cmplx.Abs(b)
	if math.Abs(x-y) > 1e-12*max(x, y) { // the two of a pair differ by rounding at most
		return cmp.Compare(y, x)
	}
	return cmp.Or(cmp.Compare(real(b), real(a)), cmp.Compare(imag(b), imag(a)))
}

func sortByModulus(values []complex128) { slices.SortStableFunc(values, byModulus) }
