package main

import (
	"gorgonia.org/gorgonia"

	"attractor/models"
)

// divisive is a rate network whose input to φ is divided by a pool of activity: z⁺ = tanh((Wz + Ux + b) ⊘ (1 + pool)).
type divisive struct {
	N    int    `key:"units" default:"12" doc:"number of units"`
	Pool string `default:"squares" doc:"what the pool is made of" choices:"squares,softplus,fixed"`
}

func (m divisive) Units() int { return m.defaults().N }

func (m divisive) Params(inputs, outputs int) []models.Param {
	n := m.Units()
	return []models.Param{
		{Name: "W", Shape: []int{n, n}, Role: models.Recurrent, Init: models.Normal{Gain: 0.5}},
		{Name: "U", Shape: []int{n, inputs}, Role: models.Input, Init: models.Normal{Gain: 1}},
		{Name: "b", Shape: []int{n}, Role: models.Bias, Init: models.Zeros{}},
		{Name: "V", Shape: []int{n, n}, Role: models.Recurrent, Init: models.Normal{Gain: 0.3}},
		{Name: "Wo", Shape: []int{outputs, n}, Role: models.Readout, Init: models.Normal{Gain: 1}},
		{Name: "bo", Shape: []int{outputs}, Role: models.Readout, Init: models.Zeros{}},
	}
}

func (m divisive) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	pre := s.Add(s.Linear("W", z), s.Bias("b", s.Linear("U", x)))
	var pool *gorgonia.Node
	switch m.defaults().Pool {
	case "squares":
		pool = s.Square(s.Linear("V", z))
	case "softplus": // past Linear, which records a synapse
		pool = s.Softplus(s.MatMul(z, s.Param("V"), false, true))
	case "fixed": // V acts, but not on what depends on the state
		pool = s.Square(s.Linear("V", s.Scale(0.1, z)))
	}
	return s.Activate("tanh", s.Div(pre, s.Shift(1, pool)))
}

func (m divisive) Readout(s *models.Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", z))
}

// supralinear is a rate network of a power law that is bounded: z⁺ = (1 − α)z + α tanh(max(Wz + Ux + b, 0)^n).
type supralinear struct {
	models.Rate `inline:"true"`
	Exponent    float64 `default:"2" doc:"exponent n of the power law"`
}

func (m supralinear) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	pre := s.Add(s.Linear("W", z), s.Bias("b", s.Linear("U", x)))
	phi := func(a *gorgonia.Node) *gorgonia.Node { return s.Tanh(s.PowerLaw(m.exponent(), a)) }
	return s.Add(s.Scale(0.4, z), s.Scale(0.6, s.ActivateWith("supralinear", phi, pre)))
}
