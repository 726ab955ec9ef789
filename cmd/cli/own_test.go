package cli

import (
	"attractor/deq"
	"attractor/models"
	"attractor/train"

	"gorgonia.org/gorgonia"
)

// mine are our parts and a model that someone else has written.
func mine[T deq.Float]() train.Parts[T] {
	p := train.Ours[T]()
	p.Models = p.Models.With(models.Entry{
		Name: "tiny", Doc: "a small cell of one line", Value: tiny{},
	})
	return p
}

// tiny is tanh(zWᵀ + xUᵀ) with the state read out as it is.
type tiny struct {
	N int `key:"units" default:"4" doc:"number of units"`
}

func (m tiny) Units() int { return m.N }

func (m tiny) Params(inputs, outputs int) []models.Param {
	return []models.Param{
		{Name: "W", Shape: []int{m.N, m.N}, Role: models.Recurrent, Init: models.Normal{Gain: 0.5}},
		{Name: "U", Shape: []int{m.N, inputs}, Role: models.Input, Init: models.Normal{Gain: 1}},
		{Name: "R", Shape: []int{outputs, m.N}, Role: models.Readout, Init: models.Normal{Gain: 1}},
	}
}

func (m tiny) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Activate("tanh", s.Add(s.Linear("W", z), s.Linear("U", x)))
}

func (m tiny) Readout(s *models.Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Linear("R", z)
}
