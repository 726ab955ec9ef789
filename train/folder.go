package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"attractor/deq"
	"attractor/internal/atomicfile"
)

// The files of a run's folder. All but the metrics are replaced as a whole, so that a kill
// at any moment leaves the old or the new.
const (
	ConfigFile      = "config.yaml"            // the resolved configuration
	EnvironmentFile = "environment.json"       // where the run was begun
	MetricsFile     = "metrics.jsonl"          // a StepRecord or an EpochRecord a line
	CheckpointFile  = "checkpoint.safetensors" // of the end of the last epoch, or of the interruption
	ResultFile      = "result.json"            // once the run has ended
)

// Run is a training run that keeps itself in a folder, from which it can be continued.
type Run[T deq.Float] struct {
	Dir string
	// Warnings say what may keep a continued run from being the same to the last bit.
	Warnings []string

	*Trainer[T]         // nil when the run has ended
	ended       *Result // of a run that has ended before
	metrics     *os.File
	size        int64 // of the metrics
	peak        int   // memory before the run was continued
}

// Result is what a run has come to.
type Result struct {
	Run          string     `json:"run"` // its folder
	Task         string     `json:"task"`
	Model        string     `json:"model"`
	Rule         string     `json:"rule"`
	Seed         uint64     `json:"seed"`
	Test         Score      `json:"test"`
	Train        TrainScore `json:"train"`
	EvalsPerStep Number     `json:"evals_per_step"` // evaluations of cell and adjoint per step and sample
	PeakBytes    int        `json:"peak_bytes"`     // of layer, solvers, rule and optimiser
	WallS        float64    `json:"wall_s"`         // within the steps
	Status       string     `json:"status"`         // Done, Diverged or Interrupted
	Reason       string     `json:"reason,omitempty"`
}

// TrainScore is the score on the data that was trained on, at the end, and what was spent.
type TrainScore struct {
	Score
	Epochs      int   `json:"epochs"`
	Steps       int   `json:"steps"`
	Samples     int64 `json:"samples"`
	Unconverged int64 `json:"unconverged"` // samples of which a solve did not converge
}

// The values of Result.Status.
const (
	Done        = "done"
	Diverged    = "diverged"
	Interrupted = "interrupted" // can be continued
)

// CreateRun prepares a run in a new folder. An error leaves nothing behind.
func CreateRun[T deq.Float](dir string, c Config[T], p Parts[T]) (*Run[T], error) {
	t, err := New(c, p)
	if err != nil {
		return nil, err
	}
	undo, err := MakeFolder(dir)
	if err != nil {
		return nil, err
	}
	r := &Run[T]{Dir: dir, Trainer: t}
	if err := r.begin(p); err != nil {
		r.Close()
		undo()
		return nil, err
	}
	return r, nil
}

// begin writes the files of a run at step 0.
func (r *Run[T]) begin(p Parts[T]) error {
	write := func(w io.Writer) error { return r.Config.Write(w, p) }
	if err := atomicfile.Write(r.path(ConfigFile), write); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := WriteJSON(r.path(EnvironmentFile), ReadEnvironment(r.Config.Train.Seed)); err != nil {
		return err
	}
	if err := r.openMetrics(); err != nil {
		return err
	}
	return r.save()
}

// OpenRun continues the run in a folder, from its last checkpoint. c must be the
// configuration that is there, but for train.workers, which changes no number.
func OpenRun[T deq.Float](dir string, c Config[T], p Parts[T]) (*Run[T], error) {
	r := &Run[T]{Dir: dir}
	data, err := os.ReadFile(r.path(ConfigFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("train: %s is not the folder of a run: it has no %s", dir, ConfigFile)
	}
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	saved, err := Read(p, r.path(ConfigFile), data, nil)
	if err != nil {
		return nil, err
	}
	if d := differences(saved.identity(), c.identity()); len(d) > 0 {
		return nil, &ConfigurationError{Source: r.path(ConfigFile), Differences: d}
	}
	switch r.ended, err = readResult(r.path(ResultFile)); {
	case err != nil:
		return nil, err
	case r.ended != nil:
		r.ended.Run = dir
		return r, nil
	}
	if r.Trainer, err = New(c, p); err != nil {
		return nil, err
	}
	_, noMetrics := os.Stat(r.path(MetricsFile))
	if err := r.openMetrics(); err != nil {
		return nil, err
	}
	if err := r.restore(errors.Is(noMetrics, fs.ErrNotExist)); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// restore goes back to the checkpoint.
func (r *Run[T]) restore(fresh bool) error {
	if _, err := os.Stat(r.path(CheckpointFile)); errors.Is(err, fs.ErrNotExist) && fresh {
		return r.save() // the run was killed before it began
	}
	size, err := r.load(r.path(CheckpointFile))
	if err != nil {
		return err
	}
	if size > r.size {
		return fmt.Errorf("train: %s: expected at least the %d bytes that it had at the checkpoint, found %d: the folder is damaged; start again in another one with its %s",
			r.path(MetricsFile), size, r.size, ConfigFile)
	}
	if err := r.metrics.Truncate(size); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if r.size, err = r.metrics.Seek(size, io.SeekStart); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	var began Environment
	if text, err := os.ReadFile(r.path(EnvironmentFile)); err == nil && json.Unmarshal(text, &began) == nil {
		r.Warnings = began.changes(ReadEnvironment(r.Config.Train.Seed))
	}
	return nil
}

// Close gives the folder free. The run cannot be trained after it.
func (r *Run[T]) Close() error {
	if r.metrics == nil {
		return nil
	}
	return r.metrics.Close() // which also unlocks it
}

func (r *Run[T]) path(file string) string { return filepath.Join(r.Dir, file) }

// Train trains to the end and returns the result, which for a run that has ended is the
// one it ended with. notify, which may be nil, is told of every step and epoch.
//
// When ctx is cancelled the state is saved, the result has the status Interrupted, and the
// error wraps that of ctx. When training diverges the result says so and the error is, or
// wraps, a *DivergedError.
func (r *Run[T]) Train(ctx context.Context, notify func(StepRecord, *EpochRecord)) (*Result, error) {
	if r.ended != nil {
		if r.ended.Status == Diverged {
			return r.ended, errors.New(r.ended.Reason)
		}
		return r.ended, nil
	}
	if notify == nil {
		notify = func(StepRecord, *EpochRecord) {}
	}
	var last StepRecord
	for r.epochEnds() || !r.Done() {
		if ctx.Err() != nil {
			return r.stop(ctx, context.Cause(ctx))
		}
		if r.epochEnds() {
			e, err := r.endEpoch(ctx)
			if err != nil {
				return r.stop(ctx, err)
			}
			if err := r.record(e); err != nil {
				return nil, err
			}
			if err := r.save(); err != nil {
				return nil, err
			}
			notify(last, e)
			continue
		}
		s, err := r.step(ctx)
		if err != nil {
			return r.stop(ctx, err)
		}
		if err := r.record(s); err != nil {
			return nil, err
		}
		last = s
		notify(s, nil)
	}
	res := r.result(Done)
	var err error
	if res.Test, err = r.Test(ctx); err != nil {
		return r.stop(ctx, err)
	}
	if res.Train.Score, err = r.score(ctx, r.fit); err != nil {
		return r.stop(ctx, err)
	}
	return res, WriteJSON(r.path(ResultFile), res)
}

// stop saves the state of a run that did not come to its end.
func (r *Run[T]) stop(ctx context.Context, cause error) (*Result, error) {
	if err := r.save(); err != nil {
		return nil, errors.Join(cause, err)
	}
	var diverged *DivergedError
	switch {
	case errors.As(cause, &diverged):
		res := r.result(Diverged)
		res.Reason = diverged.Error()
		if s, err := r.Test(ctx); err == nil {
			res.Test = s
		}
		if err := WriteJSON(r.path(ResultFile), res); err != nil {
			return nil, errors.Join(cause, err)
		}
		return res, cause
	case ctx.Err() != nil:
		return r.result(Interrupted), fmt.Errorf("train: interrupted after step %d of %d: %w", r.Step, r.Steps(), ctx.Err())
	}
	return nil, cause
}

// result is what is known without a test.
func (r *Run[T]) result(status string) *Result {
	unknown := Score{Loss: Number(math.NaN()), Accuracy: Number(math.NaN())}
	res := &Result{
		Run: r.Dir, Task: r.Config.Task.Name, Model: r.Config.Model.Name, Rule: r.Config.Rule.Name, Seed: r.Config.Train.Seed,
		Test:         unknown,
		Train:        TrainScore{Score: unknown, Epochs: r.Scored, Steps: r.Step, Samples: r.Samples, Unconverged: r.Failed},
		EvalsPerStep: Number(math.NaN()), PeakBytes: r.peakBytes(), WallS: r.Wall.Seconds(), Status: status,
	}
	if r.Samples > 0 {
		res.EvalsPerStep = Number(float64(r.Counts.Total()) / float64(r.Samples))
	}
	return res
}

func (r *Run[T]) peakBytes() int { return max(r.peak, r.Bytes()) }

func readResult(path string) (*Result, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	var res Result
	if err := json.Unmarshal(data, &res); err != nil {
		return nil, fmt.Errorf("train: %s: expected the result of a run: %w; remove the file to have it made again", path, err)
	}
	return &res, nil
}

// openMetrics opens metrics.jsonl and locks it, so that no two processes write to it.
func (r *Run[T]) openMetrics() error {
	f, err := os.OpenFile(r.path(MetricsFile), os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.metrics = f
	if err := lock(f); err != nil {
		return fmt.Errorf("train: %s is in use by another process: wait for it to end, or choose another folder (%w)", r.Dir, err)
	}
	if r.size, err = f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// record appends a line to the metrics.
func (r *Run[T]) record(line any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(line); err != nil {
		return fmt.Errorf("train: %s: %w", r.path(MetricsFile), err)
	}
	n, err := r.metrics.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.size += int64(n)
	return nil
}

// MakeFolder makes the folder of a new run. It may be there already if it is empty. undo
// takes away the folder, if it is new, and everything in it.
func MakeFolder(dir string) (undo func(), err error) {
	entries, err := os.ReadDir(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return nil, fmt.Errorf("train: run folder: %w", err)
	}
	files, resumable := 0, false
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			files++
		}
		resumable = resumable || e.Name() == ConfigFile
	}
	if files > 0 {
		hint := "choose another"
		if resumable {
			hint = fmt.Sprintf("continue the run in it with --resume %s, or choose another", dir)
		}
		return nil, fmt.Errorf("train: run folder %s: expected a new or empty folder, found %d files in it: %s", dir, files, hint)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("train: run folder: %w", err)
	}
	undo = func() {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
		if isNew {
			os.Remove(dir)
		}
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		undo()
		return nil, fmt.Errorf("train: run folder: %w", err)
	}
	probe.Close()
	return undo, os.Remove(probe.Name())
}

// WriteJSON writes v as a file, by rename.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}
