package deq

import (
	"slices"

	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// mark is an inner value of the cell, [batch, width], that a step hands to the way back, so that
// this need not multiply by the weights again.
type mark struct {
	node  *gorgonia.Node
	place int // among the candidates
	width int
	out   int // of a step: the output that holds it, 0 for f itself
}

// candidates are the inner values of the cell that can be marks: what its units give and get, its
// products with weights, and what has noise in it. All graphs of a model have the same in the same order.
func candidates(s *models.Scope, from ...*gorgonia.Node) gorgonia.Nodes {
	var all gorgonia.Nodes
	for _, u := range s.Units() {
		all = append(all, u.Post, u.Pre)
	}
	for _, y := range s.Synapses() {
		all = append(all, y.Product)
	}
	for _, n := range s.Noises() {
		all = append(all, n.Sum)
	}
	batched := func(n *gorgonia.Node) bool {
		return n.Op() != nil && slices.ContainsFunc(vjp.Topological(n), func(c *gorgonia.Node) bool { return slices.Contains(from, c) })
	}
	return slices.DeleteFunc(all, func(n *gorgonia.Node) bool { return !batched(n) })
}

// needed are the candidates from which, with the inputs, the outputs can be computed.
func needed(candidates, outs gorgonia.Nodes) []mark {
	stop := make(map[*gorgonia.Node]bool)
	for _, c := range candidates {
		stop[c] = true
	}
	var marks []mark
	for _, n := range vjp.TopologicalFrom(stop, outs...) {
		if stop[n] {
			marks = append(marks, mark{node: n, place: slices.Index(candidates, n), width: n.Shape()[1]})
		}
	}
	return marks
}

// mark makes the expression f with the marks that the derivatives of a step need; none where f has no
// derivatives, which the way back then reports.
func (e *expression) mark(s *models.Scope, out *gorgonia.Node, params []models.Param) {
	var derivatives gorgonia.Nodes
	for _, wrt := range []gorgonia.Nodes{{e.z, e.x}, nil} {
		if err := e.pullback(s, out, wrt...); err == nil {
			derivatives = append(derivatives, e.outs...)
		}
	}
	if err := e.look(s, out, params); err == nil {
		derivatives = append(derivatives, e.outs...)
	}
	e.u, e.v, e.outs, e.param = nil, nil, gorgonia.Nodes{out}, []int{ofState}
	e.marks = needed(candidates(s, e.z, e.x), derivatives)
	for i, m := range e.marks {
		if m.node != out {
			e.marks[i].out = len(e.outs)
			e.outs, e.param = append(e.outs, m.node), append(e.param, ofState)
		}
	}
}
