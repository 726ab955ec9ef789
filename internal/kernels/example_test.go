package kernels_test

import (
	"fmt"

	"attractor/internal/kernels"
)

// A layer tanh(z·Wᵀ + b) for a batch of two: the weights are packed once, and bias
// and activation are applied to each block of the product while it is in cache.
func ExampleGemmPacked() {
	w := []float32{ // [3,2]
		1, 0,
		0, 1,
		1, 1,
	}
	bias := []float32{0, 0, -1}
	z := []float32{ // [2,2]
		0, 0,
		1, 0,
	}
	var p kernels.Packed[float32]
	p.Pack(true, 2, 3, w, 2)
	out := make([]float32, 2*3)
	kernels.GemmPacked(2, z, 2, &p, 0, out, 3, func(i0, i1, j0, j1 int) {
		for i := i0; i < i1; i++ {
			row := out[3*i+j0 : 3*i+j1]
			kernels.Add(row, row, bias[j0:j1])
			kernels.Tanh(row, row)
		}
	})
	fmt.Printf("%.4f\n", out)
	// Output: [0.0000 0.0000 -0.7616 0.7616 0.0000 0.0000]
}
