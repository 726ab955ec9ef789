package rules

import (
	"context"
	"fmt"

	"attractor/deq"
)

// ReparamGradient is gradient descent in the geometry of the fixed points, for a cell
// z⁺ = φ(zWᵀ + xUᵀ + b). With G = diag φ′ and v = ∂L/∂z* (columns, one sample):
//
//	ΔW = [(I − WG) G v] [(I − GW)ᵀ (I − GW) z*]ᵀ
//
// which is P_L (dL/dW) P_R with P_L = (I − WG)(I − WG)ᵀ and P_R = (I − GW)ᵀ(I − GW), both
// positive definite: a descent direction of each sample's loss without an adjoint solve. U
// and b take the same left factor (P_R = I): ΔU = a xᵀ, Δb = a, a = (I − WG) G v.
type ReparamGradient[T deq.Float] struct{}

func reparamGradientEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "reparam-gradient", Value: ReparamGradient[T]{}, Doc: `gradient descent in the geometry of the fixed points, without an adjoint solve

For a cell φ(zWᵀ + xUᵀ + b), with G = diag φ′ and v = ∂L/∂z*:
ΔW = [(I − WG)Gv] [(I − GW)ᵀ(I − GW)z*]ᵀ, ΔU = a xᵀ, Δb = a with a = (I − WG)Gv.
The exact gradient times positive definite matrices on both sides: a descent direction for each
sample. It shrinks near instability, where the exact gradient explodes. The forms for U and b
are this project's extension.`,
		Refs: []string{zhu2024}}
}

// zhu2024 is the paper of the reparameterised rules.
const zhu2024 = `@article{zhu2024learning,
  title   = {Learning Fixed Points of Recurrent Neural Networks by Reparameterizing the Network Model},
  author  = {Zhu, Vicky and Rosenbaum, Robert},
  journal = {Neural Computation},
  volume  = {36},
  number  = {8},
  pages   = {1568--1600},
  year    = {2024},
  eprint  = {2307.06732},
  archiveprefix = {arXiv}
}`

// Check implements Rule: the cell must have one activation, fed by W·z.
func (ReparamGradient[T]) Check(l *deq.Layer[T]) error {
	if err := l.SingleActivation(); err != nil {
		return fmt.Errorf("rules: reparam-gradient needs a cell φ(zWᵀ + xUᵀ + b): %w", err)
	}
	return nil
}

// Exact implements Rule.
func (ReparamGradient[T]) Exact() bool { return false }

// Audit implements Rule.
func (ReparamGradient[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, Memory: "n", Time: "n^2"}
}

// Gradient implements EquilibriumRule.
func (ReparamGradient[T]) Gradient(_ context.Context, s Situation[T], grads deq.Params[T]) (Report, error) {
	f, err := s.factors()
	if err != nil {
		return Report{}, err
	}
	return Report{Bytes: f.bytes}, s.PreVJP(f.d, f.a, grads)
}

// factors are a = (I − WG)Gv, c = (I − GW)z* and d = (I − GW)ᵀc, of which ΔW = a dᵀ, for every
// sample in a row.
type factors[T deq.Float] struct {
	a, c, d []T // [rows, units]
	bytes   int // with what it took
}

// factors returns them: a = g⊙V − (g⊙g⊙V)Wᵀ, c = Z − g⊙(ZWᵀ), d = c − (g⊙c)W.
func (s Situation[T]) factors() (factors[T], error) {
	n := len(s.Z)
	g, a, c, d, product := make([]T, n), make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	for i := range g {
		g[i] = 1
	}
	if err := s.Gain(g, g); err != nil {
		return factors[T]{}, err
	}
	for i, v := range s.Output.DZ {
		a[i] = g[i] * g[i] * v
	}
	if err := s.Recurrent(a, product); err != nil {
		return factors[T]{}, err
	}
	for i, v := range s.Output.DZ {
		a[i] = g[i]*v - product[i]
	}
	if err := s.Recurrent(s.Z, product); err != nil {
		return factors[T]{}, err
	}
	for i, z := range s.Z {
		c[i] = z - g[i]*product[i]
		d[i] = g[i] * c[i]
	}
	if err := s.RecurrentAdjoint(d, product); err != nil {
		return factors[T]{}, err
	}
	for i := range d {
		d[i] = c[i] - product[i]
	}
	return factors[T]{a: a, c: c, d: d, bytes: bytesOf(g, a, c, d, product)}, nil
}
