package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"attractor/internal/rng"
	"attractor/train"
)

// fake is a rule of a synthetic comparison.
type fake struct {
	rule     string
	accuracy float64 // that it reaches
	noise    float64 // its own spread over seeds, beside what all rules share
	cosine   float64 // NaN for none
	evals    float64
	diverges int // how many of its trials
}

// synthetic makes trials that look like real ones: all rules of a seed share an offset.
func synthetic(setting string, seeds, epochs int, rules ...fake) []Trial {
	var trials []Trial
	for k, f := range rules {
		for seed := range seeds {
			r := rng.Stream(uint64(seed), "shared")
			shared := 0.01 * r.NormFloat64()
			own := rng.Stream(uint64(seed), f.rule+setting)
			reach := math.Min(f.accuracy+shared+f.noise*own.NormFloat64(), 0.995)
			t := Trial{Setting: setting, Rule: f.rule, Seed: uint64(seed), LearningRate: 1e-3, WallS: 0.4*f.evals + 0.5*own.Float64(),
				Evals: f.evals + 0.3*own.Float64(), PeakBytes: int64(3e6 + 4e5*f.evals), TestAccuracy: reach}
			t.TestLoss = 2.4 * math.Pow(1.02-reach, 0.8)
			stop := epochs
			if seed < f.diverges {
				t.Diverged, t.Reason = true, fmt.Sprintf("loss is NaN at step %d", 50*epochs/2)
				t.TestAccuracy, t.TestLoss, stop = 0.1, math.NaN(), epochs/2
			}
			for e := 0; e <= stop; e++ {
				acc := 0.1 + (reach-0.1)*(1-math.Exp(-float64(e)/(1.5+0.5*float64(k)))) + 0.004*own.NormFloat64()
				if f.rule == Untrained {
					acc = reach
				}
				t.Curve = append(t.Curve, Point{Step: 50 * e, Epoch: float64(e), TestAccuracy: acc, TrainLoss: 2.3 * math.Pow(1.01-math.Min(acc, 1), 0.9), SpectralRadius: 0.9})
				if finite(f.cosine) && e > 0 {
					c := math.Min(f.cosine+(1-f.cosine)*0.2*math.Exp(-float64(e)/5)+0.01*(1-f.cosine)*own.NormFloat64(), 1)
					t.Cosine = append(t.Cosine, CosinePoint{Step: 50 * e, Cosine: c, PerParam: map[string]float64{"W": c}, NormRatio: 1})
				}
			}
			trials = append(trials, t)
		}
	}
	return trials
}

var none = math.NaN()

// realistic is a whole result of two settings: in one everything is trained, in the other
// what the readout alone cannot do counts.
func realistic() *Result {
	const seeds = 3
	r := &Result{Task: "digits", Model: "vanilla (64 units)", Seeds: []uint64{0, 1, 2}, Version: "0.1.0",
		Command:     "attractor compare --task digits --model vanilla --rules implicit,rbp,jfb,neumann,eqprop,feedback-alignment,node-perturbation --seeds 3",
		Environment: Environment{Go: "go1.26", OS: "linux/amd64", CPU: "Example CPU, AVX2", Cores: 2, Precision: "float32", Date: "2026-01-02T03:04:05Z"}}
	r.Settings = []Setting{
		NewSetting("all-trained", "Every parameter is trained by the rule, the readout by its exact gradient.", synthetic("all-trained", seeds, 20,
			fake{"implicit", 0.963, 0.003, 1, 41, 0}, fake{"rbp", 0.962, 0.003, 0.9995, 63, 0}, fake{"jfb", 0.951, 0.004, 0.81, 22, 0},
			fake{"neumann", 0.957, 0.003, 0.93, 27, 0}, fake{"eqprop", 0.944, 0.006, 0.88, 84, 0}, fake{"feedback-alignment", 0.939, 0.006, 0.31, 22, 0},
			fake{"node-perturbation", 0.902, 0.012, 0.06, 45, 1}, fake{Untrained, 0.098, 0.01, none, 20, 0}, fake{ReadoutOnly, 0.931, 0.004, none, 21, 0}), Summary{}),
		NewSetting("credit-critical", "The readout is fixed at random: only credit assigned through the recurrent weights can solve the task.", synthetic("credit-critical", seeds, 20,
			fake{"implicit", 0.934, 0.005, 1, 44, 0}, fake{"rbp", 0.932, 0.005, 0.9993, 66, 0}, fake{"jfb", 0.842, 0.012, 0.62, 22, 0},
			fake{"neumann", 0.893, 0.006, 0.84, 27, 0}, fake{"eqprop", 0.871, 0.009, 0.79, 88, 0}, fake{"feedback-alignment", 0.412, 0.03, 0.12, 22, 0},
			fake{"node-perturbation", 0.053, 0.002, 0.03, 46, 0}, fake{Untrained, 0.099, 0.01, none, 20, 0}), Summary{}),
	}
	return r
}

func TestSummarise(t *testing.T) {
	trials := []Trial{
		{Rule: "a", Seed: 2, TestAccuracy: 0.9, TestLoss: 0.3, WallS: 3, Evals: 10, PeakBytes: 5, LearningRate: 0.1, Cosine: []CosinePoint{{Cosine: 0.5}, {Cosine: 0.7}}},
		{Rule: "a", Seed: 1, TestAccuracy: 0.8, TestLoss: 0.4, WallS: 1, Evals: 20, PeakBytes: 9, LearningRate: 0.1, Cosine: []CosinePoint{{Cosine: 0.8}}},
		{Rule: "b", Seed: 1, TestAccuracy: 0.5, TestLoss: math.NaN(), Diverged: true, Reason: "loss is NaN at step 3", LearningRate: 0.1},
		{Rule: "b", Seed: 2, TestAccuracy: math.NaN(), TestLoss: math.Inf(1), Diverged: true, LearningRate: 0.2},
		{Rule: Untrained, Seed: 1, TestAccuracy: 0.1},
		{Rule: Untrained, Seed: 2, TestAccuracy: 0.1},
	}
	rows := Summarise(trials, Summary{})
	a, b, u := rows[0], rows[1], rows[2]
	if a.Rule != "a" || b.Rule != "b" || u.Rule != Untrained || a.Control || !u.Control {
		t.Fatalf("rows %s, %s, %s", a.Rule, b.Rule, u.Rule)
	}
	if !cmp.Equal(a.Seeds, []uint64{1, 2}) || a.Trials[0].Seed != 1 {
		t.Errorf("seeds %v not sorted", a.Seeds)
	}
	near(t, "accuracy", a.TestAccuracy.Mean, 0.85, 1e-12)
	near(t, "upper end", a.TestAccuracy.Hi, 1, 0) // t(0.975; 1) = 12.7 takes it far above
	near(t, "wall", a.WallS, 2, 1e-12)
	near(t, "evals", a.Evals, 15, 1e-12)
	near(t, "cosine", a.CosineToExact.Mean, 0.7, 1e-12) // of 0.6 and 0.8
	if a.PeakBytes != 9 || a.LearningRate != 0.1 || a.Diverged != 0 {
		t.Errorf("row a: %+v", a)
	}
	if b.CosineToExact != nil || b.Diverged != 2 || !math.IsNaN(b.LearningRate) || b.TestAccuracy.Mean != 0.5 {
		t.Errorf("row b: %+v", b)
	}
	if want := "diverged in 2 of 2 seeds (seed 1: loss is NaN at step 3)"; !strings.HasPrefix(b.Fails, want) {
		t.Errorf("b fails: %q, want %q…", b.Fails, want)
	}
	if u.Fails != "" {
		t.Errorf("the baseline fails: %s", u.Fails)
	}
}

func TestFails(t *testing.T) {
	row := func(rule string, accuracy ...float64) (out []Trial) {
		for i, a := range accuracy {
			out = append(out, Trial{Rule: rule, Seed: uint64(i), TestAccuracy: a, TestLoss: 1 - a})
		}
		return out
	}
	loss := func(trials []Trial) []Trial {
		for i := range trials {
			trials[i].TestAccuracy = math.NaN()
		}
		return trials
	}
	base := row(Untrained, 0.10, 0.12, 0.08)
	for _, tc := range []struct {
		name   string
		trials []Trial
		fails  string
		open   string // Undecided
	}{
		{"far above", append(row("a", 0.9, 0.92, 0.88), base...), "", ""},
		{"the same", append(row("a", 0.11, 0.11, 0.09), base...), "", "cannot be told from untrained with 3 seeds (difference 0.3 points, 95 % interval −2.5 to 3.2)"},
		{"above but noisy", append(row("a", 0.9, 0.1, 0.2), base...), "", "cannot be told from untrained with 3 seeds (difference 30.0 points, 95 % interval −79.0 to 139.0)"},
		{"below", append(row("a", 0.01, 0.01, 0.01), base...), "test accuracy 1.0 % at every seed is worse than untrained's 10.0 % (difference −9.0 points, 95 % interval −14.0 to −4.0)", ""},
		{"no difference", append(row("a", 0.10, 0.12, 0.08), base...), "", "cannot be told from untrained with 3 seeds (difference 0.0 points at every seed, which has no spread and so no interval)"},
		{"above at every seed alike", append(row("a", 1, 1, 1), row(Untrained, 0.5, 0.5, 0.5)...), "", ""},
		{"noisy, and yet above at each", append(row("a", 0.9, 0.35, 0.12), row(Untrained, 0.8, 0.24, 0.02)...), "", ""},
		{"one seed above", append(row("a", 0.9), row(Untrained, 0.1)...), "", ""},
		{"one seed below", append(row("a", 0.05), row(Untrained, 0.1)...), "", "cannot be told from untrained with 1 seed (difference −5.0 points)"},
		{"no seed shared", append([]Trial{{Rule: "a", Seed: 9, TestAccuracy: 0.9}}, base...), "", "cannot be told from untrained: no seed has both"},
		{"never measured", append(row("a", none, none), base...), "nothing was measured", ""},
		{"regression, better", loss(append(row("a", 0.9, 0.92, 0.88), base...)), "", ""},
		{"regression, no better", loss(append(row("a", 0.11, 0.11, 0.09), base...)), "", "cannot be told from untrained with 3 seeds (difference 0.00333, 95 % interval −0.0254 to 0.032)"},
		{"no baseline", row("a", 0.01, 0.02), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := Summarise(tc.trials, Summary{})[0]; r.Fails != tc.fails || r.Undecided != tc.open {
				t.Errorf("fails %q, undecided %q, want %q, %q", r.Fails, r.Undecided, tc.fails, tc.open)
			}
		})
	}
}

var sameNumbers = cmp.Comparer(func(a, b train.Number) bool { return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) })

func TestJSON(t *testing.T) {
	r := realistic()
	r.Settings[0].Rules[0].Trials[0].Cosine[0].PerParam["b"] = math.NaN()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	delete(r.Settings[0].Rules[0].Trials[0].Cosine[0].PerParam, "b") // not finite: left out
	if diff := cmp.Diff(*r, back, cmpopts.EquateNaNs(), sameNumbers); diff != "" {
		t.Errorf("what was written is not what is read (-written +read):\n%s", diff)
	}
}

// The keys are an interface: programs read them.
func TestJSONKeys(t *testing.T) {
	r := Result{Task: "t", Model: "m", Seeds: []uint64{1}, Settings: []Setting{{Name: "all-trained", Rules: Summarise([]Trial{
		{Rule: "jfb", Seed: 1, TestAccuracy: 0.5, TestLoss: math.Inf(1), WallS: 2, Evals: 3, PeakBytes: 4, LearningRate: 0.1},
	}, Summary{})}}}
	r.Settings[0].Rules[0].Trials = nil
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"task":"t","model":"m","seeds":[1],"command":"","version":"","environment":{},"locality":null,` +
		`"settings":[{"name":"all-trained","doc":"","rules":[{"rule":"jfb","control":false,"seeds":[1],"learning_rate":0.1,"learning_rate_tuned":false,` +
		`"test_accuracy":{"mean":0.5,"lo":null,"hi":null},"test_loss":null,"test_loss_interval":{"mean":null,"lo":null,"hi":null},"cosine_to_exact":null,"cosine_to_exact_interval":null,"cosine_basis":{"looks":0,"taken":0,"partial":0,"samples":0,"missing":0,"unstable":0},` +
		`"wall_s":2,"evals":3,"peak_bytes":4,"diverged":0,"fails":"","to_reference":null,"samples":0,"unconverged":0,"trials":null}],"fixed_readout":false,"reference":"","findings":null}]}`
	if string(b) != want {
		t.Errorf("JSON\n%s\nwant\n%s", b, want)
	}
}
