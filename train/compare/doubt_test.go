package compare

import (
	"bytes"
	"strings"
	"testing"

	"attractor/train"
)

// A rule whose accuracy the dynamics may not have is marked in table and report, and only that.
func TestDoubtIsMarked(t *testing.T) {
	trials := func() []Trial {
		return synthetic("s", 2, 2, fake{"implicit", 0.9, 0, none, 10, 0}, fake{"jfb", 0.8, 0, none, 10, 0}, fake{"bptt", 0.85, 0, none, 10, 0}, fake{Untrained, 0.1, 0, none, 0, 0})
	}
	stable := train.FixedPoints{Samples: 100, Converged: 100, Method: "estimate", Examined: 64, Stable: 64}
	leaves := train.FixedPoints{Samples: 100, Converged: 98, Method: "estimate", Examined: 64, Stable: 6, Unstable: 54, Undecided: 4}
	setting := func(points train.FixedPoints, failed int64) Setting {
		all := trials()
		for i := range all {
			all[i].Samples = 1000
			switch all[i].Rule {
			case "implicit", Untrained:
				all[i].FixedPoints = &stable
			case "jfb": // the second of the two trials
				all[i].FixedPoints = &stable
				if all[i].Seed == 1 {
					all[i].FixedPoints, all[i].Unconverged = &points, failed
					if points != stable || failed > 0 {
						all[i].Warnings = []string{"as the trainer says"}
					}
				}
			}
			if err := func() error { u := all[i]; u.Setting = "all-trained"; return u.Check() }(); err != nil {
				t.Fatal(err)
			}
		}
		return NewSetting("s", "", all, Summary{})
	}
	for _, tc := range []struct {
		name   string
		s      Setting
		marked bool
		want   []string
	}{
		{"all is well", setting(stable, 0), false, []string{"accuracy: at fixed points for all of the test samples, all of 64 examined a trial stable"}},
		{"unstable", setting(leaves, 0), true, []string{"† the network's own dynamics", "jfb: 99.0 % of the test samples at a fixed point, 56.5 % of 124 examined stable, 4 not decided"}},
		{"failed", setting(stable, 696), true, []string{"a solve failed at 696 of 2000 samples of training"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.s.Row("jfb").Warnings; (len(got) == 1 && got[0] == "seed 1: as the trainer says") != tc.marked {
				t.Errorf("warnings %q", got)
			}
			var table, page bytes.Buffer
			if err := WriteTable(&table, tc.s, true); err != nil {
				t.Fatal(err)
			}
			if err := WriteReport(&page, &Result{Settings: []Setting{tc.s}}, nil); err != nil {
				t.Fatal(err)
			}
			balanced(t, page.String())
			plain := strings.Join(strings.Fields(table.String()), " ")
			for _, want := range tc.want {
				if !strings.Contains(plain, want) {
					t.Errorf("no %q in\n%s", want, table.String())
				}
			}
			for text, marks := range map[string][]string{table.String(): {"jfb†"}, page.String(): {`<th scope="row">jfb†`, "† <strong>jfb</strong>"}} {
				for _, m := range marks {
					if strings.Contains(text, m) != tc.marked {
						t.Errorf("%q: expected %v in\n%s", m, tc.marked, text)
					}
				}
				for _, m := range []string{"implicit†", "bptt†", "untrained†"} {
					if strings.Contains(text, m) {
						t.Errorf("%q in\n%s", m, text)
					}
				}
			}
			if !strings.Contains(table.String(), "\x1b[1mimplicit") {
				t.Errorf("the best rule is not bold:\n%q", table.String())
			}
			if !strings.Contains(page.String(), "stable</span>") {
				t.Error("the report does not tell of fixed points")
			}
		})
	}
}
