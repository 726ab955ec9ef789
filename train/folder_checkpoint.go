package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"attractor/deq"
	"attractor/internal/checkpoint"
	"attractor/internal/options"
)

// Option is an option of a configuration and its value.
type Option struct {
	Path          string // "model.units", or "model" for the choice of the part
	options.Field        // zero for the choice of a part
	Value         string
}

// Options lists the options of the configuration, with their values.
func (c Config[T]) Options() []Option {
	var out []Option
	add := func(section, part string, values ...any) {
		if part != "" {
			out = append(out, Option{Path: section, Value: part})
		}
		for _, v := range values {
			v = options.WithDefaults(v)
			for _, f := range options.Fields(v) {
				out = append(out, Option{Path: section + "." + f.Key, Field: f, Value: strings.Join(f.Texts(v), ", ")})
			}
		}
	}
	add("task", c.Task.Name, c.Task.Value)
	add("model", c.Model.Name, c.Model.Value)
	add("solver", c.Solver.Name, c.Solver.Value, c.Forward)
	add("backward", c.Backward.Name, c.Backward.Value, c.Adjoint)
	add("rule", c.Rule.Name, c.Rule.Value)
	add("optimizer", c.Optimizer.Name, c.Optimizer.Value)
	add("regularizer", "", c.Regularizer)
	add("flossing", "", c.Flossing)
	add("train", "", c.Train)
	return out
}

// identity is what makes a run the one it is: all options but train.workers, on which no
// number depends.
func (c Config[T]) identity() map[string]string {
	m := map[string]string{}
	for _, o := range c.Options() {
		if o.Path != "train.workers" {
			m[o.Path] = o.Value
		}
	}
	return m
}

// Difference is an option that has two values; a missing one is empty.
type Difference struct{ Path, Saved, Given string }

func differences(saved, given map[string]string) []Difference {
	var out []Difference
	paths := maps.Clone(saved)
	maps.Copy(paths, given)
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if saved[p] != given[p] {
			out = append(out, Difference{p, saved[p], given[p]})
		}
	}
	return out
}

// ConfigurationError says that a run was begun with another configuration.
type ConfigurationError struct {
	Source      string // the file that has the configuration of the run
	Differences []Difference
}

func (e *ConfigurationError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "train: the run cannot be continued with another configuration than that of %s:", e.Source)
	show := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n    %s: %s there, %s here", d.Path, show(d.Saved), show(d.Given))
	}
	b.WriteString("\nleave these options out, or begin a new run in another folder")
	return b.String()
}

// The checkpoint holds tensors "params/NAME", "rule/NAME" (of the rule's own), "optim/SLOT/NAME" and
// "warm/NAME", and for readers "effective/NAME", the weights that the cell makes of the parameter; counters and running sums are texts, floats in hexadecimal, so that not a bit is lost.
// Of a flossing before the step to come it holds the text "flossing", a FlossingRecord, and tensors
// "flossing/best/NAME" and "flossing/optim/SLOT/NAME".
const (
	paramPrefix = "params/"
	rulePrefix  = "rule/"
	slotPrefix  = "optim/"
	warmPrefix  = "warm/"

	metricsSum = "metrics_sha256" // of the first metrics_bytes bytes

	flossingText       = "flossing"
	flossingBestPrefix = "flossing/best/"
	flossingSlotPrefix = "flossing/optim/"
)

// counter is a number of the progress that is saved under a name.
type counter struct {
	name    string
	integer *int64
	whole   *int
	float   *float64
	added   bool // checkpoints of earlier versions do not have it: 0
}

func (p *progress) counters(metrics, optimizer *int64, peak *int) []counter {
	return []counter{
		{name: "step", whole: &p.Step},
		{name: "epochs", whole: &p.Scored},
		{name: "lr_scale", float: &p.Scale},
		{name: "evals/cell", integer: &p.Counts.Cell},
		{name: "evals/adjoint", integer: &p.Counts.Adjoint},
		{name: "evals/tangent", integer: &p.Counts.Tangent},
		{name: "samples", integer: &p.Samples},
		{name: "unconverged", integer: &p.Failed},
		{name: "wall_ns", integer: (*int64)(&p.Wall)},
		{name: "epoch/samples", whole: &p.Epoch.Samples},
		{name: "epoch/loss", float: &p.Epoch.Loss},
		{name: "epoch/correct", float: &p.Epoch.Correct},
		{name: "epoch/unconverged", whole: &p.Epoch.Failed, added: true},
		{name: "optimizer_steps", integer: optimizer},
		{name: "metrics_bytes", integer: metrics},
		{name: "peak_bytes", whole: peak},
	}
}

func (c counter) text() string {
	switch {
	case c.integer != nil:
		return strconv.FormatInt(*c.integer, 10)
	case c.whole != nil:
		return strconv.Itoa(*c.whole)
	}
	return strconv.FormatFloat(*c.float, 'x', -1, 64)
}

func (c counter) parse(s string) (err error) {
	switch {
	case c.integer != nil:
		*c.integer, err = strconv.ParseInt(s, 10, 64)
	case c.whole != nil:
		*c.whole, err = strconv.Atoi(s)
	default:
		*c.float, err = strconv.ParseFloat(s, 64)
	}
	return err
}

// parameters are those of the network and of the rule's own, by their names in the checkpoint.
func (r *Run[T]) parameters() map[string]deq.Tensor[T] {
	all := map[string]deq.Tensor[T]{}
	for _, p := range r.Layer.Params {
		all[paramPrefix+p.Name] = p
	}
	for _, p := range r.Own.Params {
		all[rulePrefix+p.Name] = p
	}
	return all
}

// save writes the checkpoint, after the metrics that it refers to are on the disk.
func (r *Run[T]) save() error {
	if err := r.metrics.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("train: %w", err)
	}
	if err := r.sameMetrics(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	f := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}, Meta: map[string]string{}}
	for name, p := range r.parameters() {
		f.Tensors[name] = checkpoint.Of(p.Data, p.Shape...)
	}
	effective, err := r.effective()
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	for _, p := range effective {
		f.Tensors[effectivePrefix+p.Name] = checkpoint.Of(p.Data, p.Shape...)
	}
	for name, data := range r.state.Slots() {
		f.Tensors[slotPrefix+name] = checkpoint.Of(data)
	}
	for name, states := range r.warm.slots() {
		f.Tensors[warmPrefix+name] = checkpoint.Of(*states)
	}
	if err := r.saveFlossing(&f); err != nil {
		return err
	}
	steps, peak := r.state.Steps(), r.peakBytes()
	for _, c := range r.progress.counters(&r.size, &steps, &peak) {
		f.Meta[c.name] = c.text()
	}
	for path, value := range r.Config.identity() {
		f.Meta["config/"+path] = value
	}
	f.Meta[metricsSum] = r.metricsSum()
	save := func() error { return checkpoint.Save(r.path(CheckpointFile), f) }
	if err := r.folder.Make(save, CheckpointFile); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// load restores a checkpoint and returns how long the metrics were, and their SHA-256 where
// it is known. With an error the trainer is as it was.
func (r *Run[T]) load(path string) (metrics int64, sum string, err error) {
	f, err := checkpoint.Load(path)
	if err != nil {
		return 0, "", fmt.Errorf("train: %w; the folder is left as it is: begin the run again in another one with --config %s", err, r.path(ConfigFile))
	}
	saved := map[string]string{}
	for k, v := range f.Meta {
		if path, ok := strings.CutPrefix(k, "config/"); ok {
			saved[path] = v
		}
	}
	for _, o := range r.Config.Options() {
		// An option that is newer than the checkpoint was not there to be set.
		if _, known := saved[o.Path]; !known && o.Key != "" && o.Value == o.Default && o.Path != "train.workers" {
			saved[o.Path] = o.Value
		}
	}
	if d := differences(saved, r.Config.identity()); len(d) > 0 {
		return 0, "", &ConfigurationError{Source: path, Differences: d}
	}
	var steps int64
	var peak int
	var at progress
	for _, c := range at.counters(&metrics, &steps, &peak) {
		text, ok := f.Meta[c.name]
		if !ok && c.added {
			continue
		}
		if !ok {
			return 0, "", fmt.Errorf("train: %s: expected the text %q, found none: it is not the checkpoint of a run", path, c.name)
		}
		if err := c.parse(text); err != nil {
			return 0, "", fmt.Errorf("train: %s: %s: %w", path, c.name, err)
		}
	}
	if at.Step < 0 || at.Step > r.Steps() || at.Scored < 0 || at.Scored > at.Step/r.batches.Len() || metrics < 0 {
		return 0, "", fmt.Errorf("train: %s: expected a step from 0 to %d, found step %d after %d epochs", path, r.Steps(), at.Step, at.Scored)
	}
	parameters, values := r.parameters(), map[string][]T{}
	for name, p := range parameters {
		if values[name], err = checkpoint.As[T](f, name, p.Shape...); err != nil {
			return 0, "", fmt.Errorf("train: %w", err)
		}
	}
	slots, err := slotsOf[T](f, slotPrefix)
	if err != nil {
		return 0, "", err
	}
	starts := map[string][]T{}
	for name, states := range r.warm.slots() {
		if starts[name], err = checkpoint.As[T](f, warmPrefix+name, len(*states)); err != nil {
			return 0, "", fmt.Errorf("train: %w", err)
		}
	}
	flossing, err := r.loadFlossing(path, f, at.Step)
	if err != nil {
		return 0, "", err
	}
	if err := r.state.Restore(steps, slots); err != nil {
		return 0, "", fmt.Errorf("train: %s: %w", path, err)
	}
	if err := r.Layer.Update(func(deq.Params[T]) error {
		for name, v := range values {
			copy(parameters[name].Data, v)
		}
		return nil
	}); err != nil {
		return 0, "", fmt.Errorf("train: %w", err)
	}
	r.warm.restore(starts)
	r.flosser = flossing
	r.progress, r.peak = at, peak
	return metrics, f.Meta[metricsSum], nil
}

// slotsOf are the tensors of an optimiser.
func slotsOf[T deq.Float](f *checkpoint.File, prefix string) (map[string][]T, error) {
	slots := map[string][]T{}
	for name := range f.Tensors {
		slot, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		var err error
		if slots[slot], err = checkpoint.As[T](f, name); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	return slots, nil
}

// saveFlossing adds the flossing before the step to come, if there is one, to a checkpoint.
func (r *Run[T]) saveFlossing(f *checkpoint.File) error {
	if r.flosser == nil {
		return nil
	}
	text, err := json.Marshal(recordOf(r.flosser.FlossingReport))
	if err != nil {
		return fmt.Errorf("train: flossing: %w", err)
	}
	f.Meta[flossingText] = string(text)
	for _, p := range r.flosser.Best {
		f.Tensors[flossingBestPrefix+p.Name] = checkpoint.Of(p.Data, p.Shape...)
	}
	for name, data := range r.flosser.optimizer.Slots() {
		f.Tensors[flossingSlotPrefix+name] = checkpoint.Of(data)
	}
	return nil
}

// loadFlossing returns the flossing that saveFlossing has added, or nil.
func (r *Run[T]) loadFlossing(path string, f *checkpoint.File, step int) (*flosser[T], error) {
	text, ok := f.Meta[flossingText]
	if !ok {
		return nil, nil
	}
	nth, due := r.due(step)
	if !due {
		return nil, fmt.Errorf("train: %s: expected no flossing before step %d, found one", path, step+1)
	}
	flossing, err := r.newFlosser(nth)
	if err != nil {
		return nil, fmt.Errorf("train: flossing: %w", err)
	}
	var record FlossingRecord
	if err = json.Unmarshal([]byte(text), &record); err == nil {
		flossing.FlossingReport, err = record.report()
	}
	if err != nil {
		return nil, fmt.Errorf("train: %s: %s: %w", path, flossingText, err)
	}
	for _, p := range flossing.Best {
		best, err := checkpoint.As[T](f, flossingBestPrefix+p.Name, p.Shape...)
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		copy(p.Data, best)
	}
	slots, err := slotsOf[T](f, flossingSlotPrefix)
	if err != nil {
		return nil, err
	}
	if err := flossing.optimizer.Restore(int64(record.Updates), slots); err != nil {
		return nil, fmt.Errorf("train: %s: flossing: %w", path, err)
	}
	return flossing, nil
}

// Differences lists the options in which two configurations differ, but for train.workers.
func Differences[T deq.Float](saved, given Config[T]) []Difference {
	return differences(saved.identity(), given.identity())
}
