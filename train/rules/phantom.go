package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// Phantom is the phantom gradient, in its Neumann form: k damped steps from z*,
//
//	z_{i+1} = (1−τ) z_i + τ f(z_i, x),   z_0 = z*,
//
// are differentiated with J taken at z*, so that
//
//	u = τ Σ_{i<k} (τJᵀ + (1−τ)I)ⁱ ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ,
//
// at k − 1 products with Jᵀ. τ = 1 is Neumann; for k → ∞ it tends to the exact gradient where
// the spectral radius of τJ + (1−τ)I is below 1, as damping may make it.
//
// Z. Geng, X.-Y. Zhang, S. Bai, Y. Wang and Z. Lin, On Training Implicit Models, NeurIPS 2021,
// arXiv:2111.05177.
type Phantom[T deq.Float] struct {
	Steps   int     `default:"5" doc:"damped steps k" max:"1e6: a relaxation that takes longer does not settle" order:"k"`
	Damping float64 `default:"0.5" doc:"step length τ, 0 < τ ≤ 1"`
}

func phantomEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "phantom", Value: Phantom[T]{}, Doc: `phantom gradient: a few damped steps from z*, differentiated

Returns uᵀ∂f/∂θ with u = τΣ_{i<k} (τJᵀ + (1−τ)I)ⁱ ∂L/∂z*, which is the derivative of k steps
z ← (1−τ)z + τf(z, x) from z*. Damping tames eigenvalues of J that the Neumann series cannot.
k − 1 products with Jᵀ.`,
		Refs: []string{`@inproceedings{geng2021training,
  title     = {On Training Implicit Models},
  author    = {Geng, Zhengyang and Zhang, Xin-Yu and Bai, Shaojie and Wang, Yisen and Lin, Zhouchen},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {34},
  year      = {2021},
  eprint    = {2111.05177},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r Phantom[T]) Validate() error {
	r = kit.WithDefaults(r)
	switch {
	case r.Steps < 1:
		return fmt.Errorf("steps: expected at least 1, found %d", r.Steps)
	case !(r.Damping > 0 && r.Damping <= 1):
		return fmt.Errorf("damping: expected a step length above 0 and up to 1, found %g", r.Damping)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r Phantom[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (Phantom[T]) Exact() bool { return false }

// Audit implements Rule.
func (r Phantom[T]) Audit() Audit {
	return Audit{RecurrentTransport: kit.WithDefaults(r).Steps > 1, ReadoutTransport: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r Phantom[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	tau := T(r.Damping)
	term, ju := make([]T, len(s.Output.DZ)), make([]T, len(s.Output.DZ))
	for i, v := range s.Output.DZ {
		term[i] = tau * v
	}
	u := append([]T(nil), term...)
	for i := 1; i < r.Steps; i++ {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("rules: phantom: stopped at step %d: %w", i, err)
		}
		if err := s.ApplyJT(term, ju); err != nil {
			return Report{}, err
		}
		for k, v := range ju {
			term[k] = tau*v + (1-tau)*term[k]
			u[k] += term[k]
		}
	}
	return Report{Bytes: bytesOf(u, term, ju)}, s.PullBack(u, g)
}
