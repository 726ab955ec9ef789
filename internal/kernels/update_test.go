package kernels

import (
	"fmt"
	"testing"
)

// updates lists the steps of optimisers: run on p, g, m and v, and their definitions.
func updates[T Float]() map[string][2]func(p, g, m, v []T) {
	adam := AdamStep[T]{Beta1: 0.9, Rest1: 0.1, Beta2: 0.99, Rest2: 0.01, Rate: 0.3, Inv: 2.5, Eps: 1e-8, Keep: 0.999}
	rms := RMSPropStep[T]{Beta: 0.9, Rest: 0.1, Rate: 0.3, Eps: 1e-8}
	mom := MomentumStep[T]{Decay: 0.01, Mu: 0.9, Rate: 0.3}
	return map[string][2]func(p, g, m, v []T){
		"Adam": {
			func(p, g, m, v []T) { Adam(p, g, m, v, adam) },
			func(p, g, m, v []T) { adamPortable(p, g, m, v, &adam) },
		},
		"RMSProp": {
			func(p, g, _, v []T) { RMSProp(p, g, v, rms) },
			func(p, g, _, v []T) { rmsPropPortable(p, g, v, &rms) },
		},
		"Momentum": {
			func(p, g, _, v []T) { Momentum(p, g, v, mom) },
			func(p, g, _, v []T) { momentumPortable(p, g, v, &mom) },
		},
		"Nesterov": {
			func(p, g, _, v []T) { Nesterov(p, g, v, mom) },
			func(p, g, _, v []T) { nesterovPortable(p, g, v, &mom) },
		},
	}
}

// The steps give their definitions' bits at every length, and write nothing else.
func TestUpdates(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testUpdates[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testUpdates[float64]) })
}

func testUpdates[T Float](t *testing.T) {
	rng := newRand()
	for name, f := range updates[T]() {
		for n := range 75 {
			got, want := [4][]T{}, [4][]T{}
			for k := range got {
				got[k] = normals[T](rng, n+2)
				if k == 3 {
					Abs(got[k], got[k])
				}
				want[k] = append([]T(nil), got[k]...)
			}
			in := func(a [4][]T, k int) []T { return a[k][1 : 1+n] }
			f[0](in(got, 0), in(got, 1), in(got, 2), in(got, 3))
			f[1](in(want, 0), in(want, 1), in(want, 2), in(want, 3))
			for k := range got {
				for i := range got[k] {
					if !sameBits(got[k][i], want[k][i]) {
						t.Fatalf("%s n=%d: array %d at %d is %v, want %v", name, n, k, i-1, got[k][i], want[k][i])
					}
				}
			}
		}
	}
}

func BenchmarkUpdates(b *testing.B) {
	const n = 4096
	rng := newRand()
	p, g, m, v := normals[float32](rng, n), normals[float32](rng, n), make([]float32, n), make([]float32, n)
	for _, level := range Levels() {
		for name, f := range updates[float32]() {
			b.Run(fmt.Sprintf("op=%s/type=float32/level=%v", name, level), func(b *testing.B) {
				defer SetLevel(level)()
				for b.Loop() {
					f[0](p, g, m, v)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/element")
			})
		}
	}
}
