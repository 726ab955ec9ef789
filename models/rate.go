package models

import (
	"fmt"
	"slices"

	"attractor/internal/options"

	"gorgonia.org/gorgonia"
)

// Rate is the rate network
//
//	f(z, x) = (1−α)·z + α·φ(z·Wᵀ + x·Uᵀ + b),   y = z·Woᵀ + bo
//
// with z [batch, units], x [batch, inputs], y [batch, outputs]. W is drawn from
// N(0, gain²/units), so that the recurrent weights have spectral radius about gain
// (Sompolinsky, Crisanti & Sommers 1988, doi:10.1103/PhysRevLett.61.259); U likewise with
// input_gain, Wo with gain 1; b and bo start at 0. α = dt/τ is the leak; a fixed point does
// not depend on it.
//
// W may be parametrised. With normalize weight the parameter W holds directions of rows and
// another one, g, their lengths (which start at gain): W is g·W/‖W‖. With spectral, W is
// scaled down to a largest singular value of bound where it has a larger one. Dropout
// multiplies the z of the recurrent product by a mask.
type Rate struct {
	N          int     `key:"units" default:"128" doc:"number of units n"`
	Activation string  `default:"tanh" doc:"activation φ" choices:"tanh,relu,sigmoid,softplus,linear"`
	Gain       float64 `default:"0.5" doc:"gain g of the initial recurrent weights, g·randn/√n"`
	InputGain  float64 `default:"2" doc:"gain of the initial input weights, g·randn/√inputs"`
	Leak       float64 `default:"1" doc:"leak α = dt/τ in (0, 1]; 1 is no leak"`
	Normalize  string  `default:"none" doc:"parametrisation of W: as it is, lengths of rows apart from directions, or scaled to a bounded spectral norm" choices:"none,weight,spectral"`
	Dropout    float64 `doc:"probability of leaving a unit out of the recurrent product while training, one mask for a whole solve"`
	Bound      float64 `default:"1" doc:"largest spectral norm of W with normalize spectral"`
}

// Validate reports options outside their range.
func (r Rate) Validate() error {
	r = options.WithDefaults(r)
	switch {
	case r.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", r.N)
	case !slices.Contains(Activations, r.Activation):
		return fmt.Errorf("activation: expected one of %v, found %q", Activations, r.Activation)
	case !(r.Gain > 0), !(r.InputGain > 0):
		return fmt.Errorf("gain: expected positive numbers, found %g and input_gain %g", r.Gain, r.InputGain)
	case !(r.Leak > 0 && r.Leak <= 1):
		return fmt.Errorf("leak: expected a number in (0, 1], found %g", r.Leak)
	case !slices.Contains(Normalizations, r.Normalize):
		return fmt.Errorf("normalize: expected one of %v, found %q", Normalizations, r.Normalize)
	case !(r.Dropout >= 0 && r.Dropout < 1):
		return fmt.Errorf("dropout: expected a number in [0, 1), found %g", r.Dropout)
	case !(r.Bound > 0):
		return fmt.Errorf("bound: expected a positive number, found %g", r.Bound)
	}
	return nil
}

// Units implements Model.
func (r Rate) Units() int { return options.WithDefaults(r).N }

// Params implements Model: W [n, n], U [n, inputs], b [n], Wo [outputs, n], bo [outputs], and
// with normalize weight g [n, 1].
func (r Rate) Params(inputs, outputs int) []Param {
	r = options.WithDefaults(r)
	params := []Param{
		{Name: "W", Shape: []int{r.N, r.N}, Role: Recurrent, Init: Normal{Gain: r.Gain}},
		{Name: "U", Shape: []int{r.N, inputs}, Role: Input, Init: Normal{Gain: r.InputGain}},
		{Name: "b", Shape: []int{r.N}, Role: Bias, Init: Zeros{}},
		{Name: "Wo", Shape: []int{outputs, r.N}, Role: Readout, Init: Normal{Gain: 1}},
		{Name: "bo", Shape: []int{outputs}, Role: Readout, Init: Zeros{}},
	}
	if r.Normalize == "weight" {
		params = append(params, Param{Name: "g", Shape: []int{r.N, 1}, Role: Recurrent, Init: Constant{Value: r.Gain}})
	}
	return params
}

// Cell implements Model.
func (r Rate) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	r = options.WithDefaults(r)
	w := s.Param("W")
	switch r.Normalize {
	case "weight":
		w = s.WeightNorm(w, s.Param("g"))
	case "spectral":
		w = s.BoundSpectralNorm(w, r.Bound)
	}
	drive := s.Bias("b", s.Linear("U", x))
	return s.Leak(r.Leak, z, s.Activate(r.Activation, s.Add(s.LinearWith("W", w, s.Dropout("dropout", r.Dropout, z)), drive)))
}

// Readout implements Model.
func (r Rate) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	return s.Bias("bo", s.Linear("Wo", z))
}
