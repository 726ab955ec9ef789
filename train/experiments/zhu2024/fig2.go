package zhu2024

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/train/experiments"
)

const fig2Doc = `learning curves of three rules on the linear network at five learning rates

Learns the linear task by full-batch descent, 3500 iterations from W₀ = 0.75·randn/√n, at
the learning rates 0.03, 0.1, 0.3, 1 and 3, by
  gradient          ΔW = −η (2/m) Aᵀ(AX − Y)(AX)ᵀ,  A = (I − W)⁻¹
  reparam-steepest  W ← I − [A − η (2/m)(AX − Y)Xᵀ]⁻¹
  reparam-gradient  ΔW = −η (2/m)(X − (I − W)Y)Xᵀ(I − W)
Checked: the published losses, the iteration at which the reparameterised rules pass 1e-9,
where the plain gradient is ahead, that every sampled step descends, and the closed
form E_t = E₀(I − (2η/m)XᵀX)ᵗ of reparam-steepest with the rate 1/λ_max(XᵀX/m) at which it
diverges. Also printed: the rate at which reparam-gradient diverges, and whether the learned
fixed points are stable, which no rule sees to.`

var rates = []float64{0.03, 0.1, 0.3, 1, 3}

// curve is a run of one rule at one rate.
type curve struct {
	rule  string
	rate  float64
	j     []float64 // j[t] after t iterations
	worst float64   // least cosine of a step with the negative gradient, where it was looked at
	final matrix    // W at the end
	at    float64   // abscissa of W at the end
}

// look is the number of iterations between two comparisons with the gradient.
const look = 100

// runLinear runs a rule until it ends or the loss is no longer finite.
func runLinear(ctx context.Context, t *linear, rule int, rate float64, start matrix, steps int) (*curve, error) {
	c := &curve{rule: linearRules[rule].name, rate: rate, worst: 1}
	d := linearRules[rule].start(t, start)
	for i := range steps + 1 {
		if i%50 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		j := d.loss()
		c.j = append(c.j, j)
		if math.IsInf(j, 0) || math.IsNaN(j) || i == steps {
			break
		}
		if i%look == 0 && c.rule != "gradient" && j > 1e-18 { // below, the gradient is rounding
			c.worst = math.Min(c.worst, descends(t, d))
		}
		d.step(rate)
	}
	c.final = d.weights()
	c.at = abscissa(c.final)
	return c, nil
}

// descends is the cosine of the negative gradient with the step that a rule makes in the
// limit of a small rate: B (∇_A J) B for both reparameterised rules, P_L (∇_W J) P_R with
// P_L = BBᵀ and P_R = BᵀB.
func descends(t *linear, d descent) float64 {
	w := d.weights()
	g := newGradient(t, w).(*gradient)
	g.loss()
	r := newReparam(t, w).(*reparam)
	r.prepare()
	exact, step := g.direction(), r.direction()
	return dot(exact, step) / math.Sqrt(exact.squared()*step.squared())
}

// abscissa is the largest real part of the eigenvalues of w, below 1 where the fixed points
// of the linear network are stable.
func abscissa(w matrix) float64 { return rightmost(eigenvalues(w)) }

// eigenvalues are those of w, none where it is not finite.
func eigenvalues(w matrix) []complex128 {
	for _, v := range w.v {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	var e mat.Eigen
	if !e.Factorize(mat.NewDense(w.rows, w.cols, w.clone().v), mat.EigenNone) {
		return nil
	}
	return e.Values(nil)
}

// rightmost is the largest real part, NaN of none.
func rightmost(values []complex128) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return stability.Abscissa(values)
}

// after is the loss after so many iterations, or of the last one that was made.
func (c *curve) after(t int) float64 { return c.j[min(t, len(c.j)-1)] }

// rises is the number of iterations that raised the loss.
func (c *curve) rises() int {
	n := 0
	for i := 1; i < len(c.j); i++ {
		if c.j[i] > c.j[i-1] {
			n++
		}
	}
	return n
}

// passes is the first iteration after which the loss is below a level, -1 for none.
func (c *curve) passes(level float64) int {
	for t, j := range c.j {
		if j < level {
			return t
		}
	}
	return -1
}

func fig2(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	task, err := newLinear(seedOf(o))
	if err != nil {
		return nil, err
	}
	r := &experiments.Result{Name: "zhu2024/fig2", Seed: seedOf(o), Notes: []string{seedNote(o)}}
	steps := iterations
	if o.Quick {
		steps = 100
		r.Notes = append(r.Notes, "Quick: 100 iterations; what needs more is not checked, and rates of divergence are rough.")
	}
	n := len(rates)
	curves := make([]*curve, n*len(linearRules)) // the slow rules first
	fates := make([]float64, 2)
	limit := steepestLimit(task)
	unstable := make([]*curve, len(linearRules))
	jobs := len(curves) + len(fates) + len(unstable)
	err = o.Work(ctx, jobs, func(i int) (err error) {
		switch {
		case i < len(curves):
			curves[i], err = runLinear(ctx, task, i/n, rates[i%n], task.start, steps)
		case i < len(curves)+len(fates):
			i -= len(curves)
			fates[i], err = divergence(ctx, task, i+1, limit, min(steps, 600))
		default: // twice the gain of the published start
			i -= len(curves) + len(fates)
			unstable[i], err = runLinear(ctx, task, i, 0.3, matrix{units, units, scaled(task.start, 2)}, steps)
		}
		return err
	}, func(i int) string {
		if i < len(curves) {
			return fmt.Sprintf("%s at η = %g", linearRules[i/n].name, rates[i%n])
		}
		return "divergence and stability"
	})
	if err != nil {
		return nil, err
	}
	reportCurves(task, r, curves, published(o), steps)
	r.Value("reparam-gradient/diverges-above", fates[1])
	if steps == iterations {
		r.Equal("reparam-steepest/diverges-above", fates[0], limit, 0.01*limit, derived+": 1/λ_max(XᵀX/m)")
	} else {
		r.Value("reparam-steepest/diverges-above", fates[0])
	}
	for _, c := range curves {
		r.Value(fmt.Sprintf("%s/eta=%g/abscissa", c.rule, c.rate), c.at)
	}
	for _, c := range unstable {
		id := fmt.Sprintf("unstable-start/%s/eta=%g/", c.rule, c.rate)
		r.Value(id+fmt.Sprintf("J%d", steps), c.after(steps))
		r.Value(id+"abscissa", c.at)
	}
	r.Notes = append(r.Notes,
		"abscissa is the largest real part of an eigenvalue of the final W: the fixed points are stable where it is below 1.",
		"unstable-start begins at twice the published W₀, where the network is unstable.")
	return r, r.Save(o, "curves", curvesFigure(curves, steps))
}

func scaled(m matrix, s float64) []float64 {
	out := make([]float64, len(m.v))
	for i, v := range m.v {
		out[i] = s * v
	}
	return out
}

// table2 are the published losses of figure 2.
var table2 = map[string]float64{
	"gradient/eta=0.03/J3500": 3.907e-2, "reparam-steepest/eta=0.03/J3500": 2.818e-2, "reparam-gradient/eta=0.03/J3500": 2.818e-2,
	"gradient/eta=0.1/J3500": 3.766e-3, "reparam-steepest/eta=0.1/J3500": 7.656e-4, "reparam-gradient/eta=0.1/J3500": 7.658e-4,
	"gradient/eta=1/J3500": 1.938e-5, "reparam-steepest/eta=1/J3500": 6.87e-16, "reparam-gradient/eta=1/J3500": 6.89e-16,
	"gradient/eta=0.03/J100": 1.06, "reparam-steepest/eta=0.03/J100": 2.25,
}

func reportCurves(task *linear, r *experiments.Result, curves []*curve, published bool, steps int) {
	if j := curves[0].j[0]; published {
		r.Equal("J0", j, 3.1949439260414256, 1e-12, paper)
	} else {
		r.Value("J0", j)
	}
	for _, c := range curves {
		run := fmt.Sprintf("%s/eta=%g/", c.rule, c.rate)
		for _, t := range []int{100, 1000, 3500} {
			if t > steps {
				break
			}
			id, j := fmt.Sprintf("%sJ%d", run, t), c.after(t)
			want, listed := table2[id]
			switch {
			case published && listed:
				r.Equal(id, j, want, 0.01*want, paper)
			case published && c.rate == 3 && t == 3500 && c.rule == "gradient":
				r.Bound(id, j, experiments.Above, 1e-3, paper+": stuck near 1.6e-2")
				r.Bound(run+"rises", float64(c.rises()), experiments.AtLeast, 1, paper+": not monotone")
			case published && c.rate == 3 && t == 3500:
				r.Bound(id, j, experiments.Below, 1e-20, paper)
			default:
				r.Value(id, j)
			}
		}
		if c.rate == 1 && c.rule != "gradient" && steps == iterations {
			if id, t := run+"passes-1e-9", float64(c.passes(1e-9)); published {
				r.Equal(id, t, 1812, 0, paper)
			} else {
				r.Value(id, t)
			}
		}
		if c.rule != "gradient" {
			r.Bound(run+"least-cosine-to-gradient", c.worst, experiments.Above, 0, derived+": a descent direction")
		}
		if c.rule == "reparam-steepest" {
			r.Bound(run+"closed-form-error", closedFormError(task, c), experiments.Below, 1e-6, derived+": E_t = E₀(I − (2η/m)XᵀX)ᵗ")
		}
	}
	behind := curves[len(rates)].after(100) - curves[0].after(100)
	if published {
		r.Bound("gradient-ahead/eta=0.03/J100", behind, experiments.Above, 0, paper+": plain gradient is ahead at iteration 100")
	} else {
		r.Value("gradient-ahead/eta=0.03/J100", behind)
	}
}

// closedFormError is the largest relative error of J along a run of reparam-steepest, as long as J
// is far above rounding, against E_t = E₀(I − (2η/m)XᵀX)ᵗ: in the eigenvectors of XᵀX each
// column of E shrinks by its own factor.
func closedFormError(t *linear, c *curve) float64 {
	lambda, share := modes(t)
	worst := 0.
	for i := 0; i < len(c.j); i += 10 {
		want := 0.
		for k, l := range lambda {
			want += share[k] * math.Pow(1-2*c.rate*l, 2*float64(i))
		}
		if want < 1e-18 {
			break
		}
		worst = math.Max(worst, math.Abs(c.j[i]/want-1))
	}
	return worst
}

// modes returns the eigenvalues of XᵀX/m and how much each of their vectors holds of J(W₀).
func modes(t *linear) (lambda, share []float64) {
	k := productTA(newMatrix(samples, samples), t.x, t.x)
	var e mat.EigenSym
	sym := mat.NewSymDense(samples, nil)
	for i := range samples {
		for j := range i + 1 {
			sym.SetSym(i, j, k.v[i*samples+j]/samples)
		}
	}
	if !e.Factorize(sym, true) {
		panic("zhu2024: eigenvalues of XᵀX do not converge")
	}
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	d := newSteepest(t, t.start).(*steepest)
	d.loss()
	q := product(newMatrix(units, samples), d.e, matrix{samples, samples, vectors.RawMatrix().Data})
	lambda, share = e.Values(nil), make([]float64, samples)
	for i := range units {
		for k, v := range q.row(i) {
			share[k] += v * v / samples
		}
	}
	return lambda, share
}

// steepestLimit is the rate at which reparam-steepest diverges, 1/λ_max(XᵀX/m).
func steepestLimit(t *linear) float64 {
	lambda, _ := modes(t)
	return 1 / lambda[len(lambda)-1]
}

// divergence finds by bisection, to 0.4 %, the rate above which a rule ends with a higher
// loss than it began with.
func divergence(ctx context.Context, t *linear, rule int, limit float64, steps int) (float64, error) {
	lo, hi := limit/8, limit*2
	for hi/lo > 1.004 {
		rate := math.Sqrt(lo * hi)
		d := linearRules[rule].start(t, t.start)
		first := d.loss()
		for range steps {
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			d.prepare()
			d.step(rate)
		}
		if d.loss() < first {
			lo = rate
		} else {
			hi = rate
		}
	}
	return math.Sqrt(lo * hi), nil
}

func curvesFigure(curves []*curve, steps int) figure.Figure {
	f := figure.Figure{
		Alt:  "Loss against iteration of three rules at five learning rates, and the final loss against the rate.",
		Cols: 3, Width: 180, Height: 145,
	}
	n := len(rates)
	const low = 1e-20 // below is rounding
	for k, rate := range rates {
		p := figure.Panel{
			Title: fmt.Sprintf("η = %g", rate),
			X:     figure.Axis{Label: "iteration", Log: true, Min: 1, Max: float64(steps)},
			Y:     figure.Axis{Label: "loss J", Log: true},
		}
		least := math.Inf(1)
		for rule := range linearRules {
			least = math.Min(least, curves[rule*n+k].after(steps))
			p.Lines = append(p.Lines, thin(curves[rule*n+k], rule == 2))
		}
		if least < low {
			p.Y.Min, p.Y.Max = low, 10
		}
		f.Panels = append(f.Panels, p)
	}
	last := figure.Panel{
		Title: fmt.Sprintf("after %d iterations", steps),
		X:     figure.Axis{Label: "learning rate η", Log: true},
		Y:     figure.Axis{Label: "loss J", Log: true, Min: low, Max: 10},
	}
	for rule, r := range linearRules {
		l := figure.Line{Name: r.name, X: rates, Dashed: rule == 2}
		for k := range rates {
			l.Y = append(l.Y, curves[rule*n+k].after(steps))
		}
		last.Lines = append(last.Lines, l)
	}
	f.Panels = append(f.Panels, last)
	return f
}

// thin is a curve as a line, with at most some 300 points spread evenly on a logarithmic axis.
func thin(c *curve, dashed bool) figure.Line {
	l := figure.Line{Name: c.rule, Dashed: dashed}
	next := 1.
	for t := 1; t < len(c.j); t++ {
		if float64(t) < next && t != len(c.j)-1 {
			continue
		}
		next = float64(t) * 1.02
		l.X, l.Y = append(l.X, float64(t)), append(l.Y, c.j[t])
	}
	return l
}
