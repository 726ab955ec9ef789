package rules

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/kit"
	"attractor/train/readout"
)

// FORCE trains the readout y = rWᵀ + b by recursive least squares, at every step that has a loss, sample after
// sample: with P the inverse of αI + Σ r rᵀ over all r seen so far, in this and earlier updates, a 1 for the bias
// among them, and e = y − target,
//
//	k = Pr/(1 + rᵀPr),   W ← W − e kᵀ,   P ← P − k(Pr)ᵀ.
//
// The cell stays as it is. Where it does not read the readout, what is learned is the ridge regression on all states
// so far, Σ w|W r − target|² + α|W − W₀|², with the weights w of the losses. Where it does, as in the model feedback,
// the network runs on what it has just learned: the error that is fed back is small from the first steps on (first
// order, reduced and controlled error). αI + Σ w r rᵀ is a parameter of the rule's own, so that it is kept from
// update to update and in checkpoints; it is inverted at the beginning of each.
//
// D. Sussillo and L. F. Abbott, Generating coherent patterns of activity from chaotic neural networks, Neuron 63
// (2009) 544–557, doi:10.1016/j.neuron.2009.07.018.
type FORCE[T deq.Float] struct {
	Steps int     `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	Alpha float64 `default:"1" doc:"α of P = I/α at the beginning: the larger, the more slowly is learned"`
}

func forceEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "force", Value: FORCE[T]{}, Doc: `FORCE: the readout by recursive least squares while the network runs, the cell stays

At every step that has a loss the readout's weights take a step of recursive least squares, which brings the
error of that moment down at once; no optimiser moves them. The cell does not learn. With the model feedback
the network is fed back what it has just learned to read out; other cells run as they are, and what is
learned is the ridge regression on all states. It needs a squared error, which train.loss auto is for this rule, and a readout of
one product with weights.`,
		Refs: []string{`@article{sussillo2009generating,
  title   = {Generating Coherent Patterns of Activity from Chaotic Neural Networks},
  author  = {Sussillo, David and Abbott, L. F.},
  journal = {Neuron},
  volume  = {63},
  number  = {4},
  pages   = {544--557},
  year    = {2009},
  doi     = {10.1016/j.neuron.2009.07.018}
}`}}
}

// gram is the name of αI + Σ w r rᵀ [m, m], for m rates with the 1 of the bias.
const gram = "gram"

// Validate reports options outside their range.
func (r FORCE[T]) Validate() error {
	if r.Steps < 0 || !(r.Alpha >= 0) || math.IsInf(r.Alpha, 1) {
		return fmt.Errorf("steps and alpha: expected at least 1 and a positive number, found %d and %g", r.Steps, r.Alpha)
	}
	return nil
}

// Check implements Rule: the readout is y = rWᵀ + b, and with feedback from it the model has no noise.
func (r FORCE[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	synapses, err := l.ReadoutSynapses()
	if err != nil {
		return fmt.Errorf("rules: force: %w", err)
	}
	if fedBack(l, synapses) && l.Noisy() {
		return fmt.Errorf("rules: force runs a network with feedback from its readout itself, without noise: set the noise of the model to 0")
	}
	return nil
}

// Exact implements Rule.
func (FORCE[T]) Exact() bool { return false }

// TrainsReadout implements ReadoutRule.
func (FORCE[T]) TrainsReadout() {}

// Audit implements Rule.
func (FORCE[T]) Audit() Audit { return Audit{Solve: true, Memory: "n^2", Time: "T n^2"} }

// Horizon implements TemporalRule.
func (r FORCE[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// Parameters implements Parametric.
func (r FORCE[T]) Parameters(l *deq.Layer[T]) []Parameter {
	synapses, err := l.ReadoutSynapses()
	if err != nil {
		return nil // Check reports it
	}
	m := synapses[0].Pre + len(synapses) - 1
	return []Parameter{{Param: models.Param{Name: gram, Shape: []int{m, m}, Role: models.Readout, Init: diagonal{kit.WithDefaults(r).Alpha}}}}
}

// Gradient implements TemporalRule.
func (r FORCE[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	s, err := newLeastSquares(p)
	if err != nil {
		return Report{}, fmt.Errorf("rules: force: %w", err)
	}
	l := p.Layer()
	fedBack, step := fedBack(l, s.synapses), p.At
	if fedBack {
		step = func(t int, z []T) (*deq.Equilibrium[T], error) {
			twin, err := l.Twin(s.put)
			if err != nil {
				return nil, err
			}
			return twin.At(p.Input(t), z)
		}
	}
	z := p.Z[0]
	for t := range p.Steps {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("rules: force stopped at step %d: %w", t, err)
		}
		next := p.Z[t+1]
		if fedBack || next == nil {
			e, err := step(t, z)
			if err != nil {
				return Report{}, err
			}
			next = make([]T, len(z))
			if err := e.Next(next); err != nil {
				return Report{}, err
			}
		}
		if z = next; p.Outputs[t+1] == nil {
			continue
		}
		if err := s.learn(t+1, z); err != nil {
			return Report{}, fmt.Errorf("rules: force at step %d: %w", t, err)
		}
	}
	s.addSteps(g)
	return Report{Bytes: s.bytes()}, nil
}

// fedBack reports whether the cell reads the readout's weights.
func fedBack[T deq.Float](l *deq.Layer[T], synapses []deq.Synapse) bool {
	return slices.ContainsFunc(synapses, func(y deq.Synapse) bool {
		return l.InCell(slices.IndexFunc(l.Params, func(p deq.Tensor[T]) bool { return p.Name == y.Param }))
	})
}

// leastSquares is the recursive least squares of a passage. Weights have the bias, if there is one, as their
// last column.
type leastSquares[T deq.Float] struct {
	p        Passage[T]
	synapses []deq.Synapse // W, and b if there is one
	m        int           // rates, with the 1 of the bias
	rls      *readout.RLS
	w, begun []float64 // [outputs, m], now and before
	seen     []float64 // Σ w r rᵀ [m, m] of the passage

	rates  []T // [rows, Pre]
	r, e   []float64
	y, dy  []T
	losses []float64
	judged bool // whether the loss is known to be a squared error
}

func newLeastSquares[T deq.Float](p Passage[T]) (*leastSquares[T], error) {
	l := p.Layer()
	synapses, err := l.ReadoutSynapses()
	if err != nil {
		return nil, err
	}
	m := synapses[0].Pre + len(synapses) - 1
	before := make([]float64, m*m)
	for i, v := range p.Own.Params.Data(gram) {
		before[i] = float64(v)
	}
	s := &leastSquares[T]{
		p: p, synapses: synapses, m: m, w: make([]float64, l.Outputs*m), seen: make([]float64, m*m),
		rates: make([]T, p.Rows*synapses[0].Pre), r: make([]float64, m), e: make([]float64, l.Outputs),
		y: make([]T, l.Outputs), dy: make([]T, l.Outputs), losses: make([]float64, 1),
	}
	s.columns(l.Params, func(value *T, k int) { s.w[k] = float64(*value) })
	s.begun = slices.Clone(s.w)
	s.rls, err = readout.ResumeRLS(m, before)
	return s, err
}

// columns visits the readout's parameters with their places among the weights.
func (s *leastSquares[T]) columns(of deq.Params[T], visit func(value *T, k int)) {
	first := 0
	for _, y := range s.synapses {
		width, data := max(y.Pre, 1), of.Data(y.Param)
		for i := range data {
			visit(&data[i], i/width*s.m+first+i%width)
		}
		first += width
	}
}

// put gives a twin of the network the weights of now.
func (s *leastSquares[T]) put(of deq.Params[T]) {
	s.columns(of, func(value *T, k int) { *value = T(s.w[k]) })
}

// learn takes a step for every sample of the state z_t [rows, units] that has a loss.
func (s *leastSquares[T]) learn(t int, z []T) error {
	l, weights := s.p.Layer(), s.p.Outputs[t].Weights
	if err := l.Rates(z, s.rates); err != nil {
		return err
	}
	for b := range s.p.Rows {
		weight := 1.0
		if weights != nil {
			weight = float64(weights[b])
		}
		if weight == 0 {
			continue
		}
		for i := range s.r {
			if s.r[i] = 1; i < s.synapses[0].Pre {
				s.r[i] = float64(s.rates[b*s.synapses[0].Pre+i])
			}
		}
		index := b
		if s.p.Outputs[1] != nil { // a sequence
			index += (t - 1) * s.p.Rows
		}
		if err := s.miss(index); err != nil {
			return err
		}
		kernels.Scale(s.e, math.Sqrt(weight), s.e)
		kernels.Scale(s.r, math.Sqrt(weight), s.r)
		s.rls.Update(s.w, s.r, s.e)
		for i, v := range s.r {
			kernels.Axpy(v, s.r, s.seen[i*s.m:(i+1)*s.m])
		}
	}
	l.Account(deq.Reads{Readout: int64(s.p.Rows), Solves: int64(s.p.Rows)})
	return nil
}

// miss sets e = y − target, of a loss with that index. Of a squared error ℓ = c|e|²/2, whatever c, it is
// 2ℓ ∂ℓ/∂y/|∂ℓ/∂y|².
func (s *leastSquares[T]) miss(index int) error {
	kernels.Dots(s.e, s.r, s.w, s.m)
	for k, v := range s.e {
		s.y[k] = T(v)
	}
	if err := s.p.Loss.Eval([]int{index}, s.y, s.dy, s.losses); err != nil {
		return err
	}
	loss, scale := s.losses[0], kernels.SumSquares(s.y)
	clear(s.e)
	if squares := kernels.SumSquares(s.dy); squares > 0 {
		for k, v := range s.dy {
			s.e[k] = 2 * loss * float64(v) / squares
		}
	}
	if s.judged || loss <= 1e-6*scale {
		return nil
	}
	for k, v := range s.e {
		s.y[k] -= T(v)
	}
	if err := s.p.Loss.Eval([]int{index}, s.y, s.dy, s.losses); err != nil {
		return err
	}
	if s.judged = s.losses[0] <= 1e-4*loss; !s.judged {
		return fmt.Errorf("the loss is not a squared error of the outputs, which recursive least squares is for: choose train.loss mse")
	}
	return nil
}

// addSteps adds the steps that were taken to the gradients.
func (s *leastSquares[T]) addSteps(g deq.Params[T]) {
	s.columns(g, func(value *T, k int) { *value += T(s.begun[k] - s.w[k]) })
	own := s.p.Own.Grads.Data(gram)
	for i, v := range s.seen {
		own[i] -= T(v)
	}
}

// bytes is the memory of all that.
func (s *leastSquares[T]) bytes() int {
	return bytesOf(s.w, s.begun, s.seen, s.seen, s.r, s.r, s.r, s.e) + bytesOf(s.rates, s.y, s.dy)
}
