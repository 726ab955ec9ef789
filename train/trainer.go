package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/budget"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/losses"
	"attractor/train/optim"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Trainer is a run: a layer, its data, and where it stands.
type Trainer[T deq.Float] struct {
	Config Config[T]
	Data   *tasks.Dataset
	Layer  *deq.Layer[T]
	Own    rules.Own[T] // the rule's own parameters, if it has any and the cell learns

	settings  Settings
	fit, test tasks.Split
	loss      losses.Loss[T]
	batches   *tasks.Batches[T]
	forward   deq.Solver[T]
	backward  deq.Solver[T]
	rule      rules.Rule[T]
	schedule  optim.Schedule
	state     optim.State[T]
	grads     deq.Params[T]
	trained   []int // indices of the parameters that learn
	learnCell bool
	ofReadout bool // whether the rule trains the readout, by steps of its own

	observers   []Observer[T] // of the parts
	eigenvalues int           // to be recorded

	regularizer Regularizer
	flossing    Flossing
	flosser     *flosser[T]        // of the flossing before the step to come, until that is made
	passed      *deq.Trajectory[T] // of the last step, whose memory the next one takes over
	lossName    string
	warm        warm[T]
	twin        *deq.Layer[float64] // for certificates

	progress
	ruleBytes int
	failure   error // of a solve of the last step
}

// progress is what a checkpoint keeps besides parameters and moments.
type progress struct {
	Step    int     // updates made
	Scored  int     // epochs ended, of which the test score was taken
	Scale   float64 // factor of the learning rate (policy halve)
	Counts  deq.Counts
	Samples int64 // samples trained on
	Wall    time.Duration
	Failed  int64     // samples that did not converge
	Epoch   EpochSums // of the running epoch
}

// EpochSums are running sums over the steps of an epoch.
type EpochSums struct {
	Samples int
	Loss    float64
	Correct float64 // samples, of trials the shares of their steps
	Failed  int     // samples of which a solve did not converge, also in steps that were skipped
}

// Step is what an observer sees: one step, after the rule's gradients are there and
// before the parameters move. Nothing in it may be changed.
type Step[T deq.Float] struct {
	Index       int // from 0
	Batch       *tasks.Batch[T]
	Loss        deq.Loss[T]
	Output      *deq.Output[T]      // nil where the samples are trials
	Z           []T                 // the state that was read out, of trials the last
	Equilibrium *deq.Equilibrium[T] // nil where a trajectory was run
	Trajectory  *deq.Trajectory[T]  // nil where an equilibrium was found
	Outputs     deq.Outputs[T]      // of its states
	Layer       *deq.Layer[T]
	Params      deq.Params[T]
	Grads       deq.Params[T]
	Trained     []int // indices of the parameters that learn
	Record      StepRecord
	Report      rules.Report // of the rule, with the solve that found the equilibrium

	correct float64  // samples
	adjoint []T      // the rule's u, where it is asked for
	added   added[T] // to the loss
}

// Observer looks at every step.
type Observer[T deq.Float] interface {
	Observe(ctx context.Context, s Step[T]) error
}

// StepRecord is a line of metrics.jsonl. It holds no times, so that a run that was
// resumed writes what an uninterrupted one writes.
type StepRecord struct {
	Step     int     `json:"step"` // from 1
	Epoch    int     `json:"epoch"`
	Loss     Number  `json:"loss"`
	Accuracy Number  `json:"accuracy"`      // on the batch; null for regression
	GradNorm Number  `json:"grad_norm"`     // before clipping, of all that is trained
	Cell     float64 `json:"cell_evals"`    // per sample
	Adjoint  float64 `json:"adjoint_evals"` // per sample: Jᵀu, Jv and products with W alone
	Residual Number  `json:"residual"`      // largest of the batch after the forward solve; null for trials
	Failed   int     `json:"failed"`        // samples of which a solve did not converge
	Skipped  string  `json:"skipped,omitempty"`

	Flossing *FlossingRecord `json:"flossing,omitempty"` // of the flossing before this step

	Drift       *Number      `json:"drift,omitempty"`         // largest of the batch, where a relaxation was run backwards
	Jacobian    *Number      `json:"jacobian_norm,omitempty"` // ‖J‖²_F/n by the probes of the Jacobian penalty
	Correction  *Number      `json:"correction,omitempty"`    // the fixed-point correction
	Certificate *Certificate `json:"certificate,omitempty"`

	Radius   *Number   `json:"spectral_radius,omitempty"` // largest of the batch, where Settings.Stability wants it; on kinks see stability.Growth
	Spectrum []Complex `json:"spectrum,omitempty"`        // eigenvalues of the sample with that radius, the largest first, where Settings.StabilitySpectrum wants them
	Unstable string    `json:"unstable,omitempty"`        // that the radius passes the bound
}

// EpochRecord is the line of metrics.jsonl at the end of an epoch.
type EpochRecord struct {
	Step          int    `json:"step"`
	Epoch         int    `json:"epoch"` // epochs done
	TrainLoss     Number `json:"train_loss"`
	TrainAccuracy Number `json:"train_accuracy"`
	TestLoss      Number `json:"test_loss"`
	TestAccuracy  Number `json:"test_accuracy"`
	Failed        int    `json:"failed,omitempty"` // samples of which a solve did not converge
}

// UnsolvedError says that no solve of an epoch has converged.
type UnsolvedError struct {
	Epoch, Samples int
	Last           error // which solve has failed in the last step; nil where that is not known
}

func (e *UnsolvedError) Error() string {
	last := ""
	if e.Last != nil {
		last = fmt.Sprintf("; in the last step it was %v", e.Last)
	}
	return fmt.Sprintf("train: no solve of the %d samples of epoch %d has converged: what was learned rests on no fixed point; use weights or inputs of less gain, another solver, "+
		"a larger solver.max_evals or solver.rtol (backward.… of the adjoint), or train.unconverged accept where iterates are meant to be cut off%s", e.Samples, e.Epoch, last)
}

// Unsolved returns an *[UnsolvedError] for an epoch of which no solve has converged, unless
// Settings.Unconverged accepts that.
func (t *Trainer[T]) Unsolved(e *EpochRecord) error {
	if t.settings.Unconverged == "accept" || e.Failed < t.fit.N {
		return nil
	}
	return &UnsolvedError{Epoch: e.Epoch, Samples: t.fit.N, Last: t.failure}
}

// DivergedError says that training could not go on.
type DivergedError struct {
	Step  int    // of the step that failed, from 1
	Where string // "loss", or the parameter
	Cause error  // nil for a loss
	Value float64
}

func (e *DivergedError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("train: diverged at step %d: %v", e.Step, e.Cause)
	}
	return fmt.Sprintf("train: diverged at step %d: the loss is %v", e.Step, e.Value)
}

func (e *DivergedError) Unwrap() error { return e.Cause }

// New prepares a run: it loads the data, compiles the model and checks that the rule can
// train it.
func New[T deq.Float](c Config[T], p Parts[T]) (*Trainer[T], error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	data, err := c.Task.Value.Load(c.Train.Seed)
	if err != nil {
		return nil, fmt.Errorf("train: load task %q: %w", c.Task.Name, err)
	}
	return NewOn(c, p, data)
}

// NewOn is New on data that is loaded already.
func NewOn[T deq.Float](c Config[T], p Parts[T], data *tasks.Dataset) (*Trainer[T], error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := data.Check(); err != nil {
		return nil, fmt.Errorf("train: task %q: %w", c.Task.Name, err)
	}
	if err := tasks.CheckRange[T](data); err != nil {
		return nil, fmt.Errorf("train: task %q: %w", c.Task.Name, err)
	}
	s := options.WithDefaults(c.Train)
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t := &Trainer[T]{
		Config: c, Data: data, settings: s, fit: data.Train, test: data.Test,
		forward:  deq.Solver[T]{Method: c.Solver.Value, Settings: c.Forward},
		backward: deq.Solver[T]{Method: c.Backward.Value, Settings: c.Adjoint},
		rule:     c.Rule.Value, progress: progress{Scale: 1},
	}
	_, t.ofReadout = t.rule.(rules.ReadoutRule)
	if s.Holdout {
		if err := budget.Fit(data.Train.Size(), "the copy of the training part for train.holdout", "use fewer samples, or no holdout"); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		t.fit, t.test = data.Validation(0)
	}
	loss := s.Loss
	if loss == "auto" {
		loss = "cross-entropy"
		if data.Kind == tasks.Regression || t.ofReadout {
			loss = "mse"
		}
	}
	entry, err := p.Losses.Lookup(loss)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t.loss, t.lossName = entry.Value, loss
	if t.batches, err = tasks.NewBatches[T](t.fit, s.Batch, s.Seed); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if _, err := budget.Product(s.Epochs, t.batches.Len(), t.batches.Size(), max(data.Steps, 1)); err != nil {
		return nil, fmt.Errorf("train: epochs × steps × samples: %w: take fewer epochs", err)
	}
	if err := checkMemory(c, p, data); err != nil {
		return nil, fmt.Errorf("train: model %q: %w", c.Model.Name, err)
	}
	t.Layer, err = deq.New[T](c.Model.Value, data.Inputs, data.Outputs, s.Seed,
		deq.Config{Batch: t.batches.Size(), Shard: s.Shard, Workers: s.Workers, Engine: s.Engine})
	if err != nil {
		return nil, fmt.Errorf("train: model %q: %w", c.Model.Name, err)
	}
	if err := t.rule.Check(t.Layer); err != nil {
		return nil, fmt.Errorf("train: rule %q cannot train model %q: %w", c.Rule.Name, c.Model.Name, err)
	}
	if err := t.checkSequence(); err != nil {
		return nil, err
	}
	if t.warm, err = newWarm(s.WarmStart, t.rule, t.fit.N, t.Layer.Units); err != nil {
		return nil, fmt.Errorf("train: rule %q: %w", c.Rule.Name, err)
	}
	t.regularizer = options.WithDefaults(c.Regularizer)
	if err := t.regularizer.check(temporal(t.rule), t.Layer.CheckJacobianPenalty); err != nil {
		return nil, fmt.Errorf("train: regularizer: %w", err)
	}
	if t.eigenvalues, err = s.eigenvalues(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if t.eigenvalues > t.Layer.Units && t.Layer.Units > stability.MaxDense {
		return nil, fmt.Errorf("train: stability_spectrum all: a Jacobian of at most %d units is decomposed, found %d: ask for a number", stability.MaxDense, t.Layer.Units)
	}
	if s.Certificate > 0 {
		t.twin, err = deq.New[float64](c.Model.Value, data.Inputs, data.Outputs, s.Seed, deq.Config{Batch: t.batches.Size(), Shard: s.Shard, Workers: s.Workers})
		if err != nil {
			return nil, fmt.Errorf("train: model %q in float64, for certificates: %w", c.Model.Name, err)
		}
	}
	if rule, ok := t.rule.(rules.ForwardChecker[T]); ok {
		if err := rule.CheckForward(t.forward); err != nil {
			return nil, fmt.Errorf("train: rule %q with solver %q: %w", c.Rule.Name, c.Solver.Name, err)
		}
	}
	for _, s := range []struct {
		section, method string
		deq.Solver[T]
	}{{"solver", c.Solver.Name, t.forward}, {"backward", c.Backward.Name, t.backward}} {
		_, err := solvers.New(s.Method, 1, t.Layer.Units, s.Settings)
		if err != nil {
			return nil, fmt.Errorf("train: %s %q: %w", s.section, s.method, err)
		}
		if err := t.Layer.CheckSolver(s.Solver); err != nil && !temporal(t.rule) {
			return nil, fmt.Errorf("train: %s %q for model %q: %w", s.section, s.method, c.Model.Name, err)
		}
	}
	for _, observer := range p.Observers {
		o, err := observer(t)
		if err != nil {
			return nil, fmt.Errorf("train: observer: %w", err)
		}
		t.observers = append(t.observers, o)
	}
	t.grads = t.Layer.Params.ZerosLike()
	learning := map[string]bool{}
	for i, param := range t.Layer.Params {
		if learns(s.Trained, param.Role) && !(t.ofReadout && param.Role.OfCell()) {
			t.trained = append(t.trained, i)
			t.learnCell = t.learnCell || t.Layer.InCell(i) && !t.ofReadout
			learning[param.Name] = true
		}
	}
	if t.ofReadout && len(t.trained) == 0 && s.Trained != "none" {
		return nil, fmt.Errorf("train: rule %q trains the readout, which train.trained %s leaves as it is: choose all or readout", c.Rule.Name, s.Trained)
	}
	if t.asked() {
		t.Own = rules.NewOwn(t.rule, t.Layer, s.Seed, func(name string) bool { return learning[name] })
	}
	var params []optim.Param
	if names, values, _ := t.moved(); !t.ofReadout {
		for i, name := range names {
			params = append(params, optim.Param{Name: name, N: len(values[i])})
		}
	}
	if t.state, err = c.Optimizer.Value.Start(params); err != nil {
		return nil, fmt.Errorf("train: optimizer %q: %w", c.Optimizer.Name, err)
	}
	t.flossing = options.WithDefaults(c.Flossing)
	if err := t.checkFlossing(); err != nil {
		return nil, fmt.Errorf("train: flossing: %w", err)
	}
	t.schedule = optim.Schedule{Shape: s.Schedule, Warmup: s.Warmup, Steps: t.Steps()}
	if t.Steps() > 0 && (s.Schedule != "constant" || s.Warmup > 0) {
		if err := t.schedule.Check(); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	return t, nil
}

// Notes say what is odd about the data as they are trained and tested on.
func (t *Trainer[T]) Notes() []string {
	if t.settings.Holdout {
		return slices.Concat(t.Data.Notes, t.Data.ValidationNotes())
	}
	return t.Data.Notes
}

// asked reports whether the rule is asked for a gradient.
func (t *Trainer[T]) asked() bool { return t.learnCell || t.ofReadout && len(t.trained) > 0 }

func learns(trained string, r models.Role) bool {
	switch trained {
	case "none":
		return false
	case "recurrent":
		return r == models.Recurrent || r == models.Bias
	case "readout":
		return r == models.Readout
	}
	return true
}

// Steps is the number of updates of the whole run.
func (t *Trainer[T]) Steps() int {
	if t.settings.Trained == "none" {
		return 0
	}
	return t.settings.Epochs * t.batches.Len()
}

// moved lists what the optimiser moves, or a rules.ReadoutRule by itself: the parameters that learn, and those of the rule's own.
func (t *Trainer[T]) moved() (names []string, params, grads [][]T) {
	for _, i := range t.trained {
		names = append(names, t.Layer.Params[i].Name)
		params, grads = append(params, t.Layer.Params[i].Data), append(grads, t.grads[i].Data)
	}
	for i, g := range t.Own.Grads {
		if len(g.Data) > 0 {
			names = append(names, rulePrefix+g.Name)
			params, grads = append(params, t.Own.Params[i].Data), append(grads, g.Data)
		}
	}
	return names, params, grads
}

// Bytes is the memory that layer, solvers, rule and optimiser hold for their numbers.
func (t *Trainer[T]) Bytes() int {
	n := t.Layer.Bytes() + t.grads.Bytes() + t.Own.Bytes() + t.state.Bytes() + t.warm.bytes() + t.flossingBytes() + t.ruleBytes
	if t.twin != nil {
		n += t.twin.Bytes()
	}
	return n
}

// Done reports whether all steps have been made.
func (t *Trainer[T]) Done() bool { return t.Step >= t.Steps() }

// Next makes one update and returns its record; at the end of an epoch also the epoch's,
// with the loss and accuracy on the test split. An interrupted step leaves the
// trainer as it was, and a flossing before it where that was.
func (t *Trainer[T]) Next(ctx context.Context, observers ...Observer[T]) (StepRecord, *EpochRecord, error) {
	r, err := t.step(ctx, observers...)
	if err != nil || !t.epochEnds() {
		return r, nil, err
	}
	e, err := t.endEpoch(ctx)
	return r, e, err
}

// epochEnds reports whether all steps of an epoch have been made and endEpoch has not.
func (t *Trainer[T]) epochEnds() bool { return t.Step/t.batches.Len() > t.Scored }

// step is Next without the end of an epoch.
func (t *Trainer[T]) step(ctx context.Context, observers ...Observer[T]) (StepRecord, error) {
	if err := t.floss(ctx); err != nil {
		return StepRecord{}, err
	}
	perEpoch := t.batches.Len()
	epoch, k := t.Step/perEpoch, t.Step%perEpoch
	batch := t.batches.At(epoch, k)
	start, counts := time.Now(), t.Layer.Counts()
	t.dropOut()
	defer t.Layer.DrawMasks(nil) // nothing is dropped when the network is tested
	s, err := t.gradients(ctx, batch, t.guess(t.warm.z, batch.Rows))
	if err != nil {
		return StepRecord{}, err
	}
	spent := t.Layer.Counts().Sub(counts)
	wall := time.Since(start)
	rows := float64(len(batch.Rows))
	s.Record.Step, s.Record.Epoch = t.Step+1, epoch+1
	s.Record.spend(spent, rows)
	if t.flosser != nil {
		s.Record.Flossing = recordOf(t.flosser.FlossingReport)
	}
	if err := t.measureStability(ctx, &s); err != nil {
		return StepRecord{}, err
	}
	if err := t.certify(ctx, &s); err != nil {
		return StepRecord{}, err
	}
	for _, o := range slices.Concat(t.observers, observers) {
		if err := o.Observe(ctx, s); err != nil {
			return StepRecord{}, err
		}
	}
	start = time.Now()
	if err := t.update(&s); err != nil {
		return s.Record, err
	}
	if err := t.shrink(s.Record); err != nil {
		return s.Record, err
	}
	t.warm.keep(&s)
	t.Wall += wall + time.Since(start)
	t.Counts.Cell += spent.Cell
	t.Counts.Adjoint += spent.Adjoint
	t.Counts.Tangent += spent.Tangent
	t.Samples += int64(len(batch.Rows))
	t.Failed += int64(s.Record.Failed)
	t.Epoch.Failed += s.Record.Failed
	if s.Record.Skipped == "" {
		t.Epoch.Samples += len(batch.Rows)
		t.Epoch.Loss += float64(s.Record.Loss) * rows
		t.Epoch.Correct += s.correct
	}
	t.Step++
	t.flosser = nil
	return s.Record, nil
}

// dropOut draws the masks of the step to come.
func (t *Trainer[T]) dropOut() {
	t.Layer.DrawMasks(rng.Stream(t.settings.Seed, "dropout", uint64(t.Step)))
}

// endEpoch scores the network and begins the next epoch. Interrupted, it leaves the
// trainer as it was.
func (t *Trainer[T]) endEpoch(ctx context.Context) (*EpochRecord, error) {
	e := &EpochRecord{
		Step: t.Step, Epoch: t.Scored + 1,
		TrainLoss: Number(t.Epoch.Loss / float64(t.Epoch.Samples)), TrainAccuracy: Number(math.NaN()),
	}
	if t.fit.Labels != nil {
		e.TrainAccuracy = Number(t.Epoch.Correct / float64(t.Epoch.Samples))
	}
	score, err := t.Test(ctx)
	if err != nil {
		return nil, err
	}
	e.TestLoss, e.TestAccuracy, e.Failed = score.Loss, score.Accuracy, t.Epoch.Failed
	t.Epoch = EpochSums{}
	t.Scored++
	return e, nil
}

// gradients solves the batch, from guess, and fills t.grads.
func (t *Trainer[T]) gradients(ctx context.Context, batch *tasks.Batch[T], guess []T) (Step[T], error) {
	t.grads.Clear()
	t.Own.Grads.Clear()
	s := Step[T]{Index: t.Step, Batch: batch, Layer: t.Layer, Params: t.Layer.Params, Grads: t.grads, Trained: t.trained}
	loss := t.objective(batch)
	s.Loss = loss
	var report rules.Report
	var err error
	switch rule := t.rule.(type) {
	case rules.EquilibriumRule[T]:
		if s.Equilibrium, err = t.Layer.SolveAlong(ctx, batch.X, guess, t.forward, deq.Along[T]{Keep: t.regularizer.keep(), Loss: loss}); err != nil {
			return s, t.stepError(err)
		}
		e := s.Equilibrium
		s.Z = e.Z
		if s.Output, err = t.Layer.Evaluate(e.Z, loss, t.grads); err != nil {
			return s, t.stepError(err)
		}
		s.Outputs = deq.Outputs[T]{s.Output}
		if err := t.penalise(&s, e); err != nil {
			return s, t.stepError(err)
		}
		if t.learnCell {
			situation := rules.Situation[T]{
				Equilibrium: e, Output: s.Output, Loss: loss, Forward: t.forward, Backward: t.backward,
				Own: t.Own, Random: rules.Randomness{Seed: t.settings.Seed, Step: uint64(t.Step)}, Trained: t.trained,
				Guess: t.guess(t.warm.u, batch.Rows),
			}
			if t.warm.u != nil || t.certified() {
				situation.Tell = func(u []T) { s.adjoint = append([]T(nil), u...) }
			}
			if report, err = rule.Gradient(ctx, situation, t.grads); err != nil {
				return s, t.stepError(err)
			}
		}
		if err := t.correct(&s); err != nil {
			return s, t.stepError(err)
		}
		report.Solves = append([]rules.Solve{{Report: e.Report, Of: "the equilibrium", Section: "solver"}}, report.Solves...)
		for _, r := range e.Report.Residual {
			s.Record.Residual = max(s.Record.Residual, Number(r))
		}
	case rules.TemporalRule[T]:
		q := t.sequence(batch)
		q.Reuse = t.passed
		tr, err := rules.Run(ctx, rule, t.Layer, q)
		if err != nil {
			return s, t.stepError(err)
		}
		t.passed = tr
		s.Trajectory, s.Z = tr, tr.Last()
		ofReadout := t.grads
		if t.ofReadout {
			ofReadout = nil
		}
		if s.Outputs, err = t.readOut(ctx, tr, batch, ofReadout); err != nil {
			return s, t.stepError(err)
		}
		s.Record.Residual = Number(math.NaN())
		if batch.Steps == 0 {
			s.Output = s.Outputs[tr.Steps]
			s.Record.Residual = Number(change(tr.Z[tr.Steps-1], s.Z, t.Layer.Units))
		}
		if batch.Steps == 0 && t.learnCell {
			e, err := t.Layer.At(batch.X, s.Z)
			if err != nil {
				return s, t.stepError(err)
			}
			if err := t.penalise(&s, e); err != nil {
				return s, t.stepError(err)
			}
		}
		if t.asked() {
			report, err = rule.Gradient(ctx, rules.Passage[T]{
				Trajectory: tr, Outputs: s.Outputs, Loss: loss,
				Own: t.Own, Random: rules.Randomness{Seed: t.settings.Seed, Step: uint64(t.Step)}, Trained: t.trained,
			}, t.grads)
			if err != nil {
				return s, t.stepError(err)
			}
		}
	default:
		return s, fmt.Errorf("train: rule %q has no Gradient for an equilibrium or a trajectory", t.Config.Rule.Name)
	}
	t.ruleBytes = max(t.ruleBytes, report.Bytes)
	t.failure = report.Err()
	s.Report = report
	s.Record.Loss = Number(s.Outputs.Loss())
	s.Record.Accuracy = Number(math.NaN())
	if batch.Labels != nil {
		s.correct = correct(batch, s.Outputs, t.Layer.Outputs)
		s.Record.Accuracy = Number(s.correct / float64(len(batch.Rows)))
	}
	s.Record.Failed = report.Failed()
	if report.Drift != nil {
		d := Number(slices.Max(report.Drift))
		s.Record.Drift = &d
	}
	if s.Record.Failed > 0 && t.settings.Unconverged == "stop" {
		if err := report.Err(); err != nil {
			return s, t.stepError(err)
		}
	}
	return s, nil
}

// stepError says at which step an error came up.
func (t *Trainer[T]) stepError(err error) error {
	return fmt.Errorf("train: step %d: %w", t.Step+1, err)
}

// change is the largest relative change ‖z′ − z‖/‖z′‖ of a sample.
func change[T deq.Float](z, next []T, units int) float64 {
	largest := 0.0
	for b := 0; b < len(z); b += units {
		var d, f float64
		for i := b; i < b+units; i++ {
			g := float64(next[i]) - float64(z[i])
			d, f = d+g*g, f+float64(next[i])*float64(next[i])
		}
		if d != 0 { // also at the state 0
			largest = max(largest, math.Sqrt(d/f))
		}
	}
	return largest
}

// diverged reports that a step's loss or a gradient is not finite, by a *DivergedError.
func (t *Trainer[T]) diverged(s *Step[T]) error {
	if l := float64(s.Record.Loss); math.IsNaN(l) || math.IsInf(l, 0) {
		return &DivergedError{Step: t.Step + 1, Where: "loss", Value: l}
	}
	names, _, grads := t.moved()
	if err := optim.FirstNonFinite(names, grads); err != nil {
		bad := &DivergedError{Step: t.Step + 1, Cause: err}
		var at *optim.NonFiniteError
		if errors.As(err, &at) {
			bad.Where = at.Name
		}
		return bad
	}
	return nil
}

// update clips the gradients and moves the parameters that learn.
func (t *Trainer[T]) update(s *Step[T]) error {
	_, params, grads := t.moved()
	if bad := t.diverged(s); bad != nil {
		if t.settings.NonFinite == "stop" {
			return bad
		}
		s.Record.Skipped = bad.Error()
		if t.settings.NonFinite == "halve" {
			t.Scale /= 2
		}
		return nil
	}
	clip := t.settings.Clip
	if t.ofReadout {
		clip = 0 // only measured
	}
	s.Record.GradNorm = Number(optim.ClipNorm(grads, clip))
	if len(t.trained) == 0 {
		return nil
	}
	return t.Layer.Update(func(deq.Params[T]) error {
		if !t.ofReadout {
			t.state.Step(t.Scale*t.schedule.Factor(int64(t.Step)), params, grads)
			return nil
		}
		for i, p := range params {
			kernels.Sub(p, p, grads[i])
		}
		return nil
	})
}

// Score is the loss and accuracy on a split.
type Score struct {
	Loss     Number `json:"loss"`
	Accuracy Number `json:"accuracy"` // null for regression
}

// Test scores the network on the test split (the held-out part of the training split with
// Settings.Holdout). Its evaluations and time are not counted.
func (t *Trainer[T]) Test(ctx context.Context) (Score, error) { return t.score(ctx, t.test, nil) }

// score is the loss and accuracy on a split; points, which may be nil, is shown the equilibria.
func (t *Trainer[T]) score(ctx context.Context, split tasks.Split, points *fixedPointTest[T]) (Score, error) {
	batches, err := tasks.NewBatches[T](split, t.batches.Size(), t.settings.Seed)
	if err != nil {
		return Score{}, fmt.Errorf("train: test: %w", err)
	}
	var loss, weight, right float64
	for k := range batches.Len() {
		batch := batches.InOrder(k)
		outputs, e, err := t.answer(ctx, batch, t.trial(batch))
		if err != nil {
			return Score{}, fmt.Errorf("train: test: %w", err)
		}
		if points != nil && e != nil {
			if err := points.see(ctx, e); err != nil {
				return Score{}, fmt.Errorf("train: test: stability: %w", err)
			}
		}
		loss += outputs.Loss() * outputs.Weight()
		weight += outputs.Weight()
		if batch.Labels != nil {
			right += correct(batch, outputs, t.Layer.Outputs)
		}
	}
	s := Score{Loss: Number(loss / weight), Accuracy: Number(math.NaN())}
	if split.Labels != nil {
		s.Accuracy = Number(right / float64(split.N))
	}
	return s, nil
}
