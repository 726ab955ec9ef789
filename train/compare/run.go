package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"attractor/deq"
	"attractor/internal/catalog"
	"attractor/internal/config"
	"attractor/internal/options"
	"attractor/train"
	"attractor/train/optim"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Plan says what is compared. Zero fields mean the defaults.
type Plan struct {
	Rules    []string // default: DefaultRules
	Settings []string // default: SettingNames
	Seeds    []uint64 // default: 1, 2, 3
	Every    int      // steps between two looks at the exact gradient; default 20
	Workers  int      // trials at a time; default GOMAXPROCS
	Holdout  bool     // score on a fifth of the training data, held out, instead of the test data
	LR       float64  // learning rate of every rule; 0: each rule's own
}

// DefaultRules are the rules that are compared when none is named.
var DefaultRules = []string{"implicit", "jfb", "bptt", "reparam-gradient", "eqprop"}

// setting is a way to compare rules.
type setting struct {
	name, doc, trained string
	fixedReadout       bool
	controls           []string
}

var settings = []setting{
	{
		name: "all-trained", trained: "all", controls: []string{Untrained, ReadoutOnly},
		doc: "Every parameter learns: recurrent weights, input weights, biases and readout. The ordinary use, in which a good readout can hide a poor rule.",
	},
	{
		name: "credit-critical", trained: "recurrent", fixedReadout: true, controls: []string{Untrained, ReadoutOnly},
		doc: "Only the recurrent weights W and the biases b learn; input weights and readout stay random. The network can only become good if the rule tells the right synapses what to do.",
	},
}

// SettingNames lists the settings.
func SettingNames() []string {
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
	}
	return names
}

// job is one trial to be run.
type job struct {
	setting setting
	rule    string // or a control
	seed    uint64
}

// Event tells of progress: a trial that has come to the end of an epoch, or has ended.
type Event struct {
	Setting, Rule string
	Seed          uint64
	Epoch, Epochs int
	Steps         int     // made in this trial
	Accuracy      float64 // on held-out data; NaN where there is none
	Trial         *Trial  // at the end of a trial
	Done, Trials  int     // trials done, of how many
}

func (p Plan) withDefaults() Plan {
	if len(p.Rules) == 0 {
		p.Rules = DefaultRules
	}
	if len(p.Settings) == 0 {
		p.Settings = SettingNames()
	}
	if len(p.Seeds) == 0 {
		p.Seeds = []uint64{1, 2, 3}
	}
	if p.Every == 0 {
		p.Every = 20
	}
	if p.Workers == 0 {
		p.Workers = runtime.GOMAXPROCS(0)
	}
	return p
}

// Run trains the model of base on its task by every rule of the plan, in every setting and for
// every seed. Trials of one seed are paired: they start from the same parameters and see the
// same batches in the same order. Trials that done holds are taken from there.
// notify, which may be nil, is called from one goroutine at a time.
//
// When ctx is cancelled the trials that have ended are returned with its error.
func Run[T deq.Float](ctx context.Context, base train.Config[T], parts train.Parts[T], plan Plan, done []Trial, notify func(Event)) ([]Setting, error) {
	plan = plan.withDefaults()
	jobs, err := plan.jobs(parts.Rules.Names())
	if err != nil {
		return nil, err
	}
	trials := make([]*Trial, len(jobs))
	var open []int
	for i, j := range jobs {
		k := slices.IndexFunc(done, func(t Trial) bool { return t.Setting == j.setting.name && t.Rule == j.rule && t.Seed == j.seed })
		if k < 0 {
			open = append(open, i)
			continue
		}
		trials[i] = &done[k]
	}
	data := make(map[uint64]*tasks.Dataset)
	for _, s := range plan.Seeds {
		if data[s], err = base.Task.Value.Load(s); err != nil {
			return nil, fmt.Errorf("compare: load task %q: %w", base.Task.Name, err)
		}
	}
	var mu sync.Mutex
	tell := func(i int, e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Trial != nil {
			trials[i] = e.Trial
		}
		if notify != nil {
			e.Trials, e.Done = len(jobs), 0
			for _, t := range trials {
				if t != nil {
					e.Done++
				}
			}
			notify(e)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan int)
	var wg sync.WaitGroup
	for range min(plan.Workers, len(open)) {
		wg.Go(func() {
			for i := range queue {
				err := runTrial(ctx, jobs[i], base, parts, plan, data[jobs[i].seed], func(e Event) { tell(i, e) })
				if err != nil {
					stop(err)
				}
			}
		})
	}
	for _, i := range open {
		if ctx.Err() != nil {
			break
		}
		queue <- i
	}
	close(queue)
	wg.Wait()
	var out []Setting
	for _, s := range settings {
		var own []Trial
		for i, t := range trials {
			if t != nil && jobs[i].setting.name == s.name {
				own = append(own, *t)
			}
		}
		if len(own) > 0 {
			out = append(out, NewSetting(s.name, s.doc, own, Summary{FixedReadout: s.fixedReadout}))
		}
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return out, nil
}

// jobs lists the trials, rule by rule within a setting.
func (p Plan) jobs(known []string) ([]job, error) {
	for _, r := range p.Rules {
		if !slices.Contains(known, r) {
			return nil, fmt.Errorf("compare: %w", catalog.Unknown("rule", r, known))
		}
	}
	for _, s := range p.Settings {
		if !slices.Contains(SettingNames(), s) {
			return nil, fmt.Errorf("compare: %w", catalog.Unknown("setting", s, SettingNames()))
		}
	}
	var jobs []job
	for _, s := range settings {
		if !slices.Contains(p.Settings, s.name) {
			continue
		}
		for _, rule := range slices.Concat(p.Rules, s.controls) {
			for _, seed := range p.Seeds {
				jobs = append(jobs, job{setting: s, rule: rule, seed: seed})
			}
		}
	}
	return jobs, nil
}

// runTrial trains one network and tells of its epochs and its end.
func runTrial[T deq.Float](ctx context.Context, j job, base train.Config[T], parts train.Parts[T], plan Plan, data *tasks.Dataset, tell func(Event)) error {
	c, lr, err := configure(j, base, parts, plan)
	if err != nil {
		return err
	}
	t, err := train.NewOn(c, parts, data)
	if err != nil {
		return fmt.Errorf("compare: %s by %s: %w", j.setting.name, j.rule, err)
	}
	trial := &Trial{Setting: j.setting.name, Rule: j.rule, Seed: j.seed, LearningRate: lr, MaxRadius: math.NaN()}
	var look *passive[T]
	var observers []train.Observer[T]
	if c.Train.Trained != "none" && c.Train.Trained != "readout" {
		if look, err = newPassive(t, plan.Every); err != nil {
			return err
		}
		observers = append(observers, look)
	}
	epochs := c.Train.Epochs
	for !t.Done() {
		step, epoch, err := t.Next(ctx, observers...)
		var diverged *train.DivergedError
		if errors.As(err, &diverged) {
			trial.Diverged, trial.Reason = true, diverged.Error()
			break
		}
		if err != nil {
			return fmt.Errorf("compare: %s by %s, seed %d: %w", j.setting.name, j.rule, j.seed, err)
		}
		if epoch == nil {
			continue
		}
		point := Point{Step: step.Step, Epoch: float64(epoch.Epoch), TrainLoss: float64(epoch.TrainLoss),
			TestAccuracy: float64(epoch.TestAccuracy), SpectralRadius: math.NaN()}
		if look != nil {
			point.SpectralRadius = look.radius
		}
		trial.Curve = append(trial.Curve, point)
		tell(Event{Setting: j.setting.name, Rule: j.rule, Seed: j.seed, Epoch: epoch.Epoch, Epochs: epochs, Steps: t.Step, Accuracy: point.TestAccuracy})
	}
	score, err := t.Test(ctx)
	if err != nil {
		return err
	}
	trial.TestLoss, trial.TestAccuracy = float64(score.Loss), float64(score.Accuracy)
	trial.WallS, trial.PeakBytes, trial.Evals = t.Wall.Seconds(), int64(t.Bytes()), math.NaN()
	if t.Samples > 0 {
		trial.Evals = float64(t.Counts.Total()) / float64(t.Samples)
	}
	if look != nil {
		trial.Cosine, trial.MaxRadius = look.points, look.worst
	}
	tell(Event{Setting: j.setting.name, Rule: j.rule, Seed: j.seed, Epoch: epochs, Epochs: epochs, Steps: t.Step, Accuracy: trial.TestAccuracy, Trial: trial})
	return nil
}

// configure is the configuration of one trial, and its learning rate.
func configure[T deq.Float](j job, base train.Config[T], parts train.Parts[T], plan Plan) (train.Config[T], float64, error) {
	c := base
	c.Train.Seed, c.Train.Workers, c.Train.Holdout = j.seed, 1, plan.Holdout
	c.Train.Trained = j.setting.trained
	rule := j.rule
	switch j.rule {
	case Untrained:
		c.Train.Trained, rule = "none", base.Rule.Name
	case ReadoutOnly:
		c.Train.Trained, rule = "readout", base.Rule.Name
	}
	if rule != base.Rule.Name { // the base has the options of its own rule
		e, err := parts.Rules.Lookup(rule)
		if err != nil {
			return c, 0, fmt.Errorf("compare: %w", err)
		}
		c.Rule = config.Chosen[rules.Rule[T]]{Name: e.Name, Value: e.Value}
		c = c.Suited(parts)
	}
	lr := plan.LR
	if lr == 0 {
		lr = learningRates[j.setting.name][j.rule]
	}
	if lr == 0 {
		lr = defaultLearningRate
	}
	var err error
	c.Optimizer.Value, err = withLearningRate(c.Optimizer.Value, lr)
	return c, lr, err
}

// withLearningRate sets the option lr.
func withLearningRate[T deq.Float](o optim.Optimizer[T], lr float64) (optim.Optimizer[T], error) {
	p := reflect.New(reflect.TypeOf(o))
	p.Elem().Set(reflect.ValueOf(o))
	for _, f := range options.Fields(o) {
		if f.Key == "lr" {
			if err := f.Set(p.Interface(), strconv.FormatFloat(lr, 'g', -1, 64)); err != nil {
				return nil, fmt.Errorf("compare: learning rate: %w", err)
			}
			return p.Elem().Interface().(optim.Optimizer[T]), nil
		}
	}
	return nil, fmt.Errorf("compare: optimizer %T has no option lr", o)
}
