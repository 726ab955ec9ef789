package models

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"attractor/internal/kernels"
	"attractor/train/kit"

	"gorgonia.org/gorgonia"
)

// Feedback is a random network with feedback loops from its readout,
//
//	dx/dt = −x + Wφ(x) + M z + U·input,   z = nφ(x),   y = z
//
// with x [batch, units], z [batch, loops]. Its cell is a step of Euler's method, of dt = leak:
//
//	f(x) = (1−α)·x + α·(φ(x)·Wᵀ + z·Mᵀ + input·Uᵀ),   z = φ(x)·nᵀ
//
// or, with state rate, for the rates r instead of the currents x, which has the same
// fixed points in r = φ(x):
//
//	f(r) = (1−α)·r + α·φ(r·Wᵀ + z·Mᵀ + input·Uᵀ),   z = r·nᵀ
//
// The parameter n is the readout, and the cell reads it too. There is a loop for every output; with
// extra ones the outputs are the first loops. W is gain·χ with χ_ij ~ N(0, 1/units). The columns of M
// and U are, with ξ, η_m and η_I from N(0, 1), r = √(1 − ρ²),
//
//	m_k = σ_m(ρξ_k + rη_m,k),   I_k = σ_I(ρξ_k + rη_I,k)/√inputs
//
// so that the k-th loop and the k-th input have the correlation ρ². n starts at random, or along a direction:
//
//	n_k = (pξ_k + p_mη_m,k + p_Iη_I,k)/units
//
// Mastrogiuseppe & Ostojic 2019, arXiv:1809.02386, with one loop and one input.
type Feedback struct {
	kit.Zeros
	N           int     `key:"units" default:"128" doc:"number of units" max:"1e6: no memory holds the weights between more"`
	State       string  `default:"current" doc:"what the state is: x, or the rates φ(x), for rules that need a cell φ(pre)" choices:"current,rate"`
	Activation  string  `default:"tanh" doc:"activation φ" choices:"tanh,relu,sigmoid,softplus,linear,retanh,leaky-relu,hard-sigmoid"`
	Gain        float64 `default:"0.3" doc:"gain g of the random weights W, g·randn/√units"`
	SigmaM      float64 `default:"1.2" doc:"standard deviation σ_m of the feedback vectors"`
	SigmaI      float64 `default:"0.5" doc:"standard deviation σ_I of the input vectors, over √inputs"`
	Rho         float64 `doc:"ρ in [0, 1]: a feedback vector and the input vector of the same number have the correlation ρ²"`
	Orthogonal  bool    `doc:"make all ξ, η_m and η_I orthogonal to each other and of length √units"`
	ReadoutGain float64 `default:"0.1" doc:"gain of the initial readout n, g·randn/√units"`
	ReadoutXi   float64 `key:"readout_xi" doc:"p of the initial readout n = (pξ + p_mη_m + p_Iη_I)/units, which is there where one of p, p_m and p_I is not 0"`
	ReadoutM    float64 `key:"readout_m" doc:"p_m of it"`
	ReadoutI    float64 `key:"readout_i" doc:"p_I of it"`
	Extra       int     `doc:"feedback loops besides those of the outputs" max:"1e6: no network has more units"`
	Leak        float64 `default:"1" doc:"leak α = dt/τ in (0, 1]; 1 is no leak"`
}

func feedbackEntry() Entry {
	return Entry{
		Name: "feedback",
		Doc: `random network with feedback loops from its readout, x ← (1−α)x + α(φ(x)Wᵀ + zMᵀ + inUᵀ)

z = φ(x)nᵀ is the output and is fed back by M. State x [batch, units], or its rates; n is read
out and belongs to the loop: with trained readout it learns through the loop.
W starts as gain·randn/√units; M has σ_m and U has σ_I/√inputs as standard deviations, and
ρ² is the correlation of a loop with the input of the same number. n starts at random, or with
readout_xi, readout_m and readout_i along ξ, η_m and η_I. Its mean-field theory is
what the command meanfield computes. Outputs that grow, such as those of classes, drive the
loops: with them let sigma_m be small, 0.1 or so.
Parameters: W [units, units], M [units, loops], U [units, inputs], n [loops, units].`,
		Refs: []string{`@article{mastrogiuseppe2019geometrical,
  title   = {A Geometrical Analysis of Global Stability in Trained Feedback Networks},
  author  = {Mastrogiuseppe, Francesca and Ostojic, Srdjan},
  journal = {Neural Computation},
  volume  = {31},
  number  = {6},
  pages   = {1139--1182},
  year    = {2019},
  doi     = {10.1162/neco_a_01187},
  eprint  = {1809.02386},
  archiveprefix = {arXiv}
}`, `@article{mastrogiuseppe2018linking,
  title   = {Linking Connectivity, Dynamics, and Computations in Low-Rank Recurrent Neural Networks},
  author  = {Mastrogiuseppe, Francesca and Ostojic, Srdjan},
  journal = {Neuron},
  volume  = {99},
  pages   = {609--623},
  year    = {2018},
  doi     = {10.1016/j.neuron.2018.07.003}
}`},
		Value: Feedback{},
	}
}

// Validate reports options outside their range.
func (m Feedback) Validate() error {
	m = kit.WithDefaults(m)
	switch {
	case m.N < 1:
		return fmt.Errorf("units: expected a positive number, found %d", m.N)
	case m.State != "current" && m.State != "rate":
		return fmt.Errorf("state: expected current or rate, found %q", m.State)
	case !slices.Contains(Activations, m.Activation):
		return fmt.Errorf("activation: expected one of %v, found %q", Activations, m.Activation)
	case !(m.Gain >= 0), !(m.SigmaM >= 0), !(m.SigmaI >= 0), !(m.ReadoutGain >= 0):
		return fmt.Errorf("gain: expected numbers of at least 0, found %g, sigma_m %g, sigma_i %g and readout_gain %g", m.Gain, m.SigmaM, m.SigmaI, m.ReadoutGain)
	case !(m.Rho >= 0 && m.Rho <= 1):
		return fmt.Errorf("rho: expected a number in [0, 1], found %g", m.Rho)
	case !kernels.AllFinite([]float64{m.ReadoutXi, m.ReadoutM, m.ReadoutI}):
		return fmt.Errorf("readout: expected a finite direction, found %g, %g and %g", m.ReadoutXi, m.ReadoutM, m.ReadoutI)
	case m.Extra < 0:
		return fmt.Errorf("extra: expected at least 0, found %d", m.Extra)
	case !(m.Leak > 0 && m.Leak <= 1):
		return fmt.Errorf("leak: expected a number in (0, 1], found %g", m.Leak)
	}
	return nil
}

// Units implements Model.
func (m Feedback) Units() int { return kit.WithDefaults(m).N }

// Params implements Model: W [n, n], M [n, loops], U [n, inputs], n [loops, n].
func (m Feedback) Params(inputs, outputs int) []Param {
	m = kit.WithDefaults(m)
	loops := outputs + m.Extra
	of := func(vector byte) Init { return feedbackVectors{model: m, loops: loops, inputs: inputs, vector: vector} }
	readout := Init(Normal{Gain: m.ReadoutGain})
	if m.ReadoutXi != 0 || m.ReadoutM != 0 || m.ReadoutI != 0 {
		readout = of('n')
	}
	return []Param{
		{Name: "W", Shape: []int{m.N, m.N}, Role: Recurrent, Init: Normal{Gain: m.Gain}},
		{Name: "M", Shape: []int{m.N, loops}, Role: Recurrent, Init: of('m')},
		{Name: "U", Shape: []int{m.N, inputs}, Role: Input, Init: of('I')},
		{Name: "n", Shape: []int{loops, m.N}, Role: Readout, Init: readout},
	}
}

// Cell implements Model.
func (m Feedback) Cell(s *Scope, x, in *gorgonia.Node) *gorgonia.Node {
	m = kit.WithDefaults(m)
	rates := x
	if m.State == "current" {
		rates = s.Phi(m.Activation, x)
	}
	z := s.MatMul(rates, s.Param("n"), false, true) // no synapse: behind it the path to the state is dense
	next := s.Add(s.Linear("W", rates), s.Linear("M", z), s.Linear("U", in))
	if m.State == "rate" {
		next = s.Activate(m.Activation, next)
	}
	return s.Leak(m.Leak, x, next)
}

// Readout implements Model.
func (m Feedback) Readout(s *Scope, x *gorgonia.Node) *gorgonia.Node {
	m = kit.WithDefaults(m)
	if m.State == "current" {
		x = s.Phi(m.Activation, x)
	}
	z := s.Linear("n", x)
	if m.Extra == 0 || s.err != nil {
		return z
	}
	return s.Slice(z, 0, z.Shape()[1]-m.Extra)
}

// Vectors draws ξ, η_m and η_I for the k-th loop and input, k = 0 … count − 1, all [units].
func (m Feedback) Vectors(r *rand.Rand, count int) (xi, etaM, etaI [][]float64) {
	m = kit.WithDefaults(m)
	var all [][]float64
	for k := range 3 * count {
		v := make([]float64, m.N)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		if m.Orthogonal {
			for range 2 {
				for _, u := range all {
					addScaled(v, -dot(u, v)/dot(u, u), u)
				}
			}
			scale := math.Sqrt(float64(m.N) / dot(v, v))
			addScaled(v, scale-1, v)
		}
		all = append(all, v)
		switch k % 3 {
		case 0:
			xi = append(xi, v)
		case 1:
			etaM = append(etaM, v)
		case 2:
			etaI = append(etaI, v)
		}
	}
	return xi, etaM, etaI
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func addScaled(a []float64, c float64, b []float64) {
	for i, v := range b {
		a[i] += c * v
	}
}

// feedbackVectors draws M, U or n, all from one stream.
type feedbackVectors struct {
	model         Feedback
	loops, inputs int
	vector        byte // 'm', 'I' or 'n'
}

// Stream implements Shared.
func (feedbackVectors) Stream() string { return "feedback" }

// Draw implements Init.
func (f feedbackVectors) Draw(r *rand.Rand, shape []int, dst []float64) {
	m := f.model
	xi, etaM, etaI := m.Vectors(r, max(f.loops, f.inputs))
	across := math.Sqrt(1 - m.Rho*m.Rho)
	of := func(k, i int) float64 { return m.SigmaM * (m.Rho*xi[k][i] + across*etaM[k][i]) }
	switch f.vector {
	case 'I':
		sd := m.SigmaI / math.Sqrt(float64(f.inputs))
		of = func(k, i int) float64 { return sd * (m.Rho*xi[k][i] + across*etaI[k][i]) }
	case 'n':
		for k := range shape[0] {
			for i := range shape[1] {
				dst[k*shape[1]+i] = (m.ReadoutXi*xi[k][i] + m.ReadoutM*etaM[k][i] + m.ReadoutI*etaI[k][i]) / float64(m.N)
			}
		}
		return
	}
	for i := range shape[0] {
		for k := range shape[1] {
			dst[i*shape[1]+k] = of(k, i)
		}
	}
}
