package liu2024

import (
	"context"
	"fmt"
	"slices"

	"attractor/internal/figure"
	"attractor/models"
	"attractor/train"
	"attractor/train/compare"
	"attractor/train/experiments"
	"attractor/train/rules"
	"attractor/train/tasks"
)

const (
	alignDoc = `how the gradients of local rules align with the true one, and why that does not tell what is learned

Networks of currents, v ← (1 - a)v + a(W tanh v + Ux + b), 100 units, a = 0.1, W = g·randn/√N, on random
trials of 100 steps with a loss at every step: the cosine of the gradient for W by each rule to bptt's,
for five gains g and 20 seeds. Beside it networks as in liu2024/gain (64 units, a = 1) learn delayed match to
sample by e-prop from the same gains, ten seeds, with the cosine on a batch of the task before the first
update.
Checked: the mean cosines of e-prop and of mdgl against listed ones, within the standard deviation
listed for e-prop, and that of random feedback against 0; e-prop's falls from each gain to the next; mdgl is
above e-prop, and over three synapses above mdgl; and while the cosine on the task falls from g = 0.5 to
1.5, what e-prop learns rises, both by 95 % intervals of paired differences.
Of what the listed cosines were measured with only N, a, the steps and the density of the losses are
known. They depend on the rest: with 1 to 32 trials, 1 to 10 inputs, 1 to 3 outputs and input gains of 1
to 3 e-prop's mean at g = 1 is between 0.67 and 0.84. Taken are four trials, three inputs, one output and an input gain of 2.
The negative results: alignment alone does not explain what is learned, for where e-prop is best aligned
it learns least; and the mean weights of types are no help to mdgl where the network has no types.
modprop, with exact weights, stays the nearest to bptt of all, though it knows but one mean slope.`

	mdglRef = `@article{liu2021cell,
  title   = {Cell-Type-Specific Neuromodulation Guides Synaptic Credit Assignment in a Spiking Neural Network},
  author  = {Liu, Yuhan Helena and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and S{\"u}mb{\"u}l, Uygar},
  journal = {Proceedings of the National Academy of Sciences},
  volume  = {118},
  number  = {51},
  pages   = {e2111821118},
  year    = {2021},
  doi     = {10.1073/pnas.2111821118}
}`

	marschallRef = `@article{marschall2020unified,
  title   = {A Unified Framework of Online Learning Algorithms for Training Recurrent Neural Networks},
  author  = {Marschall, Owen and Cho, Kyunghyun and Savin, Cristina},
  journal = {Journal of Machine Learning Research},
  volume  = {21},
  number  = {135},
  pages   = {1--34},
  year    = {2020},
  eprint  = {1907.02649},
  archiveprefix = {arXiv}
}`
)

// aligned are the rules whose gradients are compared with bptt's.
var aligned = []struct {
	name string
	rule rules.TemporalRule[float64]
}{
	{"e-prop", rules.EProp[float64]{}},
	{"mdgl", rules.MDGL[float64]{}},
	{"mdgl, 3 synapses", rules.MDGL[float64]{Hops: 3}},
	{"mdgl, 4 types", rules.MDGL[float64]{Broadcast: rules.Broadcast[float64]{Types: 4}}},
	{"modprop", rules.ModProp[float64]{}},
	{"e-prop, random feedback", rules.EProp[float64]{Local: rules.Local[float64]{Feedback: "random"}}},
	{"three-factor", rules.ThreeFactor[float64]{}},
}

// listedCosines are means over 20 seeds, and the standard deviation of e-prop's; that of g = 0.1 is not listed,
// and the last digit stands for it.
var listedCosines = []struct{ gain, eprop, mdgl, sd float64 }{
	{0.1, 0.997, 1.000, 0.003}, {0.5, 0.934, 0.991, 0.034}, {1, 0.787, 0.926, 0.086}, {1.5, 0.607, 0.782, 0.110}, {2, 0.475, 0.650, 0.140},
}

// cosines are by gain, rule and seed.
type cosines [][][]float64

func align(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "liu2024/align", Seed: seedOf(o), Notes: []string{
		"Cosines of the gradient for W to that of bptt, and accuracy on 10,000 test trials: means over seeds, with their 95 % intervals (lo, hi).",
	}}
	runs, trained, updates := 20, 10, 1500
	if o.Quick {
		runs, trained, updates = 4, 2, 300
		r.Notes = append(r.Notes, "Quick: 4 seeds of the cosines, and two of 300 updates, which tell nothing of what is learned in the end.")
	}
	found, all, err := alignAll(ctx, o, seeds(o, runs), seeds(o, trained), updates)
	if err != nil {
		return nil, err
	}
	for i, c := range listedCosines {
		for k, rule := range aligned {
			id := fmt.Sprintf("%s/g=%g", rule.name, c.gain)
			m := compare.MeanInterval(found[i][k]).Clip(-1, 1)
			listed, bounded := map[string]float64{"e-prop": c.eprop, "mdgl": c.mdgl, "e-prop, random feedback": 0}[rule.name]
			switch {
			case !bounded || o.Quick:
				r.Value(id, m.Mean)
			case listed == 0:
				r.Equal(id, m.Mean, 0, 0.1, measured+": 0 ± 0.14")
			default:
				r.Equal(id, m.Mean, listed, c.sd, measured)
			}
			r.Value(id+"/lo", m.Lo)
			r.Value(id+"/hi", m.Hi)
		}
		over := func(id string, a, b []float64, source string) {
			id = fmt.Sprintf("%s/g=%g", id, c.gain)
			if d := compare.PairedDifference(a, b); o.Quick {
				r.Bound(id, d.Mean, experiments.Above, 0, source)
			} else {
				r.Value(id, d.Mean)
				r.Bound(id+"/lo", d.Lo, experiments.Above, 0, source)
			}
		}
		over("mdgl-less-e-prop", found[i][1], found[i][0], "credit from one synapse further")
		over("3-synapses-less-mdgl", found[i][2], found[i][1], "credit from two synapses further")
		if i > 0 {
			over("e-prop/fall-to", found[i-1][0], found[i][0], measured)
		}
	}
	for _, c := range listedCosines {
		id, here := fmt.Sprintf("dms/g=%g/", c.gain), func(run *course) bool { return run.gain == c.gain }
		r.Value(id+"accuracy", mean(r, id+"accuracy", all, here, accuracy))
		r.Value(id+"cosine", mean(r, id+"cosine", all, here, startCosine))
	}
	change := func(number func(c *course) float64) compare.Difference {
		at := func(g float64) []float64 { return of(all, func(c *course) bool { return c.gain == g }, number) }
		return compare.PairedDifference(at(1.5), at(0.5))
	}
	better, worse := change(accuracy), change(startCosine)
	if o.Quick {
		r.Value("dms/accuracy-from-g=0.5-to-1.5", better.Mean)
		r.Value("dms/cosine-from-g=0.5-to-1.5", worse.Mean)
	} else {
		r.Bound("dms/accuracy-from-g=0.5-to-1.5/lo", better.Lo, experiments.Above, 0, measured)
		r.Bound("dms/cosine-from-g=0.5-to-1.5/hi", worse.Hi, experiments.Below, 0, measured)
	}
	return r, r.Save(o, "align", alignFigure(found, all))
}

// alignAll measures the cosines on random trials, and trains networks by e-prop on delayed match to sample.
func alignAll(ctx context.Context, o experiments.Options, drawn, trained []uint64, updates int) (cosines, []*course, error) {
	const parts = 4 // of a run
	found := make(cosines, len(listedCosines))
	var plans []plan
	for i, c := range listedCosines {
		for range aligned {
			found[i] = append(found[i], make([]float64, len(drawn)))
		}
		for _, s := range trained {
			plans = append(plans, plan{
				task: "dms", gain: c.gain, units: 64, batch: 32, updates: updates, seed: s, aligns: true,
				sets: slices.Concat(labSets("dms", 10000), byEProp.sets),
			})
		}
	}
	all := make([]*course, len(plans))
	err := o.WorkInParts(ctx, len(plans)+len(found)*len(drawn), parts, func(i int, done func()) (err error) {
		if i < len(plans) {
			all[i], err = plans[i].run(ctx, parts, done)
			return err
		}
		i -= len(plans)
		g, s := i/len(drawn), i%len(drawn)
		own, err := randomCosines(ctx, listedCosines[g].gain, drawn[s])
		for k, v := range own {
			found[g][k][s] = v
		}
		return err
	}, func(i int) string {
		if i < len(plans) {
			return fmt.Sprintf("e-prop on dms at gain %g, seed %d", plans[i].gain, plans[i].seed)
		}
		return fmt.Sprintf("cosines at gain %g", listedCosines[(i-len(plans))/len(drawn)].gain)
	})
	return found, all, err
}

// randomCosines compares the rules on random trials.
func randomCosines(ctx context.Context, gain float64, seed uint64) ([]float64, error) {
	tr, err := newTrials(models.Rate{N: 100, Form: "v", Leak: 0.1, Gain: gain}, shape{inputs: 3, outputs: 1, rows: 4, steps: 100}, seed)
	if err != nil {
		return nil, err
	}
	p, err := tr.passage(ctx)
	if err != nil {
		return nil, err
	}
	exact, err := tr.gradient(ctx, p, rules.BPTT[float64]{})
	if err != nil {
		return nil, err
	}
	var out []float64
	for _, c := range aligned {
		own, err := tr.gradient(ctx, p, c.rule)
		if err != nil {
			return nil, err
		}
		out = append(out, cosine(own, exact, "W"))
	}
	return out, nil
}

// startCosine is the cosine on a batch of the task before the first update.
func startCosine(c *course) float64 { return c.cosine }

// taskCosine is the cosine of the gradients for W that the rule of t and bptt have of one batch.
func taskCosine(ctx context.Context, t *train.Trainer[float32]) (float64, error) {
	ours := train.Ours[float32]()
	batches, err := tasks.NewBatches[float32](t.Data.Train, t.Layer.Batch(), t.Config.Train.Seed)
	if err != nil {
		return 0, err
	}
	batch, c := batches.At(0, 0), t.Config
	c.Rule.Name, c.Rule.Value = "bptt", rules.BPTT[float32]{}
	exact, err := train.NewOn(c, ours, t.Data)
	if err != nil {
		return 0, err
	}
	want, err := exact.Look(ctx, t.Layer.Params, batch, nil)
	if err != nil {
		return 0, err
	}
	own, err := t.Look(ctx, t.Layer.Params, batch, nil)
	if err != nil {
		return 0, err
	}
	return cosine(own.Grads, want.Grads, "W"), nil
}

func alignFigure(found cosines, all []*course) figure.Figure {
	var gains []float64
	for _, c := range listedCosines {
		gains = append(gains, c.gain)
	}
	axis := figure.Axis{Label: "initial gain g"}
	line := func(name string, values func(i int) []float64, least float64) figure.Line {
		l := figure.Line{Name: name, X: gains}
		for i := range gains {
			m := compare.MeanInterval(values(i)).Clip(least, 1)
			l.Y, l.Lo, l.Hi = append(l.Y, m.Mean), append(l.Lo, m.Lo), append(l.Hi, m.Hi)
		}
		return l
	}
	random := figure.Panel{Title: "random trials", X: axis, Y: figure.Axis{Label: "cosine to bptt's gradient for W", Include: []float64{0, 1}}}
	for k, rule := range aligned {
		random.Lines = append(random.Lines, line(rule.name, func(i int) []float64 { return found[i][k] }, -1))
	}
	at := func(number func(c *course) float64) func(i int) []float64 {
		return func(i int) []float64 { return of(all, func(c *course) bool { return c.gain == gains[i] }, number) }
	}
	return figure.Figure{
		Title: "Alignment falls where learning by e-prop rises",
		Alt:   "Cosines of gradients to those of bptt against the initial gain, on random trials and on delayed match to sample, and the accuracy that e-prop reaches there.",
		Panels: []figure.Panel{
			random,
			{Title: "delayed match to sample", X: axis, Y: figure.Axis{Label: "cosine before training", Include: []float64{0, 1}}, Lines: []figure.Line{line("e-prop", at(startCosine), -1)}},
			{Title: "delayed match to sample", X: axis, Y: figure.Axis{Label: "accuracy after training", Percent: true, Include: []float64{0.5, 1}}, Lines: []figure.Line{line("e-prop", at(accuracy), 0)}},
		},
	}
}
