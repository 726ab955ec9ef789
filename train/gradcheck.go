package train

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/train/tasks"
)

// GradReport compares a rule's gradient with finite differences.
type GradReport struct {
	Parameters []GradParameter `json:"parameters"`
	Holds      bool            `json:"holds"` // all relative errors are within Tolerance
	Tolerance  float64         `json:"tolerance"`
}

// GradParameter is the comparison for one parameter, over the entries that were checked.
type GradParameter struct {
	Name        string  `json:"name"`
	MaxRelError Number  `json:"max_rel_error"` // max|a − n| / max|n|
	Cosine      Number  `json:"cosine"`
	Checked     int     `json:"checked"` // entries, of Entries
	Entries     int     `json:"entries"`
	Largest     float64 `json:"largest"` // max|n|
}

// The gradient check solves to gradRTol, looks at gradSamples samples and at no more than
// gradEntries entries of a parameter, drawn from the seed.
const (
	gradRTol      = 1e-13
	gradSamples   = 4
	gradEntries   = 40
	gradTolerance = 1e-6
)

// GradCheck compares the gradient that a rule gives for a model, at its initial parameters and
// with random biases, with finite differences of the loss. The loss of a TemporalRule is that
// of its own relaxation, of any other rule that at the equilibrium. Rules that are
// not exact do not hold, and are not meant to.
func GradCheck(ctx context.Context, c Config[float64], p Parts[float64]) (*GradReport, error) {
	c.Forward.RTol, c.Adjoint.RTol = gradRTol, gradRTol
	c.Forward.MaxEvals, c.Adjoint.MaxEvals = 5000, 5000
	c.Train.Batch, c.Train.Trained, c.Train.Unconverged = gradSamples, "all", "stop"
	t, err := New(c, p)
	if err != nil {
		return nil, err
	}
	for _, param := range t.Layer.Params {
		if len(param.Shape) == 1 { // vectors start at 0, where activations may be at a kink
			r := rng.Stream(c.Train.Seed, "gradcheck/"+param.Name)
			for k := range param.Data {
				param.Data[k] = 0.1 * r.NormFloat64()
			}
		}
	}
	t.Layer.Updated()
	batch := t.batches.At(0, 0)
	step, err := t.gradients(ctx, batch, nil)
	if err != nil {
		return nil, err
	}
	rep := &GradReport{Holds: true, Tolerance: gradTolerance}
	for i, param := range t.Layer.Params {
		g, err := t.compareGradient(ctx, batch, param, step.Grads[i].Data)
		if err != nil {
			return nil, err
		}
		rep.Parameters = append(rep.Parameters, g)
		rep.Holds = rep.Holds && float64(g.MaxRelError) <= gradTolerance
	}
	return rep, nil
}

// compareGradient compares some entries of one parameter's gradient.
func (t *Trainer[T]) compareGradient(ctx context.Context, batch *tasks.Batch[T], param deq.Tensor[T], gradient []T) (GradParameter, error) {
	entries := rng.Stream(t.settings.Seed, "gradcheck/entries/"+param.Name).Perm(len(param.Data))
	entries = entries[:min(len(entries), gradEntries)]
	var worst, largest, dot, aa, nn float64
	for _, k := range entries {
		value := param.Data[k]
		n, err := finite.Derivative(func(h float64) (float64, error) {
			param.Data[k] = value + T(h)
			t.Layer.Updated()
			return t.lossOf(ctx, batch)
		})
		param.Data[k] = value
		t.Layer.Updated()
		if err != nil {
			return GradParameter{}, fmt.Errorf("train: gradient check of %s[%d]: %w", param.Name, k, err)
		}
		a := float64(gradient[k])
		worst, largest = max(worst, math.Abs(a-n)), max(largest, math.Abs(n))
		dot, aa, nn = dot+a*n, aa+a*a, nn+n*n
	}
	return GradParameter{
		Name: param.Name, MaxRelError: Number(worst / largest), Cosine: Number(dot / math.Sqrt(aa*nn)),
		Checked: len(entries), Entries: len(param.Data), Largest: largest,
	}, nil
}

// lossOf is the mean loss of a batch, solved as the rule has it solved.
func (t *Trainer[T]) lossOf(ctx context.Context, batch *tasks.Batch[T]) (float64, error) {
	outputs, report, err := t.answer(ctx, batch, t.sequence(batch))
	if err != nil {
		return 0, err
	}
	if report != nil && report.Err() != nil {
		return 0, report.Err()
	}
	return outputs.Loss(), nil
}
