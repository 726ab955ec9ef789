package models

import (
	"fmt"
	"math"
	"slices"

	"attractor/internal/vjp"

	"gorgonia.org/gorgonia"
)

// activations are the functions φ that have a name: on the graph, and as φ and φ′ of a number.
var activations = []struct {
	name  string
	graph func(s *Scope, a *gorgonia.Node) *gorgonia.Node
	value func(a float64) (phi, slope float64)
}{
	{"tanh", (*Scope).Tanh, func(a float64) (float64, float64) { p := math.Tanh(a); return p, 1 - p*p }},
	{"relu", (*Scope).Relu, rectify},
	{"sigmoid", (*Scope).Sigmoid, func(a float64) (float64, float64) { p := 1 / (1 + math.Exp(-a)); return p, p * (1 - p) }},
	{"softplus", (*Scope).Softplus, func(a float64) (float64, float64) {
		return max(a, 0) + math.Log1p(math.Exp(-math.Abs(a))), 1 / (1 + math.Exp(-a))
	}},
	{"linear", func(_ *Scope, a *gorgonia.Node) *gorgonia.Node { return a }, func(a float64) (float64, float64) { return a, 1 }},
	{"retanh", (*Scope).Retanh, func(a float64) (float64, float64) {
		r, on := rectify(a)
		p := math.Tanh(r)
		return p, on * (1 - p*p)
	}},
	{"leaky-relu", (*Scope).LeakyRelu, func(a float64) (float64, float64) {
		r, on := rectify(a)
		return leakySlope*a + (1-leakySlope)*r, leakySlope + (1-leakySlope)*on
	}},
	{"hard-sigmoid", (*Scope).HardSigmoid, func(a float64) (float64, float64) {
		low, above := rectify(a)
		high, beyond := rectify(a - 1)
		return low - high, above - beyond
	}},
}

// rectify returns max(a, 0) and its slope, 0 at the kink.
func rectify(a float64) (value, slope float64) {
	if a > 0 {
		return a, 1
	}
	return 0, 0
}

// Activations are the names that Activate knows.
var Activations = func() (names []string) {
	for _, a := range activations {
		names = append(names, a.name)
	}
	return names
}()

// Function returns φ, with its slope φ′, of one of Activations.
func Function(activation string) (phi func(a float64) (value, slope float64), ok bool) {
	for _, a := range activations {
		if a.name == activation {
			return a.value, true
		}
	}
	return nil, false
}

// Activate returns φ(pre) for φ one of Activations, and records the units.
func (s *Scope) Activate(activation string, pre *gorgonia.Node) *gorgonia.Node {
	return s.recorded(activation, pre, s.Phi(activation, pre))
}

// ActivateWith returns φ(pre) for a φ of one's own that is built of operations of the scope, and records the units by
// the name, so that it is open to every rule that needs φ or φ′:
//
//	s.ActivateWith("supralinear", func(a *gorgonia.Node) *gorgonia.Node { return s.PowerLaw(2, a) }, pre)
//
// φ acts on each entry by itself; one of which that cannot be seen is refused, as is a name of Activations.
func (s *Scope) ActivateWith(name string, phi func(a *gorgonia.Node) *gorgonia.Node, pre *gorgonia.Node) *gorgonia.Node {
	if !s.ready(pre) {
		return nil
	}
	if name == "" || slices.Contains(Activations, name) {
		return s.fail(fmt.Errorf("activation %q of one's own: expected a name that is not one of %v", name, Activations))
	}
	post := phi(pre)
	if s.err != nil {
		return nil
	}
	if post == nil {
		return s.fail(fmt.Errorf("activation %q: the function returns no node", name))
	}
	var sides []*gorgonia.Node
	for _, k := range s.kinks {
		sides = append(sides, k.Side)
	}
	if err := vjp.Elementwise(post, pre, sides...); err != nil {
		return s.fail(fmt.Errorf("activation %q: expected a function of each entry by itself: %w", name, err))
	}
	return s.recorded(name, pre, post)
}

// recorded records units, and returns what comes out of them.
func (s *Scope) recorded(activation string, pre, post *gorgonia.Node) *gorgonia.Node {
	if s.err == nil {
		s.units = append(s.units, Unit{Activation: activation, Pre: pre, Post: post})
	}
	return post
}

// Phi returns φ(a) for φ one of Activations, and records no units: for a function of the state itself,
// of which the next one is no elementwise function.
func (s *Scope) Phi(activation string, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	for _, known := range activations {
		if known.name == activation {
			return known.graph(s, a)
		}
	}
	return s.fail(fmt.Errorf("activation %q: expected one of %v", activation, Activations))
}

// leakySlope is the slope of LeakyRelu below 0.
const leakySlope = 0.01

// Retanh returns max(tanh(a), 0).
func (s *Scope) Retanh(a *gorgonia.Node) *gorgonia.Node { return s.Tanh(s.Relu(a)) }

// LeakyRelu returns max(a, a/100). A. L. Maas, A. Y. Hannun, A. Y. Ng, ICML workshop (2013).
func (s *Scope) LeakyRelu(a *gorgonia.Node) *gorgonia.Node {
	return s.Add(s.Scale(leakySlope, a), s.Scale(1-leakySlope, s.Relu(a)))
}

// HardSigmoid returns a, but at least 0 and at most 1. B. Scellier, Y. Bengio, Frontiers in Computational Neuroscience
// 11 (2017) 24, doi:10.3389/fncom.2017.00024.
func (s *Scope) HardSigmoid(a *gorgonia.Node) *gorgonia.Node {
	return s.Sub(s.Relu(a), s.Relu(s.Shift(-1, a)))
}

// PowerLaw returns max(a, 0)^n for n ≥ 1, as of a supralinear network. Its slope at 0 and below is 0, but for n = 1.
// Y. Ahmadian, D. B. Rubin, K. D. Miller, Neural Computation 25 (2013) 1994–2037, doi:10.1162/NECO_a_00472.
func (s *Scope) PowerLaw(n float64, a *gorgonia.Node) *gorgonia.Node {
	if !s.ready(a) {
		return nil
	}
	r := s.Relu(a)
	switch {
	case !(n >= 1) || math.IsInf(n, 1):
		return s.fail(fmt.Errorf("PowerLaw: expected a finite exponent of at least 1, found %g", n))
	case n == 1:
		return r
	case n == 2:
		return s.Square(r)
	}
	// rⁿ = r·e^{(n−1)·log r}, of which r is so little more that the logarithm and its slope stay finite at 0.
	const least = 1e-30
	return s.Mul(r, s.Exp(s.Scale(n-1, s.Log(s.Shift(least, r)))))
}
