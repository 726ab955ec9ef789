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

// Check implements Rule: the cell must have one activation, fed by W·z.
func (ReparamGradient[T]) Check(l *deq.Layer[T]) error {
	if err := l.SingleActivation(); err != nil {
		return fmt.Errorf("rules: reparam-gradient needs a cell φ(zWᵀ + xUᵀ + b): %w", err)
	}
	return nil
}

// Exact implements Rule.
func (ReparamGradient[T]) Exact() bool { return false }

// Gradient implements EquilibriumRule. Rows are samples: a = g⊙V − (g⊙g⊙V)Wᵀ,
// c = Z − g⊙(ZWᵀ), d = c − (g⊙c)W, ΔW = aᵀd.
func (ReparamGradient[T]) Gradient(_ context.Context, s Situation[T], grads deq.Params[T]) (Report, error) {
	n := len(s.Z)
	g, a, c, d, product := make([]T, n), make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	for i := range g {
		g[i] = 1
	}
	if err := s.Gain(g, g); err != nil {
		return Report{}, err
	}
	for i, v := range s.Output.DZ {
		a[i] = g[i] * g[i] * v
	}
	if err := s.Recurrent(a, product); err != nil {
		return Report{}, err
	}
	for i, v := range s.Output.DZ {
		a[i] = g[i]*v - product[i]
	}
	if err := s.Recurrent(s.Z, product); err != nil {
		return Report{}, err
	}
	for i, z := range s.Z {
		c[i] = z - g[i]*product[i]
		d[i] = g[i] * c[i]
	}
	if err := s.RecurrentAdjoint(d, product); err != nil {
		return Report{}, err
	}
	for i := range d {
		d[i] = c[i] - product[i]
	}
	return Report{Bytes: bytesOf(g, a, c, d, product)}, s.PreVJP(d, a, grads)
}
