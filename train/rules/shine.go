package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/solvers"
	"attractor/train/kit"
)

// Shine takes the inverse of the Jacobian that the forward solve has built up, H ≈ (J − I)⁻¹ in the
// low-rank factors of Broyden's method, for the adjoint:
//
//	u = −Hᵀ ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ,
//
// without a product with Jᵀ. For a sample with ‖u‖ > Fallback·‖∂L/∂z*‖ it takes u = ∂L/∂z*, as
// JFB. With Refine = k > 0 the adjoint is then solved from u by the backward solver with k
// further products.
//
// H knows the directions of the solver's steps only. A tighter forward tolerance and more memory bring u
// closer to the adjoint, but as close as one likes only where the steps go through all directions again and
// again (uniform linear independence), which they seldom do. Two things bring it there always: refinement, and a
// forward solver that is aware of the loss, solvers.Broyden{Aware: 1, Memory: -1}, whose H learns J in the
// direction of ∂L/∂z, so that the error falls as the forward tolerance (measured: in proportion down to 1e-8).
// Fallback then does harm, since an adjoint may be long, and should be off. The latter spends products with Jᵀ
// in the forward solve, so that Audit, which is of the rule alone, then says too little. On the digits in
// float32 (5 epochs, 3 seeds, all with Memory −1 and without Fallback) the cosine to the exact gradient is 0.83
// unaware at 13 evaluations a step and sample, 0.998 at 20 with Aware 4, 1.000 at 23 with Aware 2; implicit
// takes 24.
//
// Z. Ramzi, F. Mannel, S. Bai, J.-L. Starck, P. Ciuciu and T. Moreau, SHINE: SHaring the INverse
// Estimate from the forward pass for bi-level optimization and implicit models, ICLR 2022,
// arXiv:2106.00553.
type Shine[T deq.Float] struct {
	Refine   int     `doc:"products k of the refinement" max:"1e6: a refinement that takes longer does not converge" order:"k"`
	Fallback float64 `default:"1.8" doc:"factor over the length of ∂L/∂z* beyond which u is not trusted; negative: always trusted"`
}

func shineEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "shine", Value: Shine[T]{}, Doc: `the forward solver's inverse of the Jacobian, shared with the adjoint

Takes u = −Hᵀ∂L/∂z* with the low-rank H ≈ (J − I)⁻¹ of Broyden's method and returns uᵀ∂f/∂θ: no
product with Jᵀ at all. Samples whose u is much longer than ∂L/∂z* fall back to ∂L/∂z*;
refine: k goes on with k products from u. Needs solver: broyden or broyden-bad; with solver.aware=1,
solver.memory=-1 and rule.fallback=-1, which spend products with Jᵀ in the forward solve, u tends to the
adjoint as solver.rtol falls, where it otherwise stays away from it.`,
		Refs: []string{`@inproceedings{ramzi2022shine,
  title     = {{SHINE}: {SH}aring the {IN}verse Estimate from the forward pass for bi-level optimization and implicit models},
  author    = {Ramzi, Zaccharie and Mannel, Florian and Bai, Shaojie and Starck, Jean-Luc and Ciuciu, Philippe and Moreau, Thomas},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
  eprint    = {2106.00553},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r Shine[T]) Validate() error {
	if r.Refine < 0 {
		return fmt.Errorf("refine: expected at least 0, found %d", r.Refine)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r Shine[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// CheckForward implements ForwardChecker: the forward solver must keep an inverse.
func (Shine[T]) CheckForward(forward deq.Solver[T]) error {
	stepper, err := forward.Method.Start(solvers.Shape{Batch: 1, Dim: 1, MaxEvals: 1})
	if err != nil {
		return err
	}
	if _, ok := stepper.(solvers.Inverse[T]); !ok {
		return fmt.Errorf("rules: shine needs a forward solver that keeps an inverse of the Jacobian, broyden or broyden-bad; found %T", forward.Method)
	}
	return nil
}

// Exact implements Rule.
func (Shine[T]) Exact() bool { return false }

// Audit implements Rule.
func (r Shine[T]) Audit() Audit {
	a := Audit{ReadoutTransport: true, Solve: true, Memory: "n", Time: "n^2"}
	if r.Refine > 0 {
		a.RecurrentTransport, a.Time = true, "k n^2"
	}
	return a
}

// Gradient implements EquilibriumRule.
func (r Shine[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	dz := s.Output.DZ
	u := make([]T, len(dz))
	if err := s.ApplyHT(dz, u); err != nil {
		return Report{}, fmt.Errorf("rules: shine: %w", err)
	}
	n := s.Layer().Units
	for b := 0; b < len(u); b += n {
		row, l := u[b:b+n], dz[b:b+n]
		kernels.Neg(row, row)
		if length := kernels.SumSquares(row); r.Fallback >= 0 && !(length <= r.Fallback*r.Fallback*kernels.SumSquares(l)) {
			copy(row, l)
		}
	}
	if r.Refine > 0 {
		with := s.Backward
		with.Settings.MaxEvals = r.Refine + 1 // the first product is for the residual of u
		if _, err := s.Adjoint(ctx, dz, u, with); err != nil {
			return Report{}, fmt.Errorf("rules: shine: refinement: %w", err)
		}
	}
	return Report{Bytes: bytesOf(u)}, s.PullBack(u, g)
}
