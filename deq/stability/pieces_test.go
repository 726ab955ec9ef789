package stability_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/kernels"
)

// excluding is W = I − Σ a aᵀ over blocks of units that compete, with the weights a of each, and b = a: of each block the fixed points of
// relu(Wz + b) are the simplex a·z = 1, z ≥ 0.
func excluding(blocks ...[]float64) (w, b []float64) {
	b = slices.Concat(blocks...)
	n := len(b)
	w = make([]float64, n*n)
	first := 0
	for _, a := range blocks {
		for i, x := range a {
			for k, y := range a {
				w[(first+i)*n+first+k] -= x * y
			}
			w[(first+i)*n+first+i]++
		}
		first += len(a)
	}
	return w, b
}

// diameter is the largest distance of the corners 1/a_i of a product of simplexes.
func diameter(blocks ...[]float64) float64 {
	sum := 0.0
	for _, a := range blocks {
		most := 0.0
		for i := range a {
			for k := range i {
				most = max(most, 1/(a[i]*a[i])+1/(a[k]*a[k]))
			}
		}
		sum += most
	}
	return math.Sqrt(sum)
}

// The fixed points of relu networks that fill a segment, a simplex or several of them, up to their ends on kinks, are one object
// each, to which every state that ends on it is counted.
func TestContinuaThatEndOnKinks(t *testing.T) {
	type object struct {
		dimension int
		closed    bool
		extent    float64
		attracts  bool
	}
	type network struct {
		name, dynamics string
		w, b           []float64
		points         map[string]int
		objects        []object
		settles        bool
	}
	simplex := func(n int) ([]float64, []float64) { return excluding(slices.Repeat([]float64{1}, n)) }
	two := []float64{0, -1, -1, 0}
	one := []float64{1, 1}
	var cases []network
	units, random := 6, 6
	if testing.Short() {
		units, random = 4, 3
	}
	for dynamics, attracts := range map[string]bool{"rate": true, "map": false} {
		cases = append(cases, network{"segment", dynamics, two, one, nil, []object{{1, false, math.Sqrt2, attracts}}, attracts})
		for n := 3; n <= units; n++ {
			w, b := simplex(n)
			cases = append(cases, network{fmt.Sprint("simplex of ", n), dynamics, w, b, nil, []object{{n - 1, false, math.Sqrt2, attracts}}, attracts})
		}
	}
	r := rand.New(rand.NewPCG(8, 1))
	for k := range random {
		var blocks [][]float64
		dimension := 0
		for range 1 + k%3 {
			a := make([]float64, 2+r.IntN(3))
			for i := range a {
				a[i] = 0.5 + r.Float64()
			}
			dimension += len(a) - 1
			blocks = append(blocks, a)
		}
		w, b := excluding(blocks...)
		cases = append(cases, network{fmt.Sprintf("%d random blocks", len(blocks)), "rate", w, b, nil, []object{{dimension, false, diameter(blocks...), true}}, true})
	}
	// A block of weak weights attracts as a map too.
	w, b := excluding([]float64{0.6, 0.8, 0.7})
	cases = append(cases, network{"a simplex of a map", "map", w, b, nil, []object{{2, false, diameter([]float64{0.6, 0.8, 0.7}), true}}, true})
	// A unit that is on or off beside a segment: z = relu(3 z − 1) at 0, 1/2.
	cases = append(cases, network{"two segments", "rate", []float64{0, -1, 0, -1, 0, 0, 0, 0, 3}, []float64{1, 1, -1}, nil,
		[]object{{1, false, math.Sqrt2, true}, {1, false, math.Sqrt2, false}}, false})
	// A segment between two kinks of other units: z₁ ∈ [0, 1] by z₂ = relu(z₁ − 1), which drives it back.
	cases = append(cases, network{"segment between two kinks", "rate", []float64{1, -1, 1, 0}, []float64{0, -1}, nil, []object{{1, false, 1, true}}, true})
	for _, c := range cases {
		t.Run(c.name+"/"+c.dynamics, func(t *testing.T) {
			l := weighted(t, "relu", c.w, c.b)
			found := find(t, l, nil, nil, stability.Finder{Dynamics: c.dynamics, Trajectories: 16})
			kinds := kindsOf(found)
			var objects []object
			for _, p := range found {
				if p.Continuum == nil {
					continue
				}
				got := *p.Continuum
				objects = append(objects, object{got.Dimension, got.Closed, got.Extent, got.Attracting})
				if p.Index != 0 || !(got.Neutrality < 1e-12) || !(p.Error <= 1e-9) {
					t.Errorf("index %d, neutral within %g, error %g", p.Index, got.Neutrality, p.Error)
				}
				for _, z := range append(got.Points, p.Z) {
					e, err := l.At(make([]float64, 1), z)
					if err != nil {
						t.Fatal(err)
					}
					next := make([]float64, len(z))
					if err := e.Next(next); err != nil {
						t.Fatal(err)
					}
					if far := math.Sqrt(kernels.SquaredDistance(next, z)); !(far < 1e-13*(1+math.Sqrt(kernels.SumSquares(z)))) {
						t.Errorf("‖f(z) − z‖ = %g at a point of the continuum", far)
					}
				}
			}
			if delete(kinds, stability.Extended); fmt.Sprint(kinds) != fmt.Sprint(c.points) || len(objects) != len(c.objects) {
				t.Errorf("%v beside %+v", kinds, objects)
				return
			}
			for _, want := range c.objects {
				if !slices.ContainsFunc(objects, func(o object) bool {
					return o.dimension == want.dimension && o.closed == want.closed && o.attracts == want.attracts && math.Abs(o.extent-want.extent) < 1e-9
				}) {
					t.Errorf("%+v is not among %+v", want, objects)
				}
			}
			if !c.settles {
				return
			}
			ends, err := stability.AtRandom(ctx, l, nil, 60, 1, 1, found, stability.Basins{Dynamics: c.dynamics})
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(ends, func(end int) bool { return end != 0 }) {
				t.Errorf("random states settle at %v", ends)
			}
		})
	}
}
