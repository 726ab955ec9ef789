package vjp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attractor/internal/engine"
	"attractor/internal/vjp"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type node = *gorgonia.Node

// graph is an expression under test with numbers for its inputs.
type graph struct {
	*gorgonia.ExprGraph
	t      testing.TB
	r      *rand.Rand
	inputs []engine.Input
	data   map[node][]float64
}

func newGraph(t testing.TB) *graph {
	return &graph{ExprGraph: gorgonia.NewGraph(), t: t, r: rand.New(rand.NewPCG(1, 2)), data: make(map[node][]float64)}
}

// input makes an input with entries of at least 0.2 in size.
func (g *graph) input(name string, shape ...int) node {
	n := gorgonia.NewTensor(g.ExprGraph, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	if len(shape) == 0 {
		n = gorgonia.NewScalar(g.ExprGraph, tensor.Float64, gorgonia.WithName(name))
	}
	d := make([]float64, max(1, n.Shape().TotalSize()))
	for i := range d {
		d[i] = g.r.NormFloat64()
		d[i] += math.Copysign(0.2, d[i])
	}
	g.inputs, g.data[n] = append(g.inputs, engine.Input{Node: n, Rate: engine.Parameters}), d
	return n
}

// eval returns the values of outs, nil for nil.
func (g *graph) eval(outs ...node) ([][]float64, error) {
	var some gorgonia.Nodes
	for _, n := range outs {
		if n != nil {
			some = append(some, n)
		}
	}
	values := make([][]float64, len(outs))
	if len(some) == 0 {
		return values, nil
	}
	p, err := engine.Compile[float64](some, engine.Options{Inputs: g.inputs, Rows: 1})
	if err != nil {
		return nil, err
	}
	for n, d := range g.data {
		if err := p.Bind(n, d); err != nil {
			return nil, err
		}
	}
	if err := p.Run(engine.Parameters, 1); err != nil {
		return nil, err
	}
	at := 0
	for i, n := range outs {
		if n != nil {
			values[i] = slices.Clone(p.Out(at))
			at++
		}
	}
	return values, nil
}

// numeric returns the derivatives of Σ weights·outs by central differences.
func (g *graph) numeric(outs, weights, wrt gorgonia.Nodes) [][]float64 {
	const h = 1e-5
	scalar := func() (s float64) {
		values, err := g.eval(outs...)
		must(g.t, err)
		for i, v := range values {
			for j, x := range v {
				s += x * g.data[weights[i]][j]
			}
		}
		return s
	}
	var all [][]float64
	for _, n := range wrt {
		d := g.data[n]
		row := make([]float64, len(d))
		for j, old := range d {
			d[j] = old + h
			up := scalar()
			d[j] = old - h
			row[j] = (up - scalar()) / (2 * h)
			d[j] = old
		}
		all = append(all, row)
	}
	return all
}

// off is the largest difference of analytic derivatives, nil for 0, and numeric ones.
func off(analytic, numeric [][]float64) (worst float64) {
	for i, row := range numeric {
		for j, want := range row {
			have := 0.0
			if analytic[i] != nil {
				have = analytic[i][j]
			}
			if d := math.Abs(have - want); !(d <= worst) {
				worst = d
			}
		}
	}
	return worst
}

// plain applies Gorgonia's own rules without guards.
func plain(outs, cotangents, wrt gorgonia.Nodes) (grads gorgonia.Nodes, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	sums := make(map[node]node)
	add := func(n, g node) {
		if g == nil {
			return
		}
		if !g.Shape().Eq(n.Shape()) {
			g = gorgonia.Must(gorgonia.Reshape(g, n.Shape().Clone()))
		}
		if old := sums[n]; old != nil {
			g = gorgonia.Must(gorgonia.Add(old, g))
		}
		sums[n] = g
	}
	for i, out := range outs {
		add(out, cotangents[i])
	}
	order := vjp.Topological(outs...)
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		op, ok := n.Op().(gorgonia.SDOp)
		if n.Op() == nil || sums[n] == nil {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("%v has no rule", n.Op())
		}
		children := vjp.Children(n)
		local, err := op.SymDiff(children, n, sums[n])
		if err != nil {
			return nil, err
		}
		for j, c := range children {
			if d := op.DiffWRT(len(children)); j < len(local) && j < len(d) && d[j] {
				add(c, local[j])
			}
		}
	}
	for _, n := range wrt {
		grads = append(grads, sums[n])
	}
	return grads, nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cell is φ(zW + b) with two uses of z.
func cell(g *graph) (out node, wrt gorgonia.Nodes) {
	m := gorgonia.Must
	z, w, b := g.input("z", 3, 4), g.input("W", 4, 4), g.input("b", 1, 4)
	pre := m(gorgonia.BroadcastAdd(m(gorgonia.Mul(z, w)), b, nil, []byte{0}))
	return m(gorgonia.HadamardProd(z, m(gorgonia.Tanh(pre)))), gorgonia.Nodes{z, w, b}
}

func TestClosedForms(t *testing.T) {
	m := gorgonia.Must
	for name, c := range map[string]struct {
		f    func(node) (node, error)
		d, h func(x float64) float64 // first and second derivative
	}{
		"tanh": {gorgonia.Tanh, func(x float64) float64 { return 1 - math.Pow(math.Tanh(x), 2) },
			func(x float64) float64 { return -2 * math.Tanh(x) * (1 - math.Pow(math.Tanh(x), 2)) }},
		"cube": {gorgonia.Cube, func(x float64) float64 { return 3 * x * x }, func(x float64) float64 { return 6 * x }},
		"exp":  {gorgonia.Exp, math.Exp, math.Exp},
		"x·eˣ": {func(x node) (node, error) { return gorgonia.HadamardProd(x, m(gorgonia.Exp(x))) },
			func(x float64) float64 { return (1 + x) * math.Exp(x) }, func(x float64) float64 { return (2 + x) * math.Exp(x) }},
	} {
		g := newGraph(t)
		x, u, v := g.input("x", 2, 3), g.input("u", 2, 3), g.input("v", 2, 3)
		y := m(c.f(x))
		first, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{u}, gorgonia.Nodes{x})
		must(t, err)
		second, err := vjp.VJP(first, gorgonia.Nodes{v}, gorgonia.Nodes{x, u})
		must(t, err)
		got, err := g.eval(first[0], second[0], second[1])
		must(t, err)
		for i, x := range g.data[x] {
			u, v := g.data[u][i], g.data[v][i]
			for k, want := range []float64{u * c.d(x), u * v * c.h(x), v * c.d(x)} {
				if !(math.Abs(got[k][i]-want) <= 1e-12*max(1, math.Abs(want))) {
					t.Errorf("%s: derivative %d at %v is %v, want %v", name, k, x, got[k][i], want)
				}
			}
		}
	}
}

// Several calls on one graph do not disturb each other, for any cotangent, with regard to inner nodes, and up to
// stopped ones.
func TestCallsAreIndependent(t *testing.T) {
	m := gorgonia.Must
	g := newGraph(t)
	x, u, v := g.input("x", 2, 2), g.input("u", 2, 2), g.input("v", 2, 2)
	inner := m(gorgonia.Exp(x))
	y := m(gorgonia.HadamardProd(inner, x))
	vjpOf := func(cot node, wrt node, stop ...node) node {
		t.Helper()
		grads, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{cot}, gorgonia.Nodes{wrt}, stop...)
		must(t, err)
		return grads[0]
	}
	got, err := g.eval(vjpOf(u, x), vjpOf(v, x), vjpOf(u, inner), vjpOf(u, x, inner))
	must(t, err)
	for i, x := range g.data[x] {
		u, v := g.data[u][i], g.data[v][i]
		for k, want := range []float64{u * (1 + x) * math.Exp(x), v * (1 + x) * math.Exp(x), u * x, u * math.Exp(x)} {
			if !(math.Abs(got[k][i]-want) <= 1e-12*max(1, math.Abs(want))) {
				t.Errorf("call %d: %v, want %v", k, got[k][i], want)
			}
		}
	}
	if n := vjpOf(u, g.input("other", 2, 2)); n != nil {
		t.Errorf("y does not depend on it, but the derivative is %v", n)
	}
}

// Gorgonia's own Backpropagate, the negative control: its second call gives the first one's result.
func TestBackpropagateKeepsState(t *testing.T) {
	g := newGraph(t)
	x, u, v := g.input("x", 2, 2), g.input("u", 2, 2), g.input("v", 2, 2)
	y := gorgonia.Nodes{gorgonia.Must(gorgonia.Exp(x))}
	first, err := gorgonia.Backpropagate(y, gorgonia.Nodes{u}, gorgonia.Nodes{x})
	must(t, err)
	second, err := gorgonia.Backpropagate(y, gorgonia.Nodes{v}, gorgonia.Nodes{x})
	if err == nil {
		values, evalErr := g.eval(first[0], second[0])
		if evalErr == nil && math.Abs(values[1][0]-g.data[v][0]*math.Exp(g.data[x][0])) < 1e-12 {
			t.Error("Backpropagate may be called twice: the negative control fails")
		}
	}
}

// ⟨u, J·v⟩ = ⟨Jᵀu, v⟩, and both are what differences say.
func TestJVP(t *testing.T) {
	g := newGraph(t)
	y, wrt := cell(g)
	var v gorgonia.Nodes
	for _, n := range wrt {
		v = append(v, g.input("v"+n.Name(), n.Shape()...))
	}
	u := g.input("u", y.Shape()...)
	grads, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{u}, wrt)
	must(t, err)
	products, err := vjp.JVP(gorgonia.Nodes{y, wrt[0]}, wrt, v, "dummy")
	must(t, err)
	values, err := g.eval(append(append(gorgonia.Nodes{}, products...), grads...)...)
	must(t, err)
	left, right := 0.0, 0.0
	for i, x := range values[0] {
		left += x * g.data[u][i]
	}
	for k, n := range v {
		for i, x := range values[2+k] {
			right += x * g.data[n][i]
		}
	}
	if !(math.Abs(left-right) <= 1e-12*math.Abs(left)) {
		t.Errorf("⟨u, Jv⟩ = %v but ⟨Jᵀu, v⟩ = %v", left, right)
	}
	if !slices.Equal(values[1], g.data[v[0]]) {
		t.Error("the product with the identity is another vector")
	}
	if d := off(values[2:], g.numeric(gorgonia.Nodes{y}, gorgonia.Nodes{u}, wrt)); !(d <= 1e-8) {
		t.Errorf("Jᵀu is off by %.2g", d)
	}
	none, err := vjp.JVP(gorgonia.Nodes{y}, gorgonia.Nodes{g.input("other", 2, 2)}, gorgonia.Nodes{g.input("w", 2, 2)}, "dummy2")
	must(t, err)
	if none[0] != nil {
		t.Errorf("the product with 0 is %v", none[0])
	}
}

func TestSecondDerivatives(t *testing.T) {
	g := newGraph(t)
	y, wrt := cell(g)
	u := g.input("u", y.Shape()...)
	first, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{u}, wrt)
	must(t, err)
	var v gorgonia.Nodes
	for i, n := range first {
		v = append(v, g.input(fmt.Sprint("v", i), n.Shape()...))
	}
	second, err := vjp.VJP(first, v, wrt)
	must(t, err)
	values, err := g.eval(second...)
	must(t, err)
	if d := off(values, g.numeric(first, v, wrt)); !(d <= 1e-8) {
		t.Errorf("second derivatives are off by %.2g", d)
	}
}

func TestLengthMismatch(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an output without a cotangent is accepted")
		}
	}()
	g := newGraph(t)
	_, _ = vjp.VJP(gorgonia.Nodes{g.input("x", 2, 2)}, nil, nil)
}

// refusals are the ops whose derivatives are refused, in the given order of derivation.
var refusals = []struct {
	name   string
	order  int
	want   []string // in the error: the op and what to use instead
	shapes [][]int
	build  func(x []node) (node, error)
	deadly bool // without the guard it ends the process, or fills the log
	fails  bool // without the guard there is an error or a panic, which says less
}{
	{name: "slice", order: 2, want: []string{"Slice", "models.Scope.Slice"}, shapes: [][]int{{3, 6}},
		build: func(x []node) (node, error) {
			return gorgonia.Tanh(gorgonia.Must(gorgonia.Slice(x[0], nil, gorgonia.S(1, 3))))
		}},
	{name: "matrix times vector", order: 2, want: []string{"matrix and vector", "matrices [n, 1]"}, shapes: [][]int{{4, 4}, {4}},
		build: func(x []node) (node, error) { return gorgonia.Mul(x[0], x[1]) }},
	{name: "outer product", order: 1, want: []string{"OuterProd", "products of matrices"}, shapes: [][]int{{3}, {3}},
		build: func(x []node) (node, error) { return gorgonia.OuterProd(x[0], x[1]) }},
	{name: "inverse root", order: 1, want: []string{"InverseSqrt", "Inverse of Sqrt"}, shapes: [][]int{{2, 2}},
		build: func(x []node) (node, error) { return gorgonia.InverseSqrt(gorgonia.Must(gorgonia.Exp(x[0]))) }},
	{name: "logarithm to base 2", order: 1, want: []string{"Log2", "Log times"}, shapes: [][]int{{2, 2}},
		build: func(x []node) (node, error) { return gorgonia.Log2(gorgonia.Must(gorgonia.Exp(x[0]))) }},
	{name: "average pool", order: 1, fails: true, want: []string{"AveragePool2D", "convolution"}, shapes: [][]int{{2, 2, 4, 4}},
		build: func(x []node) (node, error) {
			return gorgonia.AveragePool2D(x[0], tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		}},
	{name: "global average pool", order: 1, want: []string{"GlobalAveragePool2D", "Mean"}, shapes: [][]int{{2, 2, 4, 4}},
		build: func(x []node) (node, error) { return gorgonia.GlobalAveragePool2D(x[0]) }, fails: true},
	{name: "dropout", order: 1, fails: true, want: []string{"Dropout", "models.Scope.Dropout"}, shapes: [][]int{{4, 4}},
		build: func(x []node) (node, error) { return gorgonia.Dropout(x[0], 0.3) }},
	{name: "entry", order: 1, fails: true, want: []string{"At", "Slice"}, shapes: [][]int{{3, 4}},
		build: func(x []node) (node, error) { return gorgonia.At(x[0], 1, 2) }},
	{name: "by indices", order: 1, fails: true, want: []string{"ByIndices", "axis 0"}, shapes: [][]int{{5, 3}},
		build: func(x []node) (node, error) { return gorgonia.ByIndices(x[0], indices(x[0]), 1) }},
	{name: "by indices twice", order: 2, fails: true, want: []string{"ByIndices", "zeros and ones"}, shapes: [][]int{{5, 3}},
		build: func(x []node) (node, error) {
			return gorgonia.Tanh(gorgonia.Must(gorgonia.ByIndices(x[0], indices(x[0]), 0)))
		}},
	{name: "softmax", order: 2, fails: true, want: []string{"SoftMax", "models.Scope.SoftMax"}, shapes: [][]int{{3, 4}},
		build: func(x []node) (node, error) { return gorgonia.SoftMax(x[0], 1) }},
	{name: "log softmax", order: 2, fails: true, want: []string{"LogSoftMax", "models.Scope.SoftMax"}, shapes: [][]int{{3, 4}},
		build: func(x []node) (node, error) { return gorgonia.LogSoftMax(x[0], 1) }},
	{name: "sparsemax", order: 2, fails: true, want: []string{"Sparsemax"}, shapes: [][]int{{3, 4}},
		build: func(x []node) (node, error) { return gorgonia.Sparsemax(x[0]) }},
	{name: "max pool", order: 2, fails: true, want: []string{"MaxPool2D", "Max over axes"}, shapes: [][]int{{2, 2, 4, 4}},
		build: func(x []node) (node, error) {
			return gorgonia.MaxPool2D(x[0], tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
		}},
	{name: "upsample", order: 2, fails: true, want: []string{"Upsample2D", "zeros and ones"}, shapes: [][]int{{1, 2, 3, 3}},
		build: func(x []node) (node, error) { return gorgonia.Upsample2D(x[0], 2) }},
	{name: "convolution 1×1", order: 2, want: []string{"Conv2d", "products of matrices"}, shapes: [][]int{{2, 2, 4, 4}, {3, 2, 1, 1}},
		build: func(x []node) (node, error) {
			return gorgonia.Conv2d(x[0], x[1], tensor.Shape{1, 1}, []int{0, 0}, []int{1, 1}, []int{1, 1})
		}},
	{name: "convolution 3×3", order: 2, want: []string{"Conv2d", "products of matrices"}, shapes: [][]int{{2, 2, 4, 4}, {3, 2, 3, 3}}, deadly: true,
		build: func(x []node) (node, error) {
			return gorgonia.Conv2d(x[0], x[1], tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
		}},
	{name: "batch normalisation", order: 1, want: []string{"BatchNorm", "models.Scope.LayerNorm"}, shapes: [][]int{{5, 3}, {1, 3}, {1, 3}},
		build: func(x []node) (node, error) {
			y, _, _, _, err := gorgonia.BatchNorm(x[0], x[1], x[2], 0.9, 1e-5)
			return y, err
		}},
	{name: "group normalisation", order: 1, deadly: true, want: []string{"GroupNorm", "models.Scope.LayerNorm"}, shapes: [][]int{{2, 4, 3, 3}, {1, 4, 1, 1}, {1, 4, 1, 1}},
		build: func(x []node) (node, error) { return gorgonia.GroupNorm(x[0], x[1], x[2], 2, 4, 1e-5) }},
	{name: "wide concatenation", order: 1, want: []string{"Concat", "[256:512]", "models.Scope.Concat"}, shapes: [][]int{{1, 256}, {1, 256}},
		build: func(x []node) (node, error) { return gorgonia.Tanh(gorgonia.Must(gorgonia.Concat(1, x[0], x[1]))) }},
}

func indices(x node) node {
	return gorgonia.NewTensor(x.Graph(), tensor.Int, 1, gorgonia.WithShape(3), gorgonia.WithName("at"),
		gorgonia.WithValue(tensor.New(tensor.WithBacking([]int{2, 0, 2}))))
}

// What is known to be wrong is refused, with the op's name and what to use instead; and it is wrong: Gorgonia's
// own rules disagree with differences, or fail.
func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			type vjpFunc func(outs, cotangents, wrt gorgonia.Nodes) (gorgonia.Nodes, error)
			// derive returns the derivatives of the wanted order and of what they are.
			derive := func(g *graph, by vjpFunc) (wrt, of, weights, grads gorgonia.Nodes, err error) {
				for i, shape := range c.shapes {
					wrt = append(wrt, g.input(fmt.Sprint("x", i), shape...))
				}
				y, err := c.build(wrt)
				must(t, err)
				of, weights = gorgonia.Nodes{y}, gorgonia.Nodes{g.input("u", y.Shape()...)}
				if grads, err = by(of, weights, wrt); err != nil || c.order == 1 {
					return wrt, of, weights, grads, err
				}
				of, weights = nil, nil
				for i, n := range grads {
					if n != nil {
						of, weights = append(of, n), append(weights, g.input(fmt.Sprint("v", i), n.Shape()...))
					}
				}
				grads, err = by(of, weights, wrt)
				return wrt, of, weights, grads, err
			}
			_, of, _, _, err := derive(newGraph(t), func(outs, cotangents, wrt gorgonia.Nodes) (gorgonia.Nodes, error) {
				return vjp.VJP(outs, cotangents, wrt)
			})
			if err == nil {
				t.Fatal("it is not refused")
			}
			if c.order == 2 && of[0].Op() == nil {
				t.Fatalf("the first derivative is refused: %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if c.deadly {
				return
			}
			g := newGraph(t)
			wrt, of, weights, grads, err := derive(g, plain)
			if err == nil {
				var values [][]float64
				if values, err = g.eval(grads...); err == nil {
					if c.fails {
						t.Fatal("Gorgonia's own derivative does not fail")
					}
					if d := off(values, g.numeric(of, weights, wrt)); !(d >= 1e-3) {
						t.Errorf("Gorgonia's own derivative is right to %.2g: the negative control fails", d)
					}
					return
				}
			}
			if !c.fails {
				t.Errorf("without the guard: %v", err)
			}
		})
	}
}

// Sums over four axes are right as the engine computes them, in both orders; the TapeMachine refuses those
// that Gorgonia gets wrong.
func TestSumsOfFourAxes(t *testing.T) {
	for _, along := range [][]int{{1}, {2}, {3}, {1, 2}, {0, 2, 3}} {
		g := newGraph(t)
		x := g.input("x", 2, 3, 4, 2)
		y := gorgonia.Must(gorgonia.Tanh(gorgonia.Must(gorgonia.Sum(x, along...))))
		u := g.input("u", y.Shape()...)
		first, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{u}, gorgonia.Nodes{x})
		must(t, err)
		v := g.input("v", x.Shape()...)
		second, err := vjp.VJP(first, gorgonia.Nodes{v}, gorgonia.Nodes{x})
		must(t, err)
		values, err := g.eval(first[0], second[0])
		must(t, err)
		if d := off(values[:1], g.numeric(gorgonia.Nodes{y}, gorgonia.Nodes{u}, gorgonia.Nodes{x})); !(d <= 1e-8) {
			t.Errorf("along %v: the first derivative is off by %.2g", along, d)
		}
		if d := off(values[1:], g.numeric(first, gorgonia.Nodes{v}, gorgonia.Nodes{x})); !(d <= 1e-8) {
			t.Errorf("along %v: the second derivative is off by %.2g", along, d)
		}
		_, err = engine.CompileTape[float64](gorgonia.Nodes{y}, engine.Options{Inputs: g.inputs, Rows: 1})
		if wrong := slices.Contains(along, 2); (err != nil) != wrong {
			t.Errorf("along %v: the tape's error is %v", along, err)
		}
	}
}

func TestNoDerivative(t *testing.T) {
	g := newGraph(t)
	x := g.input("x", 4)
	y := gorgonia.Must(gorgonia.DiagFlat(x))
	if _, err := vjp.VJP(gorgonia.Nodes{y}, gorgonia.Nodes{g.input("u", 4, 4)}, gorgonia.Nodes{x}); err == nil || !strings.Contains(err.Error(), "no symbolic derivative") {
		t.Errorf("error %v", err)
	}
}
