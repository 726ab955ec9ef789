package solvers

import "math"

// cholesky overwrites the lower triangle of the k by k matrix a by its factor L, with the
// reciprocals of its diagonal. It says whether a, whose diagonal is about 1, is positive
// definite to working precision.
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
		d = 1 / math.Sqrt(d)
		rj[j] = d
		for i := j + 1; i < k; i++ {
			ri := a[i*k : i*k+j+1]
			s := ri[j]
			for p, v := range rj[:j] {
				s -= v * ri[p]
			}
			ri[j] = s * d
		}
	}
	return true
}

// choleskySolve overwrites x by (LLᵀ)⁻¹x, with the L that cholesky leaves.
func choleskySolve(l []float64, k int, x []float64) {
	for i := range k {
		s := x[i]
		for p, v := range l[i*k : i*k+i] {
			s -= v * x[p]
		}
		x[i] = s * l[i*k+i]
	}
	for i := k - 1; i >= 0; i-- {
		s := x[i] * l[i*k+i]
		x[i] = s
		for p, v := range l[i*k : i*k+i] {
			x[p] -= v * s
		}
	}
}
