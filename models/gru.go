package models

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"attractor/train/kit"
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
// With reset after, the reset gate acts on the product, r⊙(z·Wnᵀ), as in cuDNN: a unit's gates then act
// on itself alone, so that rules local to synapses teach the reset gate too.
//
// Paper: Cho et al. 2014, arXiv:1406.1078, with u for their 1 − z.
type GRU struct {
	kit.Zeros
	N          int     `key:"units" default:"128" doc:"number of units n" max:"1e6: no memory holds the weights between more"`
	Gain       float64 `default:"0.5" doc:"gain g of the candidate's initial recurrent weights, g·randn/√n"`
	GateGain   float64 `default:"0.5" doc:"gain of the gates' initial recurrent weights"`
	InputGain  float64 `default:"1" doc:"gain of all initial input weights, g·randn/√inputs"`
	UpdateBias float64 `default:"1" doc:"initial bias of the update gate; large lets the state follow n at once"`
	Reset      string  `default:"before" doc:"whether the reset gate acts before the product with Wn or after it" choices:"before,after"`
}

// Validate reports options outside their range.
func (m GRU) Validate() error {
	m = kit.WithDefaults(m)
	switch {
	case m.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", m.N)
	case !(m.Gain >= 0), !(m.GateGain >= 0), !(m.InputGain >= 0):
		return fmt.Errorf("gain: expected numbers of at least 0, found %g, gate_gain %g and input_gain %g", m.Gain, m.GateGain, m.InputGain)
	case m.Reset != "before" && m.Reset != "after":
		return fmt.Errorf("reset: expected before or after, found %q", m.Reset)
	case m.UpdateBias-m.UpdateBias != 0:
		return fmt.Errorf("update_bias: expected a finite number, found %g", m.UpdateBias)
	}
	return nil
}

// Units implements Model.
func (m GRU) Units() int { return kit.WithDefaults(m).N }

// Params implements Model: for each of u, r and n a W [n, n], a U [n, inputs] and a b [n];
// Wo [outputs, n], bo [outputs].
func (m GRU) Params(inputs, outputs int) []Param {
	m = kit.WithDefaults(m)
	return gated(m.N, inputs, outputs, m.InputGain, []gate{{"u", m.GateGain, m.UpdateBias}, {"r", m.GateGain, 0}, {"n", m.Gain, 0}})
}

// Cell implements Model.
func (m GRU) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	unit := func(name, activation string, recurrent *gorgonia.Node) *gorgonia.Node {
		return s.Activate(activation, s.Add(recurrent, s.Bias("b"+name, s.Linear("U"+name, x))))
	}
	u, r := unit("u", "sigmoid", s.Linear("Wu", z)), unit("r", "sigmoid", s.Linear("Wr", z))
	var recurrent *gorgonia.Node
	if kit.WithDefaults(m).Reset == "after" {
		recurrent = s.Mul(r, s.Linear("Wn", z))
	} else {
		recurrent = s.Linear("Wn", s.Mul(r, z))
	}
	n := unit("n", "tanh", recurrent)
	return s.Add(z, s.Mul(u, s.Sub(n, z)))
}

// Readout implements Model.
func (m GRU) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", z))
}
