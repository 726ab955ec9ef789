package deq_test

import (
	"math"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"
)

// The derivative of a step of states and tangents agrees with finite differences of the step, for
// all it depends on; the two that leave ways out do not.
func TestTangentVJP(t *testing.T) {
	const rows = 5
	for name, m := range map[string]models.Model{
		"tanh": models.Rate{N: 6, Gain: 1.2}, "leaky": models.Rate{N: 6, Leak: 0.3, Gain: 2}, "softplus": models.Rate{N: 6, Activation: "softplus"},
		"weight norm": models.Rate{N: 6, Normalize: "weight"}, "dropout": models.Rate{N: 6, Dropout: 0.4}, "gru": models.GRU{N: 6}, "mondeq": models.MonDEQ{N: 6, Activation: "tanh"},
	} {
		for engine, shard := range map[string]int{"fast": 2, "tape": 5} {
			t.Run(name+"/"+engine, func(t *testing.T) {
				l, err := deq.New[float64](m, 3, 2, 1, deq.Config{Batch: rows, Shard: shard, Engine: engine})
				if err != nil {
					t.Fatal(err)
				}
				l.DrawMasks(rng.Stream(1, "dropout"))
				r := rng.Stream(2, "test")
				draw := func(width int) []float64 {
					v := make([]float64, rows*width)
					for i := range v {
						v[i] = r.NormFloat64()
					}
					return v
				}
				x, z, v, w, a := draw(3), draw(6), draw(6), draw(6), draw(6)
				fz, jv := make([]float64, len(z)), make([]float64, len(z))
				sum := func() (float64, error) {
					e, err := l.At(x, z)
					if err != nil {
						return 0, err
					}
					if err := e.JVP(v, jv); err != nil {
						return 0, err
					}
					err = e.Next(fz)
					return kernels.Dot(a, fz) + kernels.Dot(w, jv), err
				}
				at := [][]float64{v, z} // what is moved
				for _, p := range l.Params {
					if p.Role.OfCell() {
						at = append(at, p.Data)
					}
				}
				gradient := func(credit deq.Credit) [][]float64 {
					e, err := l.At(x, z)
					if err != nil {
						t.Fatal(err)
					}
					dv, dz, g := draw(6), draw(6), l.Params.ZerosLike()
					if err := e.TangentVJP(v, w, a, credit, dv, dz, g); err != nil {
						t.Fatal(err)
					}
					out := [][]float64{dv, dz}
					for _, p := range g {
						if p.Role.OfCell() {
							out = append(out, p.Data)
						}
					}
					return out
				}
				exact := gradient(deq.AllCredit)
				for k, data := range at {
					for i := range data {
						old := data[i]
						want, err := finite.Derivative(func(h float64) (float64, error) {
							update(l, func() { data[i] = old + h })
							return sum()
						})
						if err != nil {
							t.Fatal(err)
						}
						update(l, func() { data[i] = old })
						if d := math.Abs(exact[k][i] - want); !(d <= 1e-7) {
							t.Errorf("derivative %d of %d is off by %.2g", i, k, d)
						}
					}
				}
				for _, c := range []deq.Credit{deq.CutCredit, deq.FrozenCredit} {
					most := 0.0
					for k, g := range gradient(c) {
						most = max(most, math.Sqrt(kernels.SquaredDistance(g, exact[k])))
					}
					if !(most >= 0.01) {
						t.Errorf("credit %d is within %.2g of the exact derivative", c, most)
					}
				}
			})
		}
	}
}

// Of a linear cell nothing is lost where the state does not travel: the parameters get the same by
// every credit, but for what the state gives them.
func TestTangentVJPOfLinear(t *testing.T) {
	l, err := deq.New[float64](models.Rate{N: 4, Activation: "linear"}, 1, 1, 1, deq.Config{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.At(make([]float64, 2), []float64{1, 2, 3, 4, 5, 6, 7, 8})
	if err != nil {
		t.Fatal(err)
	}
	v, w, none, out := []float64{1, 0, 0, 2, 0, 3, 0, 0}, []float64{0, 1, 0, 0, 0, 0, 1, 1}, make([]float64, 8), make([]float64, 8)
	want := []float64{0, 0, 0, 0, 1, 0, 0, 2, 0, 3, 0, 0, 0, 3, 0, 0} // Σ w vᵀ
	for _, c := range []deq.Credit{deq.AllCredit, deq.CutCredit, deq.FrozenCredit} {
		g := l.Params.ZerosLike()
		if err := e.TangentVJP(v, w, none, c, out, slices.Clone(out), g); err != nil {
			t.Fatal(err)
		}
		if got := g.Data("W"); !slices.Equal(got, want) {
			t.Errorf("credit %d: %v, want %v", c, got, want)
		}
	}
	if err := e.TangentVJP(v[:4], w, none, deq.AllCredit, out, slices.Clone(out), nil); err == nil {
		t.Error("a short tangent is accepted")
	}
}
