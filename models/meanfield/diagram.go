package meanfield

import (
	"math"

	"attractor/internal/figure"
)

// Diagram holds the solutions of a network over the target that its readout is made for.
type Diagram struct {
	Targets   []float64
	Solutions [][]Solution // by target
}

// Over finds the solutions for targets from lo to hi in equal steps.
func Over(lo, hi float64, steps int, solutions func(target float64) ([]Solution, error)) (*Diagram, error) {
	if err := checkRange(lo, hi, steps); err != nil {
		return nil, err
	}
	d := &Diagram{}
	for i := range steps + 1 {
		target := step(lo, hi, i, steps)
		found, err := solutions(target)
		if err != nil {
			return nil, parameterError(target, err)
		}
		d.Targets, d.Solutions = append(d.Targets, target), append(d.Solutions, found)
	}
	return d, nil
}

// Diagram finds the solutions with multiples of a readout, which may depend on the target; none where there is
// no multiple.
func (o *Open) Diagram(readout func(target float64) Readout, lo, hi float64, steps int) (*Diagram, error) {
	return Over(lo, hi, steps, func(target float64) ([]Solution, error) {
		l, err := o.CloseAt(readout(target), target)
		if err != nil {
			return nil, nil
		}
		return l.Solutions(), nil
	})
}

// Always is a readout for all targets.
func (r Readout) Always(float64) Readout { return r }

// Is reports whether a solution is that at the target.
func (s Solution) Is(target float64) bool {
	return math.Abs(s.Z-target) <= 1e-6*max(1, math.Abs(target))
}

// Figure draws z, with the target as a thick diagonal, and the largest real part of the
// outliers beside the radius of the bulk: solid where the solution is stable, dashed where it
// is not. What is beyond limit, or in the spectrum beyond 3, is left out.
func (d *Diagram) Figure(limit float64) figure.Figure {
	const largest = 3.0
	z := figure.Panel{
		Title: "Stationary states (dashed: unstable)",
		X:     figure.Axis{Label: "target A"}, Y: figure.Axis{Label: "readout z", Min: -limit, Max: limit},
	}
	spectrum := figure.Panel{
		Title: "Spectrum there", X: figure.Axis{Label: "target A"},
		Y:      figure.Axis{Label: "largest Re λ of the outliers", Min: -0.5, Max: largest},
		Guides: []figure.Guide{{At: 1}},
	}
	for _, part := range []struct {
		name   string
		look   figure.Line
		target bool
	}{
		{"at the target", figure.Line{Color: figure.Blue, Width: 3}, true},
		{"elsewhere", figure.Line{Color: figure.Vermillion, Width: 1.6}, false},
	} {
		of := func(value func(Solution) float64) func(target float64, s Solution) (float64, bool) {
			return func(target float64, s Solution) (float64, bool) {
				return value(s), s.Is(target) == part.target && math.Abs(s.Z) <= limit
			}
		}
		part.look.Name = part.name
		z.Lines = append(z.Lines, d.lines(part.look, of(func(s Solution) float64 { return s.Z }))...)
		spectrum.Lines = append(spectrum.Lines, d.lines(part.look, of(func(s Solution) float64 {
			if l := real(s.Outliers[0]); l <= largest {
				return l
			}
			return math.NaN()
		}))...)
	}
	spectrum.Lines = append(spectrum.Lines, d.lines(figure.Line{Name: "radius of the bulk", Color: figure.Gray, Width: 1},
		func(target float64, s Solution) (float64, bool) { return s.Radius, s.Is(target) })...)
	return figure.Figure{
		Alt:    "Readouts of all stationary states against the target, and the outliers of their spectra: solid where stable, dashed where not.",
		Panels: []figure.Panel{z, spectrum}, Names: figure.NamesAbove,
	}
}

// lines returns a solid line through the stable states that value takes, and a dashed one through the
// others. The i-th states of neighbouring targets are joined where it takes as many, else those that are near.
func (d *Diagram) lines(look figure.Line, value func(target float64, s Solution) (y float64, take bool)) []figure.Line {
	const near = 1.5
	type state struct {
		y      float64
		stable bool
	}
	taken := make([][]state, len(d.Targets))
	for k, target := range d.Targets {
		for _, s := range d.Solutions[k] {
			if y, ok := value(target, s); ok {
				taken[k] = append(taken[k], state{y, s.Stable})
			}
		}
	}
	solid, dashed := look, look
	dashed.Name, dashed.Dashed = "", true
	for from, to := 0, 0; from < len(taken); from = to {
		for to = from; to < len(taken) && len(taken[to]) == len(taken[from]); {
			to++
		}
		for i, s := range taken[from] {
			for _, l := range []*figure.Line{&solid, &dashed} {
				if from > 0 && s.stable != l.Dashed { // join it to where it comes from
					for _, before := range taken[from-1] {
						if before.stable == s.stable && math.Abs(before.y-s.y) < near {
							l.X, l.Y = append(l.X, d.Targets[from-1]), append(l.Y, before.y)
						}
					}
				}
				for k := from; k < to; k++ {
					y := math.NaN()
					if s := taken[k][i]; s.stable != l.Dashed {
						y = s.y
					}
					l.X, l.Y = append(l.X, d.Targets[k]), append(l.Y, y)
				}
				l.X, l.Y = append(l.X, math.NaN()), append(l.Y, math.NaN())
			}
		}
	}
	return []figure.Line{solid, dashed}
}
