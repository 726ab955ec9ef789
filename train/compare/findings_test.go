package compare

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// trialsOf makes trials with exactly these accuracies, seeds 0, 1, 2, ….
func trialsOf(rule string, evals, cosine float64, accuracy ...float64) (out []Trial) {
	for i, a := range accuracy {
		t := Trial{Rule: rule, Seed: uint64(i), TestAccuracy: a, TestLoss: 1 - a, Evals: evals}
		if finite(cosine) {
			t.Cosine = []CosinePoint{{Step: 1, Cosine: cosine}}
		}
		out = append(out, t)
	}
	return out
}

// aligned adds the step to the cosines, seed by seed.
func aligned(trials []Trial, step float64) []Trial {
	for i := range trials {
		trials[i].Cosine[0].Cosine += step * float64(i)
	}
	return trials
}

func TestFindings(t *testing.T) {
	chance := trialsOf(Untrained, 20, none, 0.10, 0.11, 0.09)
	diverged := trialsOf("shaky", 20, none, 0.1, 0.9, 0.9)
	diverged[0].Diverged, diverged[0].Reason = true, "the loss grew beyond 1e6 at step 7"
	noAccuracy := func(trials ...Trial) []Trial {
		for i := range trials {
			trials[i].TestAccuracy = none
		}
		return trials
	}
	join := func(parts ...[]Trial) (all []Trial) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, tc := range []struct {
		name   string
		trials []Trial
		want   []string // each in some line
		not    []string // in no line
	}{
		{
			name: "a clear winner",
			// Differences 0.10, 0.12, 0.11: mean 11 points, t(0.975; 2)·1/√3 = 2.5 points.
			trials: join(trialsOf("a", 40, 1, 0.90, 0.92, 0.91), trialsOf("b", 20, 0.5, 0.80, 0.80, 0.80), chance),
			want: []string{"a has the best test accuracy, 91.0 %", "beats the next, b by 11.0 points", "over 3 seeds: 8.5 to 13.5, which excludes zero",
				"a follows the exact gradient (cosine ≥ 0.999), b 0.50", "cheapest rule, b, needs 0.5 times the evaluations per step of a and gives up 11.0 points"},
			not: []string{"told apart", "fails", "Alignment", "readout"},
		},
		{
			name:   "a tie, and the cheaper rule says so",
			trials: join(trialsOf("a", 40, 1, 0.90, 0.92, 0.91), trialsOf("b", 20, 0.9, 0.91, 0.90, 0.90), trialsOf("c", 20, 0.9, 0.5, 0.51, 0.5), chance),
			want: []string{"a has the best test accuracy, 91.0 %", "but it cannot be told apart from b, with differences of at most 0.7 points", "It beats c by 40.7 points",
				"b, which cannot be told apart from a, needs 0.5 times its evaluations per step"},
			not: []string{"c, which cannot", "gives up"},
		},
		{
			name:   "the order of the rules does not matter",
			trials: join(chance, trialsOf("b", 20, 0.5, 0.80, 0.80, 0.80), trialsOf("a", 40, 1, 0.90, 0.92, 0.91)),
			want:   []string{"a has the best test accuracy", "beats the next, b by 11.0 points"},
		},
		{
			name:   "one seed decides nothing",
			trials: join(trialsOf("a", 40, none, 0.9), trialsOf("b", 20, none, 0.8), trialsOf(Untrained, 20, none, 0.1)),
			want:   []string{"a has the best test accuracy, 90.0 %, before b by 10.0 points; a single shared seed cannot say"},
			not:    []string{"excludes zero", "told apart", "cosine"},
		},
		{
			name:   "the readout is nearly as good",
			trials: join(trialsOf("a", 40, none, 0.95, 0.96, 0.94), trialsOf("b", 40, none, 0.92, 0.931, 0.911), trialsOf(ReadoutOnly, 20, none, 0.92, 0.932, 0.911), chance),
			want:   []string{"Training the readout alone reaches 92.1 %, 97 % of the way from untrained to a: it is nearly as good", "Not shown to be better than that: b."},
			not:    []string{"the rest is what the rules add"},
		},
		{
			name:   "the readout is not enough",
			trials: join(trialsOf("a", 40, none, 0.95, 0.96, 0.94), trialsOf("b", 40, none, 0.92, 0.931, 0.911), trialsOf(ReadoutOnly, 20, none, 0.521, 0.53, 0.51), chance),
			want:   []string{"Training the readout alone reaches 52.0 %, 49 % of the way from untrained to a; the rest is what the rules add."},
			not:    []string{"nearly", "Not shown", "No rule is shown"},
		},
		{
			name:   "the readout is better",
			trials: join(trialsOf("a", 40, none, 0.85, 0.861, 0.84), trialsOf(ReadoutOnly, 20, none, 0.92, 0.93, 0.91), chance),
			want:   []string{"a reaches a test accuracy of 85.0 %", "better than every rule"},
			not:    []string{"nearly", "Only"},
		},
		{
			name:   "failures are named",
			trials: join(trialsOf("a", 40, 1, 0.95, 0.96, 0.94), diverged, trialsOf("lost", 20, 0.01, 0.05, 0.07, 0.049), chance),
			want:   []string{"Only a is shown to learn and does not fail", "shaky fails: diverged in 1 of 3 seeds (seed 0: the loss grew beyond 1e6 at step 7)", "lost fails: test accuracy 5.6 % [2.7, 8.6] is worse than untrained's 10.0 % (difference −4.4 points, 95 % interval −5.7 to −3.0)", "lost 0.01"},
		},
		{
			name:   "nobody learns",
			trials: join(trialsOf("lost", 20, none, 0.1, 0.11, 0.08), chance),
			want:   []string{"No rule is shown to learn in this setting.", "lost cannot be told from untrained with 3 seeds (difference −0.3 points, 95 % interval −1.8 to 1.1)."},
			not:    []string{"best", "fails"},
		},
		{
			name:   "alignment does not decide",
			trials: join(aligned(trialsOf("a", 20, 0.3, 0.95, 0.96, 0.94), 0.01), trialsOf("b", 20, 0.9, 0.80, 0.81, 0.785), chance),
			want:   []string{"Cosine to the exact gradient: b 0.90, a 0.31.", "a is less aligned than b and yet better", "No rule needs notably fewer evaluations per step than a (20)"},
		},
		{
			name:   "regression is ranked by loss",
			trials: noAccuracy(join(trialsOf("a", 40, none, 0.80, 0.81, 0.79), trialsOf("b", 20, none, 0.90, 0.92, 0.91), chance)...),
			want:   []string{"b has the best test loss, 0.09", "beats the next, a by 0.11 (95 % interval"},
			not:    []string{"points", "accuracy"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := Findings(Setting{Name: "s", Rules: Summarise(tc.trials, Summary{})})
			if len(lines) < 1 || len(lines) > 4 {
				t.Errorf("%d lines", len(lines))
			}
			text := strings.Join(lines, "\n")
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			for _, not := range append(tc.not, "NaN", "%!") {
				if strings.Contains(text, not) {
					t.Errorf("%q in\n%s", not, text)
				}
			}
		})
	}
	if got := Findings(Setting{}); got != nil {
		t.Errorf("findings of nothing: %q", got)
	}
}

// With a readout that the rules may not touch, readout-only is no yardstick.
func TestFindingsWithFixedReadout(t *testing.T) {
	trials := synthetic("s", 3, 2, fake{"a", 0.9, 0.001, none, 10, 0}, fake{ReadoutOnly, 0.95, 0, none, 5, 0}, fake{Untrained, 0.1, 0, none, 0, 0})
	for _, c := range []struct {
		fixed     bool
		want, not string
	}{{false, "training the recurrent weights only did harm", "do without"}, {true, "do without", "harm"}} {
		text := strings.Join(NewSetting("s", "", trials, Summary{FixedReadout: c.fixed}).Findings, " ")
		if !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("fixed readout %v: %s", c.fixed, text)
		}
	}
}

func TestFindingsTellOfInstability(t *testing.T) {
	trials := synthetic("s", 2, 2, fake{"a", 0.9, 0, none, 10, 0}, fake{"b", 0.8, 0, none, 10, 0})
	findings := func(radius ...float64) string {
		for i := range trials {
			trials[i].MaxRadius = radius[i%len(radius)]
		}
		return strings.Join(NewSetting("s", "", trials, Summary{}).Findings, " ")
	}
	if s := findings(none); strings.Contains(s, "spectral radius") {
		t.Errorf("nothing was measured: %s", s)
	}
	if s := findings(0.9); !strings.Contains(s, "stayed below 1 under every rule") {
		t.Errorf("stable: %s", s)
	}
	if s := findings(0.9, 1.25); !strings.Contains(s, "of 2 seeds, up to 1.25)") {
		t.Errorf("unstable: %s", s)
	}
}

func TestFindingsCompareWithTheReference(t *testing.T) {
	reference := trialsOf(ReferenceRule, 20, none, 0.90, 0.92, 0.91)
	seeds := func(n int, accuracy, spread float64) (out []float64) {
		for i := range n {
			out = append(out, accuracy+spread*math.Sin(float64(3*i)))
		}
		return out
	}
	for _, tc := range []struct {
		name   string
		trials []Trial
		want   []string
		not    []string
	}{
		{
			name:   "three seeds",
			trials: slices.Concat(reference, trialsOf("a", 20, none, 0.80, 0.82, 0.811), trialsOf("b", 20, none, 0.91, 0.90, 0.92)),
			want: []string{"Against implicit, by paired t tests corrected for 2 rules (Holm): a (−10.0 points, p < 0.001) is worse; b cannot be told apart.",
				"With 3 seeds the sign-flip test cannot fall below p = 0.25 and the Mann–Whitney test not below 0.10: no test that does without normal differences can reach p < 0.05 here",
				"with 6 seeds, with 7 after the correction for 2 rules"},
		},
		{
			name:   "five seeds",
			trials: slices.Concat(trialsOf(ReferenceRule, 20, none, seeds(5, 0.9, 0.01)...), trialsOf("a", 20, none, seeds(5, 0.5, 0.02)...)),
			want:   []string{"corrected for 1 rule (Holm): a (−40.1 points, p < 0.001) is worse.", "With 5 seeds", "the first cannot reach p < 0.05"},
			not:    []string{"after the correction"},
		},
		{
			name:   "ten seeds",
			trials: slices.Concat(trialsOf(ReferenceRule, 20, none, seeds(10, 0.9, 0.01)...), trialsOf("a", 20, none, seeds(10, 0.95, 0.02)...)),
			want:   []string{"a (5.1 points, p < 0.001) is better."},
			not:    []string{"With 10 seeds"},
		},
		{
			name:   "one seed",
			trials: slices.Concat(trialsOf(ReferenceRule, 20, none, 0.9), trialsOf("a", 20, none, 0.5)),
			not:    []string{"Against", "With 1 seed"},
		},
		{
			name:   "another reference",
			trials: slices.Concat(trialsOf(Untrained, 20, none, 0.1, 0.12, 0.11), trialsOf("a", 20, none, 0.5, 0.51, 0.52), trialsOf("b", 20, none, 0.7, 0.73, 0.71)),
			want:   []string{"Against a, by"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Join(NewSetting("s", "", tc.trials, Summary{}).Findings, "\n")
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			for _, not := range append(tc.not, "NaN") {
				if strings.Contains(text, not) {
					t.Errorf("%q in\n%s", not, text)
				}
			}
		})
	}
}
