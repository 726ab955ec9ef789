package solvers

import (
	"fmt"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// GMRES solves a linear system (I − A)u = ℓ, given as the affine fixed-point problem
// f(u) = ℓ + Au, by restarted GMRES: a step is a cycle of up to Restart products, after
// which f is evaluated to measure the true residual ℓ + Au − u. Products come from JVP,
// else from differences of f, which are exact for affine maps.
//
// A sample is given up as stagnated when a whole cycle reduces its residual by less than
// 1 %, and as singular when the Krylov space breaks down without a solution in it. The
// context is looked at once per cycle.
//
// Y. Saad, M. Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856–869, doi:10.1137/0907058.
type GMRES[T Float] struct {
	Restart int `default:"20" doc:"products per cycle" max:"1e5: every direction is kept"`
}

// Start implements Method.
func (m GMRES[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if m.Restart < 1 {
		return nil, fmt.Errorf("solvers: GMRES.Restart: expected at least 1, found %d", m.Restart)
	}
	k, err := newKrylov[T](s, m.Restart, true)
	if err != nil {
		return nil, err
	}
	return &gmres[T]{krylov: k, target: make([]float64, s.Batch)}, nil
}

type gmres[T Float] struct {
	krylov *krylov[T]
	target []float64
}

func (m *gmres[T]) Reset()     {}
func (m *gmres[T]) Bytes() int { return m.krylov.bytes() + 8*len(m.target) }

// margin is the fraction of the tolerance at which a linear method takes its estimate of
// the residual for good enough.
const margin = 0.5

func (m *gmres[T]) Step(it *Iterate[T]) error {
	k, n := m.krylov, it.Dim()
	for i := range it.Rows {
		m.target[i] = margin * it.GNorm[i] / it.R[i]
	}
	if err := k.solve(it, m.target); err != nil {
		return err
	}
	for i := range it.Rows {
		if k.used[i] == 0 && k.why[i] == NoBreakdown { // one evaluation left
			copy(it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n])
			continue
		}
		kernels.Axpy(1, k.s[i*n:(i+1)*n], it.Z[i*n:(i+1)*n])
		whole := k.used[i] == k.m || k.why[i] != NoBreakdown
		if whole && k.rest[i] > 0.99*it.GNorm[i] {
			it.GiveUp(i, max(k.why[i], Stagnation))
		}
	}
	return nil
}
