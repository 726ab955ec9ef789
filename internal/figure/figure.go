// Package figure draws the figures of experiments and reports: line charts with bands,
// scatter, dots with error bars, bars and heat maps, alone or as a grid of panels.
//
// A figure is plain data, written as keyed literals; every field has a useful zero value.
// All figures share one look: the sizes and fonts below, and a palette that people with
// colour-blindness can tell apart. Names of series stand beside the data or above the
// panels and never on them. A value that is not finite (or not positive on a logarithmic
// axis) is a gap.
//
// The same figure always gives the same bytes on the same machine. Drawing is done on the
// canvases of gonum.org/v1/plot.
package figure

import (
	"fmt"
	"slices"
)

// Figure is one picture: a grid of panels of equal size.
type Figure struct {
	Title  string  // above everything; may be empty
	Alt    string  // what the figure shows, for those who cannot see it; default: made from titles and names
	Panels []Panel // filled row by row
	Cols   int     // panels in a row; default: all up to three, two for four, else three
	Names  Names   // where the names of series stand; default NamesAuto

	// Width and Height are the size of the data area of each panel in points (1/72 inch).
	// Default: 250 × 165; a single panel is 330 × 210.
	Width, Height float64
}

// Names says where the names of series stand.
type Names int

const (
	NamesAuto   Names = iota // beside the ends of the lines where there is one panel and they fit, else above
	NamesBeside              // to the right of the data, at the ends of the lines
	NamesAbove               // in a legend above the panels
	NamesNone                // nowhere
)

// Panel is one chart.
type Panel struct {
	Title  string
	X, Y   Axis
	Heat   *Heat    // drawn first
	Bars   []Bars   // groups of bars side by side
	Lines  []Line   // then lines with their bands
	Points []Points // then points
	Guides []Guide  // reference lines, drawn below the data
}

// Axis describes one axis.
type Axis struct {
	Label string // with its unit, for instance "wall time (s)"
	Log   bool   // logarithmic; values that are not positive are gaps

	// Min and Max fix the range when Min < Max. Default: from the data and Include.
	Min, Max float64
	Include  []float64 // values that the range must hold

	Percent bool   // label the fraction 0.25 as 25 %
	Ticks   []Tick // default: chosen from the range

	// Categories names the values 0, 1, 2, … On a y axis the first is at the top.
	Categories []string
}

// Tick is a labelled place on an axis.
type Tick struct {
	Value float64
	Label string // empty for a minor tick
}

// Line is a curve, with a band when Lo and Hi are given.
type Line struct {
	Name   string
	X, Y   []float64
	Lo, Hi []float64 // ends of the band, for instance an interval over seeds; nil for none
	Dashed bool
	Color  Color   // default: by Name, the same in all panels
	Width  float64 // in points; default 1.6
}

// Points is a set of markers, with error bars where ends are given. Each ends slice is
// nil or as long as X; a NaN end draws no bar.
type Points struct {
	Name     string
	X, Y     []float64
	XLo, XHi []float64
	YLo, YHi []float64
	Labels   []string // beside each marker; nil for none
	Hollow   bool     // outlined markers
	Dots     bool     // small dots, for hundreds
	Color    Color    // default: by Name, the same in all panels
}

// Bars is one bar per category of the axis that has categories (vertical bars for X,
// horizontal ones for Y), from zero, or from the end of the axis where it is logarithmic.
type Bars struct {
	Name   string
	Values []float64
	Lo, Hi []float64 // ends of error bars; nil for none
	Color  Color     // default: by Name, the same in all panels
}

// Heat is a matrix of coloured cells with a colour bar.
type Heat struct {
	Z    [][]float64 // Z[row][column]; row 0 is at the smallest y
	X, Y []float64   // centres of columns and rows, ascending; default 0, 1, 2, …

	Texts [][]string // written into the cells, as Z; nil for none

	Label     string  // of the colour bar, with its unit
	Bare      bool    // no colour bar
	Diverging bool    // colours that part at zero; the range is then symmetric
	Log       bool    // logarithmic colours
	Min, Max  float64 // range of colours when Min < Max; default: from the data
}

// Guide is a thin reference line: across the panel at y = At, or upright at x = At. Its
// label stands outside the data.
type Guide struct {
	At      float64
	Upright bool
	Label   string
}

// check reports data that cannot be drawn.
func (f *Figure) check() error {
	if len(f.Panels) == 0 {
		return fmt.Errorf("figure %q: no panels", f.Title)
	}
	for i := range f.Panels {
		if err := f.Panels[i].check(); err != nil {
			return fmt.Errorf("figure %q: panel %d %q: %w", f.Title, i, f.Panels[i].Title, err)
		}
	}
	return nil
}

func (p *Panel) check() error {
	for _, l := range p.Lines {
		if err := sameLength("line", l.Name, "x", len(l.X), column{"y", l.Y, true}, column{"lo", l.Lo, false}, column{"hi", l.Hi, false}); err != nil {
			return err
		}
		if (l.Lo == nil) != (l.Hi == nil) {
			return fmt.Errorf("line %q: a band needs both lo and hi", l.Name)
		}
	}
	for _, s := range p.Points {
		if err := sameLength("points", s.Name, "x", len(s.X), column{"y", s.Y, true}, column{"x lo", s.XLo, false},
			column{"x hi", s.XHi, false}, column{"y lo", s.YLo, false}, column{"y hi", s.YHi, false}); err != nil {
			return err
		}
		if s.Labels != nil && len(s.Labels) != len(s.X) {
			return fmt.Errorf("points %q: %d labels for %d points", s.Name, len(s.Labels), len(s.X))
		}
	}
	if len(p.Bars) > 0 {
		if (len(p.X.Categories) == 0) == (len(p.Y.Categories) == 0) {
			return fmt.Errorf("bars need categories on one axis; there are %d on x and %d on y", len(p.X.Categories), len(p.Y.Categories))
		}
		n := max(len(p.X.Categories), len(p.Y.Categories))
		for _, b := range p.Bars {
			if err := sameLength("bars", b.Name, "categories", n, column{"values", b.Values, true}, column{"lo", b.Lo, false}, column{"hi", b.Hi, false}); err != nil {
				return err
			}
		}
	}
	if p.Heat != nil {
		return p.Heat.check()
	}
	return nil
}

func (h *Heat) check() error {
	if len(h.Z) == 0 || len(h.Z[0]) == 0 {
		return fmt.Errorf("heat map without cells")
	}
	for i, row := range h.Z {
		if len(row) != len(h.Z[0]) {
			return fmt.Errorf("heat map: row %d has %d cells, row 0 has %d", i, len(row), len(h.Z[0]))
		}
	}
	if h.Texts != nil && (len(h.Texts) != len(h.Z) || slices.ContainsFunc(h.Texts, func(row []string) bool { return len(row) != len(h.Z[0]) })) {
		return fmt.Errorf("heat map: texts for other than %d × %d cells", len(h.Z), len(h.Z[0]))
	}
	if h.X != nil && len(h.X) != len(h.Z[0]) || h.Y != nil && len(h.Y) != len(h.Z) {
		return fmt.Errorf("heat map: %d × %d centres for %d × %d cells", len(h.Y), len(h.X), len(h.Z), len(h.Z[0]))
	}
	for _, c := range [][]float64{h.X, h.Y} {
		if !slices.IsSorted(c) {
			return fmt.Errorf("heat map: centres must ascend")
		}
	}
	return nil
}

type column struct {
	name     string
	values   []float64
	required bool
}

func sameLength(kind, name, ref string, n int, cols ...column) error {
	for _, c := range cols {
		if (c.required || c.values != nil) && len(c.values) != n {
			return fmt.Errorf("%s %q: %d %s and %d %s", kind, name, n, ref, len(c.values), c.name)
		}
	}
	return nil
}
