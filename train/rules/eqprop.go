package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// EqProp is equilibrium propagation. From the free phase z⁰ = f(z⁰) nudged phases are relaxed, in
// one of two forms. In the vector-field form, for any cell, the nudge is added to f,
//
//	z^β = f(z^β) − β ∂ℓ/∂z(z^β),   ΔΘ = uᵀ ∂f/∂θ at z⁰,   u = −dz^β/dβ at β = 0:
//
// u is (I − J)⁻¹ ∂L/∂z*, the adjoint where J itself is symmetric, and a bias elsewhere that no β
// removes. In the energy form, for a cell φ(Wz + Ux + b), it acts inside φ,
//
//	z^β = φ(Wz^β + Ux + b − β ∂ℓ/∂z(z^β)),   ΔW = u z⁰ᵀ,   ΔU = u xᵀ,   Δb = u,
//
// and u is (I − GW)⁻¹G ∂L/∂z* with G = diag φ′: the gain times the adjoint where W is symmetric, the
// gradient then. (ΔW is that of z⁰ alone; the symmetric ΔW is that of chl.)
//
// The derivative is estimated by
//
//	centred       (z^−β − z^+β)/(2β),  error O(β²)
//	one-sided     (z⁰ − z^+β)/β,       error O(β)
//	random-sign   (z⁰ − z^sβ)/(sβ),    s = ±1 drawn for every step: O(β), but O(β²) in the mean
//
// B. Scellier and Y. Bengio, Equilibrium propagation, Frontiers in Computational Neuroscience 11,
// 2017, doi:10.3389/fncom.2017.00024; B. Scellier et al., 2018, arXiv:1808.04873; A. Laborieux et
// al., Frontiers in Neuroscience 15, 2021, doi:10.3389/fnins.2021.633674.
type EqProp[T deq.Float] struct {
	Nudging
	Estimate string `default:"centred" doc:"how the derivative for β is estimated" choices:"centred,one-sided,random-sign"`
}

// Nudging are the options of rules that nudge.
type Nudging struct {
	Beta float64 `default:"0.5" doc:"nudging strength β"`
	Form string  `default:"vector-field" doc:"where the nudge acts: on f, for any cell, or inside φ as in a network with an energy" choices:"vector-field,energy"`
}

func (n Nudging) validate() error {
	if !(n.Beta >= 0) {
		return fmt.Errorf("beta: expected a positive number, found %g", n.Beta)
	}
	return nil
}

// check reports options outside their range, and a layer that the form does not fit.
func (n Nudging) check(name string, single func() error) error {
	if err := n.validate(); err != nil {
		return err
	}
	if n.Form == "energy" {
		if err := single(); err != nil {
			return fmt.Errorf("rules: %s with form: energy needs a cell φ(zWᵀ + xUᵀ + b): %w", name, err)
		}
	}
	return nil
}

// descend adds the gradient of a form to g, for u = −dz^β/dβ.
func (s Situation[T]) descend(form string, u []T, g deq.Params[T]) error {
	if form == "energy" {
		return s.PreVJP(s.Z, u, g)
	}
	return s.PullBack(u, g)
}

func eqPropEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "eqprop", Value: EqProp[T]{}, Doc: `equilibrium propagation: credit carried by nudged phases

Relaxes further phases z = f(z) ∓ β∂ℓ/∂z from z* and returns uᵀ∂f/∂θ with u = (z^−β − z^+β)/(2β), or an
estimate from one of the phases. No backward pass: credit is carried by the same dynamics. u tends to
(I − J)⁻¹∂L/∂z*, which is the adjoint (I − Jᵀ)⁻¹∂L/∂z* only where J is symmetric. With form: energy the
nudge acts inside φ, and the limit is the gradient wherever W is symmetric.`,
		Refs: []string{`@article{scellier2017equilibrium,
  title   = {Equilibrium Propagation: Bridging the Gap between Energy-Based Models and Backpropagation},
  author  = {Scellier, Benjamin and Bengio, Yoshua},
  journal = {Frontiers in Computational Neuroscience},
  volume  = {11},
  pages   = {24},
  year    = {2017},
  doi     = {10.3389/fncom.2017.00024}
}`, `@article{scellier2018generalization,
  title   = {Generalization of Equilibrium Propagation to Vector Field Dynamics},
  author  = {Scellier, Benjamin and Goyal, Anirudh and Binas, Jonathan and Mesnard, Thomas and Bengio, Yoshua},
  year    = {2018},
  eprint  = {1808.04873},
  archiveprefix = {arXiv}
}`, `@article{laborieux2021scaling,
  title   = {Scaling Equilibrium Propagation to Deep ConvNets by Drastically Reducing Its Gradient Estimator Bias},
  author  = {Laborieux, Axel and Ernoult, Maxence and Scellier, Benjamin and Bengio, Yoshua and Grollier, Julie and Querlioz, Damien},
  journal = {Frontiers in Neuroscience},
  volume  = {15},
  year    = {2021},
  doi     = {10.3389/fnins.2021.633674}
}`}}
}

// Validate reports options outside their range.
func (r EqProp[T]) Validate() error { return r.validate() }

// Check implements Rule: every model will do for the vector-field form.
func (r EqProp[T]) Check(l *deq.Layer[T]) error { return r.check("eqprop", l.SingleActivation) }

// Exact implements Rule.
func (EqProp[T]) Exact() bool { return false }

// Audit implements Rule.
func (EqProp[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Phases: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r EqProp[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	from, to := r.Beta, -r.Beta // the two strengths that are compared; 0 is the free phase
	switch r.Estimate {
	case "one-sided":
		to = 0
	case "random-sign":
		if to = 0; s.Random.Stream("eqprop").IntN(2) == 0 {
			from = -from
		}
	}
	var rep Report
	settle := func(beta float64) ([]T, error) {
		z := append([]T(nil), s.Z...)
		if beta == 0 {
			return z, nil
		}
		nudge := s.Nudge
		if r.Form == "energy" {
			nudge = s.NudgePre
		}
		solve, err := nudge(ctx, z, beta, s.Loss, s.Forward)
		if err != nil {
			return nil, fmt.Errorf("rules: eqprop: nudged phase: %w", err)
		}
		rep.Solves = append(rep.Solves, phase(fmt.Sprintf("the phase nudged by β = %g", beta), solve))
		return z, nil
	}
	a, err := settle(from)
	if err != nil {
		return rep, err
	}
	b, err := settle(to)
	if err != nil {
		return rep, err
	}
	rep.Bytes = bytesOf(a, b)
	// ∂ℓ_b/∂z_b is Rows times ∂L/∂z_b, L being the mean.
	scale := T(1 / ((from - to) * float64(s.Rows)))
	for i := range b {
		b[i] = (b[i] - a[i]) * scale
	}
	return rep, s.descend(r.Form, b, g)
}
