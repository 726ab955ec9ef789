package solvers

import "attractor/internal/catalog"

// Catalog lists the methods for nonlinear fixed points.
func Catalog[T Float]() *catalog.Catalog[Method[T]] {
	return catalog.Must("solver", fixedPoint[T]()...).With(
		catalog.Entry[Method[T]]{
			Name: "newton", Value: Newton[T]{}, Refs: []string{refKelley},
			Doc: `Newton's method with a dense Jacobian (an oracle for small problems)
(I − J) s = g, z ← z + t s with backtracking; J from its products with unit vectors.
Quadratic convergence at n + 1 evaluations and n³/3 multiplications a step and sample.`,
		},
	)
}

// Linear lists the methods for linear systems (I − A)u = ℓ, given as f(u) = ℓ + Au: those
// made for them, and the fixed-point methods that serve as well.
func Linear[T Float]() *catalog.Catalog[Method[T]] {
	return catalog.Must("linear solver",
		catalog.Entry[Method[T]]{
			Name: "lu", Value: LU[T]{}, Refs: []string{refGolub},
			Doc: `LU factorisation of I − A (small systems)
A is assembled from its products with unit vectors: n + 1 evaluations, n³/3 multiplications a sample.`,
		},
	).With(fixedPoint[T]()...)
}

// fixedPoint lists the methods that only evaluate f.
func fixedPoint[T Float]() []catalog.Entry[Method[T]] {
	return []catalog.Entry[Method[T]]{
		{
			Name: "picard", Value: Picard[T]{}, Refs: []string{refPicard},
			Doc: `damped fixed-point iteration
z ← (1 − τ)z + τ f(z); for the relaxation τ_m dz/dt = −z + f(z) it is Euler's method with τ = dt/τ_m.
Converges at the rate of the spectral radius of (1 − τ)I + τJ. No memory; the cheapest step.`,
		},
		{
			Name: "anderson", Value: Anderson[T]{}, Refs: []string{refAnderson, refWalkerNi},
			Doc: `Anderson acceleration
z ← the combination of the last m values of f whose residual is least, each sample with its own coefficients.
m + 2 passes over the state and m dot products a step, 2m states of memory. The first choice.`,
		},
	}
}
