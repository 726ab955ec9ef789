package liu2024

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/experiments"
	"attractor/train/rules"
)

const (
	gradDoc = `the gradients of all rules through time: which are the same, and which are not

Random networks of 12 units in both forms, currents (V) and activities (H), tanh and rectified, a = 0.3, on
random trials of 20 steps with a loss at every step, in float64. Errors are largest differences relative to the
largest entry, and the worst over seeds.
Checked: back-propagation through time agrees with finite differences and with real-time recurrent
learning; e-prop with its traces run forwards, one for every synapse; e-prop with bptt where W = 0; mdgl with
bptt over as many synapses as steps; modprop with bptt in a linear network; three-factor with the true
signal with e-prop for currents; the gradient of flossing with finite differences. With fixed random
feedback the update of a linear network has no higher rank than there are outputs.
Controls: rules that leave something out are told apart from bptt, variant a of flossing from its
gradient, and bptt's update, or that of a curved network, has a higher rank.`

	murrayRef = `@article{murray2019local,
  title   = {Local Online Learning in Recurrent Networks with Random Feedback},
  author  = {Murray, James M.},
  journal = {eLife},
  volume  = {8},
  pages   = {e43299},
  year    = {2019},
  doi     = {10.7554/eLife.43299}
}`
)

// finding is a number of one network that has a bound.
type finding struct {
	id    string
	value float64
	is    experiments.Relation
	bound float64
}

// identities are the networks of grad, by their names.
var identities = []struct {
	name string
	models.Rate
}{
	{"V/tanh", models.Rate{Form: "v"}}, {"V/relu", models.Rate{Form: "v", Activation: "relu"}},
	{"H/tanh", models.Rate{}}, {"H/relu", models.Rate{Activation: "relu"}},
}

const (
	gradLeak    = 0.3
	gradOutputs = 2
	told        = 1e-3 // what is told apart is off by more
)

func grad(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "liu2024/grad", Seed: seedOf(o), Notes: []string{
		"Largest differences of gradients, relative to the largest entry; the worst over seeds.",
	}}
	runs, entries := 5, 60
	if o.Quick {
		runs, entries = 2, 8
		r.Notes = append(r.Notes, "Quick: two seeds, and finite differences of 8 entries of each parameter.")
	}
	type piece struct {
		name string
		find func() ([]finding, error)
	}
	var pieces []piece
	spectra := make([]map[string][]float64, runs)
	for i, seed := range seeds(o, runs) {
		for _, c := range identities {
			pieces = append(pieces, piece{c.name, func() ([]finding, error) { return compareRules(ctx, c.name, c.Rate, seed, entries) }})
		}
		pieces = append(pieces,
			piece{"flossing", func() ([]finding, error) { return compareFlossing(ctx, seed, entries) }},
			piece{"rank", func() (found []finding, err error) {
				spectra[i], found, err = ranks(ctx, seed)
				return found, err
			}})
	}
	all := make([][]finding, len(pieces))
	err := o.Work(ctx, len(pieces), func(i int) (err error) {
		all[i], err = pieces[i].find()
		return err
	}, func(i int) string { return pieces[i].name })
	if err != nil {
		return nil, err
	}
	worst := worstOf(slices.Concat(all...))
	for _, f := range worst {
		r.Bound(f.id, f.value, f.is, f.bound, theory)
	}
	return r, r.Save(o, "grad", gradFigure(worst, spectra[0]))
}

// worstOf is what is nearest to its bound, or beyond it, of the findings of each id, in the order of their ids.
func worstOf(all []finding) []finding {
	var out []finding
	for _, f := range all {
		i := slices.IndexFunc(out, func(w finding) bool { return w.id == f.id })
		switch {
		case i < 0:
			out = append(out, f)
		case f.is == experiments.AtMost && !(f.value <= out[i].value), f.is == experiments.Above && !(f.value >= out[i].value):
			out[i].value = f.value
		}
	}
	return out
}

// compareRules compares the gradients of rules for a network.
func compareRules(ctx context.Context, name string, m models.Rate, seed uint64, entries int) ([]finding, error) {
	m.N, m.Gain, m.Leak = 12, 1.2, gradLeak
	size := shape{inputs: 3, outputs: gradOutputs, rows: 4, steps: 20}
	tr, err := newTrials(m, size, seed)
	if err != nil {
		return nil, err
	}
	var out []finding
	compare := func(tr *trials, id string, rule, with rules.TemporalRule[float64], is experiments.Relation, bound float64) error {
		p, err := tr.passage(ctx)
		if err != nil {
			return err
		}
		got, err := tr.gradient(ctx, p, rule)
		if err != nil {
			return err
		}
		want, err := tr.gradient(ctx, p, with)
		out = append(out, finding{id, distance(got, want), is, bound})
		return err
	}
	type one = rules.TemporalRule[float64]
	bptt, eprop := one(rules.BPTT[float64]{}), one(rules.EProp[float64]{})
	steps := size.steps
	for _, c := range []struct {
		id    string
		rule  one
		with  one
		bound float64 // 0: is to be told apart
	}{
		{"rtrl=bptt", rules.RTRL[float64]{}, bptt, 1e-10},
		{"mdgl-all-synapses=bptt", rules.MDGL[float64]{Hops: steps}, bptt, 1e-10},
		{"e-prop≠bptt", eprop, bptt, 0},
		{"e-prop-random≠bptt", rules.EProp[float64]{Local: rules.Local[float64]{Feedback: "random"}}, bptt, 0},
		{"tbptt-10≠bptt", rules.TBPTT[float64]{Window: steps / 2}, bptt, 0},
		{"snap-1≠bptt", rules.SnAp1[float64]{}, bptt, 0},
		{"mdgl≠bptt", rules.MDGL[float64]{}, bptt, 0},
		{"mdgl≠e-prop", rules.MDGL[float64]{}, eprop, 0},
		{"modprop≠bptt", rules.ModProp[float64]{Taps: steps}, bptt, 0},
		{"three-factor≠bptt", rules.ThreeFactor[float64]{}, bptt, 0},
	} {
		is, bound := experiments.AtMost, c.bound
		if bound == 0 {
			is, bound = experiments.Above, told
		}
		if err := compare(tr, name+"/"+c.id, c.rule, c.with, is, bound); err != nil {
			return nil, err
		}
	}
	signalled := rules.ThreeFactor[float64]{Tau: 1 / gradLeak, Feedback: "symmetric"}
	if m.Form == "v" {
		err = compare(tr, name+"/three-factor-true-signal=e-prop", signalled, eprop, experiments.AtMost, 1e-12)
	} else { // whose slopes belong to the traces
		err = compare(tr, name+"/three-factor-true-signal≠e-prop", signalled, eprop, experiments.Above, told)
	}
	if err != nil {
		return nil, err
	}
	forwards, err := tr.traces(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, finding{name + "/e-prop-forwards=backwards", forwards, experiments.AtMost, 1e-10})
	numeric, err := tr.numeric(ctx, entries)
	if err != nil {
		return nil, err
	}
	out = append(out, finding{name + "/bptt=finite-differences", numeric, experiments.AtMost, 1e-6})

	if m.Activation == "" {
		linear := m
		linear.Activation = "linear"
		straight, err := newTrials(linear, size, seed)
		if err != nil {
			return nil, err
		}
		if err := compare(straight, strings.TrimSuffix(name, "tanh")+"linear/modprop=bptt", rules.ModProp[float64]{Taps: steps}, bptt, experiments.AtMost, 1e-10); err != nil {
			return nil, err
		}
	}
	if err := tr.Update(func(p deq.Params[float64]) error { clear(p.Data("W")); return nil }); err != nil {
		return nil, err
	}
	return out, compare(tr, name+"/W=0/e-prop=bptt", eprop, bptt, experiments.AtMost, 1e-12)
}

// traces is how far e-prop with traces that run forwards, e ← D e + ∂f/∂a·pre for every synapse, is off
// e-prop with credits that run backwards.
func (tr *trials) traces(ctx context.Context) (float64, error) {
	p, err := tr.passage(ctx)
	if err != nil {
		return 0, err
	}
	want, err := tr.gradient(ctx, p, rules.EProp[float64]{})
	if err != nil {
		return 0, err
	}
	seen, err := p.Locals(ctx, 0, p.Steps, nil)
	if err != nil {
		return 0, err
	}
	synapses, err := tr.Synapses()
	if err != nil {
		return 0, err
	}
	got, n := tr.Params.ZerosLike(), tr.Units
	for k, y := range synapses {
		width := max(1, y.Pre)
		sum := make([]float64, n*width)
		for b := range p.Rows {
			trace := make([]float64, n*width)
			for t, here := range seen {
				dz := p.Outputs.DZ(t + 1)
				for i := range n {
					decay, slope := 0.0, here.Slope[k][0][b*n+i]
					if here.Same != nil {
						decay = here.Same[0][0][b*n+i]
					}
					for j := range width {
						pre := 1.0
						if here.Pre[k] != nil {
							pre = here.Pre[k][b*width+j]
						}
						e := &trace[i*width+j]
						*e = decay**e + slope*pre
						sum[i*width+j] += dz[b*n+i] * *e
					}
				}
			}
		}
		if err := tr.WeightVJP(k, sum, got); err != nil {
			return 0, err
		}
	}
	return distance(got, want), nil
}

// numeric is how far bptt is off finite differences, of some entries of each parameter of the cell.
func (tr *trials) numeric(ctx context.Context, entries int) (float64, error) {
	p, err := tr.passage(ctx)
	if err != nil {
		return 0, err
	}
	g, err := tr.gradient(ctx, p, rules.BPTT[float64]{})
	if err != nil {
		return 0, err
	}
	return tr.against(g, entries, func() (float64, error) {
		p, err := tr.passage(ctx)
		if err != nil {
			return 0, err
		}
		return p.Outputs.Loss(), nil
	})
}

// against is how far the gradient g of a value is off finite differences, of some entries of each parameter
// of the cell, relative to the largest one.
func (tr *trials) against(g deq.Params[float64], entries int, value func() (float64, error)) (float64, error) {
	var worst, scale float64
	for i, param := range tr.Params {
		if !param.Role.OfCell() {
			continue
		}
		some := rng.Stream(tr.seed, "liu2024/entries/"+param.Name).Perm(len(param.Data))
		for _, k := range some[:min(entries, len(some))] {
			want, err := finite.Derivative(func(h float64) (v float64, err error) {
				err = tr.Vary(func(deq.Params[float64]) error { param.Data[k] += h; return nil },
					func() error { v, err = value(); return err })
				return v, err
			})
			if err != nil {
				return 0, err
			}
			worst, scale = max(worst, math.Abs(g[i].Data[k]-want)), max(scale, math.Abs(want))
		}
	}
	return worst / scale, nil
}

// compareFlossing compares gradients of flossing with finite differences.
func compareFlossing(ctx context.Context, seed uint64, entries int) ([]finding, error) {
	var out []finding
	for _, form := range []string{"v", "h"} {
		tr, err := newTrials(models.Rate{N: 8, Gain: 1.2, Leak: gradLeak, Form: form}, shape{inputs: 3, outputs: gradOutputs, rows: 1, steps: 12}, seed)
		if err != nil {
			return nil, err
		}
		o, drive := stability.Flossing{K: 3, Horizon: 12, Warmup: 2, Seed: seed}, stability.Repeating(tr.X)
		value := func() (float64, error) {
			sum := 0.0
			exponents, err := stability.FlossingGradient(ctx, tr.Layer, drive, nil, o, nil)
			for _, v := range exponents {
				sum += v * v / float64(len(exponents))
			}
			return sum, err
		}
		for _, c := range []struct {
			variant string
			finding
		}{
			{"exact", finding{"flossing=finite-differences", 0, experiments.AtMost, 1e-6}},
			{"a", finding{"flossing-a≠finite-differences", 0, experiments.Above, told}},
		} {
			own := o
			own.Variant = c.variant
			g := tr.Params.ZerosLike()
			if _, err := stability.FlossingGradient(ctx, tr.Layer, drive, nil, own, g); err != nil {
				return nil, err
			}
			if c.value, err = tr.against(g, entries, value); err != nil {
				return nil, err
			}
			c.id = strings.ToUpper(form) + "/" + c.id
			out = append(out, c.finding)
		}
	}
	return out, nil
}

// ranks compares the singular values of updates of W, those behind the number of outputs with the first one.
func ranks(ctx context.Context, seed uint64) (map[string][]float64, []finding, error) {
	spectra := map[string][]float64{}
	var out []finding
	for _, activation := range []string{"linear", "tanh"} {
		tr, err := newTrials(models.Rate{N: 12, Gain: 0.9, Leak: gradLeak, Activation: activation}, shape{inputs: 3, outputs: gradOutputs, rows: 4, steps: 20}, seed)
		if err != nil {
			return nil, nil, err
		}
		p, err := tr.passage(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range []struct {
			name string
			rule rules.TemporalRule[float64]
		}{{"rflo", rules.RFLO[float64]{}}, {"three-factor", rules.ThreeFactor[float64]{}}, {"bptt", rules.BPTT[float64]{}}} {
			g, err := tr.gradient(ctx, p, c.rule)
			if err != nil {
				return nil, nil, err
			}
			var svd mat.SVD
			if !svd.Factorize(mat.NewDense(tr.Units, tr.Units, g.Data("W")), mat.SVDNone) {
				return nil, nil, fmt.Errorf("liu2024: the singular values of an update by %s were not found", c.name)
			}
			values := svd.Values(nil)
			behind := values[gradOutputs] / values[0]
			f := finding{"rank/" + activation + "/" + c.name + "≤outputs", behind, experiments.AtMost, 1e-10}
			if activation == "tanh" || c.name == "bptt" {
				f = finding{"rank/" + activation + "/" + c.name + ">outputs", behind, experiments.Above, told}
			}
			out, spectra[activation+", "+c.name] = append(out, f), values
		}
	}
	return spectra, out, nil
}

// gradFigure shows the findings and the singular values of updates.
func gradFigure(worst []finding, spectra map[string][]float64) figure.Figure {
	const rounding = 1e-17 // stands for 0
	points := figure.Panel{Title: "differences of gradients", X: figure.Axis{Label: "largest relative difference", Log: true}}
	same, other := figure.Points{Name: "to be the same"}, figure.Points{Name: "to be told apart", Hollow: true}
	for _, f := range worst {
		if f.id[:2] != "V/" {
			continue
		}
		to := &same
		if f.is == experiments.Above {
			to = &other
		}
		to.X, to.Y = append(to.X, max(f.value, rounding)), append(to.Y, float64(len(points.Y.Categories)))
		points.Y.Categories = append(points.Y.Categories, f.id[2:])
	}
	points.Points = []figure.Points{same, other}
	rank := figure.Panel{Title: "updates of W", X: figure.Axis{Label: "singular value"}, Y: figure.Axis{Label: "size, relative to the first", Log: true}, Guides: []figure.Guide{{At: gradOutputs + 0.5, Upright: true, Label: "outputs"}}}
	for _, name := range []string{"linear, rflo", "linear, three-factor", "linear, bptt", "tanh, rflo"} {
		line := figure.Line{Name: name}
		for i, v := range spectra[name] {
			line.X, line.Y = append(line.X, float64(i+1)), append(line.Y, max(v/spectra[name][0], rounding))
		}
		rank.Lines = append(rank.Lines, line)
	}
	return figure.Figure{
		Title: "Gradients through time", Alt: "Largest differences between gradients of rules for a network of currents, and singular values of updates of W.",
		Panels: []figure.Panel{points, rank}, Width: 260, Height: 300,
	}
}
