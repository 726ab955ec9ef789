package study_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"attractor/internal/figure"
	"attractor/solvers"
	"attractor/solvers/study"
)

// The networks are those for which the methods' evaluations are known: medians and failures of
// 15 at gains 0.9, 1.1 and 1.3, no more than when the methods were chosen.
func TestKnown(t *testing.T) {
	methods := []study.Method{
		{Name: "picard", Value: solvers.Picard[float64]{}},
		{Name: "anderson", Value: solvers.Anderson[float64]{}},
		{Name: "broyden, full memory", Value: solvers.Broyden[float64]{Memory: -1}},
	}
	calls := 0
	table, err := study.Run(t.Context(), methods, study.Options{Gains: []float64{0.9, 1.1, 1.3}, Repeats: 1}, func(done, of int) {
		if calls++; done != 3*calls || of != 9 {
			t.Errorf("told of %d of %d cells", done, of)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][3]struct{ evals, failures int }{
		{{49, 0}, {108, 5}, {201, 13}}, {{40, 0}, {69, 0}, {129, 4}}, {{34, 0}, {47, 0}, {63, 0}},
	} {
		for k, c := range table.Rows[i].Cells {
			evals := math.Inf(1)
			if c.Evals != nil {
				evals = *c.Evals
			}
			if (want[k].evals <= 200 && !(evals <= float64(want[k].evals))) || c.Failures > want[k].failures {
				t.Errorf("%s at gain %g: %g evaluations, %d failures, expected at most %v", table.Rows[i].Name, c.Gain, evals, c.Failures, want[k])
			}
			if (c.Evals == nil) != (c.Micros == nil) || (c.Evals == nil) != (c.Failures > 7) {
				t.Errorf("%s at gain %g: evaluations %v, time %v with %d failures", table.Rows[i].Name, c.Gain, c.Evals, c.Micros, c.Failures)
			}
		}
	}
	if table.Rows[0].Cells[2].Evals != nil {
		t.Error("Picard's iteration solves the median network at gain 1.3")
	}
}

func TestReport(t *testing.T) {
	methods := study.Methods(solvers.Catalog[float64]())
	if len(methods) != len(solvers.Catalog[float64]().Entries())+3 {
		t.Errorf("%d methods: %v", len(methods), methods)
	}
	o := study.Quick
	o.Units, o.Seeds = 20, 3
	table, err := study.Run(t.Context(), methods, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(newton in at most 420)", " anderson, window 27  ", "time, µs", "evaluations (networks not solved)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	text, err := json.Marshal(table)
	if err != nil || !bytes.Contains(text, []byte(`"methods":[{"name":"picard","max_evals":200,"gains":[{"gain":0.7,"evals":`)) {
		t.Errorf("%v %s", err, text)
	}
	png, err := figure.PNG(table.Figure())
	if err != nil || len(png) < 1000 {
		t.Errorf("%d bytes, %v", len(png), err)
	}
}

func TestRunErrors(t *testing.T) {
	methods := []study.Method{{Name: "picard", Value: solvers.Picard[float64]{}}}
	if _, err := study.Run(t.Context(), methods, study.Options{RTol: 1e-20}, nil); err == nil || !strings.Contains(err.Error(), "study: picard: ") {
		t.Errorf("an impossible tolerance: %v", err)
	}
	if _, err := study.Run(t.Context(), methods, study.Options{Seeds: -1}, nil); err == nil {
		t.Error("-1 seeds are accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := study.Run(ctx, methods, study.Quick, nil); err == nil {
		t.Error("a cancelled study ends well")
	}
}
