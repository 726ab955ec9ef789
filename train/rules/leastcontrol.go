package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// LeastControl makes the control small that holds the loss down. A controller with the leak α acts
// on units and outputs until the network rests where, for every sample b,
//
//	z = f(z, x) + ψ,   o = y(z) + u,   α u = −∂ℓ_b/∂o (o),   (I − Jᵀ) ψ = uᵀ ∂y/∂z,
//
// with J and ∂y/∂z at that z: direct inversion. Then
//
//	ΔΘ = −ψᵀ ∂f/∂θ at that z, the mean over samples,
//
// which is local in place and time, and exactly the gradient of the control that is needed,
// E = ½‖ψ‖² + ½‖u‖² + ℓ(o)/α. A strong controller, α → 0, brings the loss of o to its minimum; for a
// weak one, α → ∞, α times the update is the implicit gradient, up to O(1/α). The readout learns
// from the free network, as with every rule; in the paper it is part of the controlled one.
//
// A. Meulemans, N. Zucchet, S. Kobayashi, J. von Oswald and J. Sacramento, The least-control
// principle for local learning at equilibrium, NeurIPS 2022, arXiv:2207.01332.
type LeastControl[T deq.Float] struct {
	Controller
}

// Controller are the options of rules with a controller.
type Controller struct {
	Leak float64 `default:"1" doc:"leak α of the controller: the less, the further down it brings the loss"`
}

// Validate reports options outside their range.
func (c Controller) Validate() error {
	if !(c.Leak >= 0) {
		return fmt.Errorf("leak: expected a positive number, found %g", c.Leak)
	}
	return nil
}

func leastControlEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "least-control", Value: LeastControl[T]{}, Doc: `the control that holds the loss down, made small

A controller acts on units and outputs until the network rests at z = f(z) + ψ, o = y(z) + u with
αu = −∂ℓ/∂o and (I − Jᵀ)ψ = uᵀ∂y/∂z, the least control that brings the loss so far down (direct
inversion), and the rule returns −ψᵀ∂f/∂θ there. Credit is carried by the activity itself, in one
phase, and the control need not be weak.

leak is α of the controller, not that of the cell. It decides what is minimised,
½‖ψ‖² + ½‖u‖² + ℓ(o)/α, and how large the update is: for a weak control, α → ∞, the update is
1/α times the gradient of the loss but for a part O(1/α) of it, so that twice the leak wants about twice the
learning rate; for a strong one, α → 0, o comes to the minimum of the loss, the update no longer grows, and it
is the gradient of the control that this takes. The published experiments have leak: 0.1, and 1 for images in colour.`,
		Refs: []string{meulemans2022}}
}

const meulemans2022 = `@inproceedings{meulemans2022least,
  title     = {The least-control principle for local learning at equilibrium},
  author    = {Meulemans, Alexander and Zucchet, Nicolas and Kobayashi, Seijin and von Oswald, Johannes and Sacramento, Jo{\~a}o},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {35},
  year      = {2022},
  eprint    = {2207.01332},
  archiveprefix = {arXiv}
}`

// Check implements Rule: every model will do.
func (r LeastControl[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (LeastControl[T]) Exact() bool { return false }

// Audit implements Rule.
func (LeastControl[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, Phases: true, Solve: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r LeastControl[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	rep, err := s.control(ctx, kit.WithDefaults(r).Leak, nil, g)
	if err != nil {
		return rep, fmt.Errorf("rules: least-control: %w", err)
	}
	return rep, nil
}

// control adds −ψᵀ ∂f/∂θ at the controlled equilibrium to g, the mean over samples.
func (s Situation[T]) control(ctx context.Context, leak float64, through *deq.Layer[T], g deq.Params[T]) (Report, error) {
	held, err := s.Control(ctx, leak, through, s.Loss, s.Forward)
	if err != nil {
		return Report{}, err
	}
	rep := Report{Solves: []Solve{phase("the controlled state", held.Report)}, Bytes: 2 * bytesOf(held.Z, held.Psi, held.U)}
	e, err := s.Layer().At(s.X, held.Z)
	if err != nil {
		return rep, err
	}
	u := held.Psi
	for i := range u {
		u[i] /= -T(s.Rows)
	}
	return rep, e.VJP(u, g)
}
