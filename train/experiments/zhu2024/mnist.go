package zhu2024

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"attractor/internal/datasets"
	"attractor/internal/figure"
	"attractor/train/experiments"
	"attractor/train/tasks"
)

const mnistDoc = `figures 4 and 5: three rules at five learning rates each on MNIST

Trains W of a tanh network of 300 units to classify MNIST: three epochs of plain descent on
batches of 512, 354 iterations, from W₀ = 0.5·randn/√N, with pixels from 0 to 1; the input
weights randn/√784 and the readout randn/√N stay as drawn and are the same for all runs, as
the batches are. States are those after 500 Euler steps of dt = 0.01 τ from 0; a second run
of each setting (solved/…) trains at fixed points solved to tolerance instead.
Checked: the training accuracy of each rule at each rate, as a mean over the last ten
batches, beside the published one; that both reparameterised rules end above all rates of
the gradient; that no eigenvalue of W passes 1 by reparam-gradient; that the gradient breaks
down at 0.025.
Also printed: the accuracy on the test samples, the stability of the fixed points at the end,
the rate at which each reparameterised rule itself diverges, and where the gradient is ahead.
What we find: both reparameterised rules end within 4 points of the published accuracies at all rates. The
gradient does up to 0.005; at 0.01 and 0.025 it breaks down, as published, and ends 10 and 13 points
elsewhere: what is left after the breakdown differs from run to run, and whether states are Euler's or
solved (52 and 68 % at 0.01). Those two checks do not hold.
Needs MNIST: attractor data fetch mnist. Without it, zhu2024/digits is the stand-in. All of
it takes close to an hour of CPU; the quick form is coarser (100 steps of 0.05 τ),
stops after 60 iterations and shows only that the rules begin to learn.`

const mnistQuirk = "trains on batches of the test samples"

// figure45 are the rules with their rates and the published training accuracies.
var figure45 = []struct {
	rule     string
	rates    []float64
	accuracy []float64
	within   float64
}{
	{"gradient", []float64{0.001, 0.0025, 0.005, 0.01, 0.025}, []float64{0.16, 0.36, 0.58, 0.62, 0.25}, 0.1},
	{"reparam-gradient", []float64{0.01, 0.025, 0.05, 0.1, 0.25}, []float64{0.65, 0.76, 0.81, 0.83, 0.86}, 0.05},
	{"reparam-gradient-half", []float64{0.005, 0.01, 0.02, 0.05, 0.1}, []float64{0.50, 0.68, 0.75, 0.80, 0.81}, 0.05},
}

var mnistSchedule = schedule{batch: 512, steps: 354, dt: 0.01, euler: 500, spectraEvery: 18}

// twin is a setting trained at Euler's states and at solved fixed points.
type twin struct{ euler, solved *trial }

func mnist(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	data, err := tasks.MNIST{}.Load(0)
	var absent *datasets.AbsentError
	switch {
	case errors.As(err, &absent):
		return nil, fmt.Errorf(`zhu2024/mnist: %w: %s, in %s: get MNIST with "attractor data fetch mnist", or from a copy of your own with "attractor data import mnist PATH"; zhu2024/digits is the stand-in that needs no data`,
			fs.ErrNotExist, absent.File, absent.Dir)
	case err != nil:
		return nil, err
	}
	seed, how := max(o.Seed, 1), mnistSchedule
	r := &experiments.Result{Name: "zhu2024/mnist", Seed: seed, Notes: []string{
		fmt.Sprintf("Seed %d of ours; all rules share input weights, readout and batches. The published runs have draws of their own, and a readout for each rule.", seed),
	}}
	if how.onTests = o.Faithful; o.Faithful {
		r.Notes = append(r.Notes, "Faithful: trained on batches of the TEST samples, as published; so training and test accuracy are of the same samples.")
	} else {
		r.Notes = append(r.Notes, "Trained on the training samples; the published script, and --faithful, train on test samples.")
	}
	var settings, limited []setting
	for _, f := range figure45 {
		for _, rate := range f.rates {
			settings = append(settings, setting{f.rule, rate})
		}
		if f.rule != "gradient" {
			limited = append(limited, settings[len(settings)-1])
		}
	}
	if o.Quick {
		settings, limited = []setting{{"gradient", 0.01}, {"reparam-gradient", 0.25}, {"reparam-gradient-half", 0.1}}, nil
		how.steps, how.dt, how.euler = 60, 0.05, 100
		data.Test = data.Test.Select(firstRows(min(data.Test.N, 1000)))
		r.Notes = append(r.Notes, "Quick: one rate of each rule, 60 iterations, 100 Euler steps of 0.05 τ, 1000 test samples: shows that the rules begin to learn; the published outcomes are not checked.")
	} else {
		r.Notes = append(r.Notes, stabilityNote,
			"solved/… are runs at fixed points solved to a relative tolerance of 1e-5, as 5 τ leave Euler's states short of them.",
			"diverges-above is the rate, to a tenth and at solved fixed points, above which the loss of an epoch ends above where it began.")
	}
	twins, limits := make([]twin, len(settings)), make([]float64, len(limited))
	solved := how
	solved.solved = true
	err = o.WorkInParts(ctx, len(settings)+len(limited), how.steps, func(i int, done func()) (err error) {
		if i >= len(settings) {
			i -= len(settings)
			short := solved
			short.steps = how.steps / 3 // an epoch
			limits[i], err = limit(ctx, data, short, limited[i], seed)
			return err
		}
		if twins[i].euler, err = learn(ctx, data, how, settings[i], seed, done); err != nil || o.Quick {
			return err
		}
		twins[i].solved, err = learn(ctx, data, solved, settings[i], seed, func() {})
		return err
	}, func(i int) string {
		if i >= len(settings) {
			return "divergence of " + limited[i-len(settings)].rule
		}
		return settings[i].label()
	})
	if err != nil {
		return nil, err
	}
	if o.Quick {
		reportBeginning(r, twins)
	} else {
		reportMNIST(r, twins)
	}
	for i, s := range limited {
		r.Value("solved/"+s.rule+"/diverges-above", limits[i])
	}
	for first := 0; first < len(twins); {
		n := first + 1
		for n < len(twins) && twins[n].euler.rule == twins[first].euler.rule {
			n++
		}
		if err := r.Save(o, "mnist-"+twins[first].euler.rule, ruleFigure(twins[first:n])); err != nil {
			return nil, err
		}
		first = n
	}
	if o.Quick {
		return r, nil
	}
	return r, r.Save(o, "mnist-rates", ratesFigure(twins))
}

func firstRows(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// trainingAccuracy names what figures 4 and 5 report.
var trainingAccuracy = fmt.Sprintf("training-accuracy-last-%d", tailLength)

// reportBeginning checks that something is learned.
func reportBeginning(r *experiments.Result, twins []twin) {
	for _, w := range twins {
		t, id := w.euler, "beginning/"+w.euler.String()+"/"
		if t.rule == "reparam-gradient" {
			r.Bound(id+trainingAccuracy, t.tail(), experiments.Above, 0.5, "ours: it has begun to learn")
			r.Bound(id+"abscissa/max", slices.Max(t.abscissa), experiments.Below, 1, "ours: nothing has become unstable")
		} else {
			r.Value(id+trainingAccuracy, t.tail())
			r.Value(id+"abscissa/max", slices.Max(t.abscissa))
		}
		r.Value(id+"test-accuracy", t.final())
		r.Value(id+"test-accuracy-at-solved-fixed-points", t.solved)
	}
}

func reportMNIST(r *experiments.Result, twins []twin) {
	const source = paper + ", figures 4 and 5"
	best := map[string]float64{}
	i := 0
	for _, f := range figure45 {
		best[f.rule] = math.Inf(-1)
		for k := range f.rates {
			t := twins[i].euler
			id := t.String() + "/"
			best[f.rule] = math.Max(best[f.rule], t.tail())
			r.Equal(id+trainingAccuracy, t.tail(), f.accuracy[k], f.within, source+", another seed")
			if f.rule == "reparam-gradient" {
				r.Bound(id+"abscissa/max", slices.Max(t.abscissa), experiments.Below, 1, source+": no eigenvalue of W past 1")
			} else {
				r.Value(id+"abscissa/max", slices.Max(t.abscissa))
			}
			if f.rule == "gradient" && t.rate == 0.025 {
				r.Bound(id+"loss-jump", t.jump(), experiments.Above, 1, source+": a jump above 1")
				r.Bound(id+"eigenvalues-past-1", float64(past(t.after)), experiments.AtLeast, 1, source+": four")
			} else {
				r.Value(id+"loss-jump", t.jump())
				r.Value(id+"eigenvalues-past-1", float64(past(t.after)))
			}
			valuesOf(r, id, t)
			i++
		}
	}
	for _, rule := range []string{"reparam-gradient", "reparam-gradient-half"} {
		r.Bound(rule+"/best-minus-best-of-gradient/"+trainingAccuracy, best[rule]-best["gradient"], experiments.Above, 0, source)
	}
	r.Bound("reparam-gradient/best-minus-best-of-reparam-gradient-half/"+trainingAccuracy,
		best["reparam-gradient"]-best["reparam-gradient-half"], experiments.Above, 0, source)
	for _, w := range twins {
		id := "solved/" + w.solved.String() + "/"
		r.Value(id+trainingAccuracy, w.solved.tail())
		r.Value(id+"abscissa/max", slices.Max(w.solved.abscissa))
		r.Value(id+"loss-jump", w.solved.jump())
		r.Value(id+"eigenvalues-past-1", float64(past(w.solved.after)))
		valuesOf(r, id, w.solved)
	}
	for _, plain := range twins {
		for _, other := range twins {
			if plain.euler.rule != "gradient" || other.euler.rule == "gradient" || other.euler.rate != plain.euler.rate {
				continue
			}
			share, last := ahead(plain.euler, other.euler)
			id := fmt.Sprintf("gradient-ahead/eta=%g-of-%s", plain.euler.rate, other.euler)
			r.Value(id+"/share-of-batches", share)
			r.Value(id+"/last-batch", last)
		}
	}
}

// valuesOf records the rest of what a trial has measured.
func valuesOf(r *experiments.Result, id string, t *trial) {
	r.Value(id+"test-accuracy", t.final())
	r.Value(id+"test-accuracy-at-solved-fixed-points", t.solved)
	r.Value(id+"fixed-points-not-found", float64(t.unsolved))
	r.Value(id+"abscissa", t.abscissa[len(t.abscissa)-1])
	r.Value(id+"jacobian-abscissa", t.jacobian)
	r.Value(id+"solves-not-converged", float64(t.unconverged))
}

// ruleFigure shows a rule at its rates.
func ruleFigure(twins []twin) figure.Figure {
	iteration := figure.Axis{Label: "iteration"}
	accuracy := figure.Panel{Title: "training accuracy", X: iteration, Y: figure.Axis{Label: "of each batch", Percent: true, Min: 0, Max: 1}}
	loss := figure.Panel{Title: "loss", X: iteration, Y: figure.Axis{Label: "cross-entropy"}}
	stable := figure.Panel{Title: "stability", X: iteration, Y: figure.Axis{Label: "largest Re λ(W)", Log: true}, Guides: []figure.Guide{{At: 1}}}
	most := twins[len(twins)-1].euler
	name := fmt.Sprintf("η = %g", most.rate)
	before, after := points(name, most.before), points(name, most.after)
	cloud := func(title string, p figure.Points) figure.Panel {
		return figure.Panel{
			Title:  title,
			X:      figure.Axis{Label: "Re λ(W)", Include: slices.Concat(before.X, after.X)},
			Y:      figure.Axis{Label: "Im λ(W)", Include: slices.Concat(before.Y, after.Y)},
			Points: []figure.Points{p}, Guides: []figure.Guide{{At: 1, Upright: true}},
		}
	}
	for _, w := range twins {
		t, name := w.euler, fmt.Sprintf("η = %g", w.euler.rate)
		batches := make([]float64, len(t.loss))
		for i := range batches {
			batches[i] = float64(i)
		}
		accuracy.Lines = append(accuracy.Lines, figure.Line{Name: name, X: batches, Y: t.accuracy, Width: 1})
		loss.Lines = append(loss.Lines, figure.Line{Name: name, X: batches, Y: t.loss, Width: 1})
		at := make([]float64, len(t.spectrumAt))
		for i, k := range t.spectrumAt {
			at[i] = float64(k)
		}
		stable.Lines = append(stable.Lines, figure.Line{Name: name, X: at, Y: t.abscissa, Width: 1})
	}
	return figure.Figure{
		Title:  most.rule,
		Alt:    "Training accuracy, loss and largest real part of an eigenvalue of W over training by " + most.rule + " at each rate, and the eigenvalues of W before and after.",
		Panels: []figure.Panel{accuracy, loss, stable, cloud("eigenvalues before", before), cloud("eigenvalues at the end, "+name, after)},
		Cols:   3, Width: 180, Height: 165,
	}
}

// points are eigenvalues in the plane.
func points(name string, values []complex128) figure.Points {
	p := figure.Points{Name: name, Hollow: true}
	for _, l := range values {
		p.X, p.Y = append(p.X, real(l)), append(p.Y, imag(l))
	}
	return p
}

// ratesFigure shows all final accuracies beside the published ones.
func ratesFigure(twins []twin) figure.Figure {
	f := figure.Figure{Alt: "Training accuracy over the last batches against the learning rate: published, ours by Euler's method, ours at solved fixed points.", Cols: 3, Width: 180, Height: 150}
	i := 0
	for _, rule := range figure45 {
		euler, solved := figure.Line{Name: "ours", X: rule.rates}, figure.Line{Name: "at solved fixed points", X: rule.rates, Dashed: true}
		for range rule.rates {
			euler.Y, solved.Y = append(euler.Y, twins[i].euler.tail()), append(solved.Y, twins[i].solved.tail())
			i++
		}
		f.Panels = append(f.Panels, figure.Panel{
			Title: rule.rule, X: figure.Axis{Label: "learning rate η", Log: true},
			Y:     figure.Axis{Label: "training accuracy", Percent: true, Min: 0, Max: 1},
			Lines: []figure.Line{euler, solved}, Points: []figure.Points{{Name: "published", X: rule.rates, Y: rule.accuracy, Hollow: true}},
		})
	}
	return f
}
