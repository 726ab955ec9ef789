package bench

import (
	"attractor/internal/engine"
	"attractor/internal/kernels"
	"attractor/models"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gemmWork is C = A·B with A [m,k] and B [k,n]. The bare product is that with B packed
// before; in the TapeMachine's place stands the gonum kernel that it calls.
func gemmWork(m, n, k int, packed bool) (*work, error) {
	a, b, c := normal("a", m*k), normal("b", k*n), make([]float32, m*n)
	var p kernels.Packed[float32]
	p.Pack(false, k, n, b, n)
	w := &work{m: m, n: n, k: k, still: true, out: func() []float32 { return c }}
	w.gemm = func() error {
		kernels.GemmPacked(m, a, k, &p, 0, c, n, nil)
		return nil
	}
	w.ours = w.gemm
	if packed {
		w.gemm = nil
	} else {
		w.ours = func() error {
			kernels.Gemm(false, false, m, n, k, a, k, b, n, 0, c, n)
			return nil
		}
	}
	w.tape = func() (func() error, func() []float32, error) {
		c := make([]float32, m*n)
		return func() error {
			gonum.Implementation{}.Sgemm(blas.NoTrans, blas.NoTrans, m, n, k, 1, a, k, b, n, 0, c, n)
			return nil
		}, func() []float32 { return c }, nil
	}
	return w, nil
}

// elements is the length of the vectors of the elementwise cases, which fit the second-level cache.
const elements = 4096

// function is an elementwise kernel; node, if not nil, is the same as a Gorgonia expression.
type function struct {
	name string
	run  func(dst, x, y []float32)
	node func(s *models.Scope, x, y *gorgonia.Node) *gorgonia.Node
}

var elementwise = []function{
	{"tanh", func(dst, x, _ []float32) { kernels.Tanh(dst, x) },
		func(s *models.Scope, x, _ *gorgonia.Node) *gorgonia.Node { return s.Tanh(x) }},
	{"sigmoid", func(dst, x, _ []float32) { kernels.Sigmoid(dst, x) },
		func(s *models.Scope, x, _ *gorgonia.Node) *gorgonia.Node { return s.Sigmoid(x) }},
	{"softplus", func(dst, x, _ []float32) { kernels.Softplus(dst, x) },
		func(s *models.Scope, x, _ *gorgonia.Node) *gorgonia.Node { return s.Softplus(x) }},
	{"relu", func(dst, x, _ []float32) { kernels.Relu(dst, x) },
		func(s *models.Scope, x, _ *gorgonia.Node) *gorgonia.Node { return s.Relu(x) }},
	{"exp", func(dst, x, _ []float32) { kernels.Exp(dst, x) }, nil},
	{"tanh-gradient", kernels.TanhGrad[float32], nil},
	{"sigmoid-gradient", kernels.SigmoidGrad[float32], nil},
	{"add", kernels.Add[float32],
		func(s *models.Scope, x, y *gorgonia.Node) *gorgonia.Node { return s.Add(x, y) }},
	{"mul", kernels.Mul[float32],
		func(s *models.Scope, x, y *gorgonia.Node) *gorgonia.Node { return s.Mul(x, y) }},
	{"axpy", func(_, x, y []float32) { kernels.Axpy(0, x, y) }, nil},
	{"dot", func(dst, x, y []float32) { dst[0] = float32(kernels.Dot(x, y)) }, nil},
	{"norm", func(dst, x, _ []float32) { dst[0] = float32(kernels.SumSquares(x)) }, nil},
}

func (f function) work() (*work, error) {
	x, y, dst := normal("x", elements), normal("y", elements), make([]float32, elements)
	w := &work{elements: elements, still: true}
	w.ours = func() error { f.run(dst, x, y); return nil }
	if f.node == nil {
		return w, nil
	}
	w.out = func() []float32 { return dst }
	w.tape = func() (func() error, func() []float32, error) {
		const rows = 16
		scope := models.NewScope(tensor.Float32, nil)
		a, b := scope.Variable("x", rows, elements/rows), scope.Variable("y", rows, elements/rows)
		g := &graph{
			outs: gorgonia.Nodes{f.node(scope, a, b)}, rows: rows, rate: engine.State,
			inputs: []engine.Input{{Node: a, Rate: engine.State}, {Node: b, Rate: engine.State}},
			data:   [][]float32{x, y},
		}
		if err := scope.Err(); err != nil {
			return nil, nil, err
		}
		return g.compile(engine.CompileTape[float32])
	}
	return w, nil
}
