package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/train/kit"
)

// WeightPerturbation correlates noise in the parameters with what it does to the loss. With
// ξ ~ N(0, I) over the parameters θ of the cell that learn, the equilibria of two other networks
// are found from z*,
//
//	z^± = f(z^±, x; θ ± σξ),   ΔΘ = ξ (L(z^+) − L(z^−)) / (2σ),
//
// averaged over draws. Its mean is the exact gradient up to O(σ²); its variance grows with
// the number of parameters, which makes it the slowest of learners. What teaches is one number.
//
// M. Jabri and B. Flower, Weight perturbation: an optimal architecture and learning technique for
// analog VLSI feedforward and recurrent multilayer networks, IEEE Transactions on Neural
// Networks 3:154–157, 1992, doi:10.1109/72.105429.
type WeightPerturbation[T deq.Float] struct {
	Perturbation
}

func weightPerturbationEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "weight-perturbation", Value: WeightPerturbation[T]{}, Doc: `noise in the parameters, correlated with the loss

Finds the equilibria with the parameters θ + σξ and θ − σξ, ξ random, and returns
ξ(L(z^+) − L(z^−))/(2σ), averaged over draws. No derivative at all: the loss of the batch, one
number, is all that is told to the synapses. It is the exact gradient in the mean; its
variance grows with the number of parameters.`,
		Refs: []string{`@article{jabri1992weight,
  title   = {Weight Perturbation: An Optimal Architecture and Learning Technique for Analog {VLSI} Feedforward and Recurrent Multilayer Networks},
  author  = {Jabri, Marwan and Flower, Barry},
  journal = {IEEE Transactions on Neural Networks},
  volume  = {3},
  number  = {1},
  pages   = {154--157},
  year    = {1992},
  doi     = {10.1109/72.105429}
}`}}
}

// Check implements Rule: every model will do.
func (r WeightPerturbation[T]) Check(*deq.Layer[T]) error { return r.Validate() }

// Exact implements Rule.
func (WeightPerturbation[T]) Exact() bool { return false }

// Audit implements Rule. Every synapse keeps its noise.
func (WeightPerturbation[T]) Audit() Audit {
	return Audit{Phases: true, GlobalSignal: true, Memory: "n^2", Time: "k n^2"}
}

// Gradient implements EquilibriumRule.
func (r WeightPerturbation[T]) Gradient(ctx context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	o := kit.WithDefaults(r)
	random := s.Random.Stream("weight-perturbation")
	noise := s.Layer().Params.ZerosLike()
	rep := Report{Bytes: noise.Bytes()}
	for range o.Draws {
		for i, p := range noise {
			if p.Role.OfCell() && s.learns(i) {
				for k := range p.Data {
					p.Data[k] = T(random.NormFloat64())
				}
			}
		}
		var loss [2]float64
		for phase, sigma := range []float64{o.Sigma, -o.Sigma} {
			other, err := s.Layer().Twin(func(p deq.Params[T]) {
				for i := range p {
					for k, xi := range noise[i].Data {
						p[i].Data[k] += T(sigma) * xi
					}
				}
			})
			if err != nil {
				return rep, fmt.Errorf("rules: weight-perturbation: %w", err)
			}
			e, err := other.Solve(ctx, s.X, s.Z, s.Forward)
			if err != nil {
				return rep, fmt.Errorf("rules: weight-perturbation: %w", err)
			}
			rep.Solves = append(rep.Solves, Solve{Report: e.Report, Of: "a phase with perturbed weights", Section: "solver"})
			out, err := other.Evaluate(e.Z, s.Loss, nil)
			if err != nil {
				return rep, fmt.Errorf("rules: weight-perturbation: %w", err)
			}
			loss[phase] = out.Mean()
		}
		scale := T((loss[0] - loss[1]) / (2 * o.Sigma * float64(o.Draws)))
		for i, p := range noise {
			for k, xi := range p.Data {
				g[i].Data[k] += scale * xi
			}
		}
	}
	return rep, nil
}
