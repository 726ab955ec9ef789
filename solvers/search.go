package solvers

import "attractor/internal/kernels"

// search backtracks along given directions until the residual norm falls (Armijo):
//
//	‖g(z + ts)‖ ≤ (1 − c·t(1 − η)) ‖g(z)‖,  c = 1e-4, t = 1, ½, ¼, …
//
// It leaves the accepted point and f of it in the iterate, and gives samples up for which
// there is none. J. Nocedal, S. Wright, Numerical Optimization (2006), doi:10.1007/978-0-387-40065-5, section 3.1.
type search[T Float] struct {
	at, rows []int
	t        []float64 // [batch] step lengths, by row
	zt, ft   []T       // [batch, dim], packed trial points and f of them
}

// armijo is the fraction c of the predicted decrease that is demanded, the usual value.
const armijo = 1e-4

// shortest is the shortest step tried.
const shortest = 0x1p-12

func newSearch[T Float](s Shape) search[T] {
	return search[T]{
		at: make([]int, s.Batch), rows: make([]int, s.Batch), t: make([]float64, s.Batch),
		zt: make([]T, s.Batch*s.Dim), ft: make([]T, s.Batch*s.Dim),
	}
}

func (l *search[T]) bytes() int {
	return elemSize[T]()*(len(l.zt)+len(l.ft)) + 8*(len(l.at)+len(l.rows)+len(l.t))
}

// run moves the rows at of the iterate along s [len(Rows), dim]; eta [len(Rows)] are the
// relative residuals of the linear systems, nil for 0.
func (l *search[T]) run(it *Iterate[T], at []int, s []T, eta []float64) error {
	n := it.Dim()
	live := copy(l.at, at)
	for _, i := range at {
		l.t[i] = 1
	}
	for live > 0 {
		for k, i := range l.at[:live] {
			l.rows[k] = it.Rows[i]
			z, d, to := it.Z[i*n:(i+1)*n], s[i*n:(i+1)*n], l.zt[k*n:(k+1)*n]
			t := T(l.t[i])
			for j, x := range z {
				to[j] = x + t*d[j]
			}
		}
		if err := it.F(l.rows[:live], l.zt[:live*n], l.ft[:live*n]); err != nil {
			return err
		}
		rest := 0
		for k, i := range l.at[:live] {
			zt, ft := l.zt[k*n:(k+1)*n], l.ft[k*n:(k+1)*n]
			e := 0.0
			if eta != nil {
				e = eta[i]
			}
			g, _ := norms(ft, zt)
			bound := (1 - armijo*l.t[i]*(1-e)) * it.GNorm[i]
			switch ok := g <= bound; { // false for NaN
			case ok, it.Left(i) <= 0 && kernels.AllFinite(ft):
				copy(it.Z[i*n:(i+1)*n], zt)
				copy(it.FZ[i*n:(i+1)*n], ft)
				it.Fresh[i] = true
			case l.t[i] <= shortest || it.Left(i) <= 0:
				it.GiveUp(i, NoDescent)
			default:
				l.t[i] /= 2
				l.at[rest] = i
				rest++
			}
		}
		live = rest
	}
	return nil
}
