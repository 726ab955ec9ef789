package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/internal/figure"
)

// NamedFigure is a figure of a setting with its file name and a caption.
type NamedFigure struct {
	Name    string // "curves", "cosine", "cost", "alignment" or "drivers"
	Caption string
	Figure  figure.Figure
}

// Figures draws a setting: the learning curves, the cosine to the exact gradient over
// training (where it was measured), accuracy against cost, and the alignment of the rules
// (where they looked on). A rule has the same colour in every setting of the result.
func Figures(r *Result, s *Setting) []NamedFigure {
	looks := looksOf(r)
	out := []NamedFigure{curves(s, looks)}
	if f, ok := cosines(s, looks); ok {
		out = append(out, f)
	}
	out = append(out, costs(s, looks))
	return append(out, matrices(s)...)
}

// look is how a rule is drawn: controls gray, the baseline dashed.
type look struct {
	color  figure.Color
	dashed bool
}

func looksOf(r *Result) map[string]look {
	looks := map[string]look{}
	next, round := figure.Blue, 0 // dashed in every second round through the palette
	for _, s := range r.Settings {
		for _, row := range s.Rules {
			if _, ok := looks[row.Rule]; ok {
				continue
			}
			if row.Control {
				looks[row.Rule] = look{color: figure.Gray, dashed: row.Rule == Untrained}
				continue
			}
			looks[row.Rule] = look{color: next, dashed: round%2 == 1}
			if next++; next == figure.Gray {
				next, round = figure.Blue, round+1
			}
		}
	}
	return looks
}

// overSeeds is the mean and interval over the trials of what value gives at each step.
// It is NaN where a trial has no value: the mean of the trials that survive would flatter.
func overSeeds(trials []Trial, steps func(*Trial) []int, value func(*Trial, int) float64) (step []int, mean, lo, hi []float64) {
	at := map[int][]float64{}
	for i := range trials {
		for k, s := range steps(&trials[i]) {
			if _, ok := at[s]; !ok {
				step = append(step, s)
			}
			at[s] = append(at[s], value(&trials[i], k))
		}
	}
	slices.Sort(step)
	for _, s := range step {
		iv := MeanInterval(at[s])
		if len(onlyFinite(at[s])) < len(trials) {
			iv = Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
		}
		mean, lo, hi = append(mean, iv.Mean), append(lo, iv.Lo), append(hi, iv.Hi)
	}
	return step, mean, lo, hi
}

func clipAll(v []float64, lo, hi float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = math.Min(math.Max(x, lo), hi)
	}
	return out
}

func curves(s *Setting, looks map[string]look) NamedFigure {
	steps := func(t *Trial) []int {
		out := make([]int, len(t.Curve))
		for i, p := range t.Curve {
			out[i] = p.Step
		}
		return out
	}
	accuracy := figure.Panel{Title: "Test accuracy", X: figure.Axis{Label: "epoch"}, Y: figure.Axis{Label: "test accuracy", Percent: true}}
	loss := figure.Panel{Title: "Training loss", X: figure.Axis{Label: "epoch"}, Y: figure.Axis{Label: "training loss"}}
	least, most, measured := math.Inf(1), 0.0, false
	for _, r := range s.Rules {
		epochs := map[int]float64{}
		for _, t := range r.Trials {
			for _, p := range t.Curve {
				epochs[p.Step] = p.Epoch
			}
		}
		line := func(value func(*Trial, int) float64, floor, ceiling float64) figure.Line {
			step, mean, lo, hi := overSeeds(r.Trials, steps, value)
			x := make([]float64, len(step))
			for i, s := range step {
				x[i] = epochs[s]
			}
			l := looks[r.Rule]
			return figure.Line{Name: r.Rule, X: x, Y: mean, Lo: clipAll(lo, floor, ceiling), Hi: clipAll(hi, floor, ceiling), Dashed: l.dashed, Color: l.color}
		}
		acc := line(func(t *Trial, k int) float64 { return t.Curve[k].TestAccuracy }, 0, 1)
		accuracy.Lines = append(accuracy.Lines, acc)
		measured = measured || len(onlyFinite(acc.Y)) > 0
		l := line(func(t *Trial, k int) float64 { return t.Curve[k].TrainLoss }, math.Inf(-1), math.Inf(1))
		for _, v := range onlyFinite(l.Y) {
			least, most = math.Min(least, v), math.Max(most, v)
		}
		loss.Lines = append(loss.Lines, l)
	}
	if least > 0 && most > 20*least { // a band that reaches below zero has no place there
		loss.Y.Log = true
		for _, l := range loss.Lines {
			for i := range l.Lo {
				l.Lo[i] = math.Max(l.Lo[i], l.Y[i]/3)
			}
		}
	}
	f := figure.Figure{Panels: []figure.Panel{accuracy, loss}, Names: figure.NamesAbove, Width: 290, Height: 200,
		Alt: fmt.Sprintf("Learning curves in the setting %s: test accuracy and training loss of each rule against the epoch. The final values are in the table.", s.Name)}
	if !measured {
		f.Panels = f.Panels[1:]
	}
	if len(s.Rules) > crowd {
		f = parted(f)
	}
	return NamedFigure{Name: "curves", Figure: f,
		Caption: "Learning curves: mean over seeds and its 95 % interval (Student’s t). A curve ends where the first of its trials diverged."}
}

// crowd is how many curves one panel shows; one colour each and gray for the controls.
const crowd = 10

// heightFor is the height of a panel that shows all rules.
func heightFor(s *Setting) float64 {
	if len(s.Rules) > crowd {
		return 320
	}
	return 200
}

// parted spreads the curves of many rules over several rows of panels, so that no two in one
// panel have the same colour. The controls are in each.
func parted(f figure.Figure) figure.Figure {
	var rules, controls []int
	for i, l := range f.Panels[0].Lines {
		if l.Color == figure.Gray {
			controls = append(controls, i)
		} else {
			rules = append(rules, i)
		}
	}
	panels := f.Panels
	f.Panels, f.Cols, f.Names = nil, len(panels), figure.NamesBeside
	colours := int(figure.Gray) - int(figure.Blue)
	for part := range slices.Chunk(rules, colours) {
		for _, p := range panels {
			if len(f.Panels) >= len(panels) {
				p.Title = ""
			}
			all := p.Lines
			p.Lines = nil
			for _, i := range slices.Concat(part, controls) {
				p.Lines = append(p.Lines, all[i])
			}
			f.Panels = append(f.Panels, p)
		}
	}
	return f
}

func cosines(s *Setting, looks map[string]look) (NamedFigure, bool) {
	panel := figure.Panel{Title: "Gradient", X: figure.Axis{Label: "training step"}, Y: figure.Axis{Label: "cosine to the exact gradient", Include: []float64{0, 1}}}
	for _, r := range s.Rules {
		step, mean, lo, hi := overSeeds(r.Trials,
			func(t *Trial) []int {
				out := make([]int, len(t.Cosine))
				for i, c := range t.Cosine {
					out[i] = c.Step
				}
				return out
			}, func(t *Trial, k int) float64 { return t.Cosine[k].Cosine })
		if len(onlyFinite(mean)) == 0 {
			continue
		}
		x := make([]float64, len(step))
		for i, s := range step {
			x[i] = float64(s)
		}
		l := looks[r.Rule]
		panel.Lines = append(panel.Lines, figure.Line{Name: r.Rule, X: x, Y: mean, Lo: clipAll(lo, -1, 1), Hi: clipAll(hi, -1, 1), Dashed: l.dashed, Color: l.color})
	}
	caption := "Cosine to the exact gradient over training: mean over seeds and its 95 % interval. One is the exact direction, zero none of it."
	if len(panel.Lines) > crowd { // bands would hide the lines
		for i := range panel.Lines {
			panel.Lines[i].Lo, panel.Lines[i].Hi = nil, nil
		}
		caption = strings.Replace(caption, " and its 95 % interval", "", 1)
	}
	f := figure.Figure{Panels: []figure.Panel{panel}, Width: 300, Height: heightFor(s),
		Alt: fmt.Sprintf("Cosine of each rule's gradient to the exact one over training in the setting %s. Means are in the table.", s.Name)}
	return NamedFigure{Name: "cosine", Figure: f, Caption: caption}, len(panel.Lines) > 0
}

func costs(s *Setting, looks map[string]look) NamedFigure {
	y := yardstickOf(s)
	panel := figure.Panel{Title: "Cost", X: figure.Axis{Label: "evaluations per step and sample"}, Y: figure.Axis{Label: y.name, Percent: y.sign > 0}}
	least, most := math.Inf(1), 0.0
	var near, all []float64 // what must be in the picture, and what may
	for i := range s.Rules {
		r := &s.Rules[i]
		iv := y.interval(r)
		if r.Control {
			if finite(iv.Mean) {
				panel.Guides = append(panel.Guides, figure.Guide{At: iv.Mean, Label: r.Rule})
				all = append(all, iv.Mean)
				if r.Rule != Untrained {
					near = append(near, iv.Mean)
				}
			}
			continue
		}
		if r.Fails == "" {
			near = append(near, iv.Mean, iv.Lo, iv.Hi)
		}
		all = append(all, iv.Mean)
		if r.Evals > 0 {
			least, most = math.Min(least, r.Evals), math.Max(most, r.Evals)
		}
		panel.Points = append(panel.Points, figure.Points{Name: r.Rule, X: []float64{r.Evals}, Y: []float64{iv.Mean},
			YLo: []float64{iv.Lo}, YHi: []float64{iv.Hi}, Labels: []string{r.Rule}, Hollow: r.Fails != "", Color: looks[r.Rule].color})
	}
	panel.X.Log = most > 4*least
	caption := "What a rule reaches against what it costs: mean and 95 % interval; hollow markers are rules that fail, dashed lines the controls."
	near, all = onlyFinite(near), onlyFinite(all)
	if len(near) > 0 {
		lo, hi := slices.Min(near), slices.Max(near)
		pad := 0.1 * (hi - lo)
		if below, above := lo-pad, hi+pad; pad > 0 && above-below < 0.4*(slices.Max(all)-slices.Min(all)) {
			panel.Y.Min, panel.Y.Max = below, above
			if y.sign > 0 {
				panel.Y.Max = math.Min(above, 1)
			}
			var far []string
			for i := range s.Rules {
				if m := y.mean(&s.Rules[i]); m < panel.Y.Min || m > panel.Y.Max {
					far = append(far, fmt.Sprintf("%s (%s)", s.Rules[i].Rule, y.show(m)))
				}
			}
			caption += " Outside the picture: " + strings.Join(far, ", ") + "."
		}
	}
	f := figure.Figure{Panels: []figure.Panel{panel}, Names: figure.NamesNone, Width: 300, Height: heightFor(s),
		Alt: fmt.Sprintf("%s of each rule against its evaluations per step in the setting %s. Both are in the table.", y.name, s.Name)}
	return NamedFigure{Name: "cost", Figure: f, Caption: caption}
}
