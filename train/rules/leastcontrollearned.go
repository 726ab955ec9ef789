package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
)

// LeastControlLearned is LeastControl with a controller that acts on the units through weights Q of
// the shape of the readout's, which it learns:
//
//	z = f(z, x) + ψ,   o = y(z) + u,   α u = −∂ℓ_b/∂o (o),   ψ = uᵀ Q,   ΔΘ = −ψᵀ ∂f/∂θ.
//
// That is the least control where the rows of Q span those of ∂y/∂z (I − J)⁻¹. To learn them, noise ξ ~ N(0, I)
// moves the free network, z′ = f(z′, x) + σξ, and what comes of it at the output is correlated with it,
//
//	ΔQ = ρ (γ Q − (y(z′) − y(z*))ᵀ ξ / σ), the mean over samples,
//
// so that γQ tends to the mean of ∂y/∂z (I − J)⁻¹ over samples, up to O(σ²). No weight is
// transported. In the paper the noise is in the controlled network.
//
// A. Meulemans, N. Zucchet, S. Kobayashi, J. von Oswald and J. Sacramento, The least-control
// principle for local learning at equilibrium, NeurIPS 2022, arXiv:2207.01332.
type LeastControlLearned[T deq.Float] struct {
	kit.Zeros
	Controller
	Sigma float64 `default:"0.1" doc:"standard deviation σ of the noise from which the feedback learns"`
	Decay float64 `default:"1" doc:"decay γ of the feedback weights"`
	Rate  float64 `default:"0.2" doc:"factor ρ of the feedback's learning over the network's"`
}

func leastControlLearnedEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "least-control-learned", Value: LeastControlLearned[T]{}, Doc: `least control through feedback weights that learn

The controller of least-control acts on the units by ψ = uᵀQ. Q learns from noise ξ in the units that
come to rest once more, z′ = f(z′) + σξ: ΔQ = ρ(γQ − (y(z′) − y(z))ᵀξ/σ), by which it tends to the
mean of ∂y/∂z(I − J)⁻¹, with which the control is the least. No weight is transported.`,
		Refs: []string{meulemans2022}}
}

// Validate reports options outside their range.
func (r LeastControlLearned[T]) Validate() error {
	r = kit.WithDefaults(r)
	if !(r.Sigma > 0 && r.Decay >= 0 && r.Rate >= 0) {
		return fmt.Errorf("sigma, decay and rate: expected a positive number and two of at least 0, found %g, %g and %g", r.Sigma, r.Decay, r.Rate)
	}
	return r.Controller.Validate()
}

// Check implements Rule: every model will do.
func (r LeastControlLearned[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (LeastControlLearned[T]) Exact() bool { return false }

// Audit implements Rule.
func (LeastControlLearned[T]) Audit() Audit {
	return Audit{Phases: true, Memory: "n", Time: "k n^2"}
}

// Parameters implements Parametric: Q, which learns also where the readout does not.
func (LeastControlLearned[T]) Parameters(l *deq.Layer[T]) []Parameter {
	list := standIns(l, models.Readout, false)
	for i := range list {
		list[i].Beside = ""
	}
	return list
}

// Gradient implements EquilibriumRule.
func (r LeastControlLearned[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	r = kit.WithDefaults(r)
	through, err := s.twin(s.Own.Params)
	if err != nil {
		return Report{}, fmt.Errorf("rules: least-control-learned: %w", err)
	}
	rep, err := s.control(ctx, r.Leak, through, g)
	if err == nil {
		err = r.learn(ctx, s, through, &rep)
	}
	if err != nil {
		return rep, fmt.Errorf("rules: least-control-learned: %w", err)
	}
	return rep, nil
}

// learn adds the gradient of Q to the own ones.
func (r LeastControlLearned[T]) learn(ctx context.Context, s Situation[T], through *deq.Layer[T], rep *Report) error {
	random := s.Random.Stream("least-control-learned")
	noise, z := make([]T, len(s.Z)), append([]T(nil), s.Z...)
	for i := range noise {
		noise[i] = T(r.Sigma * random.NormFloat64())
	}
	solve, err := s.Displace(ctx, z, noise, s.Forward)
	if err != nil {
		return err
	}
	rep.Solves = append(rep.Solves, phase("the state with noise", solve))
	dy := make([]T, len(s.Output.Y))
	if err := s.Layer().Read(z, dy); err != nil {
		return err
	}
	scale := T(r.Rate / (r.Sigma * r.Sigma * float64(s.Rows)))
	for i, y := range s.Output.Y {
		dy[i] = scale * (y - dy[i])
	}
	product := readoutGradients(s.Layer())
	if err := through.ReadoutVJP(noise, dy, nil, product); err != nil { // dyᵀ·noise
		return err
	}
	for i, own := range s.Own.Grads {
		kernels.Add(own.Data, own.Data, product.Data(own.Name))
		kernels.Axpy(T(r.Rate*r.Decay), s.Own.Params[i].Data, own.Data)
	}
	rep.Bytes += bytesOf(noise, z, dy) + product.Bytes()
	return nil
}
