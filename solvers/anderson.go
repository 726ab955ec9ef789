package solvers

import (
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// Anderson is Anderson acceleration of type II, each sample with its own coefficients.
// Over the last m iterates with residuals G = [g₁ … g_m] and values F it finds
//
//	α = argmin ‖Gα‖² + λ‖α‖²  subject to  Σα = 1,    z ← β Fα + (1 − β) Zα.
//
// Form "gram" factors GᵀG, whose entries are accumulated in float64 and kept, so that a
// step costs m dot products and m + 2 further passes over the state. λ is relative to the
// residuals: the columns are scaled to unit length first, and λ is raised where the
// factorisation fails. An absolute λ loses to Picard's iteration once ‖G‖² nears it.
//
// Form "qr" works with the differences of successive iterates, newest first,
//
//	γ = argmin ‖g − ΔG γ‖,  z ← z + βg − (ΔZ + βΔG)γ,
//
// and an updated QR factorisation of ΔG: it does not square the condition number and drops
// columns that the newer ones nearly contain, at about three times the cost.
//
// Each sample holds 2m states (qr: 2m + 2). Coefficients that are not finite give way to a
// damped step of Picard's. On an affine map with an unlimited window it does what GMRES
// does.
//
// D. G. Anderson, J. ACM 12 (1965) 547–560, doi:10.1145/321296.321305;
// H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49 (2011) 1715–1735, doi:10.1137/10078356X;
// safeguard: J. Zhang, B. O'Donoghue, S. Boyd, SIAM J. Optim. 30 (2020) 3170–3197, doi:10.1137/18M1232772.
type Anderson[T Float] struct {
	Window         int     `default:"6" doc:"number of past iterates m" max:"1e4: the residuals of so many are all but linearly dependent"`
	Mixing         float64 `default:"1" doc:"weight β of f(z) against z, 0 < β ≤ 1"`
	Form           string  `default:"gram" doc:"least squares by gram or by qr"`
	Regularization float64 `doc:"λ relative to the squared residuals, for gram (default 1e-8 in float64, 1e-6 in float32)"`
	Drop           float64 `doc:"columns nearer than that to the span of newer ones are dropped, for qr (default 1e-6 in float64, 1e-4 in float32)"`
	Delay          int     `doc:"damped Picard steps before the first iterate is kept (default 0)" max:"1e9: no solve takes more evaluations"`
	Period         int     `default:"1" doc:"accelerate every so many steps, with damped Picard steps between" max:"1e9: no solve takes more evaluations"`
	Restart        float64 `doc:"forget the window when ‖g‖ exceeds that many times its least value (default 0: never)"`
	Safeguard      float64 `doc:"after j accelerated steps accelerate only where ‖g‖ ≤ D·‖g₀‖·(j+1)^−(1+1e-6) with this D (default 0: always)"`
}

// safeguardDecay is the ε in the exponent of the safeguard, as in Zhang et al.
const safeguardDecay = 1e-6

// Start implements Method.
func (m Anderson[T]) Start(s Shape) (Stepper[T], error) {
	m = kit.WithDefaults(m)
	if m.Regularization == 0 {
		m.Regularization = byType[T](1e-6, 1e-8)
	}
	if m.Drop == 0 {
		m.Drop = byType[T](1e-4, 1e-6)
	}
	bad := func(field, expected string, found any) (Stepper[T], error) {
		return nil, fmt.Errorf("solvers: Anderson.%s: expected %s, found %v", field, expected, found)
	}
	switch {
	case m.Window < 1:
		return bad("Window", "at least 1", m.Window)
	case !(m.Mixing > 0 && m.Mixing <= 1):
		return bad("Mixing", "a weight above 0 and up to 1", m.Mixing)
	case m.Form != "gram" && m.Form != "qr":
		return bad("Form", "gram or qr", m.Form)
	case !(m.Regularization > 0 && m.Regularization < 1):
		return bad("Regularization", "above 0 and below 1", m.Regularization)
	case !(m.Drop > 0 && m.Drop < 1):
		return bad("Drop", "above 0 and below 1", m.Drop)
	case m.Delay < 0:
		return bad("Delay", "at least 0", m.Delay)
	case m.Period < 1:
		return bad("Period", "at least 1", m.Period)
	case !(m.Restart == 0 || m.Restart >= 1):
		return bad("Restart", "a factor of at least 1, or 0 for never", m.Restart)
	case !(m.Safeguard >= 0):
		return bad("Safeguard", "a factor above 0, or 0 for none", m.Safeguard)
	}
	a := &anderson[T]{
		Anderson: m, n: s.Dim, steps: make([]int, s.Batch), accelerated: make([]int, s.Batch),
		first: make([]float64, s.Batch), least: make([]float64, s.Batch),
	}
	w := min(m.Window, s.MaxEvals)
	states := 2 * float64(w)
	if m.Form != "qr" { // their products
		states += 8 * float64(w) * float64(w) / float64(2*s.Dim*elemSize[T]())
	}
	if err := fits[T](s, states, "the window of Anderson's method", "lower window"); err != nil {
		return nil, err
	}
	if m.Form == "qr" {
		a.window = newQRWindow[T](s.Batch, w, s.Dim, m.Mixing, m.Drop)
	} else {
		a.window = newGramWindow[T](s.Batch, w, s.Dim, m.Mixing, m.Regularization)
	}
	return a, nil
}

// window holds the past iterates of every sample.
type window[T Float] interface {
	clear(b int)
	push(b int, z, fz []T, gnorm float64)
	next(group []member[T])
	bytes() int
}

// member is a sample whose z is to be overwritten by the accelerated iterate, or by a
// damped step where there is none.
type member[T Float] struct {
	b     int
	z, fz []T
}

type anderson[T Float] struct {
	Anderson[T]
	n      int
	window window[T]

	group [kernels.Together]member[T]

	// by sample
	steps, accelerated []int
	first, least       []float64 // ‖g‖: the first, and the least in the window
}

func (a *anderson[T]) Reset() {
	clear(a.accelerated)
	clear(a.steps)
}

func (a *anderson[T]) Bytes() int { return a.window.bytes() + 4*8*len(a.steps) }

func (a *anderson[T]) Step(it *Iterate[T]) error {
	k := 0
	for i, b := range it.Rows {
		z, fz := it.Z[i*a.n:(i+1)*a.n], it.FZ[i*a.n:(i+1)*a.n]
		if !a.push(b, z, fz, it.GNorm[i]) {
			Damp(z, fz, a.Mixing)
			continue
		}
		a.group[k] = member[T]{b: b, z: z, fz: fz}
		if k++; k == len(a.group) {
			a.window.next(a.group[:])
			k = 0
		}
	}
	a.window.next(a.group[:k])
	clear(a.group[:])
	return nil
}

// Damp is z ← (1 − τ)z + τ f(z).
func Damp[T Float](z, fz []T, tau float64) {
	if tau == 1 {
		copy(z, fz)
		return
	}
	kernels.Lerp(z, z, fz, T(tau))
}

// push keeps the iterate and says whether there is to be an accelerated one.
func (a *anderson[T]) push(b int, z, fz []T, g float64) bool {
	k := a.steps[b]
	a.steps[b]++
	if k == 0 {
		a.first[b] = g
	}
	if k < a.Delay {
		return false
	}
	if k == a.Delay || a.Restart > 0 && g > a.Restart*a.least[b] {
		a.window.clear(b)
		a.least[b] = g
	}
	a.least[b] = min(a.least[b], g)
	a.window.push(b, z, fz, g)
	if (k-a.Delay+1)%a.Period != 0 {
		return false
	}
	if a.Safeguard > 0 {
		limit := a.Safeguard * a.first[b] * math.Pow(float64(a.accelerated[b]+1), -(1+safeguardDecay))
		if g > limit {
			return false
		}
		a.accelerated[b]++
	}
	return true
}

// gramWindow solves the least squares by the normal equations. With D = diag(GᵀG) it
// keeps C = D^−½GᵀGD^−½.
type gramWindow[T Float] struct {
	m, n         int
	beta, lambda float64
	f, g         []T       // [batch, m, n], rings
	c            []float64 // [batch, m(m+1)/2]: lower triangles, whose diagonal is not used
	inv          []float64 // [batch, m], 1/‖g‖
	count        []int     // [batch], columns stored since the window was cleared

	dots   []float64                   // [m]
	system [][kernels.Together]float64 // [(m+1)(m+2)/2]
	w      [kernels.Together][]T       // [m] each
}

func newGramWindow[T Float](batch, m, n int, beta, lambda float64) *gramWindow[T] {
	a := &gramWindow[T]{
		m: m, n: n, beta: beta, lambda: lambda, f: make([]T, batch*m*n), g: make([]T, batch*m*n),
		c: make([]float64, batch*triangle(m)), inv: make([]float64, batch*m), count: make([]int, batch),
		dots: make([]float64, m), system: make([][kernels.Together]float64, triangle(m+1)),
	}
	for q := range a.w {
		a.w[q] = make([]T, m)
	}
	return a
}

func (a *gramWindow[T]) clear(b int) { a.count[b] = 0 }

func (a *gramWindow[T]) bytes() int {
	return elemSize[T]()*(len(a.f)+len(a.g)+kernels.Together*a.m) + 8*(len(a.c)+len(a.inv)+len(a.count)+len(a.dots)+kernels.Together*len(a.system))
}

// push stores the iterate and its products with the others: one row of C.
func (a *gramWindow[T]) push(b int, z, fz []T, gnorm float64) {
	m, n := a.m, a.n
	f, g := a.f[b*m*n:(b+1)*m*n], a.g[b*m*n:(b+1)*m*n]
	slot, used := a.count[b]%m, min(a.count[b]+1, m)
	a.count[b]++
	col := g[slot*n : (slot+1)*n]
	copy(f[slot*n:(slot+1)*n], fz)
	kernels.Sub(col, fz, z)
	kernels.Dots(a.dots[:used], col, g, n)
	c, inv := a.c[b*triangle(m):(b+1)*triangle(m)], a.inv[b*m:b*m+used]
	scale := 1 / gnorm
	inv[slot] = scale
	row := c[triangle(slot):]
	for j, d := range a.dots[:slot] {
		row[j] = d * scale * inv[j]
	}
	for j := slot + 1; j < used; j++ {
		c[triangle(j)+slot] = a.dots[j] * scale * inv[j]
	}
}

func (a *gramWindow[T]) next(group []member[T]) {
	var solved [kernels.Together]bool
	for lambda := a.lambda; lambda < 1; lambda *= 100 {
		if a.coefficients(group, lambda, &solved) {
			break
		}
	}
	m, n := a.m, a.n
	for q, s := range group {
		if !solved[q] {
			Damp(s.z, s.fz, a.beta)
			continue
		}
		w, at := a.w[q][:min(a.count[s.b], m)], s.b*m*n
		kernels.Combine(s.z, w, a.f[at:at+m*n], n)
		if a.beta != 1 {
			kernels.Scale(w, T(a.beta-1), w)
			kernels.Axpys(w, a.g[at:at+m*n], n, s.z)
		}
	}
}

// coefficients solves for α = D^−½(C + λI)⁻¹D^−½1, made to sum to 1, where that is not
// done yet, and says whether it is done then for all. Rows of the identity fill up a
// window that is not full: they change no bit of the others. Where the group is not full,
// the system is whatever it was before, and nobody looks at it.
func (a *gramWindow[T]) coefficients(group []member[T], lambda float64, solved *[kernels.Together]bool) bool {
	m, k := a.m, 0
	for _, s := range group {
		k = max(k, min(a.count[s.b], m))
	}
	system := a.system[:triangle(k+1)]
	rhs := system[triangle(k):]
	for q, s := range group {
		used := min(a.count[s.b], m)
		part := system[:triangle(used)]
		for e, v := range a.c[s.b*triangle(m):][:len(part)] {
			part[e][q] = v
		}
		for i, v := range a.inv[s.b*m : s.b*m+used] {
			part[triangle(i)+i][q] = 1 + lambda
			rhs[i][q] = v
		}
		for i := used; i < k; i++ {
			for j := range i {
				system[triangle(i)+j][q] = 0
			}
			system[triangle(i)+i][q], rhs[i][q] = 1, 0
		}
	}
	kernels.SolveSymmetric(system, k)
	all := true
	for q, s := range group {
		if solved[q] {
			continue
		}
		used := min(a.count[s.b], m)
		w, inv := a.w[q][:used], a.inv[s.b*m:s.b*m+used]
		if used == 1 {
			w[0], solved[q] = 1, true
			continue
		}
		regular, sum, size := true, 0.0, 0.0
		for i, v := range inv {
			pivot := system[triangle(i)+i][q]
			regular = regular && pivot > 0 && pivot < 1e15
			sum += rhs[i][q] * v
		}
		sum = 1 / sum
		for i, v := range inv {
			alpha := rhs[i][q] * v * sum
			w[i] = T(alpha)
			size += alpha * alpha
		}
		solved[q] = regular && size-size == 0
		all = all && solved[q]
	}
	return all
}

// triangle is the number of entries of a lower triangle of k rows with its diagonal, and
// the place of the first entry of its row k.
func triangle(k int) int { return k * (k + 1) / 2 }
