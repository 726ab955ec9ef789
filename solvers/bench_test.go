package solvers_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"attractor/internal/kernels"
	"attractor/solvers"
)

// BenchmarkOverhead is the cost of an iteration without that of f, per method: f only
// turns pages of states that were computed before. It is to be compared with
// BenchmarkProduct, the matrix product z·Wᵀ of the same shape.
func BenchmarkOverhead(b *testing.B) {
	methods := []struct {
		name   string
		method solvers.Method[float32]
	}{
		{"picard", solvers.Picard[float32]{}},
		{"anderson", solvers.Anderson[float32]{}},
		{"anderson-qr", solvers.Anderson[float32]{Form: "qr"}},
		{"broyden", solvers.Broyden[float32]{}},
		{"broyden-bad", solvers.Broyden[float32]{Bad: true}},
	}
	for _, m := range methods {
		for _, shape := range [][2]int{{32, 128}, {64, 256}, {128, 512}} {
			b.Run(fmt.Sprintf("method=%s/batch=%d/dim=%d", m.name, shape[0], shape[1]), func(b *testing.B) {
				const pages = 40
				n := shape[0] * shape[1]
				r := rand.New(rand.NewPCG(1, 2))
				states := make([]float32, pages*n)
				for k := range pages {
					for i := range n {
						states[k*n+i] = float32(r.NormFloat64() * math.Pow(0.9, float64(k)))
					}
				}
				p := solvers.Problem[float32]{Batch: shape[0], Dim: shape[1]}
				k := 0
				p.F = func(_ []int, z, fz []float32) error {
					kernels.Add(fz, z, states[k*n:k*n+len(z)])
					k = (k + 1) % pages
					return nil
				}
				v, err := solvers.New(m.method, p.Batch, p.Dim, solvers.Settings{MaxEvals: pages, Stall: -1, Growth: -1})
				if err != nil {
					b.Fatal(err)
				}
				z := make([]float32, n)
				b.ReportAllocs()
				for b.Loop() {
					k = 0
					clear(z)
					if _, err := v.Solve(context.Background(), p, z); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*pages), "µs/eval")
			})
		}
	}
}

// BenchmarkProduct is the matrix product of the same shapes.
func BenchmarkProduct(b *testing.B) {
	for _, shape := range [][2]int{{32, 128}, {64, 256}, {128, 512}} {
		b.Run(fmt.Sprintf("batch=%d/dim=%d", shape[0], shape[1]), func(b *testing.B) {
			m, n := shape[0], shape[1]
			z, w, out := make([]float32, m*n), make([]float32, n*n), make([]float32, m*n)
			for b.Loop() {
				kernels.Gemm(false, true, m, n, n, z, n, w, n, 0, out, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/eval")
		})
	}
}
