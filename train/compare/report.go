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

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"tie": tie}).Parse(reportText))

// tie keeps a number and what belongs to it on one line.
func tie(text string) string {
	return strings.NewReplacer(" %", "\u00a0%", " < ", "\u00a0<\u00a0", " = ", "\u00a0=\u00a0", " points", "\u00a0points").Replace(text)
}

// power writes the exponents of an order as such: n² for n^2.
func power(order string) string {
	return strings.NewReplacer("^2", "²", "^3", "³", "^4", "⁴").Replace(order)
}

// WriteReport writes a result as an HTML page that needs nothing but itself: styles and
// figures are within it, and nothing is loaded from anywhere. The page adapts to narrow,
// dark and printed media.
func WriteReport(w io.Writer, r *Result, cites []Citation) error {
	p := page{Result: r, Environment: facts(r.Environment), Citations: citations(cites), Local: localTable(r)}
	for _, s := range r.Seeds {
		p.Seeds = append(p.Seeds, fmt.Sprint(s))
	}
	for i := range r.Settings {
		s := &r.Settings[i]
		sec := section{Setting: s, ID: identifier(s.Name)}
		sec.rows()
		sec.Standings = standingsTable(s)
		var err error
		if sec.Figures, err = inlined(pair(Figures(r, s))); err == nil {
			sec.Others, err = inlined(otherDrivers(s))
		}
		if err != nil {
			return fmt.Errorf("compare: report: setting %s: %w", s.Name, err)
		}
		p.Sections = append(p.Sections, sec)
	}
	if err := reportTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("compare: report: %w", err)
	}
	return nil
}

func inlined(figs []NamedFigure) ([]inline, error) {
	var out []inline
	for _, f := range figs {
		svg, err := figure.InlineSVG(f.Figure)
		if err != nil {
			return nil, err
		}
		out = append(out, inline{Caption: f.Caption, SVG: template.HTML(svg)})
	}
	return out, nil
}

// pair joins the figures of cosine and cost into one, so that they are drawn to one scale.
func pair(figs []NamedFigure) []NamedFigure {
	if len(figs) < 3 || figs[1].Name != "cosine" || figs[2].Name != "cost" {
		return figs
	}
	a, b := figs[1], figs[2]
	a.Figure.Alt += " " + b.Figure.Alt
	a.Figure.Panels = append(slices.Clone(a.Figure.Panels), b.Figure.Panels...)
	a.Figure.Names = figure.NamesBeside
	a.Caption = "Left: " + a.Caption + " Right: " + b.Caption
	return append([]NamedFigure{figs[0], a}, figs[3:]...)
}

// The structs below are what the template sees.

type page struct {
	*Result
	Seeds       []string
	Environment []fact
	Sections    []section
	Citations   []citation
	Local       *table
}

// table is a table of texts, the first column a rule.
type table struct {
	Caption string
	Head    []string
	Rows    [][]string
	Note    string
}

type fact struct{ Name, Value string }

type section struct {
	*Setting
	ID              string
	Measure         string // what the rules are ranked by
	Points          bool   // differences are in points
	Rows, Yardstick []cells
	Tested          bool // there are rules with a Contrast of several seeds
	Power           string
	Standings       *table
	Figures, Others []inline
}

type cells struct {
	Rule, Accuracy, AccuracyRange, Behind, BehindRange, P string
	Loss, Cosine, CosineLooks, Evals, Wall, Memory, Rate  string
	Fails, Undecided, Diverged                            string
	Bootstrap, PT, PFlip, PFlipHolm, PRank                string
	Found, Stable, Doubt, RateSource                      string
	Best, Reference                                       bool
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
	s.Measure, s.Points, s.Power = y.name, y.sign > 0, s.power()
	learn, _ := y.best(s.Setting)
	for i := range s.Setting.Rules {
		r := &s.Setting.Rules[i]
		c := cells{Rule: r.Rule, Loss: number(r.TestLoss.Mean, 4), Cosine: cosineCell(r), Evals: number(r.Evals, 3), Wall: number(r.WallS, 3),
			Memory: Bytes(r.PeakBytes), Rate: rate(r.LearningRate), RateSource: r.RateSource, Fails: r.Fails, Undecided: r.Undecided, Doubt: r.Doubt(),
			Diverged: fmt.Sprintf("%d/%d", r.Diverged, len(r.Trials)), Best: len(learn) > 0 && r == learn[0], Reference: r.Rule == s.Reference,
			Behind: "–", P: "–", Bootstrap: "–"}
		if f := r.FixedPoints; f != nil {
			if c.Found = share(f.Converged, f.Samples); f.Decided() > 0 {
				c.Stable = share(f.Stable, f.Decided())
			}
		}
		if b := r.CosineBasis; b.Taken > 0 {
			c.CosineLooks = fmt.Sprintf("%d of %d", b.Looks, b.Taken)
		}
		c.Accuracy, c.AccuracyRange = "–", ""
		if iv := r.TestAccuracy; finite(iv.Mean) {
			c.Accuracy = fmt.Sprintf("%.1f", 100*iv.Mean)
			if c.AccuracyRange = ends(iv, func(v float64) string { return fmt.Sprintf("%.1f", 100*v) }); r.alike(Accuracy) {
				c.AccuracyRange = noSpread
			}
		}
		if t := r.Contrast; t != nil && finite(t.Difference.Mean) {
			iv := t.Difference
			if y.sign > 0 {
				iv = iv.Clip(-1, 1)
			}
			c.Behind, c.BehindRange, c.Bootstrap = y.gap(iv.Mean), ends(iv, y.gap), dash(ends(t.Bootstrap, y.gap))
			c.P, c.PT, c.PFlip, c.PFlipHolm, c.PRank = pCell(t.PTHolm), pCell(t.PT), pCell(t.PFlip), pCell(t.PFlipHolm), pCell(t.PRank)
			s.Tested = s.Tested || t.Pairs > 1
		}
		if r.Control {
			s.Yardstick = append(s.Yardstick, c)
		} else {
			s.Rows = append(s.Rows, c)
		}
	}
}

// localTable is what the rules reach beside how local they are.
func localTable(r *Result) *table {
	if len(r.Locality) == 0 {
		return nil
	}
	t := &table{Caption: "What the rules reach, and what they need beyond what a synapse has at hand: its weight and the activities of its two units."}
	for i := range r.Settings {
		y := yardstickOf(&r.Settings[i])
		unit := " (%)"
		if y.sign < 0 {
			unit = ""
		}
		t.Head = append(t.Head, r.Settings[i].Name+" "+y.name+unit)
	}
	var legend []string
	for _, f := range r.Locality[0].Audit.Facts() {
		t.Head = append(t.Head, f.Name)
		legend = append(legend, fmt.Sprintf("%s: %s", f.Name, f.Doc))
	}
	for _, l := range r.Locality {
		row := append([]string{l.Rule}, r.accuracies(l.Rule)...)
		for _, f := range l.Audit.Facts() {
			row = append(row, power(f.Value))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Note = strings.Join(append([]string{strings.Join(legend, "; ") + "."}, r.left()...), " ")
	return t
}

// standingsTable is what the rules make of the last moment of the reference's runs.
func standingsTable(s *Setting) *table {
	moments := s.alignmentsOf(s.Reference)
	if len(moments) == 0 {
		return nil
	}
	last := moments[len(moments)-1]
	t := &table{
		Caption: fmt.Sprintf("What the rules make of the same batches at the same weights, while %s drives, at epoch %.3g: means over batches and seeds.", s.Reference, float64(last.Epoch)),
		Head:    []string{"cosine to exact", "norm ratio", "sign agreement (%)", "bias", "spread over batches", "descent per length", "per evaluation", "per MiB", "evaluations", "memory"},
	}
	for _, v := range last.Views {
		t.Rows = append(t.Rows, []string{v.Rule, fixed(v.Cosine.Mean, 3), fixed(v.NormRatio.Mean, 2), fixed(100*v.SignAgreement.Mean, 1), fixed(root(v.BiasSquared.Mean), 2),
			fixed(root(v.Variance.Mean), 2), number(v.Descent.Mean, 3), number(v.PerEval.Mean, 3), number(v.PerMiB.Mean, 3), number(v.Evals.Mean, 3), Bytes(v.Bytes)})
		if v.Error != "" {
			t.Note += fmt.Sprintf("%s: %s. ", v.Rule, v.Error)
		}
	}
	t.Note += last.leaves()
	return t
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

// pText is a p-value in a sentence.
func pText(p float64) string {
	if v := pValue(p); strings.HasPrefix(v, "<") {
		return "p " + v
	}
	return "p = " + pValue(p)
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
