package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// ThreeFactor is the three-factor rule in its classical form: a trace of the presynaptic activity that
// belongs to the synapse's axon, not to the synapse, times a factor of the postsynaptic unit as it is now, times
// a third factor that says how well things go,
//
//	p̄_j(t) = (1 − 1/τ) p̄_j(t−1) + pre_j(t),   ΔW_ij = Σ_t M_i(t) ∂f_i/∂a_i(t) p̄_j(t),   M(t) = ∂L/∂y_t B,
//
// with a = pre·Wᵀ the products of the synapses. M reaches each unit by fixed random weights B.
//
// It differs from EProp and RFLO in what is remembered: they keep for every synapse what the presynaptic
// activity did to the unit at the time, ∂f_i/∂a_i(t′)·pre_j(t′), and let it decay as the unit's own state does; here one
// trace for each presynaptic unit decays at a rate of its own, whatever the cell, and the sensitivity of the
// unit is that of the moment when M comes. So gates and slopes of the past need not be known, and memory is of the
// order n. Where ∂f/∂a does not change, as for currents (form v), and 1 − 1/τ is what the leak leaves, τ = 1/α,
// the two are the same; with the feedback symmetric, so that M is the true ∂L/∂z, this is then the symmetric
// rule, e-prop.
//
// N. Frémaux and W. Gerstner, Frontiers in Neural Circuits 9:85, 2016, doi:10.3389/fncir.2015.00085;
// W. Gerstner, M. Lehmann, V. Liakoni, D. Corneil and J. Brea, Frontiers in Neural Circuits 12:53, 2018,
// doi:10.3389/fncir.2018.00053.
type ThreeFactor[T deq.Float] struct {
	kit.Zeros
	Steps    int     `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Tau      float64 `default:"2" doc:"time constant τ of the presynaptic traces in steps, at least 1: a trace keeps 1 − 1/τ of itself at a step"`
	Feedback string  `default:"random" doc:"weights that take the output's error to the units as the third factor: fixed random ones, the transpose of the readout's, or random ones that learn beside the readout's" choices:"random,symmetric,adaptive"`
	Decay    float64 `default:"0.01" doc:"decay of adaptive feedback and of the readout's weights beside it"`
}

func threeFactorEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "three-factor", Value: ThreeFactor[T]{}, Doc: `presynaptic trace times postsynaptic sensitivity times a signal by random weights

Every presynaptic unit keeps a trace of its activity, p̄ ← (1 − 1/τ)p̄ + pre, and a synapse learns by
that trace, times how its unit responds to its input now, times the output's error, which reaches the
unit by fixed random weights. Unlike e-prop and rflo no synapse remembers anything: there are n traces,
which decay at a rate of their own. For a network of currents (form v) with τ = 1/leak it is rflo. Goes
forwards and keeps no states.`,
		Refs: []string{`@article{fremaux2016neuromodulated,
  title   = {Neuromodulated Spike-Timing-Dependent Plasticity, and Theory of Three-Factor Learning Rules},
  author  = {Fr{\'e}maux, Nicolas and Gerstner, Wulfram},
  journal = {Frontiers in Neural Circuits},
  volume  = {9},
  pages   = {85},
  year    = {2016},
  doi     = {10.3389/fncir.2015.00085}
}`, `@article{gerstner2018eligibility,
  title   = {Eligibility Traces and Plasticity on Behavioral Time Scales: Experimental Support of {neoHebbian} Three-Factor Learning Rules},
  author  = {Gerstner, Wulfram and Lehmann, Marco and Liakoni, Vasiliki and Corneil, Dane and Brea, Johanni},
  journal = {Frontiers in Neural Circuits},
  volume  = {12},
  pages   = {53},
  year    = {2018},
  doi     = {10.3389/fncir.2018.00053}
}`}}
}

// local has the feedback of the rule.
func (r ThreeFactor[T]) local() Local[T] {
	r = kit.WithDefaults(r)
	l := Local[T]{Steps: r.Steps, Feedback: r.Feedback, Decay: r.Decay}
	if l.Decay == 0 {
		l.Zeros = "decay"
	}
	return l
}

// Validate reports options outside their range.
func (r ThreeFactor[T]) Validate() error {
	r = kit.WithDefaults(r)
	if r.Steps < 1 || !(r.Decay >= 0) {
		return fmt.Errorf("steps and decay: expected at least 1 and 0, found %d and %g", r.Steps, r.Decay)
	}
	if !(r.Tau >= 1) {
		return fmt.Errorf("tau: expected at least 1 step, found %g", r.Tau)
	}
	return nil
}

// Check implements Rule: the synapses of the cell must be named.
func (r ThreeFactor[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := l.CheckSynapses(); err != nil {
		return fmt.Errorf("rules: three-factor needs a cell of synapses: %w", err)
	}
	return nil
}

// Exact implements Rule.
func (ThreeFactor[T]) Exact() bool { return false }

// Audit implements Rule.
func (r ThreeFactor[T]) Audit() Audit {
	return Audit{ReadoutTransport: kit.WithDefaults(r).Feedback == "symmetric", Memory: "n", Time: "T n^2"}
}

// Horizon implements TemporalRule.
func (r ThreeFactor[T]) Horizon() int { return r.local().Horizon() }

// Parameters implements Parametric: the feedback weights, where they are not the readout's.
func (r ThreeFactor[T]) Parameters(l *deq.Layer[T]) []Parameter { return r.local().Parameters(l) }

// Gradient implements TemporalRule.
func (r ThreeFactor[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	l := p.Layer()
	synapses, err := l.Synapses()
	if err != nil {
		return Report{}, err
	}
	slots := l.Slots()
	n, keep := l.Units/slots, T(1-1/kit.WithDefaults(r).Tau)
	traces, sums, response := make([][]T, len(synapses)), make([][]T, len(synapses)), make([]T, p.Rows*n)
	report := Report{Bytes: bytesOf(response)}
	for k, y := range synapses {
		traces[k], sums[k] = make([]T, p.Rows*max(1, y.Pre)), make([]T, n*max(1, y.Pre))
		report.Bytes += bytesOf(traces[k])
	}
	err = r.local().feed(p, g, func(credit func(t int) ([]T, error)) error {
		var seen []deq.Local[T]
		for t := range p.Steps {
			if seen, err = p.Locals(ctx, t, t+1, seen); err != nil {
				return err
			}
			for k, pre := range seen[0].Pre {
				kernels.Scale(traces[k], keep, traces[k])
				if pre == nil {
					kernels.AddScalar(traces[k], traces[k], 1)
				} else {
					kernels.Add(traces[k], traces[k], pre)
				}
			}
			m, err := credit(t + 1)
			if err != nil {
				return err
			}
			if m == nil {
				continue
			}
			for k, slope := range seen[0].Slope {
				if slope == nil {
					continue
				}
				withinUnits(m, slope, n, response)
				width := len(traces[k]) / p.Rows
				kernels.Gemm(true, false, n, width, p.Rows, response, n, traces[k], width, 1, sums[k], width)
			}
		}
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("rules: three-factor: %w", err)
	}
	for k, dw := range sums {
		if err := l.WeightVJP(k, dw, g); err != nil {
			return Report{}, err
		}
	}
	return report, nil
}
