package deq

import (
	"fmt"

	"attractor/internal/engine"
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// function is one of the things that a layer evaluates, each a graph and a program of its
// own. f is the cell, pre its pre-activation (linear in z, x and the parameters θ), y
// the readout, u a cotangent or a tangent.
type function uint8

const (
	cell             function = iota // f(z, x)
	adjoint                          // uᵀ ∂f/∂z
	tangent                          // ∂f/∂z u
	gradient                         // uᵀ ∂f/∂θ
	pullback                         // uᵀ ∂f/∂z, uᵀ ∂f/∂θ
	gain                             // uᵀ ∂f/∂pre, which is α·φ′(pre)⊙u
	preActivation                    // pre(z, x)
	recurrent                        // ∂pre/∂z u, which is u·Wᵀ
	recurrentAdjoint                 // uᵀ ∂pre/∂z, which is u·W
	preGradient                      // uᵀ ∂pre/∂θ
	jacobianNorm                     // a = uᵀ ∂f/∂z; a ∂a/∂z, a ∂a/∂θ: the gradients of ½‖a‖²
	readout                          // y(z)
	readoutAdjoint                   // uᵀ ∂y/∂z
	readoutGradient                  // uᵀ ∂y/∂z, uᵀ ∂y/∂θ
	functions                        // how many there are
)

func (f function) String() string {
	return [...]string{"cell", "adjoint", "tangent", "gradient", "pullback", "gain", "pre-activation", "recurrent product",
		"recurrent adjoint", "pre-activation gradient", "norm of the Jacobian", "readout", "readout adjoint", "readout gradient"}[f]
}

// expression is the graph of one function: what it computes and from which inputs.
type expression struct {
	outs    gorgonia.Nodes
	param   []int          // the parameter that outs[i] is the gradient of, or −1
	z, x, u *gorgonia.Node // inputs; nil where the function has none
	theta   gorgonia.Nodes // parameters by index; nil where not used
	masks   []models.Mask  // of dropout
	inputs  []engine.Input
	leak    float64
	// activation is the cell's only one, empty if it has several
	activation string
}

// express builds the graph of one function for the given number of rows.
func express(f function, m models.Model, dims dims, rows int, dtype tensor.Dtype) (*expression, error) {
	s := models.NewScope(dtype, dims.params)
	e := &expression{theta: make(gorgonia.Nodes, len(dims.params))}
	e.z = s.Variable("z", rows, m.Units())
	var out *gorgonia.Node
	width := m.Units()
	if f == readout || f == readoutAdjoint || f == readoutGradient {
		out, width = m.Readout(s, e.z), dims.outputs
	} else {
		e.x = s.Variable("x", rows, dims.inputs)
		out = m.Cell(s, e.z, e.x)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if want := (tensor.Shape{rows, width}); !out.Shape().Eq(want) {
		return nil, fmt.Errorf("the model's %v has shape %v, expected %v", f, out.Shape(), want)
	}
	if err := checkMasks(s.Masks(), rows); err != nil {
		return nil, err
	}
	e.leak, e.masks = s.LeakRate(), s.Masks()
	if units := s.Units(); len(units) == 1 {
		e.activation = units[0].Activation
	}
	used := s.ParamNodes()
	for i, p := range dims.params {
		if n := used[p.Name]; n != nil {
			e.theta[i] = n
			e.inputs = append(e.inputs, engine.Input{Node: n, Rate: engine.Parameters})
		}
	}
	var err error
	switch f {
	case cell, readout:
		e.outs, e.param = gorgonia.Nodes{out}, []int{-1}
	case adjoint, readoutAdjoint:
		err = e.pullback(s, out, e.z)
	case tangent:
		err = e.pushforward(s, out)
	case gradient:
		err = e.pullback(s, out)
	case pullback, readoutGradient:
		err = e.pullback(s, out, e.z)
		if err == nil {
			z, param := e.outs, e.param
			err = e.pullback(s, out)
			e.outs, e.param = append(z, e.outs...), append(param, e.param...)
		}
	case jacobianNorm:
		err = e.norm(s, out)
	default: // of the pre-activation
		units := s.Units()
		if len(units) != 1 {
			return nil, fmt.Errorf("the cell has %d activations, expected exactly one", len(units))
		}
		pre := units[0].Pre
		switch f {
		case preActivation:
			e.outs, e.param = gorgonia.Nodes{pre}, []int{-1}
		case gain:
			err = e.pullback(s, out, pre)
		case recurrent:
			err = e.pushforward(s, pre)
		case recurrentAdjoint:
			err = e.pullback(s, pre, e.z)
		case preGradient:
			err = e.pullback(s, pre)
		}
	}
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return nil, err
	}
	if (f == readoutAdjoint || f == readoutGradient) && !e.onState() {
		return nil, fmt.Errorf("the model's readout does not depend on the state")
	}
	state, drive := engine.State, engine.Batch
	if e.u != nil {
		state, drive = engine.Linearisation, engine.Linearisation
		e.inputs = append(e.inputs, engine.Input{Node: e.u, Rate: engine.Cotangent})
	}
	e.inputs = append(e.inputs, engine.Input{Node: e.z, Rate: state})
	if e.x != nil {
		e.inputs = append(e.inputs, engine.Input{Node: e.x, Rate: drive})
	}
	for _, m := range e.masks {
		e.inputs = append(e.inputs, engine.Input{Node: m.Node, Rate: drive})
	}
	return e, nil
}

// onState reports whether the first output is the gradient of the state; it is not where the
// function does not depend on it.
func (e *expression) onState() bool { return len(e.param) > 0 && e.param[0] < 0 }

// pullback makes the expression uᵀ ∂out/∂wrt for one node, or for all parameters when none
// is given; those that out does not depend on have no output.
func (e *expression) pullback(s *models.Scope, out *gorgonia.Node, wrt ...*gorgonia.Node) error {
	param := []int{-1}
	if len(wrt) == 0 {
		param = nil
		for i, n := range e.theta {
			if n != nil {
				wrt, param = append(wrt, n), append(param, i)
			}
		}
	}
	if e.u == nil {
		e.u = s.Variable("u", out.Shape()[0], out.Shape()[1])
	}
	grads, err := vjp.VJP(gorgonia.Nodes{out}, gorgonia.Nodes{e.u}, wrt)
	if err != nil {
		return err
	}
	e.outs, e.param = nil, nil
	for i, g := range grads {
		if g != nil {
			e.outs, e.param = append(e.outs, g), append(e.param, param[i])
		}
	}
	return nil
}

// norm makes the expression a = uᵀ ∂out/∂z and the gradients of ½‖a‖² for the parameters and,
// marked −2, for z: second derivatives of out.
func (e *expression) norm(s *models.Scope, out *gorgonia.Node) error {
	if err := e.pullback(s, out, e.z); err != nil || len(e.outs) == 0 {
		return err
	}
	a := e.outs[:1:1]
	wrt, param := gorgonia.Nodes{e.z}, []int{-2}
	for i, n := range e.theta {
		if n != nil {
			wrt, param = append(wrt, n), append(param, i)
		}
	}
	grads, err := vjp.VJP(a, a, wrt)
	if err != nil {
		return err
	}
	e.outs = a
	for i, g := range grads {
		if g != nil {
			e.outs, e.param = append(e.outs, g), append(e.param, param[i])
		}
	}
	return nil
}

// pushforward makes the expression ∂out/∂z u.
func (e *expression) pushforward(s *models.Scope, out *gorgonia.Node) error {
	e.u = s.Variable("u", e.z.Shape()[0], e.z.Shape()[1])
	if err := s.Err(); err != nil {
		return err
	}
	products, err := vjp.JVP(gorgonia.Nodes{out}, gorgonia.Nodes{e.z}, gorgonia.Nodes{e.u}, "dummy")
	if err != nil {
		return err
	}
	if products[0] != nil {
		e.outs, e.param = products, []int{-1}
	}
	return nil
}
