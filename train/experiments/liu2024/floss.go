package liu2024

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/train"
	"attractor/train/compare"
	"attractor/train/experiments"
)

const flossDoc = `gradient flossing before training lets e-prop learn from weights that are too small (claim 3)

Trains all parameters of z ← tanh(Wz + Ux + b), 64 units, W = g·randn/√N, by e-prop on delayed match to
sample (the laboratory's timings) for 1,500 updates of 32 fresh trials, thirty seeds: as it is drawn and
after gradient flossing, which moves the 8 largest Lyapunov exponents to 0 in up to 200 updates of Adam
at 0.001, each over 4 trajectories of 48 steps driven by the task's inputs; exact, or by the gradients a, b
and c: a and b leave out what is not local, c what goes from unit to unit on the states' way.
Checked: at g = 0.5 most networks do not learn e-prop's way as they are drawn (accuracy on 10,000 test trials at
least 0.95), and most do after flossing, exact and by both local gradients: exact 95 % intervals of the share of
networks, below and above one half; the paired difference of the accuracies is above 0 with its interval; exact
flossing brings the largest exponent, driven by 30 test trials, nine tenths of its way to 0.
The negative results: at g = 0.05 as many updates of exact flossing do less than at g = 0.5. And without its guards,
which stop at the target and at a runaway, gradient a of one exponent over one trajectory at a time runs away in some of
the networks: where units saturate it drives W on, and the exponent farther from 0 than it began, within 400
updates. The guards stop that and put back the weights where the loss was least: in no network are the exponents
farther from 0 afterwards than before.
What we find, in networks of other seeds than ours: as drawn 2 of 24 learn (8 %, 95 % interval 1 to 27), after exact
flossing 21 (68 to 97), by a and b all. Unguarded, gradient a runs away in 13 of 60 (22 %, 12 to 34), the exact one in none
(at most 6 %); the guards stopped 5 of 60 runs of a (8 %, 3 to 18), which had come half of their way to 0, and the exponent
was farther from it in none (at most 6 %).`

// flossers are the gradients of flossing, none for no flossing.
var flossers = []string{"none", "exact", "a", "b", "c"}

func floss(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "liu2024/floss", Seed: seedOf(o), Notes: []string{
		"Accuracy of the decisions on 10,000 test trials, exponents in nats per step: means over seeds, with their 95 % intervals (lo, hi).",
	}}
	runs, gains, variants := 30, []float64{0.5, 0.05}, flossers
	if o.Quick {
		runs, gains, variants = 2, gains[:1], flossers[:3]
		r.Notes = append(r.Notes, "Quick: 2 seeds, one gain, and exact flossing and gradient a alone; what is said of most networks is not checked.")
	}
	var plans []plan
	for _, g := range gains {
		for _, v := range variants {
			for _, s := range seeds(o, runs) {
				p := plan{task: "dms", label: v, gain: g, units: 64, batch: 32, updates: 1500, seed: s, sets: slices.Concat(labSets("dms", 10000), byEProp.sets)}
				if v != "none" {
					p.floss = train.Flossing{Times: 1, Flossing: stability.Flossing{K: 8, Horizon: 48, Batch: 4, Steps: 200, Variant: v}}
				}
				plans = append(plans, p)
			}
		}
	}
	drawn := len(plans)
	for _, c := range flights {
		for _, s := range seeds(o, runs) {
			plans = append(plans, c.plan(s))
		}
	}
	all, err := runAll(ctx, o, plans)
	if err != nil {
		return nil, err
	}
	all, fled := all[:drawn], all[drawn:]
	for _, g := range gains {
		for _, v := range variants {
			id, here := fmt.Sprintf("g=%g/%s/", g, v), flossedBy(v, g)
			r.Mean(id+"accuracy", of(all, here, accuracy))
			learned := r.Share(id+"learned", count(all, here, func(c *course) bool { return c.test >= 0.95 }), runs)
			flossed := r.Mean(id+"λ-flossed", of(all, here, func(c *course) float64 { return c.flossed }))
			r.Mean(id+"λ-trained", of(all, here, func(c *course) float64 { return c.after }))
			checked := g == 0.5 && v != "c" && !o.Quick // two seeds give no interval to speak of
			if v == "none" {
				if checked {
					r.Bound(id+"learned/most", learned.Hi, experiments.Below, 0.5, claim3+": the upper end of the exact interval")
				}
				continue
			}
			gained := r.Mean(id+"gained", differences(of(all, here, accuracy), of(all, flossedBy("none", g), accuracy)))
			if checked {
				r.Bound(id+"learned/most", learned.Lo, experiments.Above, 0.5, claim3+": the lower end of the exact interval")
				r.Bound(id+"gained/any", gained.Lo, experiments.Above, 0, claim3+": the lower end of the interval")
			}
			if g == 0.5 && v == "exact" {
				left := math.Abs(flossed.Mean / compare.MeanInterval(of(all, here, func(c *course) float64 { return c.before })).Mean)
				bound := 0.1
				if o.Quick {
					bound = 1
				}
				r.Bound(id+"λ-left", left, experiments.Below, bound, "what flossing is for")
			}
			r.Share(id+"stopped", count(all, here, func(c *course) bool { return c.flossings[0].Status == stability.RanAway }), runs)
			r.Share(id+"farther", count(all, here, func(c *course) bool { return math.Abs(c.flossed) > math.Abs(c.before) }), runs)
		}
	}
	if !o.Quick {
		more := compare.PairedDifference(of(all, flossedBy("exact", 0.5), accuracy), of(all, flossedBy("exact", 0.05), accuracy))
		r.Bound("exact/g=0.5-less-g=0.05/accuracy/lo", more.Lo, experiments.Above, 0, measured+": .998 and .61")
	}
	for _, c := range flights {
		id, here := "runaway/"+c.name, flossedBy(c.name, 0.5)
		away := count(fled, here, func(run *course) bool { return c.away(run.flossings[0]) })
		r.Share(id, away, runs)
		r.Share(id+"/stopped", count(fled, here, func(c *course) bool { return c.flossings[0].Status == stability.RanAway }), runs)
		switch {
		case c.name != "a, no guards":
			r.Bound(id+"/any", float64(away), experiments.AtMost, 0, "what guards are for, and the exact gradient")
		case !o.Quick: // at 22 % a network none of 30 does in 6 runs of 10,000
			r.Bound(id+"/any", float64(away), experiments.AtLeast, 1, measured+": 2 of 5")
		}
	}
	return r, r.Save(o, "floss", flossFigure(all, fled, gains, variants))
}

// flight is a flossing of one exponent that may run away. Guards that never act are as none.
type flight struct {
	name, variant string
	tol, runaway  float64
}

var flights = []flight{
	{"a, no guards", "a", 1e-9, 1e30},
	{"a, guarded", "a", 0, 0},
	{"exact, no guards", "exact", 1e-9, 1e30},
}

func (f flight) plan(seed uint64) plan {
	return plan{
		task: "dms", label: f.name, gain: 0.5, units: 64, batch: 32, updates: 1, seed: seed, sets: labSets("dms", 100),
		floss: train.Flossing{Times: 1, Flossing: stability.Flossing{Horizon: 48, Steps: 400, Variant: f.variant, Tol: f.tol, Runaway: f.runaway}},
	}
}

// away reports whether the loss is larger at the end than at the begin. Where a guard has acted, the end is what it has
// put back; the last of the losses is the one at which it did.
func (f flight) away(r *train.FlossingRecord) bool {
	end := r.After.Loss
	if f.runaway > 0 {
		end = r.Losses[len(r.Losses)-1]
	}
	return !(end <= r.Losses[0])
}

// flossedBy selects the runs after a flossing from a gain.
func flossedBy(variant string, g float64) func(c *course) bool {
	return func(c *course) bool { return c.label == variant && c.gain == g }
}

// claim3 is where a claim is from.
const claim3 = "claim 3"

// differences are those of the values of the same seeds.
func differences(a, b []float64) []float64 {
	out := make([]float64, len(a))
	floats.SubTo(out, a, b)
	return out
}

func flossFigure(all, fled []*course, gains []float64, variants []string) figure.Figure {
	learned := figure.Panel{Title: "after training by e-prop", X: figure.Axis{Label: "flossing", Categories: variants},
		Y: figure.Axis{Label: "accuracy on test trials", Percent: true, Include: []float64{0.5, 1}}}
	for i, g := range gains {
		p := figure.Points{Name: fmt.Sprintf("g = %g", g), Hollow: i > 0}
		for k, v := range variants {
			m := compare.MeanInterval(of(all, flossedBy(v, g), accuracy)).Clip(0, 1)
			p.X = append(p.X, float64(k)+0.2*(float64(i)-float64(len(gains)-1)/2))
			p.Y, p.YLo, p.YHi = append(p.Y, m.Mean), append(p.YLo, m.Lo), append(p.YHi, m.Hi)
		}
		learned.Points = append(learned.Points, p)
	}
	exponents := figure.Panel{Title: fmt.Sprintf("g = %g", gains[0]), X: figure.Axis{Label: "flossing", Categories: variants},
		Y: figure.Axis{Label: "largest Lyapunov exponent"}, Guides: []figure.Guide{{At: 0}}}
	for i, c := range []struct {
		name string
		of   func(c *course) float64
	}{
		{"as drawn", func(c *course) float64 { return c.before }},
		{"flossed", func(c *course) float64 { return c.flossed }},
		{"trained", func(c *course) float64 { return c.after }},
	} {
		p := figure.Points{Name: c.name, Hollow: i == 0}
		for k, v := range variants {
			m := compare.MeanInterval(of(all, flossedBy(v, gains[0]), c.of))
			p.X = append(p.X, float64(k)+0.2*float64(i-1))
			p.Y, p.YLo, p.YHi = append(p.Y, m.Mean), append(p.YLo, m.Lo), append(p.YHi, m.Hi)
		}
		exponents.Points = append(exponents.Points, p)
	}
	distance := func(title string) figure.Panel {
		return figure.Panel{Title: title, X: figure.Axis{Label: "update of the flossing"}, Y: figure.Axis{Label: "distance to 0 (r.m.s. of 10 updates)", Log: true}}
	}
	course, away := distance(fmt.Sprintf("8 exponents, g = %g, means", gains[0])), distance("1 exponent without guards, g = 0.5")
	for _, v := range variants[1:] {
		course.Lines = append(course.Lines, average(distances(v, all, flossedBy(v, gains[0]))))
	}
	for _, c := range flights {
		if c.runaway > 0 {
			away.Lines = append(away.Lines, distances(c.variant, fled, flossedBy(c.name, 0.5))...)
		}
	}
	return figure.Figure{
		Title:  "Gradient flossing before training by e-prop",
		Alt:    "Accuracy and the largest exponent by the gradient of flossing, and the distance of the exponents to 0 in its course, with the runaways of gradient a.",
		Panels: []figure.Panel{learned, exponents, course, away},
	}
}

// distances are the lines of some flossings.
func distances(name string, all []*course, want func(c *course) bool) (lines []figure.Line) {
	const over = 10
	for _, c := range all {
		if !want(c) {
			continue
		}
		line, losses := figure.Line{Name: name, Width: 0.8}, c.flossings[0].Losses
		for k := range losses {
			sum, recent := 0.0, losses[max(0, k+1-over):k+1]
			for _, v := range recent {
				sum += float64(v) / float64(len(recent))
			}
			line.X, line.Y = append(line.X, float64(k)), append(line.Y, math.Sqrt(sum))
		}
		lines = append(lines, line)
	}
	return lines
}

// average is the mean of lines, of which each stays where it ends.
func average(lines []figure.Line) figure.Line {
	mean := figure.Line{Name: lines[0].Name}
	for _, l := range lines {
		for k := len(mean.X); k < len(l.X); k++ {
			mean.X, mean.Y = append(mean.X, float64(k)), append(mean.Y, 0)
		}
	}
	for _, l := range lines {
		for k := range mean.Y {
			mean.Y[k] += l.Y[min(k, len(l.Y)-1)] / float64(len(lines))
		}
	}
	return mean
}
