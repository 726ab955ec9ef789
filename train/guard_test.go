package train

import (
	"bytes"
	"encoding/json"
	"math"
	"math/cmplx"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/deq"
	"attractor/models"
)

// trained returns the records of a run and its recurrent weights at the end.
func trained[T deq.Float](t *testing.T, sets ...string) ([]StepRecord, []T) {
	t.Helper()
	tr, err := New(configured[T](t, sets...), Ours[T]())
	if err != nil {
		t.Fatal(err)
	}
	var records []StepRecord
	for !tr.Done() {
		r, _, err := tr.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records, tr.Layer.Params.Data("W")
}

// unstable is a network that begins, and without a guard goes on, with a large radius.
func unstable(more ...string) []string {
	return append([]string{"model.gain=2", "model.units=40", "model.input_gain=0.1", "optimizer.lr=1e-3", "train.stability_every=2"}, more...)
}

func TestStabilityGuard(t *testing.T) {
	guard[float32](t)
	guard[float64](t)
}

func guard[T deq.Float](t *testing.T) {
	for _, rule := range []string{"rule=implicit", "rule=bptt"} {
		off, plain := trained[T](t, unstable(rule)...)
		recorded, same := trained[T](t, unstable(rule, "train.stability=record")...)
		warned, same2 := trained[T](t, unstable(rule, "train.stability=warn")...)
		shrunk, smaller := trained[T](t, unstable(rule, "train.stability=shrink")...)
		if d := cmp.Diff(plain, same) + cmp.Diff(plain, same2); d != "" {
			t.Errorf("%s: looking at the radius changed the training:\n%s", rule, d)
		}
		for i := range off {
			if off[i].Radius != nil || off[i].Unstable != "" {
				t.Errorf("%s: step %d: a radius without being asked", rule, i+1)
			}
			if due := i%2 == 0; (recorded[i].Radius != nil) != due {
				t.Errorf("%s: step %d: radius recorded: %v, due: %v", rule, i+1, !due, due)
				continue
			} else if !due {
				continue
			}
			if r := float64(*recorded[i].Radius); !(r > 1.2) || recorded[i].Unstable != "" {
				t.Errorf("%s: step %d: recorded %g %q, expected an unstable network, and no message", rule, i+1, r, recorded[i].Unstable)
			}
			if !strings.Contains(warned[i].Unstable, "above stability_bound 0.99") || !(math.Abs(float64(*warned[i].Radius-*recorded[i].Radius)) <= 0) {
				t.Errorf("%s: step %d: %q", rule, i+1, warned[i].Unstable)
			}
			// The first look finds the network as it was drawn; the state moves when W shrinks,
			// and with it the radius, so that it takes a few looks to be near the bound.
			if r := float64(*shrunk[i].Radius); i >= 8 && r > 1.05 {
				t.Errorf("%s: step %d: the radius is %g in spite of the guard", rule, i+1, r)
			}
		}
		var before, after float64
		for i := range plain {
			before, after = before+float64(plain[i])*float64(plain[i]), after+float64(smaller[i])*float64(smaller[i])
		}
		if !(after < before/2) {
			t.Errorf("%s: ‖W‖² is %g with and %g without the guard", rule, after, before)
		}
	}
}

// The eigenvalues recorded are those of the sample with the largest radius, in full or the first
// ones of them; looking at them changes no number of the training.
func TestStabilitySpectrum(t *testing.T) {
	for _, rule := range []string{"rule=implicit", "rule=bptt"} {
		sets := []string{rule, "train.epochs=1", "model.units=70", "model.dropout=0.3", "train.stability=record", "train.stability_every=1"}
		plain, w := trained[float64](t, sets...)
		all, same := trained[float64](t, append(sets, "train.stability_spectrum=all")...)
		some, same2 := trained[float64](t, append(sets, "train.stability_spectrum=3")...)
		if d := cmp.Diff(w, same) + cmp.Diff(w, same2); d != "" {
			t.Errorf("%s: looking at the spectrum changed the training:\n%s", rule, d)
		}
		for i := range plain {
			if plain[i].Spectrum != nil || len(all[i].Spectrum) != 70 || len(some[i].Spectrum) < 3 || len(some[i].Spectrum) > 4 {
				t.Fatalf("%s: step %d: %d, %d and %d eigenvalues, expected 0, 70 and 3 or 4", rule, i+1, len(plain[i].Spectrum), len(all[i].Spectrum), len(some[i].Spectrum))
			}
			for k, v := range some[i].Spectrum {
				if d := cmplx.Abs(complex128(v - all[i].Spectrum[k])); !(d <= 1e-8) {
					t.Errorf("%s: step %d: eigenvalue %d is %v of some, %v of all", rule, i+1, k, v, all[i].Spectrum[k])
				}
			}
			// The radius is an estimate to about a hundredth.
			if r := cmplx.Abs(complex128(all[i].Spectrum[0])); !(math.Abs(r-float64(*all[i].Radius)) <= 0.03) {
				t.Errorf("%s: step %d: the largest eigenvalue has modulus %g, the radius is %g", rule, i+1, r, *all[i].Radius)
			}
		}
	}
	line, err := json.Marshal(StepRecord{Spectrum: []Complex{0.5 - 2i}})
	if err != nil || !strings.Contains(string(line), `"spectrum":[[0.5,-2]]`) {
		t.Errorf("%v in %s", err, line)
	}
	var back StepRecord
	if err := json.Unmarshal(line, &back); err != nil || back.Spectrum[0] != 0.5-2i {
		t.Errorf("%v read back as %v", err, back.Spectrum)
	}
}

// What does not learn is not shrunk.
func TestGuardLeavesWhatIsFixed(t *testing.T) {
	_, w := trained[float32](t, unstable("train.stability=shrink", "train.trained=readout")...)
	l, err := deq.New[float32](models.Rate{N: 40, Gain: 2, InputGain: 0.1}, 2, 2, 1, deq.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l.Params.Data("W"), w); d != "" {
		t.Error(d)
	}
}

func TestStabilitySettings(t *testing.T) {
	for set, want := range map[string]string{
		"train.stability=shrnk":      `did you mean "shrink"`,
		"train.stability_bound=-1":   "stability_bound: expected a positive number, found -1",
		"train.stability_every=-1":   "stability_every: expected at least 1, found -1",
		"train.stability_bound=0":    "stability_bound: expected a positive number, found 0",
		"train.batch=0":              "batch: expected at least 1, found 0",
		"train.clip=0":               "clip: expected a positive bound, found 0",
		"train.stability_bound=.nan": "finite",

		"train={stability: warn, stability_spectrum: most}": `expected none, all or a number, found "most"`,
		"train.stability_spectrum=4":                        "stability off, which never looks",
	} {
		if _, err := Read(Ours[float32](), "test", nil, []string{set}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", set, err, want)
		}
	}
	all := configured[float32](t, "train.stability=record", "train.stability_spectrum=all", "model.units=1025")
	if _, err := New(all, Ours[float32]()); err == nil || !strings.Contains(err.Error(), "at most 1024 units is decomposed, found 1025") {
		t.Errorf("the whole spectrum of 1025 units: %v", err)
	}
	var b bytes.Buffer
	if err := configured[float32](t, "train.stability=warn").Write(&b, Ours[float32]()); err != nil || !strings.Contains(b.String(), "stability: warn") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
