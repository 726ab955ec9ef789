package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train/experiments"

	"gonum.org/v1/gonum/stat"
)

const chaosDoc = `in the paper's spirit: where the state fluctuates, in theory and in networks

At σ_m = 1.2, σ_I = 0.5 and ρ = 0.5 the theory gives the gain g_c(z) beyond which the state fluctuates with the
readout held at z, and the variance Δ₀ of x at one time and its covariance Δ_∞ with x at a
time long after. Beside it 16 networks of 2,500 units for each of four gains, without input and with z held at values
from 0 to 3, from random states; and for g = 2.5 the closed loop too, with n along that of
figure 1e and a target of 1.
Checked: g_c for six targets; Δ₀ and Δ_∞ at g = 2 without input; that networks fluctuate where g is
above 1.1 g_c and rest where it is below 0.9 g_c; there, that Δ₀ and Δ_∞ agree with the theory within
0.05 Δ₀, while the variance of the fixed point in place of Δ₀ does not; and that the closed loop, though
chaotic, reads out the target within 0.1.`

// chaosGains are the derived critical gains by target.
var chaosGains = []struct{ target, gain float64 }{{0, 1.550}, {0.5, 1.784}, {1, 2.064}, {1.5, 2.319}, {2, 2.550}, {3, 2.960}}

const (
	closedGain, closedTarget = 2.5, 1.0 // of the closed loop
	resting                  = 1e-3     // part of Δ₀ that fluctuates at least where the state does not rest
	nearCritical             = 0.1      // distance of g/g_c from 1 within which networks are not compared
)

// held is a network whose readout is held, or one without input: in theory, and what was found.
type held struct {
	gain     float64
	input    bool
	z        float64
	critical float64 // gain
	theory   meanfield.State
	fixed    float64 // variance of the fixed point
	found    []course
}

func (h *held) clear() bool { return math.Abs(h.gain/h.critical-1) > nearCritical }

func chaos(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/chaos", Seed: seedOf(o), Notes: []string{
		"Not a figure of the paper: an experiment of ours in its spirit.",
	}}
	for _, c := range chaosGains {
		r.Equal(fmt.Sprintf("A=%g/critical-gain", c.target), vectors.Network(1).CriticalGain(c.target), c.gain, 0.002, derived)
	}
	alone := meanfield.Network{Gain: 2}.Clamp(0)
	r.Equal("g=2/no-input/delta0", alone.Delta, 1.925, 0.001, derived)
	r.Equal("g=2/no-input/delta-inf", alone.DeltaInf, 0, 0.001, derived)

	// The standard error of Δ_∞ over 16 networks is 0.02 Δ₀.
	w := chaosNetworks{units: 2500, forget: 100, observe: 200, gains: []float64{1.7, 2, closedGain, 3}, draws: 16}
	if o.Quick {
		w = chaosNetworks{units: 500, forget: 20, observe: 40, gains: []float64{2, closedGain}, draws: 2}
		r.Notes = append(r.Notes, "Quick: 2 networks of 500 units for two gains, which are not checked.")
	}
	all, closed, err := w.run(ctx, o)
	if err != nil {
		return nil, err
	}
	checkHeld(r, all, o.Quick)
	var means, spreads []float64
	for _, c := range closed {
		mean, sd := stat.MeanStdDev(c.z, nil)
		means, spreads = append(means, mean), append(spreads, sd)
	}
	if mean := stat.Mean(means, nil); o.Quick {
		r.Value("closed-loop/mean-z", mean)
	} else {
		r.Equal("closed-loop/mean-z", mean, closedTarget, 0.1, theory)
	}
	r.Value("closed-loop/sd-over-networks", stat.StdDev(means, nil))
	r.Value("closed-loop/sd-over-time", stat.Mean(spreads, nil))
	return r, r.Save(o, "chaos", chaosFigure(w, all, closed))
}

// checkHeld compares the networks whose readout is held with the theory.
func checkHeld(r *experiments.Result, all []*held, quick bool) {
	right, networks := 0, 0
	var worst, worstInf, worstFixed float64
	for _, h := range all {
		if !h.clear() {
			continue
		}
		var delta, inf float64
		for _, c := range h.found {
			networks++
			if moves := 1-c.deltaInf/c.delta > resting; moves == h.theory.Chaotic {
				right++
			}
			delta += c.delta / float64(len(h.found))
			inf += c.deltaInf / float64(len(h.found))
		}
		worst = max(worst, math.Abs(delta/h.theory.Delta-1))
		worstInf = max(worstInf, math.Abs(inf-h.theory.DeltaInf)/h.theory.Delta)
		worstFixed = max(worstFixed, math.Abs(delta-h.fixed)/h.theory.Delta)
	}
	const limit = 0.05
	if quick {
		r.Value("networks-that-fluctuate-or-rest-as-in-theory", float64(right)/float64(networks))
		r.Value("largest-|delta0-theory|/delta0", worst)
		r.Value("largest-|delta-inf-theory|/delta0", worstInf)
		r.Value("control/fixed-point/largest-|delta0-theory|/delta0", worstFixed)
		return
	}
	r.Equal("networks-that-fluctuate-or-rest-as-in-theory", float64(right)/float64(networks), 1, 0, theory)
	r.Bound("largest-|delta0-theory|/delta0", worst, experiments.Below, limit, theory)
	r.Bound("largest-|delta-inf-theory|/delta0", worstInf, experiments.Below, limit, theory)
	r.Bound("control/fixed-point/largest-|delta0-theory|/delta0", worstFixed, experiments.Above, limit, theory)
}

// chaosNetworks says which networks run, and for how long.
type chaosNetworks struct {
	units, draws    int
	forget, observe int
	gains           []float64
}

// run returns the networks with a held readout by gain, and what the closed loops do.
func (w chaosNetworks) run(ctx context.Context, o experiments.Options) ([]*held, []course, error) {
	closed, err := vectors.Network(closedGain).Open()
	if err != nil {
		return nil, nil, err
	}
	readout, err := scaled(closed, vectors, direction, closedTarget)
	if err != nil {
		return nil, nil, err
	}
	type piece struct {
		held []*held
		seed uint64
		loop bool
		out  []course
	}
	var all []*held
	var pieces []*piece
	for _, g := range w.gains {
		n := vectors.Network(g)
		own := []*held{{gain: g, critical: 1, theory: meanfield.Network{Gain: g}.Clamp(0), fixed: meanfield.Network{Gain: g}.Static(0).Delta}}
		for _, c := range chaosGains {
			own = append(own, &held{
				gain: g, input: true, z: c.target, critical: n.CriticalGain(c.target), theory: n.Clamp(c.target), fixed: n.Static(c.target).Delta,
			})
		}
		all = append(all, own...)
		for i := range w.draws {
			pieces = append(pieces, &piece{held: own, seed: seedOf(o) + uint64(i), loop: g == closedGain})
		}
	}
	err = o.Work(ctx, len(pieces), func(i int) error {
		p := pieces[i]
		n, err := draw[float32](w.units, p.held[0].gain, vectors, p.seed)
		if err != nil {
			return err
		}
		var rows []wanderer[float32]
		for _, h := range p.held {
			row := wanderer[float32]{z: h.z}
			if h.input {
				row.input = 1
			}
			rows = append(rows, row)
		}
		if p.loop {
			rows = append(rows, wanderer[float32]{input: 1, readout: n.along(readout)})
		}
		p.out, err = n.wander(ctx, p.seed, rows, w.forget, w.observe)
		return err
	}, func(i int) string { return fmt.Sprintf("network %d at g = %g", pieces[i].seed, pieces[i].held[0].gain) })
	if err != nil {
		return nil, nil, err
	}
	var loops []course
	for _, p := range pieces {
		for i, h := range p.held {
			h.found = append(h.found, p.out[i])
		}
		if p.loop {
			loops = append(loops, p.out[len(p.held)])
		}
	}
	return all, loops, nil
}

// chaosFigure draws the critical gain, the variances over the gain, and what the closed loops read out.
func chaosFigure(w chaosNetworks, all []*held, closed []course) figure.Figure {
	critical := figure.Panel{Title: "Where the state fluctuates", X: figure.Axis{Label: "readout held at z"}, Y: figure.Axis{Label: "gain g"}}
	line := figure.Line{Name: "critical gain", Color: figure.Blue}
	for k := range 101 {
		z := 3.2 * float64(k) / 100
		line.X, line.Y = append(line.X, z), append(line.Y, vectors.Network(1).CriticalGain(z))
	}
	critical.Lines = []figure.Line{line}
	moving, still := figure.Points{Name: "most networks fluctuate", Color: figure.Vermillion}, figure.Points{Name: "most networks rest", Color: figure.Gray, Hollow: true}
	for _, h := range all {
		if !h.input {
			continue
		}
		moves := 0
		for _, c := range h.found {
			if 1-c.deltaInf/c.delta > resting {
				moves++
			}
		}
		p := &still
		if 2*moves > len(h.found) {
			p = &moving
		}
		p.X, p.Y = append(p.X, h.z), append(p.Y, h.gain)
	}
	critical.Points = []figure.Points{moving, still}
	picture := figure.Figure{
		Title: "Chaos in feedback networks", Names: figure.NamesAbove, Cols: 2,
		Alt:    "The critical gain against the readout, variances of the state against the gain, in theory and in networks, and the readout of chaotic closed loops over time.",
		Panels: []figure.Panel{critical},
	}
	for _, p := range []struct {
		title string
		input bool
		at    func(g float64) meanfield.State
	}{
		{"Variance without input", false, func(g float64) meanfield.State { return meanfield.Network{Gain: g}.Clamp(0) }},
		{"Variance with z held at 1", true, func(g float64) meanfield.State { return vectors.Network(g).Clamp(closedTarget) }},
	} {
		picture.Panels = append(picture.Panels, variances(p.title, p.at, w, slices.DeleteFunc(slices.Clone(all), func(h *held) bool {
			return h.input != p.input || p.input && h.z != closedTarget
		})))
	}
	loops := figure.Panel{
		Title: fmt.Sprintf("The closed loop at g = %g", closedGain), X: figure.Axis{Label: fmt.Sprintf("time after %d τ (τ)", w.forget)}, Y: figure.Axis{Label: "readout z", Include: []float64{0}},
		Guides: []figure.Guide{{At: closedTarget, Label: "target"}},
	}
	for i, c := range closed[:2] {
		l := figure.Line{Name: fmt.Sprintf("network %d", i+1), Y: c.z, Color: []figure.Color{figure.Purple, figure.Orange}[i], Width: 1}
		for t := range c.z {
			l.X = append(l.X, float64(t))
		}
		loops.Lines = append(loops.Lines, l)
	}
	picture.Panels = append(picture.Panels, loops)
	return picture
}

// variances draws Δ₀ and Δ_∞ over the gain.
func variances(title string, at func(gain float64) meanfield.State, w chaosNetworks, found []*held) figure.Panel {
	p := figure.Panel{Title: title, X: figure.Axis{Label: "gain g"}, Y: figure.Axis{Label: "variance of x"}}
	now, later := figure.Line{Name: "Δ₀ in theory", Color: figure.Blue}, figure.Line{Name: "Δ∞ in theory", Color: figure.Sky}
	for k := range 37 {
		g := 1.2 + 2*float64(k)/36
		s := at(g)
		now.X, now.Y = append(now.X, g), append(now.Y, s.Delta)
		later.X, later.Y = append(later.X, g), append(later.Y, s.DeltaInf)
	}
	p.Lines = []figure.Line{now, later}
	for _, of := range []struct {
		name  string
		color figure.Color
		value func(course) float64
	}{
		{"Δ₀", figure.Blue, func(c course) float64 { return c.delta }},
		{"Δ∞", figure.Sky, func(c course) float64 { return c.deltaInf }},
	} {
		points := figure.Points{Name: fmt.Sprintf("%s in networks of %d units, ± sd", of.name, w.units), Color: of.color, Hollow: true}
		for _, h := range found {
			var values []float64
			for _, c := range h.found {
				values = append(values, of.value(c))
			}
			mean, sd := stat.MeanStdDev(values, nil)
			points.X, points.Y = append(points.X, h.gain), append(points.Y, mean)
			points.YLo, points.YHi = append(points.YLo, mean-sd), append(points.YHi, mean+sd)
		}
		p.Points = append(p.Points, points)
	}
	return p
}
