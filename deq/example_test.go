package deq_test

import (
	"fmt"
	"log"
	"math"

	"attractor/deq"
	"attractor/models"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// A network of plain Gorgonia with an equilibrium in it learns a sine.
func ExampleNode() {
	const rows, units = 32, 16
	in, out := make([]float64, rows), make([]float64, rows)
	for i := range in {
		in[i] = 2*float64(i)/(rows-1) - 1
		out[i] = math.Sin(3 * in[i])
	}
	g := gorgonia.NewGraph()
	column := func(name string, data []float64) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(len(data), 1), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(len(data), 1), tensor.WithBacking(data))))
	}
	x, target, w := column("x", in), column("target", out), column("w", make([]float64, units))

	layer, err := deq.Node(models.Rate{N: units}, x, deq.NodeConfig[float64]{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	y := gorgonia.Must(gorgonia.Mul(layer.Z, w))
	loss := gorgonia.Must(gorgonia.Mean(gorgonia.Must(gorgonia.Square(gorgonia.Must(gorgonia.Sub(y, target))))))
	var value gorgonia.Value
	gorgonia.Read(loss, &value)

	learned := append(gorgonia.Nodes{w}, layer.Params...)
	if _, err := gorgonia.Grad(loss, learned...); err != nil {
		log.Fatal(err)
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(learned...))
	defer vm.Close()
	adam := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.01))
	for range 200 {
		if err := vm.RunAll(); err != nil {
			log.Fatal(err)
		}
		if err := adam.Step(gorgonia.NodesToValueGrads(learned)); err != nil {
			log.Fatal(err)
		}
		vm.Reset()
	}
	fmt.Println("learns", layer.Params)
	fmt.Println("loss below 0.001:", value.Data().(float64) < 0.001)
	fmt.Println("samples that did not converge:", layer.Report().ForwardsFailed)
	// Output:
	// learns [deq.W, deq.U, deq.b]
	// loss below 0.001: true
	// samples that did not converge: 0
}
