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
	"strings"
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
	LR       float64  // learning rate of every rule; 0: that of Rates, or else each rule's own
	Rates    Rates    // learning rates; default: each rule's own

	RatesTuned  bool   // Rates were chosen by Tune for this task and model (SameProblem)
	TuneCommand string // that tunes the rates: what the findings advise where they were not

	Looks       int      // moments of every trial at which all rules look on; default 3, negative: none
	LookBatches int      // batches of a look; default 4
	Onlookers   []string // the rules that look on; default: those compared
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
	Note          string  // what is odd about the data; then the rest is empty
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
	if p.Looks == 0 {
		p.Looks = 3
	}
	if p.LookBatches == 0 {
		p.LookBatches = 4
	}
	if len(p.Onlookers) == 0 {
		p.Onlookers = p.Rules
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
// Exact gradients are computed in the configuration wide, which is base in float64. A plan with
// Holdout looks at nothing.
//
// When ctx is cancelled the trials that have ended are returned with its error.
func Run[T deq.Float](ctx context.Context, base train.Config[T], parts train.Parts[T], wide Wide, plan Plan, done []Trial, notify func(Event)) ([]Setting, error) {
	plan = plan.withDefaults()
	jobs, err := plan.jobs(parts.Rules.Names())
	if err != nil {
		return nil, err
	}
	defaults := defaultsHold(base, parts)
	trials := make([]*Trial, len(jobs))
	var open []int
	for i, j := range jobs {
		k := slices.IndexFunc(done, func(t Trial) bool { return t.Setting == j.setting.name && t.Rule == j.rule && t.Seed == j.seed })
		if k < 0 {
			open = append(open, i)
			continue
		}
		trials[i] = &done[k]
		plan.rated(trials[i], defaults)
	}
	data := make(map[uint64]*tasks.Dataset)
	for _, s := range plan.Seeds {
		if data[s], err = base.Task.Value.Load(s); err != nil {
			return nil, fmt.Errorf("compare: load task %q: %w", base.Task.Name, err)
		}
		notes := data[s].Notes
		if plan.Holdout {
			notes = slices.Concat(notes, data[s].ValidationNotes())
		}
		for _, note := range notes {
			if notify != nil {
				notify(Event{Note: note})
			}
		}
	}
	var mu sync.Mutex
	tell := func(i int, e Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Trial != nil {
			plan.rated(e.Trial, defaults)
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
				err := runTrial(ctx, jobs[i], base, parts, wide, plan, data[jobs[i].seed], func(e Event) { tell(i, e) })
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
			out = append(out, NewSetting(s.name, s.doc, own, Summary{FixedReadout: s.fixedReadout, TuneCommand: plan.TuneCommand}))
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
	for i, s := range p.Seeds {
		if slices.Contains(p.Seeds[:i], s) { // a trial that counts twice narrows every interval
			return nil, fmt.Errorf("compare: seed %d is given twice", s)
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
func runTrial[T deq.Float](ctx context.Context, j job, base train.Config[T], parts train.Parts[T], wide Wide, plan Plan, data *tasks.Dataset, tell func(Event)) error {
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
	if !plan.Holdout && c.Train.Trained != "none" && c.Train.Trained != "readout" {
		look = &passive[T]{every: plan.Every, driver: t, parts: parts, radius: math.NaN(), worst: math.NaN()}
		if look.reference, err = newReference(wide, data, j.seed, c.Train.Trained); err != nil {
			return err
		}
		if plan.Looks > 0 {
			look.gallery, err = newGallery(t, parts, plan, func(rule string) (train.Config[T], error) {
				c, _, err := configure(job{setting: j.setting, rule: rule, seed: j.seed}, base, parts, plan)
				return c, err
			})
			if err != nil {
				return err
			}
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
		if ctx.Err() != nil || look != nil && look.err != nil {
			return err
		}
		if err != nil {
			trial.Error = err.Error()
			break
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
		if err := t.Unsolved(epoch); err != nil {
			trial.Error, trial.Unsolved = err.Error(), true
			break
		}
	}
	trial.WallS, trial.PeakBytes, trial.Evals = t.Wall.Seconds(), int64(t.Bytes()), math.NaN() // before the fixed points are looked at
	trial.TestLoss, trial.TestAccuracy = math.NaN(), math.NaN()
	if trial.Error == "" {
		score, err := train.Score{}, error(nil)
		if plan.Holdout {
			score, err = t.Test(ctx)
		} else {
			score, trial.FixedPoints, err = t.FinalTest(ctx)
		}
		if ctx.Err() != nil || look != nil && look.err != nil {
			return err
		}
		if err != nil {
			trial.Error = err.Error()
		} else {
			trial.TestLoss, trial.TestAccuracy = float64(score.Loss), float64(score.Accuracy)
		}
	}
	trial.Samples, trial.Unconverged, trial.Warnings = t.Samples, t.Failed, t.Doubts(trial.FixedPoints)
	if t.Samples > 0 {
		trial.Evals = float64(t.Counts.Total()) / float64(t.Samples)
	}
	if look != nil {
		trial.Cosine, trial.MaxRadius, trial.Looks = look.points, look.worst, look.looks
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
	c, err := chosen(rule, c, parts)
	if err != nil {
		return c, 0, err
	}
	lr, _ := plan.rateOf(j.setting.name, j.rule)
	c.Optimizer.Value, err = withLearningRate(c.Optimizer.Value, lr)
	return c, lr, err
}

// chosen is the configuration with another rule, and a solver that it can work with. Its own
// rule has the options that it gives it.
func chosen[T deq.Float](rule string, c train.Config[T], parts train.Parts[T]) (train.Config[T], error) {
	if rule == c.Rule.Name {
		return c, nil
	}
	e, err := parts.Rules.Lookup(rule)
	if err != nil {
		return c, fmt.Errorf("compare: %w", err)
	}
	c.Rule = config.Chosen[rules.Rule[T]]{Name: e.Name, Value: e.Value}
	return c.Suited(parts), nil
}

// Applicable parts rules into those that can train the model on the task and the others.
func Applicable[T deq.Float](base train.Config[T], parts train.Parts[T], names []string) (yes []string, no []NotApplicable, err error) {
	data, err := base.Task.Value.Load(base.Train.Seed)
	if err != nil {
		return nil, nil, fmt.Errorf("task %q: %w", base.Task.Name, err)
	}
	for _, name := range names {
		c, err := chosen(name, base, parts)
		if err != nil {
			return nil, nil, err
		}
		if _, ok := c.Rule.Value.(rules.ReadoutRule); ok {
			err := fmt.Errorf("rule %q trains the readout and leaves the cell as it is: what is compared is how the cell learns", name)
			no = append(no, NotApplicable{Rule: name, Reason: err.Error(), err: err})
			continue
		}
		if _, err := train.NewOn(c, parts, data); err != nil {
			no = append(no, NotApplicable{Rule: name, Reason: strings.TrimPrefix(err.Error(), "train: "), err: err})
			continue
		}
		yes = append(yes, name)
	}
	return yes, no, nil
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
