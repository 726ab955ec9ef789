package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train/experiments"

	"gonum.org/v1/gonum/stat"
)

const leastSquaresDoc = `in the paper's spirit: readouts trained by least squares, in theory and in networks

n = Aφ(x*)/|φ(x*)|² for the stationary state x* with z held at A, at σ_m = 1.2, σ_I = 0.5, ρ = 0.5 and gains
0.3, 0.8, 1.2 and 1.5, where the outlier at the target is mostly within the bulk, and at σ_m = 0.4,
σ_I = 0.17, ρ = 0.9 and g = 0.3, where it is not. Two theories are compared with 8 or 16 networks of 2,000
units: the linearised one, n ∝ mA + I independent of χ, and the exact one for large networks, which keeps that
n depends on χ: F(z) = A⟨φ(x)φ(y)⟩/C₀, with an outlier λ = ⟨φ′² + φφ″⟩[g² + A(σ_m²A + σ_mI)/C₀] at the
target.
Checked: the targets at which a second attractor appears, by both; that the networks read out A, and
that their other states and outliers agree with the exact theory within 0.03 and 0.04; and
that the linearised theory does not.`

// lsCase is a gain with the onsets of bistability by the exact and the linearised theory, and how many
// networks are trained to which targets: more where single ones differ more.
type lsCase struct {
	name              string
	gain              float64
	vectors           meanfield.Vectors
	exact, linearised float64 // 0: not known
	draws             int
	targets           []float64
}

// lsCases are those of ls. The first is that of the quick form.
var lsCases = []lsCase{
	{"g = 0.3", 0.3, vectors, 1.545, 1.367, 8, []float64{-2, -1.5, -0.75, -0.5, 0.25, 0.5, 1, 1.45, 2, 2.5}},
	{"g = 0.8", 0.8, vectors, 1.545, 1.408, 8, []float64{0.5, 1, 1.45, 2, 2.5}},
	{"g = 1.2", 1.2, vectors, 1.579, 1.482, 16, []float64{0.5, 1, 1.45, 2, 2.5}},
	{"g = 1.5", 1.5, vectors, 1.652, 1.564, 16, []float64{0.5, 1, 1.45, 2, 2.5}},
	{"g = 0.3, ρ = 0.9", 0.3, aligned, 0, 0, 8, []float64{-2.5, -2, -1, -0.75, 0.25, 0.5, 1, 1.5, 2, 2.5}},
}

// aligned are vectors with which the outliers of least squares leave the bulk.
var aligned = meanfield.Vectors{SigmaM: 0.4, SigmaI: 0.17, Rho: 0.9}

func (c lsCase) id() string {
	return strings.ReplaceAll(strings.ReplaceAll(c.name, " ", ""), ",", "/") + "/"
}

func leastSquares(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/ls", Seed: seedOf(o), Notes: []string{
		"Not a figure of the paper: an experiment of ours in its spirit.",
	}}
	cases := lsCases
	if o.Quick {
		cases = cases[:1]
	}
	var all []*ensemble
	var opens []*meanfield.Open
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		open, err := c.vectors.Network(c.gain).Open()
		if err != nil {
			return nil, err
		}
		if c.exact > 0 {
			if err := onsets(r, c.id(), open, c.exact, c.linearised); err != nil {
				return nil, err
			}
		}
		e := &ensemble{units: 2000, draws: c.draws, gain: c.gain, vectors: c.vectors}
		for _, a := range c.targets {
			if err := e.train(open, a); err != nil {
				return nil, err
			}
		}
		if o.Quick {
			e.quick(r)
		}
		all, opens = append(all, e), append(opens, open)
	}
	found, err := simulate(ctx, o, all...)
	if err != nil {
		return nil, err
	}
	states := figure.Figure{
		Title: "Networks trained by least squares: stationary states", Names: figure.NamesAbove,
		Alt: "Stationary states against the target for several gains, by two theories and in networks.",
	}
	spectra := figure.Figure{
		Title: "Networks trained by least squares: the spectrum at the target", Names: figure.NamesAbove,
		Alt: "The outlier and the radius of the bulk at the target for several gains, by two theories and in networks.",
	}
	worst, name := 0.0, fmt.Sprintf("networks of %d units, ± sd", all[0].units)
	for i, in := range found {
		c, open := cases[i], opens[i]
		r.Bound(c.id()+"largest-|z-A|", in.miss(), experiments.AtMost, 0.01, derived)
		in.check(r, c.id(), !o.Quick)
		e, err := in.linearisedError(open)
		if err != nil {
			return nil, err
		}
		worst = max(worst, e)
		z, l, err := lsPanels(open, slices.Min(c.targets)-0.1, slices.Max(c.targets)+0.1)
		if err != nil {
			return nil, err
		}
		z.Title, l.Title = c.name, c.name
		z.Points = append(z.Points, in.points(name, false))
		l.Points = append(l.Points, in.points(name, true))
		states.Panels, spectra.Panels = append(states.Panels, z), append(spectra.Panels, l)
	}
	if o.Quick {
		r.Value("control/linearised/largest-|z-theory|", worst)
	} else {
		r.Bound("control/linearised/largest-|z-theory|", worst, experiments.Above, 0.03, ours)
	}
	if err := r.Save(o, "states", states); err != nil {
		return nil, err
	}
	return r, r.Save(o, "spectra", spectra)
}

// train adds the readout that least squares finds for a target.
func (e *ensemble) train(open *meanfield.Open, target float64) error {
	l, err := open.LeastSquares(target)
	if err != nil {
		return err
	}
	out := loop{target: target, readout: func(ctx context.Context, n *network[float64]) ([]float64, error) {
		t, err := n.leastSquares(ctx, target, 0)
		if err != nil {
			return nil, err
		}
		return t.readout, nil
	}}
	out.expect(l.Solutions())
	e.cases = append(e.cases, out)
	return nil
}

// miss is the largest distance of the networks' own states by the target to it.
func (s *simulated) miss() float64 {
	worst := 0.0
	for k, c := range s.cases {
		for i, want := range c.states {
			if math.Abs(want.z-c.target) > 1e-6 {
				continue
			}
			for _, z := range s.z[k][i] {
				worst = max(worst, math.Abs(z-c.target))
			}
		}
	}
	return worst
}

// linearisedError is the largest distance of a mean over the networks to the linearised theory, where that has
// as many states as the exact one.
func (s *simulated) linearisedError(open *meanfield.Open) (float64, error) {
	worst := 0.0
	for k, c := range s.cases {
		n, err := open.Linearised(c.target)
		if err != nil {
			return 0, err
		}
		z := open.Close(n).FixedPoints()
		if len(z) != len(c.states) {
			continue
		}
		for i, values := range s.z[k] {
			if s.common(k, i) {
				worst = max(worst, math.Abs(stat.Mean(values, nil)-z[i]))
			}
		}
	}
	return worst, nil
}

// onsets checks where a second attractor appears.
func onsets(r *experiments.Result, id string, open *meanfield.Open, exact, linear float64) error {
	for _, c := range []struct {
		name   string
		want   float64
		states func(a float64) ([]float64, error)
	}{
		{"exact", exact, func(a float64) ([]float64, error) {
			l, err := open.LeastSquares(a)
			if err != nil {
				return nil, err
			}
			return l.FixedPoints(), nil
		}},
		{"linearised", linear, func(a float64) ([]float64, error) {
			n, err := open.Linearised(a)
			return open.Close(n).FixedPoints(), err
		}},
	} {
		onset, err := onlySaddleNode(c.states, 1.2, 1.8, 3)
		if err != nil {
			return err
		}
		r.Equal(id+"A-bistable/"+c.name, onset, c.want, 0.01, derived)
	}
	return nil
}

// onlySaddleNode returns where the number of states changes, NaN if not by one saddle-node.
func onlySaddleNode(states func(p float64) ([]float64, error), lo, hi float64, steps int) (float64, error) {
	changes, err := meanfield.Bifurcations(states, lo, hi, steps)
	if err != nil || len(changes) != 1 || !changes[0].SaddleNode() {
		return math.NaN(), err
	}
	return changes[0].At, nil
}

// lsPanels draws both theories.
func lsPanels(open *meanfield.Open, lo, hi float64) (z, outlier figure.Panel, err error) {
	exact, err := meanfield.Over(lo, hi, 100, func(a float64) ([]meanfield.Solution, error) {
		l, err := open.LeastSquares(a)
		if err != nil {
			return nil, err
		}
		return l.Solutions(), nil
	})
	if err != nil {
		return z, outlier, err
	}
	linear, err := open.Diagram(func(a float64) meanfield.Readout {
		return meanfield.Readout{U: open.VarM*a + open.CovMI, V: open.CovMI*a + open.VarI}
	}, lo, hi, 600)
	if err != nil {
		return z, outlier, err
	}
	panels, others := exact.Figure(3).Panels, linear.Figure(3).Panels
	panels[0].Y.Max, panels[1].Y.Max, panels[1].Guides = 3, 1.5, nil
	// Of the spectrum least squares has the outlier at the target alone.
	panels[1].Lines = slices.DeleteFunc(panels[1].Lines, func(l figure.Line) bool { return l.Color == figure.Vermillion })
	others[1].Lines = slices.DeleteFunc(others[1].Lines, func(l figure.Line) bool { return l.Color != figure.Blue })
	for i, p := range others[:2] {
		for _, l := range p.Lines {
			if l.Name != "" {
				l.Name = "linearised theory"
			}
			l.Color, l.Width = figure.Purple, 1.2
			panels[i].Lines = append(panels[i].Lines, l)
		}
	}
	return panels[0], panels[1], nil
}
