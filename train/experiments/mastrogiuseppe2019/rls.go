package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq/stability"
	"attractor/internal/figure"
	"attractor/train/experiments"

	"gonum.org/v1/gonum/stat"
)

const rlsDoc = `in the paper's spirit: readouts trained by recursive least squares in the closed loop, FORCE

From n = 0 and a random state, dt = 0.1, an update each step for a time of 50, at σ_m = 1.2, σ_I = 0.5 and
ρ = 0.5: 48 networks of 400 units for each of five α, with P(0) = 1/α, at g = 0.3 and A = 2; and 8 networks of
1,000 units with α = 1 for gains from 0.3 to 1.6 and A = 1 and 2. Beside the readout of least squares in the open
loop, whose direction is another. What is learned depends on α over the number of units. The derived numbers
do not say how many these are; 400 give both ends of n·m.
Checked: that n·m and |n|√N of least squares are those of the theory within 0.05; that at g = 0.3 and A = 2 n·m is smaller and |n| larger than with least squares, the cosine between the
two, and n·m at both ends of α; that n·m grows with α; that all networks, once trained, stay within
0.01 of the target; and that no network goes to the second attractor from random states, though
from x = mz₀ + I all those do of which a scan of z shows that they have one.`

// geometry is that of a trained readout.
type geometry struct {
	overlap float64 // n·m
	norm    float64 // |n|√units
	cosine  float64 // of the angle to the readout of least squares
}

func (n *network[T]) geometry(w, leastSquares []float64) geometry {
	g := stability.GeometryOf(w, widened(n.M), leastSquares)
	return geometry{overlap: g.Overlaps[0][1], norm: math.Sqrt(g.Overlaps[0][0] * float64(n.Units)), cosine: g.Cosines[0][2]}
}

// geometries are the properties that are tabulated.
var geometries = []struct {
	name, label string
	of          func(geometry) float64
}{
	{"n·m", "overlap n·m", func(g geometry) float64 { return g.overlap }},
	{"|n|√N", "length |n|√N", func(g geometry) float64 { return g.norm }},
	{"cosine", "cosine of the angle to least squares", func(g geometry) float64 { return g.cosine }},
}

// The methods of training, in the order of the arrays by method.
const (
	byLeastSquares = iota
	byRLS
	methods
)

var (
	methodNames  = [methods]string{"least squares", "RLS"}
	methodColors = [methods]figure.Color{figure.Blue, figure.Vermillion}
)

// pair are what both methods made of one network.
type pair struct {
	geometry [methods]geometry
	off      [methods]float64 // |z − A| after a time of 100 from where the training ended
	basins   [methods]basins
}

// basins say where a closed loop ends.
type basins struct {
	second   bool      // a scan of z finds two attractors
	from, to []float64 // z₀ of x = mz₀ + I, and where it ends
	random   []float64 // where random states end
}

// comparison is a setting in which networks are trained by both methods.
type comparison struct {
	units               int
	gain, target, alpha float64
	networks            []pair

	run    bool // on after the training
	starts bool // from other states
}

// one trains the k-th network.
func (c *comparison) one(ctx context.Context, k int, seed uint64) error {
	n, err := draw[float64](c.units, c.gain, vectors, seed)
	if err != nil {
		return err
	}
	ls, err := n.leastSquares(ctx, c.target, 0)
	if err != nil {
		return err
	}
	learned, err := n.force(ctx, c.target, c.alpha, seed)
	if err != nil {
		return err
	}
	p := &c.networks[k]
	for i, t := range [methods]*trained[float64]{ls, learned} {
		p.geometry[i] = n.geometry(t.readout, ls.readout)
		if c.run {
			z, err := n.ends(ctx, t.x, [][]float64{t.readout}, 100)
			if err != nil {
				return err
			}
			p.off[i] = math.Abs(z[0] - c.target)
		}
		if c.starts {
			if p.basins[i], err = n.basins(ctx, t.readout, seed); err != nil {
				return err
			}
		}
	}
	return nil
}

// basins runs the closed loop of a readout from x = mz₀ + I and from random states.
func (n *network[T]) basins(ctx context.Context, w []float64, seed uint64) (b basins, err error) {
	const random, time = 20, 100
	readout := narrowed[T](w)
	scan, err := n.scan(ctx, 3, 0.2)
	if err != nil {
		return b, err
	}
	points, err := n.fixedPoints(ctx, scan, [][]T{readout})
	if err != nil {
		return b, err
	}
	b.second = len(points) == 3
	for z := -3.0; z <= 3; z += 0.5 {
		b.from = append(b.from, z)
	}
	x := n.towards(b.from)
	for i := range random {
		x = append(x, n.normal(fmt.Sprintf("start%d", i), seed)...)
	}
	ends, err := n.ends(ctx, x, slices.Repeat([][]T{readout}, len(b.from)+random), time)
	if err != nil {
		return b, err
	}
	b.to, b.random = ends[:len(b.from)], ends[len(b.from):]
	return b, nil
}

// mean returns the mean of a property over the networks and its standard deviation.
func (c *comparison) mean(method int, of func(geometry) float64) (m, sd float64) {
	values := make([]float64, len(c.networks))
	for i, p := range c.networks {
		values[i] = of(p.geometry[method])
	}
	return stat.MeanStdDev(values, nil)
}

func rls(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/rls", Seed: seedOf(o), Notes: []string{
		"Not a figure of the paper: an experiment of ours in its spirit.",
		"What is learned depends on α over the number of units. The derived n·m do not say how many these are; 400 give both ends.",
	}}
	few, small := 48, 400 // networks and units for each α
	many, large := 8, 1000
	if o.Quick {
		few, many, large = 3, 2, 300
		r.Notes = append(r.Notes, "Quick: few and small networks, whose n·m, cosines and ends are not checked.")
	}
	var alphas, gains []*comparison
	for _, alpha := range []float64{0.01, 0.1, 1, 10, 100} {
		alphas = append(alphas, &comparison{units: small, gain: 0.3, target: 2, alpha: alpha, networks: make([]pair, few)})
	}
	for _, gain := range []float64{0.3, 0.8, 1.2, 1.6} {
		for _, target := range []float64{1, 2} {
			gains = append(gains, &comparison{
				units: large, gain: gain, target: target, alpha: 1, networks: make([]pair, many), run: true, starts: gain == 0.3 && target == 2,
			})
		}
	}
	type piece struct {
		*comparison
		network int
	}
	var pieces []piece
	for _, c := range slices.Concat(gains, alphas) {
		for k := range c.networks {
			pieces = append(pieces, piece{c, k})
		}
	}
	err := o.Work(ctx, len(pieces), func(i int) error {
		return pieces[i].one(ctx, pieces[i].network, seedOf(o)+uint64(pieces[i].network))
	}, func(i int) string {
		p := pieces[i]
		return fmt.Sprintf("network %d at g = %g, A = %g, α = %g", p.network+1, p.gain, p.target, p.alpha)
	})
	if err != nil {
		return nil, err
	}
	checkAlphas(r, alphas, o.Quick)
	bistable := gains[slices.IndexFunc(gains, func(c *comparison) bool { return c.starts })]
	checkGains(r, gains, bistable)
	if err := checkGeometry(r, gains, o.Quick); err != nil {
		return nil, err
	}
	checkBasins(r, bistable, o.Quick)
	return r, r.Save(o, "rls", rlsFigure(alphas, bistable))
}

// checkAlphas compares what is learned with what was derived, over α.
func checkAlphas(r *experiments.Result, all []*comparison, quick bool) {
	grows, last := 0, math.Inf(-1)
	for _, c := range all {
		for _, g := range geometries {
			m, sd := c.mean(byRLS, g.of)
			id := fmt.Sprintf("alpha=%g/%s", c.alpha, g.name)
			r.Value(id+"/sd", sd)
			want, known := derivedRLS[id]
			if known && !quick {
				r.Equal(id, m, want, 0.05, derived)
			} else {
				r.Value(id, m)
			}
			if id == "alpha=1/cosine" && !quick {
				r.Bound(id+"/least", m, experiments.AtLeast, 0.54, derived)
				r.Bound(id+"/most", m, experiments.AtMost, 0.62, derived)
			}
		}
		overlap, _ := c.mean(byRLS, geometries[0].of)
		if overlap > last {
			grows++
		}
		last = overlap
	}
	r.Equal("n·m-grows-with-alpha", float64(grows), float64(len(all)), 0, derived)
}

// derivedRLS are the derived means.
var derivedRLS = map[string]float64{"alpha=0.01/n·m": 1.78, "alpha=100/n·m": 2.56}

// checkGains compares the two methods over gains and targets, and where the numbers were derived, in c.
func checkGains(r *experiments.Result, all []*comparison, c *comparison) {
	for _, c := range all {
		for i, name := range methodNames {
			for _, g := range geometries {
				if m, _ := c.mean(i, g.of); i == byRLS || g.name != "cosine" {
					r.Value(fmt.Sprintf("g=%g/A=%g/%s/%s", c.gain, c.target, name, g.name), m)
				}
			}
		}
	}
	for _, g := range geometries[:2] {
		ls, _ := c.mean(byLeastSquares, g.of)
		learned, _ := c.mean(byRLS, g.of)
		is := experiments.Below
		if g.name == "|n|√N" {
			is = experiments.Above
		}
		r.Bound(fmt.Sprintf("g=%g/A=%g/RLS-to-least-squares/%s", c.gain, c.target, g.name), learned/ls, is, 1, derived)
	}
	for i, name := range methodNames {
		worst := 0.0
		for _, c := range all {
			for _, p := range c.networks {
				worst = max(worst, p.off[i])
			}
		}
		r.Bound("largest-|z-A|/"+name, worst, experiments.Below, 0.01, derived)
	}
}

// checkGeometry compares the readouts of least squares with the theory of them.
func checkGeometry(r *experiments.Result, all []*comparison, quick bool) error {
	worst := make([]float64, 2)
	for _, c := range all {
		open, err := vectors.Network(c.gain).Open()
		if err != nil {
			return err
		}
		l, err := open.LeastSquares(c.target)
		if err != nil {
			return err
		}
		for i, want := range []float64{l.Readout().U, l.Norm()} {
			m, _ := c.mean(byLeastSquares, geometries[i].of)
			worst[i] = max(worst[i], math.Abs(m-want))
		}
	}
	for i, w := range worst {
		id := fmt.Sprintf("least squares/largest-|%s-theory|", geometries[i].name)
		if quick {
			r.Value(id, w)
		} else {
			r.Bound(id, w, experiments.Below, 0.05, theory)
		}
	}
	return nil
}

// checkBasins counts the networks that are found to have a second attractor.
func checkBasins(r *experiments.Result, c *comparison, quick bool) {
	for i, name := range methodNames {
		var scanned, towards, random int
		elsewhere := func(ends []float64) bool {
			return slices.ContainsFunc(ends, func(z float64) bool { return math.Abs(z-c.target) > 0.5 })
		}
		for _, p := range c.networks {
			b := p.basins[i]
			for found, count := range map[*int]bool{&scanned: b.second, &towards: elsewhere(b.to), &random: elsewhere(b.random)} {
				if count {
					*found++
				}
			}
		}
		id := name + "/networks-with-a-second-attractor/"
		r.Value(id+"by-a-scan-of-z", float64(scanned))
		if quick {
			r.Value(id+"from-mz+I", float64(towards))
			r.Value(id+"from-random-states", float64(random))
			continue
		}
		r.Equal(id+"from-mz+I", float64(towards), float64(scanned), 0, derived)
		r.Equal(id+"from-random-states", float64(random), 0, 0, derived)
	}
}

// rlsFigure draws the geometry over α, and where loops end.
func rlsFigure(alphas []*comparison, bistable *comparison) figure.Figure {
	picture := figure.Figure{
		Title: "Readouts trained in the open and in the closed loop", Names: figure.NamesAbove, Cols: 2,
		Alt: "Overlap, length and angle of the readouts of recursive least squares against α, beside those of least squares, and where closed loops end by where they start.",
	}
	for k, g := range geometries {
		p := figure.Panel{Title: "g = 0.3, A = 2", X: figure.Axis{Label: "α", Log: true}, Y: figure.Axis{Label: g.label}}
		for i, name := range methodNames {
			line := figure.Line{Name: name, Color: methodColors[i]}
			for _, c := range alphas {
				m, sd := c.mean(i, g.of)
				line.X, line.Y = append(line.X, c.alpha), append(line.Y, m)
				line.Lo, line.Hi = append(line.Lo, m-sd), append(line.Hi, m+sd)
			}
			if i == byRLS || g.name != "cosine" {
				p.Lines = append(p.Lines, line)
			}
		}
		if k == 0 {
			p.Points = []figure.Points{{Name: "derived", Color: figure.Gray, X: []float64{0.01, 100}, Y: []float64{derivedRLS["alpha=0.01/n·m"], derivedRLS["alpha=100/n·m"]}}}
		}
		picture.Panels = append(picture.Panels, p)
	}
	ends := figure.Panel{
		Title: "Closed loops from x = mz₀ + I", X: figure.Axis{Label: "z₀"},
		Y: figure.Axis{Label: "part that ends at the target", Include: []float64{0, 1}, Percent: true},
	}
	for i, name := range methodNames {
		line := figure.Line{Name: name, Color: methodColors[i], X: bistable.networks[0].basins[i].from}
		line.Y = make([]float64, len(line.X))
		for _, p := range bistable.networks {
			for k, z := range p.basins[i].to {
				if math.Abs(z-bistable.target) < 0.5 {
					line.Y[k] += 1 / float64(len(bistable.networks))
				}
			}
		}
		ends.Lines = append(ends.Lines, line)
	}
	picture.Panels = append(picture.Panels, ends)
	return picture
}
