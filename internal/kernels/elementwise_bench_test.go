package kernels

import (
	"fmt"
	"testing"
)

// BenchmarkElementwise has every elementwise kernel over 4096 elements, which
// stay in the second-level cache, and the reductions; Dots and Combine are of six rows.
func BenchmarkElementwise(b *testing.B) {
	benchElementwise[float32](b)
	benchElementwise[float64](b)
}

func benchElementwise[T Float](b *testing.B) {
	const n = 4096
	rng := newRand()
	x, y, z, dst := normals[T](rng, n), normals[T](rng, n), normals[T](rng, n), make([]T, n)
	rows, sums := normals[T](rng, 6*n), make([]float64, 6)
	run := func(op string, level Level, f func()) {
		b.Run(fmt.Sprintf("op=%s/type=%s/level=%v", op, typeName[T](), level), func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/element")
		})
	}
	for _, level := range Levels() {
		restore := SetLevel(level)
		for _, e := range elementwiseTable[T]() {
			run(e.name, level, func() { e.run(dst, x, y, z) })
		}
		run("Dot", level, func() { Dot(x, y) })
		run("SquaredDistance", level, func() { SquaredDistance(x, y) })
		run("DistanceAndSquares", level, func() { DistanceAndSquares(x, y) })
		run("Dots", level, func() { Dots(sums, x, rows, n) })
		run("Combine", level, func() { Combine(dst, z[:6], rows, n) })
		run("MaxAbs", level, func() { MaxAbs(x) })
		run("ColSums", level, func() { ColSums(dst[:64], n/64, 64, x, 64) })
		restore()
	}
}
