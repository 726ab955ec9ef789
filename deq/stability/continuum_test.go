package stability_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
)

// weighted is a layer φ(Wz + b) with W [n, n] by rows; b may be nil.
func weighted(t *testing.T, activation string, w, b []float64) *deq.Layer[float64] {
	t.Helper()
	n := int(math.Sqrt(float64(len(w))))
	l := free[float64](t, models.Rate{N: n, Activation: activation}, 1, 64, 1)
	update(l, func() {
		copy(l.Params.Data("W"), w)
		clear(l.Params.Data("b"))
		copy(l.Params.Data("b"), b)
	})
	return l
}

// ringOf is W = g cos(t_i − t_j)/units on equidistant angles, in a network of n units whose others have the weights of identity
// times own.
func ringOf(units, n int, g, own float64) []float64 {
	w := make([]float64, n*n)
	for i := range n {
		w[i*n+i] = own
		for j := range units {
			if i < units {
				w[i*n+j] = g / float64(units) * math.Cos(2*math.Pi*float64(i)/float64(units)-2*math.Pi*float64(j)/float64(units))
			}
		}
	}
	return w
}

func kindsOf(points []stability.FixedPoint) map[string]int {
	kinds := map[string]int{}
	for _, p := range points {
		kinds[p.Status]++
	}
	return kinds
}

// The linear part does not decide: these are neither stable nor saddles, whatever the last bit of an eigenvalue says.
func TestMarginalPoints(t *testing.T) {
	type marginal struct {
		name, activation, dynamics string
		w                          []float64
		count                      int // of eigenvalues on the border
	}
	cases := []marginal{
		{"critical unit", "tanh", "map", []float64{1}, 1},
		{"critical unit", "tanh", "rate", []float64{1}, 1},
		{"flip", "tanh", "map", []float64{-1}, 1},
		{"centre", "linear", "rate", []float64{1, -2, 2, 1}, 2},
		{"three critical units", "tanh", "map", []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, 3},
	}
	for _, angle := range []float64{0.1, 1, 2, 3} {
		s, c := math.Sincos(angle)
		cases = append(cases, marginal{fmt.Sprint("rotation by ", angle), "linear", "map", []float64{c, -s, s, c}, 2})
		// in other coordinates, with condition 1e4
		const k = 1e4
		cases = append(cases, marginal{fmt.Sprint("skew rotation by ", angle), "linear", "map", []float64{c, -s * k, s / k, c}, 2})
	}
	for _, c := range cases {
		found := find(t, weighted(t, c.activation, c.w, nil), nil, nil, stability.Finder{Dynamics: c.dynamics})
		if len(found) != 1 {
			t.Errorf("%s: %d points: %v", c.name, len(found), kindsOf(found))
			continue
		}
		p := found[0]
		if p.Status != stability.Marginal || p.Marginal != c.count || p.Unstable != 0 || p.Index != 0 {
			t.Errorf("%s: %s, %d marginal, %d unstable, index %d, border %g ± %g", c.name, p.Status, p.Marginal, p.Unstable, p.Index, p.Gap, p.GapError)
		}
		if far := math.Sqrt(kernels.SumSquares(p.Z)); !(far <= p.Error) || !(p.Error < 1e-6) || !(p.GapError < 1e-9) {
			t.Errorf("%s: found %g from 0 with error %g; eigenvalue ± %g", c.name, far, p.Error, p.GapError)
		}
	}
	// Beside the border by more than rounding it is as before.
	for off, status := range map[float64]string{1e-12: stability.Saddle, -1e-12: stability.Stable} {
		s, c := math.Sincos(1)
		g := 1 + off
		if found := find(t, weighted(t, "linear", []float64{g * c, -g * s, g * s, g * c}, nil), nil, nil, stability.Finder{}); len(found) != 1 || found[0].Status != status || found[0].Index != 1 {
			t.Errorf("rotation that grows by %g: %+v", off, found)
		}
	}
}

// Near its onset z = tanh(z (1 + ε)) has the fixed points 0 and ±√(3ε), and so along the leading eigenvector v of a symmetric W of
// more units ±√(3ε / Σ v⁴).
func TestOnset(t *testing.T) {
	for _, n := range []int{1, 12} {
		for _, ε := range []float64{1e-12, 1e-9, 1e-7, 2e-7, 1e-5, 1e-3} {
			w := make([]float64, n*n)
			amplitude := math.Sqrt(3 * ε)
			if n == 1 {
				w[0] = 1 + ε
			} else {
				r := rng.Stream(7, "onset")
				a := mat.NewSymDense(n, nil)
				for i := range n {
					for k := range i + 1 {
						a.SetSym(i, k, r.NormFloat64())
					}
				}
				var eigen mat.EigenSym
				eigen.Factorize(a, true)
				v := new(mat.Dense)
				eigen.VectorsTo(v)
				sum := 0.0
				for i := range n {
					sum += math.Pow(v.At(i, n-1), 4)
					for k := range n {
						for m := range n {
							λ := 0.5 * math.Cos(float64(m))
							if m == n-1 {
								λ = 1 + ε
							}
							w[i*n+k] += λ * v.At(i, m) * v.At(k, m)
						}
					}
				}
				amplitude = math.Sqrt(3 * ε / sum)
			}
			found := find(t, weighted(t, "tanh", w, nil), nil, nil, stability.Finder{})
			if len(found) != 3 {
				t.Errorf("%d units, ε = %g: %d points: %v", n, ε, len(found), kindsOf(found))
				continue
			}
			indices := 0
			for i, p := range found {
				want, status := amplitude, stability.Stable
				if i == 0 {
					want, status = 0, stability.Saddle
				}
				indices += p.Index
				far := math.Sqrt(kernels.SumSquares(p.Z))
				if p.Status != status && (n == 1 || ε > 1e-12) { // there the eigenvalues of many units are not so sure
					t.Errorf("%d units, ε = %g: point %d is %s, border %g ± %g", n, ε, i, p.Status, p.Gap, p.GapError)
				}
				if !(math.Abs(far-want) <= p.Error+2*ε*want+1e-15) || !(p.Error <= 0.1*amplitude) {
					t.Errorf("%d units, ε = %g: point %d at %g, want %g, error %g", n, ε, i, far, want, p.Error)
				}
			}
			if kernels.Dot(found[1].Z, found[2].Z) > 0 || indices != 1 && ε > 1e-12 {
				t.Errorf("%d units, ε = %g: %v, the indices add up to %d", n, ε, found, indices)
			}
		}
	}
}

// Lines, planes and rings are one object, on which random states settle.
func TestContinua(t *testing.T) {
	ring := func(amplitude float64) float64 { // of the fixed point of the loop a ← 3 ⟨cos tanh(a cos)⟩, as ‖z‖
		sum := 0.0
		for i := range 40 {
			z := math.Tanh(amplitude * math.Cos(2*math.Pi*float64(i)/40))
			sum += z * z
		}
		return math.Sqrt(sum)
	}
	a := 1.5
	for range 200 {
		sum := 0.0
		for i := range 40 {
			c := math.Cos(2 * math.Pi * float64(i) / 40)
			sum += 3.0 / 40 * c * math.Tanh(a*c)
		}
		a = sum
	}
	bistable := ringOf(40, 41, 3, 1.5)
	type object struct {
		dimension int
		closed    bool
		extent    float64
		attracts  bool
	}
	endless := math.Inf(1)
	for _, c := range []struct {
		name, activation string
		w                []float64
		points           map[string]int
		objects          []object
	}{
		{"line", "linear", []float64{1, 0, 0, 0.5}, map[string]int{}, []object{{1, false, endless, true}}},
		{"line aslant", "linear", []float64{0.6, 0.8, 0.3, 0.4}, map[string]int{}, []object{{1, false, endless, true}}},
		{"line that repels", "linear", []float64{1, 0, 0, 1.5}, map[string]int{}, []object{{1, false, endless, false}}},
		{"plane", "linear", []float64{1, 0, 0, 0, 1, 0, 0, 0, 0.5}, map[string]int{}, []object{{2, false, endless, true}}},
		{"space", "linear", []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, map[string]int{}, []object{{3, false, endless, true}}},
		{"shear", "linear", []float64{1, 1, 0, 1}, map[string]int{}, []object{{1, false, endless, false}}},
		{"ray", "relu", []float64{0.5, 0.5, 0.5, 0.5}, map[string]int{}, []object{{1, false, endless, true}}},
		{"ring", "tanh", ringOf(40, 40, 3, 0), map[string]int{"saddle": 1}, []object{{1, true, 2 * ring(a), true}}},
		{"ring among others", "tanh", ringOf(40, 60, 3, 0.3), map[string]int{"saddle": 1}, []object{{1, true, 2 * ring(a), true}}},
		{"two rings and one between", "tanh", bistable, map[string]int{"saddle": 3}, []object{{1, true, 2 * ring(a), false}, {1, true, 2 * ring(a), true}, {1, true, 2 * ring(a), true}}},
	} {
		if testing.Short() && len(c.w) > 1600 {
			continue
		}
		l := weighted(t, c.activation, c.w, nil)
		found := find(t, l, nil, nil, stability.Finder{Trajectories: 16})
		kinds := kindsOf(found)
		if kinds[stability.Extended] != len(c.objects) {
			t.Errorf("%s: %v", c.name, kinds)
			continue
		}
		if delete(kinds, stability.Extended); fmt.Sprint(kinds) != fmt.Sprint(c.points) {
			t.Errorf("%s: %v beside", c.name, kinds)
		}
		var objects []object
		for i, p := range found {
			if p.Continuum == nil {
				continue
			}
			got := *p.Continuum
			objects = append(objects, object{got.Dimension, got.Closed, got.Extent, got.Attracting})
			if p.Index != 0 || !(got.Neutrality < 1e-12) || len(got.Points) < 2 || p.Found < 10 {
				t.Errorf("%s: point %d: index %d, neutral within %g, %d points, found %d times", c.name, i, p.Index, got.Neutrality, len(got.Points), p.Found)
			}
			for _, z := range got.Points { // they rest
				e, err := l.At(make([]float64, 1), z)
				if err != nil {
					t.Fatal(err)
				}
				next := make([]float64, len(z))
				if err := e.Next(next); err != nil {
					t.Fatal(err)
				}
				if far := math.Sqrt(kernels.SquaredDistance(next, z)); !(far < 1e-13*(1+math.Sqrt(kernels.SumSquares(z)))) {
					t.Errorf("%s: ‖f(z) − z‖ = %g at a point of the continuum", c.name, far)
				}
			}
		}
		for i, want := range c.objects {
			ok := slices.ContainsFunc(objects, func(o object) bool {
				return o.dimension == want.dimension && o.closed == want.closed && o.attracts == want.attracts && (o.extent == want.extent || math.Abs(o.extent-want.extent) < 0.02*want.extent)
			})
			if !ok {
				t.Errorf("%s: object %d %+v is not among %+v", c.name, i, want, objects)
			}
		}
		if c.name == "line that repels" || c.name == "shear" {
			continue
		}
		ends, err := stability.AtRandom(ctx, l, nil, 60, 1, 1, found, stability.Basins{})
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range ends {
			if end == stability.Nowhere || found[end].Continuum == nil || !found[end].Continuum.Attracting {
				t.Errorf("%s: a random state settles at %d", c.name, end)
				break
			}
		}
	}
}

// On a ring of few units the state drifts slowly to some of 2n points: half of them are stable and half are saddles, or they are marginal where
// rounding hides which; they are no continuum.
func TestNearlyRing(t *testing.T) {
	for _, units := range []int{8, 24, 32} {
		if testing.Short() && units > 24 {
			continue
		}
		found := find(t, weighted(t, "tanh", ringOf(units, units, 3, 0), nil), nil, nil, stability.Finder{Trajectories: 8})
		kinds := kindsOf(found)
		weak := kinds[stability.Stable] + kinds[stability.Marginal] + kinds[stability.Saddle] - 1
		if kinds[stability.Extended] != 0 || weak != 2*units || units < 32 && kinds[stability.Stable] != units {
			t.Errorf("%d units: %v", units, kinds)
		}
	}
}
