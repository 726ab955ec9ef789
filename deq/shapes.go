package deq

import (
	"cmp"
	"fmt"
)

// length reports an argument that is not as long as expected.
func length(name string, found, expected int) error {
	if found == expected {
		return nil
	}
	return fmt.Errorf("deq: %s of %d numbers: expected %d", name, found, expected)
}

// shape reports an argument that is not [rows, width].
func shape[T Float](name string, v []T, rows, width int) error {
	if len(v) == rows*width {
		return nil
	}
	return fmt.Errorf("deq: %s of %d numbers: expected %d, [%d, %d]", name, len(v), rows*width, rows, width)
}

// rowsOf is the number of samples of states, which are rows of Units, as many as fit in the batch at most.
func (l *Layer[T]) rowsOf(z []T) (int, error) {
	rows := len(z) / l.Units
	if rows < 1 || rows > l.config.Batch || len(z) != rows*l.Units {
		return 0, fmt.Errorf("deq: states z of %d numbers: expected rows of %d, %d of them at most", len(z), l.Units, l.config.Batch)
	}
	return rows, nil
}

// checkGradients reports gradients that are not those of the layer's parameters. Nil ones are left out, all or some.
func (l *Layer[T]) checkGradients(g Params[T]) error {
	if g == nil {
		return nil
	}
	if len(g) != len(l.memory) {
		return fmt.Errorf("deq: gradients g of %d parameters: expected %d", len(g), len(l.memory))
	}
	for i, own := range l.memory {
		if g[i].Data != nil && len(g[i].Data) != len(own.Data) {
			return fmt.Errorf("deq: gradient g of %d numbers for the parameter %s: expected %d", len(g[i].Data), own.Name, len(own.Data))
		}
	}
	return nil
}

// checkState reports an argument that is not of the shape of the state.
func (e *Equilibrium[T]) checkState(name string, v []T) error {
	return shape(name, v, e.Rows, e.layer.Units)
}

// checkStates reports the first of two that is not.
func (e *Equilibrium[T]) checkStates(name string, v []T, other string, w []T) error {
	return cmp.Or(e.checkState(name, v), e.checkState(other, w))
}
