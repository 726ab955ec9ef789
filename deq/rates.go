package deq

import (
	"cmp"
	"fmt"
	"slices"

	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// rates makes the expression of what a readout y = r·Wᵀ + b weighs; no output where that is the state itself.
func (e *expression) rates(s *models.Scope, y *gorgonia.Node, params []models.Param) error {
	synapses, biases := s.Synapses(), s.Biases()
	if len(synapses) != 1 || len(biases) > 1 {
		return fmt.Errorf("the readout has %d products with weights and %d biases: expected y = r·Wᵀ + b, with one of each at most", len(synapses), len(biases))
	}
	parts := gorgonia.Nodes{y}
	if len(biases) == 1 {
		parts = vjp.Children(y)
	}
	for _, part := range append(synapses, biases...) {
		if !slices.Contains(parts, part.Product) || part.Weights != s.ParamNodes()[part.Param] {
			return fmt.Errorf("the readout is not y = r·Wᵀ + b: %s acts on it otherwise", part.Param)
		}
		own := Synapse{Param: part.Param, Role: models.Readout, Post: part.Product.Shape()[1]}
		if part.Pre != nil {
			own.Pre = part.Pre.Shape()[1]
		}
		e.local.synapses = append(e.local.synapses, own)
	}
	if r := synapses[0].Pre; r != e.z {
		e.outs, e.param = gorgonia.Nodes{r}, []int{ofState}
	}
	return nil
}

// ReadoutSynapses lists those of a readout y = r·Wᵀ + b, W and then b, if there is one. Of another readout it
// is an error.
func (l *Layer[T]) ReadoutSynapses() ([]Synapse, error) {
	u, err := l.shards[0].program(rates)
	if err != nil {
		return nil, err
	}
	return slices.Clone(u.expr.local.synapses), nil
}

// Rates writes the r [rows, Pre] that a readout y = r·Wᵀ + b weighs in the states z [rows, Units]. For
// other readouts see ReadoutSynapses.
func (l *Layer[T]) Rates(z, r []T) error {
	u, err := l.shards[0].program(rates)
	if err != nil {
		return err
	}
	width := u.expr.local.synapses[0].Pre
	rows, err := l.rowsOf(z)
	if err = cmp.Or(err, shape("rates r", r, rows, width)); err != nil {
		return err
	}
	if len(u.expr.outs) == 0 {
		l.count(rates, rows)
		copy(r, z)
		return nil
	}
	id := l.points.Add(1)
	return l.each(0, rows, func(s *shard[T], n int) error {
		states := s.part(z, n, l.Units)
		u, err := s.apply(rates, at[T]{id: id, z: states}, s.all(n), states)
		if err == nil {
			copy(s.part(r, n, width), u.program.Out(0))
		}
		return err
	})
}
