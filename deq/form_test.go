package deq_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/gorgonia"
)

// written is a rate network, tanh by default, whose cell is written by a function of the scope, with V [units, units] and g [units] more.
type written struct {
	models.Rate
	cell func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node
}

func (m written) Params(inputs, outputs int) []models.Param {
	return append(m.Rate.Params(inputs, outputs),
		models.Param{Name: "V", Shape: []int{units, units}, Role: models.Recurrent, Init: models.Normal{Gain: 0.5}},
		models.Param{Name: "g", Shape: []int{units}, Role: models.Recurrent, Init: models.Constant{Value: 1}})
}

func (m written) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return m.cell(s, z, x) }

func drive(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Add(s.Linear("W", z), s.Bias("b", s.Linear("U", x)))
}

func phi(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Activate("tanh", drive(s, z, x))
}

// forms are cells with what stands in the way of the form (1−α)z + αφ(pre), and α where nothing does.
var forms = map[string]struct {
	cell  func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node
	alpha float64
	want  string
}{
	"plain": {cell: phi, alpha: 1},
	"leak":  {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return s.Leak(0.3, z, phi(s, z, x)) }, alpha: 0.3},
	"by sum": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Add(s.Scale(0.7, z), s.Scale(0.3, phi(s, z, x)))
	}, alpha: 0.3},
	"by difference": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Sub(z, s.Scale(0.3, s.Sub(z, phi(s, z, x))))
	}, alpha: 0.3},
	"by negation": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Add(z, s.Scale(0.3, s.Add(s.Neg(z), phi(s, z, x))))
	}, alpha: 0.3},
	"by matrix": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { // not to be seen on the graph
		both := s.Concat(s.Scale(0.7, z), s.Scale(0.3, phi(s, z, x)))
		return s.Add(s.Slice(both, 0, units), s.Slice(both, units, 2*units))
	}, alpha: 1}, // the form holds, the leak is not read off the graph
	"linear leak": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Add(s.Scale(0.5, z), s.Scale(0.5, s.Activate("linear", drive(s, z, x))))
	}, alpha: 0.5},
	"roundabout": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { // affine, though the graph has products
		a := drive(s, z, x)
		return s.Activate("tanh", s.Sub(s.Scale(0.25, s.Square(s.Shift(1, a))), s.Scale(0.25, s.Square(s.Shift(-1, a)))))
	}, alpha: 1},
	"pool before": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Activate("tanh", s.Div(drive(s, z, x), s.Shift(1, s.Softplus(s.MatMul(z, s.Param("V"), false, true)))))
	}, alpha: 1, want: "not affine in the state and the input (V acts on it through softplus)"},
	"pool behind": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Div(phi(s, z, x), s.Shift(1, s.Softplus(s.MatMul(z, s.Param("V"), false, true))))
	}, alpha: 1, want: "V acts on the cell other than through its activation"},
	"pool without weights": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Div(phi(s, z, x), s.Broadcast(s.Shift(1, s.Mean(s.Square(z))), z))
	}, alpha: 1, want: "something else acts"},
	"gain": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return s.Gain("g", phi(s, z, x)) }, alpha: 1,
		want: "g acts on the cell other than through its activation"},
	"skip": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Add(phi(s, z, x), s.Linear("V", z))
	}, alpha: 1,
		want: "V acts on the cell other than through its activation"},
	"input beside": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Add(phi(s, z, x), s.Broadcast(s.Mean(x), z))
	}, alpha: 1, want: "the input acts on the cell other than through its activation"},
	"no leak": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return s.Add(s.Scale(0.5, z), phi(s, z, x)) }, alpha: 1,
		want: "for any α"},
	"halved":  {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return s.Scale(0.5, phi(s, z, x)) }, alpha: 1, want: "for any α"},
	"squared": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node { return s.Square(phi(s, z, x)) }, alpha: 1, want: "something else acts"},
	"false leak": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Tanh(s.Leak(0.3, z, phi(s, z, x)))
	}, alpha: 1, want: "something else acts"},
	"gated": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		return s.Activate("tanh", s.Mul(s.Sigmoid(s.Linear("V", z)), drive(s, z, x)))
	}, alpha: 1, want: "not affine"},
	"unused": {cell: func(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
		phi(s, z, x)
		return s.Tanh(s.Linear("V", z))
	}, alpha: 1, want: "does not use its activation"},
}

func TestForm(t *testing.T) {
	for name, test := range forms {
		t.Run(name, func(t *testing.T) {
			l, err := deq.New[float32](written{cell: test.cell}.sized(), inputs, outputs, 1, deq.Config{Batch: 4})
			if err != nil {
				t.Fatal(err)
			}
			if a := l.LeakRate(); !(math.Abs(a-test.alpha) <= 1e-7) {
				t.Errorf("leak %v, want %v", a, test.alpha)
			}
			err = l.SingleActivation()
			if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("form: error %v, want %q", err, test.want)
			}
			splits := l.CheckSolver(deq.Solver[float32]{Method: solvers.ForwardBackward[float32]{}})
			if (splits == nil) != (err == nil) || splits != nil && !errors.Is(splits, solvers.ErrNoSplitting) {
				t.Errorf("the cell is split: %v, of the form: %v", splits, err)
			}
		})
	}
}

func (m written) sized() written {
	m.N = units
	return m
}

// A leak counts as one however it is written: the derivatives that hang on it agree to the bit of the number α.
func TestLeakHoweverWritten(t *testing.T) {
	slope := func(name string) []float64 {
		l, err := deq.New[float64](written{cell: forms[name].cell}.sized(), inputs, outputs, 1, deq.Config{Batch: 1})
		if err != nil {
			t.Fatal(err)
		}
		z, x, one := make([]float64, units), make([]float64, inputs), make([]float64, units)
		for i := range z {
			z[i], one[i] = math.Sin(float64(i)), 1
		}
		e, err := l.At(x, z)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float64, units)
		if err := e.Gain(one, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := slope("plain")
	for _, name := range []string{"leak", "by sum", "by difference", "by negation"} {
		got := slope(name)
		if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-14 }) {
			t.Errorf("%s: φ′ is %v, want %v", name, got, want)
		}
	}
}
