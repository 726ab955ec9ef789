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
	cell                  function = iota // f(z, x)
	adjoint                               // uᵀ ∂f/∂z
	adjointCut                            // the same with the products of synapses cut
	tangent                               // ∂f/∂z u
	gradient                              // uᵀ ∂f/∂θ
	pullback                              // uᵀ ∂f/∂z, uᵀ ∂f/∂θ
	gain                                  // uᵀ ∂f/∂pre, which is α·φ′(pre)⊙u
	preActivation                         // pre(z, x)
	activated                             // f from z and a pre-activation of its own
	recurrent                             // ∂pre/∂z u, which is u·Wᵀ
	recurrentAdjoint                      // uᵀ ∂pre/∂z, which is u·W
	preGradient                           // uᵀ ∂pre/∂θ
	local                                 // uᵀ ∂f/∂a and uᵀ ∂f/∂z with the products a of synapses cut, and the presynaptic activities, from the marks of a step
	jacobianNorm                          // a = uᵀ ∂f/∂z; a ∂a/∂z, a ∂a/∂θ: the gradients of ½‖a‖²
	tangentPullback                       // of s = aᵀf + uᵀ ∂f/∂z v: ∂s/∂v, ∂s/∂z, ∂s/∂θ
	tangentPullbackCut                    // the same, ∂s/∂z with the products of synapses cut
	tangentPullbackFrozen                 // ∂(uᵀ ∂f/∂z v)/∂θ with the activations as they are
	step                                  // f(z, x) and the marks of the step
	stepAdjoint                           // uᵀ ∂f/∂z from the marks of a step
	stepInputs                            // uᵀ ∂f/∂z, uᵀ ∂f/∂x from the marks of a step
	stepCut                               // stepAdjoint with the products of synapses cut
	stepUnit                              // stepAdjoint with the diagonal of ∂f/∂z alone
	stepCutGradient                       // stepGradient with what synapses get cut
	stepGradient                          // uᵀ ∂f/∂θ from the marks of several steps, whose rows follow one another
	readout                               // y(z)
	rates                                 // r(z) of a readout y = r·Wᵀ + b
	readoutAdjoint                        // uᵀ ∂y/∂z
	readoutGradient                       // uᵀ ∂y/∂z, uᵀ ∂y/∂θ
	stepReadout                           // readout of several steps, whose rows follow one another
	stepReadoutGradient                   // readoutGradient of several steps
	kinks                                 // where the cell has kinks, from the sides
	sidedTangent                          // ∂f/∂z u on given sides of the kinks, and the same of where they are
	functions                             // how many there are
)

func (f function) String() string {
	return [...]string{"cell", "adjoint", "cut adjoint", "tangent", "gradient", "pullback", "gain", "pre-activation", "activation", "recurrent product",
		"recurrent adjoint", "pre-activation gradient", "sight of synapses", "norm of the Jacobian",
		"pullback of a tangent", "cut pullback of a tangent", "frozen pullback of a tangent",
		"step", "adjoint of a step", "adjoint of a step and its inputs", "cut adjoint of a step", "own adjoint of a step's units",
		"cut gradient of steps", "gradient of steps", "readout", "rates that are read out", "readout adjoint", "readout gradient", "readout of steps", "readout gradient of steps", "kinks", "product with the Jacobian on a side of kinks"}[f]
}

// expression is the graph of one function: what it computes and from which inputs.
type expression struct {
	outs    gorgonia.Nodes
	param   []int          // the parameter that outs[i] is the gradient of, or one of ofState, …
	z, x, u *gorgonia.Node // inputs; nil where the function has none
	v, a    *gorgonia.Node // more of them, with u
	fz      *gorgonia.Node // f(z, x), where derivatives are had from it; its value is then given
	pre     *gorgonia.Node // an input of activated
	theta   gorgonia.Nodes // parameters by index; nil where not used
	masks   []models.Mask  // of dropout
	noises  []models.Noise
	kinks   []models.Kink // of the cell
	places  []int         // of what a function of their sides puts out; −1 for what is 0
	marks   []mark        // that a step puts out and the way back takes in
	local   sight         // what local puts out
	inputs  []engine.Input
	leak    float64
	// activation is the cell's only one, empty if it has several
	activation string
}

// differentiatesCell reports whether derivatives of the activation are part of the function.
func (f function) differentiatesCell() bool {
	switch f {
	case adjoint, adjointCut, tangent, gradient, pullback, gain, jacobianNorm, tangentPullback, tangentPullbackCut, tangentPullbackFrozen:
		return true
	}
	return false
}

// ofStep reports whether the function goes back over a step from its marks.
func (f function) ofStep() bool {
	switch f {
	case stepAdjoint, stepInputs, stepCut, stepUnit, stepGradient, stepCutGradient:
		return true
	}
	return false
}

// ofReadout reports whether the function is of the readout, not of the cell.
func (f function) ofReadout() bool {
	switch f {
	case readout, rates, readoutAdjoint, readoutGradient, stepReadout, stepReadoutGradient:
		return true
	}
	return false
}

// ofSteps reports whether the function takes several steps at once.
func (f function) ofSteps() bool {
	switch f {
	case stepGradient, stepCutGradient, stepReadout, stepReadoutGradient:
		return true
	}
	return false
}

// afterStep reports whether the function takes in the marks of a step.
func (f function) afterStep() bool {
	return f.ofStep() || f == local
}

// ofPre reports whether the function is one of the pre-activation, which a cell of another form has not.
func (f function) ofPre() bool {
	switch f {
	case gain, preActivation, activated, recurrent, recurrentAdjoint, preGradient:
		return true
	}
	return false
}

// byValue are the activations whose derivatives are functions of their values: tanh′ = 1 − tanh²,
// σ′ = σ(1 − σ).
var byValue = map[string]bool{"tanh": true, "sigmoid": true}

// of is the parameter of an output that is not a parameter's gradient.
const (
	ofState = -1 - iota // or the function's value
	ofPoint             // the state where a product with the Jacobian is taken
	ofInput
)

// express builds the graph of one function for the given number of rows.
func express(f function, m models.Model, dims dims, rows int, dtype tensor.Dtype) (*expression, error) {
	s := models.NewScope(dtype, dims.params)
	e := &expression{theta: make(gorgonia.Nodes, len(dims.params))}
	e.z = s.Variable("z", rows, m.Units())
	var out *gorgonia.Node
	width := m.Units()
	if f.ofReadout() {
		out, width = m.Readout(s, e.z), dims.outputs
	} else {
		if f == kinks || f == sidedTangent {
			s.TakeSides()
		}
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
	e.leak, e.masks, e.noises = 1, s.Masks(), s.Noises()
	if !f.ofReadout() {
		var whole gorgonia.Nodes
		for _, u := range s.Units() {
			whole = append(whole, u.Post)
		}
		e.leak = leakOf(out, e.z, s.LeakRate(), whole...)
		e.kinks = s.Kinks()
	}
	if units := s.Units(); len(units) == 1 && units[0].Pre != e.z {
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
	case cell, readout, stepReadout:
		e.outs, e.param = gorgonia.Nodes{out}, []int{ofState}
	case rates:
		err = e.rates(s, out, dims.params)
	case step:
		e.mark(s, out, dims.params)
	case adjoint, readoutAdjoint, stepAdjoint:
		err = e.pullback(s, out, e.z)
	case local:
		err = e.look(s, out, dims.params)
	case adjointCut, stepCut:
		err = e.pullbackWithin(s, out, e.z)
	case stepUnit:
		err = e.pullbackUnit(s, out, m.Units()/models.Slots(m))
	case stepCutGradient:
		err = e.pullbackWithin(s, out)
	case tangent:
		err = e.pushforward(s, out)
	case kinks:
		for _, k := range e.kinks {
			e.places = append(e.places, len(e.outs))
			e.outs, e.param = append(e.outs, k.At), append(e.param, ofState)
		}
	case sidedTangent:
		err = e.sidedTangent(s, out)
	case stepInputs:
		err = e.pullback(s, out, e.z, e.x)
	case gradient, stepGradient:
		err = e.pullback(s, out)
	case pullback, readoutGradient, stepReadoutGradient:
		err = e.pullback(s, out, e.z)
		if err == nil {
			z, param := e.outs, e.param
			err = e.pullback(s, out)
			e.outs, e.param = append(z, e.outs...), append(param, e.param...)
		}
	case jacobianNorm:
		err = e.norm(s, out)
	case tangentPullback, tangentPullbackCut, tangentPullbackFrozen:
		err = e.tangentPullback(s, f, out)
	default: // of the pre-activation
		pre := s.Units()[0].Pre
		switch f {
		case preActivation:
			e.outs, e.param = gorgonia.Nodes{pre}, []int{ofState}
		case activated:
			e.outs, e.param, e.pre = gorgonia.Nodes{out}, []int{ofState}, pre
			e.inputs = append(e.inputs, engine.Input{Node: pre, Rate: engine.State})
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
	if f.ofReadout() && e.u != nil && !e.onState() {
		return nil, fmt.Errorf("the model's readout does not depend on the state")
	}
	state, drive := engine.State, engine.Batch
	switch {
	case f.ofStep(), f == stepReadoutGradient:
		// Each step has a state of its own: nothing is to be kept from one to the next.
		state, drive = engine.Cotangent, engine.Cotangent
	case e.u != nil:
		state, drive = engine.Linearisation, engine.Linearisation
	}
	if f.afterStep() {
		e.marks = needed(candidates(s, e.z, e.x), e.outs)
		for _, m := range e.marks {
			e.inputs = append(e.inputs, engine.Input{Node: m.node, Rate: state})
		}
	}
	for _, n := range []*gorgonia.Node{e.u, e.v, e.a} {
		if n != nil {
			e.inputs = append(e.inputs, engine.Input{Node: n, Rate: engine.Cotangent})
		}
	}
	e.inputs = append(e.inputs, engine.Input{Node: e.z, Rate: state})
	if e.x != nil {
		e.inputs = append(e.inputs, engine.Input{Node: e.x, Rate: drive})
	}
	if f.differentiatesCell() && byValue[e.activation] && s.Units()[0].Post == out {
		e.fz = out
		e.inputs = append(e.inputs, engine.Input{Node: e.fz, Rate: engine.Linearisation})
	}
	for _, m := range e.masks {
		e.inputs = append(e.inputs, engine.Input{Node: m.Node, Rate: drive})
	}
	for _, n := range e.noises {
		e.inputs = append(e.inputs, engine.Input{Node: n.Node, Rate: state})
	}
	for _, k := range e.kinks {
		if k.Side != nil {
			e.inputs = append(e.inputs, engine.Input{Node: k.Side, Rate: state})
		}
	}
	return e, nil
}

// onState reports whether the first output is the gradient of the state; it is not where the
// function does not depend on it.
func (e *expression) onState() bool { return len(e.param) > 0 && e.param[0] == ofState }

// pullback makes the expression uᵀ ∂out/∂wrt for a node, for the state and the input, or for all
// parameters when none is given; those that out does not depend on have no output.
func (e *expression) pullback(s *models.Scope, out *gorgonia.Node, wrt ...*gorgonia.Node) error {
	param := []int{ofState, ofInput}
	if len(wrt) == 0 {
		wrt, param = e.parameters()
	}
	if e.u == nil {
		e.u = s.Variable("u", out.Shape()[0], out.Shape()[1])
	}
	e.outs, e.param = nil, nil
	return e.derive(gorgonia.Nodes{out}, gorgonia.Nodes{e.u}, wrt, param)
}

// norm makes the expression a = uᵀ ∂out/∂z and the gradients of ½‖a‖² for the parameters and,
// as ofPoint, for z: second derivatives of out.
func (e *expression) norm(s *models.Scope, out *gorgonia.Node) error {
	if err := e.pullback(s, out, e.z); err != nil || len(e.outs) == 0 {
		return err
	}
	a := e.outs[:1:1]
	wrt, param := e.parameters()
	return e.derive(a, a, append(wrt, e.z), append(param, ofPoint))
}

// parameters lists the parameters that the function has, with their indices.
func (e *expression) parameters() (nodes gorgonia.Nodes, index []int) {
	for i, n := range e.theta {
		if n != nil {
			nodes, index = append(nodes, n), append(index, i)
		}
	}
	return nodes, index
}

// derive adds the expressions Σ cotangentᵀ ∂of/∂wrt to the outputs, marked by param, but for those
// that nothing depends on. Nodes of stop count as constants.
func (e *expression) derive(of, cotangents, wrt gorgonia.Nodes, param []int, stop ...*gorgonia.Node) error {
	grads, err := vjp.VJP(of, cotangents, wrt, stop...)
	if err != nil {
		return err
	}
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
		e.outs, e.param = products, []int{ofState}
	}
	return nil
}
