package solvers

import "math"

// invSqrt is 1/√x, or 0 for x = 0.
func invSqrt(x float64) float64 {
	if x <= 0 {
		return 0
	}
	return 1 / math.Sqrt(x)
}

// cholesky overwrites the lower triangle of the k by k matrix a by its factor L. It says
// whether a is positive definite to working precision.
func cholesky(a []float64, k int) bool {
	for j := range k {
		rj := a[j*k : j*k+j+1]
		d := rj[j]
		for _, v := range rj[:j] {
			d -= v * v
		}
		if !(d > 1e-15) {
			return false
		}
		d = math.Sqrt(d)
		rj[j] = d
		for i := j + 1; i < k; i++ {
			ri := a[i*k : i*k+j+1]
			s := ri[j]
			for p, v := range rj[:j] {
				s -= v * ri[p]
			}
			ri[j] = s / d
		}
	}
	return true
}

// choleskySolve overwrites x by (LLᵀ)⁻¹x.
func choleskySolve(l []float64, k int, x []float64) {
	for i := range k {
		s := x[i]
		for p, v := range l[i*k : i*k+i] {
			s -= v * x[p]
		}
		x[i] = s / l[i*k+i]
	}
	for i := k - 1; i >= 0; i-- {
		x[i] /= l[i*k+i]
		for p, v := range l[i*k : i*k+i] {
			x[p] -= v * x[i]
		}
	}
}
