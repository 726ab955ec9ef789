package solvers

import (
	"math"

	"attractor/internal/kernels"
)

// qrWindow solves the least squares with ΔG = QR, whose columns are the differences of
// successive residuals, newest first. A window of m iterates has m − 1 differences.
type qrWindow[T Float] struct {
	m, n       int  // differences, dimension
	differ     bool // false for a window of 1
	beta, drop float64

	// by sample
	q, p  []T       // [batch, m, n]: the columns of Q, and ΔZ + βΔG, in slots
	slot  []int     // [batch, m]: slot of p for each column
	r     []float64 // [batch, m, m], upper triangular
	used  []int     // [batch]: columns
	begun []bool    // [batch]: there is a last iterate
	z, g  []T       // [batch, n]: the last iterate and its residual

	gNew, dg []T       // [n]
	c        []float64 // [m+1]
}

func newQRWindow[T Float](batch, window, n int, beta, drop float64) *qrWindow[T] {
	m := max(1, min(window-1, n))
	return &qrWindow[T]{
		m: m, n: n, differ: window > 1, beta: beta, drop: drop,
		q: make([]T, batch*m*n), p: make([]T, batch*m*n), slot: make([]int, batch*m),
		r: make([]float64, batch*m*m), used: make([]int, batch), begun: make([]bool, batch),
		z: make([]T, batch*n), g: make([]T, batch*n), gNew: make([]T, n), dg: make([]T, n), c: make([]float64, m+1),
	}
}

func (w *qrWindow[T]) clear(b int) { w.used[b], w.begun[b] = 0, false }

func (w *qrWindow[T]) bytes() int {
	return elemSize[T]()*(2*len(w.q)+2*len(w.z)+2*w.n) + 8*(len(w.slot)+len(w.r)+len(w.used)+len(w.c)) + len(w.begun)
}

func (w *qrWindow[T]) column(x []T, b, j int) []T {
	at := (b*w.m + j) * w.n
	return x[at : at+w.n]
}

func (w *qrWindow[T]) push(b int, z, fz []T, _ float64) {
	n := w.n
	zOld, gOld := w.z[b*n:(b+1)*n], w.g[b*n:(b+1)*n]
	kernels.Sub(w.gNew, fz, z)
	if w.begun[b] && w.differ {
		kernels.Sub(w.dg, w.gNew, gOld)
		kernels.Sub(zOld, z, zOld)
		w.insert(b, zOld, 10*eps[T]()*norm(fz))
	}
	w.begun[b] = true
	copy(zOld, z)
	copy(gOld, w.gNew)
}

// insert puts the difference dg, with dz, before the other columns. With c = Qᵀdg and the
// rest ρq = dg − Qc, the new factorisation is [Q q] times a matrix that is triangular but
// for its first column (c, ρ), which rotations of neighbouring rows take care of.
//
// A difference below noise is rounding and is left out.
func (w *qrWindow[T]) insert(b int, dz []T, noise float64) {
	m := w.m
	if w.used[b] == m {
		w.used[b]-- // the oldest is the last
	}
	whole := norm(w.dg)
	if !(whole > noise) {
		return
	}
	rho := w.orthogonalise(b)
	for w.used[b] > 0 && rho <= 10*eps[T]()*whole {
		w.used[b]--
		rho = w.orthogonalise(b)
	}
	k := w.used[b]
	r, slot := w.r[b*m*m:(b+1)*m*m], w.slot[b*m:(b+1)*m]

	free := w.freeSlot(slot[:k])
	copy(slot[1:k+1], slot[:k])
	slot[0] = free
	p := w.column(w.p, b, free)
	copy(p, dz)
	kernels.Axpy(T(w.beta), w.dg, p)
	kernels.Scale(w.column(w.q, b, k), T(1/rho), w.column(w.q, b, k))

	for i := range k + 1 {
		row := r[i*m : (i+1)*m]
		copy(row[1:k+1], row[:k])
		if i == k {
			clear(row[:k+1])
		}
		row[0] = w.c[i]
	}
	r[k*m] = rho
	w.used[b] = k + 1
	for i := k - 1; i >= 0; i-- {
		w.rotate(b, i, 0)
	}
	for j := 1; j < w.used[b]; {
		size := 0.0
		for i := range j + 1 {
			size += r[i*m+j] * r[i*m+j]
		}
		if math.Abs(r[j*m+j]) <= w.drop*math.Sqrt(size) {
			w.remove(b, j)
			continue
		}
		j++
	}
}

// orthogonalise writes c = Qᵀdg, and dg − Qc after the columns of Q; it returns its norm.
func (w *qrWindow[T]) orthogonalise(b int) float64 {
	k := w.used[b]
	q := w.column(w.q, b, k)
	copy(q, w.dg)
	clear(w.c)
	left := norm(q)
	for range 2 {
		before := left
		for j := range k {
			col := w.column(w.q, b, j)
			d := kernels.Dot(col, q)
			w.c[j] += d
			kernels.Axpy(T(-d), col, q)
		}
		if left = norm(q); left > 0.7*before {
			break
		}
	}
	return left
}

func (w *qrWindow[T]) freeSlot(taken []int) int {
next:
	for s := range w.m {
		for _, t := range taken {
			if s == t {
				continue next
			}
		}
		return s
	}
	panic("solvers: no free slot")
}

// rotate makes the entry of column j in row i+1 zero by a rotation of rows i and i+1, and
// of the columns of Q.
func (w *qrWindow[T]) rotate(b, i, j int) {
	m := w.m
	up, low := w.r[(b*m+i)*m:(b*m+i+1)*m], w.r[(b*m+i+1)*m:(b*m+i+2)*m]
	size := math.Hypot(up[j], low[j])
	if size == 0 {
		return
	}
	c, s := up[j]/size, low[j]/size
	for q := j; q < w.used[b]; q++ {
		up[q], low[q] = c*up[q]+s*low[q], c*low[q]-s*up[q]
	}
	low[j] = 0
	u, v := w.column(w.q, b, i), w.column(w.q, b, i+1)
	ct, st := T(c), T(s)
	for t, x := range u {
		y := v[t]
		u[t], v[t] = ct*x+st*y, ct*y-st*x
	}
}

// remove takes column j out.
func (w *qrWindow[T]) remove(b, j int) {
	m, k := w.m, w.used[b]
	r, slot := w.r[b*m*m:(b+1)*m*m], w.slot[b*m:(b+1)*m]
	copy(slot[j:k-1], slot[j+1:k])
	for i := range k {
		row := r[i*m : (i+1)*m]
		copy(row[j:k-1], row[j+1:k])
	}
	w.used[b]--
	for i := j; i < k-1; i++ {
		w.rotate(b, i, i)
	}
}

func (w *qrWindow[T]) next(group []member[T]) {
	for _, s := range group {
		if !w.accelerate(s.b, s.z, s.fz) {
			Damp(s.z, s.fz, w.beta)
		}
	}
}

// accelerate overwrites z by the accelerated iterate, or says that it cannot.
func (w *qrWindow[T]) accelerate(b int, z, fz []T) bool {
	m, n, k := w.m, w.n, w.used[b]
	g, r, gamma := w.g[b*n:(b+1)*n], w.r[b*m*m:(b+1)*m*m], w.c[:k]
	kernels.Dots(gamma, g, w.q[b*m*n:(b+1)*m*n], n)
	for j := k - 1; j >= 0; j-- {
		for q := j + 1; q < k; q++ {
			gamma[j] -= r[j*m+q] * gamma[q]
		}
		gamma[j] /= r[j*m+j]
		if gamma[j]-gamma[j] != 0 {
			return false
		}
	}
	Damp(z, fz, w.beta)
	for j, c := range gamma {
		kernels.Axpy(T(-c), w.column(w.p, b, w.slot[b*m+j]), z)
	}
	return true
}
