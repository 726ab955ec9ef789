package solvers

import (
	"fmt"

	"attractor/train/kit"
)

// NewtonGMRES is an inexact Newton method: the direction solves
//
//	(I − J) s = g  to  ‖g − (I − J)s‖ ≤ η‖g‖
//
// by one cycle of GMRES, and z ← z + t s with t = 1, ½, ¼, … until ‖g‖ falls (Armijo). The
// forcing term is Eisenstat and Walker's second, η = γ(‖g_k‖/‖g_k−1‖)^α with γ = 0.9 and
// α = 2, kept from falling too fast and from asking for more than the tolerance.
//
// A product costs one evaluation; it comes from JVP, else from a difference of f. Memory
// is Restart + 1 states per sample. A sample for which no step length reduces the residual
// is given up.
//
// S. Eisenstat, H. Walker, SIAM J. Sci. Comput. 17 (1996) 16–32, doi:10.1137/0917003.
type NewtonGMRES[T Float] struct {
	Restart int     `default:"30" doc:"products per Newton step at most" max:"1e5: every direction is kept"`
	Forcing float64 `default:"0.5" doc:"first forcing term η₀"`
}

// Start implements Method.
func (m NewtonGMRES[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	switch {
	case m.Restart < 1:
		return nil, fmt.Errorf("solvers: NewtonGMRES.Restart: expected at least 1, found %d", m.Restart)
	case !(m.Forcing > 0 && m.Forcing < 1):
		return nil, fmt.Errorf("solvers: NewtonGMRES.Forcing: expected above 0 and below 1, found %v", m.Forcing)
	}
	k, err := newKrylov[T](s, m.Restart, false)
	if err != nil {
		return nil, err
	}
	return &newtonGMRES[T]{
		NewtonGMRES: m, krylov: k, search: newSearch[T](s),
		before: make([]float64, s.Batch), forced: make([]float64, s.Batch),
		eta: make([]float64, s.Batch), target: make([]float64, s.Batch), at: make([]int, 0, s.Batch),
	}, nil
}

type newtonGMRES[T Float] struct {
	NewtonGMRES[T]
	krylov *krylov[T]
	search search[T]

	before, forced []float64 // by sample: ‖g‖ and η of the last step, 0 before the first
	eta, target    []float64 // by row
	at             []int
}

func (w *newtonGMRES[T]) Reset() { clear(w.before) }

func (w *newtonGMRES[T]) Bytes() int {
	return w.krylov.bytes() + w.search.bytes() + 8*5*len(w.before)
}

// The safeguards of Eisenstat and Walker.
const (
	forcingScale = 0.9 // γ
	forcingMax   = 0.9
	forcingKeep  = 0.1 // γη² above it bounds the next η from below
)

func (w *newtonGMRES[T]) Step(it *Iterate[T]) error {
	n := it.Dim()
	for i, b := range it.Rows {
		g, eta := it.GNorm[i], w.Forcing
		if w.before[b] > 0 {
			ratio := g / w.before[b]
			eta = forcingScale * ratio * ratio
			if keep := forcingScale * w.forced[b] * w.forced[b]; keep > forcingKeep {
				eta = max(eta, keep)
			}
		}
		eta = min(forcingMax, max(eta, margin/it.R[i]))
		w.before[b], w.forced[b], w.eta[i], w.target[i] = g, eta, eta, eta*g
	}
	if err := w.krylov.solve(it, w.target); err != nil {
		return err
	}
	w.at = w.at[:0]
	for i := range it.Rows {
		switch {
		case w.krylov.used[i] > 0:
			w.at = append(w.at, i)
		case w.krylov.why[i] != NoBreakdown:
			it.GiveUp(i, w.krylov.why[i])
		default: // one evaluation left
			copy(it.Z[i*n:(i+1)*n], it.FZ[i*n:(i+1)*n])
		}
	}
	return w.search.run(it, w.at, w.krylov.s, w.eta)
}
