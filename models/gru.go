package models

import (
	"fmt"

	"attractor/internal/options"

	"gorgonia.org/gorgonia"
)

// GRU is the gated recurrent unit as an equilibrium cell,
//
//	u = σ(z·Wuᵀ + x·Uuᵀ + bu)
//	r = σ(z·Wrᵀ + x·Urᵀ + br)
//	n = tanh((r⊙z)·Wnᵀ + x·Unᵀ + bn)
//	f(z, x) = (1−u)⊙z + u⊙n,   y = z·Woᵀ + bo
//
// with z [batch, units], x [batch, inputs], y [batch, outputs]. u is a leak of each unit's
// own: since σ is positive the fixed points are those of n alone, z* = n(z*, x), and u decides
// how fast they are reached. Recurrent weights are drawn from N(0, gain²/units) for
// the candidate n and N(0, gate_gain²/units) for the gates, input weights from
// N(0, input_gain²/inputs), Wo with gain 1; biases start at 0, but bu at update_bias.
//
// Paper: Cho et al. 2014, arXiv:1406.1078, with u for their 1 − z.
type GRU struct {
	N          int     `key:"units" default:"128" doc:"number of units n"`
	Gain       float64 `default:"0.5" doc:"gain g of the candidate's initial recurrent weights, g·randn/√n"`
	GateGain   float64 `default:"0.5" doc:"gain of the gates' initial recurrent weights"`
	InputGain  float64 `default:"1" doc:"gain of all initial input weights, g·randn/√inputs"`
	UpdateBias float64 `default:"1" doc:"initial bias of the update gate; large lets the state follow n at once"`
}

// Validate reports options outside their range.
func (m GRU) Validate() error {
	m = options.WithDefaults(m)
	switch {
	case m.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", m.N)
	case !(m.Gain > 0), !(m.GateGain > 0), !(m.InputGain > 0):
		return fmt.Errorf("gain: expected positive numbers, found %g, gate_gain %g and input_gain %g", m.Gain, m.GateGain, m.InputGain)
	case m.UpdateBias-m.UpdateBias != 0:
		return fmt.Errorf("update_bias: expected a finite number, found %g", m.UpdateBias)
	}
	return nil
}

// Units implements Model.
func (m GRU) Units() int { return options.WithDefaults(m).N }

// Params implements Model: for each of u, r and n a W [n, n], a U [n, inputs] and a b [n];
// Wo [outputs, n], bo [outputs].
func (m GRU) Params(inputs, outputs int) []Param {
	m = options.WithDefaults(m)
	var params []Param
	for _, p := range []struct {
		name       string
		gain, bias float64
	}{{"u", m.GateGain, m.UpdateBias}, {"r", m.GateGain, 0}, {"n", m.Gain, 0}} {
		params = append(params,
			Param{Name: "W" + p.name, Shape: []int{m.N, m.N}, Role: Recurrent, Init: Normal{Gain: p.gain}},
			Param{Name: "U" + p.name, Shape: []int{m.N, inputs}, Role: Input, Init: Normal{Gain: m.InputGain}},
			Param{Name: "b" + p.name, Shape: []int{m.N}, Role: Bias, Init: Constant{Value: p.bias}})
	}
	return append(params,
		Param{Name: "Wo", Shape: []int{outputs, m.N}, Role: Readout, Init: Normal{Gain: 1}},
		Param{Name: "bo", Shape: []int{outputs}, Role: Readout, Init: Zeros{}})
}

// Cell implements Model.
func (m GRU) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	unit := func(name, activation string, pre *gorgonia.Node) *gorgonia.Node {
		drive := s.Bias("b"+name, s.Linear("U"+name, x))
		return s.Activate(activation, s.Add(s.Linear("W"+name, pre), drive))
	}
	u, r := unit("u", "sigmoid", z), unit("r", "sigmoid", z)
	n := unit("n", "tanh", s.Mul(r, z))
	return s.Add(z, s.Mul(u, s.Sub(n, z)))
}

// Readout implements Model.
func (m GRU) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", z))
}
