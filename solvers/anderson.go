package solvers

import (
	"fmt"

	"attractor/internal/kernels"
	"attractor/internal/options"
)

// Anderson is Anderson acceleration of type II, each sample with its own coefficients.
// Over the last m iterates with residual columns G = [g₁ … g_m] and values F it finds
//
//	α = argmin ‖Gα‖² + λ‖α‖²  subject to  Σα = 1,    z ← β Fα + (1 − β) Zα,
//
// by Cholesky factorisation of GᵀG, whose entries are accumulated in float64 and kept, so
// that a step costs m dot products and m + 2 further passes over the state. λ is relative
// to the residuals: columns are scaled to unit length first.
//
// On an affine map with β = 1 and an unlimited window it does what GMRES does. λ is raised
// where the factorisation fails; coefficients that are not finite give way to a step of
// Picard's.
//
// D. G. Anderson, J. ACM 12 (1965) 547–560, doi:10.1145/321296.321305;
// H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49 (2011) 1715–1735, doi:10.1137/10078356X.
type Anderson[T Float] struct {
	Window         int     `default:"6" doc:"number of past iterates m"`
	Mixing         float64 `default:"1" doc:"weight β of f(z) against z, 0 < β ≤ 1"`
	Regularization float64 `doc:"λ relative to the squared residuals (default 1e-8 in float64, 1e-6 in float32)"`
}

// Start implements Method.
func (m Anderson[T]) Start(s Shape) (Stepper[T], error) {
	m = options.WithDefaults(m)
	if m.Regularization == 0 {
		m.Regularization = byType[T](1e-6, 1e-8)
	}
	switch {
	case m.Window < 1:
		return nil, fmt.Errorf("solvers: Anderson.Window: expected at least 1, found %d", m.Window)
	case !(m.Mixing > 0 && m.Mixing <= 1):
		return nil, fmt.Errorf("solvers: Anderson.Mixing: expected a weight above 0 and up to 1, found %v", m.Mixing)
	case !(m.Regularization > 0 && m.Regularization < 1):
		return nil, fmt.Errorf("solvers: Anderson.Regularization: expected above 0 and below 1, found %v", m.Regularization)
	}
	w := min(m.Window, s.MaxEvals)
	return &anderson[T]{
		Anderson: m, m: w, n: s.Dim,
		f: make([]T, s.Batch*w*s.Dim), g: make([]T, s.Batch*w*s.Dim),
		gram: make([]float64, s.Batch*w*w), count: make([]int, s.Batch),
		c: make([]float64, w*w), alpha: make([]float64, w), inv: make([]float64, w),
	}, nil
}

type anderson[T Float] struct {
	Anderson[T]
	m, n  int
	f, g  []T       // [batch, m, n], rings
	gram  []float64 // [batch, m, m]
	count []int     // [batch], columns ever stored

	c, alpha, inv []float64 // [m, m], [m], [m]
}

func (a *anderson[T]) Reset() { clear(a.count) }

func (a *anderson[T]) Bytes() int {
	return elemSize[T]()*(len(a.f)+len(a.g)) + 8*(len(a.gram)+len(a.count)+len(a.c)+len(a.alpha)+len(a.inv))
}

func (a *anderson[T]) Step(it *Iterate[T]) error {
	for i, b := range it.Rows {
		a.step(b, it.Z[i*a.n:(i+1)*a.n], it.FZ[i*a.n:(i+1)*a.n], it.GNorm[i])
	}
	return nil
}

func (a *anderson[T]) step(b int, z, fz []T, gnorm float64) {
	m, n := a.m, a.n
	f, g := a.f[b*m*n:(b+1)*m*n], a.g[b*m*n:(b+1)*m*n]
	gram := a.gram[b*m*m : (b+1)*m*m]

	slot, used := a.count[b]%m, min(a.count[b]+1, m)
	a.count[b]++
	col := g[slot*n : (slot+1)*n]
	copy(f[slot*n:(slot+1)*n], fz)
	kernels.Sub(col, fz, z)
	for j := range used {
		d := gnorm * gnorm
		if j != slot {
			d = kernels.Dot(col, g[j*n:(j+1)*n])
		}
		gram[slot*m+j], gram[j*m+slot] = d, d
	}

	if !a.coefficients(gram, used) {
		clear(a.alpha[:used])
		a.alpha[slot] = 1
	}
	clear(z)
	beta := T(1 - a.Mixing)
	for j := range used {
		w := T(a.alpha[j])
		kernels.Axpy(w, f[j*n:(j+1)*n], z)
		if beta != 0 {
			kernels.Axpy(-w*beta, g[j*n:(j+1)*n], z)
		}
	}
}

// coefficients solves for α over the first k slots. With D = diag(GᵀG) and C = D^−½GᵀGD^−½
// it is D^−½(C + λI)⁻¹D^−½1, made to sum to 1.
func (a *anderson[T]) coefficients(gram []float64, k int) bool {
	if k == 1 {
		a.alpha[0] = 1
		return true
	}
	m, inv := a.m, a.inv[:k]
	for i := range k {
		inv[i] = invSqrt(gram[i*m+i])
	}
	for lambda := a.Regularization; lambda < 1; lambda *= 100 {
		for i := range k {
			for j := range i {
				a.c[i*k+j] = gram[i*m+j] * inv[i] * inv[j]
			}
			a.c[i*k+i] = 1 + lambda
		}
		if !cholesky(a.c, k) {
			continue
		}
		copy(a.alpha, inv)
		choleskySolve(a.c, k, a.alpha[:k])
		sum := 0.0
		for i := range k {
			a.alpha[i] *= inv[i]
			sum += a.alpha[i]
		}
		size := 0.0
		for i := range k {
			a.alpha[i] /= sum
			size += a.alpha[i] * a.alpha[i]
		}
		if size-size == 0 {
			return true
		}
	}
	return false
}
