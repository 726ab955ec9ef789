package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
	"attractor/internal/vjp"
)

var benchShapes = []struct{ batch, units int }{{1, 64}, {32, 128}, {64, 256}, {128, 512}, {256, 1024}}

// benchCase is an expression, its inputs and the rate that is measured.
type benchCase struct {
	outs   gorgonia.Nodes
	inputs []Input
	rate   Rate
}

func cellCase(batch, units int) benchCase {
	c := newRNN(tensor.Float32, batch, units, units)
	return benchCase{gorgonia.Nodes{c.cell}, c.inputs(), State}
}

func (c rnn) cotangent(batch, units int) (node, []Input) {
	u := input(c.graph, c.z.Dtype(), "u", batch, units)
	inputs := c.inputs()
	inputs[0].Rate = Linearisation
	return u, append(inputs, Input{u, Cotangent})
}

func adjointCase(batch, units int) benchCase {
	c := newRNN(tensor.Float32, batch, units, units)
	u, inputs := c.cotangent(batch, units)
	g, err := vjp.VJP(gorgonia.Nodes{c.cell}, gorgonia.Nodes{u}, gorgonia.Nodes{c.z})
	if err != nil {
		panic(err)
	}
	return benchCase{g, inputs, Cotangent}
}

func parameterCase(batch, units int) benchCase {
	c := newRNN(tensor.Float32, batch, units, units)
	u, inputs := c.cotangent(batch, units)
	g, err := vjp.VJP(gorgonia.Nodes{c.cell}, gorgonia.Nodes{u}, gorgonia.Nodes{c.w, c.u, c.b})
	if err != nil {
		panic(err)
	}
	return benchCase{g, inputs, Cotangent}
}

// newGRU is the gated cell h + u⊙(n − h) with gates of h and x.
func gruCase(batch, units int) benchCase {
	m := gorgonia.Must
	g := gorgonia.NewGraph()
	dt := tensor.Float32
	h, x := input(g, dt, "h", batch, units), input(g, dt, "x", batch, units)
	inputs := []Input{{h, State}, {x, Batch}}
	gate := func(name string, from node, f func(node) (node, error)) node {
		w, u, b := input(g, dt, "W"+name, units, units), input(g, dt, "U"+name, units, units), input(g, dt, "b"+name, units)
		inputs = append(inputs, Input{w, Parameters}, Input{u, Parameters}, Input{b, Parameters})
		sum := m(gorgonia.Add(m(gorgonia.Mul(from, m(gorgonia.Transpose(w)))), m(gorgonia.Mul(x, m(gorgonia.Transpose(u))))))
		return m(f(m(gorgonia.BroadcastAdd(sum, b, nil, []byte{0}))))
	}
	r, u := gate("r", h, gorgonia.Sigmoid), gate("u", h, gorgonia.Sigmoid)
	n := gate("n", m(gorgonia.HadamardProd(r, h)), gorgonia.Tanh)
	out := m(gorgonia.Add(m(gorgonia.HadamardProd(u, h)), m(gorgonia.HadamardProd(m(gorgonia.Sub(gorgonia.NewConstant(float32(1)), u)), n))))
	return benchCase{gorgonia.Nodes{out}, inputs, State}
}

func (c benchCase) bench(b *testing.B, batch int, compile func(gorgonia.Nodes, Options) (Program[float32], error)) {
	p, err := compile(c.outs, Options{Inputs: c.inputs})
	must(b, err)
	r := rand.New(rand.NewPCG(1, 2))
	for _, in := range c.inputs {
		d := normal[float32](r, volume(in.Node.Shape()))
		for i := range d {
			d[i] *= 0.05
		}
		must(b, p.Bind(in.Node, d))
	}
	runAll(b, p, batch)
	for b.Loop() {
		if err := p.Run(c.rate, batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPrograms compares programs of the engine with the bare matrix product in them, by the same
// kernel on the same packed operand, and, up to [64,256], with the TapeMachine.
func BenchmarkPrograms(b *testing.B) {
	for _, c := range []struct {
		name  string
		build func(batch, units int) benchCase
	}{{"cell", cellCase}, {"adjoint", adjointCase}, {"gru", gruCase}, {"parameters", parameterCase}} {
		for _, s := range benchShapes {
			name := fmt.Sprintf("case=%s/batch=%d/units=%d", c.name, s.batch, s.units)
			b.Run(name+"/by=engine", func(b *testing.B) { c.build(s.batch, s.units).bench(b, s.batch, Compile[float32]) })
			if s.units <= 256 {
				b.Run(name+"/by=tape", func(b *testing.B) { c.build(s.batch, s.units).bench(b, s.batch, CompileTape[float32]) })
			}
		}
	}
	for _, s := range benchShapes {
		b.Run(fmt.Sprintf("case=gemm/batch=%d/units=%d/by=kernel", s.batch, s.units), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			x, w := normal[float32](r, s.batch*s.units), normal[float32](r, s.units*s.units)
			y := make([]float32, len(x))
			var p kernels.Packed[float32]
			p.Pack(true, s.units, s.units, w, s.units)
			for b.Loop() {
				kernels.GemmPacked(s.batch, x, s.units, &p, 0, y, s.units, nil)
			}
		})
	}
}

// BenchmarkOverGemm measures a program and the bare matrix product in turn, on a machine that others may be
// using, and reports the ratio of the medians.
func BenchmarkOverGemm(b *testing.B) {
	for _, c := range []struct {
		name  string
		build func(batch, units int) benchCase
	}{{"cell", cellCase}, {"adjoint", adjointCase}, {"gru", gruCase}, {"parameters", parameterCase}} {
		for _, s := range benchShapes {
			b.Run(fmt.Sprintf("case=%s/batch=%d/units=%d", c.name, s.batch, s.units), func(b *testing.B) {
				c := c.build(s.batch, s.units)
				p, err := Compile[float32](c.outs, Options{Inputs: c.inputs})
				must(b, err)
				r := rand.New(rand.NewPCG(1, 2))
				for _, in := range c.inputs {
					d := normal[float32](r, volume(in.Node.Shape()))
					kernels.Scale(d, 0.05, d)
					must(b, p.Bind(in.Node, d))
				}
				runAll(b, p, s.batch)
				x, w := normal[float32](r, s.batch*s.units), normal[float32](r, s.units*s.units)
				y := make([]float32, len(x))
				var packed kernels.Packed[float32]
				packed.Pack(true, s.units, s.units, w, s.units)
				repeat := 1 + 100_000/(s.batch*s.units*s.units)
				var ours, bare []float64
				timed := func(f func()) float64 {
					start := time.Now()
					for range repeat {
						f()
					}
					return float64(time.Since(start).Nanoseconds()) / float64(repeat)
				}
				for b.Loop() {
					ours = append(ours, timed(func() { _ = p.Run(c.rate, s.batch) }))
					bare = append(bare, timed(func() { kernels.GemmPacked(s.batch, x, s.units, &packed, 0, y, s.units, nil) }))
				}
				slices.Sort(ours)
				slices.Sort(bare)
				b.ReportMetric(ours[len(ours)/2]/1e3, "µs")
				b.ReportMetric(bare[len(bare)/2]/1e3, "gemm-µs")
				b.ReportMetric(ours[len(ours)/2]/bare[len(bare)/2], "over-gemm")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
