package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// NodePerturbation correlates noise in the states with what it does to the loss. Two phases are
// relaxed from z* with the noise ±σξ, ξ ~ N(0, I) for every sample b,
//
//	z^± = f(z^±, x) ± σξ,   u_b = ξ_b (ℓ_b(z^+) − ℓ_b(z^−)) / (2σ),   ΔΘ = uᵀ ∂f/∂θ at z*,
//
// and u averaged over draws. Its mean is the adjoint (I − Jᵀ)⁻¹ ∂ℓ_b/∂z* up to O(σ²), its variance
// grows with the number of units. What teaches is one number a sample, the same for all units.
// A σ so small that the loss changes by no more than the solver's tolerance measures that one.
//
// J. Werfel, X. Xie and H. S. Seung, Learning curves for stochastic gradient descent in linear
// feedforward networks, Neural Computation 17:2699–2718, 2005, doi:10.1162/089976605774320539.
type NodePerturbation[T deq.Float] struct {
	Perturbation
}

// Perturbation are the options of rules that perturb.
type Perturbation struct {
	Sigma float64 `default:"0.01" doc:"standard deviation σ of the noise"`
	Draws int     `default:"1" doc:"draws of the noise that are averaged, two phases each" max:"1e6: the error falls with the square root of the draws"`
}

// Validate reports options outside their range.
func (p Perturbation) Validate() error {
	if p.Sigma < 0 || p.Draws < 0 {
		return fmt.Errorf("sigma and draws: expected positive numbers, found %g and %d", p.Sigma, p.Draws)
	}
	return nil
}

func nodePerturbationEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "node-perturbation", Value: NodePerturbation[T]{}, Doc: `noise in the states, correlated with the loss

Relaxes two phases z = f(z) ± σξ from z* with a random ξ for every sample and returns uᵀ∂f/∂θ with
u = ξ(ℓ(z^+) − ℓ(z^−))/(2σ), averaged over draws. No backward pass: the loss, one number a sample, is
all that is told to the units. u is the exact adjoint in the mean; its variance grows with
the number of units.`,
		Refs: []string{`@article{werfel2005learning,
  title   = {Learning Curves for Stochastic Gradient Descent in Linear Feedforward Networks},
  author  = {Werfel, Justin and Xie, Xiaohui and Seung, H. Sebastian},
  journal = {Neural Computation},
  volume  = {17},
  number  = {12},
  pages   = {2699--2718},
  year    = {2005},
  doi     = {10.1162/089976605774320539}
}`}}
}

// Check implements Rule: every model will do.
func (r NodePerturbation[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (NodePerturbation[T]) Exact() bool { return false }

// Audit implements Rule.
func (NodePerturbation[T]) Audit() Audit {
	return Audit{Phases: true, GlobalSignal: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r NodePerturbation[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	o := kit.WithDefaults(r)
	random := s.Random.Stream("node-perturbation")
	n := s.Layer().Units
	u, shift, z := make([]T, len(s.Z)), make([]T, len(s.Z)), make([]T, len(s.Z))
	rep := Report{Bytes: bytesOf(u, shift, z)}
	for range o.Draws {
		for i := range shift {
			shift[i] = T(o.Sigma * random.NormFloat64())
		}
		var losses [2][]float64 // of the two phases
		for phase := range losses {
			copy(z, s.Z)
			solve, err := s.Displace(ctx, z, shift, s.Forward)
			if err != nil {
				return rep, fmt.Errorf("rules: node-perturbation: %w", err)
			}
			rep.Solves = append(rep.Solves, Solve{Report: solve, Of: "a perturbed phase", Section: "solver"})
			out, err := s.Layer().Evaluate(z, s.Loss, nil)
			if err != nil {
				return rep, fmt.Errorf("rules: node-perturbation: %w", err)
			}
			losses[phase] = out.Losses
			kernels.Neg(shift, shift) // after both phases it is as before
		}
		scale := 1 / (2 * o.Sigma * o.Sigma * float64(o.Draws) * float64(s.Rows)) // L is the mean of the ℓ_b
		for b := range s.Rows {
			kernels.Axpy(T((losses[0][b]-losses[1][b])*scale), shift[b*n:(b+1)*n], u[b*n:(b+1)*n])
		}
	}
	return rep, s.PullBack(u, g)
}
