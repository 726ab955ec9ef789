// Package train is the training loop: it draws batches, solves the layer, asks the rule for
// gradients, and moves the parameters. Observers look on; they never steer.
package train

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"attractor/deq"
	"attractor/internal/catalog"
	"attractor/internal/config"
	"attractor/internal/options"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/kit"
	"attractor/train/losses"
	"attractor/train/optim"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// Parts are the catalogues that a configuration chooses from.
type Parts[T deq.Float] struct {
	Tasks      *catalog.Catalog[tasks.Task]
	Models     *catalog.Catalog[models.Model]
	Solvers    *catalog.Catalog[solvers.Method[T]]
	Linear     *catalog.Catalog[solvers.Method[T]] // for the adjoint
	Rules      *catalog.Catalog[rules.Rule[T]]
	Optimizers *catalog.Catalog[optim.Optimizer[T]]
	Losses     *catalog.Catalog[losses.Loss[T]]

	// Observers make what looks at every step of every run, of train as of the trials of compare, one for each run.
	Observers []func(t *Trainer[T]) (Observer[T], error)
}

// Ours are the parts of the framework; With adds a user's own to one of the catalogues.
func Ours[T deq.Float]() Parts[T] {
	splittings := solvers.Splittings[T]().Entries()
	return Parts[T]{
		Tasks: tasks.Catalog, Models: models.Catalog,
		Solvers: solvers.Catalog[T]().With(splittings...), Linear: solvers.Linear[T]().With(splittings...),
		Rules: rules.Catalog[T](), Optimizers: optim.Catalog[T](), Losses: losses.Catalog[T](),
	}
}

// Config says what is trained and how: the sections of a configuration file.
type Config[T deq.Float] struct {
	Task      config.Chosen[tasks.Task]
	Model     config.Chosen[models.Model]
	Solver    config.Chosen[solvers.Method[T]]
	Forward   solvers.Settings // of Solver
	Backward  config.Chosen[solvers.Method[T]]
	Adjoint   solvers.Settings // of Backward
	Rule      config.Chosen[rules.Rule[T]]
	Optimizer config.Chosen[optim.Optimizer[T]]

	Regularizer Regularizer
	Flossing    Flossing
	Train       Settings
}

// Settings are the section `train`.
type Settings struct {
	kit.Zeros
	Seed        uint64  `doc:"seed of everything random in the run; 0 is one like any other (default 1)"`
	Epochs      int     `default:"30" doc:"passes over the training data" max:"1e9: no run makes more passes"`
	Batch       int     `default:"64" doc:"samples per step" max:"1e9: no data set has more samples"`
	Loss        string  `default:"auto" doc:"loss, by its name in attractor list losses; auto is cross-entropy for classes and mse for numbers, and for a rule that trains the readout by least squares"`
	Trained     string  `default:"all" doc:"parameters that learn: all, recurrent (W and b), readout or none" choices:"all,recurrent,readout,none"`
	Clip        float64 `default:"1" doc:"bound of the norm of all gradients together; very large is none"`
	Schedule    string  `default:"cosine" doc:"course of the learning rate: lr times 1, 1 − s or (1 + cos πs)/2, where s goes from 0 at the first step after the warm-up to 1 at the last, which so has the rate 0 and changes nothing: a run of 2 steps moves like one of 1" choices:"constant,linear,cosine"`
	Warmup      int     `doc:"steps over which the learning rate rises from 0" max:"1e12: no run has more updates"`
	Precision   string  `default:"float32" doc:"number type" choices:"float32,float64"`
	Engine      string  `default:"fast" doc:"executor of the graphs: our own, or Gorgonia's TapeMachine" choices:"fast,tape"`
	Shard       int     `default:"32" doc:"samples that one core solves at a time" max:"1e9: no batch has more samples"`
	Workers     int     `doc:"cores; 0 is all" max:"1e5: no machine has more cores"`
	NonFinite   string  `default:"stop" doc:"at a NaN or infinity in loss or gradient: stop, skip the update, or skip it and halve the learning rate" choices:"stop,skip,halve"`
	Unconverged string  `default:"continue" doc:"when samples do not converge: continue goes on with their best iterates and counts them, and ends a run of which no solve of an epoch converged; stop ends at the first; accept goes on whatever fails" choices:"continue,stop,accept"`
	Holdout     bool    `doc:"train on four fifths of the training data and test on the rest; the test data stays untouched"`
	WarmStart   string  `default:"off" doc:"where the solves of a sample begin: off is 0 (the adjoint: its right-hand side), otherwise where those of the epoch before have ended" choices:"off,forward,adjoint,both"`
	Certificate int     `doc:"steps between two certificates of the gradient in the records: residuals and a finite difference along a random direction; 0 is none" max:"1e12: no run has more updates"`

	Stability      string  `default:"off" doc:"what to do about the spectral radius of the Jacobian: record it, warn when it passes stability_bound, or then shrink the recurrent weights by bound/radius, which brings it back to first order" choices:"off,record,warn,shrink"`
	StabilityBound float64 `default:"0.99" doc:"largest spectral radius, for stability warn and shrink"`
	StabilityEvery int     `default:"10" doc:"steps between two looks at the spectral radius, of 60 products with the Jacobian each" max:"1e12: no run has more updates"`

	StabilitySpectrum string `default:"none" doc:"eigenvalues of the Jacobian that a look records, of the sample of the batch with the largest radius: none, a number of those largest in modulus, or all (up to 1024 units)"`

	StabilityTest string `default:"estimate" doc:"how the stability of the fixed points behind the final test score is found: estimate, by the growth of a vector at 64 of them at most, or exact, by the eigenvalues at all; off is not at all" choices:"estimate,exact,off"`
}

// Validate reports settings outside their range.
func (s Settings) Validate() error {
	s = kit.WithDefaults(s)
	switch {
	case s.Epochs < 0:
		return fmt.Errorf("epochs: expected at least 0, found %d", s.Epochs)
	case s.Batch < 1:
		return fmt.Errorf("batch: expected at least 1, found %d", s.Batch)
	case !(s.Clip > 0):
		return fmt.Errorf("clip: expected a positive bound, found %g", s.Clip)
	case s.Shard < 1 || s.Workers < 0 || s.Warmup < 0:
		return fmt.Errorf("shard, workers and warmup: expected at least 1, 0 and 0, found %d, %d and %d", s.Shard, s.Workers, s.Warmup)
	case s.Certificate < 0:
		return fmt.Errorf("certificate: expected at least 0, found %d", s.Certificate)
	case !(s.StabilityBound > 0):
		return fmt.Errorf("stability_bound: expected a positive number, found %g", s.StabilityBound)
	case s.StabilityEvery < 1:
		return fmt.Errorf("stability_every: expected at least 1, found %d", s.StabilityEvery)
	}
	if k, err := s.eigenvalues(); err != nil {
		return err
	} else if k > 0 && s.Stability == "off" {
		return fmt.Errorf("stability_spectrum: %s eigenvalues with stability off, which never looks: choose stability record, warn or shrink", s.StabilitySpectrum)
	}
	return nil
}

// eigenvalues is the number that StabilitySpectrum means, math.MaxInt for all.
func (s Settings) eigenvalues() (int, error) {
	switch s.StabilitySpectrum {
	case "", "none":
		return 0, nil
	case "all":
		return math.MaxInt, nil
	}
	k, err := strconv.Atoi(s.StabilitySpectrum)
	if err != nil || k < 0 {
		return 0, fmt.Errorf("stability_spectrum: expected none, all or a number, found %q", s.StabilitySpectrum)
	}
	return k, nil
}

// check reports the first option that is beyond its bound or not finite: what [Read] refuses, and
// code may have set.
func (c Config[T]) check() error {
	for _, s := range []struct {
		section string
		value   any
	}{
		{"task", c.Task.Value}, {"model", c.Model.Value}, {"solver", c.Solver.Value}, {"solver", c.Forward},
		{"backward", c.Backward.Value}, {"backward", c.Adjoint}, {"rule", c.Rule.Value}, {"optimizer", c.Optimizer.Value},
		{"regularizer", c.Regularizer}, {"flossing", c.Flossing}, {"train", c.Train},
	} {
		if err := options.Check(s.value); err != nil {
			return fmt.Errorf("train: %s.%w", s.section, err)
		}
	}
	return nil
}

// sections describes the configuration file.
func (c *Config[T]) sections(p Parts[T]) []config.Section {
	return []config.Section{
		config.Choice("task", "what to learn", p.Tasks, &c.Task),
		config.Choice("model", "the cell and its readout", p.Models, &c.Model),
		config.Choice("solver", "how the fixed point is found", p.Solvers, &c.Solver, &c.Forward),
		config.Choice("backward", "how the adjoint is solved", p.Linear, &c.Backward, &c.Adjoint),
		config.Choice("rule", "how gradients are got", p.Rules, &c.Rule),
		config.Choice("optimizer", "how parameters move", p.Optimizers, &c.Optimizer),
		config.Struct("regularizer", "what is added to the loss", &c.Regularizer),
		config.Struct("flossing", "gradient flossing, before training and in the course of it", &c.Flossing),
		config.Struct("train", "the loop", &c.Train),
	}
}

// Default is the configuration of an empty file.
func Default[T deq.Float](p Parts[T]) Config[T] {
	var c Config[T]
	first(&c.Task, p.Tasks, "digits")
	first(&c.Model, p.Models, "rate")
	first(&c.Solver, p.Solvers, "anderson")
	first(&c.Backward, p.Linear, "anderson")
	first(&c.Rule, p.Rules, "implicit")
	first(&c.Optimizer, p.Optimizers, "sgd")
	c.Train.Seed = 1
	if c.Optimizer.Name == "sgd" {
		c.Optimizer.Value = optim.SGD[T]{LR: 0.1, Momentum: 0.9}
	}
	return c
}

// Suited returns the configuration with a forward solver that its rule can work with: its
// own, or the first of the catalogue if the rule refuses that. It is for those who choose
// a rule by name alone.
func (c Config[T]) Suited(p Parts[T]) Config[T] {
	rule, picky := c.Rule.Value.(rules.ForwardChecker[T])
	if !picky || rule.CheckForward(deq.Solver[T]{Method: c.Solver.Value, Settings: c.Forward}) == nil {
		return c
	}
	for _, e := range p.Solvers.Entries() {
		if rule.CheckForward(deq.Solver[T]{Method: e.Value, Settings: c.Forward}) == nil {
			c.Solver = config.Chosen[solvers.Method[T]]{Name: e.Name, Value: e.Value}
			return c
		}
	}
	return c
}

// first chooses the part with that name, or the catalogue's first if it has none such.
func first[T any](dst *config.Chosen[T], c *catalog.Catalog[T], name string) {
	e, err := c.Lookup(name)
	if err != nil {
		e = c.Entries()[0]
	}
	*dst = config.Chosen[T]{Name: e.Name, Value: e.Value}
}

// Read reads a configuration: defaults, then the file (source names it in messages; data may be
// empty), then every --set. Its errors name the place and what was expected there. Of a task that is
// tasks.Sequential the default rule is bptt.
func Read[T deq.Float](p Parts[T], source string, data []byte, sets []string) (Config[T], error) {
	c := Default(p)
	err := config.Read(source, data, sets, c.sections(p)...)
	timed := Default(p)
	first(&timed.Rule, p.Rules, "bptt")
	if config.Read(source, data, sets, timed.sections(p)...) == nil {
		if _, ok := timed.Task.Value.(tasks.Sequential); ok {
			return timed, nil
		}
	}
	return c, err
}

// Write writes the resolved configuration, which Read reads back.
func (c Config[T]) Write(w io.Writer, p Parts[T]) error { return config.Write(w, c.sections(p)...) }
