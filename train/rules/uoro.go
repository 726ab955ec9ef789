package rules

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// UORO is unbiased online recurrent optimisation. In place of how the state of a sample depends on all
// parameters of the cell, ∂z_t/∂θ [n, P], it carries two vectors, A [n] and B [P], from 0: with M = ∂f/∂θ at
// z_t and ν ∈ {−1, 1}ⁿ drawn at every step,
//
//	A ← p₀ J(z_t) A + p₁ ν,   B ← B/p₀ + νᵀM/p₁,   dL/dθ = Σ_t (∂L/∂z_t·A) B
//
// with p₀ = √(‖B‖/‖JA‖) and p₁ = √(‖νᵀM‖/√n), which keep A and B of one size and the variance low.
// Since E ννᵀ = 1 the mean of A Bᵀ is ∂z_t/∂θ, so that the mean of the estimate is the gradient of bptt; its
// variance grows with the number of units and with the steps.
//
// C. Tallec and Y. Ollivier, Unbiased online recurrent optimization, ICLR 2018, arXiv:1702.05043.
type UORO[T deq.Float] struct {
	Estimate
}

func uoroEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "uoro", Value: UORO[T]{}, Doc: `unbiased online recurrent optimisation: the gradient in the mean, online

Carries the dependence of the state on all parameters forwards as a product A Bᵀ of two vectors, which random
signs make right in the mean, and adds (∂L/∂z·A)B at every step that has a loss. No states are kept and
no weights transported; memory is that of one gradient a sample. The price is variance, more with more units
and steps: average draws, or learn slowly. Training whose factors do not fit into max_bytes is
refused before it starts.`,
		Refs: []string{`@inproceedings{tallec2018unbiased,
  title     = {Unbiased Online Recurrent Optimization},
  author    = {Tallec, Corentin and Ollivier, Yann},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
  eprint    = {1702.05043},
  archiveprefix = {arXiv}
}`}}
}

// Check implements Rule: every model will do whose factors fit into the memory.
func (r UORO[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return r.fits("uoro", fmt.Sprintf("the factors of %d units and %d parameters, for %d samples", l.Units, weights(l), l.Batch()), r.bytes(l, l.Batch()))
}

// bytes is the memory that a batch needs: a float, since it may be beyond an int.
func (UORO[T]) bytes(l *deq.Layer[T], rows int) float64 {
	n, m := float64(l.Units), float64(weights(l))
	return (float64(rows)*(2*n+m) + n + 2*m) * float64(bytesOf(make([]T, 1)))
}

// Exact implements Rule.
func (UORO[T]) Exact() bool { return false }

// Audit implements Rule.
func (UORO[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Memory: "n^2", Time: "k T n^2"}
}

// Gradient implements TemporalRule.
func (r UORO[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	l := p.Layer()
	n, m := l.Units, weights(l)
	a, ja, b := make([]T, p.Rows*n), make([]T, p.Rows*n), make([]T, p.Rows*m)
	signs, direct, sum := make([]T, n), make([]T, m), make([]T, m) // ν and νᵀM of one sample
	random := p.Random.Stream("uoro")
	for range r.Draws {
		clear(a)
		clear(b)
		err := p.online(ctx, func(t int, e *deq.Equilibrium[T], dz []T) error {
			if err := e.JVP(a, ja); err != nil {
				return err
			}
			for row := range p.Rows {
				for i := range signs {
					signs[i] = sign[T](random)
				}
				one, err := e.Repeat(row, 1)
				if err != nil {
					return err
				}
				clear(direct)
				if err := one.VJP(signs, view(l, direct)); err != nil {
					return err
				}
				a, ja, b := a[row*n:(row+1)*n], ja[row*n:(row+1)*n], b[row*m:(row+1)*m]
				p0 := balance(norm(b), norm(ja))
				p1 := balance(norm(direct), math.Sqrt(float64(n)))
				kernels.Scale(a, T(p0), ja)
				kernels.Axpy(T(p1), signs, a)
				kernels.Scale(b, T(1/p0), b)
				kernels.Axpy(T(1/p1), direct, b)
				if dz != nil {
					kernels.Axpy(T(kernels.Dot(dz[row*n:(row+1)*n], a)), b, sum)
				}
			}
			return nil
		})
		if err != nil {
			return Report{}, fmt.Errorf("rules: uoro: %w", err)
		}
	}
	for i, s := range view(l, sum) {
		kernels.Axpy(T(1/float64(r.Draws)), s.Data, g[i].Data[:len(s.Data)])
	}
	return Report{Bytes: int(r.bytes(l, p.Rows))}, nil
}

// norm is ‖v‖.
func norm[T deq.Float](v []T) float64 { return math.Sqrt(kernels.SumSquares(v)) }
