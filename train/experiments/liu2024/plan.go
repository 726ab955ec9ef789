package liu2024

import (
	"context"
	"fmt"
	"slices"

	"attractor/deq/stability"
	"attractor/train"
	"attractor/train/compare"
	"attractor/train/experiments"
)

// plan is a training run: a configuration of the program, over one epoch of fresh trials.
type plan struct {
	task    string
	label   string  // for the experiment itself
	gain    float64 // g of the initial recurrent weights, g·randn/√N
	units   int
	batch   int
	updates int
	sets    []string // further settings, as of --set
	seed    uint64
	floss   train.Flossing
	aligns  bool // whether the rule's gradient is compared with bptt's before training
}

// course is how a run went.
type course struct {
	plan
	before, after float64 // largest Lyapunov exponents, driven by test trials
	flossed       float64 // that after a flossing before training; without one it is before
	flossings     []*train.FlossingRecord
	cosine        float64   // of the rule's gradient for W to bptt's, where the plan aligns
	accuracy      []float64 // of each batch, before its update
	test          float64   // accuracy of the test trials at the end
	ideal         float64   // of the ideal observer; 0 where it is not known
}

// seeds are the seeds of some runs.
func seeds(o experiments.Options, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = seedOf(o) + uint64(i)
	}
	return out
}

// run makes the run: Adam at a constant rate of 10⁻³. It calls done after each of the parts, parts
// of them, of its updates.
func (p plan) run(ctx context.Context, parts int, done func()) (*course, error) {
	sets := append([]string{
		"task=" + p.task, fmt.Sprint("task.trials=", p.updates*p.batch),
		"model=rate", fmt.Sprint("model.units=", p.units), fmt.Sprint("model.gain=", p.gain), "model.input_gain=1",
		"optimizer=adam", "optimizer.lr=0.001",
		"train.epochs=1", fmt.Sprint("train.batch=", p.batch), "train.schedule=constant", "train.workers=1", fmt.Sprint("train.seed=", p.seed),
	}, p.sets...)
	ours := train.Ours[float32]()
	c, err := train.Read(ours, "liu2024", nil, sets)
	if err != nil {
		return nil, err
	}
	c.Flossing = p.floss
	t, err := train.New(c, ours)
	if err != nil {
		return nil, err
	}
	out := &course{plan: p, ideal: t.Data.Ideal}
	if out.before, err = exponent(ctx, t); err != nil {
		return nil, err
	}
	if p.aligns {
		if out.cosine, err = taskCosine(ctx, t); err != nil {
			return nil, err
		}
	}
	out.flossed = out.before
	for !t.Done() {
		var observers []train.Observer[float32]
		if t.Step == 0 && p.floss.Times > 0 && p.floss.Start == 0 {
			observers = append(observers, observer(func(ctx context.Context, _ train.Step[float32]) (err error) {
				out.flossed, err = exponent(ctx, t)
				return err
			}))
		}
		r, _, err := t.Next(ctx, observers...)
		if err != nil {
			return nil, err
		}
		if r.Flossing != nil {
			out.flossings = append(out.flossings, r.Flossing)
		}
		out.accuracy = append(out.accuracy, float64(r.Accuracy))
		if t.Step*parts/p.updates > (t.Step-1)*parts/p.updates {
			done()
		}
	}
	score, err := t.Test(ctx)
	if err != nil {
		return nil, err
	}
	out.test = float64(score.Accuracy)
	out.after, err = exponent(ctx, t)
	return out, err
}

// observer is a function that is a train.Observer.
type observer func(ctx context.Context, s train.Step[float32]) error

// Observe implements train.Observer.
func (f observer) Observe(ctx context.Context, s train.Step[float32]) error { return f(ctx, s) }

// exponent is the largest Lyapunov exponent of the network when 30 test trials, one after the
// other without a reset, drive it, after 50 steps of warm-up.
func exponent(ctx context.Context, t *train.Trainer[float32]) (float64, error) {
	const trials, warmup = 30, 50
	found, err := stability.Exponents(ctx, t.Layer, train.Drive[float32](t.Data.Test, 0), make([]float32, t.Layer.Units),
		stability.Lyapunov{Steps: max(trials*t.Data.Steps-warmup, 20), Warmup: warmup, Seed: 1})
	if err != nil {
		return 0, err
	}
	return found[0].Value, nil
}

// runAll makes all runs, on all cores.
func runAll(ctx context.Context, o experiments.Options, plans []plan) ([]*course, error) {
	const parts = 4
	out := make([]*course, len(plans))
	err := o.WorkInParts(ctx, len(plans), parts, func(i int, done func()) (err error) {
		out[i], err = plans[i].run(ctx, parts, done)
		return err
	}, func(i int) string {
		return fmt.Sprintf("%s at gain %g, seed %d", plans[i].task, plans[i].gain, plans[i].seed)
	})
	return out, err
}

// mean returns the mean of a number over the runs that are wanted, and records its 95 % interval.
func mean(r *experiments.Result, id string, all []*course, want func(c *course) bool, number func(c *course) float64) float64 {
	m := compare.MeanInterval(of(all, want, number))
	r.Value(id+"/lo", m.Lo)
	r.Value(id+"/hi", m.Hi)
	return m.Mean
}

// count is the number of runs, among those that are wanted, of which something is true.
func count(all []*course, want, is func(c *course) bool) (n int) {
	for _, c := range all {
		if want(c) && is(c) {
			n++
		}
	}
	return n
}

// What is asked of runs.
func accuracy(c *course) float64 { return c.test }
func excess(c *course) float64   { return c.test - c.ideal }

// of returns a number of those runs that are wanted.
func of(all []*course, want func(c *course) bool, number func(c *course) float64) []float64 {
	var out []float64
	for _, c := range slices.DeleteFunc(slices.Clone(all), func(c *course) bool { return !want(c) }) {
		out = append(out, number(c))
	}
	return out
}
