package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// CHL is contrastive Hebbian learning: the products of the activities at both ends of a synapse
// in a free phase, less those in a clamped phase. The output units, clamped, differ from their
// free values by −∂ℓ/∂y, target − y for a squared error and target − softmax(y) for
// cross-entropy; what they send back through the weights Wo, weighed by γ, drives the clamped
// phase:
//
//	z⁰ = φ(Wz⁰ + Ux + b),   zᶜ = φ(Wzᶜ + Ux + b − γ ∂ℓ/∂z(z⁰)),
//	ΔW = (z⁰z⁰ᵀ − zᶜzᶜᵀ)/(2γ),   ΔU = (z⁰ − zᶜ)xᵀ/γ,   Δb = (z⁰ − zᶜ)/γ.
//
// ΔW is symmetric and keeps W so. For a symmetric W and γ → 0 it is the gradient among the
// symmetric matrices, (∇ + ∇ᵀ)/2, and ΔU and Δb are the gradient, all with an error O(γ). The
// readout takes its ordinary gradient.
//
// J. R. Movellan, Contrastive Hebbian learning in the continuous Hopfield model, Connectionist
// Models Summer School, 1991; X. Xie and H. S. Seung, Equivalence of backpropagation and contrastive
// Hebbian learning in a layered network, Neural Computation 15:441–454, 2003,
// doi:10.1162/089976603762552988.
type CHL[T deq.Float] struct {
	Gamma float64 `default:"1" doc:"strength γ of the feedback from the clamped outputs"`
}

func chlEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "chl", Value: CHL[T]{}, Doc: `contrastive Hebbian learning: the free phase against a clamped one

Relaxes zᶜ = φ(Wzᶜ + Ux + b − γ∂ℓ/∂z(z*)), the phase that the clamped outputs drive through the
readout's weights, and returns ΔW = (z*z*ᵀ − zᶜzᶜᵀ)/(2γ), ΔU = (z* − zᶜ)xᵀ/γ, Δb = (z* − zᶜ)/γ: products of what
a synapse sees in each phase. For a symmetric W and small γ that is the gradient among symmetric
matrices. Needs the model rate.`,
		Refs: []string{`@incollection{movellan1991contrastive,
  title     = {Contrastive {H}ebbian Learning in the Continuous {H}opfield Model},
  author    = {Movellan, Javier R.},
  booktitle = {Connectionist Models: Proceedings of the 1990 Summer School},
  pages     = {10--17},
  publisher = {Morgan Kaufmann},
  year      = {1991}
}`, `@article{xie2003equivalence,
  title   = {Equivalence of Backpropagation and Contrastive {H}ebbian Learning in a Layered Network},
  author  = {Xie, Xiaohui and Seung, H. Sebastian},
  journal = {Neural Computation},
  volume  = {15},
  number  = {2},
  pages   = {441--454},
  year    = {2003},
  doi     = {10.1162/089976603762552988}
}`}}
}

// Validate reports options outside their range.
func (r CHL[T]) Validate() error {
	if !(r.Gamma >= 0) {
		return fmt.Errorf("gamma: expected a positive number, found %g", r.Gamma)
	}
	return nil
}

// Check implements Rule: the model must be rate, with its weights as they are.
func (r CHL[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	_, err := rate("chl", l)
	return err
}

// Exact implements Rule.
func (CHL[T]) Exact() bool { return false }

// Audit implements Rule.
func (CHL[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Phases: true, Memory: "n", Time: "k n^2"}
}

// Gradient implements EquilibriumRule. With e = (z⁰ − zᶜ)/γ and m = (z⁰ + zᶜ)/2, ΔW = (emᵀ + meᵀ)/2.
func (r CHL[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	gamma := kit.WithDefaults(r).Gamma
	n, inputs := s.Layer().Units, s.Layer().Inputs
	e, m := append([]T(nil), s.Z...), make([]T, len(s.Z))
	kernels.Scale(m, T(-gamma*float64(s.Rows)), s.Output.DZ) // ∂ℓ_b/∂z_b is Rows times ∂L/∂z_b, L being the mean
	solve, err := s.DisplacePre(ctx, e, m, s.Forward)
	if err != nil {
		return Report{}, fmt.Errorf("rules: chl: clamped phase: %w", err)
	}
	half := make([]T, len(e))
	scale := T(1 / (gamma * float64(s.Rows)))
	for i, c := range e {
		e[i], m[i] = (s.Z[i]-c)*scale, (s.Z[i]+c)/2
		half[i] = e[i] / 2
	}
	// The products aᵀb over the samples are added to dst [n, columns].
	add := func(dst, a, b []T, columns int) {
		kernels.Gemm(true, false, n, columns, s.Rows, a, n, b, columns, 1, dst, columns)
	}
	add(g.Data("W"), half, m, n)
	add(g.Data("W"), m, half, n)
	add(g.Data("U"), e, s.X, inputs)
	for i := range s.Rows {
		kernels.Add(g.Data("b"), g.Data("b"), e[i*n:(i+1)*n])
	}
	return Report{Solves: []Solve{phase("the clamped phase", solve)}, Bytes: bytesOf(e, m, half)}, nil
}
