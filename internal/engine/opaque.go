package engine

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// emitOpaque runs an op by its own Do, under headers of our own over the program's memory. It
// allocates. A panic in the op becomes an error.
func (p *program[T]) emitOpaque(v *value) {
	op := guarded{op: v.node.Op()}
	in := make([]gorgonia.Value, len(v.args))
	p.append(v.rate, func(int) error {
		for i, a := range v.args {
			m := source(a)
			switch {
			case !a.float:
				in[i] = p.raw[m]
			case a.shape.Dims() == 0:
				in[i] = scalarValue(p.memory[m][0])
			default:
				in[i] = tensor.New(tensor.WithShape(a.shape.Clone()...), tensor.WithBacking(p.memory[m][:a.size]),
					tensor.WithEngine(gorgonia.StandardEngine{}))
			}
		}
		out, err := op.Do(in...)
		if err != nil {
			return fmt.Errorf("engine: op %v: %w", v.node.Op(), err)
		}
		if !v.float {
			p.raw[v.memory] = out
			return nil
		}
		if err := flatten(p.memory[v.memory][:v.size], out); err != nil {
			return fmt.Errorf("engine: op %v: %w", v.node.Op(), err)
		}
		return nil
	})
}
