package rules

import (
	"context"
	"fmt"

	"attractor/deq"
)

// ReparamHalf is the form of reparam-gradient that leaves the gain out on the left, for a cell
// z⁺ = φ(zWᵀ + xUᵀ + b). With G = diag φ′ and v = ∂L/∂z* (columns, one sample):
//
//	ΔW = [(I − WG) v] [(I − WG)ᵀ (I − WG) z*]ᵀ
//
// which is P_L (dL/dW) P_R with P_L = (I − WG) G⁻¹ (I − WG)ᵀ and P_R = (I − WG)ᵀ(I − WG), both
// positive definite where φ increases: a descent direction of each sample's loss without an
// adjoint solve. U and b take the same left factor (P_R = I): ΔU = a xᵀ, Δb = a,
// a = (I − WG) v. Where φ saturates v is not damped as in reparam-gradient.
type ReparamHalf[T deq.Float] struct{}

func reparamHalfEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "reparam-gradient-half", Value: ReparamHalf[T]{}, Doc: `reparam-gradient without the gain on the left

For a cell φ(zWᵀ + xUᵀ + b), with G = diag φ′ and v = ∂L/∂z*:
ΔW = [(I − WG)v] [(I − WG)ᵀ(I − WG)z*]ᵀ, ΔU = a xᵀ, Δb = a with a = (I − WG)v.
The exact gradient times positive definite matrices on both sides, where φ increases: a
descent direction for each sample, without an adjoint solve. The forms for U and b are
this project's extension.`,
		Refs: []string{zhu2024}}
}

// Check implements Rule: the cell must have one activation, fed by W·z.
func (ReparamHalf[T]) Check(l *deq.Layer[T]) error {
	if err := l.SingleActivation(); err != nil {
		return fmt.Errorf("rules: reparam-gradient-half needs a cell φ(zWᵀ + xUᵀ + b): %w", err)
	}
	return nil
}

// Exact implements Rule.
func (ReparamHalf[T]) Exact() bool { return false }

// Audit implements Rule.
func (ReparamHalf[T]) Audit() Audit {
	return Audit{RecurrentTransport: true, ReadoutTransport: true, Memory: "n", Time: "n^2"}
}

// Gradient implements EquilibriumRule. Rows are samples: a = V − (g⊙V)Wᵀ,
// c = Z − (g⊙Z)Wᵀ, d = c − g⊙(cW), ΔW = aᵀd.
func (ReparamHalf[T]) Gradient(_ context.Context, s Situation[T], grads deq.Params[T]) (Report, error) {
	n := len(s.Z)
	a, c, d, product := make([]T, n), make([]T, n), make([]T, n), make([]T, n)
	minus := func(out, v []T) error { // out = v − (g⊙v)Wᵀ
		if err := s.Gain(v, d); err != nil {
			return err
		}
		if err := s.Recurrent(d, product); err != nil {
			return err
		}
		for i, x := range v {
			out[i] = x - product[i]
		}
		return nil
	}
	if err := minus(a, s.Output.DZ); err != nil {
		return Report{}, err
	}
	if err := minus(c, s.Z); err != nil {
		return Report{}, err
	}
	if err := s.RecurrentAdjoint(c, product); err != nil {
		return Report{}, err
	}
	if err := s.Gain(product, d); err != nil {
		return Report{}, err
	}
	for i, x := range c {
		d[i] = x - d[i]
	}
	return Report{Bytes: bytesOf(a, c, d, product)}, s.PreVJP(d, a, grads)
}
