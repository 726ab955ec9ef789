package deq

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/internal/engine"
	"attractor/internal/rng"
	"attractor/internal/vjp"
	"attractor/models"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// leakOf is the α of a cell whose output is (1−α)z + α·(what is not z), in whatever way that is written; 1 of
// another one. recorded is what the model said by Scope.Leak, which has more digits than a graph in float32.
func leakOf(out, z *gorgonia.Node, recorded float64, whole ...*gorgonia.Node) float64 {
	const rounding = 1e-6 // of float32
	kept, given := 0.0, math.NaN()
	for _, t := range vjp.Combination(out, append(whole, z)...) {
		switch {
		case t.Node == z:
			kept = t.Coefficient
		case math.IsNaN(given):
			given = t.Coefficient
		case math.Abs(t.Coefficient-given) > rounding:
			return 1
		}
	}
	if !(kept >= 0 && math.Abs(kept+given-1) <= rounding && given > 0) {
		return 1
	}
	if math.Abs(recorded-given) <= rounding {
		return recorded
	}
	return given
}

// checkForm reports why a cell is not of the form
//
//	f(z, x) = (1−α)z + αφ(pre(z, x)),   0 < α ≤ 1,
//
// with one activation φ and pre affine in z and x, in which parameters act through pre alone. It is decided on
// the graph where that can be seen, and else by values at random states, inputs and parameters.
func checkForm(m models.Model, d dims) error {
	var f *form
	err := engine.Build(func() (err error) {
		f, err = newForm(m, d)
		return err
	})
	if err != nil {
		return fmt.Errorf("deq: %w", err)
	}
	if f.shown {
		return nil
	}
	if err := f.tryValues(d); err != nil {
		return fmt.Errorf("deq: %w", err)
	}
	return nil
}

// form is a cell with one activation, whose form is shown on its graph or is to be tried by values.
type form struct {
	scope          *models.Scope
	z, x           *gorgonia.Node
	pre, post, out *gorgonia.Node
	shown          bool
	bent           string // what may keep pre from being affine
}

// newForm builds the cell, and refuses what is seen to be of another form.
func newForm(m models.Model, d dims) (*form, error) {
	const rows = 3
	s := models.NewScope(tensor.Float64, d.params)
	z := s.Variable("z", rows, m.Units())
	x := s.Variable("x", rows, d.inputs)
	out := m.Cell(s, z, x)
	if err := s.Err(); err != nil {
		return nil, err
	}
	units := s.Units()
	if len(units) != 1 {
		return nil, fmt.Errorf("the cell has %d activations, expected exactly one", len(units))
	}
	pre, post := units[0].Pre, units[0].Post
	if pre == z {
		return nil, fmt.Errorf("the cell's activation is of the state, not of a pre-activation")
	}
	outside := vjp.TopologicalFrom(map[*gorgonia.Node]bool{post: true}, out)
	if !slices.Contains(outside, post) {
		return nil, fmt.Errorf("the cell does not use its activation")
	}
	params := s.ParamNodes()
	var around []string
	for _, p := range d.params {
		if n := params[p.Name]; n != nil && slices.Contains(outside, n) {
			around = append(around, p.Name)
		}
	}
	if slices.Contains(outside, x) {
		around = append(around, "the input")
	}
	if len(around) > 0 {
		return nil, fmt.Errorf("%s acts on the cell other than through its activation: expected (1−α)z + αφ(pre)", strings.Join(around, ", "))
	}
	f := &form{scope: s, z: z, x: x, pre: pre, post: post, out: out}
	if affine, err := vjp.Affine(pre, "slope", z, x); err == nil && affine {
		f.shown = isLeak(out, z, post)
	} else {
		f.bent = f.firstBend(d)
	}
	return f, nil
}

// firstBend tells what pre is first made of that cannot be seen to be affine, and the parameters in it.
func (f *form) firstBend(d dims) string {
	for i, n := range vjp.Topological(f.pre) {
		if n == f.z || n == f.x || !vjp.DependsOn(n, f.z, f.x) {
			continue
		}
		if affine, err := vjp.Affine(n, fmt.Sprintf("slope%d", i), f.z, f.x); err == nil && affine {
			continue
		}
		var names []string
		for _, p := range d.params {
			if w := f.scope.ParamNodes()[p.Name]; w != nil && vjp.DependsOn(n, w) {
				names = append(names, p.Name)
			}
		}
		if len(names) == 0 {
			names = []string{"the state or the input"}
		}
		return fmt.Sprintf("%s acts on it through %v", strings.Join(names, ", "), n.Op())
	}
	return "unknown"
}

// isLeak reports whether it can be seen that out is (1−α)z + α·post.
func isLeak(out, z, post *gorgonia.Node) bool {
	terms := vjp.Combination(out, z, post)
	sum, kept := 0.0, 0.0
	for _, t := range terms {
		switch t.Node {
		case z:
			kept = t.Coefficient
		case post:
		default:
			return false
		}
		sum += t.Coefficient
	}
	return kept >= 0 && kept < 1 && math.Abs(sum-1) <= 1e-12
}

// tryValues reports what is against the form at random states, inputs and parameters.
func (f *form) tryValues(d dims) error {
	const tol = 1e-9
	s, z, x := f.scope, f.z, f.x
	var inputs []engine.Input
	for _, n := range []*gorgonia.Node{z, x} {
		inputs = append(inputs, engine.Input{Node: n, Rate: engine.State})
	}
	for _, n := range s.ParamNodes() {
		inputs = append(inputs, engine.Input{Node: n, Rate: engine.Parameters})
	}
	for _, m := range s.Masks() {
		inputs = append(inputs, engine.Input{Node: m.Node, Rate: engine.Batch})
	}
	for _, n := range s.Noises() {
		inputs = append(inputs, engine.Input{Node: n.Node, Rate: engine.Batch})
	}
	rows := z.Shape()[0]
	program, err := engine.Compile[float64](gorgonia.Nodes{f.pre, f.post, f.out}, engine.Options{Inputs: inputs, Rows: rows})
	if err != nil {
		return err
	}
	r := rng.Stream(1, "deq/form")
	normals := func(n int, scale float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = scale * r.NormFloat64()
		}
		return v
	}
	kept := math.NaN()
	for _, scale := range []float64{0.1, 1, 10} {
		for _, p := range d.params { // in their order, so that the draws are the same every time
			if n := s.ParamNodes()[p.Name]; n != nil {
				if err := program.Bind(n, normals(n.Shape().TotalSize(), 1/math.Sqrt(float64(n.Shape()[1])))); err != nil {
					return err
				}
			}
		}
		for _, in := range inputs {
			if in.Rate == engine.Batch {
				if err := program.Bind(in.Node, normals(in.Node.Shape().TotalSize(), 1)); err != nil {
					return err
				}
			}
		}
		at := func(zs, xs []float64) (values [3][]float64, err error) {
			if err := program.Bind(z, zs); err != nil {
				return values, err
			}
			if err := program.Bind(x, xs); err != nil {
				return values, err
			}
			for rate := engine.Parameters; rate <= engine.State; rate++ {
				if err := program.Run(rate, rows); err != nil {
					return values, err
				}
			}
			for i := range values {
				values[i] = slices.Clone(program.Out(i))
			}
			return values, nil
		}
		z1, z2 := normals(z.Shape().TotalSize(), scale), normals(z.Shape().TotalSize(), scale)
		x1, x2 := normals(x.Shape().TotalSize(), scale), normals(x.Shape().TotalSize(), scale)
		first, err := at(z1, x1)
		if err != nil {
			return err
		}
		second, err := at(z2, x2)
		if err != nil {
			return err
		}
		middle, err := at(means(z1, z2), means(x1, x2))
		if err != nil {
			return err
		}
		if !near(means(first[0], second[0]), middle[0], tol) {
			return fmt.Errorf("the pre-activation is not affine in the state and the input (%s): expected pre = zWᵀ + xUᵀ + b", f.bent)
		}
		if math.IsNaN(kept) {
			var across, along float64
			for i, p := range first[1] {
				across += (first[2][i] - p) * (z1[i] - p)
				along += (z1[i] - p) * (z1[i] - p)
			}
			kept = across / along
		}
		want := make([]float64, len(z1))
		for i, p := range first[1] {
			want[i] = kept*z1[i] + (1-kept)*p
		}
		if !(kept > -tol && kept < 1) || !near(want, first[2], tol) {
			return fmt.Errorf("the cell is not (1−α)z + αφ(pre) for any α from 0 to 1: something else acts on what its activation gives")
		}
	}
	return nil
}

func means(a, b []float64) []float64 {
	m := make([]float64, len(a))
	for i := range a {
		m[i] = (a[i] + b[i]) / 2
	}
	return m
}

// near reports whether a and b are equal to tol of the largest of them, and finite.
func near(a, b []float64, tol float64) bool {
	off, scale := 0.0, 0.0
	for i := range a {
		off, scale = math.Max(off, math.Abs(a[i]-b[i])), math.Max(scale, math.Abs(b[i])) // math.Max keeps NaN
	}
	return off <= tol*scale && !math.IsInf(scale, 1)
}
