package compare

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var cites = []Citation{
	{Name: "implicit", Refs: []string{"@inproceedings{bai2019deep,\n  title = {Deep Equilibrium Models},\n  author = {Bai, Shaojie and Kolter, J. Zico and Koltun, Vladlen},\n  booktitle = {NeurIPS},\n  year = {2019}\n}"}},
	{Name: "rbp", Refs: []string{"@article{pineda1987,\n  title = {Generalization of Back-Propagation to Recurrent Neural Networks},\n  author = {Pineda, Fernando J.},\n  journal = {Physical Review Letters},\n  volume = {59},\n  pages = {2229--2232},\n  year = {1987},\n  doi = {10.1103/PhysRevLett.59.2229}\n}"}},
	{Name: "neumann", Refs: []string{"@inproceedings{bai2019deep,\n  title = {Deep Equilibrium Models},\n  author = {Bai, Shaojie and Kolter, J. Zico and Koltun, Vladlen},\n  booktitle = {NeurIPS},\n  year = {2019}\n}"}},
}

func TestReport(t *testing.T) {
	r := realistic()
	r.Command += " --note '<b>&'"
	var b bytes.Buffer
	if err := WriteReport(&b, r, cites); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT_DIR"); dir != "" { // to be looked at in a browser
		if err := os.WriteFile(filepath.Join(dir, "report.html"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	html := b.String()
	balanced(t, html)
	for _, want := range []string{
		"all-trained", "credit-critical", "controls", "node-perturbation fails:", "&lt;b&gt;&amp;", "implicit, neumann</h3>", "doi = {10.1103", "Example CPU, AVX2",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in the report", want)
		}
	}
	if n := strings.Count(html, `<svg class="figure"`); n != 4 {
		t.Errorf("%d figures, want two for each of two settings", n)
	}
	if n := strings.Count(html, `role="img" aria-label="`); n != 4 {
		t.Errorf("%d of 4 figures have a text alternative", n)
	}
	for _, f := range r.Settings[0].Findings {
		if !strings.Contains(html, strings.NewReplacer("'", "&#39;", "&", "&amp;", "<", "&lt;").Replace(tie(f))) {
			t.Errorf("the finding is missing: %s", f)
		}
	}
	if strings.Contains(html, "NaN<") || strings.Contains(html, "Inf<") {
		t.Error("a number that is none shows")
	}
	// Nothing is loaded: no address but of the page itself.
	for _, m := range regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*"?([^"\s>)]*)`).FindAllStringSubmatch(html, -1) {
		if !strings.HasPrefix(m[1], "#") && m[1] != "data:," {
			t.Errorf("the page loads %q", m[1])
		}
	}
	if m := regexp.MustCompile(`https?://|@import|<script`).FindString(html); m != "" {
		t.Errorf("the page holds %q", m)
	}
}

// balanced checks that every element that begins also ends.
func balanced(t *testing.T, html string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(html, "<!DOCTYPE html>")))
	dec.Strict = false
	dec.AutoClose = []string{"meta", "link", "br"}
	dec.Entity = xml.HTMLEntity
	var open []string
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed within %v: %v", open, err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			open = append(open, tok.Name.Local)
		case xml.EndElement:
			if n := len(open); n == 0 || open[n-1] != tok.Name.Local {
				t.Fatalf("</%s> ends %v", tok.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("never ended: %v", open)
	}
}

// A report can be made of what little there is.
func TestReportOfLittle(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    Result
	}{
		{"nothing", Result{}},
		{"no rules", Result{Settings: []Setting{{Name: "s"}}}},
		{"nothing measured", Result{Settings: []Setting{NewSetting("s", "", []Trial{{Rule: "a", TestAccuracy: none, TestLoss: none, WallS: none, Evals: none, Diverged: true}}, Summary{})}}},
		{"one seed", Result{Settings: []Setting{NewSetting("s", "", synthetic("s", 1, 2, fake{"a", 0.9, 0, none, 10, 0}, fake{"b", 0.5, 0, none, 20, 0}), Summary{})}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteReport(&b, &tc.r, nil); err != nil {
				t.Fatal(err)
			}
			balanced(t, b.String())
			if strings.Contains(b.String(), "NaN") {
				t.Error("a number that is none shows")
			}
		})
	}
}
