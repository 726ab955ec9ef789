package kernels

import (
	"math"
	"testing"
)

type function struct {
	name  string
	f32   func(dst, x []float32)
	f64   func(dst, x []float64)
	want  func(x float64) float64 // good to a few float64 ulp
	bound float64                 // in ulp, as documented
}

var functionTable = []function{
	{"Tanh", Tanh[float32], Tanh[float64], math.Tanh, 3},
	{"Exp", Exp[float32], Exp[float64], exp, 1.5},
	{"Sigmoid", Sigmoid[float32], Sigmoid[float64], func(x float64) float64 {
		e := math.Exp(-math.Abs(x))
		if x < 0 {
			return e / (1 + e)
		}
		return 1 / (1 + e)
	}, 3},
	{"Softplus", Softplus[float32], Softplus[float64], func(x float64) float64 {
		return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
	}, 2.5},
	{"Log", Log[float32], Log[float64], log, 1.5},
}

// The error bounds of the doc comments hold over all exponents.
func TestFunctionErrors(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, f := range functionTable {
			t.Run("op="+f.name, func(t *testing.T) {
				worst32 := sweep(f.f32, f.want, float32Sweep())
				worst64 := sweep(f.f64, f.want, float64Sweep())
				t.Logf("float32 %.2f ulp at %v; float64 %.2f ulp at %v", worst32.ulp, worst32.x, worst64.ulp, worst64.x)
				if !(worst32.ulp <= f.bound) {
					t.Errorf("float32: %v ulp at %v, want at most %v", worst32.ulp, worst32.x, f.bound)
				}
				// math's own error of up to 1 ulp or so comes on top
				if !(worst64.ulp <= f.bound+1) {
					t.Errorf("float64: %v ulp at %v, want at most %v", worst64.ulp, worst64.x, f.bound)
				}
			})
		}
	})
}

type worst[T Float] struct {
	ulp float64
	x   T
}

func sweep[T Float](f func(dst, x []T), want func(float64) float64, x []T) (w worst[T]) {
	y := make([]T, len(x))
	f(y, x)
	for i, v := range x {
		exact := want(float64(v))
		if T(exact) == y[i] && sameBits(T(exact), y[i]) {
			continue
		}
		e := ulp(y[i], exact)
		if math.IsInf(exact, 0) || math.IsInf(float64(T(exact)), 0) || T(exact) == 0 {
			e = math.Inf(1) // must be the same bits, unless it rounds the other way at the end
			if math.Abs(exact) < math.Inf(1) && ulp(y[i], exact) <= 1 {
				e = ulp(y[i], exact)
			}
		}
		if math.IsNaN(exact) != (y[i] != y[i]) {
			e = math.Inf(1)
		}
		if e > w.ulp || math.IsNaN(e) {
			w = worst[T]{e, v}
		}
	}
	return w
}

// float32Sweep strides over all bit patterns.
func float32Sweep() []float32 {
	x := make([]float32, 0, 1<<19)
	for b := uint64(0); b < 1<<32; b += 9973 {
		x = append(x, math.Float32frombits(uint32(b)))
	}
	for _, v := range special {
		x = append(x, float32(v))
	}
	return x
}

// float64Sweep strides over all exponents and, more closely, over the range
// where the functions are neither linear nor constant.
func float64Sweep() []float64 {
	rng := newRand()
	x := append([]float64(nil), special...)
	for range 40000 {
		x = append(x, math.Float64frombits(rng.Uint64()), 800*(2*rng.Float64()-1), 40*(2*rng.Float64()-1), rng.NormFloat64(), 1+0.5*rng.NormFloat64())
	}
	return x
}
