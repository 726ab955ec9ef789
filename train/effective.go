package train

import (
	"fmt"
	"slices"

	"attractor/deq"
	"attractor/models"
)

// effectivePrefix begins the names, in checkpoints, of weights that the cell has in place of a parameter, as masks, signs and
// norms make them. They are for who reads the file, and ignored where it is loaded.
const effectivePrefix = "effective/"

// effective are the weights of a models.Parametrized cell that are made of parameters and are not one, under the name of the
// parameter that they are made of.
func (t *Trainer[T]) effective() (deq.Params[T], error) {
	if m, ok := t.Layer.Model.(models.Parametrized); !ok || !m.Parametrized() {
		return nil, nil
	}
	made, err := t.Layer.Parametrized()
	if err != nil {
		return nil, fmt.Errorf("train: weights of the cell: %w", err)
	}
	synapses, err := t.Layer.Synapses()
	if err != nil {
		return nil, fmt.Errorf("train: weights of the cell: %w", err)
	}
	var all deq.Params[T]
	for _, k := range made {
		w, err := t.Layer.Weights(k)
		if err != nil {
			return nil, fmt.Errorf("train: weights of the cell: %w", err)
		}
		for _, p := range t.Layer.Params {
			if p.Name == synapses[k].Param {
				p.Data = slices.Clone(w[:len(p.Data)])
				all = append(all, p)
			}
		}
	}
	return all, nil
}
