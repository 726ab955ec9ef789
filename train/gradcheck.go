package train

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/train/rules"
)

// GradReport compares a rule's gradient with finite differences.
type GradReport struct {
	Parameters []GradParameter `json:"parameters"`
	Holds      bool            `json:"holds"` // no parameter differs
	Tolerance  float64         `json:"tolerance"`
	Resolution float64         `json:"resolution"` // what differences of the loss can tell from 0
}

// GradParameter is the comparison for one parameter, over the entries that were checked, of the rule's a with
// the difference n.
type GradParameter struct {
	Name        string     `json:"name"`
	Status      GradStatus `json:"status"`
	MaxRelError Number     `json:"max_rel_error"` // max|a − n| / max|n|, or over the resolution where that is more
	MaxError    Number     `json:"max_error"`     // max|a − n|
	Cosine      Number     `json:"cosine"`        // null where a or n is 0 and of what is unused
	Checked     int        `json:"checked"`       // entries, of Entries
	Entries     int        `json:"entries"`
	Largest     Number     `json:"largest"` // max|n|
}

// GradStatus is how the gradient of a parameter compares.
type GradStatus string

// A parameter's gradient may
const (
	GradHolds   GradStatus = "holds"       // agree with the differences
	GradUnused  GradStatus = "unused"      // be 0 like these: the loss does not depend on the parameter
	GradNone    GradStatus = "no gradient" // be exactly 0 while these are not: the rule leaves the parameter
	GradDiffers GradStatus = "differs"
)

// The gradient check solves to gradRTol, looks at gradSamples samples and at no more than
// gradEntries entries of a parameter, drawn from the seed. Losses at equilibria that are solved to 1e-13 are no more
// exact, and their differences over steps of about 1e-4 no more than gradResolution times the loss.
const (
	gradRTol       = 1e-13
	gradSamples    = 4
	gradEntries    = 40
	gradTolerance  = 1e-6
	gradResolution = 1e-9
)

// GradCheck compares the gradient that a rule gives for a model, at its initial parameters and
// with random biases, with finite differences of what is trained: the loss and what the regularizer adds to it, with the
// masks of dropout, the noise and the probes of the seed's first step. The loss of a TemporalRule is that
// of its own relaxation, of any other rule that at the equilibrium. Rules that are
// not exact do not hold, and are not meant to.
//
// An entry a agrees with the difference n where
//
//	|a − n| ≤ tolerance·max|n| + max(resolution, min(3σ, tolerance·G))
//
// with the largest n of its parameter, G that of all parameters, the uncertainty σ of n and the
// resolution, 1e-9 times the largest loss: errors are relative to the parameter's own scale; where finite
// differences cannot tell so much, to that of the whole gradient; and absolute where they can tell nothing.
func GradCheck(ctx context.Context, c Config[float64], p Parts[float64]) (*GradReport, error) {
	c.Forward.RTol, c.Adjoint.RTol = gradRTol, gradRTol
	c.Forward.MaxEvals, c.Adjoint.MaxEvals = 5000, 5000
	c.Train.Batch, c.Train.Trained, c.Train.Unconverged = gradSamples, "all", "stop"
	standard := options.WithDefaults(rules.RBP[float64]{}).Steps
	if r, ok := c.Rule.Value.(rules.RBP[float64]); ok && options.WithDefaults(r).Steps == standard { // as long as the solvers may
		r.Steps = c.Adjoint.MaxEvals
		c.Rule.Value = r
	}
	t, err := New(c, p)
	if err != nil {
		return nil, err
	}
	if err := t.Layer.Update(func(params deq.Params[float64]) error {
		for _, param := range params {
			if len(param.Shape) == 1 { // vectors start at 0, where activations may be at a kink
				r := rng.Stream(c.Train.Seed, "gradcheck/"+param.Name)
				for k := range param.Data {
					param.Data[k] = 0.1 * r.NormFloat64()
				}
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	t.dropOut()
	step, err := t.gradients(ctx, t.batches.At(0, 0), nil)
	if err != nil {
		return nil, err
	}
	var compared []comparison
	rep := &GradReport{Holds: true, Tolerance: gradTolerance}
	scale := 0.0
	for i, param := range t.Layer.Params {
		c, err := t.compareGradient(ctx, &step, param, step.Grads[i].Data)
		if err != nil {
			return nil, err
		}
		compared = append(compared, c)
		scale, rep.Resolution = max(scale, c.largest()), max(rep.Resolution, gradResolution*c.loss)
	}
	for _, c := range compared {
		g := c.judge(scale, rep.Resolution)
		rep.Parameters = append(rep.Parameters, g)
		rep.Holds = rep.Holds && (g.Status == GradHolds || g.Status == GradUnused)
	}
	return rep, nil
}

// comparison is what was found about some entries of one parameter.
type comparison struct {
	name          string
	entries       int
	given         []float64 // by the rule
	found, spread []float64 // by differences, and how sure that is
	loss          float64   // largest |L|
}

// compareGradient differentiates the loss for some entries of one parameter.
func (t *Trainer[T]) compareGradient(ctx context.Context, s *Step[T], param deq.Tensor[T], gradient []T) (comparison, error) {
	c := comparison{name: param.Name, entries: len(param.Data)}
	entries := rng.Stream(t.settings.Seed, "gradcheck/entries/"+param.Name).Perm(len(param.Data))
	for _, k := range entries[:min(len(entries), gradEntries)] {
		n, spread, err := finite.Estimate(func(h float64) (loss float64, err error) {
			err = t.Layer.Vary(func(deq.Params[T]) error { param.Data[k] += T(h); return nil },
				func() error { loss, err = t.valueOf(ctx, s); return err })
			c.loss = max(c.loss, math.Abs(loss))
			return loss, err
		})
		if err != nil {
			return c, fmt.Errorf("train: gradient check of %s[%d]: %w", param.Name, k, err)
		}
		c.given, c.found, c.spread = append(c.given, float64(gradient[k])), append(c.found, n), append(c.spread, spread)
	}
	return c, nil
}

// largest is max|n|, NaN where one is.
func (c comparison) largest() float64 {
	most := 0.0
	for _, n := range c.found {
		most = max(most, math.Abs(n))
	}
	return most
}

// judge compares, for the largest entry of the whole gradient and what differences can resolve.
func (c comparison) judge(scale, resolution float64) GradParameter {
	g := GradParameter{Name: c.name, Status: GradUnused, Checked: len(c.given), Entries: c.entries, Largest: Number(c.largest())}
	var worst, most, dot, aa, nn float64
	holds := true
	for k, a := range c.given {
		n := c.found[k]
		worst, most = max(worst, math.Abs(a-n)), max(most, math.Abs(a))
		dot, aa, nn = dot+a*n, aa+a*a, nn+n*n
		allowed := gradTolerance*float64(g.Largest) + max(resolution, min(3*c.spread[k], gradTolerance*scale))
		holds = holds && math.Abs(a-n) <= allowed // not with NaN
	}
	g.MaxError, g.MaxRelError, g.Cosine = Number(worst), Number(worst/max(float64(g.Largest), resolution)), Number(dot/math.Sqrt(aa*nn))
	if worst == 0 {
		g.MaxRelError = 0
	}
	switch {
	case !holds && most == 0:
		g.Status = GradNone
	case !holds:
		g.Status = GradDiffers
	case max(most, float64(g.Largest)) > resolution:
		g.Status = GradHolds
	default:
		g.Cosine = Number(math.NaN()) // of rounding
	}
	return g
}
