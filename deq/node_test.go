package deq_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"attractor/deq"
	"attractor/internal/vjp"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// network is a plain Gorgonia network with equilibria in it:
//
//	h = tanh(x·A),  z = deq(h),  y = z·B,  with two layers  y ← deq2(y) + y,
//	L = mean((y − target)²) + mean(z³)
//
// Its leaves are all that has a gradient: x, A, B and the parameters of the equilibria.
type network struct {
	graph  *gorgonia.ExprGraph
	layers []*deq.NodeLayer[float64]
	leaves gorgonia.Nodes
	loss   *gorgonia.Node
	value  gorgonia.Value // of the loss
}

type shape struct{ rows, inputs, hidden, units, outputs int }

// exactly are the settings of solves whose errors do not matter.
func exactly(layer int) deq.NodeConfig[float64] {
	s := solvers.Settings{RTol: 1e-13, MaxEvals: 2000}
	return deq.NodeConfig[float64]{
		Seed:    uint64(layer),
		Forward: deq.Solver[float64]{Settings: s},
		Adjoint: deq.Solver[float64]{Settings: s},
		Shard:   2,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func matrix(g *gorgonia.ExprGraph, name string, seed uint64, rows, columns int) *gorgonia.Node {
	return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(rows, columns), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(rows, columns), tensor.WithBacking(normals(seed, rows*columns, 0.5)))))
}

func newNetwork(t *testing.T, s shape, two bool, config func(layer int) deq.NodeConfig[float64]) *network {
	t.Helper()
	g := gorgonia.NewGraph()
	x, a, b := matrix(g, "x", 1, s.rows, s.inputs), matrix(g, "A", 2, s.inputs, s.hidden), matrix(g, "B", 3, s.units, s.outputs)
	n := &network{graph: g, leaves: gorgonia.Nodes{x, a, b}}
	add := func(m models.Model, in *gorgonia.Node) *gorgonia.Node {
		l, err := deq.Node(m, in, config(len(n.layers)))
		if err != nil {
			t.Fatal(err)
		}
		n.layers, n.leaves = append(n.layers, l), append(n.leaves, l.Params...)
		bias := l.Param("b").Value().Data().([]float64)
		copy(bias, normals(uint64(10+len(n.layers)), len(bias), 0.3))
		return l.Z
	}
	h := must(gorgonia.Tanh(must(gorgonia.Mul(x, a))))
	z := add(models.Rate{N: s.units}, h)
	y := must(gorgonia.Mul(z, b))
	if two {
		y = must(gorgonia.Add(add(models.Rate{N: s.outputs, Activation: "sigmoid", Leak: 0.4, Gain: 2}, y), y))
	}
	target := matrix(g, "target", 4, s.rows, s.outputs)
	n.loss = must(gorgonia.Mean(must(gorgonia.Square(must(gorgonia.Sub(y, target))))))
	n.loss = must(gorgonia.Add(n.loss, must(gorgonia.Mean(must(gorgonia.Cube(z))))))
	gorgonia.Read(n.loss, &n.value)
	return n
}

// gradients are those of the leaves, as a machine computes them.
var gradients = map[string]func(t *testing.T, n *network) [][]float64{
	"TapeMachine": func(t *testing.T, n *network) [][]float64 {
		values := make([]gorgonia.Value, len(n.leaves))
		for i, g := range must(gorgonia.Grad(n.loss, n.leaves...)) {
			gorgonia.Read(g, &values[i])
		}
		vm := gorgonia.NewTapeMachine(n.graph)
		defer vm.Close()
		for range 2 { // the second run must not see what is left of the first
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			vm.Reset()
		}
		return copies(values)
	},
	"BindDualValues": func(t *testing.T, n *network) [][]float64 {
		must(gorgonia.Grad(n.loss, n.leaves...))
		vm := gorgonia.NewTapeMachine(n.graph, gorgonia.BindDualValues(n.leaves...))
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		return bound(n)
	},
	"LispMachine": func(t *testing.T, n *network) [][]float64 {
		vm := gorgonia.NewLispMachine(n.graph)
		defer vm.Close()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		return bound(n)
	},
}

func bound(n *network) [][]float64 {
	values := make([]gorgonia.Value, len(n.leaves))
	for i, leaf := range n.leaves {
		values[i] = must(leaf.Grad())
	}
	return copies(values)
}

func copies(values []gorgonia.Value) (out [][]float64) {
	for _, v := range values {
		out = append(out, slices.Clone(v.Data().([]float64)))
	}
	return out
}

// deviation is the largest error of a gradient, of one leaf as a part of the leaf's
// largest entry, against finite differences of the losses of reference.
func deviation(t *testing.T, reference *network, grads [][]float64) (largest float64, of string) {
	t.Helper()
	const h = 1e-5
	vm := gorgonia.NewTapeMachine(reference.graph)
	defer vm.Close()
	value := func() float64 {
		vm.Reset()
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		return reference.value.Data().(float64)
	}
	for i, leaf := range reference.leaves {
		data := leaf.Value().Data().([]float64)
		if len(data) != len(grads[i]) {
			t.Fatalf("gradient of %v has %d entries, expected %d", leaf, len(grads[i]), len(data))
		}
		var diff, scale float64
		for k, old := range data {
			data[k] = old + h
			plus := value()
			data[k] = old - h
			n := (plus - value()) / (2 * h)
			data[k] = old
			diff, scale = max(diff, math.Abs(n-grads[i][k])), max(scale, math.Abs(n))
		}
		if e := diff / scale; !(e <= largest) {
			largest, of = e, leaf.Name()
		}
	}
	return largest, of
}

func TestNodeGradient(t *testing.T) {
	for name, s := range map[string]shape{
		"batch":        {rows: 3, inputs: 2, hidden: 4, units: 5, outputs: 3},
		"one row":      {rows: 1, inputs: 3, hidden: 2, units: 4, outputs: 2},
		"one of each":  {rows: 1, inputs: 1, hidden: 1, units: 2, outputs: 1},
		"three shards": {rows: 5, inputs: 2, hidden: 3, units: 2, outputs: 2},
	} {
		for _, two := range []bool{false, true} {
			for machine, of := range gradients {
				if machine == "LispMachine" && s.hidden == 1 {
					continue // it cannot differentiate the product of 1×1 matrices that is the layer's input
				}
				t.Run(fmt.Sprintf("%s/two=%v/%s", name, two, machine), func(t *testing.T) {
					grads := of(t, newNetwork(t, s, two, exactly))
					if e, leaf := deviation(t, newNetwork(t, s, two, exactly), grads); !(e < 1e-6) {
						t.Errorf("gradient of %s is off by %.2g", leaf, e)
					}
				})
			}
		}
	}
}

// With the adjoint broken off, the gradient is another: the test above can fail.
func TestNodeGradientNeedsTheAdjoint(t *testing.T) {
	s := shape{rows: 3, inputs: 2, hidden: 4, units: 5, outputs: 3}
	n := newNetwork(t, s, false, func(layer int) deq.NodeConfig[float64] {
		c := exactly(layer)
		c.Adjoint = deq.Solver[float64]{Method: solvers.Picard[float64]{}, Settings: solvers.Settings{MaxEvals: 1}}
		c.Unconverged = "continue"
		return c
	})
	grads := gradients["TapeMachine"](t, n)
	if e, _ := deviation(t, newNetwork(t, s, false, exactly), grads); !(e >= 1e-3) {
		t.Errorf("the gradient without the adjoint passes as exact: off by only %.2g", e)
	}
	if r := n.layers[0].Report(); r.AdjointsFailed != 2*s.rows || r.Adjoint.Failed() != s.rows || r.ForwardsFailed != 0 {
		t.Errorf("report %+v: expected %d failures of the adjoint and none forward", r, 2*s.rows)
	}
}

// Both number types and both engines agree to their tolerances.
func TestNodeFloat32(t *testing.T) {
	const rows, inputs, units = 3, 2, 4
	wide := nodeGradients(t, deq.NodeConfig[float64]{Seed: 3}, rows, inputs, units)
	narrow := nodeGradients(t, deq.NodeConfig[float32]{Seed: 3, Forward: deq.Solver[float32]{Settings: solvers.Settings{RTol: 3e-6}},
		Adjoint: deq.Solver[float32]{Settings: solvers.Settings{RTol: 3e-6}}}, rows, inputs, units)
	tape := nodeGradients(t, deq.NodeConfig[float64]{Seed: 3, Engine: "tape"}, rows, inputs, units)
	for i, g := range wide {
		for k, v := range g {
			if !(math.Abs(float64(narrow[i][k])-v) <= 1e-4) {
				t.Errorf("gradient %d[%d] is %v in float32, %v in float64", i, k, narrow[i][k], v)
			}
			if !(math.Abs(tape[i][k]-v) <= 1e-7) {
				t.Errorf("gradient %d[%d] is %v by the TapeMachine's engine, %v by our own", i, k, tape[i][k], v)
			}
		}
	}
}

// nodeGradients are those of mean(z²) for x and the parameters.
func nodeGradients[T deq.Float](t *testing.T, c deq.NodeConfig[T], rows, inputs, units int) (grads [][]T) {
	t.Helper()
	g := gorgonia.NewGraph()
	data := make([]T, rows*inputs)
	for i, v := range normals(7, len(data), 1) {
		data[i] = T(v)
	}
	value := tensor.New(tensor.WithShape(rows, inputs), tensor.WithBacking(data))
	x := gorgonia.NewMatrix(g, value.Dtype(), gorgonia.WithShape(rows, inputs), gorgonia.WithName("x"), gorgonia.WithValue(value))
	l, err := deq.Node(models.Rate{N: units}, x, c)
	if err != nil {
		t.Fatal(err)
	}
	loss := must(gorgonia.Mean(must(gorgonia.Square(l.Z))))
	nodes := must(gorgonia.Grad(loss, append(gorgonia.Nodes{x}, l.Params...)...))
	values := make([]gorgonia.Value, len(nodes))
	for i, n := range nodes {
		gorgonia.Read(n, &values[i])
	}
	vm := gorgonia.NewTapeMachine(g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		grads = append(grads, v.Data().([]T))
	}
	return grads
}

// A small regression is learned with Gorgonia's own solvers, better than by the mean.
func TestNodeLearns(t *testing.T) {
	for name, solver := range map[string]gorgonia.Solver{
		"Adam":    gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.02)),
		"vanilla": gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.1)),
	} {
		t.Run(name, func(t *testing.T) {
			const rows = 16
			g := gorgonia.NewGraph()
			x := matrix(g, "x", 1, rows, 2)
			target := matrix(g, "target", 2, rows, 1)
			in, want := x.Value().Data().([]float64), target.Value().Data().([]float64)
			for i := range want {
				want[i] = math.Sin(3*in[2*i]) * in[2*i+1]
			}
			l, err := deq.Node(models.Rate{N: 8}, x, deq.NodeConfig[float64]{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			b := matrix(g, "B", 3, 8, 1)
			loss := must(gorgonia.Mean(must(gorgonia.Square(must(gorgonia.Sub(must(gorgonia.Mul(l.Z, b)), target))))))
			var value gorgonia.Value
			gorgonia.Read(loss, &value)
			learned := append(gorgonia.Nodes{b}, l.Params...)
			must(gorgonia.Grad(loss, learned...))
			vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(learned...))
			defer vm.Close()
			w := slices.Clone(l.Param("W").Value().Data().([]float64))
			for range 150 {
				if err := vm.RunAll(); err != nil {
					t.Fatal(err)
				}
				if err := solver.Step(gorgonia.NodesToValueGrads(learned)); err != nil {
					t.Fatal(err)
				}
				vm.Reset()
			}
			var sum, squares float64
			for _, v := range want {
				sum, squares = sum+v, squares+v*v
			}
			variance := squares/rows - sum/rows*sum/rows
			if got := value.Data().(float64); !(got < variance/4) {
				t.Errorf("the loss is %.3g after training, that of the mean %.3g", got, variance)
			}
			if slices.Equal(w, l.Param("W").Value().Data().([]float64)) {
				t.Error("W has not moved")
			}
			r := l.Report()
			if r.Forwards != 150 || r.Adjoints != 150 || r.ForwardsFailed != 0 || r.AdjointsFailed != 0 || r.Err != nil || r.Counts.Cell == 0 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

var small = shape{rows: 3, inputs: 2, hidden: 4, units: 5, outputs: 3}

// Weights that change between runs are seen; a second RunAll without Reset is Gorgonia's, which
// computes nothing.
func TestNodeSeesNewWeights(t *testing.T) {
	n := newNetwork(t, small, true, exactly)
	vm := gorgonia.NewTapeMachine(n.graph)
	defer vm.Close()
	run := func(reset bool) float64 {
		if reset {
			vm.Reset()
		}
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		return n.value.Data().(float64)
	}
	first := run(false)
	l := n.layers[0]
	l.Param("W").Value().Data().([]float64)[1] += 0.5
	if again := run(false); again != first || l.Report().Forwards != 1 {
		t.Errorf("without Reset the loss goes from %v to %v in %d solves", first, again, l.Report().Forwards)
	}
	changed := run(true)
	if changed == first {
		t.Error("a changed weight is not seen")
	}
	// A value of another tensor, laid out by columns, is read as the matrix it is.
	w := l.Param("W").Value().(*tensor.Dense)
	columns := must(w.SafeT())
	if err := columns.Transpose(); err != nil {
		t.Fatal(err)
	}
	if err := columns.T(); err != nil {
		t.Fatal(err)
	}
	if err := gorgonia.Let(l.Param("W"), columns); err != nil {
		t.Fatal(err)
	}
	if same := run(true); same != changed {
		t.Errorf("the loss is %v with the transpose of the transpose of W, %v with W", same, changed)
	}
	if err := gorgonia.Let(n.leaves[0], tensor.New(tensor.WithShape(small.rows, small.inputs), tensor.WithBacking(normals(99, small.rows*small.inputs, 1)))); err != nil {
		t.Fatal(err)
	}
	if run(true) == changed {
		t.Error("a changed input is not seen")
	}
}

// The gradient is that of the new weights, too.
func TestNodeGradientSeesNewWeights(t *testing.T) {
	n, reference := newNetwork(t, small, false, exactly), newNetwork(t, small, false, exactly)
	values := make([]gorgonia.Value, len(n.leaves))
	for i, g := range must(gorgonia.Grad(n.loss, n.leaves...)) {
		gorgonia.Read(g, &values[i])
	}
	vm := gorgonia.NewTapeMachine(n.graph)
	defer vm.Close()
	for k := range 2 {
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
		if e, leaf := deviation(t, reference, copies(values)); !(e < 1e-6) {
			t.Errorf("gradient of %s in run %d is off by %.2g", leaf, k, e)
		}
		for i, leaf := range n.leaves {
			for _, w := range []gorgonia.Value{leaf.Value(), reference.leaves[i].Value()} {
				w.Data().([]float64)[0] += 0.4
			}
		}
	}
}

// Gorgonia merges nodes of one hash, and inputs of one name.
func TestNodesAreNotMerged(t *testing.T) {
	g := gorgonia.NewGraph()
	x := matrix(g, "x", 1, 2, 3)
	c := deq.NodeConfig[float64]{Seed: 1}
	a, b := must(deq.Node(models.Rate{N: 3}, x, c)), must(deq.Node(models.Rate{N: 3}, x, c))
	if a.Z == b.Z || a.Z.Op().Hashcode() == b.Z.Op().Hashcode() || a.Name == b.Name {
		t.Fatal("two layers of one model on one input are merged")
	}
	for i, p := range a.Params {
		if p == b.Params[i] || p.Name() == b.Params[i].Name() {
			t.Errorf("the parameters %v and %v are merged", p, b.Params[i])
		}
	}
	if slices.Equal(a.Param("W").Value().Data().([]float64), b.Param("W").Value().Data().([]float64)) {
		t.Error("two layers start with the same weights")
	}
	again := must(deq.Node(models.Rate{N: 3}, matrix(gorgonia.NewGraph(), "x", 1, 2, 3), c))
	if !slices.Equal(a.Param("W").Value().Data().([]float64), again.Param("W").Value().Data().([]float64)) {
		t.Error("a layer of the same seed and name starts with other weights")
	}
	loss := must(gorgonia.Mean(must(gorgonia.HadamardProd(a.Z, b.Z))))
	grads := must(gorgonia.Grad(loss, slices.Concat(a.Params, b.Params)...))
	hashes := map[uint32]bool{}
	for _, n := range grads {
		if hashes[n.Hashcode()] {
			t.Errorf("gradient %v is merged with another", n)
		}
		hashes[n.Hashcode()] = true
	}
	// A parameter that would be merged with a node of the user's is refused.
	matrix(g, "mine.U", 1, 3, 3)
	for name, want := range map[string]string{"deq": `named "deq" already`, "mine": `named "mine.U" already`} {
		if _, err := deq.Node(models.Rate{N: 3}, x, deq.NodeConfig[float64]{Name: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("name %q gives the error %v, expected %q", name, err, want)
		}
	}
}

// values are those of the operands of a layer's op.
func values(x *gorgonia.Node, l *deq.NodeLayer[float64]) []gorgonia.Value {
	v := []gorgonia.Value{x.Value()}
	for _, p := range l.Params {
		v = append(v, p.Value())
	}
	return v
}

// What an op returns is the machine's to overwrite: it is nobody else's memory, and what it was
// computed from stays.
func TestNodeReturnsFreshMemory(t *testing.T) {
	x := matrix(gorgonia.NewGraph(), "x", 1, 2, 3)
	l := must(deq.Node(models.Rate{N: 4}, x, exactly(0)))
	grads := must(gorgonia.Grad(must(gorgonia.Mean(l.Z)), append(gorgonia.Nodes{x}, l.Params...)...))
	pullback := vjp.Children(grads[0])[0]
	check := func(n *gorgonia.Node, in ...gorgonia.Value) gorgonia.Value {
		t.Helper()
		before := copies(in)
		first := must(n.Op().Do(in...)).(*tensor.Dense)
		want := slices.Clone(first.Data().([]float64))
		first.Zero()
		second := must(n.Op().Do(in...))
		if !slices.Equal(second.Data().([]float64), want) {
			t.Errorf("%v: overwriting a result changes the next", n.Op())
		}
		if slices.ContainsFunc(first.Data().([]float64), func(v float64) bool { return v != 0 }) {
			t.Errorf("%v: the next result is written over the first", n.Op())
		}
		for i, v := range copies(in) {
			if !slices.Equal(v, before[i]) {
				t.Errorf("%v: operand %d has changed", n.Op(), i)
			}
		}
		return second
	}
	z := check(l.Z, values(x, l)...)
	dz := tensor.New(tensor.WithShape(2, 4), tensor.WithBacking(normals(5, 8, 1)))
	all := check(pullback, append([]gorgonia.Value{dz, z}, values(x, l)...)...)
	for _, g := range grads {
		check(g, all)
	}
}

// Without the gradients being cleared, BindDualValues adds those of every run, in the memory that
// the ops have returned.
func TestNodeGradientsAccumulate(t *testing.T) {
	n := newNetwork(t, small, true, exactly)
	must(gorgonia.Grad(n.loss, n.leaves...))
	vm := gorgonia.NewTapeMachine(n.graph, gorgonia.BindDualValues(n.leaves...))
	defer vm.Close()
	var once [][]float64
	for k := range 3 {
		if err := vm.RunAll(); err != nil {
			t.Fatal(err)
		}
		vm.Reset()
		grads := bound(n)
		if k == 0 {
			once = grads
		}
		for i, g := range grads {
			for j, v := range g {
				if want := float64(k+1) * once[i][j]; !(math.Abs(v-want) <= 1e-12*max(1, math.Abs(want))) {
					t.Fatalf("gradient of %v after %d runs is %v, expected %v", n.leaves[i], k+1, v, want)
				}
			}
		}
	}
}

// faulty panics where it is told to.
type faulty struct {
	models.Rate
	build bool
}

func (f faulty) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	if f.build {
		panic("the cell is faulty")
	}
	return f.Rate.Cell(s, z, x)
}

type faultyMethod struct{}

func (faultyMethod) Start(solvers.Shape) (solvers.Stepper[float64], error) {
	return faultyMethod{}, nil
}
func (faultyMethod) Reset()                               {}
func (faultyMethod) Bytes() int                           { return 0 }
func (faultyMethod) Step(*solvers.Iterate[float64]) error { panic("the method is faulty") }

// A panic in an op would end the process under a TapeMachine, which runs it on a goroutine of its
// own.
func TestNodePanicsAreErrors(t *testing.T) {
	x := func() *gorgonia.Node { return matrix(gorgonia.NewGraph(), "x", 1, 2, 3) }
	if _, err := deq.Node(faulty{build: true}, x(), exactly(0)); err == nil || !strings.Contains(err.Error(), "the cell is faulty") {
		t.Errorf("building gives the error %v", err)
	}
	for what, c := range map[string]deq.NodeConfig[float64]{
		"equilibrium": {Forward: deq.Solver[float64]{Method: faultyMethod{}}},
		"adjoint":     {Adjoint: deq.Solver[float64]{Method: faultyMethod{}}},
	} {
		l := must(deq.Node(models.Rate{N: 4}, x(), c))
		must(gorgonia.Grad(must(gorgonia.Mean(must(gorgonia.Square(l.Z)))), l.Params...))
		vm := gorgonia.NewTapeMachine(l.Z.Graph())
		if err := vm.RunAll(); err == nil || !strings.Contains(err.Error(), "the method is faulty") || l.Report().Err == nil {
			t.Errorf("a panic in the %s gives the error %v", what, err)
		}
		vm.Close()
	}
	l := must(deq.Node(models.Rate{N: 4}, x(), exactly(0)))
	for name, v := range map[string][]gorgonia.Value{
		"missing": nil, "nil": make([]gorgonia.Value, 1+len(l.Params)),
		"integers":       slices.Repeat([]gorgonia.Value{tensor.New(tensor.WithShape(2, 3), tensor.Of(tensor.Int))}, 1+len(l.Params)),
		"a transposed U": {x().Value(), l.Params[0].Value(), must(l.Params[1].Value().(*tensor.Dense).SafeT()), l.Params[2].Value()},
	} {
		if _, err := l.Z.Op().Do(v...); err == nil {
			t.Errorf("operands that are %s are accepted", name)
		}
	}
}

// Machines may run at once: over one graph's op, and over graphs that share the memory of the
// weights.
func TestNodesRunAtOnce(t *testing.T) {
	x := matrix(gorgonia.NewGraph(), "x", 1, 2, 3)
	one := must(deq.Node(models.Rate{N: 4}, x, exactly(0)))
	in := values(x, one)
	want := must(one.Z.Op().Do(in...)).Data().([]float64)
	other := slices.Clone(in)
	other[0] = tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(normals(8, 6, 1)))
	wantOther := must(one.Z.Op().Do(other...)).Data().([]float64)

	machines := func() (vm gorgonia.VM, z *gorgonia.Value) {
		x := matrix(gorgonia.NewGraph(), "x", 1, 2, 3)
		l := must(deq.Node(models.Rate{N: 4}, x, exactly(5)))
		for i, p := range l.Params {
			if err := gorgonia.Let(p, one.Params[i].Value()); err != nil {
				t.Fatal(err)
			}
		}
		must(gorgonia.Grad(must(gorgonia.Mean(must(gorgonia.Square(l.Z)))), append(gorgonia.Nodes{x}, l.Params...)...))
		z = new(gorgonia.Value)
		gorgonia.Read(l.Z, z)
		return gorgonia.NewTapeMachine(l.Z.Graph()), z
	}
	var wg sync.WaitGroup
	for range 2 {
		vm, z := machines()
		wg.Go(func() {
			defer vm.Close()
			for range 20 {
				if err := vm.RunAll(); err != nil {
					t.Error(err)
				}
				if got := (*z).Data().([]float64); !slices.Equal(got, want) {
					t.Errorf("z* is %v, expected %v", got, want)
				}
				vm.Reset()
			}
		})
	}
	for k := range 2 {
		v, z := in, want
		if k == 1 {
			v, z = other, wantOther
		}
		wg.Go(func() {
			for range 20 {
				got, err := one.Z.Op().Do(v...)
				if err != nil || !slices.Equal(got.Data().([]float64), z) {
					t.Errorf("z* is %v, expected %v (error %v)", got, z, err)
				}
				one.Report()
			}
		})
	}
	wg.Wait()
}

func TestNodeUnconverged(t *testing.T) {
	few := deq.Solver[float64]{Settings: solvers.Settings{MaxEvals: 3}}
	for name, c := range map[string]struct {
		config            deq.NodeConfig[float64]
		forward, adjoints int // samples that fail
		err               bool
	}{
		"equilibrium":            {deq.NodeConfig[float64]{Forward: few}, 2, 0, true},
		"adjoint":                {deq.NodeConfig[float64]{Adjoint: few}, 0, 2, true},
		"equilibrium, continued": {deq.NodeConfig[float64]{Forward: few, Unconverged: "continue"}, 2, 0, false},
		"adjoint, continued":     {deq.NodeConfig[float64]{Adjoint: few, Unconverged: "continue"}, 0, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := matrix(gorgonia.NewGraph(), "x", 1, 2, 3)
			l := must(deq.Node(models.Rate{N: 6, Gain: 0.9}, x, c.config))
			must(gorgonia.Grad(must(gorgonia.Mean(must(gorgonia.Square(l.Z)))), l.Params...))
			vm := gorgonia.NewTapeMachine(l.Z.Graph())
			defer vm.Close()
			err, r := vm.RunAll(), l.Report()
			if (err != nil) != c.err || errors.Is(r.Err, solvers.ErrNotConverged) != c.err || r.ForwardsFailed != c.forward || r.AdjointsFailed != c.adjoints {
				t.Errorf("error %v, report %+v", err, r)
			}
			if r.Forward.Status[0] == solvers.Converged != (c.forward == 0) {
				t.Errorf("status %v", r.Forward.Status)
			}
		})
	}
}

// An input or a cotangent that is not finite is told, and a cotangent of 0 has gradient 0.
func TestNodeNotFinite(t *testing.T) {
	x := matrix(gorgonia.NewGraph(), "x", 1, 2, 3)
	l := must(deq.Node(models.Rate{N: 6}, x, deq.NodeConfig[float64]{}))
	grads := must(gorgonia.Grad(must(gorgonia.Mean(l.Z)), l.Params...))
	in := values(x, l)
	z := must(l.Z.Op().Do(in...))
	pull := func(dz float64) (gorgonia.Value, error) {
		data := make([]float64, 12)
		data[3] = dz
		v := tensor.New(tensor.WithShape(2, 6), tensor.WithBacking(data))
		return vjp.Children(grads[0])[0].Op().Do(append([]gorgonia.Value{v, z}, in...)...)
	}
	for _, v := range must(pull(0)).Data().([]float64) {
		if v != 0 {
			t.Fatal("a cotangent of 0 has a gradient")
		}
	}
	if _, err := pull(math.NaN()); !errors.Is(err, solvers.ErrNotConverged) {
		t.Errorf("a cotangent of NaN gives the error %v", err)
	}
	x.Value().Data().([]float64)[0] = math.NaN()
	if _, err := l.Z.Op().Do(in...); !errors.Is(err, solvers.ErrNotConverged) || l.Report().Forward.Status[0] != solvers.NonFinite {
		t.Errorf("an input of NaN gives the error %v", err)
	}
}

func TestNodeRefuses(t *testing.T) {
	g := gorgonia.NewGraph()
	x := matrix(g, "x", 1, 2, 3)
	vector := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("v"))
	narrow := gorgonia.NewMatrix(gorgonia.NewGraph(), tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"))
	for want, c := range map[string]struct {
		model  models.Model
		x      *gorgonia.Node
		config deq.NodeConfig[float64]
	}{
		"without a model":                    {nil, x, deq.NodeConfig[float64]{}},
		"without an input":                   {models.Rate{}, nil, deq.NodeConfig[float64]{}},
		"expected [batch, inputs]":           {models.Rate{}, vector, deq.NodeConfig[float64]{}},
		"of float32, its NodeConfig of":      {models.Rate{}, narrow, deq.NodeConfig[float64]{}},
		"expected stop or continue":          {models.Rate{}, x, deq.NodeConfig[float64]{Unconverged: "ignore"}},
		"expected fast or tape":              {models.Rate{}, x, deq.NodeConfig[float64]{Engine: "slow"}},
		"equilibrium: solvers: Settings":     {models.Rate{}, x, deq.NodeConfig[float64]{Forward: deq.Solver[float64]{Settings: solvers.Settings{RTol: 2}}}},
		"adjoint: solvers: Settings":         {models.Rate{}, x, deq.NodeConfig[float64]{Adjoint: deq.Solver[float64]{Settings: solvers.Settings{RTol: 2}}}},
		"adjoint: deq: the problem has no":   {models.GRU{}, x, deq.NodeConfig[float64]{Adjoint: deq.Solver[float64]{Method: solvers.ForwardBackward[float64]{}}}},
		"expected one of [tanh relu sigmoid": {models.Rate{Activation: "tan"}, x, deq.NodeConfig[float64]{}},
	} {
		if _, err := deq.Node(c.model, c.x, c.config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, expected %q", err, want)
		}
	}
	l := must(deq.Node(models.Rate{N: 3}, x, deq.NodeConfig[float64]{}))
	first := must(gorgonia.Grad(must(gorgonia.Mean(l.Z)), x))
	if _, err := gorgonia.Grad(must(gorgonia.Mean(must(gorgonia.Square(first[0])))), l.Params...); err == nil || !strings.Contains(err.Error(), "no second derivative") {
		t.Errorf("a second derivative gives the error %v", err)
	}
}
