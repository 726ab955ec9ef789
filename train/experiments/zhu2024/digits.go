package zhu2024

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/compare"
	"attractor/train/experiments"
	"attractor/train/losses"
	"attractor/train/rules"
	"attractor/train/tasks"
)

const digitsDoc = `the image task of figures 4 and 5, on the digits that the program holds, in place of MNIST

Trains W of a tanh network of 300 units to classify 8 × 8 digits: 354 iterations of plain
descent on batches of 64, from W₀ = 0.5·randn/√N; the input weights randn/√64 and the
readout randn/√N stay as drawn. States are those after 100 Euler steps of dt = 0.05 τ from 0.
Four settings over the same five seeds, which share parameters and batches:
  gradient at 0.01 and 0.025, reparam-gradient at 0.1, reparam-gradient-half at 0.05
Checked: reparam-gradient reaches 93 % on the test samples with the largest Re λ(W) near 0.53;
gradient, after a peak above 80 %, ends below 60 % in at least three seeds at 0.01 and in all
at 0.025, where an eigenvalue of W passes 1.
What we find: the last does not hold. At 0.025 the accuracy swings widely once it has broken
down, and 4 of the seeds 1 to 5 (7 of 1 to 10) are below 60 % when the run ends. Nor does an
eigenvalue of W past 1 tell by itself which run breaks down: reparam-gradient-half has one in
the end too and keeps 88 %. The same readout is used by all rules, and trained on is the training data, which the
published runs did otherwise.`

// The settings of the digits.
const (
	digitSeeds   = 5
	digitUnits   = 300
	digitBatch   = 64
	digitSteps   = 354
	eulerStep    = 0.05
	eulerSteps   = 100
	digitEvery   = 6  // iterations between two tests
	digitTail    = 10 // batches over which the training accuracy at the end is taken
	spectraEvery = 18 // iterations between two looks at the spectrum of W
	probes       = 4  // test samples at whose states the spectrum of the Jacobian is taken
)

// setting is a rule at a learning rate.
type setting struct {
	rule string
	rate float64
}

// trial is a run of a setting from one seed.
type trial struct {
	setting
	seed        uint64
	accuracy    []float64 // of each training batch, before its update
	loss        []float64
	at          []int     // iterations after which the test was taken
	test        []float64 // accuracy on the test samples
	spectrumAt  []int
	abscissa    []float64 // of W
	unconverged int       // samples of which the adjoint was not solved to tolerance

	jacobian float64 // at the end, largest abscissa of GW over the probes: stable below 1
	solved   float64 // at the end, test accuracy at fixed points solved to tolerance
	unsolved int     // test samples of which none was found
}

func (t *trial) final() float64 { return t.test[len(t.test)-1] }

func (t *trial) peak() float64 { return slices.Max(t.test) }

// collapsed reports a run that ends below 60 % after a peak above 80 %.
func (t *trial) collapsed() bool { return t.final() < 0.6 && t.peak() > 0.8 }

// tail is the training accuracy over the last batches.
func (t *trial) tail() float64 {
	last := t.accuracy[max(0, len(t.accuracy)-digitTail):]
	sum := 0.
	for _, a := range last {
		sum += a
	}
	return sum / float64(len(last))
}

// classifier is the network of the digits: a layer that relaxes by Euler's method and one of
// the same weights without leak, whose derivatives the rules use.
type classifier struct {
	relaxing, layer *deq.Layer[float32]
	loss            losses.Loss[float32]
}

func newClassifier(inputs, outputs int, seed uint64) (*classifier, error) {
	model := models.Rate{N: digitUnits, Gain: 0.5, InputGain: 1}
	c := deq.Config{Batch: digitBatch, Shard: digitBatch, Workers: 1}
	layer, err := deq.New[float32](model, inputs, outputs, seed, c)
	if err != nil {
		return nil, err
	}
	model.Leak = eulerStep
	relaxing, err := deq.New[float32](model, inputs, outputs, seed, c)
	if err != nil {
		return nil, err
	}
	return &classifier{relaxing, layer, losses.CrossEntropy[float32]{}}, nil
}

// settle returns the states after all Euler steps from 0.
func (c *classifier) settle(ctx context.Context, x []float32) (*deq.Equilibrium[float32], error) {
	tr, err := c.relaxing.Relax(ctx, x, nil, eulerSteps)
	if err != nil {
		return nil, err
	}
	return c.layer.At(x, tr.Last())
}

// objective is the loss of a batch.
type objective struct {
	loss    losses.Loss[float32]
	outputs int
	labels  []int32
}

// Eval implements deq.Loss.
func (o objective) Eval(rows []int, y, dy []float32, loss []float64) error {
	var target losses.Target[float32]
	for _, r := range rows {
		target.Labels = append(target.Labels, o.labels[r])
	}
	return o.loss.Eval(y, o.outputs, target, loss, dy)
}

// solve returns the fixed points to tolerance.
func (c *classifier) solve(ctx context.Context, x []float32) (*deq.Equilibrium[float32], error) {
	return c.layer.Solve(ctx, x, nil, deq.Solver[float32]{Method: solvers.Anderson[float32]{}, Settings: solvers.Settings{RTol: 1e-5, MaxEvals: 300}})
}

// score is the accuracy on a split, at the states that find finds, and the number of samples of
// which a solver found none.
func (c *classifier) score(ctx context.Context, split tasks.Split, find func(context.Context, []float32) (*deq.Equilibrium[float32], error)) (accuracy float64, unsolved int, err error) {
	batches, err := tasks.NewBatches[float32](split, digitBatch, 0)
	if err != nil {
		return 0, 0, err
	}
	correct := 0
	for k := range batches.Len() {
		b := batches.InOrder(k)
		e, err := find(ctx, b.X)
		if err != nil {
			return 0, 0, err
		}
		if e.Report != nil {
			unsolved += e.Report.Failed()
		}
		o, err := c.layer.Evaluate(e.Z, objective{c.loss, c.layer.Outputs, b.Labels}, nil)
		if err != nil {
			return 0, 0, err
		}
		correct += losses.Correct(o.Y, c.layer.Outputs, b.Labels)
	}
	return float64(correct) / float64(split.N), unsolved, nil
}

// jacobian is the largest abscissa of GW at the states of the first test samples.
func (c *classifier) jacobian(ctx context.Context, data *tasks.Dataset) (float64, error) {
	var b tasks.Batch[float32]
	rows := make([]int, probes)
	for i := range rows {
		rows[i] = i
	}
	b.Gather(data.Test, rows)
	e, err := c.settle(ctx, b.X)
	if err != nil {
		return 0, err
	}
	largest := math.Inf(-1)
	for i := range probes {
		values, err := stability.Spectrum(ctx, e, i)
		if err != nil {
			return 0, err
		}
		largest = math.Max(largest, stability.Abscissa(values))
	}
	return largest, nil
}

// abscissa is that of W.
func (c *classifier) abscissa() float64 {
	w := newMatrix(digitUnits, digitUnits)
	for i, v := range c.layer.Params.Data("W") {
		w.v[i] = float64(v)
	}
	return abscissa(w)
}

// runDigits trains W by plain descent from the parameters and batches of a seed.
func runDigits(ctx context.Context, data *tasks.Dataset, s setting, seed uint64, steps int) (*trial, error) {
	c, err := newClassifier(data.Inputs, data.Outputs, seed)
	if err != nil {
		return nil, err
	}
	name := s.rule
	if name == "gradient" {
		name = "implicit"
	}
	entry, err := rules.Catalog[float32]().Lookup(name)
	if err != nil {
		return nil, err
	}
	rule := entry.Value.(rules.EquilibriumRule[float32])
	if err := rule.Check(c.layer); err != nil {
		return nil, err
	}
	adjoint := deq.Solver[float32]{
		Method: solvers.GMRES[float32]{Restart: 100}, Settings: solvers.Settings{RTol: 1e-5, MaxEvals: 400},
	}
	batches, err := tasks.NewBatches[float32](data.Train, digitBatch, seed)
	if err != nil {
		return nil, err
	}
	t := &trial{setting: s, seed: seed}
	grads := c.layer.Params.ZerosLike()
	w, d := c.layer.Params.Data("W"), grads.Data("W")
	for i := range steps + 1 {
		if i%digitEvery == 0 {
			a, _, err := c.score(ctx, data.Test, c.settle)
			if err != nil {
				return nil, err
			}
			t.at, t.test = append(t.at, i), append(t.test, a)
		}
		if i%spectraEvery == 0 || i == steps {
			t.spectrumAt, t.abscissa = append(t.spectrumAt, i), append(t.abscissa, c.abscissa())
		}
		if i == steps {
			break
		}
		b := batches.At(i/batches.Len(), i%batches.Len())
		e, err := c.settle(ctx, b.X)
		if err != nil {
			return nil, err
		}
		grads.Clear()
		goal := objective{c.loss, c.layer.Outputs, b.Labels}
		o, err := c.layer.Evaluate(e.Z, goal, nil)
		if err != nil {
			return nil, err
		}
		report, err := rule.Gradient(ctx, rules.Situation[float32]{Equilibrium: e, Output: o, Loss: goal, Backward: adjoint}, grads)
		if err != nil {
			return nil, err
		}
		t.unconverged += report.Failed()
		t.loss = append(t.loss, o.Mean())
		t.accuracy = append(t.accuracy, losses.Accuracy(o.Y, c.layer.Outputs, b.Labels))
		for k, g := range d {
			w[k] -= float32(s.rate) * g
		}
		c.relaxing.Params.CopyFrom(c.layer.Params)
		c.relaxing.Updated()
		c.layer.Updated()
	}
	if t.jacobian, err = c.jacobian(ctx, data); err != nil {
		return nil, err
	}
	t.solved, t.unsolved, err = c.score(ctx, data.Test, c.solve)
	return t, err
}

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
	seeds, steps := digitSeeds, digitSteps
	if o.Quick {
		settings = []setting{settings[0], settings[2]}
		seeds, steps = 1, 18
		r.Notes = append(r.Notes, "Quick: 2 settings, 1 seed, 18 iterations; the published outcomes are not checked.")
	} else {
		r.Notes = append(r.Notes, fmt.Sprintf("Seeds %d to %d; lo and hi are ends of 95 %% intervals of the mean over them (Student's t).", first, first+digitSeeds-1))
	}
	trials := make([][]*trial, len(settings))
	for i := range trials {
		trials[i] = make([]*trial, seeds)
	}
	err = work(ctx, o, len(settings)*seeds, func(i int) (err error) {
		k, s := i%len(settings), i/len(settings)
		trials[k][s], err = runDigits(ctx, data, settings[k], first+uint64(s), steps)
		return err
	}, func(i int) string {
		s := settings[i%len(settings)]
		return fmt.Sprintf("%s at η = %g, seed %d", s.rule, s.rate, first+uint64(i/len(settings)))
	})
	if err != nil {
		return nil, err
	}
	reportDigits(r, trials, o.Quick)
	return r, save(o, r, "digits", digitsFigure(trials))
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
	const source = paper + ", its task on digits"
	final := map[setting][]float64{}
	for _, set := range trials {
		s := set[0].setting
		id := fmt.Sprintf("%s/eta=%g/", s.rule, s.rate)
		n := float64(len(set))
		final[s] = over(set, (*trial).final)
		largest := over(set, func(t *trial) float64 { return slices.Max(t.abscissa) })
		collapsed := 0.
		for _, t := range set {
			if t.collapsed() {
				collapsed++
			}
		}
		accuracy := compare.MeanInterval(final[s])
		spread := compare.MeanInterval(over(set, func(t *trial) float64 { return t.abscissa[len(t.abscissa)-1] }))
		last := spread.Mean
		switch {
		case quick:
			if s.rule == "reparam-gradient" {
				r.Bound(id+"test-accuracy", accuracy.Mean, experiments.Above, 0.5, "ours: it has begun to learn")
			} else {
				r.Value(id+"test-accuracy", accuracy.Mean)
			}
		case s == setting{"reparam-gradient", 0.1}:
			r.Bound(id+"test-accuracy", accuracy.Mean, experiments.AtLeast, 0.93, source)
			r.Equal(id+"abscissa", last, 0.53, spread.Hi-last, source+", near 0.53; the tolerance is our 95 % interval")
			r.Bound(id+"abscissa/max", slices.Max(largest), experiments.Below, 1, source)
		case s == setting{"gradient", 0.01}:
			r.Bound(id+"collapsed-seeds", collapsed, experiments.AtLeast, 3, source)
			r.Value(id+"test-accuracy", accuracy.Mean)
			r.Value(id+"abscissa", last)
		case s == setting{"gradient", 0.025}:
			r.Bound(id+"collapsed-seeds", collapsed, experiments.AtLeast, n, source)
			r.Bound(id+"abscissa/least-max", slices.Min(largest), experiments.Above, 1, source)
			r.Value(id+"test-accuracy", accuracy.Mean)
			r.Value(id+"abscissa", last)
		default:
			r.Value(id+"test-accuracy", accuracy.Mean)
			r.Value(id+"abscissa", last)
		}
		if !quick {
			interval := accuracy.Clip(0, 1)
			r.Value(id+"test-accuracy/lo", interval.Lo)
			r.Value(id+"test-accuracy/hi", interval.Hi)
		}
		for _, t := range set {
			r.Value(fmt.Sprintf("%sseed=%d/test-accuracy", id, t.seed), t.final())
			r.Value(fmt.Sprintf("%sseed=%d/peak-test-accuracy", id, t.seed), t.peak())
			r.Value(fmt.Sprintf("%sseed=%d/training-accuracy-last-%d", id, t.seed, digitTail), t.tail())
			r.Value(fmt.Sprintf("%sseed=%d/abscissa", id, t.seed), t.abscissa[len(t.abscissa)-1])
		}
		r.Value(id+fmt.Sprintf("training-accuracy-last-%d", digitTail), compare.MeanInterval(over(set, (*trial).tail)).Mean)
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
		r.Value(id+"/lo", d.Lo)
		r.Value(id+"/hi", d.Hi)
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
		name := fmt.Sprintf("%s, η = %g", s.rule, s.rate)
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
