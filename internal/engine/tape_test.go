package engine

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// rnn is the cell tanh(z·Wᵀ + x·Uᵀ + b).
type rnn struct {
	graph         *gorgonia.ExprGraph
	z, x, w, u, b *gorgonia.Node
	cell          *gorgonia.Node
}

func input(g *gorgonia.ExprGraph, dt tensor.Dtype, name string, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(g, dt, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

func newRNN(dt tensor.Dtype, batch, units, in int) rnn {
	g := gorgonia.NewGraph()
	c := rnn{
		graph: g,
		z:     input(g, dt, "z", batch, units), x: input(g, dt, "x", batch, in),
		w: input(g, dt, "W", units, units), u: input(g, dt, "U", units, in), b: input(g, dt, "b", units),
	}
	zw := gorgonia.Must(gorgonia.Mul(c.z, gorgonia.Must(gorgonia.Transpose(c.w))))
	xu := gorgonia.Must(gorgonia.Mul(c.x, gorgonia.Must(gorgonia.Transpose(c.u))))
	pre := gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Add(zw, xu)), c.b, nil, []byte{0}))
	c.cell = gorgonia.Must(gorgonia.Tanh(pre))
	return c
}

func (c rnn) inputs() []Input {
	return []Input{{c.z, State}, {c.x, Batch}, {c.w, Parameters}, {c.u, Parameters}, {c.b, Parameters}}
}

func normal[T float32 | float64](r *rand.Rand, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(r.NormFloat64())
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTapeCell(t *testing.T) {
	const batch, units, in = 3, 4, 2
	c := newRNN(tensor.Float64, batch, units, in)
	gorgonia.Must(gorgonia.Exp(input(c.graph, tensor.Float64, "unset", 2))) // dead, without a value
	p, err := CompileTape[float64](gorgonia.Nodes{c.cell}, Options{Inputs: c.inputs()})
	must(t, err)
	q, err := CompileTape[float64](gorgonia.Nodes{c.cell, c.cell.Graph().AllNodes()[0]}, Options{Inputs: c.inputs()})
	must(t, err)

	r := rand.New(rand.NewPCG(1, 2))
	z, x := normal[float64](r, batch*units), normal[float64](r, batch*in)
	w, u, b := normal[float64](r, units*units), normal[float64](r, units*in), normal[float64](r, units)
	for _, p := range []Program[float64]{p, q} {
		must(t, p.Bind(c.z, z))
		must(t, p.Bind(c.x, x))
		must(t, p.Bind(c.w, w))
		must(t, p.Bind(c.u, u))
		must(t, p.Bind(c.b, b))
	}
	want := func(i, j int) float64 {
		s := b[j]
		for k := range units {
			s += z[i*units+k] * w[j*units+k]
		}
		for k := range in {
			s += x[i*in+k] * u[j*in+k]
		}
		return math.Tanh(s)
	}
	check := func(p Program[float64], rows int) {
		t.Helper()
		for i := range rows {
			for j := range units {
				if got := p.Out(0)[i*units+j]; !(math.Abs(got-want(i, j)) <= 1e-15) {
					t.Errorf("[%d,%d] = %v, want %v", i, j, got, want(i, j))
				}
			}
		}
	}
	run := func(p Program[float64], rows int, rs ...Rate) {
		t.Helper()
		for _, r := range rs {
			must(t, p.Run(r, rows))
		}
		check(p, rows)
	}
	run(p, batch, Parameters, Batch, State)
	run(q, batch, Parameters, Batch, State)
	z[0], w[3], b[1] = 2, 3, 4 // read where they are
	run(p, batch, Parameters, Batch, State)
	run(p, 2, State)
	run(q, batch, State)

	// Sample 1 leaves.
	copy(z[units:], z[2*units:])
	copy(x[in:], x[2*in:])
	p.Compact([]int{0, 2})
	run(p, 2, State)

	if err := p.Bind(c.z, z[:5]); err == nil {
		t.Error("bound five numbers to rows of four")
	}
	if err := p.Run(State, 4); err == nil {
		t.Error("ran four rows of three")
	}
}

// panicking is an op that panics.
type panicking struct{ guarded }

func (panicking) Do(...gorgonia.Value) (gorgonia.Value, error) { panic("boom") }

func TestTapePanic(t *testing.T) {
	c := newRNN(tensor.Float64, 2, 3, 2)
	bad := gorgonia.Must(gorgonia.ApplyOp(panicking{guarded{op: c.cell.Op(), id: -1}}, c.z))
	p, err := CompileTape[float64](gorgonia.Nodes{bad}, Options{Inputs: c.inputs()})
	must(t, err)
	must(t, p.Bind(c.z, make([]float64, 6)))
	if err := p.Run(State, 2); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("error %v, want the panic", err)
	}
}

func TestInputsAreChecked(t *testing.T) {
	c := newRNN(tensor.Float64, 3, 4, 2)
	for name, o := range map[string]Options{
		"not listed":    {Inputs: c.inputs()[:4]},
		"wrong rows":    {Inputs: []Input{{c.z, State}, {c.x, Batch}, {c.w, Batch}, {c.u, Parameters}, {c.b, Parameters}}},
		"constant rate": {Inputs: append(c.inputs(), Input{Node: c.z})},
	} {
		if _, err := CompileTape[float64](gorgonia.Nodes{c.cell}, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := CompileTape[float32](gorgonia.Nodes{c.cell}, Options{Inputs: c.inputs()}); err == nil {
		t.Error("compiled a graph of float64 for float32")
	}
}
