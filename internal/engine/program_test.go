package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"attractor/internal/kernels"
	"attractor/internal/vjp"
)

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for name, c := range map[string]benchCase{
		"cell": cellCase(8, 32), "adjoint": adjointCase(8, 32), "gru": gruCase(8, 32), "parameters": parameterCase(8, 32),
		"large cell": cellCase(20, 300),
	} {
		rows := c.inputs[0].Node.Shape()[0]
		p, err := Compile[float32](c.outs, Options{Inputs: c.inputs})
		must(t, err)
		fill(t, rand.New(rand.NewPCG(1, 2)), c.inputs, false, p)
		keep := []int{1, 3}
		if n := testing.AllocsPerRun(20, func() {
			runAll(t, p, rows)
			p.Compact(keep)
			must(t, p.Run(c.rate, 2))
		}); n != 0 {
			t.Errorf("%s: %v allocations per run", name, n)
		}
	}
}

// The ops of package ops and their first derivatives have kernels.
func TestOwnOpsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, c := range ownCases() {
		c.noVJP = c.noVJP || c.once
		b := c.graph(t, tensor.Float32)
		p, err := Compile[float32](b.outs, Options{Inputs: b.inputs})
		must(t, err)
		fill(t, rand.New(rand.NewPCG(1, 2)), b.inputs, false, p)
		if n := testing.AllocsPerRun(10, func() { runAll(t, p, c.shapes[0][0]) }); n != 0 {
			t.Errorf("%s: %v allocations per run", c.name, n)
		}
	}
}

// TestConcurrentPrograms runs programs of one graph on several goroutines, with parameters in common.
func TestConcurrentPrograms(t *testing.T) {
	c := newRNN(tensor.Float64, 4, 6, 5)
	u, inputs := c.cotangent(4, 6)
	grads, err := vjp.VJP(gorgonia.Nodes{c.cell}, gorgonia.Nodes{u}, gorgonia.Nodes{c.z, c.w, c.b})
	must(t, err)
	outs := append(gorgonia.Nodes{c.cell}, grads...)
	data := fill[float64](t, rand.New(rand.NewPCG(1, 2)), inputs, false)
	results := make([][]float64, 4)
	var wait sync.WaitGroup
	for i := range results {
		wait.Go(func() {
			compile := Compile[float64]
			if i == 3 {
				compile = CompileTape[float64]
			}
			p, err := compile(outs, Options{Inputs: inputs})
			if err != nil {
				t.Error(err)
				return
			}
			for n, d := range data {
				if err := p.Bind(n, d); err != nil {
					t.Error(err)
				}
			}
			for range 20 {
				for r := Parameters; r <= Cotangent; r++ {
					if err := p.Run(r, 4); err != nil {
						t.Error(err)
					}
				}
			}
			for k := range outs {
				results[i] = append(results[i], p.Out(k)...)
			}
		})
	}
	wait.Wait()
	for i := range results {
		if d := difference(results[i], results[0]); !(d <= tolerance[float64]()) {
			t.Errorf("program %d differs by %.2g", i, d)
		}
	}
}

func TestExplain(t *testing.T) {
	c := newRNN(tensor.Float32, 4, 6, 5)
	p, err := Compile[float32](gorgonia.Nodes{c.cell}, Options{Inputs: c.inputs()})
	must(t, err)
	var b strings.Builder
	p.Explain(&b)
	for _, want := range []string{
		"parameters: pack U as [5,6]",
		"parameters: pack W as [6,6]",
		"batch: ", // x·Uᵀ + b, once per batch
		"state: ", // z·Wᵀ, and on its blocks the rest
		"; on its blocks",
		"tanh",
		"compact moves rows of 6 numbers",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
	if n := strings.Count(b.String(), "state: "); n != 1 {
		t.Errorf("%d steps at rate state, want 1:\n%s", n, &b)
	}
	if p.Bytes() == 0 {
		t.Error("Bytes is 0")
	}
}

func TestRefusals(t *testing.T) {
	g := gorgonia.NewGraph()
	x := input(g, tensor.Float64, "x", 2, 3, 4, 5)
	m := gorgonia.Must
	random := gorgonia.UniformRandomNode(g, tensor.Float64, 0, 1, 2, 3)
	for name, c := range map[string]struct {
		out  *gorgonia.Node
		want string
	}{
		"random":      {m(gorgonia.Tanh(random)), "input"},
		"global pool": {m(gorgonia.GlobalAveragePool2D(x)), "Mean"},
		"unset":       {m(gorgonia.Exp(input(g, tensor.Float64, "unset", 2))), "no value"},
		"int output":  {gorgonia.NewVector(g, tensor.Int, gorgonia.WithShape(2), gorgonia.WithName("i"), gorgonia.WithInit(gorgonia.Zeroes())), "int"},
	} {
		_, err := Compile[float64](gorgonia.Nodes{c.out}, Options{Inputs: []Input{{x, State}}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	sum := m(gorgonia.Sum(x, 2))
	if _, err := Compile[float64](gorgonia.Nodes{sum}, Options{Inputs: []Input{{x, State}}}); err != nil {
		t.Error(err)
	}
	if _, err := CompileTape[float64](gorgonia.Nodes{sum}, Options{Inputs: []Input{{x, State}}}); err == nil {
		t.Error("the tape took a sum over an inner axis of four")
	}
}

func TestOpaquePanic(t *testing.T) {
	c := newRNN(tensor.Float64, 2, 3, 2)
	bad := gorgonia.Must(gorgonia.ApplyOp(panicking{guarded{op: c.cell.Op(), id: -1}}, c.z))
	p, err := Compile[float64](gorgonia.Nodes{bad}, Options{Inputs: c.inputs()})
	must(t, err)
	must(t, p.Bind(c.z, make([]float64, 6)))
	if err := p.Run(State, 2); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("error %v, want the panic", err)
	}
	if p.RowWise() == nil {
		t.Error("an unknown op is said to keep rows apart")
	}
	if err := p.Run(State, 1); err == nil {
		t.Error("ran an unknown op on a part of the rows")
	}
	for name, keep := range map[string][]int{"mixed": {1}, "descending": {1, 0}, "too many": {0, 1, 2}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: compacted to %v", name, keep)
				}
			}()
			p.Compact(keep)
		}()
	}
	p.Compact([]int{0, 1})
}

func TestUnbound(t *testing.T) {
	c := newRNN(tensor.Float64, 2, 3, 2)
	p, err := Compile[float64](gorgonia.Nodes{c.cell}, Options{Inputs: append(c.inputs(), Input{input(c.graph, tensor.Float64, "unused", 2, 2), State})})
	must(t, err)
	if err := p.Run(Parameters, 2); err == nil {
		t.Error("ran without parameters")
	}
	must(t, p.Bind(c.graph.ByName("unused")[0], make([]float64, 2)))
	if err := p.Bind(c.cell, nil); err == nil {
		t.Error("bound an inner node")
	}
}

// An inner node that is an input is bound, not computed, and what only it is computed from is not
// needed: uᵀ∂f/∂z and uᵀ∂f/∂W from f itself, without x.
func TestInnerInputs(t *testing.T) {
	const batch, units = 5, 4
	c := newRNN(tensor.Float64, batch, units, 3)
	u, inputs := c.cotangent(batch, units)
	grads, err := vjp.VJP(gorgonia.Nodes{c.cell}, gorgonia.Nodes{u}, gorgonia.Nodes{c.z, c.w})
	must(t, err)
	whole, err := Compile[float64](append(gorgonia.Nodes{c.cell}, grads...), Options{Inputs: inputs})
	must(t, err)
	data := fill(t, rand.New(rand.NewPCG(1, 2)), inputs, false, whole)
	runAll(t, whole, batch)
	given := []Input{{c.cell, Linearisation}, {c.z, Linearisation}, {c.w, Parameters}, {u, Cotangent}}
	for name, compile := range map[string]func(gorgonia.Nodes, Options) (Program[float64], error){"engine": Compile[float64], "tape": CompileTape[float64]} {
		p, err := compile(grads, Options{Inputs: given})
		must(t, err)
		f := slices.Clone(whole.Out(0))
		for _, in := range given[1:] {
			must(t, p.Bind(in.Node, data[in.Node]))
		}
		must(t, p.Bind(c.cell, f))
		runAll(t, p, batch)
		for i := range grads {
			if d := difference(p.Out(i), whole.Out(i+1)); !(d <= tolerance[float64]()) {
				t.Errorf("%s: output %d differs by %.2g", name, i, d)
			}
		}
		clear(f) // φ′ = 1 everywhere: the value bound is the one used
		runAll(t, p, batch)
		if d := difference(p.Out(0), whole.Out(1)); !(d >= 1e-3) {
			t.Errorf("%s: another value of the inner node changes nothing", name)
		}
	}
}

// TestWideBlocks runs cells so wide that a product is finished in blocks of some columns, and so deep that
// the broadcast of a bias does not fit a block, on all and on some rows.
func TestWideBlocks(t *testing.T) {
	const batch, units = 13, 1100
	m := gorgonia.Must
	g := gorgonia.NewGraph()
	z, w, b := input(g, tensor.Float32, "z", batch, units), input(g, tensor.Float32, "W", units, units), input(g, tensor.Float32, "b", units)
	c := input(g, tensor.Float32, "c", batch, 1)
	pre := m(gorgonia.BroadcastAdd(m(gorgonia.Mul(z, w)), b, nil, []byte{0}))
	out := m(gorgonia.Tanh(m(gorgonia.BroadcastHadamardProd(pre, c, nil, []byte{1}))))
	inputs := []Input{{z, State}, {w, Parameters}, {b, Parameters}, {c, Batch}}
	p, err := Compile[float32](gorgonia.Nodes{out}, Options{Inputs: inputs})
	must(t, err)
	q, err := CompileTape[float32](gorgonia.Nodes{out}, Options{Inputs: inputs})
	must(t, err)
	data := fill(t, rand.New(rand.NewPCG(1, 2)), inputs, false, p, q)
	kernels.Scale(data[w], 0.03, data[w])
	runAll(t, p, batch)
	runAll(t, q, batch)
	if d := difference(p.Out(0), q.Out(0)); !(d <= tolerance[float32]()) {
		t.Errorf("differs by %.2g", d)
	}
	full := slices.Clone(p.Out(0))
	for rows := range batch {
		runAll(t, p, rows)
		if !slices.Equal(p.Out(0)[:rows*units], full[:rows*units]) {
			t.Errorf("%d rows have other bits than %d", rows, batch)
		}
	}
}

func TestFallsBackToTheTape(t *testing.T) {
	defer func(f func() error) { selfCheck = f }(selfCheck)
	selfCheck = func() error { return errors.New("another Gorgonia") }
	c := newRNN(tensor.Float64, 3, 4, 2)
	p, err := Compile[float64](gorgonia.Nodes{c.cell}, Options{Inputs: c.inputs()})
	must(t, err)
	fill(t, rand.New(rand.NewPCG(1, 2)), c.inputs(), false, p)
	runAll(t, p, 3)
	var b strings.Builder
	p.Explain(&b)
	if !strings.Contains(b.String(), "another Gorgonia") {
		t.Errorf("no reason in:\n%s", &b)
	}
	if p.RowWise() == nil {
		t.Error("rows that could not be followed are said to keep apart")
	}
}

// An output goes where it is wanted, for the rows that are run, and comes back; one that the run
// does not compute cannot.
func TestInto(t *testing.T) {
	const batch, units = 5, 4
	c := newRNN(tensor.Float64, batch, units, 3)
	drive := gorgonia.Must(gorgonia.Tanh(c.x))
	p, err := Compile[float64](gorgonia.Nodes{c.cell, drive}, Options{Inputs: c.inputs()})
	must(t, err)
	fill(t, rand.New(rand.NewPCG(5, 6)), c.inputs(), false, p)
	runAll(t, p, batch)
	want := slices.Clone(p.Out(0))
	for i, can := range []bool{true, false} {
		dst := make([]float64, 2*units)
		if p.Into(i, dst) != can {
			t.Errorf("output %d: found %v, expected %v", i, !can, can)
		}
		if !can {
			continue
		}
		clear(p.Out(0))
		must(t, p.Run(State, 2))
		if !slices.Equal(dst, want[:2*units]) || &p.Out(0)[0] != &dst[0] {
			t.Errorf("the output is %v, want %v", dst, want[:2*units])
		}
		p.Into(i, nil)
		clear(dst)
		must(t, p.Run(State, batch))
		if !slices.Equal(p.Out(0), want) || dst[0] != 0 {
			t.Errorf("afterwards the output is %v, want %v", p.Out(0), want)
		}
	}
	q, err := CompileTape[float64](gorgonia.Nodes{c.cell}, Options{Inputs: c.inputs()})
	must(t, err)
	if q.Into(0, want) {
		t.Error("the tape claims to write elsewhere")
	}
}
