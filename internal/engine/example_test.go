package engine_test

import (
	"fmt"
	"log"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/engine"
)

// A cell is compiled once. Its weights are packed and its input drive is computed when they change; an
// evaluation at a new state then costs one matrix product.
func ExampleCompile() {
	g := gorgonia.NewGraph()
	matrix := func(name string, rows, cols int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(rows, cols), gorgonia.WithName(name))
	}
	z, x, w := matrix("z", 2, 1), matrix("x", 2, 1), matrix("W", 1, 1)
	cell := gorgonia.Must(gorgonia.Tanh(gorgonia.Must(gorgonia.Add(gorgonia.Must(gorgonia.Mul(z, w)), x))))

	p, err := engine.Compile[float64](gorgonia.Nodes{cell}, engine.Options{Inputs: []engine.Input{
		{Node: z, Rate: engine.State}, {Node: x, Rate: engine.Batch}, {Node: w, Rate: engine.Parameters},
	}})
	if err != nil {
		log.Fatal(err)
	}
	state := []float64{0, 0}
	for n, data := range map[*gorgonia.Node][]float64{z: state, x: {0.1, 0.2}, w: {0.5}} {
		if err := p.Bind(n, data); err != nil {
			log.Fatal(err)
		}
	}
	run := func(r engine.Rate) {
		if err := p.Run(r, 2); err != nil {
			log.Fatal(err)
		}
	}
	run(engine.Parameters)
	run(engine.Batch)
	for range 60 {
		run(engine.State)
		copy(state, p.Out(0))
	}
	fmt.Printf("%.4f\n", state)
	// Output: [0.1949 0.3648]
}
