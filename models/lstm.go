package models

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"attractor/train/kit"
)

// LSTM is the network of long short-term memory with forget gates,
//
//	i = σ(h·Wiᵀ + x·Uiᵀ + bi)     f = σ(h·Wfᵀ + x·Ufᵀ + bf)
//	g = tanh(h·Wgᵀ + x·Ugᵀ + bg)   q = σ(h·Wqᵀ + x·Uqᵀ + bq)
//	c⁺ = f⊙c + i⊙g                 h⁺ = q⊙tanh(c⁺),   y = h·Woᵀ + bo
//
// whose state z = [h | c] [batch, 2·units] has two variables of each unit, x [batch, inputs], y [batch,
// outputs]. q is the output gate; Wo is the readout's. Recurrent weights of the candidate g are drawn
// from N(0, gain²/units), those of gates from N(0, gate_gain²/units), input weights from
// N(0, input_gain²/inputs), Wo with gain 1; biases start at 0, but bf at forget_bias.
//
// Papers: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber & Cummins 2000,
// doi:10.1162/089976600300015015.
type LSTM struct {
	kit.Zeros
	N          int     `key:"units" default:"128" doc:"number of units n, of two variables each" max:"1e6: no memory holds the weights between more"`
	Gain       float64 `default:"1" doc:"gain g of the candidate's initial recurrent weights, g·randn/√n"`
	GateGain   float64 `default:"1" doc:"gain of the gates' initial recurrent weights"`
	InputGain  float64 `default:"1" doc:"gain of all initial input weights, g·randn/√inputs"`
	ForgetBias float64 `default:"1" doc:"initial bias of the forget gate; large keeps c for long"`
}

// Validate reports options outside their range.
func (m LSTM) Validate() error {
	m = kit.WithDefaults(m)
	switch {
	case m.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", m.N)
	case !(m.Gain >= 0), !(m.GateGain >= 0), !(m.InputGain >= 0):
		return fmt.Errorf("gain: expected numbers of at least 0, found %g, gate_gain %g and input_gain %g", m.Gain, m.GateGain, m.InputGain)
	case m.ForgetBias-m.ForgetBias != 0:
		return fmt.Errorf("forget_bias: expected a finite number, found %g", m.ForgetBias)
	}
	return nil
}

// Units implements Model.
func (m LSTM) Units() int { return 2 * kit.WithDefaults(m).N }

// Slots implements Slotted.
func (LSTM) Slots() int { return 2 }

// Params implements Model: for each of i, f, g and q a W [n, n], a U [n, inputs] and a b [n];
// Wo [outputs, n], bo [outputs].
func (m LSTM) Params(inputs, outputs int) []Param {
	m = kit.WithDefaults(m)
	return gated(m.N, inputs, outputs, m.InputGain, []gate{
		{"i", m.GateGain, 0}, {"f", m.GateGain, m.ForgetBias}, {"g", m.Gain, 0}, {"q", m.GateGain, 0},
	})
}

// Cell implements Model.
func (m LSTM) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	n := kit.WithDefaults(m).N
	h, c := s.Slice(z, 0, n), s.Slice(z, n, 2*n)
	unit := func(name, activation string) *gorgonia.Node {
		drive := s.Bias("b"+name, s.Linear("U"+name, x))
		return s.Activate(activation, s.Add(s.Linear("W"+name, h), drive))
	}
	i, f, g, q := unit("i", "sigmoid"), unit("f", "sigmoid"), unit("g", "tanh"), unit("q", "sigmoid")
	next := s.Add(s.Mul(f, c), s.Mul(i, g))
	return s.Concat(s.Mul(q, s.Tanh(next)), next)
}

// Readout implements Model.
func (m LSTM) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", s.Slice(z, 0, kit.WithDefaults(m).N)))
}
