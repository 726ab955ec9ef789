package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
)

// Local is what rules have in common whose credit stays within the units: an eligibility trace for
// every synapse times a credit for every unit and step.
type Local[T deq.Float] struct {
	kit.Zeros
	Steps    int     `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Feedback string  `default:"symmetric" doc:"weights that take the output's error back to the units: the transpose of the readout's, fixed random ones, or random ones that learn beside the readout's (as kolen-pollack)" choices:"symmetric,random,adaptive"`
	Decay    float64 `default:"0.01" doc:"decay of adaptive feedback and of the readout's weights beside it"`
}

// Validate reports options outside their range.
func (o Local[T]) Validate() error {
	o = kit.WithDefaults(o)
	if o.Steps < 1 || !(o.Decay >= 0) {
		return fmt.Errorf("steps and decay: expected at least 1 and 0, found %d and %g", o.Steps, o.Decay)
	}
	return nil
}

// Check implements Rule: every model will do.
func (o Local[T]) Check(*deq.Layer[T]) error { return o.Validate() }

// Exact implements Rule.
func (Local[T]) Exact() bool { return false }

// Audit implements Rule. The states are kept for the traces to be run backwards.
func (o Local[T]) Audit() Audit {
	return Audit{ReadoutTransport: kit.WithDefaults(o).Feedback == "symmetric", StoredStates: true, Memory: "T n", Time: "T n^2"}
}

// Horizon implements TemporalRule.
func (o Local[T]) Horizon() int { return kit.WithDefaults(o).Steps }

// Parameters implements Parametric: the feedback weights, where they are not the readout's.
func (o Local[T]) Parameters(l *deq.Layer[T]) []Parameter {
	feedback := kit.WithDefaults(o).Feedback
	if feedback == "symmetric" {
		return nil
	}
	return standIns(l, models.Readout, feedback == "random")
}

// credits are the outputs with ∂L/∂z_t taken back by the feedback weights, which learn from them where they
// are adaptive.
func (o Local[T]) credits(p Passage[T], g deq.Params[T]) (deq.Outputs[T], error) {
	if kit.WithDefaults(o).Feedback == "symmetric" {
		return p.Outputs, nil
	}
	out := make(deq.Outputs[T], len(p.Outputs))
	err := o.feed(p, g, func(credit func(t int) ([]T, error)) error {
		for t := range p.Outputs {
			dz, err := credit(t)
			if err != nil {
				return err
			}
			if dz != nil {
				out[t] = &deq.Output[T]{DZ: dz}
			}
		}
		return nil
	})
	return out, err
}

// feed calls visit with what takes the error of the output at a state back to the units, by the feedback
// weights: nil where the state has no loss. From all states that visit asks for adaptive weights learn.
func (o Local[T]) feed(p Passage[T], g deq.Params[T], visit func(credit func(t int) ([]T, error)) error) error {
	o = kit.WithDefaults(o)
	l := p.Layer()
	from := l
	if o.Feedback != "symmetric" {
		var err error
		if from, err = l.Twin(func(q deq.Params[T]) {
			for _, b := range p.Own.Params {
				if b.Role == models.Readout {
					copy(q.Data(b.Name), b.Data)
				}
			}
		}); err != nil {
			return err
		}
	}
	var outer deq.Params[T]
	if o.Feedback == "adaptive" {
		outer = readoutGradients(l)
	}
	err := visit(func(t int) ([]T, error) {
		if dz := p.Outputs.DZ(t); o.Feedback == "symmetric" && dz != nil {
			return dz, nil
		}
		dy := p.Outputs.DY(t)
		if dy == nil {
			return nil, nil
		}
		if p.Z[t] == nil {
			return nil, fmt.Errorf("rules: feedback at step %d: its state is not kept", t)
		}
		dz := make([]T, p.Rows*l.Units)
		if err := from.ReadoutVJP(p.Z[t], dy, dz, outer); err != nil {
			return nil, fmt.Errorf("rules: feedback at step %d: %w", t, err)
		}
		return dz, nil
	})
	if err == nil && outer != nil {
		p.Own.learnBeside(l, T(o.Decay), outer, g)
	}
	return err
}

// feedbackOf is the network with the rule's own weights in place of those that they stand in for.
func feedbackOf[T deq.Float](p Passage[T]) (*deq.Layer[T], error) {
	return p.Layer().Twin(func(q deq.Params[T]) {
		for _, b := range p.Own.Params {
			copy(q.Data(b.Name), b.Data)
		}
	})
}

// learnBeside gives feedback weights the update of the readout's weights, outer, and both a decay: see
// KolenPollack.
func (own Own[T]) learnBeside(l *deq.Layer[T], decay T, outer, g deq.Params[T]) {
	for i, b := range own.Grads {
		if len(b.Data) == 0 || b.Role != models.Readout {
			continue
		}
		kernels.Add(b.Data, b.Data, outer.Data(b.Name))
		kernels.Axpy(decay, own.Params[i].Data, b.Data)
		kernels.Axpy(decay, l.Params.Data(b.Name), g.Data(b.Name))
	}
}

// gradient adds Σ_t ũ_tᵀ ∂f/∂θ to g, where the credits are filtered backwards by what stays within a
// unit, ũ_{t−1} = ℓ_t + D_t ũ_t: the same sum as that of credits times traces that run forwards.
func (o Local[T]) gradient(ctx context.Context, p Passage[T], credit deq.Credit, g deq.Params[T]) (Report, error) {
	back := deq.Back[T]{Outputs: p.Outputs, Credit: credit}
	memory := p.Bytes()
	var err error
	if kit.WithDefaults(o).Feedback == "random" { // on the way back, with no memory for credits
		if back.Readout, err = feedbackOf(p); err != nil {
			return Report{}, err
		}
	} else {
		if back.Outputs, err = o.credits(p, g); err != nil {
			return Report{}, err
		}
		memory += back.Outputs.Bytes()
	}
	if err := p.VJP(ctx, back, g); err != nil {
		return Report{}, err
	}
	return Report{Bytes: memory}, nil
}
