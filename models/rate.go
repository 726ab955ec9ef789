package models

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"attractor/train/kit"
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
// That is the form h, in which the state is the activity. In the form v the state is the current into
// the units, v, with activities φ(v):
//
//	f(v, x) = (1−α)·v + α·(φ(v)·Wᵀ + x·Uᵀ + b),   y = φ(v)·Woᵀ + bo.
//
// W may be parametrised. With normalize weight the parameter W holds directions of rows and
// another one, g, their lengths (which start at gain): W is g·W/‖W‖. With spectral, W is
// scaled down to a largest singular value of bound where it has a larger one. Dropout
// multiplies the activities of the recurrent product by a mask.
//
// With a density below 1 each unit hears that share of the others, chosen at random; W is scaled by
// 1/√density, so that its spectral radius stays about gain. With dale above 0 that share of
// the units, the first ones, excite and the others inhibit (Dale's law, as in Song, Yang & Wang 2016,
// doi:10.1371/journal.pcbi.1004792): the weights are |W| with the sign of the presynaptic
// unit, and start such that excitation and inhibition of a unit cancel on average and the eigenvalues
// fill a disc of radius gain. Both are kept whatever is learned.
//
// Noise adds √(2/α)·noise·ξ, ξ ~ N(0, 1), to the drive of every unit at every step through time: in the
// form v the current then fluctuates by about noise. An equilibrium has no noise.
type Rate struct {
	kit.Zeros
	N          int     `key:"units" default:"128" doc:"number of units n" max:"1e6: no memory holds the weights between more"`
	Activation string  `default:"tanh" doc:"activation φ" choices:"tanh,relu,sigmoid,softplus,linear,retanh,leaky-relu,hard-sigmoid"`
	Gain       float64 `default:"0.5" doc:"gain g of the initial recurrent weights, g·randn/√n"`
	InputGain  float64 `default:"2" doc:"gain of the initial input weights, g·randn/√inputs"`
	Leak       float64 `default:"1" doc:"leak α = dt/τ in (0, 1]; 1 is no leak"`
	Form       string  `default:"h" doc:"what the state is: h, activities, or v, currents" choices:"h,v"`
	Normalize  string  `default:"none" doc:"parametrisation of W: as it is, lengths of rows apart from directions, or scaled to a bounded spectral norm" choices:"none,weight,spectral"`
	Dropout    float64 `doc:"probability of leaving a unit out of the recurrent product while training, one mask for a whole solve"`
	Noise      float64 `doc:"noise of the units while the network runs through time: σ of √(2/α)·σ·randn, added to the drive at every step"`
	Dale       float64 `doc:"share of the units that excite, the others inhibit (Dale's law); 0 is weights of any sign"`
	Density    float64 `default:"1" doc:"share of the recurrent connections that there are, chosen at random"`
	Wiring     uint64  `default:"1" doc:"seed of which connections there are, whatever the seed of the run"`
	Bound      float64 `default:"1" doc:"largest spectral norm of W with normalize spectral"`
}

// Validate reports options outside their range.
func (r Rate) Validate() error {
	r = kit.WithDefaults(r)
	switch {
	case r.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", r.N)
	case !slices.Contains(Activations, r.Activation):
		return fmt.Errorf("activation: expected one of %v, found %q", Activations, r.Activation)
	case !(r.Gain >= 0), !(r.InputGain >= 0):
		return fmt.Errorf("gain: expected numbers of at least 0, found %g and input_gain %g", r.Gain, r.InputGain)
	case r.Gain == 0 && r.Normalize != "none":
		return fmt.Errorf("gain: expected a positive number, since normalize %s divides by the size of the weights, found 0", r.Normalize)
	case !(r.Leak > 0 && r.Leak <= 1):
		return fmt.Errorf("leak: expected a number in (0, 1], found %g", r.Leak)
	case !slices.Contains(Normalizations, r.Normalize):
		return fmt.Errorf("normalize: expected one of %v, found %q", Normalizations, r.Normalize)
	case !(r.Dropout >= 0 && r.Dropout < 1):
		return fmt.Errorf("dropout: expected a number in [0, 1), found %g", r.Dropout)
	case !(r.Noise >= 0) || math.IsInf(r.Noise, 1):
		return fmt.Errorf("noise: expected at least 0, found %g", r.Noise)
	case !(r.Dale >= 0 && r.Dale < 1):
		return fmt.Errorf("dale: expected a share in [0, 1), found %g", r.Dale)
	case r.Dale > 0 && (r.excitatory() == 0 || r.excitatory() == r.N):
		return fmt.Errorf("dale: expected a share with units of both kinds, found %g of %d", r.Dale, r.N)
	case r.Dale > 0 && r.Normalize == "weight":
		return fmt.Errorf("dale: lengths of rows, which normalize weight learns, may become negative and turn all signs: choose another normalize")
	case !(r.Density > 0 && r.Density <= 1):
		return fmt.Errorf("density: expected a share in (0, 1], found %g", r.Density)
	case r.Form != "h" && r.Form != "v":
		return fmt.Errorf("form: expected h or v, found %q", r.Form)
	case !(r.Bound > 0):
		return fmt.Errorf("bound: expected a positive number, found %g", r.Bound)
	}
	return nil
}

// Units implements Model.
func (r Rate) Units() int { return kit.WithDefaults(r).N }

// Params implements Model: W [n, n], U [n, inputs], b [n], Wo [outputs, n], bo [outputs], and
// with normalize weight g [n, 1].
func (r Rate) Params(inputs, outputs int) []Param {
	r = kit.WithDefaults(r)
	params := []Param{
		{Name: "W", Shape: []int{r.N, r.N}, Role: Recurrent, Init: r.initial()},
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

// Parametrized implements [Parametrized]: W is masked, signed or normalised.
func (r Rate) Parametrized() bool {
	r = kit.WithDefaults(r)
	return r.Density < 1 || r.Dale > 0 || r.Normalize != "none"
}

// excitatory is the number of units that excite.
func (r Rate) excitatory() int { return int(math.Round(r.Dale * float64(r.N))) }

// Types implements Typed: with Dale's law 0 of the units that excite, 1 of those that inhibit.
func (r Rate) Types() []int {
	r = kit.WithDefaults(r)
	if r.Dale == 0 {
		return nil
	}
	types := make([]int, r.N)
	for i := r.excitatory(); i < r.N; i++ {
		types[i] = 1
	}
	return types
}

// initial draws W. Masked to a share of its entries, these are larger.
func (r Rate) initial() Init {
	if r.Dale > 0 {
		return Balanced{Gain: r.Gain, Excitatory: r.excitatory(), Density: r.Density}
	}
	return Normal{Gain: r.Gain / math.Sqrt(r.Density)}
}

// weights are those of the recurrent product.
func (r Rate) weights(s *Scope) *gorgonia.Node {
	w := s.Param("W")
	if r.Density < 1 {
		w = s.Mask(w, Connections(r.Wiring, r.N, r.N, r.Density))
	}
	if r.Dale > 0 {
		w = s.Dale(w, r.excitatory())
	}
	switch r.Normalize {
	case "weight":
		w = s.WeightNorm(w, s.Param("g"))
	case "spectral":
		w = s.BoundSpectralNorm(w, r.Bound)
	}
	return w
}

// Cell implements Model.
func (r Rate) Cell(s *Scope, z, x *gorgonia.Node) *gorgonia.Node {
	r = kit.WithDefaults(r)
	activity := z
	if r.Form == "v" {
		activity = s.Activate(r.Activation, z)
	}
	pre := s.Add(s.LinearWith("W", r.weights(s), s.Dropout("dropout", r.Dropout, activity)), s.Bias("b", s.Linear("U", x)))
	pre = s.Noise("noise", r.Noise*math.Sqrt(2/r.Leak), pre)
	if r.Form == "h" {
		pre = s.Activate(r.Activation, pre)
	}
	return s.Leak(r.Leak, z, pre)
}

// Readout implements Model.
func (r Rate) Readout(s *Scope, z *gorgonia.Node) *gorgonia.Node {
	if kit.WithDefaults(r).Form == "v" {
		z = s.Activate(kit.WithDefaults(r).Activation, z)
	}
	return s.Bias("bo", s.Linear("Wo", z))
}
