package deq

import (
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// Credit says on which ways a derivative travels from a step of the cell to the one before.
type Credit uint8

// The ways of a derivative.
const (
	// AllCredit is the exact derivative.
	AllCredit Credit = iota
	// CutCredit goes to the state before as if the products of the synapses did not depend on that,
	// so that it stays within a unit; and to the parameters by what their own products give to f,
	// not by what these give to other products. For a cell whose units meet in products with
	// weights alone this is exact for the parameters.
	CutCredit
	// FrozenCredit, of TangentVJP, is exact for the parameters which the tangent meets on its way, the
	// activations and their slopes being taken for constants. Nothing goes to the state or the tangent
	// before.
	FrozenCredit
	// UnitCredit is CutCredit with what a unit gives to itself by its own weight: to the state
	// before goes the diagonal of ∂f/∂z. Products that are not from all units to all have no part in it.
	UnitCredit
)

// ApplyCut writes uᵀ ∂f/∂z [rows, Units] to out with the products of the synapses cut: what
// stays within the units.
func (e *Equilibrium[T]) ApplyCut(u, out []T) error { return e.apply(adjointCut, "u", u, "out", out) }

// pullbackWithin makes the expression uᵀ ∂out/∂z with the products of the synapses cut, or with no
// wrt uᵀ ∂out/∂θ with what the synapses get cut.
func (e *expression) pullbackWithin(s *models.Scope, out *gorgonia.Node, wrt ...*gorgonia.Node) error {
	var stop gorgonia.Nodes
	for _, y := range s.Synapses() {
		if len(wrt) > 0 {
			stop = append(stop, y.Product)
		} else {
			stop = append(stop, y.Pre)
		}
	}
	param := []int{ofState}
	if len(wrt) == 0 {
		wrt, param = e.parameters()
	}
	e.u = s.Variable("u", out.Shape()[0], out.Shape()[1])
	if err := s.Err(); err != nil {
		return err
	}
	return e.derive(gorgonia.Nodes{out}, gorgonia.Nodes{e.u}, wrt, param, stop...)
}

// pullbackUnit makes the expression u ⊙ diag ∂out/∂z: what stays within the units and, for each
// synapse from all of them, n, to all, what goes by the diagonal of its weights.
func (e *expression) pullbackUnit(s *models.Scope, out *gorgonia.Node, n int) error {
	synapses := s.Synapses()
	e.u = s.Variable("u", out.Shape()[0], out.Shape()[1])
	if err := s.Err(); err != nil {
		return err
	}
	wrt := gorgonia.Nodes{e.z}
	var products gorgonia.Nodes
	for _, y := range synapses {
		products = append(products, y.Product)
	}
	grads, err := vjp.VJP(gorgonia.Nodes{out}, gorgonia.Nodes{e.u}, append(wrt, products...), products...)
	if err != nil {
		return err
	}
	total := grads[0]
	for i, y := range synapses {
		g := grads[1+i]
		if g == nil || y.Product.Shape()[1] != n || y.Pre.Shape()[1] != n {
			continue
		}
		weights := vjp.Children(y.Product)[1]
		own := s.Mul(g, s.Broadcast(s.Diagonal(weights), g))
		if err := s.Err(); err != nil {
			return err
		}
		back, err := vjp.VJP(gorgonia.Nodes{y.Pre}, gorgonia.Nodes{own}, gorgonia.Nodes{e.z}, products...)
		if err != nil {
			return err
		}
		switch {
		case back[0] == nil:
		case total == nil:
			total = back[0]
		default:
			total = s.Add(total, back[0])
		}
	}
	if total != nil {
		e.outs, e.param = gorgonia.Nodes{total}, []int{ofState}
	}
	return s.Err()
}
