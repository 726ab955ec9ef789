package zhu2024

import (
	"fmt"
	"math"

	"attractor/internal/rng"
)

// The sizes of the linear task.
const (
	units      = 200
	samples    = 100
	iterations = 3500
	paperSeed  = 2023
)

// linear is the linear task: with r = Wr + x and A = (I − W)⁻¹ find W so that AX ≈ Y for
//
//	X = 0.1·randn [n, m],  Ŵ = 0.5·randn/√n [n, n],  Y = (I − Ŵ)⁻¹X + 0.01·randn,
//	J(W) = ‖AX − Y‖²/m
//
// starting at W₀ = 0.75·randn/√n. Samples are columns, as in the paper.
type linear struct {
	x, teacher, y matrix
	start, second matrix // W₀ of figure 2, and of figure 3
	random        *rng.NumPy
}

// newLinear draws the task in the order X, Ŵ, noise, W₀ and the W₀ of figure 3.
func newLinear(seed uint64) (*linear, error) {
	if seed > math.MaxUint32 {
		return nil, fmt.Errorf("zhu2024: seed: NumPy's generator takes 32 bits, found %d", seed)
	}
	t := &linear{random: rng.NewNumPy(uint32(seed))}
	root := math.Sqrt(units)
	t.x = t.normal(units, samples, 0.1)
	t.teacher = t.normal(units, units, 0.5/root)
	t.y = t.normal(units, samples, 0.01)
	t.start = t.normal(units, units, 0.75/root)
	t.second = t.normal(units, units, 0.75/root)
	r, ok := t.states(newLU(units), t.teacher)
	if !ok {
		return nil, fmt.Errorf("zhu2024: seed %d: I − Ŵ is singular", seed)
	}
	t.y.add(1, r)
	return t, nil
}

func (t *linear) normal(rows, cols int, scale float64) matrix {
	m := newMatrix(rows, cols)
	for i := range m.v {
		m.v[i] = scale * t.random.NormFloat64()
	}
	return m
}

// complement is I − W.
func complement(w matrix) matrix { return identity(w.rows).plus(-1, w) }

// states returns the fixed points R = (I − W)⁻¹X, and whether there are any.
func (t *linear) states(f *lu, w matrix) (matrix, bool) {
	r := t.x.clone()
	ok := f.factor(complement(w))
	if ok {
		f.solve(r)
	}
	return r, ok
}

// loss is J(W), +Inf where I − W is singular.
func (t *linear) loss(f *lu, w matrix) float64 {
	r, ok := t.states(f, w)
	if !ok {
		return math.Inf(1)
	}
	r.add(-1, t.y)
	return r.squared() / samples
}

// optimum is W* = (Y − X)Y⁺ with Y⁺ = (YᵀY)⁻¹Yᵀ: Y are its fixed points.
func (t *linear) optimum() (matrix, error) {
	f := newLU(samples)
	if !f.factor(productTA(newMatrix(samples, samples), t.y, t.y)) {
		return matrix{}, fmt.Errorf("zhu2024: the targets are linearly dependent")
	}
	pinv := newMatrix(samples, units) // Yᵀ
	for i := range units {
		for j := range samples {
			pinv.v[j*units+i] = t.y.v[i*samples+j]
		}
	}
	f.solve(pinv)
	return product(newMatrix(units, units), t.y.plus(-1, t.x), pinv), nil
}

// The rules, by the names of the catalogue of rules but for the gradient, which has the
// paper's label.
var linearRules = []struct {
	name  string
	start func(t *linear, w matrix) descent
}{
	{"gradient", newGradient},
	{"reparam-steepest", newSteepest},
	{"reparam-gradient", newReparam},
}

// descent is a run of a rule on the linear task.
type descent interface {
	loss() float64     // J at the current weights
	prepare()          // what step needs of loss, where the loss itself is not asked for
	step(rate float64) // must come after loss or prepare
	weights() matrix
}

// gradient descends the Euclidean gradient, W ← W − η (2/m) Aᵀ(AX − Y)(AX)ᵀ. It holds
// B = I − W.
type gradient struct {
	t          *linear
	b, r, e, d matrix
	f          *lu
	regular    bool
}

func newGradient(t *linear, w matrix) descent {
	return &gradient{t: t, b: complement(w), r: newMatrix(units, samples), e: newMatrix(units, samples),
		d: newMatrix(units, units), f: newLU(units)}
}

func (g *gradient) loss() float64 {
	if g.regular = g.f.factor(g.b); !g.regular {
		return math.Inf(1)
	}
	copy(g.r.v, g.t.x.v)
	g.f.solve(g.r)
	g.e.sub(g.r, g.t.y)
	return g.e.squared() / samples
}

func (g *gradient) prepare() { g.loss() }

func (g *gradient) step(rate float64) {
	if g.regular {
		g.b.add(rate, g.direction())
	}
}

// direction is ∇_W J. It changes e to Aᵀe.
func (g *gradient) direction() matrix {
	g.f.solveT(g.e)
	productTB(g.d, g.e, g.r)
	for i := range g.d.v {
		g.d.v[i] *= 2. / samples
	}
	return g.d
}

func (g *gradient) weights() matrix { return complement(g.b) }

// steepest is steepest descent under the distance ‖(I − W)⁻¹ − (I − W′)⁻¹‖. In A = (I − W)⁻¹ it is
// A ← A − η (2/m)(AX − Y)Xᵀ, and W = I − A⁻¹ is needed only at the end.
type steepest struct {
	t       *linear
	a, e, d matrix
}

func newSteepest(t *linear, w matrix) descent {
	return &steepest{t: t, a: inverse(complement(w)), e: newMatrix(units, samples), d: newMatrix(units, units)}
}

func inverse(b matrix) matrix {
	f, a := newLU(b.rows), identity(b.rows)
	if !f.factor(b) {
		for i := range a.v {
			a.v[i] = math.NaN()
		}
		return a
	}
	f.solve(a)
	return a
}

func (s *steepest) loss() float64 {
	product(s.e, s.a, s.t.x)
	s.e.add(-1, s.t.y)
	return s.e.squared() / samples
}

func (s *steepest) prepare() { s.loss() }

func (s *steepest) step(rate float64) {
	s.a.add(-2*rate/samples, productTB(s.d, s.e, s.t.x))
}

func (s *steepest) weights() matrix { return complement(inverse(s.a)) }

// reparam is gradient descent under the Riemannian form of that distance,
// W ← W − η (2/m)(X − BY)XᵀB with B = I − W. It needs no inverse; the loss is
// ‖B⁻¹(X − BY)‖²/m.
type reparam struct {
	t             *linear
	b, u, e, v, d matrix
	f             *lu
}

func newReparam(t *linear, w matrix) descent {
	return &reparam{t: t, b: complement(w), u: newMatrix(units, samples), e: newMatrix(units, samples),
		v: newMatrix(samples, units), d: newMatrix(units, units), f: newLU(units)}
}

func (r *reparam) loss() float64 {
	r.prepare()
	if !r.f.factor(r.b) {
		return math.Inf(1)
	}
	copy(r.e.v, r.u.v)
	r.f.solve(r.e)
	return r.e.squared() / samples
}

// prepare computes u = X − BY.
func (r *reparam) prepare() {
	product(r.e, r.b, r.t.y)
	r.u.sub(r.t.x, r.e)
}

func (r *reparam) step(rate float64) { r.b.add(rate, r.direction()) }

// direction is (2/m)(X − BY)XᵀB.
func (r *reparam) direction() matrix {
	product(r.d, r.u, productTA(r.v, r.t.x, r.b))
	for i := range r.d.v {
		r.d.v[i] *= 2. / samples
	}
	return r.d
}

func (r *reparam) weights() matrix { return complement(r.b) }
