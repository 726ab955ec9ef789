package rules

import (
	"context"
	"math"
	"slices"

	"attractor/deq"
)

// SignSymmetric is FeedbackAlignment with feedback weights that have the signs of the readout's
// weights of now and random sizes of their own:
//
//	B = |B₀| ∘ sign(Wo),   ℓ = ∂L/∂y·B,   ΔΘ = uᵀ ∂f/∂θ
//
// with a fixed random B₀, and u as there. Of the readout's weights one bit each is transported.
//
// Q. Liao, J. Z. Leibo and T. Poggio, How important is weight symmetry in backpropagation?, AAAI
// 2016, arXiv:1510.05067.
type SignSymmetric[T deq.Float] struct {
	Way
}

func signSymmetricEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "sign-symmetric", Value: SignSymmetric[T]{}, Doc: `feedback weights with the signs of the readout's

Takes ℓ = ∂L/∂y·B with B = |B₀| ∘ sign(Wo), B₀ fixed and random, and returns uᵀ∂f/∂θ with u = ℓ or an
adjoint of it, as feedback-alignment. The signs follow the readout's at every step.`,
		Refs: []string{`@inproceedings{liao2016important,
  title     = {How Important Is Weight Symmetry in Backpropagation?},
  author    = {Liao, Qianli and Leibo, Joel Z. and Poggio, Tomaso},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2016},
  eprint    = {1510.05067},
  archiveprefix = {arXiv}
}`}}
}

// Check implements Rule.
func (r SignSymmetric[T]) Check(l *deq.Layer[T]) error {
	return r.check("sign-symmetric", l.SingleActivation)
}

// Exact implements Rule.
func (SignSymmetric[T]) Exact() bool { return false }

// Audit implements Rule: the signs are transported.
func (r SignSymmetric[T]) Audit() Audit {
	a := r.audit()
	a.ReadoutTransport = true
	return a
}

// Parameters implements Parametric: B₀, and with Recurrent random the matrix in the place of W.
func (r SignSymmetric[T]) Parameters(l *deq.Layer[T]) []Parameter {
	return feedbackParameters(l, r.Way, true)
}

// Gradient implements EquilibriumRule.
func (r SignSymmetric[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	b, bytes := slices.Clone(s.Own.Params), 0
	for i, own := range b {
		if own.Role.OfCell() {
			continue
		}
		b[i].Data = make([]T, len(own.Data))
		for k, w := range s.Layer().Params.Data(own.Name) {
			b[i].Data[k] = T(math.Copysign(float64(own.Data[k]), float64(w)))
		}
		bytes += bytesOf(b[i].Data)
	}
	report, err := s.feedBack(ctx, r.Way, b, nil, g)
	report.Bytes += bytes
	return report, err
}
