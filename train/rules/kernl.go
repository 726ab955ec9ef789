package rules

import (
	"context"
	"fmt"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
)

// KeRNL is kernel RNN learning. What a change of z_i does to z_k so many steps τ later is taken to be
// A_ki (1−α_i)^τ, a sensitivity A [n, n] times a kernel of one decay α [n] for every unit, so that
//
//	B_ij ← (1−α_i) B_ij + ∂f_i/∂a_i·pre_j,   ΔW_ij = Σ_t (Σ_k A_ki ∂L/∂z_k) B_ij.
//
// The traces, one for a synapse, are run backwards as credits, one for a unit, u ← (1−α) u + Aᵀ ∂L/∂z: the same
// sum. With A = 1 and α the leak of the cell, as it begins, the rule is e-prop, or with feedback random RFLO. A and α
// are parameters of the rule's own and learn, with the optimiser of the network, from a copy z̃ of the network
// that is perturbed in every unit at every step by σξ, ξ ~ N(0, 1), and runs beside it: they descend
//
//	½ ‖A Ω − (z̃ − z)/σ‖²,   Ω ← (1−α) Ω + ξ
//
// in the mean over samples and steps. The copy knows nothing of the task. α counts as 0 below 0 and as 1 above 1.
//
// C. Roth, I. Kanitscheider and I. Fiete, Kernel RNN learning (KeRNL), ICLR 2019.
type KeRNL[T deq.Float] struct {
	kit.Zeros
	Local[T]
	Kernel string  `default:"learned" doc:"whether A and α learn from perturbations, or stay at 1 and the leak" choices:"learned,fixed"`
	Sigma  float64 `default:"0.001" doc:"standard deviation σ of the perturbations"`
	Rate   float64 `default:"1" doc:"learning rate of A and α, relative to that of the network"`
}

func kernlEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "kernl", Value: KeRNL[T]{}, Doc: `kernel RNN learning: traces with decays and credits with sensitivities that are learned

Takes what a unit does to another one some steps later for a product of a sensitivity and a decaying
exponential, both learned from a copy of the network that runs beside it with perturbed units. Every synapse keeps a
trace that decays as its unit's kernel does, and learns by the trace times the error that the sensitivities
bring to the unit. With kernel: fixed it is e-prop, and with feedback: random rflo. No recurrent weight is
transported; the sensitivities are a matrix of the size of the recurrent weights.`,
		Refs: []string{`@inproceedings{roth2019kernel,
  title     = {Kernel {RNN} Learning ({KeRNL})},
  author    = {Roth, Christopher and Kanitscheider, Ingmar and Fiete, Ila},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  url       = {https://openreview.net/forum?id=ryGfnoC5KQ}
}`}}
}

// The names of the rule's own parameters.
const (
	sensitivity = "sensitivity" // A [n, n]
	decay       = "decay"       // α [n]
)

// Validate reports options outside their range.
func (r KeRNL[T]) Validate() error {
	r = kit.WithDefaults(r)
	if !(r.Sigma > 0) || !(r.Rate >= 0) {
		return fmt.Errorf("sigma and rate: expected a positive number and one of at least 0, found %g and %g", r.Sigma, r.Rate)
	}
	return r.Local.Validate()
}

// Check implements Rule: every model will do.
func (r KeRNL[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// learned reports whether the kernel learns.
func (r KeRNL[T]) learned() bool { return kit.WithDefaults(r).Kernel == "learned" }

// Audit implements Rule. The perturbed copy is run when the loss is known; it needs none.
func (r KeRNL[T]) Audit() Audit {
	a := r.Local.Audit()
	a.Phases = r.learned()
	return a
}

// Parameters implements Parametric: the feedback weights, where they are not the readout's, A and α.
func (r KeRNL[T]) Parameters(l *deq.Layer[T]) []Parameter {
	return append(r.Local.Parameters(l),
		Parameter{Param: models.Param{Name: sensitivity, Shape: []int{l.Units, l.Units}, Role: models.Recurrent, Init: diagonal{1}}, Fixed: !r.learned()},
		Parameter{Param: models.Param{Name: decay, Shape: []int{l.Units}, Role: models.Recurrent, Init: models.Constant{Value: l.LeakRate()}}, Fixed: !r.learned()})
}

// Gradient implements TemporalRule.
func (r KeRNL[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	if t := slices.IndexFunc(p.Z, func(z []T) bool { return z == nil }); t >= 0 {
		return Report{}, fmt.Errorf("rules: kernl needs a trajectory that keeps all its states, and state %d is not there", t)
	}
	outputs, err := r.credits(p, g)
	if err != nil {
		return Report{}, err
	}
	n, a := p.Layer().Units, p.Own.Params.Data(sensitivity)
	keep := keeping(p.Own.Params.Data(decay))
	u, now := make([]T, p.Rows*n), make(deq.Outputs[T], p.Steps+1)
	for t := p.Steps; t > 0; t-- {
		for b := range p.Rows {
			kernels.Mul(u[b*n:(b+1)*n], u[b*n:(b+1)*n], keep)
		}
		if dz := outputs.DZ(t); dz != nil {
			kernels.Gemm(false, false, p.Rows, n, n, dz, n, a, n, 1, u, n)
		}
		now[t] = &deq.Output[T]{DZ: u}
		if err := p.VJP(ctx, deq.Back[T]{Outputs: now, Credit: deq.CutCredit, Stop: t - 1}, g); err != nil {
			return Report{}, err
		}
		now[t] = nil
	}
	report := Report{Bytes: p.Bytes() + outputs.Bytes() + bytesOf(u, keep)}
	if r.learned() {
		bytes, err := r.perturb(ctx, p, a, keep)
		if err != nil {
			return Report{}, fmt.Errorf("rules: kernl: perturbed copy: %w", err)
		}
		report.Bytes += bytes
	}
	return report, nil
}

// keeping is 1 − α, of an α between 0 and 1.
func keeping[T deq.Float](alpha []T) []T {
	keep := make([]T, len(alpha))
	for i, v := range alpha {
		keep[i] = 1 - min(max(v, 0), 1)
	}
	return keep
}

// perturb runs the perturbed copy, and adds to the gradients of A and α what brings the kernel nearer to what the
// perturbations do. It returns the memory that it takes.
func (r KeRNL[T]) perturb(ctx context.Context, p Passage[T], a, keep []T) (bytes int, err error) {
	r = kit.WithDefaults(r)
	n, size := p.Layer().Units, p.Rows*p.Layer().Units
	gradA, gradAlpha := p.Own.Grads.Data(sensitivity), p.Own.Grads.Data(decay)
	scale := T(r.Rate / float64(p.Rows*p.Steps))
	random := p.Random.Stream("kernl")
	z, next := append([]T(nil), p.Z[0]...), make([]T, size) // of the copy
	omega, slope := make([]T, size), make([]T, size)        // Ω, and ∂Ω/∂α
	miss, back := make([]T, size), make([]T, size)          // AΩ − (z̃ − z)/σ, and Aᵀ of that
	for t := range p.Steps {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("stopped at step %d: %w", t, err)
		}
		copied, err := p.At(t, z)
		if err != nil {
			return 0, err
		}
		if err := copied.Next(next); err != nil {
			return 0, err
		}
		z, next = next, z
		for i := range z {
			xi := random.NormFloat64()
			z[i] += T(r.Sigma * xi)
			slope[i] = keep[i%n]*slope[i] - omega[i]
			omega[i] = keep[i%n]*omega[i] + T(xi)
			miss[i] = (p.Z[t+1][i] - z[i]) / T(r.Sigma)
		}
		kernels.Gemm(false, true, p.Rows, n, n, omega, n, a, n, 1, miss, n)
		kernels.Gemm(false, false, p.Rows, n, n, miss, n, a, n, 0, back, n)
		kernels.Scale(miss, scale, miss)
		kernels.Gemm(true, false, n, n, p.Rows, miss, n, omega, n, 1, gradA, n)
		for i, v := range back {
			gradAlpha[i%n] += scale * v * slope[i]
		}
	}
	return bytesOf(z, next, omega, slope, miss, back), nil
}
