package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/deq"
	"attractor/internal/checkpoint"
)

// small is a run of 3 epochs of 4 steps.
var small = []string{"task=blobs", "task.train=64", "task.test=32", "model.units=6", "train.batch=16", "train.epochs=3"}

func configured[T deq.Float](t testing.TB, sets ...string) Config[T] {
	t.Helper()
	c, err := Read(Ours[T](), "test", nil, append(slices.Clone(small), sets...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// folderOf is what a run leaves that must not depend on how often it was interrupted.
type folderOf struct {
	Metrics string
	Tensors map[string]checkpoint.Tensor
	Result  Result
}

func kept(t testing.TB, dir string, res *Result) folderOf {
	t.Helper()
	f, err := checkpoint.Load(filepath.Join(dir, CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	out := folderOf{Metrics: string(metrics), Tensors: f.Tensors, Result: *res}
	out.Result.Run, out.Result.WallS, out.Result.PeakBytes, out.Result.Files = "", 0, 0, nil // checkpoints hold times
	return out
}

// same compares to the last bit.
func same(t testing.TB, want, got folderOf) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b Number) bool { return math.Float64bits(float64(a)) == math.Float64bits(float64(b)) })); d != "" {
		t.Errorf("not what an uninterrupted run leaves (-want +got):\n%s", d)
	}
}

// whole trains without an interruption.
func whole[T deq.Float](t testing.TB, c Config[T]) folderOf {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "whole")
	r, err := CreateRun(dir, c, Ours[T]())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	res, err := r.Train(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != Done || res.Train.Epochs != c.Train.Epochs {
		t.Fatalf("trained %+v", res)
	}
	return kept(t, dir, res)
}

var resumed = []struct {
	name string
	sets []string
}{
	{"implicit/adam", nil},
	{"jfb/sgd momentum", []string{"rule=jfb", "optimizer={name: sgd, momentum: 0.9}", "train.schedule=cosine", "train.warmup=3"}},
	{"bptt/rmsprop", []string{"rule=bptt", "optimizer=rmsprop", "train.batch=24"}}, // the last batch is smaller
	{"reparam-gradient/adamw", []string{"rule=reparam-gradient", "optimizer=adamw", "train.clip=0.1"}},
	{"eqprop/adam, recurrent", []string{"rule=eqprop", "train.trained=recurrent", "train.schedule=linear"}},
	{"skipped steps", []string{"train.non_finite=halve", "optimizer={name: sgd, lr: 1e39}", "model.activation=linear", "train.unconverged=accept"}},
	{"shrunk", []string{"model.gain=1.6", "train.stability=shrink", "train.stability_bound=0.8", "train.stability_every=2"}},
	{"spectrum", []string{"model={units: 70, dropout: 0.2}", "train.stability=record", "train.stability_every=3", "train.stability_spectrum=2"}},
	{"warm, certified", []string{"train.warm_start=both", "train.batch=24", "train.certificate=3"}},
	{"regularised", []string{"regularizer={jacobian: 0.5, probes: 2, probability: 0.5, stop_epoch: 2, correction: 3}"}},
	{"shine, warm", []string{"rule=shine", "solver=broyden", "train.warm_start=forward"}},
	{"reversible", []string{"rule=reversible", "regularizer.jacobian=0.1"}},
	{"feedback-alignment", []string{"rule={name: feedback-alignment, recurrent: random}", "optimizer={name: sgd, momentum: 0.9}"}},
	{"kolen-pollack", []string{"rule=kolen-pollack", "train.clip=0.5"}},
	{"node-perturbation", []string{"rule={name: node-perturbation, draws: 2}"}},
	{"weight-perturbation", []string{"rule=weight-perturbation"}},
	{"least-control-learned", []string{"rule=least-control-learned", "train.batch=24"}},
	{"trials", []string{"task={name: cxt, trials: 64, test_trials: 20}", "train.certificate=5"}},
	{"trials, noisy", []string{"task={name: cxt, trials: 64, test_trials: 20}", "model={noise: 0.2, dale: 0.5, density: 0.8, form: v}"}},
	{"trials, truncated", []string{"task={name: adding, trials: 40, test_trials: 10, steps: 12}", "model={name: gru, units: 5}", "rule={name: tbptt, window: 4, stride: 2}"}},
	{"flossed", []string{"task={name: cxt, trials: 64, test_trials: 20}", "flossing={times: 3, every: 5, exponents: 2, horizon: 20, steps: 4, batch: 2}"}},
	{"flossed by epochs", []string{"task={name: cxt, trials: 64, test_trials: 20}", "rule=e-prop", "flossing={times: 2, start: 1, every: 1, unit: epochs, variant: b, horizon: 20, steps: 3}"}},
	{"trials, uoro", []string{"task={name: cxt, trials: 64, test_trials: 20}", "rule=uoro"}},
	{"trials, kernl", []string{"task={name: cxt, trials: 64, test_trials: 20}", "rule={name: kernl, feedback: adaptive}"}},
	{"trials, force", []string{"task={name: rflo-sine, trials: 64}", "rule=force"}},
	{"force", []string{"task={name: linear, train: 64, test: 32}", "rule=force", "train.batch=13"}},
	{"dropout", []string{"model={dropout: 0.3, normalize: spectral}", "train.certificate=5"}},
	{"regression", []string{"task={name: linear, train: 64, test: 32}", "rule=implicit", "train.holdout=true", "train.batch=13"}},
}

func TestResumeAfterInterrupt(t *testing.T) {
	for _, tt := range resumed {
		t.Run(tt.name, func(t *testing.T) {
			interrupted(t, configured[float32](t, tt.sets...))
		})
	}
	t.Run("float64", func(t *testing.T) { interrupted(t, configured[float64](t, "train.precision=float64")) })
}

// interrupted cancels the run after every few steps, among them the last of an epoch.
func interrupted[T deq.Float](t *testing.T, c Config[T]) {
	r := rand.New(rand.NewPCG(1, 1))
	want := whole(t, c)
	dir := filepath.Join(t.TempDir(), "run")
	run, err := CreateRun(dir, c, Ours[T]())
	for sittings := 0; ; sittings++ {
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := r.IntN(4)
		res, err2 := run.Train(ctx, func(StepRecord, *EpochRecord) {
			if left--; left < 0 {
				cancel()
			}
		})
		cancel()
		run.Close()
		if err2 == nil {
			if sittings < 3 {
				t.Errorf("done in %d sittings: nothing was interrupted", sittings)
			}
			same(t, want, kept(t, dir, res))
			return
		}
		if !errors.Is(err2, context.Canceled) || res.Status != Interrupted {
			t.Fatal(err2)
		}
		run, err = OpenRun(dir, c, Ours[T]())
	}
}

// countdown is cancelled when it has been asked so many times.
type countdown struct {
	context.Context
	left *int
}

func (c countdown) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestResumeInFlossing cancels the run at every few steps of trajectories, in the middle of flossings as
// between them and the steps of training.
func TestResumeInFlossing(t *testing.T) {
	for _, sets := range [][]string{
		{"flossing={times: 2, every: 3, exponents: 2, horizon: 20, steps: 14, batch: 2}"},
		{"flossing={times: 1, every: 3, horizon: 20, steps: 40, variant: a, lr: 0.1, target: 0.5}", "model.gain=0.8", "train.trained=readout"}, // runs away
		{"flossing={times: 1, horizon: 20, steps: 20, tol: 0.05, lr: 0.01}", "train.precision=float64"},                                        // reaches the target
	} {
		c := configured[float32](t, append(sets, "task={name: cxt, trials: 16, test_trials: 4}", "train.batch=4")...)
		c.Train.Epochs = 1
		want := whole(t, c)
		dir := filepath.Join(t.TempDir(), "run")
		run, err := CreateRun(dir, c, Ours[float32]())
		inside := 0
		for left := 50; ; left += 50 {
			if err != nil {
				t.Fatal(err)
			}
			n := left
			res, err2 := run.Train(countdown{t.Context(), &n}, nil)
			if run.flosser != nil && run.flosser.Status == "" && run.flosser.Steps > 0 {
				inside++
			}
			run.Close()
			if err2 == nil {
				same(t, want, kept(t, dir, res))
				break
			}
			if !errors.Is(err2, context.Canceled) || res.Status != Interrupted {
				t.Fatal(err2)
			}
			run, err = OpenRun(dir, c, Ours[float32]())
		}
		if inside < 2 {
			t.Errorf("%v: %d interruptions in flossings", sets, inside)
		}
	}
}

// TestResumeAfterKill copies the folder at some moments, as a kill would leave it, with a
// line of the metrics cut off and a temporary file, and continues the copy.
func TestResumeAfterKill(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for _, tt := range resumed {
		t.Run(tt.name, func(t *testing.T) {
			c := configured[float32](t, tt.sets...)
			dir := filepath.Join(t.TempDir(), "run")
			run, err := CreateRun(dir, c, Ours[float32]())
			if err != nil {
				t.Fatal(err)
			}
			defer run.Close()
			var copies []string
			kill := func() {
				to := filepath.Join(t.TempDir(), fmt.Sprint("killed", len(copies)))
				if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				metrics := filepath.Join(to, MetricsFile)
				text, err := os.ReadFile(metrics)
				if err != nil {
					t.Fatal(err)
				}
				write(t, metrics, append(text, `{"step":99,"epo`...))
				write(t, filepath.Join(to, ".checkpoint.safetensors.tmp-1"), []byte("half"))
				copies = append(copies, to)
			}
			kill()
			res, err := run.Train(t.Context(), func(StepRecord, *EpochRecord) {
				if random.IntN(4) == 0 {
					kill()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			want := kept(t, dir, res)
			for _, dir := range copies {
				run, err := OpenRun(dir, c, Ours[float32]())
				if err != nil {
					t.Fatal(err)
				}
				defer run.Close()
				res, err := run.Train(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				same(t, want, kept(t, dir, res))
			}
		})
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestResumeBeforeBegin continues a run that was killed while its folder was made.
func TestResumeBeforeBegin(t *testing.T) {
	c := configured[float32](t)
	want := whole(t, c)
	dir := t.TempDir()
	var text bytes.Buffer
	if err := c.Write(&text, Ours[float32]()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ConfigFile), text.Bytes())
	run, err := OpenRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	res, err := run.Train(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, kept(t, dir, res))
}

// TestCores trains on one core and on two.
func TestCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	sets := []string{"train.shard=4"}
	one := whole(t, configured[float32](t, sets...))
	runtime.GOMAXPROCS(2)
	same(t, one, whole(t, configured[float32](t, sets...)))
}

// ended makes a run of one epoch.
func ended(t *testing.T, sets ...string) (string, Config[float32]) {
	t.Helper()
	c := configured[float32](t, append(sets, "train.epochs=1")...)
	dir := filepath.Join(t.TempDir(), "run")
	run, err := CreateRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := run.Train(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

func TestOpenEnded(t *testing.T) {
	dir, c := ended(t)
	before := read(t, filepath.Join(dir, ResultFile))
	run, err := OpenRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	res, err := run.Train(t.Context(), nil)
	if err != nil || res.Status != Done || res.Train.Steps != 4 {
		t.Errorf("Train of a run that has ended = %+v, %v", res, err)
	}
	if !bytes.Equal(before, read(t, filepath.Join(dir, ResultFile))) {
		t.Error("the result was written again")
	}
}

func TestDiverged(t *testing.T) {
	c := configured[float32](t, "optimizer={name: sgd, lr: 1e39}", "model.activation=linear")
	dir := filepath.Join(t.TempDir(), "run")
	run, err := CreateRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	res, err := run.Train(t.Context(), nil)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || res.Status != Diverged || res.Reason != err.Error() {
		t.Fatalf("Train = %+v, %v; want a *DivergedError", res, err)
	}
	again, err := OpenRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	if res, err := again.Train(t.Context(), nil); err == nil || res.Status != Diverged {
		t.Errorf("Train of a run that diverged = %+v, %v; want the same again", res, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sets  []string // of the run that is continued
		spoil func(t *testing.T, dir string)
		want  string // in the error
		is    error
	}{
		{name: "another configuration", sets: []string{"rule=jfb", "model.units=7"}, want: "model.units: 6 there, 7 here\n    rule: implicit there, jfb here"},
		{name: "another part with other options", sets: []string{"rule={name: bptt, steps: 9}"}, want: "rule.steps: nothing there, 9 here"},
		{name: "configuration edited", spoil: func(t *testing.T, dir string) {
			replace(t, filepath.Join(dir, ConfigFile), "units: 6", "units: 9")
		}, want: "model.units: 9 there, 6 here"},
		{name: "no configuration", spoil: remove(ConfigFile), want: "is not the folder of a run"},
		{name: "no checkpoint", spoil: remove(CheckpointFile), want: CheckpointFile, is: fs.ErrNotExist},
		{name: "checkpoint cut off", spoil: func(t *testing.T, dir string) {
			path := filepath.Join(dir, CheckpointFile)
			write(t, path, read(t, path)[:700])
		}, want: CheckpointFile, is: checkpoint.ErrTruncated},
		{name: "checkpoint flipped", spoil: func(t *testing.T, dir string) {
			path := filepath.Join(dir, CheckpointFile)
			data := read(t, path)
			data[len(data)-5] ^= 4
			write(t, path, data)
		}, want: CheckpointFile, is: checkpoint.ErrCorrupt},
		{name: "checkpoint empty", spoil: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, CheckpointFile), nil)
		}, want: CheckpointFile, is: checkpoint.ErrTruncated},
		{name: "another checkpoint", spoil: func(t *testing.T, dir string) {
			other, _ := ended(t, "model.units=5")
			write(t, filepath.Join(dir, CheckpointFile), read(t, filepath.Join(other, CheckpointFile)))
		}, want: "model.units: 5 there, 6 here"},
		{name: "checkpoint of another program", spoil: func(t *testing.T, dir string) {
			f, err := checkpoint.Load(filepath.Join(dir, CheckpointFile))
			if err != nil {
				t.Fatal(err)
			}
			delete(f.Meta, "epoch/loss")
			if err := checkpoint.Save(filepath.Join(dir, CheckpointFile), *f); err != nil {
				t.Fatal(err)
			}
		}, want: `expected the text "epoch/loss"`},
		{name: "metrics cut off", spoil: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, MetricsFile), []byte("{}\n"))
		}, want: MetricsFile},
		{name: "result damaged", spoil: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ResultFile), []byte("{"))
		}, want: "remove the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, c := ended(t)
			if tt.name != "result damaged" {
				remove(ResultFile)(t, dir) // as if killed just before the end
			}
			if tt.spoil != nil {
				tt.spoil(t, dir)
			}
			if tt.sets != nil {
				c = configured[float32](t, append(tt.sets, "train.epochs=1")...)
			}
			before := snapshot(t, dir)
			_, err := OpenRun(dir, c, Ours[float32]())
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("OpenRun: %v; want one with %q", err, tt.want)
			}
			if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
				t.Errorf("the folder was changed (-before +after):\n%s", d)
			}
		})
	}
}

// An option that the checkpoint does not know is as by default, or the run another one.
func TestOptionsNewerThanTheCheckpoint(t *testing.T) {
	for option, want := range map[string]string{"model.leak": "", "model.units": "model.units: nothing there, 6 here"} {
		dir, c := ended(t)
		remove(ResultFile)(t, dir)
		path := filepath.Join(dir, CheckpointFile)
		f, err := checkpoint.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		delete(f.Meta, "config/"+option)
		if err := checkpoint.Save(path, *f); err != nil {
			t.Fatal(err)
		}
		run, err := OpenRun(dir, c, Ours[float32]())
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q", option, err, want)
		}
		if err == nil {
			run.Close()
		}
	}
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func replace(t *testing.T, path, old, with string) {
	t.Helper()
	text := string(read(t, path))
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", path, old)
	}
	write(t, path, []byte(strings.Replace(text, old, with, 1)))
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.Name()] = string(read(t, filepath.Join(dir, e.Name())))
	}
	return files
}

func TestOtherWorkers(t *testing.T) {
	dir, _ := ended(t)
	run, err := OpenRun(dir, configured[float32](t, "train.epochs=1", "train.workers=2"), Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	run.Close()
}

func TestOneProcess(t *testing.T) {
	c := configured[float32](t)
	dir := filepath.Join(t.TempDir(), "run")
	run, err := CreateRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if runtime.GOOS == "windows" {
		t.Skip("files are not locked on windows")
	}
	if _, err := OpenRun(dir, c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("OpenRun of a run that goes on: %v", err)
	}
}

// TestDiskFull fails to write a line of the metrics, or a checkpoint.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer full.Close()
	c := configured[float32](t)
	want := whole(t, c)
	dir := filepath.Join(t.TempDir(), "run")
	run, err := CreateRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	metrics, before := run.metrics, map[string]string(nil)
	_, err = run.Train(t.Context(), func(s StepRecord, e *EpochRecord) {
		if s.Step == 6 {
			run.metrics, before = full, snapshot(t, dir)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Train on a full disk: %v", err)
	}
	if d := cmp.Diff(before, snapshot(t, dir)); d != "" {
		t.Errorf("files were changed (-before +after):\n%s", d)
	}
	metrics.Close()
	run.Close()
	again, err := OpenRun(dir, c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	res, err := again.Train(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, kept(t, dir, res))
}

// TestCreateLeavesNothing begins runs that cannot begin.
func TestCreateLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	c := configured[float32](t, "solver.rtol=1e-9")
	if _, err := CreateRun(filepath.Join(tmp, "run"), c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), "20 eps of float32") {
		t.Errorf("CreateRun with an impossible tolerance: %v", err)
	}
	if entries, _ := os.ReadDir(tmp); len(entries) > 0 {
		t.Errorf("%v is left", entries)
	}
}

func TestEnvironmentChanges(t *testing.T) {
	now := ReadEnvironment(1)
	if c := now.changes("run", now); c != nil {
		t.Errorf("changes of nothing: %q", c)
	}
	then := now
	then.Instructions = "abacus"
	if c := then.changes("run", now); len(c) != 1 || !strings.Contains(c[0], "abacus when the run began") {
		t.Errorf("changes = %q", c)
	}
	then.Modules = map[string]string{"a": "v1", "b": "v1", "c": "v1", "d": "v1", "e": "v2"}
	now.Modules = map[string]string{"b": "v1"}
	if c := then.changes("run", now); len(c) != 2 || !strings.Contains(c[1], "a (v1, missing now), c (v1, missing now), d (v1, missing now) and 1 more") {
		t.Errorf("changes = %q", c)
	}
	if id := identified("devel"); !strings.HasPrefix(id, "devel.") || identified("v1.2.3") != "v1.2.3" || identified("v1.2.3+dirty") == "v1.2.3+dirty" {
		t.Errorf("a build without a version is %q", id)
	}
}
