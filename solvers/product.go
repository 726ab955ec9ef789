package solvers

import "math"

// product multiplies by the Jacobian of f at the current iterate: by the problem's JVP,
// or else by a difference
//
//	J v ≈ (f(z + σv) − f(z)) / σ,  ‖v‖ = 1,
//
// with σ = √eps·max(‖z‖, ‖f(z)‖), or without the √eps where f is affine and the difference
// exact for any σ; 1 for ‖z‖ where both are 0.
type product[T Float] struct {
	affine bool
	zt     []T // [batch, dim]
}

func newProduct[T Float](s Shape, affine bool) product[T] {
	return product[T]{affine: affine, zt: make([]T, s.Batch*s.Dim)}
}

func (p *product[T]) bytes() int { return elemSize[T]() * len(p.zt) }

// linearise fixes the Jacobian at the iterate.
func (p *product[T]) linearise(it *Iterate[T]) error {
	if it.HasJVP() || it.HasVJP() {
		return it.Linearise(it.Rows, it.Z)
	}
	return nil
}

// apply writes J v to jv, both [len(at), dim], the v of unit length where it is by differences, for the rows at of the iterate, which are
// the samples rows.
func (p *product[T]) apply(it *Iterate[T], at, rows []int, v, jv []T) error {
	if it.HasJVP() {
		return it.JVP(rows, v, jv)
	}
	n := it.Dim()
	zt := p.zt[:len(at)*n]
	for k, i := range at {
		z, to, d := it.Z[i*n:(i+1)*n], zt[k*n:(k+1)*n], v[k*n:(k+1)*n]
		sigma := T(p.sigma(it, i))
		for j, x := range z {
			to[j] = x + sigma*d[j]
		}
	}
	if err := it.F(rows, zt, jv); err != nil {
		return err
	}
	for k, i := range at {
		fz, to := it.FZ[i*n:(i+1)*n], jv[k*n:(k+1)*n]
		for j, x := range fz {
			to[j] -= x
		}
		divide(to, p.sigma(it, i))
	}
	return nil
}

func (p *product[T]) sigma(it *Iterate[T], i int) float64 {
	n := it.Dim()
	z, fz := it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n]
	_, size := norms(z, fz)
	_, image := norms(fz, z)
	if size = max(size, image); size == 0 {
		size = 1
	}
	if p.affine {
		return size
	}
	return math.Sqrt(eps[T]()) * size
}
