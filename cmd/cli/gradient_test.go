package cli

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attractor/internal/npz"
)

// archiveOf writes an .npz in a folder.
func archiveOf(t *testing.T, dir, name string, arrays ...npz.Named) string {
	t.Helper()
	path := filepath.Join(dir, name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npz.Write(f, arrays...); err != nil {
		t.Fatal(err)
	}
	return path
}

// readArchive reads all arrays of an .npz.
func readArchive(t *testing.T, path string) map[string]npz.Array {
	t.Helper()
	f, err := npz.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]npz.Array{}
	for _, name := range f.Names() {
		if out[name], err = f.Read(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// wants compares arrays of an archive with numbers.
func wants(t *testing.T, got map[string]npz.Array, want map[string][]float64, shapes map[string][]int) {
	t.Helper()
	for name, v := range want {
		a, ok := got[name]
		if s, given := shapes[name]; !ok || len(a.Data) != len(v) || given && !slices.Equal(a.Shape, s) {
			t.Errorf("%s: found %v, want %v", name, a, v)
			continue
		}
		for i := range v {
			if !(math.Abs(a.Data[i]-v[i]) <= 1e-9*(1+math.Abs(v[i]))) {
				t.Errorf("%s[%d]: %.15g, want %.15g", name, i, a.Data[i], v[i])
			}
		}
	}
}

// One linear unit, of which everything is known: z = (ux + b)/(1 − w), L the mean of (cz + d − y)², and through
// time z_t = wz_{t−1} + ux_t + b.
var unit = struct{ w, u, b, c, d float64 }{0.5, 2, 0.1, 3, -1}

func oneUnit(t *testing.T, dir string) string {
	one := []int{1, 1}
	return archiveOf(t, dir, "w.npz", npz.Named{Name: "W", Shape: one, Data: []float64{unit.w}}, npz.Named{Name: "U", Shape: one, Data: []float64{unit.u}},
		npz.Named{Name: "b", Shape: one[:1], Data: []float64{unit.b}}, npz.Named{Name: "Wo", Shape: one, Data: []float64{unit.c}}, npz.Named{Name: "bo", Shape: one[:1], Data: []float32{float32(unit.d)}})
}

func TestGradientOfEquilibria(t *testing.T) {
	dir := t.TempDir()
	weights, out := oneUnit(t, dir), filepath.Join(dir, "g.npz")
	w, u, b, c, d := unit.w, unit.u, unit.b, unit.c, unit.d
	x, y := []float64{1, -2, 0.3}, []float64{0.5, 2, -1}
	batch := archiveOf(t, dir, "batch.npz", npz.Named{Name: "x", Shape: []int{3, 1}, Data: x}, npz.Named{Name: "y", Shape: []int{3, 1}, Data: y})
	want := map[string][]float64{"loss": {0}, "W": {0}, "U": {0}, "b": {0}, "Wo": {0}, "bo": {0}}
	for i := range x {
		z := (u*x[i] + b) / (1 - w)
		e := c*z + d - y[i]
		for name, v := range map[string]float64{"loss": e * e, "W": 2 * e * c * z / (1 - w), "U": 2 * e * c * x[i] / (1 - w), "b": 2 * e * c / (1 - w), "Wo": 2 * e * z, "bo": 2 * e} {
			want[name][0] += v / 3
		}
		want["z"], want["outputs"] = append(want["z"], z), append(want["outputs"], c*z+d)
	}
	args := []string{"gradient", "--weights", weights, "--batch", batch, "--set", "model.activation=linear", "--out", out}
	if code, stdout, stderr := run(t, append(args, "--set", "solver.rtol=1e-13", "--set", "backward.rtol=1e-13")...); code != 0 || !strings.Contains(stdout, "written to "+out) {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	wants(t, readArchive(t, out), want, map[string][]int{"loss": {}, "W": {1, 1}, "b": {1}, "z": {3, 1}, "outputs": {3, 1}})

	// jfb leaves out the factor 1/(1 − w).
	for _, name := range []string{"W", "U", "b"} {
		want[name][0] *= 1 - w
	}
	if code, _, stderr := run(t, append(args, "--rule", "jfb", "--set", "solver.rtol=1e-13")...); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	wants(t, readArchive(t, out), want, nil)
}

func TestGradientOfTrials(t *testing.T) {
	dir := t.TempDir()
	weights, out := oneUnit(t, dir), filepath.Join(dir, "g.npz")
	w, u, b, c, d := unit.w, unit.u, unit.b, unit.c, unit.d
	x, y, weight := []float64{1, -2, 0.3, 0.7, 0, 1}, []float64{0.5, 2, -1, 1, 0, 3}, []float64{1, 0, 2, 0.5, 1, 0}
	xs := npz.Named{Name: "x", Shape: []int{2, 3, 1}, Data: x}
	every := archiveOf(t, dir, "every.npz", xs, npz.Named{Name: "y", Shape: []int{2, 3, 1}, Data: y}, npz.Named{Name: "weights", Shape: []int{2, 3}, Data: weight})
	last := archiveOf(t, dir, "last.npz", xs, npz.Named{Name: "y", Shape: []int{2, 1}, Data: []float64{y[2], y[5]}})
	for _, tt := range []struct {
		batch, rule string
		weight      []float64
		keep        float64 // of dz/dw and dz/du over a step: w, or 0 of e-prop, as there is no leak
	}{
		{every, "bptt", weight, w}, {last, "bptt", []float64{0, 0, 1, 0, 0, 1}, w}, {every, "e-prop", weight, 0},
	} {
		want := map[string][]float64{"loss": {0}, "W": {0}, "U": {0}, "b": {0}, "Wo": {0}, "bo": {0}}
		sum := 0.0
		for trial := range 2 {
			var z, dw, du, db float64
			for k := range 3 {
				i := 3*trial + k
				z, dw, du, db = w*z+u*x[i]+b, tt.keep*dw+z, tt.keep*du+x[i], tt.keep*db+1
				e := c*z + d - y[i]
				for name, v := range map[string]float64{"loss": e * e, "W": 2 * e * c * dw, "U": 2 * e * c * du, "b": 2 * e * c * db, "Wo": 2 * e * z, "bo": 2 * e} {
					want[name][0] += tt.weight[i] * v
				}
				sum += tt.weight[i]
				want["z"], want["outputs"] = append(want["z"], z), append(want["outputs"], c*z+d)
			}
		}
		for _, name := range []string{"loss", "W", "U", "b", "Wo", "bo"} {
			want[name][0] /= sum
		}
		code, stdout, stderr := run(t, "gradient", "--weights", weights, "--batch", tt.batch, "--rule", tt.rule, "--set", "model.activation=linear", "--out", out, "--json")
		if code != 0 || !strings.Contains(stdout, `"steps": 3`) {
			t.Fatalf("%s: exit code %d: %s%s", tt.rule, code, stdout, stderr)
		}
		wants(t, readArchive(t, out), want, map[string][]int{"z": {2, 3, 1}, "outputs": {2, 3, 1}})
	}
}

// The folder of a run, its checkpoint and an .npz of the same parameters give the same gradient, with the rule's own
// parameters as they have become.
func TestGradientOfRun(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "run")
	if code, _, stderr := run(t, "train", "--task", "blobs", "--rule", "kolen-pollack", "--set", "model.units=5", "--set", "train.precision=float64", "--epochs", "1", "--out", folder, "-q"); code != 0 {
		t.Fatal(stderr)
	}
	batch := archiveOf(t, dir, "batch.npz", npz.Named{Name: "x", Shape: []int{4, 2}, Data: []float64{1, 2, -1, 0, 0.5, 0.5, 3, -2}},
		npz.Named{Name: "labels", Shape: []int{4}, Data: []int32{0, 3, 2, 0}})
	var first map[string]npz.Array
	from := folder
	for _, path := range []string{folder, filepath.Join(folder, "checkpoint.safetensors"), ""} {
		if path == "" { // made of what the run has
			loaded, _, _, err := readWeights(from)
			if err != nil {
				t.Fatal(err)
			}
			var arrays []npz.Named
			for name, a := range loaded.Params {
				arrays = append(arrays, npz.Named{Name: name, Shape: a.Shape, Data: a.Data})
			}
			for name, a := range loaded.Own {
				arrays = append(arrays, npz.Named{Name: "rule/" + name, Shape: a.Shape, Data: a.Data})
			}
			path = archiveOf(t, dir, "w.npz", arrays...)
		}
		out := filepath.Join(dir, "g.npz")
		code, stdout, stderr := run(t, "gradient", "--weights", path, "--batch", batch, "--rule", "kolen-pollack", "--out", out)
		if code != 0 || strings.Contains(stdout, "drawn") || !strings.Contains(stdout, "float64") {
			t.Fatalf("%s: exit code %d: %s%s", path, code, stdout, stderr)
		}
		got := readArchive(t, out)
		if first == nil {
			first = got
		}
		for name, a := range first {
			if !slices.Equal(got[name].Data, a.Data) {
				t.Errorf("%s: %s differs", path, name)
			}
		}
		if len(got) != len(first) || len(got["rule/Wo"].Data) != 20 || len(got["rule_params/Wo"].Data) != 20 {
			t.Errorf("%s: arrays %d, rule/Wo %v", path, len(got), got["rule/Wo"])
		}
	}
}

func TestGradientRefuses(t *testing.T) {
	dir := t.TempDir()
	weights, out := oneUnit(t, dir), filepath.Join(dir, "g.npz")
	x := npz.Named{Name: "x", Shape: []int{2, 1}, Data: []float64{1, 2}}
	xs := npz.Named{Name: "x", Shape: []int{2, 3, 1}, Data: make([]float64, 6)}
	labels := npz.Named{Name: "labels", Shape: []int{2}, Data: []int64{0, 0}}
	for name, tt := range map[string]struct {
		batch []npz.Named
		args  []string
		want  string
	}{
		"no x":           {[]npz.Named{labels}, nil, `expected an array "x"`},
		"no targets":     {[]npz.Named{x}, nil, `either an array "labels" or an array "y", found none`},
		"both":           {[]npz.Named{x, labels, {Name: "y", Shape: []int{2, 1}, Data: []float64{1, 2}}}, nil, "found both"},
		"x of one axis":  {[]npz.Named{{Name: "x", Shape: []int{2}, Data: []float64{1, 2}}, labels}, nil, "[batch, inputs]"},
		"NaN":            {[]npz.Named{{Name: "x", Shape: []int{2, 1}, Data: []float64{1, math.NaN()}}, labels}, nil, "found NaN at [1, 0]"},
		"more inputs":    {[]npz.Named{{Name: "x", Shape: []int{1, 2}, Data: []float64{1, 2}}, {Name: "labels", Shape: []int{1}, Data: []int64{0}}}, nil, "for 2 inputs"},
		"class":          {[]npz.Named{x, {Name: "labels", Shape: []int{2}, Data: []int64{0, 1}}}, nil, "a label from 0 to 0"},
		"negative":       {[]npz.Named{x, {Name: "labels", Shape: []int{2}, Data: []int64{0, -1}}}, nil, "classes from 0, found -1"},
		"fraction":       {[]npz.Named{x, {Name: "labels", Shape: []int{2}, Data: []float64{0, .5}}}, nil, "classes from 0, found 0.5"},
		"few labels":     {[]npz.Named{x, {Name: "labels", Shape: []int{1}, Data: []int64{0}}}, nil, "expected shape [2]"},
		"wide y":         {[]npz.Named{x, {Name: "y", Shape: []int{2, 2}, Data: make([]float64, 4)}}, nil, "the 1 outputs"},
		"weights":        {[]npz.Named{x, labels, {Name: "weights", Shape: []int{2}, Data: []float64{1, 1}}}, nil, `array "weights"`},
		"negative w":     {[]npz.Named{xs, {Name: "y", Shape: []int{2, 3, 1}, Data: make([]float64, 6)}, {Name: "weights", Shape: []int{2, 3}, Data: []float64{1, 1, -1, 0, 0, 0}}}, []string{"--rule", "bptt"}, "at least 0, found -1"},
		"trials":         {[]npz.Named{xs, labels}, nil, "learns at equilibria"},
		"another model":  {[]npz.Named{x, labels}, []string{"--model", "gru"}, `no "Wu"`},
		"same file":      {[]npz.Named{x, labels}, []string{"--out", weights}, "the file that is read"},
		"unknown rule":   {[]npz.Named{x, labels}, []string{"--rule", "jfbb"}, `did you mean "jfb"`},
		"no such folder": {[]npz.Named{x, labels}, []string{"--weights", dir}, "not the folder of a run"},
	} {
		t.Run(name, func(t *testing.T) {
			batch := archiveOf(t, dir, "batch.npz", tt.batch...)
			code, stdout, stderr := run(t, append([]string{"gradient", "--weights", weights, "--batch", batch, "--out", out}, tt.args...)...)
			if code != 2 || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit code %d, %q, want %q", code, stderr, tt.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file is written")
			}
		})
	}
}
