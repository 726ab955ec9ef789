package compare

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"attractor/internal/figure"
)

// Citation is what to cite for one part of a comparison.
type Citation struct {
	Name string   // of the rule, model or task
	Refs []string // BibTeX records
}

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// WriteReport writes a result as an HTML page that needs nothing but itself: styles and
// figures are within it, and nothing is loaded from anywhere. The page adapts to narrow,
// dark and printed media.
func WriteReport(w io.Writer, r *Result, cites []Citation) error {
	p := page{Result: r, Environment: facts(r.Environment), Citations: citations(cites)}
	for _, s := range r.Seeds {
		p.Seeds = append(p.Seeds, fmt.Sprint(s))
	}
	for i := range r.Settings {
		s := &r.Settings[i]
		sec := section{Setting: s, ID: identifier(s.Name)}
		sec.rows()
		for _, f := range pair(Figures(r, s)) {
			svg, err := figure.InlineSVG(f.Figure)
			if err != nil {
				return fmt.Errorf("compare: report: setting %s: %w", s.Name, err)
			}
			sec.Figures = append(sec.Figures, inline{Caption: f.Caption, SVG: template.HTML(svg)})
		}
		p.Sections = append(p.Sections, sec)
	}
	if err := reportTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("compare: report: %w", err)
	}
	return nil
}

// pair joins the figures of cosine and cost into one, so that they are drawn to one scale.
func pair(figs []NamedFigure) []NamedFigure {
	if len(figs) < 3 {
		return figs
	}
	a, b := figs[1], figs[2]
	a.Figure.Alt += " " + b.Figure.Alt
	a.Figure.Panels = append(slices.Clone(a.Figure.Panels), b.Figure.Panels...)
	a.Figure.Names = figure.NamesBeside
	a.Caption = "Left: " + a.Caption + " Right: " + b.Caption
	return []NamedFigure{figs[0], a}
}

// The structs below are what the template sees.

type page struct {
	*Result
	Seeds       []string
	Environment []fact
	Sections    []section
	Citations   []citation
}

type fact struct{ Name, Value string }

type section struct {
	*Setting
	ID              string
	Measure         string // what the rules are ranked by
	Best            string
	Rows, Yardstick []cells
	Figures         []inline
}

type cells struct {
	Rule, Accuracy, AccuracyRange, Behind, BehindRange, P string
	Loss, Cosine, Evals, Wall, Memory, Rate, Fails        string
	Diverged                                              string
	Best                                                  bool
}

type inline struct {
	Caption string
	SVG     template.HTML // made by figure, which escapes all texts
}

type citation struct {
	Names string
	Text  string
}

func facts(e Environment) []fact {
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	add("CPU", e.CPU)
	if e.Cores > 0 {
		add("cores", fmt.Sprint(e.Cores))
	}
	add("precision", e.Precision)
	add("system", e.OS)
	add("compiler", e.Go)
	add("date", e.Date)
	return out
}

// citations puts records that several parts share under all their names.
func citations(cites []Citation) []citation {
	var out []citation
	for _, c := range cites {
		for _, ref := range c.Refs {
			ref = strings.TrimSpace(ref)
			if i := slices.IndexFunc(out, func(o citation) bool { return o.Text == ref }); i < 0 {
				out = append(out, citation{Names: c.Name, Text: ref})
			} else if !slices.Contains(strings.Split(out[i].Names, ", "), c.Name) {
				out[i].Names += ", " + c.Name
			}
		}
	}
	return out
}

func (s *section) rows() {
	y := yardstickOf(s.Setting)
	s.Measure = y.name
	learn, _ := y.best(s.Setting)
	var top *Row
	if len(learn) > 0 {
		top = learn[0]
		s.Best = top.Rule
	}
	for i := range s.Setting.Rules {
		r := &s.Setting.Rules[i]
		c := cells{Rule: r.Rule, Loss: number(r.TestLoss.Mean, 4), Cosine: cosineCell(r), Evals: number(r.Evals, 3), Wall: number(r.WallS, 3),
			Memory: Bytes(r.PeakBytes), Rate: rate(r.LearningRate), Fails: r.Fails,
			Diverged: fmt.Sprintf("%d/%d", r.Diverged, len(r.Trials)), Best: r == top, Behind: "–", P: "–"}
		c.Accuracy, c.AccuracyRange = "–", ""
		if iv := r.TestAccuracy; finite(iv.Mean) {
			c.Accuracy = fmt.Sprintf("%.1f", 100*iv.Mean)
			c.AccuracyRange = ends(iv, func(v float64) string { return fmt.Sprintf("%.1f", 100*v) })
		}
		if top != nil && r != top {
			d := y.differ(r, top)
			if finite(d.Mean) {
				c.Behind = y.gap(d.Mean)
				iv := d.Interval
				if y.sign > 0 {
					iv = iv.Clip(-1, 1)
				}
				c.BehindRange = ends(iv, y.gap)
			}
			if finite(d.PT) {
				c.P = pValue(d.PT)
			}
		}
		if r.Control {
			s.Yardstick = append(s.Yardstick, c)
		} else {
			s.Rows = append(s.Rows, c)
		}
	}
}

func rate(v float64) string {
	if !finite(v) || v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2g", v)
}

func pValue(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	if p < 0.1 {
		return fmt.Sprintf("%.3f", p)
	}
	return fmt.Sprintf("%.2f", p)
}

func ends(iv Interval, show func(float64) string) string {
	if !finite(iv.Lo) || !finite(iv.Hi) {
		return ""
	}
	return show(iv.Lo) + " to " + show(iv.Hi)
}

// identifier makes a name fit for a fragment of an address.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}
