package cli

import (
	"fmt"
	"math"

	"attractor/deq/stability"
	"attractor/internal/figure"
)

// phaseFigure shows trajectories, fixed points and unstable directions in the leading principal components.
func phaseFigure(r *analyzeResult, p *stability.Portrait) figure.Figure {
	panel := figure.Panel{
		X: figure.Axis{Label: fmt.Sprintf("component 1 (%.0f %% of the variance)", 100*p.Variance[0])},
		Y: figure.Axis{Label: fmt.Sprintf("component 2 (%.0f %%)", 100*p.Variance[1])},
	}
	width := 0.0
	line := func(name string, points [][2]float64, c figure.Color, w float64) {
		l := figure.Line{Name: name, Color: c, Width: w}
		for _, z := range points {
			l.X, l.Y = append(l.X, z[0]), append(l.Y, z[1])
		}
		panel.Lines = append(panel.Lines, l)
	}
	for _, path := range p.Paths {
		for _, z := range path {
			width = max(width, math.Abs(z[0]), math.Abs(z[1]))
		}
		line("trajectories", path, figure.Gray, 0.6)
	}
	const most = 3 // unstable directions that are drawn of a point
	for i, directions := range p.Unstable {
		for _, d := range directions[:min(most, len(directions))] {
			a := p.Points[i]
			h := 0.12 * width
			line("unstable directions", [][2]float64{{a[0] - h*d[0], a[1] - h*d[1]}, {a[0] + h*d[0], a[1] + h*d[1]}}, figure.Vermillion, 1.6)
		}
	}
	groups := []struct {
		figure.Points
		holds func(status string) bool
	}{
		{figure.Points{Name: "stable", Color: figure.Blue}, func(s string) bool { return s == stability.Stable }},
		{figure.Points{Name: "unstable", Color: figure.Vermillion, Hollow: true}, func(s string) bool { return s == stability.Saddle }},
		{figure.Points{Name: "marginal", Color: figure.Green}, func(s string) bool { return s == stability.Marginal }},
		{figure.Points{Name: "continuum", Color: figure.Green, Dots: true}, func(s string) bool { return s == stability.Extended }},
		{figure.Points{Name: "slow", Color: figure.Gray, Hollow: true}, func(s string) bool { return s == stability.Slow }},
	}
	for _, g := range groups {
		for i, q := range r.found {
			if !g.holds(q.Status) {
				continue
			}
			at := [][2]float64{p.Points[i]}
			for _, z := range p.Continua[i] { // as far as the trajectories go
				if max(math.Abs(z[0]), math.Abs(z[1])) <= 1.1*width {
					at = append(at, z)
				}
			}
			for _, z := range at {
				g.X, g.Y = append(g.X, z[0]), append(g.Y, z[1])
			}
		}
		if len(g.X) > 0 {
			panel.Points = append(panel.Points, g.Points)
		}
	}
	return figure.Figure{Title: "State space of " + r.File, Panels: []figure.Panel{panel}, Names: figure.NamesAbove, Width: 330, Height: 280}
}

// spectrumFigure shows the eigenvalues at the first fixed points, with the disc of the bulk and the
// border of stability.
func spectrumFigure(r *analyzeResult) figure.Figure {
	const most = 6
	fig := figure.Figure{Title: "Eigenvalues of ∂f/∂z at the fixed points of " + r.File, Width: 190, Height: 190, Names: figure.NamesAbove}
	for i, q := range r.FixedPoints[:min(most, len(r.FixedPoints))] {
		reach := 1.0
		for _, v := range q.Eigenvalues {
			reach = max(reach, math.Abs(real(v)), math.Abs(imag(v)))
		}
		if b := float64(q.Bulk); b > reach {
			reach = b
		}
		reach *= 1.1
		panel := figure.Panel{
			Title: fmt.Sprintf("point %d: %s", i, q.Status),
			X:     figure.Axis{Label: "Re λ", Min: -reach, Max: reach},
			Y:     figure.Axis{Label: "Im λ", Min: -reach, Max: reach},
		}
		border := figure.Line{Name: "border of stability", X: []float64{1, 1}, Y: []float64{-reach, reach}, Dashed: true, Color: figure.Gray, Width: 1}
		if r.Dynamics == "map" {
			border = circle("border of stability", 1, figure.Gray)
			border.Dashed = true
		}
		panel.Lines = append(panel.Lines, border)
		if b := float64(q.Bulk); b > 0 {
			panel.Lines = append(panel.Lines, circle("bulk", b, figure.Green))
		}
		bulk, outliers := figure.Points{Name: "eigenvalues", Color: figure.Blue, Dots: true}, figure.Points{Name: "outliers", Color: figure.Vermillion}
		for _, v := range q.Eigenvalues {
			to := &bulk
			if math.Hypot(real(v), imag(v)) > r.edges[i] {
				to = &outliers
			}
			to.X, to.Y = append(to.X, real(v)), append(to.Y, imag(v))
		}
		for _, points := range []figure.Points{bulk, outliers} {
			if len(points.X) > 0 {
				panel.Points = append(panel.Points, points)
			}
		}
		fig.Panels = append(fig.Panels, panel)
	}
	return fig
}

func circle(name string, radius float64, c figure.Color) figure.Line {
	l := figure.Line{Name: name, Color: c, Width: 1}
	for k := range 121 {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / 120)
		l.X, l.Y = append(l.X, radius*cos), append(l.Y, radius*sin)
	}
	return l
}
