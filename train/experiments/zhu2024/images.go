package zhu2024

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/losses"
	"attractor/train/rules"
	"attractor/train/tasks"
)

const (
	imageUnits = 300
	tailLength = 10 // batches over which the training accuracy at the end is taken
	probes     = 4  // test samples at whose states the spectrum of the Jacobian is taken
)

const stabilityNote = "abscissa is the largest real part of an eigenvalue of the final W, jacobian-abscissa that of GW at the states " +
	"of some test samples: a fixed point is stable where the latter is below 1. No rule sees to it."

// schedule is how a network is trained on images.
type schedule struct {
	batch  int
	steps  int     // iterations
	dt     float64 // of Euler's method, in units of τ
	euler  int     // its steps, from 0
	solved bool    // train at fixed points solved to tolerance, in place of Euler's states

	testEvery    int  // iterations between two tests; 0: none but that at the end
	spectraEvery int  // iterations between two looks at the spectrum of W
	onTests      bool // train on the test samples
}

// setting is a rule at a learning rate.
type setting struct {
	rule string
	rate float64
}

func (s setting) String() string { return fmt.Sprintf("%s/eta=%g", s.rule, s.rate) }

// label is the setting in a figure.
func (s setting) label() string { return fmt.Sprintf("%s, η = %g", s.rule, s.rate) }

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
	unconverged int       // samples of which the adjoint, or a state to train at, was not solved to tolerance

	before, after []complex128 // eigenvalues of W; none of a W that is not finite
	jacobian      float64      // at the end, largest abscissa of GW over the probes: stable below 1
	solved        float64      // at the end, test accuracy at fixed points solved to tolerance
	unsolved      int          // test samples of which none was found
}

func (t *trial) final() float64 { return t.test[len(t.test)-1] }

func (t *trial) peak() float64 { return slices.Max(t.test) }

// tail is the training accuracy over the last batches.
func (t *trial) tail() float64 { return mean(last(t.accuracy)) }

// diverged reports a loss that ends above where it began.
func (t *trial) diverged() bool { return !(mean(last(t.loss)) < t.loss[0]) }

// jump is the largest rise of the loss from one batch to the next.
func (t *trial) jump() float64 {
	largest := 0.
	for i := range len(t.loss) - 1 {
		largest = math.Max(largest, t.loss[i+1]-t.loss[i])
	}
	return largest
}

// last are the values of the last batches.
func last(v []float64) []float64 { return v[max(0, len(v)-tailLength):] }

func mean(v []float64) float64 {
	sum := 0.
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// past is the number of eigenvalues with a real part above 1.
func past(values []complex128) (n int) {
	for _, l := range values {
		if real(l) > 1 {
			n++
		}
	}
	return n
}

// classifier is the network of the images: a layer that relaxes by Euler's method and one of
// the same weights without leak, whose derivatives the rules use.
type classifier struct {
	schedule
	relaxing, layer *deq.Layer[float32]
	loss            losses.Loss[float32]
}

// shard is how many samples take all of their Euler steps together: their states stay in the
// cache. A trial has one core.
const shard = 64

func newClassifier(s schedule, inputs, outputs int, seed uint64) (*classifier, error) {
	model := models.Rate{N: imageUnits, Gain: 0.5, InputGain: 1}
	c := deq.Config{Batch: s.batch, Shard: shard, Workers: 1}
	layer, err := deq.New[float32](model, inputs, outputs, seed, c)
	if err != nil {
		return nil, err
	}
	model.Leak = s.dt
	relaxing, err := deq.New[float32](model, inputs, outputs, seed, c)
	if err != nil {
		return nil, err
	}
	return &classifier{s, relaxing, layer, losses.CrossEntropy[float32]{}}, nil
}

// finder finds the states that are read out.
type finder func(ctx context.Context, x []float32) (*deq.Equilibrium[float32], error)

// settle returns the states after all Euler steps from 0.
func (c *classifier) settle(ctx context.Context, x []float32) (*deq.Equilibrium[float32], error) {
	tr, err := c.relaxing.Run(ctx, deq.Sequence[float32]{Rows: len(x) / c.relaxing.Inputs, Steps: c.euler, X: x, Every: c.euler, Once: true})
	if err != nil {
		return nil, err
	}
	return c.layer.At(x, tr.Last())
}

// solve returns the fixed points to tolerance.
func (c *classifier) solve(ctx context.Context, x []float32) (*deq.Equilibrium[float32], error) {
	return c.layer.Solve(ctx, x, nil, deq.Solver[float32]{Method: solvers.Anderson[float32]{}, Settings: solvers.Settings{RTol: 1e-5, MaxEvals: 300}})
}

// move changes W.
func (c *classifier) move(rate float64, grads deq.Params[float32]) error {
	err := c.layer.Update(func(p deq.Params[float32]) error {
		w := p.Data("W")
		for k, g := range grads.Data("W") {
			w[k] -= float32(rate) * g
		}
		return nil
	})
	return cmp.Or(err, c.relaxing.Update(c.layer.Params.Into))
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

func (c *classifier) goal(labels []int32) objective {
	return objective{c.loss, c.layer.Outputs, labels}
}

// score is the accuracy on a split, and the number of samples of which a solver found no state.
func (c *classifier) score(ctx context.Context, split tasks.Split, find finder) (accuracy float64, unsolved int, err error) {
	batches, err := tasks.NewBatches[float32](split, c.batch, 0)
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
		o, err := c.layer.Evaluate(e.Z, c.goal(b.Labels), nil)
		if err != nil {
			return 0, 0, err
		}
		correct += losses.Correct(o.Y, c.layer.Outputs, b.Labels)
	}
	return float64(correct) / float64(split.N), unsolved, nil
}

// jacobian is the largest abscissa of GW at the states of the first test samples.
func (c *classifier) jacobian(ctx context.Context, test tasks.Split, find finder) (float64, error) {
	var b tasks.Batch[float32]
	rows := make([]int, min(probes, test.N))
	for i := range rows {
		rows[i] = i
	}
	b.Gather(test, rows)
	e, err := find(ctx, b.X)
	if err != nil {
		return 0, err
	}
	largest := math.Inf(-1)
	for i := range rows {
		values, err := stability.Spectrum(ctx, e, i)
		if err != nil {
			return 0, err
		}
		largest = math.Max(largest, stability.Abscissa(values))
	}
	return largest, nil
}

// spectrum are the eigenvalues of W.
func (c *classifier) spectrum() []complex128 {
	w := newMatrix(imageUnits, imageUnits)
	for i, v := range c.layer.Params.Data("W") {
		w.v[i] = float64(v)
	}
	return eigenvalues(w)
}

// finish looks at what has been learned.
func (c *classifier) finish(ctx context.Context, t *trial, test tasks.Split, find finder) error {
	a, _, err := c.score(ctx, test, find)
	if err != nil {
		return err
	}
	t.at, t.test = append(t.at, len(t.loss)), append(t.test, a)
	t.jacobian = math.NaN()
	if t.after != nil {
		if t.jacobian, err = c.jacobian(ctx, test, find); err != nil {
			return err
		}
	}
	t.solved, t.unsolved, err = c.score(ctx, test, c.solve)
	return err
}

// learn trains W by plain descent from the parameters and batches of a seed, and calls done after
// each iteration. It ends early when W is no longer finite.
func learn(ctx context.Context, data *tasks.Dataset, how schedule, s setting, seed uint64, done func()) (*trial, error) {
	c, err := newClassifier(how, data.Inputs, data.Outputs, seed)
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
	from, find := data.Train, finder(c.settle)
	if how.onTests {
		from = data.Test
	}
	if how.solved {
		find = c.solve
	}
	batches, err := tasks.NewBatches[float32](from, how.batch, seed)
	if err != nil {
		return nil, err
	}
	t := &trial{setting: s, seed: seed, before: c.spectrum()}
	grads := c.layer.Params.ZerosLike()
	for i := range how.steps + 1 {
		if how.testEvery > 0 && i%how.testEvery == 0 && i < how.steps {
			a, _, err := c.score(ctx, data.Test, find)
			if err != nil {
				return nil, err
			}
			t.at, t.test = append(t.at, i), append(t.test, a)
		}
		if i%how.spectraEvery == 0 || i == how.steps {
			t.after = c.spectrum()
			t.spectrumAt, t.abscissa = append(t.spectrumAt, i), append(t.abscissa, rightmost(t.after))
			if t.after == nil {
				break
			}
		}
		if i == how.steps {
			break
		}
		b := batches.At(i/batches.Len(), i%batches.Len())
		e, err := find(ctx, b.X)
		if err != nil {
			return nil, err
		}
		if e.Report != nil {
			t.unconverged += e.Report.Failed()
		}
		grads.Clear()
		goal := c.goal(b.Labels)
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
		if err := c.move(s.rate, grads); err != nil {
			return nil, err
		}
		done()
	}
	return t, c.finish(ctx, t, data.Test, find)
}

// limit finds to a tenth, from a rate at which a rule learns, the rate above which it diverges: its
// loss ends above where it began. It gives up at 4096 times the rate, with +Inf.
func limit(ctx context.Context, data *tasks.Dataset, how schedule, s setting, seed uint64) (float64, error) {
	how.testEvery, how.spectraEvery = 0, how.steps
	diverges := func(rate float64) (bool, error) {
		t, err := learn(ctx, data, how, setting{s.rule, rate}, seed, func() {})
		return err == nil && t.diverged(), err
	}
	lo, hi := s.rate, 2*s.rate
	for {
		if hi > 4096*s.rate {
			return math.Inf(1), nil
		}
		is, err := diverges(hi)
		if err != nil {
			return 0, err
		}
		if is {
			break
		}
		lo, hi = hi, 2*hi
	}
	for hi/lo > 1.1 {
		middle := math.Sqrt(lo * hi)
		is, err := diverges(middle)
		if err != nil {
			return 0, err
		}
		if is {
			hi = middle
		} else {
			lo = middle
		}
	}
	return math.Sqrt(lo * hi), nil
}

// ahead compares the losses of two trials on the same batches: the share of them at which a is
// lower, and the last such iteration, -1 for none.
func ahead(a, b *trial) (share, last float64) {
	n := min(len(a.loss), len(b.loss))
	last = -1
	for i := range n {
		if a.loss[i] < b.loss[i] {
			share += 1 / float64(n)
			last = float64(i)
		}
	}
	return share, last
}
