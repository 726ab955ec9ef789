package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/train"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Look is what all rules make of the same moment of a training run: the same weights, the
// same batches, the same equilibria. One of them drives the run; none of this touches it.
//
// The first batch is that of the step; the others are drawn from the training data, each on its
// own. A sample for which there is no exact gradient is left out for all rules: in float64 no fixed point is found, neither
// by Anderson's method nor by Newton's from where a rule's solve ended, or I − J is singular there. A rule solves as it would if it drove: with its own
// solver, settings and start. Where it has parameters of its own, they are those that it begins
// with, but for the rule that drives.
type Look struct {
	Moment  int          `json:"moment"`  // from 0
	Step    int          `json:"step"`    // steps made before
	Epoch   train.Number `json:"epoch"`   // passes over the training data made before
	Batches int          `json:"batches"` // with samples left
	Samples int          `json:"samples"` // of all batches
	Dropped int          `json:"dropped"` // samples without an exact gradient, in addition
	// Unstable of the samples have a fixed point that iterating the cell leaves: the spectral radius of ∂f/∂z,
	// estimated by the growth of a vector over 40 steps, is above 1.
	Unstable int `json:"unstable"`

	Gradients []string         `json:"gradients"` // ExactGradient, then the rules
	Cosines   [][]train.Number `json:"cosines"`   // between any two, over the cell's parameters that learn; means over batches
	Views     []View           `json:"views"`     // of the rules
}

// ExactGradient is the name of the exact gradient in a Look.
const ExactGradient = "exact"

// View is what one rule makes of a moment, against the exact gradient: over all of the
// cell's parameters that learn, and parameter by parameter.
type View struct {
	Rule  string `json:"rule"`
	Error string `json:"error,omitempty"` // why there is no gradient
	Measures
	// Descent is how fast the loss of the batch falls along the rule's direction, per length of
	// the step: −dL(θ − s r/‖r‖)/ds at s = 0, which is ⟨r, g⟩/‖r‖.
	Descent train.Number `json:"descent"`
	Evals   train.Number `json:"evals"` // of cell and adjoint product per sample, that the gradient took
	Bytes   int64        `json:"bytes"` // held to train by the rule: parameters, programs, solvers, gradients, moments, buffers

	Params []ParamView `json:"params"`
}

// ParamView is a View of one parameter.
type ParamView struct {
	Name string `json:"name"`
	Measures
}

// Measures compare a rule's gradient r with the exact gradient g. The first three are means over
// batches. The others are about the error d = r − g of M batches d₁ … d_M drawn independently:
//
//	bias²    = Σ_{i≠j} ⟨dᵢ, dⱼ⟩ / (M(M − 1)),
//	variance = Σᵢ ‖dᵢ − d̄‖² / (M − 1),
//
// both over the mean of ‖gᵢ‖². Before that scaling their expectations are ‖E d‖² and
// E‖d − E d‖² for any M ≥ 2 (‖d̄‖² itself would be too large by variance/M). The estimate of
// bias² may therefore be negative, where there is little bias. With one batch both are NaN.
type Measures struct {
	Cosine        train.Number `json:"cosine"`         // ⟨r, g⟩/(‖r‖‖g‖)
	NormRatio     train.Number `json:"norm_ratio"`     // ‖r‖/‖g‖
	SignAgreement train.Number `json:"sign_agreement"` // share of the entries with g ≠ 0 at which r has g's sign
	BiasSquared   train.Number `json:"bias_squared"`
	Variance      train.Number `json:"variance"`
}

// gallery are the rules that look on at a few moments of a run.
type gallery[T deq.Float] struct {
	driver  *train.Trainer[T]
	moments []int // steps
	batches int
	seed    uint64
	names   []string
	others  []*train.Trainer[T]
	scout   int // the first of them that reads out an equilibrium, or else the first

	split tasks.Split
	draws *tasks.Batches[T]
	batch tasks.Batch[T]
}

// newGallery makes trainers of the rules, configured as in their own trials, for the run t.
func newGallery[T deq.Float](t *train.Trainer[T], parts train.Parts[T], plan Plan, configured func(rule string) (train.Config[T], error)) (*gallery[T], error) {
	g := &gallery[T]{
		driver: t, moments: momentsOf(t.Steps(), t.Config.Train.Epochs, plan.Looks), batches: plan.LookBatches,
		seed: t.Config.Train.Seed, names: plan.Onlookers, split: t.Data.Train,
	}
	for _, name := range g.names {
		c, err := configured(name)
		if err != nil {
			return nil, err
		}
		other, err := train.NewOn(onlooking(c), parts, t.Data)
		if err != nil {
			return nil, fmt.Errorf("compare: %s looks on: %w", name, err)
		}
		g.others = append(g.others, other)
	}
	g.scout = max(0, slices.IndexFunc(g.others, func(o *train.Trainer[T]) bool {
		_, ok := o.Config.Rule.Value.(rules.EquilibriumRule[T])
		return ok
	}))
	var err error
	g.draws, err = tasks.NewBatches[T](g.split, t.Layer.Batch(), rng.Stream(g.seed, "looks").Uint64())
	return g, err
}

// momentsOf are n steps of a run, evenly from the first to the last; where the run has epochs
// enough, each is the first step of one, whose batch does not depend on the weights.
func momentsOf(steps, epochs, n int) []int {
	var out []int
	for i := range min(n, steps) {
		k := 0
		if n > 1 {
			k = int(math.Round(float64(i) * float64(steps-1) / float64(n-1)))
		}
		if epochs >= n {
			k -= k % (steps / epochs)
		}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// look takes a look at a step.
func (g *gallery[T]) look(ctx context.Context, x *reference, s train.Step[T]) (Look, error) {
	moment := slices.Index(g.moments, s.Index)
	out := Look{
		Moment: moment, Step: s.Index, Gradients: append([]string{ExactGradient}, g.names...),
		Epoch: train.Number(float64(s.Index*g.driver.Config.Train.Epochs) / float64(g.driver.Steps())),
	}
	cell := slices.DeleteFunc(slices.Clone(s.Trained), func(i int) bool { return !s.Grads[i].Role.OfCell() })
	total := newTally(g.names)
	for _, i := range cell {
		total.param(s.Grads[i].Name, len(s.Grads[i].Data))
	}
	for m := range g.batches {
		rows, scout := s.Batch.Rows, g.others[g.scout].Layer
		if deq.CopyMasks(scout, s.Layer); m > 0 {
			rows = g.draws.At(moment*g.batches+m, 0).Rows
			scout.DrawMasks(rng.Stream(g.seed, "looks/dropout", uint64(moment), uint64(m)))
		}
		draw := s.Index
		if m > 0 {
			draw = g.driver.Steps() + moment*g.batches + m
		}
		seen, err := g.see(ctx, x, draw, cell, rows)
		if err != nil {
			return out, err
		}
		out.Dropped, out.Unstable = out.Dropped+len(rows)-seen.samples, out.Unstable+seen.unstable
		if seen.samples > 0 {
			out.Batches, out.Samples = out.Batches+1, out.Samples+seen.samples
			total.add(seen)
		}
	}
	out.Cosines, out.Views = total.cosines(), total.views()
	for i, o := range g.others {
		out.Views[i].Bytes = int64(o.Bytes())
	}
	return out, nil
}

// sight is the gradients of one batch, parameter behind parameter: the exact one, then those of
// the rules.
type sight struct {
	samples   int // with an exact gradient
	unstable  int // of their fixed points
	gradients [][]float64
	evals     []float64 // of the rules
	errs      []error
}

// see computes all gradients of the parameters cell for those of the samples rows that have an
// exact one; rules that draw at random do so as in step draw.
func (g *gallery[T]) see(ctx context.Context, x *reference, draw int, cell, rows []int) (sight, error) {
	params, scout := g.driver.Layer.Params, g.others[g.scout]
	for i, o := range g.others {
		o.Step = draw
		if g.names[i] == g.driver.Config.Rule.Name {
			o.Own.Params.CopyFrom(g.driver.Own.Params)
		}
	}
	g.batch.Gather(g.split, rows)
	first, firstErr := scout.Look(ctx, params, &g.batch, nil)
	if ctx.Err() != nil {
		return sight{}, firstErr
	}
	exact, err := gradientOf(ctx, x, scout.Layer, rows, widen(first.Z))
	if err != nil {
		return sight{}, err
	}
	seen := sight{samples: len(exact.rows), unstable: exact.unstable}
	if seen.samples == 0 {
		return seen, nil
	}
	asked, rows := len(rows), exact.rows
	seen.gradients = [][]float64{flat(exact.Grads, cell)}
	g.batch.Gather(g.split, rows)
	for i, o := range g.others {
		step, err := first, firstErr
		if i != g.scout || len(rows) < asked {
			if i != g.scout {
				deq.CopyMasks(o.Layer, scout.Layer)
			}
			if step, err = o.Look(ctx, params, &g.batch, nil); ctx.Err() != nil {
				return sight{}, err
			}
		}
		seen.gradients = append(seen.gradients, flat(step.Grads, cell))
		seen.evals, seen.errs = append(seen.evals, step.Record.Cell+step.Record.Adjoint), append(seen.errs, err)
	}
	return seen, nil
}

// flat joins the entries of some parameters.
func flat[T deq.Float](p deq.Params[T], which []int) []float64 {
	var out []float64
	for _, i := range which {
		for _, v := range p[i].Data {
			out = append(out, float64(v))
		}
	}
	return out
}

// without returns the rows of v [rows, width] that are not among the failed.
func without[E any](v []E, failed map[int]bool, width int) []E {
	var out []E
	for r := range len(v) / width {
		if !failed[r] {
			out = append(out, v[r*width:(r+1)*width]...)
		}
	}
	return out
}
