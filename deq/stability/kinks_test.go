package stability_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
)

// rest is the fixed point at 0 of a layer.
func rest(t testing.TB, l *deq.Layer[float64], dynamics string) stability.FixedPoint {
	t.Helper()
	points, err := stability.FixedPoints(ctx, l, nil, nil, stability.Finder{Dynamics: dynamics, Trajectories: -1, Rounds: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		if mat.Norm(mat.NewVecDense(len(p.Z), p.Z), 2) == 0 || p.Continuum != nil && slices.ContainsFunc(p.Continuum.Points, func(z []float64) bool { return slices.Max(z) == 0 && slices.Min(z) == 0 }) {
			return p
		}
	}
	t.Fatalf("0 is not among the %d points", len(points))
	return stability.FixedPoint{}
}

// The rest state of relu networks whose dynamics are known in closed form.
func TestRestOnKinks(t *testing.T) {
	inf := math.Inf(-1)
	for name, c := range map[string]struct {
		w         []float64
		status    string
		gap       float64 // of the map
		index     int
		exponents []float64
		rate      string
	}{
		"inhibited":         {[]float64{-3}, stability.Stable, -1, 1, []float64{inf}, stability.Stable},
		"decays":            {[]float64{0.5}, stability.Stable, -0.5, 1, []float64{math.Log(0.5)}, stability.Stable},
		"grows":             {[]float64{2}, stability.Saddle, 1, 0, nil, stability.Saddle},
		"mutual inhibition": {[]float64{0, -5, -5, 0}, stability.Stable, -1, 1, []float64{inf, inf}, stability.Stable},
		"competition":       {[]float64{0.9, -5, -5, 0.8}, stability.Stable, -0.1, 1, nil, stability.Stable},
		"one grows":         {[]float64{1.5, -1, -1, 0.5}, stability.Saddle, 0.5, 0, nil, stability.Saddle},
		// 1 excites 2 and 2 inhibits 1: as a matrix the modulus of its eigenvalues is 2.
		"chain":    {[]float64{0, -4, 1, 0}, stability.Stable, -1, 1, []float64{inf, inf}, stability.Stable},
		"exchange": {[]float64{0, 0.9, 0.4, 0}, stability.Stable, 0.6 - 1, 1, []float64{math.Log(0.6), math.Log(0.6)}, stability.Stable},
		"border":   {[]float64{1}, stability.Marginal, 0, 0, nil, stability.Marginal},
	} {
		l := own(t, "relu", c.w...)
		p := rest(t, l, "map")
		if p.Status == stability.Extended && c.status == stability.Marginal {
			continue // a ray of fixed points begins there
		}
		if p.Status != c.status || !(math.Abs(p.Gap-c.gap) <= 1e-6) || p.Index != c.index || p.Kinks != l.Units {
			t.Errorf("%s: %s with a gap of %g, index %d on %d kinks: want %s, %g, %d", name, p.Status, p.Gap, p.Index, p.Kinks, c.status, c.gap, c.index)
		}
		if q := rest(t, l, "rate"); q.Status != c.rate {
			t.Errorf("%s: in continuous time %s with a gap of %g", name, q.Status, q.Gap)
		}
		if c.exponents == nil {
			continue
		}
		for i, e := range exponents(t, l, nil, nil, stability.Lyapunov{K: l.Units, Steps: 3000}) {
			if want := c.exponents[i]; e.Value != want && !(math.Abs(e.Value-want) <= 1e-3) {
				t.Errorf("%s: exponent %d is %+v, want %g", name, i, e, want)
			}
		}
	}
}

// Random relu networks without biases, of several kinds, decay to 0 or grow as their rest state is said to be stable or not,
// and their exponent is that of the decay.
func TestRandomReluNetworks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	kinds := map[string]func(n int, gain float64) models.Model{
		"rate": func(n int, gain float64) models.Model { return models.Rate{N: n, Gain: gain, Activation: "relu"} },
		"leaky": func(n int, gain float64) models.Model {
			return models.Rate{N: n, Gain: gain, Activation: "relu", Leak: 0.4}
		},
		"current": func(n int, gain float64) models.Model {
			return models.Rate{N: n, Gain: gain, Activation: "relu", Form: "v"}
		},
		"mondeq": func(n int, gain float64) models.Model { return models.MonDEQ{N: n, Gain: gain} },
	}
	networks := 12
	if testing.Short() {
		networks = 8
	}
	count, same := map[string]int{}, 0
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		kind := kinds[name]
		for range networks {
			n, gain := 1+r.IntN(12), 0.3+2*r.Float64()
			l := free[float64](t, kind(n, gain), 1, 16, r.Uint64())
			p := rest(t, l, "map")
			growth, first := simulated(t, l, r)
			if p.Status == stability.Marginal || math.Abs(growth) < 1e-3 {
				continue
			}
			count[p.Status]++
			if stable := p.Status == stability.Stable; stable != (growth < 0) {
				t.Errorf("%s, %d units, gain %.3g: %s with a gap of %g, simulated growth %g", name, n, gain, p.Status, p.Gap, growth)
			}
			if growth > 0 {
				continue
			}
			// The state is a perturbation too: others decay as fast, or more slowly where its direction wanders chaotically.
			e := exponents(t, l, nil, first.z, stability.Lyapunov{Steps: 3000})[0]
			if e.Value < first.growth-0.01-3*e.StdErr || math.IsNaN(e.Value) {
				t.Errorf("%s, %d units, gain %.3g: exponent %+v, simulated growth %g", name, n, gain, e, first.growth)
			}
			if e.Value == first.growth || math.Abs(e.Value-first.growth) < 0.01+3*e.StdErr {
				same++
			}
		}
	}
	if count[stability.Stable] < networks*2/3 || count[stability.Saddle] < networks*2/3 || same < count[stability.Stable]*3/4 {
		t.Errorf("the test is of %v, of which %d have the exponent of the state itself", count, same)
	}
}

// simulated is the largest growth per step of states from 64 directions, which are kept at unit length, and that of the first.
func simulated(t testing.TB, l *deq.Layer[float64], r *rand.Rand) (best float64, one struct {
	z      []float64
	growth float64
}) {
	const states, steps = 64, 600
	best = math.Inf(-1)
	n := l.Units
	for first := 0; first < states; first += l.Batch() {
		rows := l.Batch()
		z, sums := make([]float64, rows*n), make([]float64, rows)
		for i := range z {
			z[i] = r.NormFloat64()
		}
		if first == 0 {
			one.z = slices.Clone(z[:n])
		}
		for k := range steps {
			here, err := l.At(make([]float64, rows), z)
			if err != nil {
				t.Fatal(err)
			}
			if err := here.Next(z); err != nil {
				t.Fatal(err)
			}
			for b := range rows {
				row := z[b*n : (b+1)*n]
				size := mat.Norm(mat.NewVecDense(n, row), 2)
				if k >= steps/2 {
					sums[b] += math.Log(size) / (steps / 2)
				}
				for i := range row {
					if size > 0 {
						row[i] /= size
					}
				}
			}
		}
		if first == 0 {
			one.growth = sums[0]
		}
		for _, s := range sums {
			best = max(best, s)
		}
	}
	return best, one
}

// A block that rests on kinks beside one that does not.
func TestPartlyOnKinks(t *testing.T) {
	l := own(t, "relu", 0.5, 0, 0, 0, 0, -3, 0, 0.2, 0)
	update(l, func() { l.Params.Data("b")[0] = 1 })
	points, err := stability.FixedPoints(ctx, l, nil, nil, stability.Finder{Trajectories: 4, Steps: 20})
	if err != nil || len(points) != 1 {
		t.Fatalf("%v, %v", points, err)
	}
	if p := points[0]; p.Status != stability.Stable || p.Kinks != 2 || !(math.Abs(p.Gap+0.5) <= 1e-6) || p.Index != 1 {
		t.Errorf("%+v", p)
	}
	// Where nothing comes through a kink it does not matter.
	l = own(t, "relu", 0.5, 0, 0, 0)
	update(l, func() { l.Params.Data("b")[0] = 1 })
	if points, err = stability.FixedPoints(ctx, l, nil, nil, stability.Finder{Trajectories: -1}); err != nil || len(points) != 1 || points[0].Kinks != 0 || points[0].Status != stability.Stable {
		t.Errorf("%+v, %v", points, err)
	}
}

// The unstable directions of a rest state lead to one side each.
func TestEdgesFromKinks(t *testing.T) {
	l := own(t, "relu", 1.5, -1, -1, 0.5)
	p := rest(t, l, "map")
	edges, err := stability.Graph(ctx, l, nil, []stability.FixedPoint{p}, 1e-3, stability.Basins{Steps: 20})
	if err != nil || len(edges) != 1 || edges[0].Sign != 1 || edges[0].To != stability.Nowhere {
		t.Errorf("%+v, %v", edges, err)
	}
}

// States that come to rest at a point on kinks from a side to which it is not left count there.
func TestRestsOnOneSide(t *testing.T) {
	l := own(t, "relu", 2)
	p := rest(t, l, "map")
	ends, err := stability.Settle(ctx, l, nil, []float64{-1, 1, -1e-3, 1e-9}, []stability.FixedPoint{p}, stability.Basins{Steps: 100})
	if err != nil || !slices.Equal(ends, []int{0, stability.Nowhere, 0, stability.Nowhere}) {
		t.Errorf("%v, %v", ends, err)
	}
	here, err := l.At([]float64{0}, []float64{0})
	if err != nil {
		t.Fatal(err)
	}
	if factor, kinks, err := stability.OnKinks(ctx, here, 0); err != nil || kinks != 1 || !(math.Abs(factor-2) <= 1e-9) {
		t.Errorf("%g on %d, %v", factor, kinks, err)
	}
}
