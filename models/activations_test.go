package models_test

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"attractor/deq"
	"attractor/models"
	"attractor/models/modeltest"
)

// own is a rate network with an activation of one's own.
type own struct {
	models.Rate
	name string
	phi  func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node
}

func (m own) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	pre := s.Add(s.Linear("W", z), s.Bias("b", s.Linear("U", x)))
	return s.ActivateWith(m.name, func(a *gorgonia.Node) *gorgonia.Node { return m.phi(s, a) }, pre)
}

func power(n float64) func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node {
	return func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node { return s.PowerLaw(n, a) }
}

// Activations of one's own pass the contract, power laws with their slope at silent units too.
func TestActivateWith(t *testing.T) {
	for _, n := range []float64{1, 1.5, 2, 2.2, 3} {
		modeltest.Test(t, own{models.Rate{N: 7, Gain: 0.3, InputGain: 0.5}, "supralinear", power(n)})
	}
	modeltest.Test(t, own{models.Rate{N: 7}, "swish", func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node { return s.Mul(a, s.Sigmoid(a)) }})
	l, err := deq.New[float64](own{models.Rate{N: 7}, "swish", func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node { return s.Mul(a, s.Sigmoid(a)) }}, 2, 2, 1, deq.Config{})
	if err != nil || l.SingleActivation() != nil || l.Activation() != "swish" {
		t.Errorf("one activation of one's own: %v, %v, %q", err, l.SingleActivation(), l.Activation())
	}
}

// What is not one function of each entry by itself would be differentiated wrongly by rules that take it for one.
func TestActivateWithRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		phi        func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node
	}{
		{"tanh", "expected a name that is not one of", power(2)},
		{"", "expected a name that is not one of", power(2)},
		{"normalised", "function of each entry by itself", func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node { return s.SoftMax(a) }},
		{"gained", "function of each entry by itself", func(s *models.Scope, a *gorgonia.Node) *gorgonia.Node { return s.Linear("W", a) }},
		{"none", "returns no node", func(*models.Scope, *gorgonia.Node) *gorgonia.Node { return nil }},
		{"steep", "exponent of at least 1", power(0.5)},
	} {
		_, err := deq.New[float64](own{models.Rate{N: 7}, c.name, c.phi}, 2, 2, 1, deq.Config{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.name, err, c.want)
		}
	}
}

// Function is φ and φ′ of what Activate computes.
func TestFunction(t *testing.T) {
	for _, name := range models.Activations {
		phi, ok := models.Function(name)
		if !ok {
			t.Errorf("%s is not known", name)
			continue
		}
		l, err := deq.New[float64](models.Rate{N: 1, Activation: name}, 1, 1, 1, deq.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Update(func(p deq.Params[float64]) error {
			copy(p.Data("W"), []float64{0})
			copy(p.Data("U"), []float64{1})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, a := range []float64{-30, -1.3, -0.2, 0.3, 0.9, 1.4, 30} {
			tr, err := l.Relax(t.Context(), []float64{a}, []float64{0}, 1)
			if err != nil {
				t.Fatal(err)
			}
			value, slope := phi(a)
			if got := tr.Last()[0]; !(math.Abs(got-value) <= 1e-14*max(1, math.Abs(value))) {
				t.Errorf("%s(%g) is %g, by the graph %g", name, a, value, got)
			}
			above, _ := phi(a + 1e-6)
			below, _ := phi(a - 1e-6)
			if d := (above - below) / 2e-6; !(math.Abs(d-slope) <= 1e-7) {
				t.Errorf("%s′(%g) is %g, by differences %g", name, a, slope, d)
			}
		}
	}
	if _, ok := models.Function("swish"); ok {
		t.Error("swish is known")
	}
}
