package models_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attractor/internal/engine"
	"attractor/internal/finite"
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operation is an expression of a state z [rows, columns] and other inputs of parameter rate.
type operation struct {
	name     string
	z        [2]int
	others   [][2]int
	rowed    bool // the others have a row per sample
	build    func(s *models.Scope, z *gorgonia.Node, other []*gorgonia.Node) *gorgonia.Node
	want     func(row []float64) []float64 // of a row, where that is simple
	positive bool
}

func rowwise(f func(float64) float64) func(row []float64) []float64 {
	return func(row []float64) []float64 {
		out := make([]float64, len(row))
		for i, v := range row {
			out[i] = f(v)
		}
		return out
	}
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func operations() []operation {
	unary := func(f func(s *models.Scope, z *gorgonia.Node) *gorgonia.Node) func(*models.Scope, *gorgonia.Node, []*gorgonia.Node) *gorgonia.Node {
		return func(s *models.Scope, z *gorgonia.Node, _ []*gorgonia.Node) *gorgonia.Node { return f(s, z) }
	}
	softMax := func(row []float64) []float64 {
		e := rowwise(math.Exp)(row)
		return rowwise(func(v float64) float64 { return v / sum(e) })(e)
	}
	layerNorm := func(row []float64) []float64 {
		n := float64(len(row))
		mean := sum(row) / n
		variance := sum(rowwise(func(v float64) float64 { return (v - mean) * (v - mean) })(row)) / n
		return rowwise(func(v float64) float64 { return (v - mean) / math.Sqrt(variance+1e-3) })(row)
	}
	type scope = models.Scope
	type node = gorgonia.Node
	var all []operation
	for _, size := range [][2]int{{3, 4}, {1, 4}, {3, 1}, {1, 1}} {
		for _, c := range []operation{
			{name: "slice", build: unary(func(s *scope, z *node) *node { return s.Tanh(s.Slice(z, 0, (size[1]+1)/2)) })},
			{name: "concat", build: unary(func(s *scope, z *node) *node { return s.Tanh(s.Concat(z, s.Square(z), z)) }),
				want: func(row []float64) []float64 {
					out := append(append(append([]float64{}, row...), rowwise(func(v float64) float64 { return v * v })(row)...), row...)
					return rowwise(math.Tanh)(out)
				}},
			{name: "softmax", build: unary((*scope).SoftMax), want: softMax},
			{name: "log softmax", build: unary((*scope).LogSoftMax), want: func(row []float64) []float64 { return rowwise(math.Log)(softMax(row)) }},
			{name: "log-sum-exp", build: unary((*scope).LogSumExp), want: func(row []float64) []float64 { return []float64{math.Log(sum(rowwise(math.Exp)(row)))} }},
			{name: "inverse", positive: true, build: unary((*scope).Inverse), want: rowwise(func(v float64) float64 { return 1 / v })},
			{name: "softmax and its logarithm", build: unary(func(s *scope, z *node) *node { return s.Mul(s.SoftMax(z), s.LogSoftMax(z)) }),
				want: func(row []float64) []float64 {
					return rowwise(func(p float64) float64 { return p * math.Log(p) })(softMax(row))
				}},
			{name: "layer norm", build: unary(func(s *scope, z *node) *node { return s.LayerNorm(z, 1e-3) }), want: layerNorm},
			{name: "layer norm with gain and bias", others: [][2]int{{1, size[1]}, {1, size[1]}}, build: func(s *scope, z *node, o []*node) *node {
				y := s.Mul(s.LayerNorm(z, 1e-3), s.Broadcast(o[0], z))
				return s.Add(y, s.Broadcast(o[1], z))
			}},
			{name: "sum", build: unary(func(s *scope, z *node) *node { return s.Square(s.Sum(z)) }), want: func(row []float64) []float64 { return []float64{sum(row) * sum(row)} }},
			{name: "mean, broadcast", build: unary(func(s *scope, z *node) *node { return s.Mul(z, s.Broadcast(s.Mean(z), z)) }),
				want: func(row []float64) []float64 {
					return rowwise(func(v float64) float64 { return v * sum(row) / float64(len(row)) })(row)
				}},
			{name: "exp", build: unary((*scope).Exp), want: rowwise(math.Exp)},
			{name: "log", positive: true, build: unary((*scope).Log), want: rowwise(math.Log)},
			{name: "log(1+z) and 1+z", positive: true, build: unary(func(s *scope, z *node) *node {
				one := s.Shift(1, z)
				return s.Mul(one, s.Log(one))
			}), want: rowwise(func(v float64) float64 { return (1 + v) * math.Log(1+v) })},
			{name: "sqrt", positive: true, build: unary((*scope).Sqrt), want: rowwise(math.Sqrt)},
			{name: "square", build: unary((*scope).Square), want: rowwise(func(v float64) float64 { return v * v })},
			{name: "abs", build: unary(func(s *scope, z *node) *node { return s.Tanh(s.Abs(z)) }), want: rowwise(func(v float64) float64 { return math.Tanh(math.Abs(v)) })},
			{name: "neg", build: unary(func(s *scope, z *node) *node { return s.Exp(s.Neg(z)) }), want: rowwise(func(v float64) float64 { return math.Exp(-v) })},
			{name: "1 − σ", build: unary(func(s *scope, z *node) *node {
				u := s.Sigmoid(z)
				return s.Mul(u, s.OneMinus(u))
			}), want: rowwise(func(v float64) float64 { return 1 / (2 + math.Exp(v) + math.Exp(-v)) })},
			{name: "div", positive: true, others: [][2]int{size}, rowed: true, build: func(s *scope, z *node, o []*node) *node { return s.Div(o[0], z) }},
			{name: "max", others: [][2]int{size}, rowed: true, build: func(s *scope, z *node, o []*node) *node { return s.Tanh(s.Max(z, o[0])) }},
			{name: "min", others: [][2]int{size}, rowed: true, build: func(s *scope, z *node, o []*node) *node { return s.Tanh(s.Min(z, o[0])) }},
			{name: "lstm", others: [][2]int{{8, size[1]}}, build: func(s *scope, z *node, o []*node) *node {
				gates := s.MatMul(z, o[0], false, true)
				gate := func(i int) *node { return s.Slice(gates, 2*i, 2*i+2) }
				state := s.Mul(s.Sigmoid(gate(0)), s.Tanh(gate(1)))
				return s.Concat(s.Mul(s.Sigmoid(gate(2)), s.Tanh(state)), s.Add(state, gate(3)))
			}},
			{name: "weight normalisation", others: [][2]int{{6, size[1]}, {6, 1}}, build: func(s *scope, z *node, o []*node) *node {
				return s.Tanh(s.MatMul(z, s.WeightNorm(o[0], o[1]), false, true))
			}},
			{name: "spectral normalisation", others: [][2]int{{6, size[1]}}, build: func(s *scope, z *node, o []*node) *node {
				return s.Tanh(s.MatMul(z, s.BoundSpectralNorm(o[0], 0.7), false, true))
			}},
			{name: "spectral normalisation within the bound", others: [][2]int{{6, size[1]}}, build: func(s *scope, z *node, o []*node) *node {
				return s.Tanh(s.MatMul(z, s.BoundSpectralNorm(o[0], 70), false, true))
			}},
			{name: "attention over slots", others: [][2]int{{3, size[1]}, {3, size[1]}}, build: func(s *scope, z *node, o []*node) *node {
				weights := s.SoftMax(s.Scale(0.7, s.MatMul(z, o[0], false, true)))
				return s.LayerNorm(s.Add(z, s.MatMul(weights, o[1], false, false)), 1e-3)
			}},
		} {
			c.z = size
			c.name = fmt.Sprintf("%s %v", c.name, size)
			all = append(all, c)
		}
	}
	return all
}

// compiled is an expression with a scalar Σ weights·out, and its first derivatives' Σ v·grad.
type compiled struct {
	inputs       gorgonia.Nodes
	data         [][]float64
	rows         int
	declared     []engine.Input
	out          *gorgonia.Node
	grads        gorgonia.Nodes
	second       gorgonia.Nodes
	weight       []float64
	tangents     gorgonia.Nodes
	tangentsData [][]float64
}

func (c operation) compile(t *testing.T) *compiled {
	t.Helper()
	r := rand.New(rand.NewPCG(11, 12))
	s := models.NewScope(tensor.Float64, nil)
	k := &compiled{rows: c.z[0]}
	draw := func(n int) []float64 {
		d := make([]float64, n)
		for i := range d {
			d[i] = r.NormFloat64()
			if c.positive {
				d[i] = 0.5 + math.Abs(d[i])
			}
		}
		return d
	}
	input := func(name string, shape [2]int, rate engine.Rate) *gorgonia.Node {
		n := s.Variable(name, shape[0], shape[1])
		k.inputs, k.data = append(k.inputs, n), append(k.data, draw(shape[0]*shape[1]))
		k.declared = append(k.declared, engine.Input{Node: n, Rate: rate})
		return n
	}
	z := input("z", c.z, engine.State)
	var others []*gorgonia.Node
	for i, shape := range c.others {
		rate := engine.Parameters
		if c.rowed {
			rate = engine.Batch
		}
		others = append(others, input(fmt.Sprintf("o%d", i), shape, rate))
	}
	k.out = c.build(s, z, others)
	must(t, s.Err())
	wrt := append(gorgonia.Nodes{}, k.inputs...)
	u := input("u", [2]int{k.out.Shape()[0], k.out.Shape()[1]}, engine.Cotangent)
	k.weight = k.data[len(k.data)-1]
	var err error
	k.grads, err = vjp.VJP(gorgonia.Nodes{k.out}, gorgonia.Nodes{u}, wrt)
	must(t, err)
	for i, g := range k.grads {
		if g == nil {
			t.Fatalf("no derivative for %v", wrt[i])
		}
		rate := engine.Parameters
		if i == 0 {
			rate = engine.Cotangent
		}
		v := input(fmt.Sprintf("v%d", i), [2]int{g.Shape()[0], g.Shape()[1]}, rate)
		k.tangents, k.tangentsData = append(k.tangents, v), append(k.tangentsData, k.data[len(k.data)-1])
	}
	k.second, err = vjp.VJP(k.grads, k.tangents, wrt)
	must(t, err)
	k.inputs = wrt
	return k
}

type compiler func(gorgonia.Nodes, engine.Options) (engine.Program[float64], error)

// run returns a function that evaluates outs.
func (k *compiled) run(t *testing.T, by compiler, outs gorgonia.Nodes) func() engine.Program[float64] {
	t.Helper()
	p, err := by(outs, engine.Options{Inputs: k.declared, Rows: k.rows})
	must(t, err)
	for i, in := range k.declared {
		must(t, p.Bind(in.Node, k.data[i]))
	}
	return func() engine.Program[float64] {
		for rate := engine.Parameters; rate <= engine.Cotangent; rate++ {
			must(t, p.Run(rate, k.rows))
		}
		return p
	}
}

func dot(a, b []float64) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every operation has the value it says, is row by row, and has right derivatives of first and second
// order, by the engine and by the TapeMachine.
func TestOperations(t *testing.T) {
	for _, c := range operations() {
		t.Run(c.name, func(t *testing.T) {
			k := c.compile(t)
			outs := append(append(gorgonia.Nodes{k.out}, k.grads...), notNil(k.second)...)
			fast, tape := k.run(t, engine.Compile[float64], outs)(), k.run(t, engine.CompileTape[float64], outs)()
			for i := range outs {
				for j, v := range fast.Out(i) {
					if w := tape.Out(i)[j]; !(math.Abs(v-w) <= 1e-11*max(1, math.Abs(w))) {
						t.Fatalf("output %d, %v: element %d is %v by the engine and %v by the tape", i, outs[i], j, v, w)
					}
				}
			}
			if c.want != nil {
				var want []float64
				for i := range c.z[0] {
					want = append(want, c.want(k.data[0][i*c.z[1]:(i+1)*c.z[1]])...)
				}
				for j, v := range fast.Out(0) {
					if !(math.Abs(v-want[j]) <= 1e-12*max(1, math.Abs(want[j]))) {
						t.Fatalf("element %d is %v, want %v", j, v, want[j])
					}
				}
			}
			only := k.run(t, engine.Compile[float64], gorgonia.Nodes{k.out, k.grads[0]})
			if err := only().RowWise(); err != nil {
				t.Error(err)
			}
			k.compare(t, "first", k.grads, only, func(p engine.Program[float64]) float64 { return dot(k.weight, p.Out(0)) })
			grads := k.run(t, engine.Compile[float64], k.grads)
			k.compare(t, "second", k.second, grads, func(p engine.Program[float64]) (s float64) {
				for i, v := range k.tangentsData {
					s += dot(v, p.Out(i))
				}
				return s
			})
		})
	}
}

func notNil(nodes gorgonia.Nodes) (some gorgonia.Nodes) {
	for _, n := range nodes {
		if n != nil {
			some = append(some, n)
		}
	}
	return some
}

// compare checks derivatives of a scalar, nil for 0, for every input.
func (k *compiled) compare(t *testing.T, order string, got gorgonia.Nodes, eval func() engine.Program[float64], scalar func(engine.Program[float64]) float64) {
	t.Helper()
	analytic := make([][]float64, len(got))
	if some := notNil(got); len(some) > 0 {
		p, at := k.run(t, engine.Compile[float64], some)(), 0
		for i, n := range got {
			if n != nil {
				analytic[i] = append([]float64(nil), p.Out(at)...)
				at++
			}
		}
	}
	for i := range k.inputs {
		for j, old := range k.data[i] {
			want, err := finite.Derivative(func(h float64) (float64, error) {
				k.data[i][j] = old + h
				return scalar(eval()), nil
			})
			must(t, err)
			k.data[i][j] = old
			have := 0.0
			if analytic[i] != nil {
				have = analytic[i][j]
			}
			if !(math.Abs(have-want) <= 1e-7*max(1, math.Abs(want))) {
				t.Fatalf("%s derivative for %v, element %d: %v, by differences %v", order, k.inputs[i], j, have, want)
			}
		}
	}
}

func TestOperationErrors(t *testing.T) {
	for name, c := range map[string]struct {
		build func(s *models.Scope, z *gorgonia.Node)
		want  string
	}{
		"slice":        {func(s *models.Scope, z *gorgonia.Node) { s.Slice(z, 1, 4) }, "columns 1 to 4 of 3"},
		"concat":       {func(s *models.Scope, z *gorgonia.Node) { s.Concat() }, "no operands"},
		"concat rows":  {func(s *models.Scope, z *gorgonia.Node) { s.Concat(z, s.Variable("q", 5, 1)) }, "the rows differ"},
		"broadcast":    {func(s *models.Scope, z *gorgonia.Node) { s.Broadcast(z, s.Variable("q", 2, 6)) }, "longer than 1"},
		"gain":         {func(s *models.Scope, z *gorgonia.Node) { s.Gain("g", z) }, "on 3 columns"},
		"layer norm":   {func(s *models.Scope, z *gorgonia.Node) { s.LayerNorm(z, 0) }, "eps is 0"},
		"divide":       {func(s *models.Scope, z *gorgonia.Node) { s.Div(z, s.Sum(z)) }, "must be equal"},
		"mean of nil":  {func(s *models.Scope, z *gorgonia.Node) { s.Mean(nil) }, "operand is nil"},
		"dropout":      {func(s *models.Scope, z *gorgonia.Node) { s.Dropout("m", 1, z) }, "expected a number in [0, 1)"},
		"same mask":    {func(s *models.Scope, z *gorgonia.Node) { s.Dropout("m", 0.5, s.Dropout("m", 0.5, z)) }, `"m" is taken`},
		"shift of nil": {func(s *models.Scope, z *gorgonia.Node) { s.Shift(1, nil) }, "operand is nil"},
	} {
		s := models.NewScope(tensor.Float64, []models.Param{{Name: "g", Shape: []int{4}}})
		c.build(s, s.Variable("z", 2, 3))
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
