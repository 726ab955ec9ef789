package liu2024

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/internal/figure"
	"attractor/train/experiments"
)

const lyapTrainDoc = `the largest Lyapunov exponent before and after training by back-propagation (claim 2)

Trains all parameters of z ← tanh(Wz + Ux + b), 64 units, W = g·randn/√N, on delayed match to sample
and the context-dependent decision (the laboratory's timings, inputs of neurogym v0.0.1) by bptt for
1,500 updates of 32 fresh trials, for five gains g and ten seeds. The exponent, in nats per step,
is that of the network driven by 30 test trials one after the other, after 50 steps of warm-up.
Checked: the shift of the exponent becomes smaller with every g from 0.05 to 1.5; on 10,000 test trials no network
is better than the ideal observer, to within 0.02; and the 95 % intervals of our means over seeds reach what another
program found, a mean |λ| after training below 0.1 for g = 0.5, 1 and 1.5, and the accuracies.
What we find: weights that begin too small have the most to change. Single networks scatter: of
delayed match to sample the mean |λ| at g = 1 is 0.13, for one network in ten solves it at
λ = -0.5. At g = 2.5 the exponent stays above 0, and the tasks are learned all the same.`

// The tasks and gains of the runs.
var (
	claimTasks = []string{"dms", "cxt"}
	claimGains = []float64{0.05, 0.5, 1, 1.5, 2.5}
)

// labSets are the settings of the laboratory's tasks.
func labSets(task string, tested int) []string {
	sets := []string{"task.timing=lab", fmt.Sprint("task.test_trials=", tested), "train.clip=1e6"}
	if task != "dms" { // whose versions agree
		sets = append(sets, "task.version=v0.0.1")
	}
	return sets
}

func lyapTrain(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "liu2024/lyap-train", Seed: seedOf(o), Notes: []string{
		"Means over seeds, with their 95 % intervals (lo, hi); exponents in nats per step.",
	}}
	runs, updates, gains := 10, 1500, claimGains
	if o.Quick {
		runs, updates, gains = 2, 600, []float64{0.05, 0.5, 1.5}
		r.Notes = append(r.Notes, "Quick: 600 updates, 2 seeds, and three of the gains.")
	}
	var plans []plan
	for _, task := range claimTasks {
		for _, g := range gains {
			for _, s := range seeds(o, runs) {
				plans = append(plans, plan{task: task, gain: g, units: 64, batch: 32, updates: updates, seed: s, sets: append(labSets(task, 10000), "rule=bptt")})
			}
		}
	}
	all, err := runAll(ctx, o, plans)
	if err != nil {
		return nil, err
	}
	for _, task := range claimTasks {
		last, best := math.NaN(), 0.0
		for _, g := range gains {
			here := func(c *course) bool { return c.task == task && c.gain == g }
			id := fmt.Sprintf("%s/g=%g/", task, g)
			shift := mean(r, id+"shift", all, here, func(c *course) float64 { return c.after - c.before })
			if g <= 1.5 && !math.IsNaN(last) {
				r.Bound(id+"shift", shift, experiments.Below, last, "the shift at the gain before")
			} else {
				r.Value(id+"shift", shift)
			}
			last = shift
			learned := r.Mean(id+"accuracy", of(all, here, accuracy))
			if g >= 0.5 && !o.Quick {
				r.Bound(id+"accuracy/hi-reaches", learned.Hi, experiments.AtLeast, map[string]float64{"dms": 0.99, "cxt": 0.84}[task], measured)
			}
			r.Value(id+"λ-before", mean(r, id+"λ-before", all, here, func(c *course) float64 { return c.before }))
			r.Value(id+"λ-after", mean(r, id+"λ-after", all, here, func(c *course) float64 { return c.after }))
			size := r.Mean(id+"|λ|-after", of(all, here, func(c *course) float64 { return math.Abs(c.after) }))
			if g >= 0.5 && g <= 1.5 && !o.Quick {
				r.Bound(id+"|λ|-after/lo-reaches", size.Lo, experiments.Below, 0.1, measured)
			}
			best = max(best, slices.Max(of(all, here, excess)))
		}
		r.Bound(task+"/above-ideal", best, experiments.AtMost, 0.02, theory)
	}
	return r, r.Save(o, "lyap-train", lyapTrainFigure(all))
}

func lyapTrainFigure(all []*course) figure.Figure {
	var f figure.Figure
	f.Title = "Largest Lyapunov exponent before and after training by bptt"
	for _, task := range claimTasks {
		p := figure.Panel{Title: task, X: figure.Axis{Label: "initial gain g"}, Y: figure.Axis{Label: "largest Lyapunov exponent (nats/step)"}, Guides: []figure.Guide{{At: 0}}}
		before, after := figure.Points{Name: "before training", Hollow: true}, figure.Points{Name: "after training"}
		for _, c := range all {
			if c.task == task {
				before.X, before.Y = append(before.X, c.gain), append(before.Y, c.before)
				after.X, after.Y = append(after.X, c.gain), append(after.Y, c.after)
			}
		}
		p.Points = []figure.Points{before, after}
		f.Panels = append(f.Panels, p)
	}
	return f
}
