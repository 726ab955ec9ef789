package solvers

import "attractor/train/kit"

// Entry is an entry of a catalogue: a name, a documentation, references and a Method.
type Entry[T Float] = kit.Entry[Method[T]]

// Catalog lists the methods for nonlinear fixed points.
func Catalog[T Float]() *kit.Catalog[Method[T]] {
	return kit.Must("solver", fixedPoint[T]()...).With(
		Entry[T]{
			Name: "newton-gmres", Value: NewtonGMRES[T]{}, Refs: []string{refEisenstat, refKelley},
			Doc: `inexact Newton method with GMRES inside
(I − J) s = g to Eisenstat and Walker's second forcing term, z ← z + t s with backtracking (Armijo).
Each product J v counts as an evaluation. For hard problems, far from contracting.`,
		},
		Entry[T]{
			Name: "newton", Value: Newton[T]{}, Refs: []string{refKelley},
			Doc: `Newton's method with a dense Jacobian (an oracle for small problems)
(I − J) s = g, z ← z + t s with backtracking; J from its products with unit vectors.
Quadratic convergence at n + 1 evaluations and n³/3 multiplications a step and sample.`,
		},
		Entry[T]{
			Name: "auto", Value: Auto[T]{}, Refs: []string{refAnderson, refBroyden, refEisenstat},
			Doc: `Picard, then Anderson, then Broyden, then Newton-GMRES, sample by sample
Each sample is handed on, from its best iterate, when its residual grows or no longer falls.
The report lists the hand-overs and their reasons. Holds the memory of all four.`,
		},
	)
}

// Linear lists the methods for linear systems (I − A)u = ℓ, given as f(u) = ℓ + Au: those
// made for them, and the fixed-point methods that serve as well.
func Linear[T Float]() *kit.Catalog[Method[T]] {
	return kit.Must("linear solver",
		Entry[T]{
			Name: "gmres", Value: GMRES[T]{}, Refs: []string{refSaad},
			Doc: `restarted GMRES
The least residual over the Krylov space of a cycle: one product a step, Restart + 1 states of memory.
Codes for stagnation and breakdown.`,
		},
		Entry[T]{
			Name: "bicgstab", Value: BiCGStab[T]{}, Refs: []string{refVanDerVorst},
			Doc: `stabilised bi-conjugate gradients
Two products an iteration and seven states of memory however long it takes; the residual is not monotone.`,
		},
		Entry[T]{
			Name: "lu", Value: LU[T]{}, Refs: []string{refGolub},
			Doc: `LU factorisation of I − A (small systems)
A is assembled from its products with unit vectors: n + 1 evaluations, n³/3 multiplications a sample.`,
		},
	).With(fixedPoint[T]()...)
}

// Splittings lists the methods for monotone equilibria, whose Problem has a Splitting.
func Splittings[T Float]() *kit.Catalog[Method[T]] {
	return kit.Must("splitting",
		Entry[T]{
			Name: "forward-backward", Value: ForwardBackward[T]{}, Refs: []string{refWinston},
			Doc: `forward-backward splitting for monotone equilibria
z ← prox^α((1 − α)z + α(Wz + c)), for cells z⁺ = φ(Wz + c) with one activation, and for their adjoint,
which is such an equilibrium too. One product with W a step; converges for α < 2m/‖I − W‖².`,
		},
		Entry[T]{
			Name: "peaceman-rachford", Value: PeacemanRachford[T]{}, Refs: []string{refWinston},
			Doc: `Peaceman-Rachford splitting for monotone equilibria
Alternates (I + α(I − W))⁻¹ and prox^α, for cells z⁺ = φ(Wz + c) with one activation and for their
adjoint; converges for any α > 0. The inverse takes n products and n³ multiplications once per update of
the weights; two products a step, usually fewer steps.`,
		},
	)
}

// fixedPoint lists the methods that only evaluate f.
func fixedPoint[T Float]() []Entry[T] {
	return []Entry[T]{
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
		{
			Name: "anderson-qr", Value: Anderson[T]{Form: "qr"}, Refs: []string{refAnderson, refWalkerNi},
			Doc: `Anderson acceleration by an updated QR factorisation
As anderson, from differences of iterates, newest first; drops columns that newer ones nearly contain.
About three times the cost of a step; does not square the condition number.`,
		},
		{
			Name: "broyden", Value: Broyden[T]{}, Refs: []string{refBroyden, refSchlenkrich},
			Doc: `Broyden's method, good update, limited memory
z ← z − Hg with H ≈ (J − I)⁻¹ from rank-one updates; restarts when the memory is full, or with compress: k
goes on from the best k pairs.
4k passes over the state a step at k pairs. H and Hᵀ can be applied after the solve (SHINE). aware: p
has it learn J in the direction of the loss every p steps, at a product with Jᵀ each.`,
		},
		{
			Name: "broyden-bad", Value: Broyden[T]{Bad: true}, Refs: []string{refBroyden},
			Doc: `Broyden's method, bad update, limited memory
As broyden with v = Δg in place of HᵀΔz: half the passes, often more evaluations.`,
		},
	}
}
