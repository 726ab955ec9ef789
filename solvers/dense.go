package solvers

// lockstep is the number of systems that are solved side by side: the operations of one
// wait for each other, those of several do not.
const lockstep = 4

// together holds an entry of each of the systems.
type together = [lockstep]float64

// triangle is the number of entries of a lower triangle of k rows with its diagonal, and
// the place of the first entry of its row k.
func triangle(k int) int { return k * (k + 1) / 2 }

// solveTogether solves systems Ax = b of k equations by LDLᵀ without pivoting. a has the
// rows of the lower triangle of A, one after the other, and then b, which x overwrites. It
// says of which systems A, whose diagonal is about 1, is positive definite to working
// precision. What becomes of a system does not depend on the others.
func solveTogether(a []together, k int) (regular [lockstep]bool) {
	regular = [lockstep]bool{true, true, true, true}
	for j := range k {
		pivot := &a[triangle(j)+j]
		for q, d := range pivot {
			if !(d > 1e-15) {
				regular[q] = false
			}
			pivot[q] = 1 / d
		}
		for i := j + 1; i <= k; i++ {
			row := a[triangle(i):]
			row = row[:min(i+1, k)]
			l := row[j]
			for q := range l {
				l[q] *= pivot[q]
			}
			for p, at := j+1, triangle(j+1)+j; p < len(row); p++ {
				u, v := &a[at], &row[p]
				v[0] -= l[0] * u[0]
				v[1] -= l[1] * u[1]
				v[2] -= l[2] * u[2]
				v[3] -= l[3] * u[3]
				at += p + 1
			}
		}
	}
	x := a[triangle(k):][:k]
	for j := k - 1; j >= 0; j-- {
		pivot, s := &a[triangle(j)+j], x[j]
		for p := j + 1; p < k; p++ {
			u, v := &a[triangle(p)+j], &x[p]
			s[0] -= u[0] * v[0]
			s[1] -= u[1] * v[1]
			s[2] -= u[2] * v[2]
			s[3] -= u[3] * v[3]
		}
		for q := range s {
			s[q] *= pivot[q]
		}
		x[j] = s
	}
	return regular
}
