package models

import (
	"fmt"
	"slices"

	"attractor/internal/vjp"

	"gorgonia.org/gorgonia"
)

// Kink is where a cell has no derivative: where an entry of At, which depends on the state, is 0, as relu and |·| have
// it, and what is made of them. In a scope that is sided the function is smooth instead: that of the side
// which Side says, 1 of positive and 0 of negative entries.
type Kink struct {
	At   *gorgonia.Node // [rows, columns]
	Side *gorgonia.Node // an input of the same shape; nil in a scope that is not sided
}

// Kinks lists those built so far.
func (s *Scope) Kinks() []Kink { return slices.Clone(s.kinks) }

// TakeSides makes the scope sided, from now on.
func (s *Scope) TakeSides() { s.sided = true }

// kink records one at a where that depends on the state, the input named z, and returns its side if the scope is sided.
func (s *Scope) kink(a *gorgonia.Node) *gorgonia.Node {
	z := s.nodes["z"]
	if z == nil || !slices.Contains(vjp.Topological(a), z) {
		return nil
	}
	k := Kink{At: a}
	if s.sided {
		if k.Side = s.Variable(fmt.Sprintf("side%d", len(s.kinks)), a.Shape()[0], a.Shape()[1]); s.err != nil {
			return nil
		}
	}
	s.kinks = append(s.kinks, k)
	return k.Side
}
