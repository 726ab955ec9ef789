package vjp

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
)

// Term is a node with the number that multiplies it.
type Term struct {
	Node        *gorgonia.Node
	Coefficient float64
}

// Combination writes n as a sum of terms: it is taken apart where it adds, subtracts, negates, or
// multiplies or divides by a constant number. Nodes of whole, and those made in another way, are terms.
func Combination(n *gorgonia.Node, whole ...*gorgonia.Node) []Term {
	isWhole := make(map[*gorgonia.Node]bool)
	for _, w := range whole {
		isWhole[w] = true
	}
	var terms []Term
	index := make(map[*gorgonia.Node]int)
	var add func(n *gorgonia.Node, c float64)
	add = func(n *gorgonia.Node, c float64) {
		if !isWhole[n] {
			operands := Children(n)
			switch operator(n) {
			case "+":
				add(operands[0], c)
				add(operands[1], c)
				return
			case "-":
				add(operands[0], c)
				add(operands[1], -c)
				return
			case "neg":
				add(operands[0], -c)
				return
			case "⊙":
				for i, factor := range operands {
					if k, ok := number(factor); ok {
						add(operands[1-i], k*c)
						return
					}
				}
			case "÷":
				if k, ok := number(operands[1]); ok {
					add(operands[0], c/k)
					return
				}
			}
		}
		i, known := index[n]
		if !known {
			i, index[n] = len(terms), len(terms)
			terms = append(terms, Term{Node: n})
		}
		terms[i].Coefficient += c
	}
	add(n, 1)
	return terms
}

// operator is the sign of an elementwise operation of Gorgonia on operands of one shape or on numbers, or empty.
func operator(n *gorgonia.Node) string {
	if n.Op() == nil {
		return ""
	}
	t := reflect.Indirect(reflect.ValueOf(n.Op())).Type()
	if t.PkgPath() != "gorgonia.org/gorgonia" || t.Name() != "elemBinOp" && t.Name() != "elemUnaryOp" {
		return ""
	}
	name, _, _ := strings.Cut(n.Op().String(), " ")
	return name
}

// number is the value of a constant that is a number.
func number(n *gorgonia.Node) (float64, bool) {
	if !n.IsScalar() || n.Value() == nil || len(Children(n)) > 0 {
		return 0, false
	}
	switch v := n.Value().Data().(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	}
	return 0, false
}

// Affine reports whether n can be shown to be affine in the inputs wrt, taken together: whether no derivative
// of it for one of them depends on any. name is that of an input that it makes for this, which must be
// unique in the graph.
func Affine(n *gorgonia.Node, name string, wrt ...*gorgonia.Node) (bool, error) {
	u := gorgonia.NewTensor(n.Graph(), n.Dtype(), n.Dims(), gorgonia.WithShape(n.Shape()...), gorgonia.WithName(name))
	slopes, err := VJP(gorgonia.Nodes{n}, gorgonia.Nodes{u}, wrt)
	if err != nil {
		return false, fmt.Errorf("vjp: whether %v is affine: %w", n, err)
	}
	for _, g := range slopes {
		if g != nil && DependsOn(g, wrt...) {
			return false, nil
		}
	}
	return true, nil
}

// DependsOn reports whether n is computed from any of the nodes.
func DependsOn(n *gorgonia.Node, nodes ...*gorgonia.Node) bool {
	for _, from := range Topological(n) {
		for _, w := range nodes {
			if from == w {
				return true
			}
		}
	}
	return false
}

// Elementwise reports, as an error, what keeps n from being a function of each entry of from by itself: another
// operation than those of Gorgonia on entries, or an operand that is neither made of from, nor a number, nor one of known.
func Elementwise(n, from *gorgonia.Node, known ...*gorgonia.Node) error {
	for _, made := range Topological(n) {
		if made == from || !DependsOn(made, from) {
			continue
		}
		if operator(made) == "" || !made.Shape().Eq(from.Shape()) {
			return fmt.Errorf("%v does not act on entries", made.Op())
		}
		for _, operand := range Children(made) {
			if _, constant := number(operand); !constant && !DependsOn(operand, from) && !slices.Contains(known, operand) {
				return fmt.Errorf("%v has an operand %s, which is no number and not made of what it is applied to", made.Op(), operand.Name())
			}
		}
	}
	if !DependsOn(n, from) {
		return fmt.Errorf("it does not depend on what it is applied to")
	}
	return nil
}
