package deq

import (
	"fmt"
	"io"
)

// Explain writes the programs that the model compiles to: f, Jᵀu, uᵀ∂f/∂θ and the readout
// with its gradient, each with its groups, rates, buffers and what fell back, and why.
func (l *Layer[T]) Explain(w io.Writer) error {
	s := l.shards[0]
	for _, f := range []function{cell, adjoint, gradient, readout, readoutGradient} {
		u, err := s.program(f)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%v, %d samples at a time\n", f, s.capacity); err != nil {
			return err
		}
		u.program.Explain(w)
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}
