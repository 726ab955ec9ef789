package compare

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	for _, s := range realistic().Settings {
		var b bytes.Buffer
		if err := WriteTable(&b, s, false); err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s%s", b.String(), strings.Join(s.Findings, "\n"))
		for _, line := range strings.Split(b.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > 100 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if strings.Contains(b.String(), "\x1b") {
			t.Error("colours were not asked for")
		}
		for _, want := range []string{"implicit", "feedback-alignment", "evals", "MiB", "node-perturbation fails: "} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		}
		// The controls are last.
		if strings.Index(b.String(), Untrained) < strings.Index(b.String(), "node-perturbation ") {
			t.Errorf("a control stands among the rules:\n%s", b.String())
		}
		b.Reset()
		if err := WriteTable(&b, s, true); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "\x1b[1mimplicit") || !strings.Contains(b.String(), "\x1b[31mnode-perturbation") {
			t.Errorf("best and failing rules are not marked:\n%q", b.String())
		}
	}
}

// The worst that can stand in a row still fits.
func TestTableIsNarrow(t *testing.T) {
	long := strings.Repeat("much-too-long-", 4)
	var b bytes.Buffer
	s := NewSetting("s", "", []Trial{
		{Rule: long, Seed: 1, TestAccuracy: 0.99, TestLoss: 1.23456e-7, WallS: 123456, Evals: 12345.6, PeakBytes: 1 << 50, Diverged: true, Reason: strings.Repeat("because ", 30), Cosine: []CosinePoint{{Cosine: -0.123456}}},
		{Rule: long, Seed: 2, TestAccuracy: 0.999, TestLoss: 1.23456e-7, WallS: 1e7, Evals: 1e7},
		{Rule: long, Seed: 3, TestAccuracy: 0.93, TestLoss: 1.23456e-7, WallS: 1e7, Evals: 1e7},
	}, Summary{})
	if err := WriteTable(&b, s, false); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestCells(t *testing.T) {
	accuracy := func(values ...float64) string {
		return accuracyCell(&Summarise(trialsOf("a", 1, none, values...), Summary{})[0])
	}
	for _, tc := range []struct{ got, want string }{
		{Bytes(0), "–"}, {Bytes(512), "512 B"}, {Bytes(1536), "1.5 KiB"}, {Bytes(200 << 20), "200 MiB"}, {Bytes(1000 << 20), "1.0 GiB"},
		{number(0.123456, 4), "0.1235"}, {number(12.3456, 4), "12.35"}, {number(123456, 3), "123456"}, {number(1.5e-7, 3), "1.5e−07"},
		{number(none, 3), "–"}, {number(0, 3), "0"}, {number(41.4, 3), "41.4"}, {number(-0.5, 3), "−0.500"},
		{accuracy(0.947, 0.951, 0.955), "95.1 ± 1.0"}, {accuracy(0.99, 0.97, 1), "98.7 [94.9, 100.0]"},
		{accuracy(0.5), "50.0"}, {accuracy(none, 0.5), "50.0"}, {accuracy(1, 1, 1), "100.0 (no spread)"}, {accuracy(none, none), "–"},
		{pValue(0.04321), "0.043"}, {pValue(0.5), "0.50"}, {pValue(1e-5), "< 0.001"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}
