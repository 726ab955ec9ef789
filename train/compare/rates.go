package compare

import (
	"fmt"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/train"
)

// The sources of a learning rate: Row.RateSource.
const (
	RateTuned   = "tuned"   // chosen by Tune for this task and model
	RateDefault = "default" // of this package: chosen on the digits with the default configuration, and 0.03 for rules that are not in its table
	RateGiven   = "given"   // by the caller
)

// rateOf is the learning rate of a rule in a setting, and where it comes from.
func (p Plan) rateOf(setting, rule string) (lr float64, source string) {
	source = RateGiven
	if p.RatesTuned {
		source = RateTuned
	}
	if p.LR > 0 {
		return p.LR, RateGiven
	}
	if lr := p.Rates[setting][rule]; lr > 0 {
		return lr, source
	}
	if lr := learningRates[setting][rule]; lr > 0 {
		return lr, RateDefault
	}
	return defaultLearningRate, RateDefault
}

// rated notes in a trial where its learning rate comes from, and whether it was tuned for the task and model: a default
// rate is where defaults says that the configuration is that of its choice. Nothing learns in the control Untrained.
func (p Plan) rated(t *Trial, defaults bool) {
	lr, source := p.rateOf(t.Setting, t.Rule)
	if t.Rule == Untrained || t.LearningRate != lr && t.RateSource != "" {
		return
	}
	t.RateSource = source
	t.RateTuned = source == RateTuned || source == RateDefault && defaults && learningRates[t.Setting][t.Rule] > 0
}

// SameProblem reports whether learning rates that were chosen for one configuration are chosen for the other: task,
// model, optimiser but for its rate, and loss are the same.
func SameProblem[T deq.Float](a, b train.Config[T]) bool {
	return !slices.ContainsFunc(train.Differences(a, b), func(d train.Difference) bool {
		section, _, _ := strings.Cut(d.Path, ".")
		return d.Path != "optimizer.lr" && slices.Contains([]string{"task", "model", "optimizer"}, section) || d.Path == "train.loss"
	})
}

// defaultsHold reports whether the rates of this package were chosen for a configuration.
func defaultsHold[T deq.Float](c train.Config[T], parts train.Parts[T]) bool {
	plain := train.Default(parts)
	return plain.Task.Name == "digits" && plain.Model.Name == "rate" && plain.Optimizer.Name == "sgd" && SameProblem(plain, c)
}

// rateCell is the learning rate of a row with the first letter of its source.
func (r *Row) rateCell() string {
	if r.RateSource == "" {
		return "–"
	}
	return rate(r.LearningRate) + " " + r.RateSource[:1]
}

// rateLegend explains the sources of a setting's rates; it is empty where they are not known.
func rateLegend(s *Setting) string {
	var parts []string
	for _, source := range []struct{ name, text string }{
		{RateTuned, "t, tuned for this task and model"},
		{RateDefault, "d, default, tuned on the digits with the default model (0.03, untuned, for rules without one)"},
		{RateGiven, "g, given"},
	} {
		if slices.ContainsFunc(s.Rules, func(r Row) bool { return r.RateSource == source.name }) {
			parts = append(parts, source.text)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "lr: " + strings.Join(parts, "; ")
}

// fairness says that the rules have learning rates that were not tuned for the task and model, and how to tune them; it
// is empty where they were.
func fairness(s *Setting) string {
	var parts []string
	for _, source := range []struct{ name, text string }{
		{RateDefault, "the default of"}, {RateGiven, "the given one of"},
	} {
		var names []*Row
		for i := range s.Rules {
			if r := &s.Rules[i]; r.RateSource == source.name && !r.RateTuned {
				names = append(names, r)
			}
		}
		if len(names) > 0 {
			parts = append(parts, source.text+" "+list(names))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	text := fmt.Sprintf("The comparison is not fair yet: learning rates were not tuned for this task and model (%s), and a rule may be behind for its rate alone.", strings.Join(parts, "; "))
	if s.TuneCommand != "" {
		text += " Tune them all alike: " + s.TuneCommand
	}
	return text
}

// learningRates are the learning rates of `compare`, by setting and rule: of those in Grid
// the one that Tune chooses on the digits, with the default configuration and seeds 1 to 3
// (`attractor compare --tune` repeats the choice and prints the table). It looks at a fifth of
// the training data that is held out; the test data has no say in it. Those of
// uoro and kf-rtrl, which are slow, are chosen with seed 1 and 8 epochs.
var learningRates = map[string]map[string]float64{
	"all-trained": {
		"implicit": 0.1, "jfb": 0.3, "bptt": 0.1, "reparam-gradient": 0.3, "eqprop": 0.03,
		"neumann": 0.1, "phantom": 0.3, "shine": 0.3, "unrolled": 0.1, "reversible": 0.3,
		"rbp": 0.1, "tbptt": 0.3, "e-prop": 0.1, "rflo": 0.3, "snap-1": 0.1, "reparam-gradient-half": 0.01, "reparam-steepest": 0.1,
		"chl": 0.01, "feedback-alignment": 0.3, "sign-symmetric": 0.1, "kolen-pollack": 0.3, "node-perturbation": 0.03, "weight-perturbation": 0.1,
		"three-factor": 0.1, "mdgl": 0.3, "modprop": 0.1, "uoro": 0.03, "kf-rtrl": 0.1, "kernl": 0.3,
		"least-control": 0.1, "least-control-learned": 0.1, "holomorphic-eqprop": 0.1, ReadoutOnly: 0.3,
	},
	"credit-critical": {
		"implicit": 0.03, "jfb": 0.1, "bptt": 0.03, "reparam-gradient": 0.03, "eqprop": 0.03,
		"neumann": 0.1, "phantom": 0.3, "shine": 0.1, "unrolled": 0.03, "reversible": 0.1,
		"rbp": 0.03, "tbptt": 0.1, "e-prop": 0.1, "rflo": 0.3, "snap-1": 0.1, "reparam-gradient-half": 0.3, "reparam-steepest": 0.03,
		"chl": 0.03, "feedback-alignment": 0.3, "sign-symmetric": 0.1, "kolen-pollack": 0.3, "node-perturbation": 0.03, "weight-perturbation": 0.1,
		"three-factor": 0.03, "mdgl": 0.1, "modprop": 0.1, "uoro": 0.03, "kf-rtrl": 0.1, "kernl": 0.3,
		"least-control": 0.3, "least-control-learned": 0.3, "holomorphic-eqprop": 0.03, ReadoutOnly: 0.3,
	},
}

// defaultLearningRate is for a rule that is not in the table.
const defaultLearningRate = 0.03
