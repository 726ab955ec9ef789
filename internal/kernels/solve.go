package kernels

import "fmt"

// Together is the number of systems that [SolveSymmetric] solves side by side.
const Together = 8

// SolveSymmetric solves systems Ax = b of k equations by A = LDLᵀ without pivoting. The
// entries of all systems stand together: the lower triangle of A, one row after the
// other, and then b, which x overwrites. The reciprocals of the pivots overwrite the
// diagonal: A is positive definite where all are finite and above 0, and only there x
// means anything. The bits depend neither on the level nor on the other systems.
func SolveSymmetric(a [][Together]float64, k int) {
	if need := (k + 1) * (k + 2) / 2; k < 0 || len(a) < need-1 {
		panic(fmt.Sprintf("kernels: systems of %d equations need %d entries, have %d", k, need-1, len(a)))
	}
	if k > 0 && !solveVector(a, k) {
		solvePortable(a, k)
	}
}

func solvePortable(a [][Together]float64, k int) {
	for j := range k {
		column := j*(j+1)/2 + j
		pivot := &a[column]
		for q, d := range pivot {
			pivot[q] = 1 / d
		}
		below := column + j + 1
		for i, at := j+1, below; i <= k; i++ {
			var l [Together]float64
			for q, v := range &a[at] {
				l[q] = v * pivot[q]
			}
			for p, u := j+1, below; p <= min(i, k-1); p++ {
				subtractProducts(&a[at+p-j], &l, &a[u])
				u += p + 1
			}
			at += i + 1
		}
	}
	x := a[k*(k+1)/2:]
	for j := k - 1; j >= 0; j-- {
		column := j*(j+1)/2 + j
		s := &x[j]
		for p, u := j+1, column+j+1; p < k; p++ {
			subtractProducts(s, &x[p], &a[u])
			u += p + 1
		}
		for q, v := range &a[column] {
			s[q] *= v
		}
	}
}

func subtractProducts(to, x, y *[Together]float64) {
	to[0] -= float64(x[0] * y[0])
	to[1] -= float64(x[1] * y[1])
	to[2] -= float64(x[2] * y[2])
	to[3] -= float64(x[3] * y[3])
	to[4] -= float64(x[4] * y[4])
	to[5] -= float64(x[5] * y[5])
	to[6] -= float64(x[6] * y[6])
	to[7] -= float64(x[7] * y[7])
}
