package models_test

import (
	"context"
	"math"
	"testing"

	"attractor/deq"
	"attractor/internal/engine"
	"attractor/models"
	"attractor/solvers"

	"gonum.org/v1/gonum/mat"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// weightsOf evaluates an expression of W [rows, columns] and g [rows, 1].
func weightsOf(t *testing.T, build func(s *models.Scope, w, g *gorgonia.Node) *gorgonia.Node, rows, columns int, w, g []float64) []float64 {
	t.Helper()
	s := models.NewScope(tensor.Float64, []models.Param{{Name: "W", Shape: []int{rows, columns}}, {Name: "g", Shape: []int{rows, 1}}})
	nw, ng := s.Param("W"), s.Param("g")
	out := build(s, nw, ng)
	must(t, s.Err())
	p, err := engine.Compile[float64](gorgonia.Nodes{out}, engine.Options{Inputs: []engine.Input{{Node: nw, Rate: engine.Parameters}, {Node: ng, Rate: engine.Parameters}}, Rows: 1})
	must(t, err)
	must(t, p.Bind(nw, w))
	must(t, p.Bind(ng, g))
	must(t, p.Run(engine.Parameters, 1))
	return p.Out(0)
}

func spectralNorm(w []float64, rows, columns int) float64 {
	var svd mat.SVD
	svd.Factorize(mat.NewDense(rows, columns, w), mat.SVDNone)
	return svd.Values(nil)[0]
}

func TestNormalizations(t *testing.T) {
	const rows, columns = 5, 4
	w, g := make([]float64, rows*columns), make([]float64, rows)
	for i := range w {
		w[i] = math.Sin(float64(i * i))
	}
	for i := range g {
		g[i] = float64(i) - 1.5
	}
	weight := weightsOf(t, (*models.Scope).WeightNorm, rows, columns, w, g)
	for i := range rows {
		row, direction := weight[i*columns:(i+1)*columns], w[i*columns:(i+1)*columns]
		if length := math.Sqrt(dot(row, row)); !(math.Abs(length-math.Abs(g[i])) <= 1e-14) {
			t.Errorf("row %d has length %v, want %v", i, length, math.Abs(g[i]))
		}
		if cos := dot(row, direction) / math.Sqrt(dot(row, row)*dot(direction, direction)); !(math.Abs(cos-math.Copysign(1, g[i])) <= 1e-14) {
			t.Errorf("row %d is turned: cosine %v", i, cos)
		}
	}
	sigma := spectralNorm(w, rows, columns)
	for _, bound := range []float64{0.3, sigma * 0.999, sigma * 1.001, 100} {
		bounded := weightsOf(t, func(s *models.Scope, w, _ *gorgonia.Node) *gorgonia.Node {
			return s.BoundSpectralNorm(w, bound)
		}, rows, columns, w, g)
		if got, want := spectralNorm(bounded, rows, columns), min(sigma, bound); !(math.Abs(got-want) <= 1e-14*want) {
			t.Errorf("bound %v on σ = %v gives %v", bound, sigma, got)
		}
		for i, v := range bounded {
			if want := w[i] * min(1, bound/sigma); !(math.Abs(v-want) <= 1e-14) {
				t.Fatalf("bound %v: entry %d is %v, want %v", bound, i, v, want)
			}
		}
	}
}

// With a bound below 1 the cell contracts at that rate, whatever W is; without it it does not.
func TestBoundedCellContracts(t *testing.T) {
	ctx := context.Background()
	for _, m := range []models.Rate{{N: 30, Gain: 3, Normalize: "spectral", Bound: 0.9}, {N: 30, Gain: 3}} {
		l, err := deq.New[float64](m, 2, 1, 1, deq.Config{Batch: 2})
		must(t, err)
		x := []float64{0.1, 0.2, -0.3, 0}
		// The states of two samples with one input approach each other.
		copy(x[2:], x[:2])
		z0 := make([]float64, 2*m.N)
		for i := range z0 {
			z0[i] = math.Sin(float64(3 * i))
		}
		tr, err := l.Relax(ctx, x, z0, 20)
		must(t, err)
		distance := func(z []float64) (d float64) {
			for i := range m.N {
				d += math.Pow(z[i]-z[m.N+i], 2)
			}
			return math.Sqrt(d)
		}
		contracts := true
		for k := range 20 {
			contracts = contracts && distance(tr.Z[k+1]) <= 0.9*distance(tr.Z[k])*(1+1e-12)
		}
		if contracts != (m.Normalize == "spectral") {
			t.Errorf("normalize %q: contraction is %v", m.Normalize, contracts)
		}
		if m.Normalize == "spectral" {
			e, err := l.Solve(ctx, x, nil, deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-12, MaxEvals: 1000}})
			must(t, err)
			must(t, e.Report.Err())
		}
	}
}
