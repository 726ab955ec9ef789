package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attractor/internal/npz"
	"attractor/train"
	"attractor/train/tasks"
)

func TestDataDump(t *testing.T) {
	out := filepath.Join(t.TempDir(), "d.npz")
	for _, tt := range []struct {
		task   string
		split  string
		count  int
		set    string
		arrays []string
	}{
		{"blobs", "test", 5, "task.inputs=3", []string{"labels", "rows", "x"}},
		{"linear", "train", 4, "task.outputs=2", []string{"rows", "x", "y"}},
		{"ready-set-go", "train", 2, "task.trials=3", []string{"labels", "rows", "scored", "weights", "x"}},
		{"flip-flop", "test", 2, "task.steps=9", []string{"rows", "x", "y"}},
	} {
		c, err := train.Read(train.Ours[float64](), "test", nil, []string{"task=" + tt.task, tt.set})
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.Task.Value.Load(7)
		if err != nil {
			t.Fatal(err)
		}
		split := d.Train
		if tt.split == "test" {
			split = d.Test
		}
		code, stdout, stderr := run(t, "data", "dump", tt.task, "--set", tt.set, "--seed", "7", "--split", tt.split, "--count", string(rune('0'+tt.count)), "--out", out, "--json")
		var r dumped
		if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil || r.Samples != tt.count || r.Seed != 7 || r.Steps != d.Steps || r.Outputs != d.Outputs {
			t.Fatalf("%s: exit code %d, %s%s, %v", tt.task, code, stdout, stderr, err)
		}
		got := readArchive(t, out)
		var names []string
		for name := range got {
			names = append(names, name)
		}
		if slices.Sort(names); !slices.Equal(names, tt.arrays) {
			t.Errorf("%s: arrays %v, want %v", tt.task, names, tt.arrays)
		}
		var x []float64
		for i := range tt.count {
			x = split.Row(x, i)
		}
		if !slices.Equal(got["x"].Data, x) {
			t.Errorf("%s: x differs", tt.task)
		}
		if d.Kind == tasks.Regression && !slices.Equal(got["y"].Data, split.Y[:len(got["y"].Data)]) {
			t.Errorf("%s: y differs", tt.task)
		}
		for i, v := range got["labels"].Data {
			if v != float64(split.Labels[i]) {
				t.Fatalf("%s: label %d is %v, want %d", tt.task, i, v, split.Labels[i])
			}
		}
		if code, stdout, stderr := run(t, "data", "dump", tt.task, "--count", "0", "--step", "-1"); code != 2 || !strings.Contains(stderr, "--step") {
			t.Errorf("exit code %d: %s%s", code, stdout, stderr)
		}
	}
	for want, args := range map[string][]string{
		"did you mean \"digits\"":   {"digitz"},
		"expected train or test":    {"blobs", "--split", "tset"},
		"at most the 256":           {"blobs", "--count", "257"},
		"leave out --count":         {"blobs", "--count", "2", "--step", "3"},
		"found 0 arguments":         {},
		"unknown option \"classe\"": {"blobs", "--set", "task.classe=3"},
		"classes from 2":            {"blobs", "--set", "task.classes=1"},
	} {
		if code, _, stderr := run(t, append([]string{"data", "dump"}, args...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d: %s, want %q", args, code, stderr, want)
		}
	}
}

// keep keeps the gradients of a step.
type keep struct{ grads map[string][]float64 }

func (k keep) Observe(_ context.Context, s train.Step[float64]) error {
	for _, g := range s.Grads {
		k.grads[g.Name] = slices.Clone(g.Data)
	}
	return nil
}

// The batch of a step, dumped, and the weights give the gradient of that step of training to the last bit: at equilibria and
// of trials, whose state may begin elsewhere than at 0.
func TestGradientIsThatOfTraining(t *testing.T) {
	for _, sets := range [][]string{
		{"task=blobs", "rule=implicit"},
		{"task=blobs", "rule=eqprop", "regularizer.jacobian=0.1"},
		{"task={name: dms, trials: 20, test_trials: 2}", "rule=bptt", "model=gru"},
		{"task={name: rflo-sine, trials: 3, steps: 12}", "rule=rflo", "model.leak=0.3"},
	} {
		dir := t.TempDir()
		sets = append(sets, "model.units=6", "train.batch=5", "train.precision=float64", "train.seed=3")
		parts := train.Ours[float64]()
		c, err := train.Read(parts, "test", nil, sets)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := train.New(c, parts)
		if err != nil {
			t.Fatal(err)
		}
		var arrays []npz.Named
		for _, p := range tr.Layer.Params {
			arrays = append(arrays, npz.Named{Name: p.Name, Shape: p.Shape, Data: p.Data})
		}
		for _, p := range tr.Own.Params {
			arrays = append(arrays, npz.Named{Name: "rule/" + p.Name, Shape: p.Shape, Data: p.Data})
		}
		weights := archiveOf(t, dir, "w.npz", arrays...)
		want := keep{map[string][]float64{}}
		if _, _, err := tr.Next(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		var flags []string
		for _, s := range sets[1:] {
			flags = append(flags, "--set", s)
		}
		batch, out := filepath.Join(dir, "b.npz"), filepath.Join(dir, "g.npz")
		name, options := c.Task.Name, []string{"--set", sets[0]}
		if code, _, stderr := run(t, append(append([]string{"data", "dump", name, "--step", "1", "--out", batch}, options...), flags...)...); code != 0 {
			t.Fatal(stderr)
		}
		if code, _, stderr := run(t, append([]string{"gradient", "--weights", weights, "--batch", batch, "--out", out, "-q"}, flags...)...); code != 0 {
			t.Fatal(stderr)
		}
		got := readArchive(t, out)
		for name, v := range want.grads {
			if !slices.Equal(got[name].Data, v) {
				t.Errorf("%v: the gradient of %s differs: %v, want %v", sets, name, got[name].Data, v)
			}
		}
		if _, err := os.Stat(out); err != nil || len(want.grads) < 4 {
			t.Errorf("%v: %d gradients, %v", sets, len(want.grads), err)
		}
	}
}
