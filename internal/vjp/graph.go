package vjp

import (
	"fmt"
	"reflect"

	"gorgonia.org/gorgonia"
)

// childrenField is where a gorgonia.Node keeps its operands.
var childrenField, childrenErr = func() (int, error) {
	f, ok := reflect.TypeFor[gorgonia.Node]().FieldByName("children")
	if !ok || f.Type != reflect.TypeFor[gorgonia.Nodes]() {
		return 0, fmt.Errorf("vjp: this version of Gorgonia does not keep a node's operands in Node.children; use gorgonia.org/gorgonia v0.9.18")
	}
	return f.Index[0], nil
}()

// Children returns the operands of n in order, with repetitions. It reads the node's own
// field: ExprGraph.From goes stale once Gorgonia has rewritten the graph (as it
// does for Log(1+x)). It panics under a Gorgonia whose nodes are laid out differently;
// CheckGorgonia tells beforehand.
func Children(n *gorgonia.Node) gorgonia.Nodes {
	if childrenErr != nil {
		panic(childrenErr)
	}
	field := reflect.ValueOf(n).Elem().Field(childrenField)
	children := make(gorgonia.Nodes, field.Len())
	for i := range children {
		children[i] = (*gorgonia.Node)(field.Index(i).UnsafePointer())
	}
	return children
}

// CheckGorgonia reports whether the linked Gorgonia is laid out as Children expects.
func CheckGorgonia() error { return childrenErr }

// Topological returns roots and everything they are computed from, every node
// after all of its operands.
func Topological(roots ...*gorgonia.Node) gorgonia.Nodes { return TopologicalFrom(nil, roots...) }

// TopologicalFrom is Topological without what only the nodes given are computed from.
func TopologicalFrom(given map[*gorgonia.Node]bool, roots ...*gorgonia.Node) gorgonia.Nodes {
	seen := make(map[*gorgonia.Node]bool)
	var order gorgonia.Nodes
	var visit func(n *gorgonia.Node)
	visit = func(n *gorgonia.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if !given[n] {
			for _, c := range Children(n) {
				visit(c)
			}
		}
		order = append(order, n)
	}
	for _, r := range roots {
		visit(r)
	}
	return order
}
