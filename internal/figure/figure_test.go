package figure_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"attractor/internal/figure"
)

var update = flag.Bool("update", false, "write the golden figures again")

// everything has one panel of each kind, with gaps and values out of range.
func everything() figure.Figure {
	nan := math.NaN()
	return figure.Figure{
		Title: "Everything",
		Panels: []figure.Panel{{
			Title: "Lines", X: figure.Axis{Label: "step", Log: true}, Y: figure.Axis{Label: "loss (nats)", Log: true},
			Lines: []figure.Line{
				{Name: "one", X: []float64{1, 10, 100, 1000}, Y: []float64{2, 0.5, 0, 1e-3}},
				{Name: "two", X: []float64{1, 10, 100, 1000}, Y: []float64{nan, 1, math.Inf(1), 2e-2}, Dashed: true},
			},
			Guides: []figure.Guide{{At: 30, Upright: true, Label: "here"}, {At: 0.1, Label: "target"}},
		}, {
			Title: "Dots", X: figure.Axis{Label: "accuracy", Percent: true}, Y: figure.Axis{Categories: []string{"one", "two", "three"}},
			Points: []figure.Points{{X: []float64{0.9, 0.5, nan}, Y: []float64{0, 1, 2}, XLo: []float64{0.8, 0.4, nan}, XHi: []float64{0.95, nan, nan}, Color: figure.Wine}},
		}, {
			Title: "Bars", X: figure.Axis{Categories: []string{"forward", "backward", "a much longer name"}}, Y: figure.Axis{Label: "time (ms)"},
			Bars: []figure.Bars{{Name: "one", Values: []float64{1, 2, nan}, Lo: []float64{0.9, 1.5, nan}, Hi: []float64{1.1, 2.5, nan}}, {Name: "two", Values: []float64{2, -1, 3}}},
		}, {
			Title: "Heat", X: figure.Axis{Label: "x"}, Y: figure.Axis{Label: "θ₁ (10⁻³)"},
			Heat: &figure.Heat{Z: [][]float64{{0, 1, 2}, {nan, 4, 8}}, Label: "rate (s⁻¹)"},
		}},
	}
}

// The golden pictures are compared pixel by pixel: a processor that fuses multiplications
// and additions may round a few differently.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		name string
		fig  figure.Figure
	}{{"example", learningCurves()}, {"everything", everything()}} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := figure.PNG(tc.fig)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", tc.name+".png")
			if *update {
				if err := figure.Save("testdata", tc.name, tc.fig); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(filepath.Join("testdata", tc.name+".svg")); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			a, err := png.Decode(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			b, err := png.Decode(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			if a.Bounds() != b.Bounds() {
				t.Fatalf("size %v, golden %v (go test -update writes it again)", a.Bounds(), b.Bounds())
			}
			differ := 0
			for y := range a.Bounds().Max.Y {
				for x := range a.Bounds().Max.X {
					r1, g1, b1, _ := a.At(x, y).RGBA()
					r2, g2, b2, _ := b.At(x, y).RGBA()
					if far(r1, r2) || far(g1, g2) || far(b1, b2) {
						differ++
					}
				}
			}
			if limit := a.Bounds().Dx() * a.Bounds().Dy() / 10_000; differ > limit {
				t.Errorf("%d pixels differ from %s, at most %d may (go test -update writes it again)", differ, path, limit)
			}
		})
	}
}

func far(a, b uint32) bool { return max(a, b)-min(a, b) > 8<<8 }

func TestBytesAreDeterministic(t *testing.T) {
	for name, render := range map[string]func(figure.Figure) ([]byte, error){"PNG": figure.PNG, "SVG": figure.SVG} {
		a, err := render(everything())
		if err != nil {
			t.Fatal(err)
		}
		b, err := render(everything())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two renderings differ", name)
		}
	}
}

// texts parses an SVG document and returns its texts.
func texts(t *testing.T, svg []byte) (all []string) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(svg))
	inText := false
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			inText = tok.Name.Local == "text"
		case xml.CharData:
			if inText {
				all = append(all, string(tok))
			}
			inText = false
		}
	}
}

func TestSVG(t *testing.T) {
	svg, err := figure.SVG(everything())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(texts(t, svg), "|")
	for _, want := range []string{"Everything", "one", "two", "step", "loss (nats)", "target", "here", "a much longer name", "80 %", "rate (s|"} {
		if !strings.Contains(got, want) {
			t.Errorf("no text %q in %s", want, got)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "http://www.w3.org/1999/xlink", "font-variant"} {
		if bytes.Contains(svg, []byte(bad)) {
			t.Errorf("the document holds %q", bad)
		}
	}
}

func TestInlineSVG(t *testing.T) {
	f := learningCurves()
	f.Title = `5 < 6 & "seven"`
	svg, err := figure.InlineSVG(f)
	if err != nil {
		t.Fatal(err)
	}
	texts(t, []byte(svg))
	if !strings.HasPrefix(svg, "<svg class=\"figure\"") || !strings.Contains(svg, `aria-label="5 &lt; 6 &amp; &#34;seven&#34;. Learning: `) {
		t.Errorf("begins %.200s", svg)
	}
	// Nothing is loaded from elsewhere, and every colour can be set by the page.
	if strings.Contains(svg, "href") || strings.Contains(svg, "url(") {
		t.Error("refers to something outside")
	}
	if bare := regexp.MustCompile(`(?:fill|stroke):#[0-9A-F]{6}`).FindString(svg); bare != "" {
		t.Errorf("a colour that a dark page cannot change: %s", bare)
	}
}

func TestNamesStandOutsideTheData(t *testing.T) {
	// Nine lines that all end in one place: each name has a height of its own.
	var f figure.Figure
	p := figure.Panel{X: figure.Axis{Label: "x"}, Y: figure.Axis{Label: "y"}}
	for i := range 9 {
		p.Lines = append(p.Lines, figure.Line{Name: strings.Repeat("n", i+1), X: []float64{0, 1}, Y: []float64{float64(i), 3}})
	}
	f.Panels = []figure.Panel{p}
	svg, err := figure.SVG(f)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for _, m := range regexp.MustCompile(`<text x="([^"]*)" y="([^"]*)"[^>]*>(n+)</text>`).FindAllStringSubmatch(string(svg), -1) {
		if other, taken := at[m[2]]; taken {
			t.Errorf("%q and %q at the same height", other, m[3])
		}
		at[m[2]] = m[3]
	}
	if len(at) != 9 {
		t.Errorf("%d names at the lines, want 9", len(at))
	}
}

func TestErrors(t *testing.T) {
	two, three := []float64{1, 2}, []float64{1, 2, 3}
	for _, tc := range []struct {
		name, want string
		fig        figure.Figure
	}{
		{"no panels", `figure "f": no panels`, figure.Figure{}},
		{"line", `line "l": 2 x and 3 y`, figure.Figure{Panels: []figure.Panel{{Lines: []figure.Line{{Name: "l", X: two, Y: three}}}}}},
		{"half a band", `line "l": a band needs both lo and hi`, figure.Figure{Panels: []figure.Panel{{Lines: []figure.Line{{Name: "l", X: two, Y: two, Lo: two}}}}}},
		{"labels", `points "p": 1 labels for 2 points`, figure.Figure{Panels: []figure.Panel{{Points: []figure.Points{{Name: "p", X: two, Y: two, Labels: []string{"a"}}}}}}},
		{"bars", `bars need categories on one axis; there are 0 on x and 0 on y`, figure.Figure{Panels: []figure.Panel{{Bars: []figure.Bars{{Values: two}}}}}},
		{"texts", `heat map: texts for other than 1 × 2 cells`, figure.Figure{Panels: []figure.Panel{{Heat: &figure.Heat{Z: [][]float64{two}, Texts: [][]string{{"a"}}}}}}},
		{"heat", `heat map: row 1 has 3 cells, row 0 has 2`, figure.Figure{Panels: []figure.Panel{{Heat: &figure.Heat{Z: [][]float64{two, three}}}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.fig.Title = "f"
			if _, err := figure.SVG(tc.fig); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
	if err := figure.Save(filepath.Join(t.TempDir(), "missing"), "f", learningCurves()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("saving into a missing directory: %v", err)
	}
}

// What can be empty, is.
func TestDegenerate(t *testing.T) {
	nan := []float64{math.NaN()}
	one := []float64{1}
	for _, tc := range []struct {
		name  string
		panel figure.Panel
	}{
		{"nothing", figure.Panel{}},
		{"only gaps", figure.Panel{Lines: []figure.Line{{X: nan, Y: nan, Lo: nan, Hi: nan}}, Points: []figure.Points{{X: nan, Y: nan}}}},
		{"logarithm of nothing", figure.Panel{X: figure.Axis{Log: true}, Y: figure.Axis{Log: true}, Lines: []figure.Line{{X: []float64{0}, Y: []float64{-1}}}}},
		{"one point", figure.Panel{Lines: []figure.Line{{X: one, Y: one}}}},
		{"one zero", figure.Panel{Lines: []figure.Line{{X: []float64{0}, Y: []float64{0}}}}},
		{"one cell", figure.Panel{Heat: &figure.Heat{Z: [][]float64{{5}}}}},
		{"empty cells", figure.Panel{Heat: &figure.Heat{Z: [][]float64{nan}, Log: true}}},
		{"huge", figure.Panel{Lines: []figure.Line{{X: []float64{0, 1}, Y: []float64{-1e300, 1e300}}}}},
		{"next to one", figure.Panel{Lines: []figure.Line{{X: []float64{0, 1}, Y: []float64{1, math.Nextafter(1, 2)}}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			svg, err := figure.SVG(figure.Figure{Panels: []figure.Panel{tc.panel}})
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"NaN", "Inf"} {
				if bytes.Contains(svg, []byte(bad)) {
					t.Errorf("the document holds %s", bad)
				}
			}
		})
	}
}
