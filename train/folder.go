package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"attractor/deq"
	"attractor/internal/atomicfile"
	"attractor/internal/folder"
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
	folder      *folder.Folder
	metrics     *os.File
	size        int64     // of the metrics
	sum         hash.Hash // of the metrics
	peak        int       // memory before the run was continued
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
	Status       string     `json:"status"`         // Done, Diverged, Unsolved or Interrupted
	Reason       string     `json:"reason,omitempty"`
	Metrics      string     `json:"metrics_sha256,omitempty"` // SHA-256 of metrics.jsonl
	// Files are the SHA-256 of config.yaml, environment.json and checkpoint.safetensors.
	Files map[string]string `json:"files_sha256,omitempty"`

	FixedPoints *FixedPoints `json:"fixed_points,omitempty"` // behind the test score; absent under a rule that runs through time
	Warnings    []string     `json:"warnings,omitempty"`     // why the score may not be what it seems
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
	Unsolved    = "unsolved"    // no solve of an epoch has converged
	Interrupted = "interrupted" // can be continued
)

// CreateRun prepares a run in a folder, which is new or empty, or holds the beginning of this
// very run that was killed before its first checkpoint. Without a name it is a new one in runs,
// named for the time, task, rule and seed. An error leaves nothing behind.
func CreateRun[T deq.Float](dir string, c Config[T], p Parts[T]) (*Run[T], error) {
	t, err := New(c, p)
	if err != nil {
		return nil, err
	}
	r := &Run[T]{Trainer: t}
	if dir == "" {
		r.folder, err = folder.Fresh(DefaultFolder(fmt.Sprintf("%s-%s-s%d", c.Task.Name, c.Rule.Name, c.Train.Seed)))
	} else {
		r.folder, err = folder.Claim(dir, func(files []string) error { return suits(dir, files, c, p) })
	}
	if err != nil {
		return nil, fmt.Errorf("train: run folder: %w", err)
	}
	r.Dir = r.folder.Dir
	if err := r.begin(p); err != nil {
		r.Close()
		return nil, err
	}
	r.folder.Keep()
	return r, nil
}

// DefaultFolder is the folder in runs for something that begins now.
func DefaultFolder(name string) string {
	return filepath.Join("runs", time.Now().Format("20060102-150405")+"-"+name)
}

// suits refuses a folder with files in it, but for the beginning of this very run.
func suits[T deq.Float](dir string, files []string, c Config[T], p Parts[T]) error {
	if len(files) == 0 {
		return nil
	}
	beginning := slices.Contains(files, ConfigFile)
	for _, name := range files {
		beginning = beginning && (name == ConfigFile || name == EnvironmentFile || name == MetricsFile && isEmpty(filepath.Join(dir, name)))
	}
	if !beginning {
		return Occupied(dir, files)
	}
	saved, err := readConfig(filepath.Join(dir, ConfigFile), p)
	if err != nil {
		return fmt.Errorf("%w\n(%w)", Occupied(dir, files), err)
	}
	if d := differences(saved.identity(), c.identity()); len(d) > 0 {
		return fmt.Errorf("%s holds the beginning of another run: %w", dir, &ConfigurationError{Source: filepath.Join(dir, ConfigFile), Differences: d})
	}
	return nil
}

func isEmpty(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// Occupied is the refusal of a folder that was to be new or empty.
func Occupied(dir string, files []string) error {
	hint := "choose another"
	if slices.Contains(files, ConfigFile) {
		hint = fmt.Sprintf("continue the run in it with --resume %s, or choose another", dir)
	}
	return fmt.Errorf("run folder %s: expected a new or empty folder, found %d files in it: %s", dir, len(files), hint)
}

func readConfig[T deq.Float](path string, p Parts[T]) (Config[T], error) {
	data, err := atomicfile.Read(path)
	if err != nil {
		return Config[T]{}, err
	}
	return Read(p, path, data, nil)
}

// begin writes the files of a run at step 0. A kill leaves the first few of them, from which
// the run is begun again: the configuration says all.
func (r *Run[T]) begin(p Parts[T]) error {
	if err := r.folder.Write(ConfigFile, func(w io.Writer) error { return r.Config.Write(w, p) }); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return r.start()
}

// start is begin where the configuration is there.
func (r *Run[T]) start() error {
	if err := r.keepEnvironment(); err != nil {
		return err
	}
	if err := r.openMetrics(os.O_CREATE); err != nil {
		return err
	}
	return r.save()
}

// OpenRun continues the run in a folder, from its last checkpoint. c must be the
// configuration that is there, but for train.workers, which changes no number.
func OpenRun[T deq.Float](dir string, c Config[T], p Parts[T]) (*Run[T], error) {
	r := &Run[T]{Dir: dir}
	saved, err := readConfig(r.path(ConfigFile), p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("train: %s is not the folder of a run: it has no %s", dir, ConfigFile)
	}
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if d := differences(saved.identity(), c.identity()); len(d) > 0 {
		return nil, &ConfigurationError{Source: r.path(ConfigFile), Differences: d}
	}
	switch err := r.readResult(c); {
	case err != nil:
		return nil, err
	case r.ended != nil:
		return r, nil
	}
	if r.folder, err = folder.Open(dir); err != nil {
		return nil, fmt.Errorf("train: run folder: %w", err)
	}
	if err := r.proceed(c, p); err != nil {
		r.Close()
		return nil, err
	}
	r.folder.Keep()
	return r, nil
}

// proceed goes back to the checkpoint in a folder that is claimed.
func (r *Run[T]) proceed(c Config[T], p Parts[T]) (err error) {
	if err := r.readResult(c); err != nil || r.ended != nil { // it may have ended just before
		return err
	}
	if r.Trainer, err = New(c, p); err != nil {
		return err
	}
	_, noCheckpoint := os.Lstat(r.path(CheckpointFile))
	info, noMetrics := os.Lstat(r.path(MetricsFile))
	if errors.Is(noCheckpoint, fs.ErrNotExist) && (errors.Is(noMetrics, fs.ErrNotExist) || noMetrics == nil && info.Size() == 0) {
		return r.start() // it was killed before it began
	}
	size, sum, err := r.load(r.path(CheckpointFile))
	if err != nil {
		return err
	}
	if err := r.openMetrics(0); err != nil {
		return err
	}
	if err := r.rewind(size, sum); err != nil {
		return err
	}
	r.Warnings = append(r.Warnings, ChangesSince(r.path(EnvironmentFile), "run")...)
	if _, err := os.Lstat(r.path(EnvironmentFile)); errors.Is(err, fs.ErrNotExist) {
		return r.keepEnvironment()
	}
	return nil
}

func (r *Run[T]) keepEnvironment() error {
	if err := r.folder.WriteJSON(EnvironmentFile, ReadEnvironment(r.Config.Train.Seed)); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// rewind goes back to the metrics of the checkpoint, which had that size and checksum.
func (r *Run[T]) rewind(size int64, sum string) error {
	damaged := func(expected string, found any) error {
		return fmt.Errorf("train: %s: expected %s, found %v: the folder is damaged; start again in another one with its %s",
			r.path(MetricsFile), expected, found, ConfigFile)
	}
	switch n, err := io.CopyN(r.sum, r.metrics, size); {
	case errors.Is(err, io.EOF):
		return damaged(fmt.Sprintf("at least the %d bytes that it had at the checkpoint", size), n)
	case err != nil:
		return fmt.Errorf("train: %w", err)
	}
	switch found := r.metricsSum(); {
	case sum == "":
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s has no checksum, as the run was begun by an earlier version: that its lines are as they were written is not known", r.path(MetricsFile)))
	case found != sum:
		return damaged(fmt.Sprintf("the SHA-256 %.12s… of its first %d bytes that it had at the checkpoint", sum, size), fmt.Sprintf("%.12s…", found))
	}
	if err := r.metrics.Truncate(size); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.size = size
	return nil
}

func (r *Run[T]) metricsSum() string { return fmt.Sprintf("%x", r.sum.Sum(nil)) }

// Close gives the folder free. The run cannot be trained after it.
func (r *Run[T]) Close() error {
	var err error
	if r.metrics != nil {
		err = r.metrics.Close()
	}
	if r.folder != nil {
		r.folder.Close()
	}
	r.metrics, r.folder = nil, nil
	return err
}

func (r *Run[T]) path(file string) string { return filepath.Join(r.Dir, file) }

// Train trains to the end and returns the result, which for a run that has ended is the
// one it ended with. notify, which may be nil, is told of every step and epoch.
//
// When ctx is cancelled the state is saved, the result has the status Interrupted, and the
// error wraps that of ctx. When training diverges the result says so and the error is, or
// wraps, a *DivergedError, and when no solve of an epoch converges an *UnsolvedError.
func (r *Run[T]) Train(ctx context.Context, notify func(StepRecord, *EpochRecord)) (*Result, error) {
	if r.ended != nil {
		if r.ended.Status != Done {
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
			if err := r.Unsolved(e); err != nil {
				return r.stop(ctx, err)
			}
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
	if res.Test, res.FixedPoints, err = r.FinalTest(ctx); err != nil {
		return r.stop(ctx, err)
	}
	if res.Train.Score, err = r.score(ctx, r.fit, nil); err != nil {
		return r.stop(ctx, err)
	}
	res.Warnings = r.Doubts(res.FixedPoints)
	return res, r.end(res)
}

// end writes the result, when all that belongs to the run is in its folder.
func (r *Run[T]) end(res *Result) error {
	if err := r.whole(); err != nil {
		return err
	}
	res.Metrics = r.metricsSum()
	if text, err := atomicfile.Read(r.path(MetricsFile)); err != nil || fmt.Sprintf("%x", sha256.Sum256(text)) != res.Metrics {
		return fmt.Errorf("train: %w", &folder.LostError{Path: r.path(MetricsFile), What: "changed by someone else"})
	}
	res.Files = map[string]string{}
	for _, name := range summed {
		sum, err := sumOf(r.path(name))
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		res.Files[name] = sum
	}
	if err := r.folder.WriteJSON(ResultFile, res); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return r.whole()
}

// summed are the files of which a result has the checksums, besides the metrics.
var summed = []string{ConfigFile, EnvironmentFile, CheckpointFile}

// sumOf is the SHA-256 of a regular file, as text.
func sumOf(path string) (string, error) {
	f, err := atomicfile.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// sameFiles demands that the files of a run that has ended are as its result says. What is gone, and an environment that
// is not as it was, is a warning: the result does not rest on it.
func (r *Run[T]) sameFiles(res *Result, sealed bool) error {
	if res.Files == nil {
		if !sealed { // which is told already
			return nil
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s has no checksums of %s, %s and %s, as the run was made by an earlier version: that they are as they were written is not known",
			r.path(ResultFile), summed[0], summed[1], summed[2]))
		return nil
	}
	for _, name := range summed {
		path, want := r.path(name), res.Files[name]
		switch found, err := sumOf(path); {
		case errors.Is(err, fs.ErrNotExist):
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s is gone", path))
		case err != nil:
			return fmt.Errorf("train: %w", err)
		case found == want:
		case name == EnvironmentFile:
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s was changed or damaged after the run had ended: where it was made is not known; the result is intact", path))
		default:
			return fmt.Errorf("train: %s: expected the SHA-256 %.12s… that it had when the run ended, found %.12s…: the file was changed or damaged; %s is intact", path, want, found, ResultFile)
		}
	}
	return nil
}

// whole demands the files of the run.
func (r *Run[T]) whole() error {
	err := r.folder.Demand(ConfigFile, EnvironmentFile, MetricsFile, CheckpointFile)
	if err == nil {
		err = r.sameMetrics()
	}
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

// sameMetrics demands that the metrics that are written to are those in the folder.
func (r *Run[T]) sameMetrics() error {
	own, err := r.metrics.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(r.path(MetricsFile))
	if err != nil || !os.SameFile(own, now) || now.Size() != r.size {
		return &folder.LostError{Path: r.path(MetricsFile), What: "removed or changed"}
	}
	return nil
}

// stop saves the state of a run that did not come to its end.
func (r *Run[T]) stop(ctx context.Context, cause error) (*Result, error) {
	if err := r.save(); err != nil {
		return nil, errors.Join(cause, err)
	}
	var diverged *DivergedError
	var unsolved *UnsolvedError
	switch {
	case errors.As(cause, &diverged), errors.As(cause, &unsolved):
		res := r.result(Diverged)
		if res.Reason = cause.Error(); unsolved != nil {
			res.Status = Unsolved
		} else {
			res.Reason = diverged.Error()
		}
		if s, err := r.Test(ctx); err == nil {
			res.Test = s
		}
		if err := r.end(res); err != nil {
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

// readResult reads the result of a run that has ended, and what it says of the metrics.
func (r *Run[T]) readResult(c Config[T]) error {
	path := r.path(ResultFile)
	var res Result
	sealed, err := folder.ReadJSON(path, &res)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = res.check(c.Task.Name, c.Model.Name, c.Rule.Name, c.Train.Seed)
	}
	if err != nil {
		return fmt.Errorf("train: %s: expected the result of a run: %w; remove the file to have it made again", path, err)
	}
	r.ended, res.Run = &res, r.Dir
	if !sealed {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s has no checksum, as the run was made by an earlier version: that it is as it was written is not known", path))
	}
	if err := r.sameFiles(&res, sealed); err != nil {
		return err
	}
	if res.Metrics == "" {
		return nil
	}
	switch metrics, err := atomicfile.Read(r.path(MetricsFile)); {
	case errors.Is(err, fs.ErrNotExist):
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s is gone", r.path(MetricsFile)))
	case err != nil:
		return fmt.Errorf("train: %w", err)
	case fmt.Sprintf("%x", sha256.Sum256(metrics)) != res.Metrics:
		return fmt.Errorf("train: %s: expected the SHA-256 %.12s… that it had when the run ended, found %.12x…: the file is damaged", r.path(MetricsFile), res.Metrics, sha256.Sum256(metrics))
	}
	return nil
}

// check demands values that a result of that run can have.
func (r *Result) check(task, model, rule string, seed uint64) error {
	if r.Task != task || r.Model != model || r.Rule != rule || r.Seed != seed {
		return fmt.Errorf("found that of the task %q, model %q, rule %q and seed %d, where %s says %q, %q, %q and %d", r.Task, r.Model, r.Rule, r.Seed, ConfigFile, task, model, rule, seed)
	}
	if r.Status != Done && r.Status != Diverged && r.Status != Unsolved {
		return fmt.Errorf("status: expected %s, %s or %s, found %q", Done, Diverged, Unsolved, r.Status)
	}
	for _, v := range []struct {
		name    string
		value   float64
		largest float64
	}{
		{"test.accuracy", float64(r.Test.Accuracy), 1}, {"train.accuracy", float64(r.Train.Accuracy), 1},
		{"evals_per_step", float64(r.EvalsPerStep), math.Inf(1)}, {"wall_s", r.WallS, math.Inf(1)}, {"peak_bytes", float64(r.PeakBytes), math.Inf(1)},
		{"train.epochs", float64(r.Train.Epochs), math.Inf(1)}, {"train.steps", float64(r.Train.Steps), math.Inf(1)},
		{"train.samples", float64(r.Train.Samples), math.Inf(1)}, {"train.unconverged", float64(r.Train.Unconverged), math.Inf(1)},
	} {
		if v.value < 0 || v.value > v.largest { // NaN is what was not measured
			return fmt.Errorf("%s: expected a number from 0 to %g, found %g", v.name, v.largest, v.value)
		}
	}
	if r.FixedPoints != nil {
		return r.FixedPoints.Check()
	}
	return nil
}

// openMetrics opens metrics.jsonl.
func (r *Run[T]) openMetrics(flag int) (err error) {
	if r.metrics, err = r.folder.OpenFile(MetricsFile, os.O_RDWR|flag); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r.sum = sha256.New()
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
	r.sum.Write(b.Bytes())
	return nil
}
