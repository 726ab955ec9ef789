package engine_test

import (
	"testing"

	"attractor/internal/engine"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Programs that share their weights compute what programs with weights of their own do, after a
// change of the weights too, and hold them once.
func TestSharedWeights(t *testing.T) {
	const rows, n = 3, 40
	w, z := make([]float64, n*n), make([]float64, rows*n)
	compile := func(shared *engine.Weights[float64]) engine.Program[float64] {
		g := gorgonia.NewGraph()
		node := func(name string, r int) *gorgonia.Node {
			return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(r, n), gorgonia.WithName(name))
		}
		zn, wn := node("z", rows), node("W", n)
		out, err := gorgonia.Mul(zn, wn)
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine.Compile[float64](gorgonia.Nodes{out}, engine.Options{Inputs: []engine.Input{
			{Node: wn, Rate: engine.Parameters}, {Node: zn, Rate: engine.State},
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.Share(shared)
		for node, data := range map[*gorgonia.Node][]float64{zn: z, wn: w} {
			if err := p.Bind(node, data); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	var shared engine.Weights[float64]
	own, first, second := compile(nil), compile(&shared), compile(&shared)
	for round := range 3 {
		for i := range w {
			w[i] = float64((i*7+round*3)%11) - 5
		}
		for i := range z {
			z[i] = float64(i%13) - 6
		}
		shared.Changed()
		for _, p := range []engine.Program[float64]{own, first, second} {
			for _, r := range []engine.Rate{engine.Parameters, engine.State} {
				if err := p.Run(r, rows); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, v := range own.Out(0) {
			if first.Out(0)[i] != v || second.Out(0)[i] != v {
				t.Fatalf("round %d: element %d is %v and %v with shared weights, %v without", round, i, first.Out(0)[i], second.Out(0)[i], v)
			}
		}
	}
	if held := own.Bytes() - first.Bytes(); held != shared.Bytes() || held == 0 {
		t.Errorf("a program without weights of its own holds %d bytes less, the shared ones are %d", held, shared.Bytes())
	}
}
