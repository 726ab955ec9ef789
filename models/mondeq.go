package models

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"attractor/train/kit"
)

// MonDEQ is the monotone operator equilibrium network of Winston & Kolter 2020
// (arXiv:2006.08591),
//
//	f(z, x) = φ(z·Wᵀ + x·Uᵀ + b),   W = (1−m)I − AᵀA + B − Bᵀ,   y = z·Woᵀ + bo
//
// with z [batch, units], x [batch, inputs], y [batch, outputs]. I − W ⪰ mI for every A and B, so
// that the fixed point exists and is unique whatever training does. Iterating f need not
// converge to it; Anderson's and Broyden's methods do in practice, operator splitting always.
type MonDEQ struct {
	kit.Zeros
	N          int     `key:"units" default:"128" doc:"number of units n" max:"1e6: no memory holds the weights between more"`
	Activation string  `default:"relu" doc:"activation φ, of slope 0 to 1" choices:"tanh,relu,softplus,linear"`
	Margin     float64 `default:"0.5" doc:"strong monotonicity m in (0, 1]"`
	Gain       float64 `default:"0.5" doc:"gain g of the initial A and B, g·randn/√n"`
	InputGain  float64 `default:"2" doc:"gain of the initial input weights, g·randn/√inputs"`
}

// Validate reports options outside their range.
func (m MonDEQ) Validate() error {
	m = kit.WithDefaults(m)
	switch {
	case m.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", m.N)
	case !slices.Contains([]string{"tanh", "relu", "softplus", "linear"}, m.Activation):
		return fmt.Errorf("activation: expected tanh, relu, softplus or linear, found %q", m.Activation)
	case !(m.Margin > 0 && m.Margin <= 1):
		return fmt.Errorf("margin: expected a number in (0, 1], found %g", m.Margin)
	case !(m.Gain >= 0), !(m.InputGain >= 0):
		return fmt.Errorf("gain: expected numbers of at least 0, found %g and input_gain %g", m.Gain, m.InputGain)
	}
	return nil
}

// Units implements Model.
func (m MonDEQ) Units() int { return kit.WithDefaults(m).N }

// Params implements Model: A, B [n, n], U [n, inputs], b [n], Wo [outputs, n], bo [outputs].
func (m MonDEQ) Params(inputs, outputs int) []Param {
	m = kit.WithDefaults(m)
	return []Param{
		{Name: "A", Shape: []int{m.N, m.N}, Role: Recurrent, Init: Normal{Gain: m.Gain}},
		{Name: "B", Shape: []int{m.N, m.N}, Role: Recurrent, Init: Normal{Gain: m.Gain}},
		{Name: "U", Shape: []int{m.N, inputs}, Role: Input, Init: Normal{Gain: m.InputGain}},
		{Name: "b", Shape: []int{m.N}, Role: Bias, Init: Zeros{}},
		{Name: "Wo", Shape: []int{outputs, m.N}, Role: Readout, Init: Normal{Gain: 1}},
		{Name: "bo", Shape: []int{outputs}, Role: Readout, Init: Zeros{}},
	}
}

// Cell implements Model, with zWᵀ = (1−m)z − (zAᵀ)A + zBᵀ − zB.
func (m MonDEQ) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	m = kit.WithDefaults(m)
	symmetric := s.MatMul(s.Linear("A", z), s.Param("A"), false, false)
	skew := s.Sub(s.Linear("B", z), s.MatMul(z, s.Param("B"), false, false))
	recurrent := s.Add(s.Sub(skew, symmetric), s.Scale(1-m.Margin, z))
	return s.Activate(m.Activation, s.Add(recurrent, s.Bias("b", s.Linear("U", x))))
}

// Readout implements Model.
func (m MonDEQ) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", z))
}
