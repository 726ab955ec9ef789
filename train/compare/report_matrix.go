package compare

import (
	"fmt"
	"math"
	"strings"

	"attractor/internal/figure"
)

// matrices draws the alignment of gradients as heat maps with numbers: between any two rules
// while the reference drives, and of each rule with the exact gradient whichever drives.
func matrices(s *Setting) []NamedFigure {
	var out []NamedFigure
	for _, f := range []struct {
		name, caption, alt string
		panels             []figure.Panel
	}{
		{
			name:    "alignment",
			panels:  pairwise(s.alignmentsOf(s.Reference)),
			caption: fmt.Sprintf("Cosine between the gradients of any two rules, for the same batches at the same weights, while %s drives: means over batches and seeds. One is the same direction, zero a right angle.", s.Reference),
			alt:     fmt.Sprintf("Cosines between the gradients of any two rules while %s drives, in the setting %s.", s.Reference, s.Name),
		},
		{
			name:    "drivers",
			panels:  byDriver(s),
			caption: "Cosine to the exact gradient of the rule of a column, where the rule of the row has trained the network.",
			alt:     fmt.Sprintf("Cosine of each rule's gradient to the exact one, by the rule that drives, in the setting %s.", s.Name),
		},
	} {
		if len(f.panels) > 0 {
			out = append(out, NamedFigure{Name: f.name, Caption: f.caption, Figure: grid(f.alt, f.panels)})
		}
	}
	return out
}

// fewDrivers are so few that the report shows the alignment in the runs of each.
const fewDrivers = 8

// otherDrivers draws the alignment between any two rules while rules other than the reference
// drive, where they are few.
func otherDrivers(s *Setting) []NamedFigure {
	var out []NamedFigure
	for _, r := range s.Rules {
		moments := s.alignmentsOf(r.Rule)
		if r.Rule == s.Reference || len(moments) == 0 {
			continue
		}
		out = append(out, NamedFigure{
			Caption: fmt.Sprintf("The same while %s drives.", r.Rule),
			Figure:  grid(fmt.Sprintf("Cosines between the gradients of any two rules while %s drives, in the setting %s.", r.Rule, s.Name), pairwise(moments)),
		})
	}
	if len(out) > fewDrivers {
		return nil
	}
	return out
}

// pairwise are heat maps of the cosines between gradients, by moment.
func pairwise(moments []Alignment) []figure.Panel {
	var out []figure.Panel
	for _, a := range moments {
		z := make([][]float64, len(a.Cosines))
		for i, row := range a.Cosines {
			for _, c := range row {
				z[i] = append(z[i], c.Mean)
			}
		}
		out = append(out, heatOf(epochTitle(a), a.Gradients, a.Gradients, z))
	}
	return out
}

// byDriver are heat maps of the cosines to the exact gradient, drivers by rules, by moment but for
// the first: there nobody has driven yet.
func byDriver(s *Setting) []figure.Panel {
	var out []figure.Panel
	for moment := 1; ; moment++ {
		var drivers, names []string
		var z [][]float64
		title := ""
		for _, a := range s.Alignments {
			if a.Moment != moment {
				continue
			}
			drivers, names, title = append(drivers, a.Driver), a.Gradients[1:], epochTitle(a)
			var row []float64
			for _, c := range a.Cosines[0][1:] {
				row = append(row, c.Mean)
			}
			z = append(z, row)
		}
		if len(z) == 0 {
			return out
		}
		if len(z) > 1 {
			p := heatOf(title, drivers, names, z)
			p.X.Label, p.Y.Label = "gradient of", "trained by"
			out = append(out, p)
		}
	}
}

func epochTitle(a Alignment) string { return fmt.Sprintf("epoch %.3g", float64(a.Epoch)) }

// heatOf is a heat map of cosines.
func heatOf(title string, rows, columns []string, z [][]float64) figure.Panel {
	texts := make([][]string, len(z))
	for i, row := range z {
		for _, v := range row {
			texts[i] = append(texts[i], cosineText(v))
		}
	}
	return figure.Panel{
		Title: title, X: figure.Axis{Categories: columns}, Y: figure.Axis{Categories: rows},
		Heat: &figure.Heat{Z: z, Texts: texts, Diverging: true, Min: -1, Max: 1, Bare: true},
	}
}

// cosineText writes a cosine into a cell: .93, −.04, or 1 where it is one to three decimals.
func cosineText(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	text := strings.TrimPrefix(fmt.Sprintf("%.2f", math.Abs(v)), "0")
	switch {
	case text == ".00":
		return "0"
	case text == "1.00" && math.Abs(v) < 0.9995:
		text = "1.0"
	case text == "1.00":
		text = "1"
	}
	if v < 0 {
		return "−" + text
	}
	return text
}

// grid lays heat maps out so that their cells are square, and numbers of many remain readable.
func grid(alt string, panels []figure.Panel) figure.Figure {
	columns, rows := len(panels[0].X.Categories), len(panels[0].Y.Categories)
	cell, side := 26.0, 3
	if columns > 12 {
		cell, side = 20, 2
	}
	return figure.Figure{Alt: alt, Panels: panels, Cols: side, Names: figure.NamesNone, Width: cell * float64(columns), Height: cell * float64(rows)}
}
