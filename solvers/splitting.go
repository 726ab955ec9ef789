package solvers

import (
	"errors"
	"fmt"
	"math"

	"attractor/internal/kernels"
	"attractor/internal/options"
)

// Splitting is what operator splitting knows of an equilibrium z = φ(Wz + c), whose I − W
// is strongly monotone and whose φ is the proximal operator of a convex function, so that
// the equilibrium exists, is unique, and splitting converges to it. Arguments are as in
// Problem: [len(rows), Dim], row i for sample rows[i].
//
// The adjoint of such an equilibrium is one too: with j = φ′, d = (1 − j)/j and v = j·ℓ it is
// u = j·Wᵀu + v, with Wᵀ for W, no c, and Prox(α, x) = (x + α(1 + d)v)/(1 + αd), which is v
// where j = 0; the adjoint of the state is then ℓ + Wᵀu.
type Splitting[T Float] interface {
	// Affine writes Wz + c to out.
	Affine(rows []int, z, out []T) error
	// Resolvent writes (I + α(I − W))⁻¹(v + αc) to out.
	Resolvent(alpha float64, rows []int, v, out []T) error
	// Prox writes to out the p with p + α(φ⁻¹(p) − p) = v. It is φ itself for α = 1, and for
	// every α where φ is relu. See the function Prox.
	Prox(alpha float64, rows []int, v, out []T)
}

// Split makes the fixed-point problem f(z) = φ(Wz + c) of a splitting.
func Split[T Float](batch, dim int, s Splitting[T]) Problem[T] {
	return Problem[T]{
		Batch: batch, Dim: dim, Splitting: s,
		F: func(rows []int, z, fz []T) error {
			if err := s.Affine(rows, z, fz); err != nil {
				return err
			}
			s.Prox(1, rows, fz, fz)
			return nil
		},
	}
}

// Prox returns the p with p + α(φ⁻¹(p) − p) = v, for an increasing φ of slope 0 to 1, which
// need not be invertible: with p = φ(t) it solves (1 − α)φ(t) + αt = v by Newton's method
// kept in a bracket.
func Prox(alpha, v float64, phi func(t float64) (value, slope float64)) float64 {
	if alpha == 1 {
		p, _ := phi(v)
		return p
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	t := v
	for range 100 {
		p, slope := phi(t)
		h := (1-alpha)*p + alpha*t - v
		if h == 0 || math.IsNaN(h) {
			return p
		}
		if h > 0 {
			hi = t
		} else {
			lo = t
		}
		next := t - h/((1-alpha)*slope+alpha)
		if !(next > lo && next < hi) {
			if math.IsInf(lo, 0) || math.IsInf(hi, 0) { // nowhere to halve yet: the slope is at least min(1, α)
				next = t - h/min(1, alpha)
			} else {
				next = lo + (hi-lo)/2
			}
		}
		if math.Abs(next-t) <= 0x1p-52*math.Abs(next) {
			p, _ = phi(next)
			return p
		}
		t = next
	}
	p, _ := phi(t)
	return p
}

// Splitter is a Method that needs the Splitting of its problem.
type Splitter interface{ Splits() }

// Splits implements Splitter.
func (ForwardBackward[T]) Splits() {}

// Splits implements Splitter.
func (PeacemanRachford[T]) Splits() {}

// ErrNoSplitting says that a splitting method was given a problem without a Splitting.
var ErrNoSplitting = errors.New("the problem has no Splitting")

// ForwardBackward is forward–backward splitting for a monotone equilibrium,
//
//	z ← prox^α((1 − α) z + α (Wz + c)).
//
// It converges for 0 < α < 2m/‖I − W‖², where I − W ⪰ mI. A step costs one product with W, and
// the first one more. The residual that is measured is that of f(z) = φ(Wz + c).
//
// E. Winston, J. Z. Kolter, NeurIPS 2020, arXiv:2006.08591.
type ForwardBackward[T Float] struct {
	Alpha float64 `default:"0.5" doc:"step length α"`
}

// Start implements Method.
func (m ForwardBackward[T]) Start(s Shape) (Stepper[T], error) {
	m = options.WithDefaults(m)
	if !(m.Alpha > 0) || math.IsInf(m.Alpha, 0) {
		return nil, fmt.Errorf("solvers: ForwardBackward.Alpha: expected a positive step length, found %v", m.Alpha)
	}
	return &forwardBackward[T]{
		alpha: m.Alpha, a: make([]T, s.Batch*s.Dim), packed: make([]T, s.Batch*s.Dim), begun: make([]bool, s.Batch),
	}, nil
}

type forwardBackward[T Float] struct {
	alpha  float64
	a      []T    // [batch, dim] by sample: Wz + c at the iterate
	begun  []bool // by sample
	packed []T    // [batch, dim]
}

func (f *forwardBackward[T]) Reset() { clear(f.begun) }

func (f *forwardBackward[T]) Bytes() int { return 2*elemSize[T]()*len(f.a) + len(f.begun) }

func (f *forwardBackward[T]) Step(it *Iterate[T]) error {
	s, n := it.run.problem.Splitting, it.Dim()
	if s == nil {
		return fmt.Errorf("forward-backward: %w", ErrNoSplitting)
	}
	packed := f.packed[:len(it.Z)]
	if !f.begun[it.Rows[0]] { // all samples begin together
		if err := it.affine(it.Z, packed); err != nil {
			return err
		}
		f.scatter(it, packed)
	}
	for i, b := range it.Rows {
		z := it.Z[i*n : (i+1)*n]
		kernels.Lerp(z, z, f.a[b*n:(b+1)*n], T(f.alpha))
	}
	s.Prox(f.alpha, it.Rows, it.Z, it.Z)
	if err := it.affine(it.Z, packed); err != nil {
		return err
	}
	f.scatter(it, packed)
	s.Prox(1, it.Rows, packed, it.FZ)
	for i := range it.Fresh {
		it.Fresh[i] = true
	}
	return nil
}

func (f *forwardBackward[T]) scatter(it *Iterate[T], packed []T) {
	n := it.Dim()
	for i, b := range it.Rows {
		copy(f.a[b*n:(b+1)*n], packed[i*n:(i+1)*n])
		f.begun[b] = true
	}
}

// affine writes Wz + c for the active samples, which are charged one evaluation each.
func (it *Iterate[T]) affine(z, out []T) error {
	it.run.charge(it.Rows)
	return it.run.problem.Splitting.Affine(it.Rows, z, out)
}

// PeacemanRachford is Peaceman–Rachford splitting for a monotone equilibrium: from u = z,
//
//	u½ = 2z − u,  z½ = (I + α(I − W))⁻¹(u½ + αc),  u = 2z½ − u½,  z = prox^α(u).
//
// It converges for any α > 0, usually in fewer steps than forward–backward splitting. A step
// costs one application of the resolvent and one evaluation of f for the residual.
//
// E. Winston, J. Z. Kolter, NeurIPS 2020, arXiv:2006.08591.
type PeacemanRachford[T Float] struct {
	Alpha float64 `default:"1" doc:"step length α"`
}

// Start implements Method.
func (m PeacemanRachford[T]) Start(s Shape) (Stepper[T], error) {
	m = options.WithDefaults(m)
	if !(m.Alpha > 0) || math.IsInf(m.Alpha, 0) {
		return nil, fmt.Errorf("solvers: PeacemanRachford.Alpha: expected a positive step length, found %v", m.Alpha)
	}
	n := s.Batch * s.Dim
	return &peacemanRachford[T]{
		alpha: m.Alpha, u: make([]T, n), begun: make([]bool, s.Batch), half: make([]T, n), zHalf: make([]T, n),
	}, nil
}

type peacemanRachford[T Float] struct {
	alpha       float64
	u           []T    // [batch, dim] by sample
	begun       []bool // by sample
	half, zHalf []T    // [batch, dim], packed
}

func (r *peacemanRachford[T]) Reset() { clear(r.begun) }

func (r *peacemanRachford[T]) Bytes() int { return 3*elemSize[T]()*len(r.u) + len(r.begun) }

func (r *peacemanRachford[T]) Step(it *Iterate[T]) error {
	s, n := it.run.problem.Splitting, it.Dim()
	if s == nil {
		return fmt.Errorf("peaceman-rachford: %w", ErrNoSplitting)
	}
	half, zHalf := r.half[:len(it.Z)], r.zHalf[:len(it.Z)]
	for i, b := range it.Rows {
		z, u := it.Z[i*n:(i+1)*n], r.u[b*n:(b+1)*n]
		if !r.begun[b] {
			r.begun[b] = true
			copy(u, z)
		}
		kernels.Lerp(half[i*n:(i+1)*n], u, z, 2)
	}
	it.run.charge(it.Rows)
	if err := s.Resolvent(r.alpha, it.Rows, half, zHalf); err != nil {
		return err
	}
	for i, b := range it.Rows {
		u := r.u[b*n : (b+1)*n]
		kernels.Lerp(u, half[i*n:(i+1)*n], zHalf[i*n:(i+1)*n], 2)
		copy(it.Z[i*n:(i+1)*n], u)
	}
	s.Prox(r.alpha, it.Rows, it.Z, it.Z)
	return nil
}
