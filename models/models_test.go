package models_test

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/models/modeltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestCatalog(t *testing.T) {
	for _, e := range models.Catalog.Entries() {
		t.Run(e.Name, func(t *testing.T) { modeltest.Test(t, e.Value) })
	}
}

func TestRateOptions(t *testing.T) {
	for _, activation := range models.Activations {
		for _, leak := range []float64{1, 0.25} {
			modeltest.Test(t, models.Rate{N: 7, Activation: activation, Leak: leak})
		}
	}
	for _, m := range []models.Rate{
		{Normalize: "weight"}, {Normalize: "spectral"}, // within the bound, or so
		{Form: "v", Gain: 1.2}, {Form: "v", Leak: 0.3, Activation: "softplus", Normalize: "weight"}, {Form: "v", Activation: "linear", Leak: 0.5},
		{Density: 0.4}, {Dale: 0.7}, {Dale: 0.6, Density: 0.5, Form: "v", Leak: 0.2}, {Dale: 0.5, Normalize: "spectral", Gain: 2, Bound: 0.9},
		{Noise: 0.3, Leak: 0.5}, {Noise: 0.3, Form: "v"},
		{Normalize: "spectral", Gain: 2, Bound: 0.7}, {Normalize: "spectral", Gain: 0.2, Activation: "softplus", Leak: 0.5},
	} {
		m.N = 7
		modeltest.Test(t, m)
	}
	for _, bad := range []models.Rate{
		{Form: "x"}, {Dale: -0.1}, {Dale: 1}, {N: 4, Dale: 0.1}, {N: 4, Dale: 0.9}, {Dale: 0.8, Normalize: "weight"},
		{Density: -0.1}, {Density: 1.1}, {Density: math.NaN()}, {Noise: -1}, {Noise: math.Inf(1)},
		{Normalize: "wieght"}, {Dropout: 1}, {Dropout: -0.1}, {Bound: -1}, {N: -1}, {Activation: "tan"}, {Gain: -1}, {InputGain: -2}, {Leak: 1.5}, {Leak: math.NaN()}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestGRUOptions(t *testing.T) {
	modeltest.Test(t, models.GRU{N: 7, Gain: 2, GateGain: 1, UpdateBias: -1})
	modeltest.Test(t, models.GRU{N: 7, Gain: 2, GateGain: 1, Reset: "after"})
	for _, bad := range []models.GRU{{Reset: "never"}, {N: -1}, {Gain: -1}, {GateGain: math.NaN()}, {InputGain: -2}, {UpdateBias: math.Inf(1)}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestFeedbackOptions(t *testing.T) {
	for _, m := range []models.Feedback{
		{}, {State: "rate"}, {Leak: 0.1, Rho: 0.5, Orthogonal: true}, {State: "rate", Leak: 0.3, Extra: 2}, {Activation: "softplus", Extra: 1, Rho: 1}, {Rho: 0.5, ReadoutXi: 2, ReadoutI: -1},
	} {
		m.N = 25
		modeltest.Test(t, m)
	}
	for _, bad := range []models.Feedback{{N: -1}, {State: "rates"}, {Activation: "tan"}, {Gain: -1}, {SigmaM: math.NaN()}, {SigmaI: -1}, {ReadoutGain: -1}, {Rho: 1.1}, {Rho: math.NaN()}, {Extra: -1}, {Leak: 2}, {ReadoutM: math.Inf(1)}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// The vectors have the stated variances and correlations, exactly where they are orthogonal, and a loop and an
// input share ξ where they have the same number.
func TestFeedbackVectors(t *testing.T) {
	const inputs, outputs = 3, 2
	for _, c := range []struct {
		m         models.Feedback
		tolerance float64
	}{
		{models.Feedback{N: 20000, SigmaM: 1.5, SigmaI: 0.4, Rho: 0.6}, 0.03},
		{models.Feedback{N: 60, SigmaM: 1.5, SigmaI: 0.4, Rho: 0.6, Orthogonal: true}, 1e-12},
	} {
		params := deq.NewParams[float64](onlyVectors{c.m}, inputs, outputs, 1)
		m, u := params[0].Data, params[1].Data
		overlap := func(a []float64, i, width int, b []float64, k, other int) float64 {
			sum := 0.0
			for r := range c.m.N {
				sum += a[r*width+i] * b[r*other+k]
			}
			return sum / float64(c.m.N)
		}
		for i := range outputs {
			for k := range inputs {
				want := 0.0
				if i == k {
					want = 0.6 * 0.6 * 1.5 * 0.4 / math.Sqrt(inputs)
				}
				if got := overlap(m, i, outputs, u, k, inputs); !(math.Abs(got-want) <= c.tolerance) {
					t.Errorf("loop %d and input %d have the covariance %g, want %g", i, k, got, want)
				}
			}
			if got := overlap(m, i, outputs, m, i, outputs); !(math.Abs(got-1.5*1.5) <= 2*c.tolerance) {
				t.Errorf("loop %d has the variance %g", i, got)
			}
		}
		if got := overlap(u, 0, inputs, u, 0, inputs); !(math.Abs(got-0.4*0.4/inputs) <= c.tolerance) {
			t.Errorf("an input has the variance %g", got)
		}
	}
}

// A direction of the readout has the overlaps of the theory with the loop and the input of the same number.
func TestFeedbackDirection(t *testing.T) {
	const p, pm, pi = 0.7, -1.2, 2.0
	m := models.Feedback{N: 60, SigmaM: 1.5, SigmaI: 0.4, Rho: 0.6, Orthogonal: true, ReadoutXi: p, ReadoutM: pm, ReadoutI: pi}
	params := deq.NewParams[float64](m, 1, 2, 1)
	n := params.Data("n")
	for k := range 2 {
		var u, v float64
		for i := range m.N {
			u += n[k*m.N+i] * params.Data("M")[2*i+k]
			v += n[k*m.N+i] * params.Data("U")[i]
		}
		wantU, wantV := (p*0.6+pm*0.8)*1.5, (p*0.6+pi*0.8)*0.4
		if k > 0 {
			wantV = 0
		}
		if !(math.Abs(u-wantU) <= 1e-12) || !(math.Abs(v-wantV) <= 1e-12) {
			t.Errorf("loop %d: n·m %g and n·I %g, want %g and %g", k, u, v, wantU, wantV)
		}
	}
}

// onlyVectors is a feedback network without its large matrix.
type onlyVectors struct{ models.Feedback }

func (m onlyVectors) Params(inputs, outputs int) []models.Param {
	return m.Feedback.Params(inputs, outputs)[1:3]
}

// Of the readout the loop is no synapse: its path to the state is dense. The activation of the state is no
// unit, that of the rates is.
func TestFeedbackSynapses(t *testing.T) {
	for state, units := range map[string]int{"current": 0, "rate": 1} {
		m := models.Feedback{N: 3, State: state}
		s := models.NewScope(tensor.Float64, m.Params(2, 1))
		m.Cell(s, s.Variable("x", 4, 3), s.Variable("in", 4, 2))
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		on := map[string]bool{}
		for _, syn := range s.Synapses() {
			on[syn.Param] = true
		}
		if !maps.Equal(on, map[string]bool{"W": true, "M": true, "U": true}) || len(s.Units()) != units {
			t.Errorf("%s: synapses %v, %d units", state, on, len(s.Units()))
		}
	}
}

// The recurrent product of the candidate acts on the gated state, the others on the state.
func TestGRUSynapses(t *testing.T) {
	m := models.GRU{N: 3}
	s := models.NewScope(tensor.Float64, m.Params(2, 1))
	z := s.Variable("z", 4, 3)
	m.Cell(s, z, s.Variable("x", 4, 2))
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	on := map[string]bool{} // whether the synapse is on z itself
	for _, syn := range s.Synapses() {
		on[syn.Param] = syn.Pre == z
	}
	want := map[string]bool{"Wu": true, "Wr": true, "Wn": false, "Uu": false, "Ur": false, "Un": false}
	if !maps.Equal(on, want) || len(s.Units()) != 3 {
		t.Errorf("synapses %v, %d units", on, len(s.Units()))
	}
}

// W's entries have variance g²/n.
func TestNormalGain(t *testing.T) {
	const n = 300
	w := make([]float64, n*n)
	models.Normal{Gain: 0.7}.Draw(rng.Stream(1, "W"), []int{n, n}, w)
	sum := 0.0
	for _, v := range w {
		sum += v * v
	}
	if got := math.Sqrt(sum / n); !(math.Abs(got-0.7) <= 0.01) {
		t.Errorf("gain %.3f, want 0.7", got)
	}
}

func TestScopeErrors(t *testing.T) {
	params := []models.Param{{Name: "W", Shape: []int{3, 3}}, {Name: "b", Shape: []int{3}}, {Name: "V", Shape: []int{2, 4}}}
	for name, c := range map[string]struct {
		build func(s *models.Scope, z *gorgonia.Node)
		want  string
	}{
		"unlisted parameter": {func(s *models.Scope, z *gorgonia.Node) { s.Linear("Q", z) }, `"Q" is not listed`},
		"name taken":         {func(s *models.Scope, z *gorgonia.Node) { s.Variable("z", 2, 2) }, `"z" is taken`},
		"parameter's name":   {func(s *models.Scope, z *gorgonia.Node) { s.Variable("W", 2, 2) }, `"W" is taken`},
		"product of shapes":  {func(s *models.Scope, z *gorgonia.Node) { s.Linear("V", z) }, "inner sizes 3 and 4 differ"},
		"sum of shapes":      {func(s *models.Scope, z *gorgonia.Node) { s.Add(z, s.Param("b")) }, "must be equal"},
		"bias width":         {func(s *models.Scope, z *gorgonia.Node) { s.Bias("b", s.Variable("q", 2, 5)) }, "on 5 columns"},
		"no name":            {func(s *models.Scope, z *gorgonia.Node) { s.Variable("", 2, 2) }, "no name"},
		"activation":         {func(s *models.Scope, z *gorgonia.Node) { s.Activate("tahn", z) }, "expected one of"},
		"nil operand":        {func(s *models.Scope, z *gorgonia.Node) { s.Tanh(nil) }, "operand is nil"},
		"operand of another graph": {func(s *models.Scope, z *gorgonia.Node) {
			s.Tanh(models.NewScope(tensor.Float64, nil).Variable("z", 2, 3))
		}, "another graph"},
	} {
		s := models.NewScope(tensor.Float64, params)
		c.build(s, s.Variable("z", 2, 3))
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		// The first error sticks, and what follows builds nothing.
		first := s.Err()
		if n := s.Const(1); n != nil {
			t.Errorf("%s: a node is built after the error", name)
		}
		s.Activate("none", nil)
		if s.Err() != first {
			t.Errorf("%s: the first error is lost", name)
		}
	}
	for name, p := range map[string][]models.Param{
		"no name": {{Shape: []int{1}}}, "twice": {params[0], params[0]}, "empty axis": {{Name: "W", Shape: []int{0, 2}}}, "three axes": {{Name: "W", Shape: []int{1, 1, 1}}},
	} {
		if models.NewScope(tensor.Float64, p).Err() == nil {
			t.Errorf("parameters with %s are accepted", name)
		}
	}
	if models.NewScope(tensor.Int, nil).Err() == nil {
		t.Error("a graph of integers is accepted")
	}
}

// Equal constants and equal-shaped variables stay apart, which plain Gorgonia merges.
func TestScopeKeepsNodesApart(t *testing.T) {
	s := models.NewScope(tensor.Float32, nil)
	a, b := s.Variable("a", 2, 2), s.Variable("b", 2, 2)
	if one, other := s.Const(1), s.Const(1); a == b || one == other || s.Err() != nil {
		t.Errorf("nodes are merged (error %v)", s.Err())
	}
	if s.Tanh(a) == s.Tanh(b) {
		t.Error("tanh of two variables is one node")
	}
}

// Gorgonia's hashes have 32 bits: of two inputs whose names collide it makes one node as soon as something is
// computed from them. Scope reports it.
func TestCollisionsAreReported(t *testing.T) {
	build := func(of func(g *gorgonia.ExprGraph, name string) *gorgonia.Node) (a, b *gorgonia.Node) {
		g := gorgonia.NewGraph()
		a, b = of(g, "a"), of(g, "b")
		return a, b
	}
	x, _ := build(func(g *gorgonia.ExprGraph, name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName(name))
	})
	prefix := fmt.Sprintf("%v%v", x.Type(), x.Shape())
	seen := map[uint32]string{}
	var one, other string
	for i := 0; other == ""; i++ {
		name := fmt.Sprint("x", i)
		h := fnv.New32a()
		h.Write([]byte(prefix + name))
		if before, ok := seen[h.Sum32()]; ok {
			one, other = before, name
		}
		seen[h.Sum32()] = name
	}
	a, b := build(func(g *gorgonia.ExprGraph, name string) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName(map[string]string{"a": one, "b": other}[name]))
	})
	if gorgonia.Must(gorgonia.Tanh(a)) != gorgonia.Must(gorgonia.Tanh(b)) {
		t.Fatal("Gorgonia tells the inputs apart: the negative control fails")
	}
	for name, f := range map[string]func(s *models.Scope, x *gorgonia.Node){
		"Tanh":      func(s *models.Scope, x *gorgonia.Node) { s.Tanh(x) },
		"Log":       func(s *models.Scope, x *gorgonia.Node) { s.Log(x) },
		"Slice":     func(s *models.Scope, x *gorgonia.Node) { s.Slice(x, 0, 1) },
		"SoftMax":   func(s *models.Scope, x *gorgonia.Node) { s.SoftMax(x) },
		"LayerNorm": func(s *models.Scope, x *gorgonia.Node) { s.LayerNorm(x, 1e-3) },
		"MatMul":    func(s *models.Scope, x *gorgonia.Node) { s.MatMul(x, x, false, true) },
		"Broadcast": func(s *models.Scope, x *gorgonia.Node) { s.Mul(x, s.Broadcast(s.Sum(x), x)) },
	} {
		s := models.NewScope(tensor.Float64, nil)
		f(s, s.Variable(one, 2, 2))
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		f(s, s.Variable(other, 2, 2))
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), "collides") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Log leaves 1+z in the graph, which Gorgonia's own takes out though others use it, and masks of one
// input are two.
func TestScopeRewritesNothing(t *testing.T) {
	s := models.NewScope(tensor.Float64, nil)
	z := s.Variable("z", 2, 2)
	if s.Dropout("m", 0.5, z) == s.Dropout("n", 0.5, z) || s.Err() != nil {
		t.Errorf("two masks of one input are one (error %v)", s.Err())
	}
	one := s.Shift(1, z)
	s.Log(one)
	if s.Err() != nil || one.Op() == nil {
		t.Errorf("Log takes its operand away (error %v)", s.Err())
	}
	x := gorgonia.NewMatrix(gorgonia.NewGraph(), tensor.Float64, gorgonia.WithShape(2, 2), gorgonia.WithName("x"))
	_, err := gorgonia.Grad(gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.Sigmoid(x)))), x) // brings Gorgonia's own constant 1
	must(t, err)
	plain := gorgonia.Must(gorgonia.Add(x, gorgonia.NewConstant(1.0)))
	gorgonia.Must(gorgonia.Log(plain))
	if plain.Op() != nil {
		t.Error("Gorgonia's Log leaves its operand alone: the negative control fails")
	}
}

func TestSynapsesAreRecorded(t *testing.T) {
	m := models.Rate{N: 3}
	s := models.NewScope(tensor.Float64, m.Params(2, 1))
	z, x := s.Variable("z", 4, 3), s.Variable("x", 4, 2)
	m.Cell(s, z, x)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, syn := range s.Synapses() {
		names = append(names, syn.Param)
		if syn.Param == "W" && syn.Pre != z || syn.Param == "U" && syn.Pre != x {
			t.Errorf("%s acts on %v", syn.Param, syn.Pre)
		}
	}
	if len(names) != 2 || len(s.Units()) != 1 || s.Units()[0].Activation != "tanh" {
		t.Errorf("synapses %v, units %v", names, s.Units())
	}
}
