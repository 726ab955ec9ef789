package liu2024

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/models"
	"attractor/train/experiments"
)

const (
	lyapGainDoc = `the largest Lyapunov exponent of random networks against the gain of their weights

Runs z ← tanh(Wz + σξ) with W = g·randn/√N from random states and measures the largest exponent
over 20,000 steps (N 100), 6,000 (500) and 3,000 (1000) after 1,000: of networks without input for
g from 0.5 to 3 and N = 100 (10 networks), 500 (10) and 1000 (5), and of driven ones, N = 500 and
σ = 1. The theory for infinite N is λ = ½ ln(g²⟨φ′²⟩) with Δ = g²⟨φ²⟩ + σ², which is ln g for g < 1
without input.
Checked: the mean over networks against means that another program measured, within the 99.9 % interval of the difference
of two such means (Student's t, by the larger of the two standard deviations) or 0.005; the theory itself; a leaky network below g = 1, whose
exponent is the logarithm of the spectral radius of (1 − a)I + aW; and a network of rectified units,
ln(g/√2).
Noise moves the onset of chaos up: with σ = 1 a network of g = 1.5 is not chaotic. Between g = 1 and
1.3 finite networks without input stay near 0: they end in limit cycles or at rest, and whether the
exponent is positive depends on the network.`

	molgedeyRef = `@article{molgedey1992suppressing,
  author  = {Molgedey, L. and Schuchhardt, J. and Schuster, H. G.},
  title   = {Suppressing Chaos in Neural Networks by Noise},
  journal = {Physical Review Letters},
  volume  = {69},
  number  = {26},
  pages   = {3717--3719},
  year    = {1992},
  doi     = {10.1103/PhysRevLett.69.3717}
}`
)

// ensemble is random networks of a size and gain.
type ensemble struct {
	units    int
	gain     float64
	sigma    float64 // of the noise; 0 for none
	networks int
	steps    int

	listed, sd float64 // as another program measured; NaN where it has not

	exponents []float64
}

// listedExponents are means and standard deviations over networks, for N = 100, 500 and 1000.
var listedExponents = []struct {
	gain     float64
	mean, sd [3]float64
}{
	{0.5, [3]float64{-0.648, -0.667, -0.670}, [3]float64{0.035, 0.014, 0.011}},
	{0.9, [3]float64{-0.060, -0.079, -0.082}, [3]float64{0.035, 0.014, 0.011}},
	{1, [3]float64{-0.006, -0.002, 0}, [3]float64{0.013, 0.007, 0}},
	{1.5, [3]float64{0.023, 0.059, 0.062}, [3]float64{0.023, 0.006, 0.004}},
	{2, [3]float64{0.114, 0.152, 0.154}, [3]float64{0.052, 0.001, 0.001}},
	{3, [3]float64{0.284, 0.307, 0.308}, [3]float64{0.006, 0.001, 0.002}},
}

// ensembles are what is measured. Quickly, it is the small networks alone.
func ensembles(quick bool) []*ensemble {
	var all []*ensemble
	sizes := []ensemble{{units: 100, networks: 10, steps: 20000}, {units: 500, networks: 10, steps: 6000}, {units: 1000, networks: 5, steps: 3000}}
	if quick {
		sizes = []ensemble{{units: 100, networks: 10, steps: 1000}}
	}
	for k, size := range sizes {
		for _, c := range listedExponents {
			e := size
			e.gain, e.listed, e.sd = c.gain, c.mean[k], c.sd[k]
			all = append(all, &e)
		}
		for _, gain := range []float64{0.7, 1.1, 1.2, 1.3, 2.5} {
			if size.units == 100 {
				e := size
				e.gain, e.listed = gain, math.NaN()
				all = append(all, &e)
			}
		}
	}
	driven := ensemble{units: 500, sigma: 1, networks: 2, steps: 3000}
	if quick {
		driven = ensemble{units: 200, sigma: 1, networks: 2, steps: 300}
	}
	for _, c := range [][2]float64{{0.5, -1.099}, {1, -0.464}, {1.5, math.NaN()}, {2, 0.042}, {3, 0.264}} {
		e := driven
		e.gain, e.listed = c[0], c[1]
		if quick {
			e.listed = math.NaN() // of the larger networks
		}
		all = append(all, &e)
	}
	return all
}

func lyapGain(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "liu2024/lyap-gain", Seed: seedOf(o), Notes: []string{
		"Exponents in nats per step; mean over networks ± their standard deviation.",
	}}
	all := ensembles(o.Quick)
	if o.Quick {
		r.Notes = append(r.Notes, "Quick: networks of 100 units over 1,000 steps, and driven ones of 200 over 300, which are not checked.")
	}
	type piece struct {
		*ensemble
		network int
	}
	var pieces []piece
	for _, e := range all {
		e.exponents = make([]float64, e.networks)
		for i := range e.networks {
			pieces = append(pieces, piece{e, i})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return b.units - a.units }) // the long ones first
	err := o.Work(ctx, len(pieces), func(i int) error {
		p := pieces[i]
		found, err := stability.RandomNetworks(ctx, models.Rate{N: p.units, Gain: p.gain}, p.sigma, 1,
			stability.Lyapunov{Steps: p.steps, Seed: seedOf(o) + uint64(p.network)})
		if err != nil {
			return err
		}
		p.exponents[p.network] = found[0][0].Value
		return nil
	}, func(i int) string { return fmt.Sprintf("%d units at gain %g", pieces[i].units, pieces[i].gain) })
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		mean, sd := stat.MeanStdDev(e.exponents, nil)
		id := fmt.Sprintf("N=%d/g=%g", e.units, e.gain)
		if e.sigma > 0 {
			id = "driven/" + id
		}
		if math.IsNaN(e.listed) {
			r.Value(id, mean)
		} else {
			r.Equal(id, mean, e.listed, e.tolerance(sd), measured)
		}
		r.Value(id+"/sd", sd)
	}
	for _, c := range []struct{ gain, sigma, listed float64 }{
		{0.5, 0, -0.693}, {0.9, 0, -0.105}, {1.5, 0, 0.0652}, {2, 0, 0.1547}, {3, 0, 0.3103}, {0.5, 1, -1.096},
	} {
		r.Equal(fmt.Sprintf("theory/g=%g/σ=%g", c.gain, c.sigma), largeNetwork(c.gain, c.sigma), c.listed, 6e-4, measured)
	}
	if err := closedForms(ctx, o, r); err != nil {
		return nil, err
	}
	return r, r.Save(o, "lyap-gain", lyapGainFigure(all))
}

// tolerance is how far our mean may be from the listed one where the networks of both are drawn alike, as many
// and independently: half the 99.9 % interval of the difference of the means, so that all of an experiment's some
// twenty such checks hold in 98 of 100 runs, or half of the last digit but one of what is listed.
func (e *ensemble) tolerance(sd float64) float64 {
	n := float64(e.networks)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: 2*n - 2}.Quantile(0.9995)
	return max(t*max(sd, e.sd)*math.Sqrt(2/n), 0.005)
}

// closedForms checks exponents that are known for a network of finite size, or without saturation.
func closedForms(ctx context.Context, o experiments.Options, r *experiments.Result) error {
	leaky := models.Rate{N: 100, Gain: 0.5, Leak: 0.1}
	steps := 3000
	if o.Quick {
		steps = 1000
	}
	found, err := stability.RandomNetworks(ctx, leaky, 0, 1, stability.Lyapunov{Steps: steps, Seed: seedOf(o)})
	if err != nil {
		return err
	}
	l, err := deq.New[float64](leaky, 1, 1, seedOf(o), deq.Config{Batch: 1})
	if err != nil {
		return err
	}
	jacobian := mat.NewDense(leaky.N, leaky.N, slices.Clone(l.Params.Data("W")))
	jacobian.Scale(leaky.Leak, jacobian)
	for i := range leaky.N {
		jacobian.Set(i, i, jacobian.At(i, i)+1-leaky.Leak)
	}
	var eigen mat.Eigen
	if !eigen.Factorize(jacobian, mat.EigenNone) {
		return fmt.Errorf("liu2024: the eigenvalues of a leaky network were not found")
	}
	radius := 0.0
	for _, v := range eigen.Values(nil) {
		radius = max(radius, math.Hypot(real(v), imag(v)))
	}
	// The exponent is a mean over steps in which the tangent turns about in the plane of a pair.
	r.Equal("leaky/a=0.1/g=0.5", found[0][0].Value, math.Log(radius), 1e-3, theory)

	const gain, networks = 1.5, 30
	found, err = stability.RandomNetworks(ctx, models.Rate{N: 200, Gain: gain, Activation: "relu"}, 0, networks, stability.Lyapunov{Steps: 500, Warmup: 200, Seed: seedOf(o)})
	if err != nil {
		return err
	}
	values := make([]float64, networks)
	for i, e := range found {
		values[i] = e[0].Value
	}
	mean, sd := stat.MeanStdDev(values, nil)
	// The theory is of infinite networks. What 200 units add to that is the upper end of the 95 % interval of the mean difference
	// from it, 0.010 ± 0.014, over four other seeds of as many networks; the rest is half the 99.9 % interval of our mean.
	const finite = 0.024
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: networks - 1}.Quantile(0.9995)
	r.Equal("relu/g=1.5", mean, math.Log(gain/math.Sqrt2), t*sd/math.Sqrt(networks)+finite, theory)
	return nil
}

// largeNetwork is the largest exponent of z ← tanh(Wz + σξ), W = g·randn/√N, for N → ∞:
//
//	λ = ½ ln(g²⟨φ′(√Δ ξ)²⟩),   Δ = g²⟨φ(√Δ ξ)²⟩ + σ²,   ξ ~ N(0, 1).
func largeNetwork(g, sigma float64) float64 {
	mean := func(delta float64, f func(y float64) float64) float64 {
		const h = 0.01 // the trapezoidal rule is exact to rounding for so smooth an integrand
		sum := 0.0
		for x := -9.0; x <= 9; x += h {
			sum += h * math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) * f(math.Tanh(math.Sqrt(delta)*x))
		}
		return sum
	}
	square := func(y float64) float64 { return y * y }
	delta := 1.0
	for range 10000 { // contracting but for g = 1, where it creeps
		next := g*g*mean(delta, square) + sigma*sigma
		if math.Abs(next-delta) < 1e-10 {
			break
		}
		delta = next
	}
	return math.Log(g*g*mean(delta, func(y float64) float64 { return (1 - y*y) * (1 - y*y) })) / 2
}

func lyapGainFigure(all []*ensemble) figure.Figure {
	panel := func(title string, sigma float64) figure.Panel {
		p := figure.Panel{
			Title: title, X: figure.Axis{Label: "gain g"}, Y: figure.Axis{Label: "largest Lyapunov exponent (nats/step)"},
			Guides: []figure.Guide{{At: 0}},
		}
		line := figure.Line{Name: "theory, N → ∞", Dashed: true}
		for g := 0.5; g < 3.01; g += 0.1 {
			line.X, line.Y = append(line.X, g), append(line.Y, largeNetwork(g, sigma))
		}
		p.Lines = []figure.Line{line}
		for _, e := range all {
			if e.sigma != sigma {
				continue
			}
			name := fmt.Sprintf("N = %d", e.units)
			i := slices.IndexFunc(p.Points, func(s figure.Points) bool { return s.Name == name })
			if i < 0 {
				i = len(p.Points)
				p.Points = append(p.Points, figure.Points{Name: name})
			}
			mean, sd := stat.MeanStdDev(e.exponents, nil)
			s := &p.Points[i]
			s.X, s.Y, s.YLo, s.YHi = append(s.X, e.gain), append(s.Y, mean), append(s.YLo, mean-sd), append(s.YHi, mean+sd)
		}
		return p
	}
	return figure.Figure{Title: "Largest Lyapunov exponent of random networks", Panels: []figure.Panel{
		panel("no input", 0), panel("noise of standard deviation 1", 1),
	}}
}
