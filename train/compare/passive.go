package compare

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/solvers"
	"attractor/train"
	"attractor/train/rules"
)

// passive looks at every so many steps of a run and compares the driving rule's gradient with
// the exact one of the same batch and parameters. The exact gradient is computed in
// float64 on a layer of its own, to rtol 1e-9, from the state that the run read out,
// so that neither the run's numbers nor its times or memory are touched.
type passive[T deq.Float] struct {
	every int
	layer *deq.Layer[float64]
	grads deq.Params[float64]

	points []CosinePoint
	radius float64 // largest spectral radius of ∂f/∂z over the last batch looked at
	worst  float64 // largest so far
}

func newPassive[T deq.Float](t *train.Trainer[T], every int) (*passive[T], error) {
	l := t.Layer
	own, err := deq.New[float64](l.Model, l.Inputs, l.Outputs, 0, deq.Config{Batch: l.Batch(), Workers: 1})
	if err != nil {
		return nil, err
	}
	return &passive[T]{every: every, layer: own, grads: own.Params.ZerosLike(), radius: math.NaN(), worst: math.NaN()}, nil
}

// Observe implements train.Observer.
func (p *passive[T]) Observe(ctx context.Context, s train.Step[T]) error {
	if s.Index%p.every != 0 {
		return nil
	}
	for i, g := range s.Params {
		for k, v := range g.Data {
			p.layer.Params[i].Data[k] = float64(v)
		}
	}
	p.layer.Updated()
	deq.CopyMasks(p.layer, s.Layer)
	tight := deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-9, MaxEvals: 500}}
	e, err := p.layer.Solve(ctx, widen(s.Batch.X), widen(s.Z), tight)
	if err != nil {
		return fmt.Errorf("compare: exact gradient: %w", err)
	}
	point := CosinePoint{Step: s.Index, Cosine: math.NaN(), NormRatio: math.NaN()}
	if e.Report.Failed() == 0 {
		o, err := p.layer.Evaluate(e.Z, wide[T]{s.Loss}, nil)
		if err != nil {
			return fmt.Errorf("compare: exact gradient: %w", err)
		}
		p.grads.Clear()
		rep, err := rules.Implicit[float64]{}.Gradient(ctx, rules.Situation[float64]{Equilibrium: e, Output: o, Backward: tight}, p.grads)
		if err != nil {
			return fmt.Errorf("compare: exact gradient: %w", err)
		}
		if rep.Failed() == 0 {
			point = p.compare(s)
		}
	}
	p.points = append(p.points, point)
	radii, err := stability.Radius(e, 40, 0)
	if err != nil {
		return fmt.Errorf("compare: spectral radius: %w", err)
	}
	p.radius = slices.Max(radii)
	if !(p.worst >= p.radius) {
		p.worst = p.radius
	}
	return nil
}

// compare is the cosine over the cell's parameters that learn.
func (p *passive[T]) compare(s train.Step[T]) CosinePoint {
	point := CosinePoint{Step: s.Index, PerParam: map[string]float64{}}
	var dot, rule, exact float64
	for _, i := range s.Trained {
		if !s.Grads[i].Role.OfCell() {
			continue
		}
		var d, r, x float64
		for k, g := range s.Grads[i].Data {
			e := p.grads[i].Data[k]
			d, r, x = d+float64(g)*e, r+float64(g)*float64(g), x+e*e
		}
		point.PerParam[s.Grads[i].Name] = d / math.Sqrt(r*x)
		dot, rule, exact = dot+d, rule+r, exact+x
	}
	point.Cosine, point.NormRatio = dot/math.Sqrt(rule*exact), math.Sqrt(rule/exact)
	return point
}

// wide evaluates a run's loss for outputs in float64. The run's precision rounds them, which
// moves the exact gradient by no more than the run's own rounding.
type wide[T deq.Float] struct {
	loss deq.Loss[T]
}

// Eval implements deq.Loss.
func (w wide[T]) Eval(rows []int, y, dy []float64, losses []float64) error {
	narrow := make([]T, len(y))
	for i, v := range y {
		narrow[i] = T(v)
	}
	grad := make([]T, len(y))
	if err := w.loss.Eval(rows, narrow, grad, losses); err != nil {
		return err
	}
	copy(dy, widen(grad))
	return nil
}

func widen[T deq.Float](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
