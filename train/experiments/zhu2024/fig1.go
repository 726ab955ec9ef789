package zhu2024

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/internal/figure"
	"attractor/train/experiments"
)

const fig1Doc = `the loss landscape of the linear network: smooth where it is stable, wild beyond

Learns Y = (I − Ŵ)⁻¹X + noise by r = Wr + x, with 200 units and 100 samples, and evaluates
J(W) = ‖(I − W)⁻¹X − Y‖²/m along W* + tW₁ for five random directions and over the plane
W* + t₁W₁ + t₂W₂, for t from −1.01 to 1.01, around W* = (Y − X)Y⁺ where J vanishes. Inside
|t| < √(1 − 0.5²)/2.5 = 0.3464 the network is stable; outside, J has a pole wherever an
eigenvalue of W passes 1.
Checked: the two published values of J and the shape (maxima inside and outside, the
median of J, J near W*).
The directions, 5·0.5·randn/√n, are drawn after everything else.`

const (
	traces   = 5
	gridHalf = 101 // t = k/100 for k = −101 … 100
	clip     = 1000.
)

// stableBox is the |t| below which W* + tW₁ is stable: Ŵ has spectral radius 0.5 and tW₁ 2.5|t|.
var stableBox = math.Sqrt(1-0.25) / 2.5

func fig1(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	task, err := newLinear(seedOf(o))
	if err != nil {
		return nil, err
	}
	best, err := task.optimum()
	if err != nil {
		return nil, err
	}
	var direction [traces]matrix
	for i := range direction {
		direction[i] = task.normal(units, units, 5*0.5/math.Sqrt(units))
	}
	r := &experiments.Result{Name: "zhu2024/fig1", Seed: seedOf(o), Notes: []string{
		seedNote(o), "The directions are our own draws: the published figure does not say its own.",
	}}
	f := newLU(units)
	teacher := task.loss(f, task.teacher)
	if published(o) {
		r.Equal("J(teacher)", teacher, 0.019916381505374798, 1e-12, paper)
	} else {
		r.Value("J(teacher)", teacher)
	}
	r.Bound("J(optimum)", task.loss(f, best), experiments.Below, 1e-20, paper)

	step := 1
	if o.Quick {
		step = 20
		r.Notes = append(r.Notes, "Quick: the plane at a twentieth of the resolution.")
	}
	var line, coarse []float64
	for k := -gridHalf; k < gridHalf; k++ {
		line = append(line, float64(k)/100)
		if (k+gridHalf)%step == 0 {
			coarse = append(coarse, float64(k)/100)
		}
	}
	trace := make([][]float64, traces)
	plane := make([][]float64, len(coarse))
	err = o.Work(ctx, traces+len(coarse), func(i int) error {
		f := newLU(units)
		if i < traces {
			for _, t := range line {
				trace[i] = append(trace[i], task.loss(f, best.plus(t, direction[i])))
			}
			return nil
		}
		i -= traces
		at := best.plus(coarse[i], direction[1])
		for _, t := range coarse {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			plane[i] = append(plane[i], task.loss(f, at.plus(t, direction[0])))
		}
		return nil
	}, func(i int) string {
		if i < traces {
			return fmt.Sprintf("trace %d", i+1)
		}
		return fmt.Sprintf("row %d of the plane", i-traces+1)
	})
	if err != nil {
		return nil, err
	}
	for i, y := range trace {
		shape := describe(line, y)
		id := fmt.Sprintf("trace%d/", i+1)
		r.Bound(id+"maxima-outside", float64(shape.outside), experiments.AtLeast, 5, paper)
		r.Bound(id+"maxima-inside", float64(shape.inside), experiments.AtMost, 2, paper)
		r.Bound(id+"median-outside", shape.median, experiments.Above, 100, paper)
		r.Bound(id+"J(t=0.1)", shape.near, experiments.Below, 1, paper)
	}
	var outside []float64
	for i, row := range plane {
		for j, v := range row {
			if math.Abs(coarse[i]) > stableBox || math.Abs(coarse[j]) > stableBox {
				outside = append(outside, v)
			}
		}
	}
	r.Value("plane/median-outside", median(outside))
	return r, r.Save(o, "landscape", landscape(line, trace, coarse, plane))
}

// shape is what a trace of the landscape looks like.
type shape struct {
	inside, outside int     // local maxima
	median          float64 // outside
	near            float64 // J at t = 0.1
}

func describe(t, y []float64) shape {
	s := shape{near: math.NaN()}
	var outside []float64
	for i := range t {
		out := math.Abs(t[i]) > stableBox
		if out {
			outside = append(outside, y[i])
		}
		if t[i] == 0.1 {
			s.near = y[i]
		}
		if i == 0 || i == len(t)-1 || !(y[i] > y[i-1] && y[i] > y[i+1]) {
			continue
		}
		if out {
			s.outside++
		} else {
			s.inside++
		}
	}
	s.median = median(outside)
	return s
}

func median(x []float64) float64 {
	slices.Sort(x)
	n := len(x)
	if n == 0 {
		return math.NaN()
	}
	return (x[(n-1)/2] + x[n/2]) / 2
}

func landscape(line []float64, trace [][]float64, coarse []float64, plane [][]float64) figure.Figure {
	y := figure.Axis{Label: "loss J", Log: true, Min: 1e-2, Max: clip}
	ticks := []figure.Tick{{Value: -1, Label: "−1"}, {Value: -0.5, Label: "−0.5"}, {Value: 0, Label: "0"}, {Value: 0.5, Label: "0.5"}, {Value: 1, Label: "1"}}
	cut := func(values []float64) []float64 {
		out := make([]float64, len(values))
		for i, v := range values {
			out[i] = math.Max(y.Min, math.Min(v, clip))
		}
		return out
	}
	left := figure.Panel{
		Title:  "along five directions",
		X:      figure.Axis{Label: "t in W* + tW₁", Ticks: ticks, Min: -1.01, Max: 1.01},
		Y:      y,
		Guides: []figure.Guide{{At: -stableBox, Upright: true}, {At: stableBox, Upright: true}},
	}
	for i, v := range trace {
		left.Lines = append(left.Lines, figure.Line{Name: fmt.Sprintf("direction %d", i+1), X: line, Y: cut(v), Width: 1})
	}
	heat := make([][]float64, len(plane))
	for i, row := range plane {
		heat[i] = cut(row)
	}
	b := stableBox
	right := figure.Panel{
		Title: "over a plane",
		X:     figure.Axis{Label: "t₁", Ticks: ticks},
		Y:     figure.Axis{Label: "t₂ in W* + t₁W₁ + t₂W₂", Ticks: ticks},
		Heat:  &figure.Heat{Z: heat, X: coarse, Y: coarse, Log: true, Min: y.Min, Max: clip, Label: "loss J, clipped at 1000"},
		Lines: []figure.Line{{X: []float64{-b, b, b, -b, -b}, Y: []float64{-b, -b, b, b, -b}, Dashed: true, Color: figure.Vermillion}},
	}
	return figure.Figure{
		Alt:    "Loss of the linear network around the optimum: a smooth bowl where the network is stable (dashed), poles all over outside.",
		Panels: []figure.Panel{left, right}, Names: figure.NamesNone, Width: 240, Height: 240,
	}
}
