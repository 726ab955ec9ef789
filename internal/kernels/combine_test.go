package kernels

import "testing"

// Axpys and Combine give the bits of Axpy, one by one, at every place of a slice of any
// length, and write nothing else.
func TestCombine(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testCombine[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testCombine[float64]) })
}

func testCombine[T Float](t *testing.T) {
	const most, ld, guard = 19, 150, 12345
	rng := newRand()
	x, y, alpha := normals[T](rng, most*ld), normals[T](rng, ld), normals[T](rng, most)
	for rows := range most + 1 {
		for n := range 75 {
			i := rng.IntN(ld - n)
			for _, add := range []bool{false, true} {
				want, got := make([]T, n), make([]T, n+2)
				dst := got[1 : 1+n]
				Fill(got, guard)
				if add {
					copy(want, y[i:])
					copy(dst, y[i:])
				}
				for j, a := range alpha[:rows] {
					for k := range want {
						want[k] += T(a * x[j*ld+i+k])
					}
				}
				if add {
					Axpys(alpha[:rows], x[i:], ld, dst)
				} else {
					Combine(dst, alpha[:rows], x[i:], ld)
				}
				for k := range want {
					if !sameBits(dst[k], want[k]) {
						t.Fatalf("rows=%d n=%d add=%t: element %d is %v, want %v", rows, n, add, k, dst[k], want[k])
					}
				}
				if got[0] != guard || got[n+1] != guard {
					t.Fatalf("rows=%d n=%d add=%t wrote outside dst", rows, n, add)
				}
			}
		}
	}
}
