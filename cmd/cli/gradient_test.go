package cli

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attractor/internal/checkpoint"
	"attractor/internal/npz"
	"attractor/models"
	"attractor/train"
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
	return archiveOf(t, dir, "w.npz", oneUnitArrays()...)
}

func oneUnitArrays() []npz.Named {
	one := []int{1, 1}
	return []npz.Named{{Name: "W", Shape: one, Data: []float64{unit.w}}, {Name: "U", Shape: one, Data: []float64{unit.u}},
		{Name: "b", Shape: one[:1], Data: []float64{unit.b}}, {Name: "Wo", Shape: one, Data: []float64{unit.c}}, {Name: "bo", Shape: one[:1], Data: []float32{float32(unit.d)}}}
}

// threeUnits are weights of 3 units and 2 outputs, with b of some shape.
func threeUnits(t *testing.T, dir, name string, b []int, inputs int) string {
	t.Helper()
	return archiveOf(t, dir, name, npz.Named{Name: "W", Shape: []int{3, 3}, Data: []float64{.1, -.2, .3, .2, .1, -.1, .3, .2, -.2}},
		npz.Named{Name: "U", Shape: []int{3, inputs}, Data: make([]float64, 3*inputs)}, npz.Named{Name: "b", Shape: b, Data: []float64{.1, .2, .3}},
		npz.Named{Name: "Wo", Shape: []int{2, 3}, Data: []float64{1, 2, 3, 4, 5, 6}}, npz.Named{Name: "bo", Shape: []int{2}, Data: []float64{0, 1}})
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
		"more inputs":    {[]npz.Named{{Name: "x", Shape: []int{1, 2}, Data: []float64{1, 2}}, {Name: "labels", Shape: []int{1}, Data: []int64{0}}}, nil, "with the 2 inputs of x"},
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
		"own array":      {[]npz.Named{x, labels}, []string{"--rule", "rflo", "--weights", archiveOf(t, dir, "own.npz", append(oneUnitArrays(), npz.Named{Name: "rule/B", Shape: []int{1, 1}, Data: []float64{1}})...)}, `found the arrays "rule/B", but rule "rflo" with its options has of its own "rule/Wo"`},
		"no own array":   {[]npz.Named{x, labels}, []string{"--weights", filepath.Join(dir, "own.npz")}, "has no parameters of its own"},
		"units":          {[]npz.Named{x, labels}, []string{"--set", "model.units=5"}, "model.units 1, and the configuration says 5"},
		"default units":  {[]npz.Named{x, labels}, []string{"--set", "model.units=128"}, "model.units 1, and the configuration says 128"},
		"shape of b":     {[]npz.Named{{Name: "x", Shape: []int{2, 2}, Data: []float64{1, 2, 3, 4}}, labels}, []string{"--weights", threeUnits(t, dir, "b3.npz", []int{3, 1}, 2)}, `array "b": expected shape [3], found [3 1], as a network of 3 units and 2 outputs with the 2 inputs of x`},
		"width of x":     {[]npz.Named{{Name: "x", Shape: []int{2, 3}, Data: make([]float64, 6)}, labels}, []string{"--weights", threeUnits(t, dir, "u3.npz", []int{3}, 2)}, `array "U": expected shape [3 3], found [3 2], as a network of 3 units and 2 outputs with the 3 inputs of x`},
		"shape of W":     {[]npz.Named{x, labels}, []string{"--weights", archiveOf(t, dir, "w2.npz", append(oneUnitArrays()[1:], npz.Named{Name: "W", Shape: []int{1}, Data: []float64{1}})...)}, `array "W": expected shape [1 1], found [1]`},
		"large weights":  {[]npz.Named{xs, {Name: "y", Shape: []int{2, 3, 1}, Data: make([]float64, 6)}, {Name: "weights", Shape: []int{2, 3}, Data: []float64{1e60, 1, 1, 1, 1, 1}}}, []string{"--rule", "bptt", "--set", "train.precision=float32"}, "a weight within the range of float32: choose train.precision float64, or rescale it, found 1e+60"},
		"small weights":  {[]npz.Named{xs, {Name: "y", Shape: []int{2, 3, 1}, Data: make([]float64, 6)}, {Name: "weights", Shape: []int{2, 3}, Data: []float64{1e-60, 1, 1, 1, 1, 1}}}, []string{"--rule", "bptt", "--set", "train.precision=float32"}, "a weight within the range of float32"},
		"sum of weights": {[]npz.Named{xs, {Name: "y", Shape: []int{2, 3, 1}, Data: make([]float64, 6)}, {Name: "weights", Shape: []int{2, 3}, Data: []float64{1e308, 1e308, 1, 1, 1, 1}}}, []string{"--rule", "bptt"}, "weights with a finite sum"},
		"none learn":     {[]npz.Named{x, labels}, []string{"--set", "train.trained=none"}, "no parameter learns with train.trained none"},
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

// Weights of steps are taken in the precision of the run, whatever their size.
func TestGradientWeighsInItsPrecision(t *testing.T) {
	dir := t.TempDir()
	weights, out := oneUnit(t, dir), filepath.Join(dir, "g.npz")
	x, y, weight := []float64{1, -2, 0.3, 0.7, 0, 1}, []float64{0.5, 2, -1, 1, 0, 3}, []float64{0.1, 0.7, 1.0 / 3, 0.2, 0.9, 0.6}
	var z, sum, want float64
	for i := range x {
		if i == 3 {
			z = 0
		}
		z = unit.w*z + unit.u*x[i] + unit.b
		e := unit.c*z + unit.d - y[i]
		want, sum = want+weight[i]*e*e, sum+weight[i]
	}
	want /= sum
	for _, scale := range []float64{1, 3, 1e60, 1e-60} {
		scaled := make([]float64, len(weight))
		for i, w := range weight {
			scaled[i] = scale * w
		}
		batch := archiveOf(t, dir, "b.npz", npz.Named{Name: "x", Shape: []int{2, 3, 1}, Data: x}, npz.Named{Name: "y", Shape: []int{2, 3, 1}, Data: y}, npz.Named{Name: "weights", Shape: []int{2, 3}, Data: scaled})
		if code, _, stderr := run(t, "gradient", "--weights", weights, "--batch", batch, "--rule", "bptt", "--set", "model.activation=linear", "--out", out); code != 0 {
			t.Fatalf("weights times %g: exit code %d: %s", scale, code, stderr)
		}
		if got := readArchive(t, out)["loss"].Data[0]; !(math.Abs(got-want) <= 1e-14*want) {
			t.Errorf("weights times %g: loss %.17g, want %.17g", scale, got, want)
		}
	}
}

// What has no part in the gradient is told: arrays of other names, an array W that is not the weights, flossing, and a solve that
// failed by its name.
func TestGradientTellsWhatItLeavesOut(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "g.npz")
	weights := threeUnits(t, dir, "w.npz", []int{3}, 2)
	x, labels := npz.Named{Name: "x", Shape: []int{2, 2}, Data: []float64{1, 2, 3, 4}}, npz.Named{Name: "labels", Shape: []int{2}, Data: []int64{0, 1}}
	extra := archiveOf(t, dir, "extra.npz", npz.Named{Name: "W", Shape: []int{1, 1}, Data: []float64{.5}}, npz.Named{Name: "U", Shape: []int{1, 2}, Data: []float64{1, 1}}, npz.Named{Name: "b", Shape: []int{1}, Data: []float64{0}},
		npz.Named{Name: "Wo", Shape: []int{2, 1}, Data: []float64{1, 2}}, npz.Named{Name: "bo", Shape: []int{2}, Data: []float64{0, 0}}, npz.Named{Name: "w_extra", Shape: []int{1}, Data: []float64{0}})
	for name, tt := range map[string]struct {
		weights string
		batch   []npz.Named
		args    []string
		want    []string
	}{
		"nothing":    {weights, []npz.Named{x, labels}, nil, nil},
		"a batch":    {weights, []npz.Named{x, labels, {Name: "Weights", Shape: []int{2}, Data: []float64{1, 2}}}, nil, []string{"ignored", `\"Weights\" is called weights here`}},
		"a target":   {weights, []npz.Named{x, labels, {Name: "target", Shape: []int{2}, Data: []float64{1, 2}}}, nil, []string{"ignored", "there are x,y,labels", "target"}},
		"weights":    {extra, []npz.Named{x, labels}, nil, []string{"ignored", "w_extra"}},
		"flossing":   {weights, []npz.Named{x, labels}, []string{"--set", "flossing.times=1"}, []string{"flossing has no part"}},
		"Dale's law": {weights, []npz.Named{x, labels}, []string{"--set", "model.dale=0.67"}, []string{`array \"W\" is not what the network has`, "2 have the other sign", "effective/W"}},
		"rbp":        {weights, []npz.Named{x, labels}, []string{"--rule", "rbp", "--set", "rule.steps=3"}, []string{"the adjoint, which rbp relaxes in at most 3 steps", "raise rule.steps"}},
	} {
		t.Run(name, func(t *testing.T) {
			batch := archiveOf(t, dir, "batch.npz", tt.batch...)
			_, _, stderr := run(t, append([]string{"gradient", "--weights", tt.weights, "--batch", batch, "--out", out}, tt.args...)...)
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q, want %q", stderr, want)
				}
			}
			if len(tt.want) == 0 && stderr != "" {
				t.Errorf("%q", stderr)
			}
			if name == "Dale's law" {
				wants(t, readArchive(t, out), map[string][]float64{"effective/W": {.1, .2, -.3, .2, .1, -.1, .3, .2, -.2}}, nil)
			}
		})
	}
}

// The checkpoint of a masked and signed network has its weights beside the parameter.
func TestCheckpointHasEffectiveWeights(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := run(t, "train", "--task", "blobs", "--set", "model.units=10", "--set", "model.dale=0.8", "--set", "model.density=0.5", "--set", "train.precision=float64", "--epochs", "1", "--out", dir, "-q"); code != 0 {
		t.Fatal(stderr)
	}
	c, err := checkpoint.LoadForeign(filepath.Join(dir, "checkpoint.safetensors"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w, effective := c.Tensors["params/W"].Data.([]float64), c.Tensors["effective/W"].Data.([]float64)
	mask := models.Connections(1, 10, 10, 0.5)
	for k := range w {
		want := mask[k] * math.Abs(w[k])
		if k%10 >= 8 {
			want = -want
		}
		if effective[k] != want {
			t.Fatalf("entry %d: %v, want %v", k, effective[k], want)
		}
	}
	if code, _, stderr := run(t, "train", "--resume", dir, "-q"); code != 0 {
		t.Fatal(stderr)
	}
	batch := archiveOf(t, t.TempDir(), "b.npz", npz.Named{Name: "x", Shape: []int{1, 2}, Data: []float64{1, 2}}, npz.Named{Name: "labels", Shape: []int{1}, Data: []int32{0}})
	if code, _, stderr := run(t, "gradient", "--weights", dir, "--batch", batch, "--out", filepath.Join(t.TempDir(), "g.npz")); code != 0 || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// The help of gradient names the own arrays of every rule, and that of a rule its own.
func TestHelpNamesOwnArrays(t *testing.T) {
	parts := train.Ours[float64]()
	_, help, _ := run(t, "gradient", "--help")
	for _, e := range parts.Rules.Entries() {
		all, err := ownArraysOf(parts, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, own := range all {
			found := false
			for line := range strings.SplitSeq(strings.ReplaceAll(ownArrays, "\n                 ", ""), "\n") {
				found = found || strings.Contains(line, "rule/"+own.name) && strings.Contains(line, e.Name)
			}
			if !found {
				t.Errorf("the help of gradient does not name rule/%s of %s", own.name, e.Name)
			}
		}
		if len(all) == 0 && slices.Contains(strings.FieldsFunc(ownArrays, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }), e.Name) {
			t.Errorf("the help of gradient gives arrays to %s, which has none", e.Name)
		}
	}
	if !strings.Contains(help, ownArrays) {
		t.Error("the help of gradient does not list own arrays")
	}
	if _, stdout, _ := run(t, "help", "rflo"); !strings.Contains(stdout, "rule/Wo  [outputs, units]  fixed") {
		t.Errorf("help rflo: %s", stdout)
	}
}
