package kernels

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var benchShapes = [][3]int{{1, 256, 256}, {4, 512, 512}, {32, 128, 128}, {64, 256, 256}, {128, 512, 512}, {256, 1024, 1024}}

// BenchmarkGemm has gemm, gemmNT (B transposed), gemmTN (A transposed), packed
// (GemmPacked), cell (GemmPacked with tanh(C + bias)), pack and packT (Pack, for
// whose time the rate means nothing) and gonum, at shapes m×n×k.
func BenchmarkGemm(b *testing.B) {
	for _, s := range benchShapes {
		m, n, k := s[0], s[1], s[2]
		shape := fmt.Sprintf("shape=%dx%dx%d", m, n, k)
		benchGemm[float32](b, shape, m, n, k)
		benchGemm[float64](b, shape, m, n, k)
	}
}

func benchGemm[T Float](b *testing.B, shape string, m, n, k int) {
	rng := newRand()
	x, y, c := normals[T](rng, m*k), normals[T](rng, k*n), make([]T, m*n)
	var p Packed[T]
	run := func(name, level string, f func()) {
		b.Run(fmt.Sprintf("op=%s/type=%s/%s/level=%s", name, typeName[T](), shape, level), func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
	for _, level := range Levels() {
		restore := SetLevel(level)
		run("gemm", level.String(), func() { Gemm(false, false, m, n, k, x, k, y, n, 0, c, n) })
		run("gemmNT", level.String(), func() { Gemm(false, true, m, n, k, x, k, y, k, 0, c, n) })
		run("gemmTN", level.String(), func() { Gemm(true, false, m, n, k, x, m, y, n, 0, c, n) })
		p.Pack(false, k, n, y, n)
		run("packed", level.String(), func() { GemmPacked(m, x, k, &p, 0, c, n, nil) })
		run("cell", level.String(), func() {
			GemmPacked(m, x, k, &p, 0, c, n, func(i0, i1, j0, j1 int) {
				for i := i0; i < i1; i++ {
					row := c[i*n+j0 : i*n+j1]
					Add(row, row, y[j0:j1])
					Tanh(row, row)
				}
			})
		})
		run("pack", level.String(), func() { p.Pack(false, k, n, y, n) })
		run("packT", level.String(), func() { p.Pack(true, k, n, y, k) })
		restore()
	}
	var g gonum.Implementation
	run("gemm", "gonum", func() {
		switch x := any(x).(type) {
		case []float32:
			g.Sgemm(blas.NoTrans, blas.NoTrans, m, n, k, 1, x, k, any(y).([]float32), n, 0, any(c).([]float32), n)
		case []float64:
			g.Dgemm(blas.NoTrans, blas.NoTrans, m, n, k, 1, x, k, any(y).([]float64), n, 0, any(c).([]float64), n)
		}
	})
}
