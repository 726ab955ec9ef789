package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"attractor/internal/figure"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models/meanfield"
	"attractor/train/experiments"

	"gonum.org/v1/gonum/stat"
)

const performanceDoc = `in the paper's spirit: whether the theory predicts how well trained networks perform

Four geometries (ρ = 0, 0.5 and 0.9 at σ_m = 1.2 and σ_I = 0.5, and ρ = 0.9 at σ_m = 0.4 and σ_I = 0.17), gains
from 0.3 to 2.4 and targets A from −2 to 2; for each 8 networks of 500 units, whose readouts are
trained in the open loop, by ridge regression, and in the closed loop, by recursive least squares, both with α = 1.
The performance of a network is the fraction of 16 initial states, nine x = mz₀ + I with z₀ from
−3 to 3 and seven random ones, from which z stays within 0.05 of A, as root mean square over times from 80 to
100. The prediction is that of the exact theory of least squares, before any training: 0 where the state at A
is not stable, because of an outlier or in chaos; 1 where it is the only one; else the part of the initial
states that begin between its unstable neighbours, where random states count as z₀ = 0.
Checked: that the ranks of the performance and of the prediction correlate by more than 0.5, for both methods;
that those of least squares correlate more than with local stability alone; and that in none of 999 shufflings
predictions that are given to other settings correlate as much. The tables of what was predicted and what
was found are recorded.`

// The settings.
var (
	performanceGeometries = []struct {
		name string
		meanfield.Vectors
	}{
		{"ρ = 0", meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5}},
		{"ρ = 0.5", vectors},
		{"ρ = 0.9", meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.9}},
		{"ρ = 0.9, weak", aligned},
	}
	performanceGains   = []float64{0.3, 1, 1.7, 2.4}
	performanceTargets = []float64{-2, -1, -0.7, -0.4, 0.5, 1, 2}
	performanceStarts  = []float64{-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3}
)

const randomStarts = 7

// outlook is what the theory says of a target.
type outlook int

const (
	unstable outlook = iota // the state there is not stable
	stable                  // it is, beside others
	alone                   // and there is no other
	outlooks
)

var (
	outlookNames = [outlooks]string{"unstable", "stable", "globally-stable"}
	outcomeNames = [outlooks]string{"none", "some", "all"} // of the initial states
)

// forecast is a prediction: the outlook, and the part of the initial states that end at the target.
type forecast struct {
	outlook outlook
	part    float64
}

// predict makes the forecast from the stationary states by ascending z.
func predict(states []meanfield.Solution, target float64) forecast {
	at := 0
	for i, s := range states {
		if math.Abs(s.Z-target) < math.Abs(states[at].Z-target) {
			at = i
		}
	}
	switch {
	case len(states) == 0 || !states[at].Stable:
		return forecast{outlook: unstable}
	case len(states) == 1:
		return forecast{outlook: alone, part: 1}
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if at > 0 {
		lo = states[at-1].Z
	}
	if at+1 < len(states) {
		hi = states[at+1].Z
	}
	inside := 0
	for _, z := range slices.Concat(performanceStarts, make([]float64, randomStarts)) {
		if z > lo && z < hi {
			inside++
		}
	}
	return forecast{outlook: stable, part: float64(inside) / float64(len(performanceStarts)+randomStarts)}
}

// performer is a setting with what was predicted and found.
type performer struct {
	name     string // of the geometry
	vectors  meanfield.Vectors
	gain     float64
	target   float64
	open     func() (*meanfield.Open, error)
	units    int
	expected forecast
	found    [methods][]float64 // performance by network
	overlaps []forecast         // of recursive least squares, from n·m and n·I of the trained readouts
}

// run makes the prediction and trains the networks.
func (p *performer) run(ctx context.Context, seed uint64) error {
	open, err := p.open()
	if err != nil {
		return err
	}
	if !open.Clamp(p.target).Chaotic { // else it is unstable
		l, err := open.LeastSquares(p.target)
		if err != nil {
			return err
		}
		p.expected = predict(l.Solutions(), p.target)
	}
	for k := range p.overlaps {
		n, err := draw[float32](p.units, p.gain, p.vectors, seed+uint64(k))
		if err != nil {
			return err
		}
		const alpha = 1
		ls, err := n.openLoop(ctx, p.target, alpha, seed+uint64(k))
		if err != nil {
			return err
		}
		learned, err := n.force(ctx, p.target, alpha, seed+uint64(k))
		if err != nil {
			return err
		}
		p.overlaps[k] = predict(open.Close(n.overlaps(learned.readout)).Solutions(), p.target)
		for i, w := range [methods][]float64{ls, learned.readout} {
			if p.found[i][k], err = n.perform(ctx, w, p.target, seed+uint64(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// overlaps are those of a readout with m and I.
func (n *network[T]) overlaps(w []float64) meanfield.Readout {
	return meanfield.Readout{U: kernels.Dot(w, widened(n.M)), V: kernels.Dot(w, widened(n.U))}
}

// perform returns the fraction of the initial states from which the closed loop stays at the target.
func (n *network[T]) perform(ctx context.Context, w []float64, target float64, seed uint64) (float64, error) {
	const (
		dt, perUnit    = 0.2, 5
		settle, judged = 80, 20 // units of time
		within         = 0.05
	)
	readout := narrowed[T](w)
	x := n.towards(performanceStarts)
	for i := range randomStarts {
		x = append(x, n.normal(fmt.Sprintf("start%d", i), seed)...)
	}
	off := make([]float64, len(x)/n.Units)
	run := n.Start(x, ones[T](len(off)), func(_ int, rates, z []T) { z[0] = T(kernels.Dot(readout, rates)) })
	for t := range settle + judged {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		run.Euler(dt, perUnit)
		if t < settle {
			continue
		}
		for i, z := range run.Z {
			off[i] += (float64(z) - target) * (float64(z) - target) / judged
		}
	}
	stay := 0.0
	for _, v := range off {
		if math.Sqrt(v) <= within {
			stay += 1 / float64(len(off))
		}
	}
	return stay, nil
}

func performance(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/performance", Seed: seedOf(o), Notes: []string{
		"Not a figure of the paper: an experiment of ours in its spirit.",
	}}
	geometries, gains, targets, units, networks := performanceGeometries, performanceGains, performanceTargets, 500, 8
	if o.Quick {
		geometries, gains, targets, units, networks = geometries[1:2], gains[:3], []float64{-2, -1, 1, 2}, 150, 2
		r.Notes = append(r.Notes, "Quick: few and small networks of one geometry, of which only the correlation is checked.")
	}
	var all []*performer
	for _, g := range geometries {
		for _, gain := range gains {
			open := sync.OnceValues(func() (*meanfield.Open, error) { return g.Network(gain).Open() })
			for _, target := range targets {
				p := &performer{name: g.name, vectors: g.Vectors, gain: gain, target: target, open: open, units: units, overlaps: make([]forecast, networks)}
				for i := range p.found {
					p.found[i] = make([]float64, networks)
				}
				all = append(all, p)
			}
		}
	}
	err := o.Work(ctx, len(all), func(i int) error { return all[i].run(ctx, seedOf(o)) }, func(i int) string {
		return fmt.Sprintf("%s, g = %g, A = %g", all[i].name, all[i].gain, all[i].target)
	})
	if err != nil {
		return nil, err
	}
	for i := range methods {
		checkPerformance(r, i, all, o.Quick)
	}
	return r, r.Save(o, "performance", performanceFigure(all, len(targets)))
}

// checkPerformance compares the predictions with the performance of the networks of a method.
func checkPerformance(r *experiments.Result, method int, all []*performer, quick bool) {
	var found, parts, local, overlaps []float64
	var table [outlooks][outlooks]int // by outlook and outcome
	for _, p := range all {
		for k, v := range p.found[method] {
			found, parts = append(found, v), append(parts, p.expected.part)
			overlaps = append(overlaps, p.overlaps[k].part)
			l := 0.0
			if p.expected.outlook != unstable {
				l = 1
			}
			local = append(local, l)
			outcome := 1
			switch v {
			case 0:
				outcome = 0
			case 1:
				outcome = 2
			}
			table[p.expected.outlook][outcome]++
		}
	}
	name := methodNames[method]
	right := 0
	for i, row := range table {
		for k, count := range row {
			r.Value(fmt.Sprintf("%s/predicted-%s/found-%s", name, outlookNames[i], outcomeNames[k]), float64(count))
		}
		right += row[i]
	}
	r.Value(name+"/as-predicted", float64(right)/float64(len(found)))
	id, correlation := name+"/rank-correlation", rankCorrelation(parts, found)
	r.Bound(id, correlation, experiments.Above, 0.5, ours)
	if method == byRLS {
		r.Value(id+"/by-the-overlaps-of-the-readout", rankCorrelation(overlaps, found))
	}
	if quick {
		return
	}
	byStability := rankCorrelation(local, found)
	r.Value(id+"/local-stability-alone", byStability)
	if method == byLeastSquares {
		r.Bound(id+"/beyond-local-stability", correlation-byStability, experiments.Above, 0, ours)
	}
	r.Bound("control/"+id+"/largest-of-999-shufflings", shuffled(parts, found, len(all), r.Seed), experiments.Below, correlation, ours)
}

// shuffled returns the largest correlation of ranks when predictions are given to settings at random.
func shuffled(parts, found []float64, settings int, seed uint64) float64 {
	const times = 999
	random, each := rng.Stream(seed, "mastrogiuseppe2019/shuffle"), len(parts)/settings
	x, y := ranks(parts), ranks(found)
	largest, mixed := math.Inf(-1), make([]float64, 0, len(x))
	for range times {
		mixed = mixed[:0]
		for _, i := range random.Perm(settings) {
			mixed = append(mixed, x[i*each:(i+1)*each]...)
		}
		largest = max(largest, stat.Correlation(mixed, y, nil))
	}
	return largest
}

// rankCorrelation is Spearman's: that of the ranks, where equal values share the mean of theirs.
func rankCorrelation(x, y []float64) float64 { return stat.Correlation(ranks(x), ranks(y), nil) }

func ranks(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		for _, other := range x {
			switch {
			case other < v:
				out[i]++
			case other == v:
				out[i] += 0.5
			}
		}
	}
	return out
}

// performanceFigure draws the mean performance over gains and targets, with the outlook written into the cells.
func performanceFigure(all []*performer, targets int) figure.Figure {
	picture := figure.Figure{
		Title: "Per cent of the initial states that end at the target, and in theory: U unstable, S stable, G globally stable", Cols: 4,
		Alt: "Performance of trained networks over targets and gains, for each geometry and both methods, with what the theory predicts.",
	}
	for i, method := range methodNames {
		for from := 0; from < len(all); {
			p := figure.Panel{
				Title: fmt.Sprintf("%s, %s", method, all[from].name), X: figure.Axis{Label: "target A"}, Y: figure.Axis{Label: "gain g"},
				Heat: &figure.Heat{Min: 0, Max: 1, Bare: true},
			}
			for _, s := range all[from : from+targets] {
				p.X.Categories = append(p.X.Categories, strings.ReplaceAll(fmt.Sprint(s.target), "-", "−"))
			}
			for name := all[from].name; from < len(all) && all[from].name == name; from += targets {
				var z []float64
				var texts []string
				for _, s := range all[from : from+targets] {
					mean := stat.Mean(s.found[i], nil)
					z, texts = append(z, mean), append(texts, fmt.Sprintf("%.0f %s", 100*mean, []string{"U", "S", "G"}[s.expected.outlook]))
				}
				p.Heat.Z, p.Heat.Texts = append(p.Heat.Z, z), append(p.Heat.Texts, texts)
				p.Y.Categories = append(p.Y.Categories, fmt.Sprintf("%g", all[from].gain))
			}
			picture.Panels = append(picture.Panels, p)
		}
	}
	return picture
}
