package engine

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/vjp"
)

// central returns (f(x+h·e) − f(x−h·e))/2h for every element of x, where f is Σ weight·out over the
// given outputs of p.
func central(t *testing.T, p Program[float64], rows int, x []float64, outs []int, weights [][]float64) []float64 {
	t.Helper()
	const h = 1e-5
	f := func() float64 {
		runAll(t, p, rows)
		s := 0.0
		for k, i := range outs {
			for j, v := range p.Out(i) {
				s += v * weights[k][j]
			}
		}
		return s
	}
	g := make([]float64, len(x))
	for i, old := range x {
		x[i] = old + h
		up := f()
		x[i] = old - h
		g[i] = (up - f()) / (2 * h)
		x[i] = old
	}
	return g
}

// TestFirstDerivatives compares the vector–Jacobian products of every op, as compiled, with central
// differences of the op, as compiled.
func TestFirstDerivatives(t *testing.T) {
	for _, c := range opCases() {
		if c.noVJP {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b := c.graph(t, tensor.Float64)
			p, err := Compile[float64](b.outs, Options{Inputs: b.inputs})
			must(t, err)
			data := fill(t, rand.New(rand.NewPCG(3, 4)), b.inputs, c.positive, p)
			rows := c.shapes[0][0]
			runAll(t, p, rows)
			var grads [][]float64
			for i := 1; i < len(b.outs); i++ {
				grads = append(grads, append([]float64(nil), p.Out(i)...))
			}
			u := data[b.inputs[len(b.inputs)-1].Node]
			at := 0
			for _, in := range b.inputs[:len(c.shapes)] {
				want := central(t, p, rows, data[in.Node], []int{0}, [][]float64{u})
				if at >= len(grads) || len(grads[at]) != len(want) {
					t.Fatalf("no derivative for %v", in.Node)
				}
				if d := difference(grads[at], want); !(d <= 1e-7) {
					t.Errorf("derivative for %v differs by %.2g from central differences:\n%v\n%v", in.Node, d, grads[at], want)
				}
				at++
				if len(grads) < len(c.shapes) { // a mask has none
					break
				}
			}
		})
	}
}

// notTwice lists the ops that Gorgonia does not differentiate twice, or wrongly.
var notTwice = map[string]bool{
	"matvec": true, "vecmat": true, "slice columns": true, "slice rows": true, "slice column": true, "lstm": true,
	"softmax": true, "softmax 0": true, "softmax default": true, "log softmax": true, "log loss": true,
	"conv": true, "by indices": true, "max pool": true, "concat 0": true, "concat 1": true, "concat 1 of itself": true,
}

// TestSecondDerivatives differentiates Σ v·∂(u·y)/∂x once more.
func TestSecondDerivatives(t *testing.T) {
	for _, c := range opCases() {
		if c.noVJP || c.once || notTwice[c.name] {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b := c.graph(t, tensor.Float64)
			first := b.outs[1:]
			var v gorgonia.Nodes
			for i, g := range first {
				n := input(b.graph, tensor.Float64, "v"+string(rune('0'+i)), g.Shape()...)
				b.inputs = append(b.inputs, Input{n, Parameters})
				v = append(v, n)
			}
			second, err := vjp.VJP(first, v, gorgonia.Nodes{b.inputs[0].Node})
			must(t, err)
			if second[0] == nil {
				t.Skip("linear")
			}
			outs := append(append(gorgonia.Nodes{}, first...), second[0])
			p, err := Compile[float64](outs, Options{Inputs: b.inputs})
			must(t, err)
			data := fill(t, rand.New(rand.NewPCG(5, 6)), b.inputs, c.positive, p)
			rows := c.shapes[0][0]
			runAll(t, p, rows)
			got := append([]float64(nil), p.Out(len(first))...)
			var which []int
			var weights [][]float64
			for i := range first {
				which, weights = append(which, i), append(weights, data[v[i]])
			}
			want := central(t, p, rows, data[b.inputs[0].Node], which, weights)
			if d := difference(got, want); !(d <= 1e-6) {
				t.Errorf("second derivative differs by %.2g:\n%v\n%v", d, got, want)
			}
		})
	}
}

// TestJVP compares J·v of the gated and the plain cell with a directional difference.
func TestJVP(t *testing.T) {
	for _, c := range opCases() {
		if c.name != "gru" && c.name != "tanh" && c.name != "layer norm" && c.name != "matmul transposed" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			c.noVJP = true
			b := c.graph(t, tensor.Float64)
			x := b.inputs[0].Node
			v := input(b.graph, tensor.Float64, "tangent", x.Shape()...)
			product, err := vjp.JVP(b.outs, gorgonia.Nodes{x}, gorgonia.Nodes{v}, "dummy")
			must(t, err)
			inputs := append(b.inputs, Input{v, Cotangent})
			for name, compile := range map[string]func(gorgonia.Nodes, Options) (Program[float64], error){
				"engine": Compile[float64], "tape": CompileTape[float64],
			} {
				p, err := compile(gorgonia.Nodes{b.outs[0], product[0]}, Options{Inputs: inputs})
				must(t, err)
				data := fill(t, rand.New(rand.NewPCG(7, 8)), inputs, false, p)
				rows := c.shapes[0][0]
				runAll(t, p, rows)
				got := append([]float64(nil), p.Out(1)...)
				const h = 1e-6
				shifted := func(by float64) []float64 {
					for i, d := range data[v] {
						data[x][i] += by * d
					}
					runAll(t, p, rows)
					return append([]float64(nil), p.Out(0)...)
				}
				up := shifted(h)
				down := shifted(-2 * h)
				for i, g := range got {
					if want := (up[i] - down[i]) / (2 * h); !(math.Abs(g-want) <= 1e-7) {
						t.Errorf("%s: element %d is %v, want %v", name, i, g, want)
					}
				}
			}
		})
	}
}
