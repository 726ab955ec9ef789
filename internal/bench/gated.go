package bench

import (
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// gated is a cell with the products of a gated recurrent unit:
//
//	r = σ(zWrᵀ + xUrᵀ + br),   u = σ(zWuᵀ + xUuᵀ + bu)
//	n = tanh((r⊙z)Wnᵀ + xUnᵀ + bn),   f = n + u⊙(z − n)
//
// with z [batch, units] (Cho et al. 2014, arXiv:1406.1078).
type gated struct{ units int }

func (g gated) Units() int { return g.units }

func (g gated) Params(inputs, outputs int) []models.Param {
	var params []models.Param
	for _, gate := range []string{"r", "u", "n"} {
		params = append(params,
			models.Param{Name: "W" + gate, Shape: []int{g.units, g.units}, Role: models.Recurrent, Init: models.Normal{Gain: 0.5}},
			models.Param{Name: "U" + gate, Shape: []int{g.units, inputs}, Role: models.Input, Init: models.Normal{Gain: 1}},
			models.Param{Name: "b" + gate, Shape: []int{g.units}, Role: models.Bias, Init: models.Zeros{}})
	}
	return append(params, models.Param{Name: "Wo", Shape: []int{outputs, g.units}, Role: models.Readout, Init: models.Normal{Gain: 1}})
}

func (g gated) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	gate := func(name, activation string, from *gorgonia.Node) *gorgonia.Node {
		drive := s.Bias("b"+name, s.Linear("U"+name, x))
		return s.Activate(activation, s.Add(s.Linear("W"+name, from), drive))
	}
	r, u := gate("r", "sigmoid", z), gate("u", "sigmoid", z)
	n := gate("n", "tanh", s.Mul(r, z))
	return s.Add(n, s.Mul(u, s.Sub(z, n)))
}

func (g gated) Readout(s *models.Scope, z *gorgonia.Node) *gorgonia.Node { return s.Linear("Wo", z) }
