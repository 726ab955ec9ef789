package zhu2024

import (
	"context"
	"fmt"
	"slices"

	"attractor/internal/figure"
	"attractor/train/compare"
	"attractor/train/experiments"
	"attractor/train/tasks"
)

const digitsDoc = `the image task of figures 4 and 5, on the digits that the program holds, in place of MNIST

Trains W of a tanh network of 300 units to classify 8 × 8 digits: 354 iterations of plain
descent on batches of 64, from W₀ = 0.5·randn/√N; the input weights randn/√64 and the
readout randn/√N stay as drawn. States are those after 100 Euler steps of dt = 0.05 τ from 0.
Four settings over the same thirty seeds, which share parameters and batches:
  gradient at 0.01 and 0.025, reparam-gradient at 0.1, reparam-gradient-half at 0.05
A run collapses that ends below 60 % after a peak above 80 %.
Checked: reparam-gradient reaches 93 % on the test samples, no run of it collapses, and no eigenvalue of W passes 1;
gradient ends below it at both rates; at 0.025 it collapses in most runs, with an eigenvalue past 1 in all: means and
paired differences by Student's t, shares by exact intervals, of 95 %.
What we find: the share of runs that collapse is no matter of all or nothing. In runs from the seeds 1 to 10 and 101 to
115 it is 21 of 25 at 0.025 (84 %, 95 % interval 64 to 95), and from the latter 8 of 15 at 0.01 (53 %, 27 to 79); of few
seeds, such as 5, any number from 2 on may be seen. At 0.025 the accuracy swings widely once it has broken down. Nor does an eigenvalue of W past 1 tell
by itself which run breaks down: reparam-gradient-half has one in the end too and keeps 88 %. The same readout is used
by all rules, and trained on is the training data, which the published runs did otherwise.`

const digitSeeds = 30

var digitSchedule = schedule{batch: 64, steps: 354, dt: 0.05, euler: 100, testEvery: 18, spectraEvery: 59}

// collapsed reports a run that ends below 60 % after a peak above 80 %.
func (t *trial) collapsed() bool { return t.final() < 0.6 && t.peak() > 0.8 }

func digits(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	data, err := tasks.Digits{}.Load(0)
	if err != nil {
		return nil, err
	}
	first := max(o.Seed, 1)
	r := &experiments.Result{Name: "zhu2024/digits", Seed: first, Notes: []string{
		"Trained on the training data, with one readout for all rules; the published runs are of MNIST.",
	}}
	settings := []setting{{"gradient", 0.01}, {"gradient", 0.025}, {"reparam-gradient", 0.1}, {"reparam-gradient-half", 0.05}}
	limited := settings[2:]
	seeds, how := digitSeeds, digitSchedule
	if o.Quick {
		settings, limited = []setting{settings[0], settings[2]}, nil
		seeds, how.steps = 1, 18
		r.Notes = append(r.Notes, "Quick: 2 settings, 1 seed, 18 iterations; the published outcomes are not checked.")
	} else {
		r.Notes = append(r.Notes,
			fmt.Sprintf("Seeds %d to %d; lo and hi are ends of 95 %% intervals: of means over them (Student's t), and exact ones of shares of them.", first, first+digitSeeds-1),
			stabilityNote, fmt.Sprintf("diverges-above is the rate, to a tenth and for seed %d, above which the loss ends above where it began.", first))
	}
	trials := make([][]*trial, len(settings))
	for i := range trials {
		trials[i] = make([]*trial, seeds)
	}
	limits := make([]float64, len(limited))
	runs := len(settings) * seeds
	err = o.WorkInParts(ctx, runs+len(limited), how.steps, func(i int, done func()) (err error) {
		if i >= runs {
			i -= runs
			limits[i], err = limit(ctx, data, how, limited[i], first)
			return err
		}
		k, s := i%len(settings), i/len(settings)
		trials[k][s], err = learn(ctx, data, how, settings[k], first+uint64(s), done)
		return err
	}, func(i int) string {
		if i >= runs {
			return "divergence of " + limited[i-runs].rule
		}
		s := settings[i%len(settings)]
		return fmt.Sprintf("%s at η = %g, seed %d", s.rule, s.rate, first+uint64(i/len(settings)))
	})
	if err != nil {
		return nil, err
	}
	reportDigits(r, trials, o.Quick)
	for i, s := range limited {
		r.Value(s.rule+"/diverges-above", limits[i])
	}
	return r, r.Save(o, "digits", digitsFigure(trials))
}

// over collects a number of every trial.
func over(trials []*trial, of func(*trial) float64) []float64 {
	out := make([]float64, len(trials))
	for i, t := range trials {
		out[i] = of(t)
	}
	return out
}

func reportDigits(r *experiments.Result, trials [][]*trial, quick bool) {
	const source = paper + ", its claim on our digits"
	final := map[setting][]float64{}
	for _, set := range trials {
		s := set[0].setting
		id := s.String() + "/"
		final[s] = over(set, (*trial).final)
		largest := over(set, func(t *trial) float64 { return slices.Max(t.abscissa) })
		collapsed := 0
		for _, t := range set {
			if t.collapsed() {
				collapsed++
			}
		}
		accuracy := r.Mean(id+"test-accuracy", final[s])
		r.Mean(id+"abscissa", over(set, func(t *trial) float64 { return t.abscissa[len(t.abscissa)-1] }))
		share := r.Share(id+"collapsed", collapsed, len(set))
		switch {
		case quick && s.rule == "reparam-gradient":
			r.Bound(id+"begins-to-learn", accuracy.Mean, experiments.Above, 0.5, "ours")
		case quick:
		case s == setting{"reparam-gradient", 0.1}:
			r.Bound(id+"test-accuracy/least", accuracy.Lo, experiments.AtLeast, 0.93, "ours: the lower end of the interval")
			r.Bound(id+"collapsed/any", float64(collapsed), experiments.AtMost, 0, source)
			r.Bound(id+"abscissa/max", slices.Max(largest), experiments.Below, 1, source)
		case s == setting{"gradient", 0.025}:
			// At the share of 21 in 25 that was found (see the doc) no more than half of 30 do in 2 of 100,000 experiments; at the
			// lower end of its exact interval, 64 %, in 8 of 100.
			r.Bound(id+"collapsed/most", share.Mean, experiments.Above, 0.5, source)
			r.Bound(id+"abscissa/least-max", slices.Min(largest), experiments.Above, 1, source)
		}
		for _, t := range set {
			r.Value(fmt.Sprintf("%sseed=%d/test-accuracy", id, t.seed), t.final())
			r.Value(fmt.Sprintf("%sseed=%d/peak-test-accuracy", id, t.seed), t.peak())
			r.Value(fmt.Sprintf("%sseed=%d/training-accuracy-last-%d", id, t.seed, tailLength), t.tail())
			r.Value(fmt.Sprintf("%sseed=%d/abscissa", id, t.seed), t.abscissa[len(t.abscissa)-1])
		}
		r.Value(id+fmt.Sprintf("training-accuracy-last-%d", tailLength), compare.MeanInterval(over(set, (*trial).tail)).Mean)
		r.Value(id+"test-accuracy-at-solved-fixed-points", compare.MeanInterval(over(set, func(t *trial) float64 { return t.solved })).Mean)
		r.Value(id+"fixed-points-not-found", compare.MeanInterval(over(set, func(t *trial) float64 { return float64(t.unsolved) })).Mean)
		r.Value(id+"jacobian-abscissa/max", slices.Max(over(set, func(t *trial) float64 { return t.jacobian })))
		r.Value(id+"adjoints-not-converged", compare.MeanInterval(over(set, func(t *trial) float64 { return float64(t.unconverged) })).Mean)
	}
	if quick {
		return
	}
	best := final[setting{"reparam-gradient", 0.1}]
	for _, other := range []setting{{"gradient", 0.01}, {"gradient", 0.025}, {"reparam-gradient-half", 0.05}} {
		d := compare.PairedDifference(best, final[other])
		id := fmt.Sprintf("reparam-gradient/eta=0.1-minus-%s/eta=%g/test-accuracy", other.rule, other.rate)
		r.Value(id, d.Mean)
		if other.rule == "gradient" {
			r.Bound(id+"/lo", d.Lo, experiments.Above, 0, source)
		} else {
			r.Value(id+"/lo", d.Lo)
		}
		r.Value(id+"/hi", d.Hi)
	}
	for _, plain := range trials[:2] { // the gradient's
		var shares, ends []float64
		for k, t := range plain {
			share, last := ahead(t, trials[2][k])
			shares, ends = append(shares, share), append(ends, last)
		}
		id := "gradient-ahead/" + plain[0].String() + "-of-" + trials[2][0].String()
		r.Value(id+"/share-of-batches", mean(shares))
		r.Value(id+"/last-batch", slices.Max(ends))
	}
}

func digitsFigure(trials [][]*trial) figure.Figure {
	accuracy := figure.Axis{Label: "test accuracy", Percent: true, Min: 0, Max: 1}
	curves := figure.Panel{Title: "learning", X: figure.Axis{Label: "iteration"}, Y: accuracy}
	spectra := figure.Panel{
		Title: "stability", X: figure.Axis{Label: "iteration"}, Y: figure.Axis{Label: "largest Re λ(W)", Log: true},
		Guides: []figure.Guide{{At: 1}},
	}
	ends := figure.Panel{Title: "at the end", Y: accuracy}
	for i, set := range trials {
		s := set[0].setting
		name := s.label()
		mean := compare.MeanInterval(over(set, (*trial).final))
		shown := mean.Clip(0, 1)
		ends.X.Categories = append(ends.X.Categories, fmt.Sprintf("η = %g", s.rate))
		ends.Points = append(ends.Points,
			figure.Points{Name: name, X: []float64{float64(i)}, Y: []float64{mean.Mean}, YLo: []float64{shown.Lo}, YHi: []float64{shown.Hi}})
		each := figure.Points{Name: name, Hollow: true}
		for _, t := range set {
			line := figure.Line{Name: name, Width: 1}
			for k, a := range t.test {
				line.X, line.Y = append(line.X, float64(t.at[k])), append(line.Y, a)
			}
			curves.Lines = append(curves.Lines, line)
			line.X, line.Y = nil, nil
			for k, a := range t.abscissa {
				line.X, line.Y = append(line.X, float64(t.spectrumAt[k])), append(line.Y, a)
			}
			spectra.Lines = append(spectra.Lines, line)
			each.X, each.Y = append(each.X, float64(i)+0.25), append(each.Y, t.final())
		}
		ends.Points = append(ends.Points, each)
	}
	return figure.Figure{
		Alt:    "Test accuracy and largest real part of an eigenvalue of W over training, a line per seed, and the accuracy at the end with 95 % intervals over seeds.",
		Panels: []figure.Panel{curves, spectra, ends}, Cols: 3, Width: 200, Height: 170,
	}
}
