package compare

import (
	"math"
	"strings"
	"testing"

	"attractor/train"
)

// What no trial can have is named; what was not measured is right.
func TestTrialCheck(t *testing.T) {
	nan := math.NaN()
	for want, change := range map[string]func(*Trial){
		"": func(t *Trial) { t.TestAccuracy, t.Evals, t.MaxRadius = nan, nan, nan },
		"test_accuracy: expected a number from 0 to 1, found 7.5": func(t *Trial) { t.TestAccuracy = 7.5 },
		"test_accuracy":             func(t *Trial) { t.TestAccuracy = -1e-9 },
		"setting":                   func(t *Trial) { t.Setting = "all-traine" },
		"rule":                      func(t *Trial) { t.Rule = "" },
		"learning_rate":             func(t *Trial) { t.LearningRate = nan },
		"wall_s":                    func(t *Trial) { t.WallS = -1 },
		"evals":                     func(t *Trial) { t.Evals = -1 },
		"peak_bytes":                func(t *Trial) { t.PeakBytes = -1 },
		"max_radius":                func(t *Trial) { t.MaxRadius = -1 },
		"curve[0].test_accuracy":    func(t *Trial) { t.Curve[0].TestAccuracy = 1.5 },
		"curve[0].step":             func(t *Trial) { t.Curve[0].Step = -1 },
		"cosine[0].cosine":          func(t *Trial) { t.Cosine[0].Cosine = -1.1 },
		"cosine[0].per_param.W":     func(t *Trial) { t.Cosine[0].PerParam["W"] = 2 },
		"cosine[0].norm_ratio":      func(t *Trial) { t.Cosine[0].NormRatio = -1 },
		"looks[0].samples":          func(t *Trial) { t.Looks[0].Samples = -1 },
		"looks[0].cosines[1][0]":    func(t *Trial) { t.Looks[0].Cosines[1][0] = 1.5 },
		"looks[0].cosines: ":        func(t *Trial) { t.Looks[0].Cosines = t.Looks[0].Cosines[:1] },
		"looks[0].views[0].cosine":  func(t *Trial) { t.Looks[0].Views[0].Cosine = -2 },
		"curve[0].spectral_radius:": func(t *Trial) { t.Curve[0].SpectralRadius = -0.5 },
	} {
		trial := Trial{Setting: "all-trained", Rule: "jfb", Seed: 1, LearningRate: 0.1, TestAccuracy: 1, TestLoss: 0.1, MaxRadius: 1.2,
			Curve: []Point{{TestAccuracy: 0}}, Cosine: []CosinePoint{{Cosine: 1 + 1e-12, PerParam: map[string]float64{"W": nan}, NormRatio: 1}},
			Looks: []Look{{Gradients: []string{ExactGradient, "jfb"}, Cosines: [][]train.Number{{1, 0.5}, {0.5, 1}}, Views: []View{{Rule: "jfb"}}}}}
		change(&trial)
		err := trial.Check()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
		r := Result{Settings: []Setting{{Rules: []Row{{Trials: []Trial{trial}}}}}}
		if (r.Check() == nil) != (want == "") {
			t.Errorf("%v of a result; want %q", r.Check(), want)
		}
	}
}
