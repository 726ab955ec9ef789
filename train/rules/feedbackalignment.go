package rules

import (
	"context"

	"attractor/deq"
)

// FeedbackAlignment sends the output's error back through fixed random weights B of the shape of
// the readout's Wo in place of Wo itself. With ∂L/∂y [batch, outputs],
//
//	ℓ = ∂L/∂y·B,   ΔΘ = uᵀ ∂f/∂θ,   u = ℓ  or  (I − Jᵀ) u = ℓ,
//
// the latter with Recurrent transpose, and with a fixed random matrix in the place of W in Jᵀ
// with Recurrent random. Where it learns, the network comes to align its weights with B, so that
// the update descends.
//
// T. P. Lillicrap, D. Cownden, D. B. Tweed and C. J. Akerman, Random synaptic feedback weights
// support error backpropagation for deep learning, Nature Communications 7:13276, 2016,
// doi:10.1038/ncomms13276.
type FeedbackAlignment[T deq.Float] struct {
	Way
}

func feedbackAlignmentEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "feedback-alignment", Value: FeedbackAlignment[T]{}, Doc: `credit through fixed random feedback weights

Takes ℓ = ∂L/∂y·B with a fixed random B in place of the readout's weights, and returns uᵀ∂f/∂θ with
u = ℓ, or with recurrent: transpose the adjoint (I − Jᵀ)u = ℓ, or with recurrent: random that
adjoint with a fixed random matrix in place of W. No readout weight is transported; the network
learns to make B useful.`,
		Refs: []string{`@article{lillicrap2016random,
  title   = {Random synaptic feedback weights support error backpropagation for deep learning},
  author  = {Lillicrap, Timothy P. and Cownden, Daniel and Tweed, Douglas B. and Akerman, Colin J.},
  journal = {Nature Communications},
  volume  = {7},
  pages   = {13276},
  year    = {2016},
  doi     = {10.1038/ncomms13276}
}`}}
}

// Check implements Rule.
func (r FeedbackAlignment[T]) Check(l *deq.Layer[T]) error {
	return r.check("feedback-alignment", l.SingleActivation)
}

// Exact implements Rule.
func (FeedbackAlignment[T]) Exact() bool { return false }

// Audit implements Rule.
func (r FeedbackAlignment[T]) Audit() Audit { return r.audit() }

// Parameters implements Parametric: B, and with Recurrent random the matrix in the place of W.
func (r FeedbackAlignment[T]) Parameters(l *deq.Layer[T]) []Parameter {
	return feedbackParameters(l, r.Way, true)
}

// Gradient implements EquilibriumRule.
func (r FeedbackAlignment[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	return s.feedBack(ctx, r.Way, s.Own.Params, nil, g)
}
