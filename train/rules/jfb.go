package rules

import (
	"context"

	"attractor/deq"
)

// JFB is Jacobian-free back-propagation: the adjoint u is replaced by its first term,
//
//	u = ∂L/∂z*,   ΔΘ = uᵀ ∂f/∂θ.
//
// It needs no adjoint solve. It is a descent direction where f contracts enough.
type JFB[T deq.Float] struct{}

func jfbEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "jfb", Value: JFB[T]{}, Doc: `Jacobian-free back-propagation: the adjoint's first term alone

Takes u = ∂L/∂z* in place of the adjoint and returns uᵀ∂f/∂θ: one vector–Jacobian product
and no linear solve. Credit that has to travel through W is lost; the direction still
descends where f contracts enough.`,
		Refs: []string{`@inproceedings{fung2022jfb,
  title     = {{JFB}: Jacobian-Free Backpropagation for Implicit Networks},
  author    = {Fung, Samy Wu and Heaton, Howard and Li, Qiuwei and McKenzie, Daniel and Osher, Stanley and Yin, Wotao},
  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},
  year      = {2022},
  eprint    = {2103.12803},
  archiveprefix = {arXiv}
}`}}
}

// Check implements Rule: every model will do.
func (JFB[T]) Check(*deq.Layer[T]) error { return nil }

// Exact implements Rule.
func (JFB[T]) Exact() bool { return false }

// Audit implements Rule.
func (JFB[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Memory: "1", Time: "n^2"}
}

// Gradient implements EquilibriumRule.
func (JFB[T]) Gradient(_ context.Context, s Situation[T], g deq.Params[T]) (Report, error) {
	return Report{}, s.PullBack(s.Output.DZ, g)
}
