package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/train/losses"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// checkSequence reports why the rule or a setting is not for what happens through time: trials of many
// steps, or noise of the model.
func (t *Trainer[T]) checkSequence() error {
	if t.Layer.Noisy() && !temporal(t.rule) {
		return fmt.Errorf("train: model %q has noise, and rule %q learns at equilibria, which have none: set the noise to 0, or choose a rule that goes through time, such as bptt",
			t.Config.Model.Name, t.Config.Rule.Name)
	}
	steps := t.Data.Steps
	if steps == 0 {
		return nil
	}
	where := fmt.Sprintf("train: task %q has trials of %d steps", t.Config.Task.Name, steps)
	if !temporal(t.rule) {
		return fmt.Errorf("%s, and rule %q learns at equilibria: choose a rule that goes through time, such as bptt", where, t.Config.Rule.Name)
	}
	if rule, ok := t.rule.(rules.SequenceChecker); ok {
		if err := rule.CheckSequence(steps); err != nil {
			return fmt.Errorf("%s, which rule %q cannot learn from: %w", where, t.Config.Rule.Name, err)
		}
	}
	if t.Config.Regularizer.Jacobian > 0 {
		return fmt.Errorf("%s, and no equilibrium at which regularizer.jacobian could be taken: set it to 0", where)
	}
	if t.settings.Stability != "off" {
		return fmt.Errorf("%s, and no equilibrium whose stability could be looked at: set train.stability to off", where)
	}
	return nil
}

// sequence is what a TemporalRule runs through, with the noise of this step of training.
func (t *Trainer[T]) sequence(batch *tasks.Batch[T]) deq.Sequence[T] {
	seed, update := t.settings.Seed, uint64(t.Step)
	var start []T
	if t.Data.Start != 0 {
		start = slices.Repeat([]T{T(t.Data.Start)}, len(batch.Rows)*t.Layer.Units)
	}
	return deq.Sequence[T]{Rows: len(batch.Rows), Steps: batch.Steps, X: batch.X, Z0: start, Noise: func(name string, step, sample int) *rand.Rand {
		return rng.Stream(seed, "noise/"+name, update, uint64(step), uint64(sample))
	}}
}

// trial is sequence to be scored: each sample has noise of its own, whatever its batch.
func (t *Trainer[T]) trial(batch *tasks.Batch[T]) deq.Sequence[T] {
	q, seed := t.sequence(batch), t.settings.Seed
	q.Once = true
	q.Noise = func(name string, step, sample int) *rand.Rand {
		return rng.Stream(seed, "noise/test/"+name, uint64(batch.Rows[sample]), uint64(step))
	}
	return q
}

func (t *Trainer[T]) objective(batch *tasks.Batch[T]) deq.Loss[T] {
	return objective[T]{loss: t.loss, outputs: t.Layer.Outputs, batch: batch}
}

// readOut reads the states of a trajectory that have a loss: of a relaxation the last.
func (t *Trainer[T]) readOut(ctx context.Context, tr *deq.Trajectory[T], batch *tasks.Batch[T], g deq.Params[T]) (deq.Outputs[T], error) {
	if batch.Steps == 0 {
		return tr.EvaluateLast(t.objective(batch), g)
	}
	return tr.Evaluate(ctx, t.objective(batch), batch.Weights, g)
}

// answer runs the network on a batch as its rule does: to the equilibrium, or through the sequence q, which has none.
func (t *Trainer[T]) answer(ctx context.Context, batch *tasks.Batch[T], q deq.Sequence[T]) (deq.Outputs[T], *deq.Equilibrium[T], error) {
	if rule, ok := t.rule.(rules.TemporalRule[T]); ok {
		tr, err := rules.Run(ctx, rule, t.Layer, q)
		if err != nil {
			return nil, nil, err
		}
		outputs, err := t.readOut(ctx, tr, batch, nil)
		return outputs, nil, err
	}
	e, err := t.Layer.Solve(ctx, batch.X, nil, t.forward)
	if err != nil {
		return nil, nil, err
	}
	o, err := t.Layer.Evaluate(e.Z, t.objective(batch), nil)
	return deq.Outputs[T]{o}, e, err
}

// valueOf is what a step makes smaller, at the parameters of now and with the step's masks, noise and probes: the mean loss
// and what the regularizer adds to it. A solve that does not converge is an error.
func (t *Trainer[T]) valueOf(ctx context.Context, s *Step[T]) (float64, error) {
	var outputs deq.Outputs[T]
	var z []T
	if rule, ok := t.rule.(rules.TemporalRule[T]); ok {
		tr, err := rules.Run(ctx, rule, t.Layer, t.sequence(s.Batch))
		if err != nil {
			return 0, err
		}
		outputs, err = t.readOut(ctx, tr, s.Batch, nil)
		if err != nil || s.Batch.Steps > 0 {
			return outputs.Loss(), err
		}
		z = tr.Last()
	} else {
		var e *deq.Equilibrium[T]
		var err error
		if outputs, e, err = t.answer(ctx, s.Batch, deq.Sequence[T]{}); err != nil {
			return 0, err
		}
		if err := e.Report.Err(); err != nil {
			return 0, err
		}
		z = e.Z
	}
	more, err := s.added.at(t.Layer, s.Batch.X, z, s.Loss)
	return outputs.Loss() + more, err
}

// correct is the number of samples of a batch whose label the outputs have, of a trial the share of its
// scored steps.
func correct[T deq.Float](batch *tasks.Batch[T], outputs deq.Outputs[T], dim int) float64 {
	if batch.Steps == 0 {
		return float64(losses.Correct(outputs[len(outputs)-1].Y, dim, batch.Labels))
	}
	rows, sum := len(batch.Rows), 0.0
	for b := range rows {
		right, scored := 0, 0
		for t := range batch.Steps {
			if !batch.IsScored(t, b) {
				continue
			}
			scored++
			right += losses.Correct(outputs[t+1].Y[b*dim:(b+1)*dim], dim, batch.Labels[t*rows+b:t*rows+b+1])
		}
		sum += float64(right) / float64(scored)
	}
	return sum
}
