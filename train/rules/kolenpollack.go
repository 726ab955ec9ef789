package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// KolenPollack is FeedbackAlignment with feedback weights that learn. B takes the update of the
// readout's Wo, the product of the same activities, and both decay:
//
//	ΔWo = ∂L/∂yᵀ z + λWo,   ΔB = ∂L/∂yᵀ z + λB,   ℓ = ∂L/∂y·B,   ΔΘ = uᵀ ∂f/∂θ
//
// with u as there. So B − Wo decays, by 1 − ηλ a step of gradient descent with the learning rate
// η, and B becomes Wo without a weight being transported. The rule adds λWo to the
// gradient of the readout. Where the readout does not learn, B does not either.
//
// J. F. Kolen and J. B. Pollack, Backpropagation without weight transport, IEEE International
// Conference on Neural Networks, 1994, doi:10.1109/ICNN.1994.374486; M. Akrout, C. Wilson, P. C. Humphreys,
// T. Lillicrap and D. Tweed, Deep learning without weight transport, NeurIPS 2019, arXiv:1904.05391.
type KolenPollack[T deq.Float] struct {
	kit.Zeros
	Way
	Decay float64 `default:"0.01" doc:"decay λ of B and of the readout's weights"`
}

func kolenPollackEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "kolen-pollack", Value: KolenPollack[T]{}, Doc: `feedback weights that learn to be the readout's

Takes ℓ = ∂L/∂y·B and returns uᵀ∂f/∂θ with u = ℓ or an adjoint of it, as feedback-alignment. B takes
the same update as the readout's Wo and both decay by λ, so that B − Wo goes to 0: in the end the
credit is that of the readout's own weights, and no weight has been transported.`,
		Refs: []string{`@inproceedings{kolen1994backpropagation,
  title     = {Backpropagation without Weight Transport},
  author    = {Kolen, John F. and Pollack, Jordan B.},
  booktitle = {Proceedings of the IEEE International Conference on Neural Networks},
  volume    = {3},
  pages     = {1375--1380},
  year      = {1994},
  doi       = {10.1109/ICNN.1994.374486}
}`, `@inproceedings{akrout2019deep,
  title     = {Deep Learning without Weight Transport},
  author    = {Akrout, Mohamed and Wilson, Collin and Humphreys, Peter C. and Lillicrap, Timothy and Tweed, Douglas},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {32},
  year      = {2019},
  eprint    = {1904.05391},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r KolenPollack[T]) Validate() error {
	if !(r.Decay >= 0) {
		return fmt.Errorf("decay: expected a number of at least 0, found %g", r.Decay)
	}
	return nil
}

// Check implements Rule.
func (r KolenPollack[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	return r.check("kolen-pollack", l.SingleActivation)
}

// Exact implements Rule.
func (KolenPollack[T]) Exact() bool { return false }

// Audit implements Rule.
func (r KolenPollack[T]) Audit() Audit { return r.audit() }

// Parameters implements Parametric: B, and with Recurrent random the matrix in the place of W.
func (r KolenPollack[T]) Parameters(l *deq.Layer[T]) []Parameter {
	return feedbackParameters(l, r.Way, false)
}

// Gradient implements EquilibriumRule.
func (r KolenPollack[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	decay := T(kit.WithDefaults(r).Decay)
	outer := readoutGradients(s.Layer())
	report, err := s.feedBack(ctx, r.Way, s.Own.Params, outer, g)
	if err != nil {
		return report, err
	}
	report.Bytes += outer.Bytes()
	s.Own.learnBeside(s.Layer(), decay, outer, g)
	return report, nil
}
