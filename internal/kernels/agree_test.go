package kernels

import "testing"

// The vector levels give the same bits.
func TestVectorLevelsAgree(t *testing.T) {
	if Detected() < AVX512 {
		t.Skipf("this processor offers no more than %v", Detected())
	}
	t.Run("type=float32", testVectorLevelsAgree[float32])
	t.Run("type=float64", testVectorLevelsAgree[float64])
}

func testVectorLevelsAgree[T Float](t *testing.T) {
	rng := newRand()
	g := newProduct[T](rng, false, false, 23, 50, 600, 0, 1)
	x := arguments[T](rng)
	results := func(level Level) (all []T) {
		defer SetLevel(level)()
		all = append(all, g.compute(true)...)
		for _, f := range []func(dst, x []T){Tanh[T], Exp[T], Sigmoid[T], Softplus[T], Log[T]} {
			y := make([]T, len(x))
			f(y, x)
			all = append(all, y...)
		}
		return all
	}
	narrow, wide := results(AVX2), results(AVX512)
	for i := range narrow {
		if !sameBits(narrow[i], wide[i]) {
			t.Fatalf("result %d: avx2 %v, avx512 %v", i, narrow[i], wide[i])
		}
	}
}
