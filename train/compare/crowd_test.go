package compare

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"attractor/internal/figure"
	"attractor/train"
	"attractor/train/rules"
)

// crowded is a result of many rules, all of which look on.
func crowded(many int) *Result {
	r := &Result{Task: "digits", Model: "rate", Seeds: []uint64{0, 1, 2}, NotApplicable: []NotApplicable{{Rule: "reparam", Reason: "needs a cell with one activation"}}}
	names := make([]string, many)
	for i := range names {
		names[i] = fmt.Sprintf("rule-%d-with-a-long-name", i)
	}
	names[0] = ReferenceRule
	cosine := func(a, b int) train.Number { return train.Number(math.Exp(-0.2 * math.Abs(float64(a-b)))) }
	for _, setting := range SettingNames() {
		var trials []Trial
		for k, name := range names {
			own := synthetic(setting, 3, 20, fake{name, 0.95 - 0.04*float64(k), 0.01, 0.9, 20 + float64(k), 0})
			for i := range own {
				for moment := range 3 {
					l := Look{Moment: moment, Step: 300 * moment, Epoch: train.Number(13.04 * float64(moment)), Batches: 4, Samples: 250, Dropped: 6, Gradients: append([]string{ExactGradient}, names...)}
					for a := range l.Gradients {
						l.Cosines = append(l.Cosines, nil)
						for b := range l.Gradients {
							l.Cosines[a] = append(l.Cosines[a], cosine(a, b))
						}
					}
					for a, n := range names {
						l.Views = append(l.Views, View{Rule: n, Descent: 1.234e-5, Evals: 12345, Bytes: 1 << 40,
							Measures: Measures{Cosine: cosine(0, a+1), NormRatio: 1234.5, SignAgreement: 1, BiasSquared: -0.01, Variance: 1e6}})
					}
					own[i].Looks = append(own[i].Looks, l)
				}
			}
			trials = append(trials, own...)
		}
		trials = append(trials, synthetic(setting, 3, 20, fake{Untrained, 0.1, 0.01, none, 20, 0}, fake{ReadoutOnly, 0.9, 0.01, none, 20, 0})...)
		r.Settings = append(r.Settings, NewSetting(setting, "", trials, Summary{}))
	}
	for _, n := range names {
		r.Locality = append(r.Locality, Locality{Rule: n, Audit: rules.Audit{Phases: true, Memory: "√T n", Time: "k n^2"}})
	}
	return r
}

// Twenty rules still fit a terminal and a page.
func TestManyRules(t *testing.T) {
	r := crowded(20)
	var b bytes.Buffer
	if err := WriteLocality(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Settings {
		for _, write := range []func(io.Writer, Setting) error{
			func(w io.Writer, s Setting) error { return WriteTable(w, s, false) }, WriteContrasts, WriteAlignment,
		} {
			if err := write(&b, s); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range s.Findings {
			if n := utf8.RuneCountInString(f); n > 900 {
				t.Errorf("a finding of %d characters: %s", n, f)
			}
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > columns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"k n²", "less that of implicit, in points", "18 of 768 samples are left out"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	var page bytes.Buffer
	if err := WriteReport(&page, r, nil); err != nil {
		t.Fatal(err)
	}
	balanced(t, page.String())
	for _, want := range []string{"not applicable", "needs a cell with one activation", "Gradients side by side", "Differences to implicit"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("no %q in the report", want)
		}
	}
	if strings.Contains(page.String(), "NaN<") || strings.Contains(page.String(), "while other rules drive</summary>") {
		t.Error("the report shows what is no number, or more than it should")
	}
	few := crowded(3)
	page.Reset()
	if err := WriteReport(&page, few, nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), "The same while rule-"); n != 4 {
		t.Errorf("%d alignments while others drive, want two in each of two settings", n)
	}
}

// No two rules have the same colour in one panel.
func TestCurvesOfManyRules(t *testing.T) {
	r := crowded(20)
	f := Figures(r, &r.Settings[0])[0].Figure
	if len(f.Panels) != 6 || f.Cols != 2 {
		t.Fatalf("%d panels in %d columns, want three rows of two", len(f.Panels), f.Cols)
	}
	names := map[string]bool{}
	for _, p := range f.Panels {
		seen := map[figure.Color]bool{}
		for _, l := range p.Lines {
			names[l.Name] = true
			if seen[l.Color] && l.Color != figure.Gray {
				t.Errorf("two curves of colour %d in one panel", l.Color)
			}
			seen[l.Color] = true
		}
	}
	if len(names) != 22 {
		t.Errorf("%d curves, want 20 rules and two controls", len(names))
	}
}
