package kernels

import (
	"fmt"
	"math"
	"testing"
)

// Each system is solved, with the same bits whatever the level and the other systems are,
// and one that is not positive definite is told.
func TestSolveSymmetric(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for k := range 12 {
			t.Run(fmt.Sprint("k=", k), func(t *testing.T) { testSolveSymmetric(t, k) })
		}
	})
}

func testSolveSymmetric(t *testing.T, k int) {
	const guard, shift = 12345, 0.01
	rng := newRand()
	q := normals[float64](rng, Together*k*k)
	size := (k+1)*(k+2)/2 - 1
	a := make([][Together]float64, size+1)
	at := func(i, j int) int { return i*(i+1)/2 + j }
	for s := range Together { // A = QQᵀ + shift·I
		for i := range k {
			for j := range i + 1 {
				a[at(i, j)][s] = Dot(q[(s*k+i)*k:][:k], q[(s*k+j)*k:][:k])
			}
			a[at(i, i)][s] += shift
			a[at(k, i)][s] = rng.NormFloat64()
		}
		a[size][s] = guard
	}
	solve := func(change func(a [][Together]float64)) [][Together]float64 {
		b := append([][Together]float64(nil), a...)
		change(b)
		SolveSymmetric(b, k)
		return b
	}
	nothing := func([][Together]float64) {}
	got := solve(nothing)
	restore := SetLevel(Portable)
	portable := solve(nothing)
	restore()
	for e := range got {
		if got[e] != portable[e] {
			t.Fatalf("entry %d: %v, portable %v", e, got[e], portable[e])
		}
	}
	for s := range Together {
		for i := range k {
			r := -a[at(k, i)][s]
			for j := range k {
				r += a[at(max(i, j), min(i, j))][s] * got[at(k, j)][s]
			}
			if !(math.Abs(r) <= 1e-9) {
				t.Errorf("system %d, equation %d: residual %v", s, i, r)
			}
			if p := got[at(i, i)][s]; !(p > 0 && p < 2/shift) {
				t.Errorf("system %d: pivot 1/%v", s, p)
			}
		}
	}
	if k == 0 {
		return
	}
	bad := solve(func(a [][Together]float64) {
		a[at(k-1, k-1)][3] = -1
		a[0][5] = math.NaN()
	})
	if p, q := bad[at(k-1, k-1)][3], bad[at(k-1, k-1)][5]; !(p < 0) || q == q {
		t.Errorf("pivots of bad systems 1/%v, 1/%v", p, q)
	}
	for e := range got {
		for _, s := range []int{0, 1, 2, 4, 6, 7} {
			if bad[e][s] != got[e][s] {
				t.Fatalf("entry %d of system %d is %v beside bad systems, %v", e, s, bad[e][s], got[e][s])
			}
		}
	}
}

func BenchmarkSolveSymmetric(b *testing.B) {
	for _, level := range Levels() {
		for _, k := range []int{2, 6, 12} {
			b.Run(fmt.Sprintf("k=%d/level=%v", k, level), func(b *testing.B) {
				defer SetLevel(level)()
				a := make([][Together]float64, (k+1)*(k+2)/2)
				for b.Loop() {
					clear(a)
					for i := range k {
						Fill(a[i*(i+1)/2+i][:], 1)
					}
					SolveSymmetric(a, k)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(Together*b.N), "ns/system")
			})
		}
	}
}
