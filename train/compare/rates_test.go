package compare

import (
	"bytes"
	"strings"
	"testing"

	"attractor/train"
)

// Where the rate of a rule comes from, and whether it was tuned for the task and model.
func TestRates(t *testing.T) {
	parts := train.Ours[float32]()
	rates := Rates{"all-trained": {"implicit": 0.07, "own": 0.05}}
	for _, tc := range []struct {
		name   string
		sets   []string
		plan   Plan
		rule   string
		lr     float64
		source string
		tuned  bool
	}{
		{"digits, as they were tuned on", nil, Plan{}, "implicit", 0.1, RateDefault, true},
		{"other epochs and solver", []string{"train.epochs=2", "solver=picard", "optimizer.lr=0.5"}, Plan{}, "jfb", 0.3, RateDefault, true},
		{"another task", []string{"task=blobs"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"another model", []string{"model=gru"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"another size", []string{"model.units=64"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"another optimiser", []string{"optimizer=adam"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"another momentum", []string{"optimizer.momentum=0"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"another loss", []string{"train.loss=mse"}, Plan{}, "implicit", 0.1, RateDefault, false},
		{"a rule of one's own", nil, Plan{}, "own", 0.03, RateDefault, false},
		{"given", nil, Plan{LR: 0.2}, "implicit", 0.2, RateGiven, false},
		{"given to a rule of one's own", []string{"task=blobs"}, Plan{LR: 0.2}, "own", 0.2, RateGiven, false},
		{"tuned", []string{"task=blobs"}, Plan{Rates: rates, RatesTuned: true}, "implicit", 0.07, RateTuned, true},
		{"tuned, one's own", []string{"task=blobs"}, Plan{Rates: rates, RatesTuned: true}, "own", 0.05, RateTuned, true},
		{"tuned for something else", nil, Plan{Rates: rates}, "implicit", 0.07, RateGiven, false},
		{"none among those tuned", nil, Plan{Rates: rates, RatesTuned: true}, "jfb", 0.3, RateDefault, true},
		{"nothing learns", nil, Plan{}, Untrained, 0.03, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := train.Read(parts, "test", nil, tc.sets)
			if err != nil {
				t.Fatal(err)
			}
			lr, _ := tc.plan.rateOf("all-trained", tc.rule)
			trial := Trial{Setting: "all-trained", Rule: tc.rule, LearningRate: lr}
			tc.plan.rated(&trial, defaultsHold(c, parts))
			if lr != tc.lr || trial.RateSource != tc.source || trial.RateTuned != tc.tuned {
				t.Errorf("%g, %q, tuned %v: expected %g, %q, tuned %v", lr, trial.RateSource, trial.RateTuned, tc.lr, tc.source, tc.tuned)
			}
			if err := trial.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The findings say that a comparison is not fair, and only then; table and report have every rate and source.
func TestFairness(t *testing.T) {
	const command = "attractor compare --tune --task blobs"
	setting := func(change func(*Trial)) Setting {
		trials := synthetic("s", 2, 2, fake{"a", 0.9, 0, none, 10, 0}, fake{"b", 0.8, 0, none, 10, 0}, fake{Untrained, 0.1, 0, none, 0, 0})
		for i := range trials {
			if trials[i].Rule != Untrained {
				trials[i].LearningRate, trials[i].RateSource, trials[i].RateTuned = 0.1, RateTuned, true
				change(&trials[i])
			}
		}
		return NewSetting("s", "", trials, Summary{TuneCommand: command})
	}
	for _, tc := range []struct {
		name   string
		s      Setting
		unfair string // "" for fair
		cell   string
	}{
		{"tuned", setting(func(*Trial) {}), "", "0.1 t"},
		{"default where it holds", setting(func(t *Trial) { t.RateSource = RateDefault }), "", "0.1 d"},
		{"default elsewhere", setting(func(t *Trial) { t.RateSource, t.RateTuned = RateDefault, false }), "(the default of a and b)", "0.1 d"},
		{"given", setting(func(t *Trial) { t.RateSource, t.RateTuned = RateGiven, false }), "(the given one of a and b)", "0.1 g"},
		{"one of them", setting(func(t *Trial) {
			if t.Rule == "b" {
				t.RateSource, t.RateTuned = RateDefault, false
			}
		}), "(the default of b)", "0.1 d"},
		{"of an earlier version", setting(func(t *Trial) { t.RateSource, t.RateTuned = "", false }), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Join(tc.s.Findings, "\n")
			if strings.Contains(text, "not fair yet") != (tc.unfair != "") || !strings.Contains(text, tc.unfair) || strings.Contains(text, command) != (tc.unfair != "") {
				t.Errorf("expected %q in\n%s", tc.unfair, text)
			}
			var table, page bytes.Buffer
			if err := WriteTable(&table, tc.s, false); err != nil {
				t.Fatal(err)
			}
			if err := WriteReport(&page, &Result{Settings: []Setting{tc.s}}, nil); err != nil {
				t.Fatal(err)
			}
			balanced(t, page.String())
			if !strings.Contains(table.String(), tc.cell) || strings.Contains(table.String(), "\nlr: ") != (tc.cell != "") {
				t.Errorf("no %q in\n%s", tc.cell, table.String())
			}
			if source := tc.s.Row("b").RateSource; source != "" && !strings.Contains(page.String(), `<td>0.1 <span class="range">`+source) {
				t.Errorf("the report does not say %s", source)
			}
		})
	}
}

func TestTuneCost(t *testing.T) {
	tune, comparison := Plan{Rules: []string{"a", "b"}, Seeds: []uint64{1, 2, 3}}.Cost()
	if want := (2 + 2) * 2 * 3; comparison != want || tune != len(Grid)*want {
		t.Errorf("%d and %d runs, expected %d and %d", tune, comparison, len(Grid)*want, want)
	}
}

// A rule of one's own is tuned as the others are: the same rates, and what they come to.
func TestTuneTreatsRulesAlike(t *testing.T) {
	parts := train.Ours[float32]()
	jfb, err := parts.Rules.Lookup("jfb")
	if err != nil {
		t.Fatal(err)
	}
	own := jfb
	own.Name = "own"
	parts.Rules = parts.Rules.With(own)
	c, err := train.Read(parts, "test", nil, []string{"task=blobs", "task.train=40", "model.units=4", "train.epochs=1"})
	if err != nil {
		t.Fatal(err)
	}
	choices, err := Tune(t.Context(), c, parts, Plan{Rules: []string{"jfb", "own"}, Settings: []string{"all-trained"}, Seeds: []uint64{1}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(choices) != 3 { // and the control that learns
		t.Fatalf("%d choices", len(choices))
	}
	for i, lr := range Grid {
		if a, b := choices[0].Tried[i], choices[1].Tried[i]; a.LR != lr || b.LR != lr || a.Accuracy.Mean != b.Accuracy.Mean || a.Loss.Mean != b.Loss.Mean {
			t.Errorf("at %g: %+v and %+v", lr, a, b)
		}
	}
}
