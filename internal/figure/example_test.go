package figure_test

import (
	"fmt"
	"math"
	"os"

	"attractor/internal/figure"
)

// learningCurves is a figure of two panels: accuracy with bands over seeds, and what it
// costs. Series with the same name share a colour and an entry in the legend.
func learningCurves() figure.Figure {
	var implicit, local figure.Line
	for epoch := range 11 {
		e := float64(epoch)
		implicit.X, local.X = append(implicit.X, e), append(local.X, e)
		implicit.Y = append(implicit.Y, 0.95-0.85*math.Exp(-e/2))
		local.Y = append(local.Y, 0.85-0.75*math.Exp(-e/4))
	}
	local.Y[6] = math.NaN() // not measured: a gap
	implicit.Name, local.Name = "implicit", "local"
	local.Dashed = true
	for _, l := range []*figure.Line{&implicit, &local} {
		for _, y := range l.Y {
			l.Lo, l.Hi = append(l.Lo, y-0.03), append(l.Hi, y+0.03)
		}
	}
	return figure.Figure{
		Title: "Two rules",
		Panels: []figure.Panel{{
			Title:  "Learning",
			X:      figure.Axis{Label: "epoch"},
			Y:      figure.Axis{Label: "test accuracy", Percent: true, Include: []float64{0, 1}},
			Lines:  []figure.Line{implicit, local},
			Guides: []figure.Guide{{At: 0.1, Label: "chance"}},
		}, {
			Title: "Cost",
			X:     figure.Axis{Label: "evaluations per step", Log: true},
			Y:     figure.Axis{Label: "test accuracy", Percent: true, Include: []float64{0, 1}},
			Points: []figure.Points{
				{Name: "implicit", X: []float64{60}, Y: []float64{0.94}, YLo: []float64{0.91}, YHi: []float64{0.97}},
				{Name: "local", X: []float64{22}, Y: []float64{0.79}, YLo: []float64{0.72}, YHi: []float64{0.86}},
			},
		}},
	}
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "figures")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	if err := figure.Save(dir, "curves", learningCurves()); err != nil {
		fmt.Println(err)
		return
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	// Output:
	// curves.png
	// curves.svg
}

func ExampleSVG_heat() {
	svg, err := figure.SVG(figure.Figure{Panels: []figure.Panel{{
		Title: "Overlap of four patterns",
		X:     figure.Axis{Label: "pattern", Categories: []string{"a", "b", "c"}},
		Y:     figure.Axis{Label: "pattern", Categories: []string{"a", "b", "c"}},
		Heat:  &figure.Heat{Z: [][]float64{{1, 0.1, -0.2}, {0.1, 1, 0}, {-0.2, 0, 1}}, Diverging: true, Label: "overlap"},
	}}})
	fmt.Println(len(svg) > 0, err)
	// Output: true <nil>
}
