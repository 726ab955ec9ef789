package rules

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/train/kit"
)

// RTRL is real-time recurrent learning. Beside the state of every sample it carries how that depends on
// all P parameters of the cell, p_t = ∂z_t/∂θ [n, P] from p_0 = 0,
//
//	p_{t+1} = J(z_t) p_t + ∂f/∂θ at z_t,   dL/dθ = Σ_t (∂L/∂z_t)ᵀ p_t,
//
// where ∂L/∂z_t is what z_t gives to L by its readout. So the gradient is there at every step, with
// no way back. It is exact, that of bptt, for every model; but a step takes n²P products and the p of a
// batch n·P numbers a sample, both cubes and more of n. What does not fit into max_bytes is refused.
type RTRL[T deq.Float] struct {
	Steps    int `default:"30" doc:"steps T of a relaxation; sequences have their own" max:"1e6: a relaxation that takes longer does not settle" order:"T"`
	MaxBytes int `default:"500000000" doc:"largest memory of the derivatives of the states by the parameters; training that needs more is refused" max:"1e15: no machine has more memory"`
}

func rtrlEntry[T deq.Float]() Entry[T] {
	return Entry[T]{Name: "rtrl", Value: RTRL[T]{}, Doc: `real-time recurrent learning, exact and online

Carries the derivatives p = ∂z/∂θ of all units by all parameters of the cell forwards through time,
p ← J p + ∂f/∂θ, and adds (∂L/∂z)ᵀp at every step that has a loss. The gradient is that of bptt, but no states
are kept. The price is memory of the order n³ a sample and time of the order n⁴ a step: for small
networks. Training whose derivatives do not fit into max_bytes is refused before it starts.`,
		Refs: []string{`@article{williams1989learning,
  title   = {A Learning Algorithm for Continually Running Fully Recurrent Neural Networks},
  author  = {Williams, Ronald J. and Zipser, David},
  journal = {Neural Computation},
  volume  = {1},
  number  = {2},
  pages   = {270--280},
  year    = {1989},
  doi     = {10.1162/neco.1989.1.2.270}
}`}}
}

// Validate reports options outside their range.
func (r RTRL[T]) Validate() error {
	if r.Steps < 0 || r.MaxBytes < 0 {
		return fmt.Errorf("steps and max_bytes: expected at least 1, found %d and %d", r.Steps, r.MaxBytes)
	}
	return nil
}

// Check implements Rule: every model will do whose derivatives fit into the memory.
func (r RTRL[T]) Check(l *deq.Layer[T]) error {
	if err := r.Validate(); err != nil {
		return err
	}
	r = kit.WithDefaults(r)
	if need := r.bytes(l, l.Batch()); need > float64(r.MaxBytes) {
		return fmt.Errorf("rules: rtrl needs %.3g bytes for the derivatives of %d units by %d parameters, for %d samples, more than max_bytes %.3g: take fewer units or a smaller batch, raise max_bytes, or choose uoro or kf-rtrl",
			need, l.Units, weights(l), l.Batch(), float64(r.MaxBytes))
	}
	return nil
}

// bytes is the memory that a batch needs: a float, since it may be beyond an int.
func (RTRL[T]) bytes(l *deq.Layer[T], rows int) float64 {
	n := float64(l.Units)
	return (float64(rows+1)*n*float64(weights(l)) + n*n) * float64(bytesOf(make([]T, 1)))
}

// Exact implements Rule.
func (RTRL[T]) Exact() bool { return true }

// Audit implements Rule.
func (RTRL[T]) Audit() Audit {
	return Audit{ReadoutTransport: true, Memory: "n^3", Time: "T n^4"}
}

// Horizon implements TemporalRule.
func (r RTRL[T]) Horizon() int { return kit.WithDefaults(r).Steps }

// Gradient implements TemporalRule.
func (r RTRL[T]) Gradient(ctx context.Context, p Passage[T], g deq.Params[T]) (Report, error) {
	l := p.Layer()
	n, m := l.Units, weights(l)
	derivatives := make([][]T, p.Rows+1) // by sample [n, m]; the last one is the next of the sample at hand
	for b := range derivatives {
		derivatives[b] = make([]T, n*m)
	}
	jt, unit, sum := make([]T, n*n), make([]T, n), make([]T, m)
	err := p.online(ctx, func(t int, e *deq.Equilibrium[T], dz []T) error {
		for b := range p.Rows {
			is, next := derivatives[b], derivatives[p.Rows]
			if err := jacobian(e, b, jt); err != nil {
				return err
			}
			kernels.Gemm(true, false, n, m, n, jt, n, is, m, 0, next, m)
			one, err := e.Repeat(b, 1)
			if err != nil {
				return err
			}
			for i := range n {
				unit[i] = 1
				if err := one.VJP(unit, view(l, next[i*m:(i+1)*m])); err != nil {
					return err
				}
				unit[i] = 0
			}
			derivatives[b], derivatives[p.Rows] = next, is
			if dz != nil {
				kernels.Axpys(dz[b*n:(b+1)*n], next, m, sum)
			}
		}
		return nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("rules: rtrl: %w", err)
	}
	for i, s := range view(l, sum) {
		if s.Data != nil {
			kernels.Add(g[i].Data, g[i].Data, s.Data)
		}
	}
	return Report{Bytes: int(r.bytes(l, p.Rows))}, nil
}
