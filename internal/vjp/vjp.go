// Package vjp builds vector–Jacobian products of Gorgonia expressions.
//
// Unlike gorgonia.Grad and gorgonia.Backpropagate it keeps no state in the nodes: it can be
// called any number of times on one graph, for any cotangent, with regard to any
// node, and on its own results (second derivatives). Operands are found by Children,
// each op's own SymDiff gives its local rule.
package vjp

import (
	"fmt"

	"gorgonia.org/gorgonia"
)

// VJP returns, for each node of wrt, the expression Σᵢ cotangentᵢᵀ · ∂outᵢ/∂wrt, of the
// shape of that node; nil where no out depends on it. Nodes of stop are constants: nothing
// is differentiated through them. wrt may name inner nodes as well as inputs.
//
// It fails when an op on the way has no symbolic derivative, or one that is known to be wrong,
// naming the op and what to use instead.
func VJP(outs, cotangents, wrt gorgonia.Nodes, stop ...*gorgonia.Node) (gorgonia.Nodes, error) {
	if len(outs) != len(cotangents) {
		panic(fmt.Sprintf("vjp: %d outputs with %d cotangents", len(outs), len(cotangents)))
	}
	p, err := newPath(outs, wrt, stop)
	if err != nil {
		return nil, err
	}
	sums := make(map[*gorgonia.Node]*gorgonia.Node)
	add := func(n, g *gorgonia.Node) error {
		if !p.active[n] {
			return nil
		}
		g, err := shapedAs(g, n)
		if err != nil {
			return err
		}
		if old := sums[n]; old != nil {
			if g, err = gorgonia.Add(old, g); err != nil {
				return fmt.Errorf("vjp: sum of the cotangents of %v: %w", n, err)
			}
		}
		sums[n] = g
		return nil
	}
	for i, out := range outs {
		if err := add(out, cotangents[i]); err != nil {
			return nil, err
		}
	}
	for i := len(p.order) - 1; i >= 0; i-- {
		n := p.order[i]
		g := sums[n]
		if g == nil || !p.through[n] {
			continue
		}
		op, ok := n.Op().(gorgonia.SDOp)
		if !ok {
			return nil, fmt.Errorf("vjp: op %v (%T) has no symbolic derivative", n.Op(), n.Op())
		}
		children := p.children[n]
		local, differentiable, err := symDiff(op, children, n, g)
		if err != nil {
			return nil, err
		}
		for j, c := range children {
			if j < len(local) && local[j] != nil && j < len(differentiable) && differentiable[j] {
				if err := add(c, local[j]); err != nil {
					return nil, err
				}
			}
		}
	}
	grads := make(gorgonia.Nodes, len(wrt))
	for i, w := range wrt {
		grads[i] = sums[w]
	}
	return grads, nil
}

// JVP returns for each out the expression Σⱼ ∂out/∂wrtⱼ · tangentⱼ (nil where out depends on
// none), by the VJP of a VJP: g(u) = VJP(out; u; wrt) is linear in u, and its own VJP
// for the tangents is the product wanted. u is a dummy input whose value is never
// used; it gets the given name, which must be unique in the graph.
func JVP(outs, wrt, tangents gorgonia.Nodes, dummy string, stop ...*gorgonia.Node) (gorgonia.Nodes, error) {
	products := make(gorgonia.Nodes, len(outs))
	for i, out := range outs {
		u := gorgonia.NewTensor(out.Graph(), out.Dtype(), out.Dims(),
			gorgonia.WithShape(out.Shape()...), gorgonia.WithName(fmt.Sprintf("%s%d", dummy, i)))
		rows, err := VJP(gorgonia.Nodes{out}, gorgonia.Nodes{u}, wrt, stop...)
		if err != nil {
			return nil, err
		}
		var linear, cot gorgonia.Nodes
		for j, r := range rows {
			if r != nil {
				linear, cot = append(linear, r), append(cot, tangents[j])
			}
		}
		if len(linear) == 0 {
			continue
		}
		p, err := VJP(linear, cot, gorgonia.Nodes{u})
		if err != nil {
			return nil, err
		}
		products[i] = p[0]
	}
	return products, nil
}

// path is the part of a graph on which cotangents travel.
type path struct {
	order    gorgonia.Nodes
	children map[*gorgonia.Node]gorgonia.Nodes
	active   map[*gorgonia.Node]bool // depends on wrt differentiably, or is in it
	through  map[*gorgonia.Node]bool // active, and some operand is active too
}

func newPath(outs, wrt gorgonia.Nodes, stop []*gorgonia.Node) (path, error) {
	p := path{
		order:    Topological(outs...),
		children: make(map[*gorgonia.Node]gorgonia.Nodes),
		active:   make(map[*gorgonia.Node]bool),
		through:  make(map[*gorgonia.Node]bool),
	}
	stopped := make(map[*gorgonia.Node]bool)
	for _, n := range stop {
		stopped[n] = true
	}
	for _, n := range wrt {
		p.active[n] = true
	}
	for _, n := range p.order {
		if stopped[n] {
			continue
		}
		children := Children(n)
		p.children[n] = children
		for i, c := range children {
			if !p.active[c] {
				continue
			}
			if err := refuse(n); err != nil {
				return p, err
			}
			if differentiable(n, i, len(children)) {
				p.active[n], p.through[n] = true, true
				break
			}
		}
	}
	return p, nil
}

// differentiable reports whether n may depend smoothly on operand i of arity. An op that
// does not say (no SDOp) counts as depending, so that VJP refuses it rather than
// dropping its part of the gradient.
func differentiable(n *gorgonia.Node, i, arity int) bool {
	op, ok := n.Op().(gorgonia.SDOp)
	if !ok {
		return true
	}
	d := op.DiffWRT(arity)
	return i < len(d) && d[i]
}

// shapedAs reshapes a cotangent to the shape of its node: some ops drop axes of length 1.
func shapedAs(g, n *gorgonia.Node) (*gorgonia.Node, error) {
	if g.Shape().Eq(n.Shape()) {
		return g, nil
	}
	r, err := gorgonia.Reshape(g, n.Shape().Clone())
	if err != nil {
		return nil, fmt.Errorf("vjp: cotangent of shape %v for %v of shape %v: %w", g.Shape(), n, n.Shape(), err)
	}
	return r, nil
}
