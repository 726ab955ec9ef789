package zhu2024

import (
	"context"
	"fmt"

	"attractor/internal/figure"
	"attractor/train/experiments"
)

const fig3Doc = `angles between the updates of the three rules on the linear network

Follows reparam-steepest from another W₀ than figure 2 and measures, at each of the states
that it passes, the angles between the steps that the rules would make there: θ12 between
gradient and reparam-steepest, and θ23 between reparam-steepest and reparam-gradient.
Checked: the published angles at the start, and where they end.`

var angleRates = []float64{0.03, 0.1, 0.3, 1}

// angles3 are the published angles of figure 3 at iteration 0, by learning rate.
var angles3 = [][2]float64{{85.04, 0.061}, {85.03, 0.205}, {85.01, 0.612}, {84.94, 2.03}}

// path holds the angles along a run of reparam-steepest.
type path struct {
	iteration      []float64
	theta12        []float64
	theta23        []float64
	uphill         int // states at which a step does not descend
	loss, abscissa float64
}

func anglesAlong(ctx context.Context, t *linear, rate float64, steps int) (*path, error) {
	p := &path{}
	d := newSteepest(t, t.second).(*steepest)
	next := 0
	for i := range steps + 1 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.loss()
		if i == next || i == steps {
			next = max(i+1, i+i/30)
			s := t.steps(d.a, rate)
			p.iteration = append(p.iteration, float64(i))
			p.theta12 = append(p.theta12, angle(s.gradient, s.steepest))
			p.theta23 = append(p.theta23, angle(s.steepest, s.reparam))
			if dot(s.gradient, s.steepest) <= 0 || dot(s.gradient, s.reparam) <= 0 {
				p.uphill++
			}
		}
		if i < steps {
			d.step(rate)
		}
	}
	p.loss = d.loss()
	p.abscissa = abscissa(d.weights())
	return p, nil
}

// stepsAt are the changes of W, divided by −2η/m, that the rules make at one state.
type stepsAt struct{ gradient, steepest, reparam matrix }

// steps computes them from A = (I − W)⁻¹. With c = 2η/m, E = AX − Y, B = A⁻¹ and V = XᵀB the
// new inverse of reparam-steepest is A − cEXᵀ = (I − cEV)A, so that by Woodbury's identity its
//
//	ΔW = B − B(I − cEV)⁻¹ = −c BE (I − cVE)⁻¹ V
//
// without the cancellation of the difference; reparam-gradient has I in place of the inverse.
func (t *linear) steps(a matrix, rate float64) stepsAt {
	b := inverse(a)
	c := 2 * rate / samples
	states := product(newMatrix(units, samples), a, t.x)
	e := states.plus(-1, t.y)
	be := product(newMatrix(units, samples), b, e)
	v := productTA(newMatrix(samples, units), t.x, b)
	middle := identity(samples)
	middle.add(-c, product(newMatrix(samples, samples), v, e))
	f := newLU(samples)
	solved := v.clone()
	f.factor(middle)
	f.solve(solved)
	return stepsAt{
		gradient: productTB(newMatrix(units, units), productTA(newMatrix(units, samples), a, e), states),
		steepest: product(newMatrix(units, units), be, solved),
		reparam:  product(newMatrix(units, units), be, v),
	}
}

func fig3(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	task, err := newLinear(seedOf(o))
	if err != nil {
		return nil, err
	}
	r := &experiments.Result{Name: "zhu2024/fig3", Seed: seedOf(o), Notes: []string{seedNote(o)}}
	steps := iterations
	if o.Quick {
		steps = 100
		r.Notes = append(r.Notes, "Quick: 100 iterations; the angles at the end are not checked.")
	}
	paths := make([]*path, len(angleRates))
	err = o.Work(ctx, len(paths), func(i int) (err error) {
		paths[i], err = anglesAlong(ctx, task, angleRates[i], steps)
		return err
	}, func(i int) string { return fmt.Sprintf("η = %g", angleRates[i]) })
	if err != nil {
		return nil, err
	}
	for i, p := range paths {
		run := fmt.Sprintf("eta=%g/", angleRates[i])
		last := len(p.iteration) - 1
		if published(o) {
			want := angles3[i]
			r.Equal(run+"theta12/0", p.theta12[0], want[0], 0.3, paper)
			r.Equal(run+"theta23/0", p.theta23[0], want[1], 0.02*want[1], paper)
		} else {
			r.Value(run+"theta12/0", p.theta12[0])
			r.Value(run+"theta23/0", p.theta23[0])
		}
		end := fmt.Sprintf("/%d", steps)
		if published(o) && steps == iterations {
			r.Bound(run+"theta12"+end, p.theta12[last], experiments.AtLeast, 70, paper)
			r.Bound(run+"theta12"+end+"/max", p.theta12[last], experiments.AtMost, 78, paper)
			r.Bound(run+"theta23"+end, p.theta23[last], experiments.Below, 0.05, paper)
		} else {
			r.Value(run+"theta12"+end, p.theta12[last])
			r.Value(run+"theta23"+end, p.theta23[last])
		}
		r.Bound(run+"uphill-steps", float64(p.uphill), experiments.AtMost, 0, derived+": descent directions")
		r.Value(run+fmt.Sprintf("J%d", steps), p.loss)
		r.Value(run+"abscissa", p.abscissa)
	}
	return r, r.Save(o, "angles", anglesFigure(paths, steps))
}

func anglesFigure(paths []*path, steps int) figure.Figure {
	x := figure.Axis{Label: "iteration", Log: true, Min: 1, Max: float64(steps)}
	f := figure.Figure{
		Alt: "Angles between the steps of the three rules along reparam-steepest at four learning rates.",
		Panels: []figure.Panel{
			{Title: "gradient and reparam-steepest", X: x, Y: figure.Axis{Label: "θ₁₂ (degrees)", Min: 60, Max: 90}},
			{Title: "reparam-steepest and reparam-gradient", X: x, Y: figure.Axis{Label: "θ₂₃ (degrees)", Log: true}},
		},
	}
	for i, p := range paths {
		name := fmt.Sprintf("η = %g", angleRates[i])
		f.Panels[0].Lines = append(f.Panels[0].Lines, figure.Line{Name: name, X: p.iteration, Y: p.theta12})
		f.Panels[1].Lines = append(f.Panels[1].Lines, figure.Line{Name: name, X: p.iteration, Y: p.theta23})
	}
	return f
}
