package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// Neumann takes the first terms of the adjoint's Neumann series,
//
//	u = Σ_{i<k} (Jᵀ)ⁱ ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ,
//
// at k − 1 products with Jᵀ. k = 1 is JFB; for k → ∞ it tends to the exact gradient where the
// spectral radius of J is below 1, and diverges elsewhere.
//
// Z. Geng et al., Is Attention Better Than Matrix Decomposition?, ICLR 2021, arXiv:2109.04553.
type Neumann[T deq.Float] struct {
	Terms int `default:"5" doc:"terms k of the series" max:"1e6: a series that takes longer does not converge" order:"k"`
}

func neumannEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "neumann", Value: Neumann[T]{}, Doc: `the first terms of the adjoint's Neumann series

Returns uᵀ∂f/∂θ with u = Σ_{i<k} (Jᵀ)ⁱ ∂L/∂z*, at k − 1 products with Jᵀ. One term is jfb; many
tend to the exact gradient where the spectral radius of J is below 1.`,
		Refs: []string{`@inproceedings{geng2021attention,
  title     = {Is Attention Better Than Matrix Decomposition?},
  author    = {Geng, Zhengyang and Guo, Meng-Hao and Chen, Hongxu and Li, Xia and Wei, Ke and Lin, Zhouchen},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2109.04553},
  archiveprefix = {arXiv}
}`, `@inproceedings{lorraine2020optimizing,
  title     = {Optimizing Millions of Hyperparameters by Implicit Differentiation},
  author    = {Lorraine, Jonathan and Vicol, Paul and Duvenaud, David},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  year      = {2020},
  eprint    = {1911.02590},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r Neumann[T]) Validate() error {
	if r.Terms < 0 {
		return fmt.Errorf("terms: expected at least 1, found %d", r.Terms)
	}
	return nil
}

// Check implements Rule: every model will do.
func (r Neumann[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (Neumann[T]) Exact() bool { return false }

// Audit implements Rule.
func (r Neumann[T]) Audit() Audit {
	return Audit{RecurrentTransport: kit.WithDefaults(r).Terms > 1, ReadoutTransport: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r Neumann[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	u, term := append([]T(nil), s.Output.DZ...), append([]T(nil), s.Output.DZ...)
	for i := 1; i < kit.WithDefaults(r).Terms; i++ {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("rules: neumann: stopped at term %d: %w", i, err)
		}
		if err := s.ApplyJT(term, term); err != nil {
			return Report{}, err
		}
		kernels.Add(u, u, term)
	}
	return Report{Bytes: bytesOf(u, term)}, s.PullBack(u, g)
}
