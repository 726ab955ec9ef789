package deq

import (
	"cmp"
	"fmt"

	"attractor/models"

	"gorgonia.org/gorgonia"
)

// TangentVJP goes back over a step of states and tangents (z, v) → (f(z, x), ∂f/∂z v): of
//
//	s = Σ aᵀ f(z, x) + wᵀ ∂f/∂z v
//
// it writes ∂s/∂v to dv and ∂s/∂z to dz, all [rows, Units], and adds ∂s/∂θ to g: for what depends on
// Jacobians along a trajectory, such as its Lyapunov exponents. With FrozenCredit a is not used and dv
// and dz are 0. An operation of the cell may lack the second derivative, which is an error.
func (e *Equilibrium[T]) TangentVJP(v, w, a []T, credit Credit, dv, dz []T, g Params[T]) error {
	if err := cmp.Or(e.checkStates("v", v, "w", w), e.checkState("a", a), e.checkStates("dv", dv, "dz", dz)); err != nil {
		return err
	}
	f, ok := map[Credit]function{AllCredit: tangentPullback, CutCredit: tangentPullbackCut, FrozenCredit: tangentPullbackFrozen}[credit]
	if !ok {
		return fmt.Errorf("deq: no tangent goes back by credit %d", credit)
	}
	clear(dv)
	clear(dz)
	return e.layer.accumulate(e.made, e.Rows, g, func(s *shard[T], n int) (*unit[T], error) {
		u, err := s.program(f)
		if err != nil {
			return nil, err
		}
		for node, data := range map[*gorgonia.Node][]T{u.expr.v: v, u.expr.a: a} {
			if node == nil {
				continue
			}
			if err := u.program.Bind(node, e.states(s, n, data)); err != nil {
				return nil, err
			}
		}
		if u, err = s.apply(f, e.at(s, n), s.all(n), e.states(s, n, w)); err != nil {
			return nil, err
		}
		for i, p := range u.expr.param {
			switch p {
			case ofState:
				copy(e.states(s, n, dv), u.program.Out(i))
			case ofPoint:
				copy(e.states(s, n, dz), u.program.Out(i))
			}
		}
		return u, nil
	})
}

// CheckTangentVJP reports why TangentVJP cannot be had.
func (l *Layer[T]) CheckTangentVJP() error {
	_, err := l.shards[0].program(tangentPullback)
	return err
}

// tangentPullback makes the expressions of TangentVJP from r = uᵀ ∂out/∂z, which is ∂s/∂v: s is
// aᵀout + rᵀv.
func (e *expression) tangentPullback(s *models.Scope, f function, out *gorgonia.Node) error {
	if err := e.pullback(s, out, e.z); err != nil || len(e.outs) == 0 {
		return err
	}
	rows, columns := out.Shape()[0], out.Shape()[1]
	e.v = s.Variable("tangent", rows, columns)
	if err := s.Err(); err != nil {
		return err
	}
	sum, cotangents := gorgonia.Nodes{e.outs[0]}, gorgonia.Nodes{e.v}
	theta, index := e.parameters()
	if f == tangentPullbackFrozen {
		var frozen gorgonia.Nodes
		for _, u := range s.Units() {
			frozen = append(frozen, u.Pre)
		}
		e.outs, e.param = nil, nil
		return e.derive(sum, cotangents, theta, index, frozen...)
	}
	e.a = s.Variable("cotangent", rows, columns)
	if err := s.Err(); err != nil {
		return err
	}
	sum, cotangents = append(sum, out), append(cotangents, e.a)
	var cut gorgonia.Nodes
	if f == tangentPullbackCut {
		for _, synapse := range s.Synapses() {
			cut = append(cut, synapse.Product)
		}
	}
	if err := e.derive(sum, cotangents, gorgonia.Nodes{e.z}, []int{ofPoint}, cut...); err != nil {
		return err
	}
	return e.derive(sum, cotangents, theta, index)
}
