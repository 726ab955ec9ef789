package deq_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// kinked is a cell with kinks of kinks: |relu(zAᵀ) − zBᵀ| + min(z, zAᵀ).
type kinked struct{ n int }

func (m kinked) Units() int { return m.n }

func (m kinked) Params(_, outputs int) []models.Param {
	return []models.Param{
		{Name: "A", Shape: []int{m.n, m.n}, Role: models.Recurrent, Init: models.Normal{Gain: 1}},
		{Name: "B", Shape: []int{m.n, m.n}, Role: models.Recurrent, Init: models.Normal{Gain: 1}},
		{Name: "Wo", Shape: []int{outputs, m.n}, Role: models.Readout, Init: models.Normal{Gain: 1}},
	}
}

func (m kinked) Cell(s *models.Scope, z, _ *gorgonia.Node) *gorgonia.Node {
	a := s.Linear("A", z)
	return s.Add(s.Abs(s.Sub(s.Relu(a), s.Linear("B", z))), s.Min(z, a))
}

func (m kinked) Readout(s *models.Scope, z *gorgonia.Node) *gorgonia.Node { return s.Linear("Wo", z) }

// At a state on kinks the derivative for a direction is the one-sided difference quotient, which at 0 of a cell that is
// homogeneous is f of the direction itself, in any number of rows.
func TestSides(t *testing.T) {
	for name, m := range map[string]models.Model{
		"relu": models.Rate{N: 6, Activation: "relu", Gain: 2}, "leaky relu": models.Rate{N: 6, Activation: "relu", Leak: 0.3},
		"currents": models.Rate{N: 6, Activation: "relu", Form: "v"}, "mondeq": models.MonDEQ{N: 6},
		"feedback": models.Feedback{N: 6, Activation: "relu", Gain: 1}, "feedback of rates": models.Feedback{N: 6, Activation: "relu", Gain: 1, State: "rate"},
		"dale": models.Rate{N: 6, Activation: "relu", Dale: 0.5}, "spectral": models.Rate{N: 6, Activation: "relu", Normalize: "spectral", Gain: 4},
		"kinks of kinks": kinked{6}, "tanh": models.Rate{N: 6}, "gru": models.GRU{N: 6},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := deq.New[float64](m, 2, 1, 3, deq.Config{Batch: 5, Shard: 2})
			if err != nil {
				t.Fatal(err)
			}
			smooth := name == "tanh" || name == "gru"
			if l.Kinked() == smooth {
				t.Fatalf("kinked: %v", l.Kinked())
			}
			const rows = 5
			n := l.Units
			r := rand.New(rand.NewPCG(1, 2))
			v, w := make([]float64, rows*n), make([]float64, rows*n)
			for i := range v {
				v[i], w[i] = r.NormFloat64(), r.NormFloat64()
			}
			f := func(z []float64) []float64 {
				e, err := l.At(make([]float64, rows*2), z)
				if err != nil {
					t.Fatal(err)
				}
				out := make([]float64, len(z))
				if err := e.Next(out); err != nil {
					t.Fatal(err)
				}
				return out
			}
			for _, z := range [][]float64{make([]float64, rows*n), w} {
				e, err := l.At(make([]float64, rows*2), z)
				if err != nil {
					t.Fatal(err)
				}
				s, err := e.Sides(0, v)
				if err != nil {
					t.Fatal(err)
				}
				jv, away := make([]float64, rows*n), slices.Clone(z)
				if err := s.JVP(v, jv); err != nil {
					t.Fatal(err)
				}
				const h = 1e-7
				for i := range away {
					away[i] += h * v[i]
				}
				at, next := f(z), f(away)
				for i := range jv {
					if want := (next[i] - at[i]) / h; !(math.Abs(jv[i]-want) <= 1e-5) {
						t.Fatalf("at %v entry %d is %g, want %g", z[:n], i, jv[i], want)
					}
				}
				if on := s.On[0] > 0; on != (!smooth && z[0] == 0) || s.Open[0] != 0 {
					t.Errorf("at %v %d are on kinks, %d open", z[:n], s.On[0], s.Open[0])
				}
				one, err := s.Repeat(3, 2)
				if err != nil {
					t.Fatal(err)
				}
				two := make([]float64, 2*n)
				if err := one.JVP(slices.Concat(v[3*n:4*n], v[3*n:4*n]), two); err != nil {
					t.Fatal(err)
				}
				for i, got := range two {
					if !(math.Abs(got-jv[3*n+i%n]) <= 1e-12) {
						t.Errorf("repeated: entry %d is %g, want %g", i, got, jv[3*n+i%n])
					}
				}
			}
		})
	}
}
