package rules

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/kit"
)

// HolomorphicEqProp is EqProp with nudges on a circle in the complex plane: where φ is holomorphic
// so is β ↦ z^β, and its derivative at 0 is a mean over N states (Cauchy's formula),
//
//	u = −dz^β/dβ = −(1/(N|β|)) Σ_n z^{β_n} e^{−2πin/N},   β_n = |β|e^{2πin/N},
//
// with an error O(|β|^N) instead of O(β²), as long as no singularity of z^β lies within the
// circle. Both forms are those of EqProp, with the same limits.
//
// The force of the nudge is either that of the paper, ∂ℓ/∂z at the nudged state z^β itself (nudge: state), which
// needs a loss that can be continued into the complex plane; N = 2 then is the centred estimate of
// EqProp. Or it is ∂ℓ/∂z at z⁰ throughout (nudge: frozen), which asks nothing of the loss; z^β is another
// curve, but has the same derivative at β = 0, and N = 2 is the centred difference of that curve.
//
// The phases run in complex128, by Anderson's method with the stopping rule of the forward
// solver; one of each pair of conjugate ones is computed. φ is tanh, sigmoid, softplus or linear.
//
// A. Laborieux and F. Zenke, Holomorphic Equilibrium Propagation Computes Exact Gradients Through
// Finite Size Oscillations, NeurIPS 2022, arXiv:2209.00530.
type HolomorphicEqProp[T deq.Float] struct {
	Nudging
	Points int    `default:"4" doc:"nudges N on the circle" max:"4096: the error falls exponentially with the points" order:"k"`
	Nudge  string `default:"frozen" doc:"state at which the force ∂ℓ/∂z of the nudge is taken: frozen is the free state z⁰, for any loss; state is the nudged state itself, as in the paper and in eqprop" choices:"frozen,state"`
}

func holomorphicEqPropEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "holomorphic-eqprop", Value: HolomorphicEqProp[T]{}, Doc: `equilibrium propagation with nudges on a circle in the complex plane

Relaxes phases with the complex nudges β_n = |β|e^{2πin/N} and returns the gradient of eqprop with
u = −(1/(N|β|)) Σ z^{β_n} e^{−2πin/N}: finite nudges whose error falls as |β|^N. Like eqprop it tends to
(I − J)⁻¹∂L/∂z*, or with form: energy to the gradient where W is symmetric.

The phases are z = f(z) − β∂ℓ/∂z(z⁰) with nudge: frozen, the default, whose force stays that of the free
phase; or z = f(z) − β∂ℓ/∂z(z) with nudge: state, as in the paper, whose force follows the nudged state
into the complex plane (cross-entropy and mse can do that). Both curves z^β have the same derivative at
β = 0, and both estimates the same limit for many points; with few they differ. With points: 2 that of
nudge: state is the centred estimate of eqprop, that of nudge: frozen is not.

Needs the model rate with the activation tanh, sigmoid, softplus or linear; in float32 it holds W once
more, in float64.`,
		Refs: []string{`@inproceedings{laborieux2022holomorphic,
  title     = {Holomorphic Equilibrium Propagation Computes Exact Gradients Through Finite Size Oscillations},
  author    = {Laborieux, Axel and Zenke, Friedemann},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {35},
  year      = {2022},
  eprint    = {2209.00530},
  archiveprefix = {arXiv}
}`}}
}

// Validate reports options outside their range.
func (r HolomorphicEqProp[T]) Validate() error {
	if points := kit.WithDefaults(r).Points; points < 2 {
		return fmt.Errorf("points: expected at least 2, found %d", points)
	}
	return r.validate()
}

// Check implements Rule: the model must be rate, with its weights as they are and a holomorphic φ.
func (r HolomorphicEqProp[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	m, err := rate("holomorphic-eqprop", l)
	if err != nil {
		return err
	}
	if holomorphic[m.Activation] == nil {
		return fmt.Errorf("rules: holomorphic-eqprop needs a holomorphic activation, tanh, sigmoid, softplus or linear, found %s", m.Activation)
	}
	return nil
}

// Exact implements Rule.
func (HolomorphicEqProp[T]) Exact() bool { return false }

// Audit implements Rule. (In float32 it holds W once more, in float64.)
func (HolomorphicEqProp[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Phases: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r HolomorphicEqProp[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	m, err := rate("holomorphic-eqprop", s.Layer())
	if err != nil {
		return Report{}, err
	}
	c := newCircle(s, m, r.Form == "energy")
	if r.Nudge == "state" {
		if err := follow(c, s); err != nil {
			return Report{}, err
		}
	}
	solver, err := solvers.New(solvers.Anderson[float64]{}, s.Rows, 2*c.n, s.Forward.Settings)
	if err != nil {
		return Report{}, fmt.Errorf("rules: holomorphic-eqprop: %w", err)
	}
	u := make([]T, len(s.Z))
	rep := Report{Bytes: c.bytes + solver.Bytes() + bytesOf(u)}
	for k := 0; 2*k <= r.Points; k++ {
		turn := cmplx.Rect(1, 2*math.Pi*float64(k)/float64(r.Points))
		solve, err := solver.Solve(ctx, c.problem(complex(r.Beta, 0)*turn), c.rest())
		if err != nil {
			return rep, fmt.Errorf("rules: holomorphic-eqprop: phase %d of %d: %w", k, r.Points, err)
		}
		rep.Solves = append(rep.Solves, phase(fmt.Sprintf("the nudged phase %d of %d on the circle", k, r.Points), solve.Clone()))
		both := 2.0 // this phase and its conjugate
		if k == 0 || 2*k == r.Points {
			both = 1
		}
		weight := complex(-both/(float64(r.Points)*r.Beta*float64(s.Rows)), 0) * cmplx.Conj(turn)
		for i := range u {
			u[i] += T(real(weight * c.at(i)))
		}
	}
	evals := int64(0)
	for _, solve := range rep.Solves {
		for _, n := range solve.Evals {
			evals += 2 * int64(n) // the real and the imaginary part
		}
	}
	reads := deq.Reads{Cell: evals}
	if c.follows() {
		reads.Readout, reads.ReadoutTransposed = evals, evals
	}
	s.Layer().Account(reads)
	return rep, s.descend(r.Form, u, g)
}

// holomorphic are the activations that can be continued into the complex plane.
var holomorphic = map[string]func(p complex128) complex128{
	"tanh": tanh,
	"sigmoid": func(p complex128) complex128 {
		t := tanh(complex(real(p)/2, imag(p)/2))
		return complex(0.5+real(t)/2, imag(t)/2)
	},
	"softplus": func(p complex128) complex128 {
		if real(p) > 0 {
			return p + cmplx.Log(1+cmplx.Exp(-p))
		}
		return cmplx.Log(1 + cmplx.Exp(p))
	},
	"linear": func(p complex128) complex128 { return p },
}

// tanh is (t + is)/(1 + its) with t = tanh(Re p) and s = tan(Im p); several times as fast as
// cmplx.Tanh.
func tanh(p complex128) complex128 {
	t, s := math.Tanh(real(p)), math.Tan(imag(p))
	d := 1 + t*t*s*s
	return complex(t*(1+s*s)/d, s*(1-t*t)/d)
}

// circle is the nudged rate network with complex states z. A sample's is a row of its real
// parts and a row of its imaginary parts.
type circle struct {
	n      int
	inside bool // the nudge acts inside φ
	phi    func(p complex128) complex128
	leak   float64
	w      []float64 // [n, n]
	drive  []float64 // xUᵀ + b [rows, n]
	force  []float64 // ∂ℓ/∂z at z⁰ [rows, n]
	start  []float64 // z⁰ [rows, n]
	z      []float64 // [2·rows, n]
	bytes  int

	// Of a force that follows the state.
	loss   HolomorphicLoss
	wo, bo []float64    // [outputs, n], [outputs]
	y, dy  []complex128 // [outputs]
	here   []complex128 // the force on a sample [n]
}

// HolomorphicLoss is a deq.Loss whose gradient is known for complex outputs too.
type HolomorphicLoss interface {
	// Continue writes ∂ℓ_b/∂y_b, continued from the real outputs, at the outputs y [Outputs] of the sample b to dy.
	Continue(b int, y, dy []complex128) error
}

// follow lets the force follow the state.
func follow[T deq.Float](c *circle, s Situation[T]) error {
	loss, ok := s.Loss.(HolomorphicLoss)
	if !ok {
		return fmt.Errorf("rules: holomorphic-eqprop with nudge: state needs a loss that can be continued into the complex plane, such as cross-entropy or mse: choose nudge: frozen")
	}
	l := s.Layer()
	c.loss, c.wo, c.bo = loss, wide(l.Params.Data("Wo")), wide(l.Params.Data("bo"))
	c.y, c.dy, c.here = make([]complex128, l.Outputs), make([]complex128, l.Outputs), make([]complex128, c.n)
	c.bytes += 16 * (len(c.y) + len(c.dy) + len(c.here))
	if _, is32 := any(T(0)).(float32); is32 {
		c.bytes += bytesOf(c.wo, c.bo)
	}
	return nil
}

// follows reports whether the force follows the state.
func (c *circle) follows() bool { return c.loss != nil }

func newCircle[T deq.Float](s Situation[T], m models.Rate, inside bool) *circle {
	l := s.Layer()
	c := &circle{
		n: l.Units, inside: inside, phi: holomorphic[m.Activation], leak: m.Leak, w: wide(l.Params.Data("W")),
		drive: slices.Repeat(wide(l.Params.Data("b")), s.Rows), force: make([]float64, len(s.Z)), start: wide(s.Z), z: make([]float64, 2*len(s.Z)),
	}
	kernels.Scale(c.force, float64(s.Rows), wide(s.Output.DZ)) // ∂ℓ_b/∂z_b is Rows times ∂L/∂z_b, L being the mean
	kernels.Gemm(false, true, s.Rows, c.n, l.Inputs, wide(s.X), l.Inputs, wide(l.Params.Data("U")), l.Inputs, 1, c.drive, c.n)
	c.bytes = bytesOf(c.drive, c.force, c.z)
	if _, is32 := any(T(0)).(float32); is32 {
		c.bytes += bytesOf(c.w, c.start)
	}
	return c
}

// rest sets the states to z⁰ and returns them.
func (c *circle) rest() []float64 {
	clear(c.z)
	for b := 0; b < len(c.start); b += c.n {
		copy(c.z[2*b:], c.start[b:b+c.n])
	}
	return c.z
}

// at is the state of entry i of [rows, n].
func (c *circle) at(i int) complex128 {
	row := i / c.n * c.n
	return complex(c.z[row+i], c.z[row+i+c.n])
}

// problem is z = φ(Wz + drive − β force), or with the force outside
// z = φ(Wz + drive) − (β/α) force, of which z = f(z) − β force has the same solutions. It uses the circle's memory.
func (c *circle) problem(beta complex128) solvers.Problem[float64] {
	within, without := beta, complex128(0)
	if !c.inside {
		within, without = 0, beta/complex(c.leak, 0)
	}
	n := c.n
	return solvers.Problem[float64]{Batch: len(c.start) / n, Dim: 2 * n, F: func(rows []int, z, fz []float64) error {
		kernels.Gemm(false, true, 2*len(rows), n, n, z, n, c.w, n, 0, fz, n)
		for i, r := range rows {
			re, im := fz[2*i*n:(2*i+1)*n], fz[(2*i+1)*n:(2*i+2)*n]
			if c.follows() {
				if err := c.forceAt(r, z[2*i*n:(2*i+1)*n], z[(2*i+1)*n:(2*i+2)*n]); err != nil {
					return err
				}
				for k, f := range c.here {
					v := c.phi(complex(re[k]+c.drive[r*n+k], im[k])-within*f) - without*f
					re[k], im[k] = real(v), imag(v)
				}
				continue
			}
			for k, f := range c.force[r*n : (r+1)*n] {
				p := complex(re[k]+c.drive[r*n+k], im[k]) - within*complex(f, 0)
				v := c.phi(p) - without*complex(f, 0)
				re[k], im[k] = real(v), imag(v)
			}
		}
		return nil
	}}
}

// forceAt takes the force on sample b at its complex state: dy·Wo with dy = ∂ℓ/∂y at y = zWoᵀ + bo.
func (c *circle) forceAt(b int, re, im []float64) error {
	for o := range c.y {
		w := c.wo[o*c.n : (o+1)*c.n]
		c.y[o] = complex(kernels.Dot(w, re)+c.bo[o], kernels.Dot(w, im))
	}
	if err := c.loss.Continue(b, c.y, c.dy); err != nil {
		return err
	}
	clear(c.here)
	for o, d := range c.dy {
		for k, w := range c.wo[o*c.n : (o+1)*c.n] {
			c.here[k] += d * complex(w, 0)
		}
	}
	return nil
}

// wide is v in float64, v itself where it is.
func wide[T deq.Float](v []T) []float64 {
	if same, ok := any(v).([]float64); ok {
		return same
	}
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
