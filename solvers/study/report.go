package study

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"attractor/internal/figure"
)

// Write writes two tables: median evaluations with the failures in brackets, and median times.
func (t *Table) Write(w io.Writer) error {
	fmt.Fprintf(w, "z = tanh(Wz + b), %d units, gain g: median of %d networks to ‖g‖/‖f‖ < %g in at most %d evaluations\n",
		t.Units, t.Seeds, t.RTol, t.MaxEvals)
	for _, r := range t.Rows {
		if r.MaxEvals != t.MaxEvals {
			fmt.Fprintf(w, "(%s in at most %d)\n", r.Name, r.MaxEvals)
		}
	}
	for _, part := range []struct {
		title string
		text  func(r Row, c Cell) string
	}{
		{"evaluations (networks not solved)", func(r Row, c Cell) string {
			if c.Evals == nil {
				return fmt.Sprintf(">%d (%d)", r.MaxEvals, c.Failures)
			}
			return fmt.Sprintf("%.0f (%d)", *c.Evals, c.Failures)
		}},
		{"time, µs", func(_ Row, c Cell) string {
			if c.Micros == nil {
				return "-"
			}
			return fmt.Sprintf("%.0f", *c.Micros)
		}},
	} {
		fmt.Fprintf(w, "\n%s\n", part.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(tw, "g\t")
		for _, g := range t.Gains {
			fmt.Fprintf(tw, "%g\t", g)
		}
		fmt.Fprintln(tw)
		for _, r := range t.Rows {
			fmt.Fprintf(tw, "%s\t", r.Name)
			for _, c := range r.Cells {
				fmt.Fprintf(tw, "%s\t", part.text(r, c))
			}
			fmt.Fprintln(tw)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// look is how the curve of a method of ours is drawn: one with more memory as it is, dashed.
var look = map[string]figure.Line{
	"picard":               {Color: figure.Gray},
	"anderson":             {Color: figure.Blue},
	"anderson, window 27":  {Color: figure.Blue, Dashed: true},
	"anderson-qr":          {Color: figure.Sky},
	"broyden":              {Color: figure.Vermillion},
	"broyden, full memory": {Color: figure.Vermillion, Dashed: true},
	"broyden, compressed":  {Color: figure.Wine},
	"broyden-bad":          {Color: figure.Orange},
	"newton-gmres":         {Color: figure.Green},
	"newton":               {Color: figure.Olive},
	"auto":                 {Color: figure.Purple},
}

// Figure draws evaluations, time and failures against the gain. A curve ends where the median
// network is not solved.
func (t *Table) Figure() figure.Figure {
	x := figure.Axis{Label: "gain g"}
	panels := []figure.Panel{
		{Title: "evaluations to tolerance", X: x, Y: figure.Axis{Label: "evaluations (median)", Log: true}},
		{Title: "time to tolerance", X: x, Y: figure.Axis{Label: "time (µs, median)", Log: true}},
		{Title: "not solved", X: x, Y: figure.Axis{Label: "networks", Percent: true, Min: 0, Max: 1}},
	}
	for _, r := range t.Rows {
		line := look[r.Name]
		line.Name, line.X = r.Name, t.Gains
		values := make([][]float64, len(panels))
		for _, c := range r.Cells {
			values[0] = append(values[0], orGap(c.Evals))
			values[1] = append(values[1], orGap(c.Micros))
			values[2] = append(values[2], float64(c.Failures)/float64(t.Seeds))
		}
		for i := range panels {
			line.Y = values[i]
			panels[i].Lines = append(panels[i].Lines, line)
		}
	}
	return figure.Figure{
		Title:  fmt.Sprintf("z = tanh(Wz + b), %d units, W = g·randn/√n", t.Units),
		Alt:    "Evaluations, time and share of networks not solved against the gain of random networks, one curve per solver.",
		Panels: panels,
	}
}

func orGap(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
