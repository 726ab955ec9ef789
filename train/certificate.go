package train

import (
	"context"
	"errors"
	"math"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/solvers"
	"attractor/train/losses"
	"attractor/train/tasks"
)

// Certificate says how far the gradient of a step can be relied on. The residuals and, where the
// rule reads out an equilibrium, the numeric slope are computed in float64 with everything
// solved to 1e-11, whatever the precision and the tolerances of the run; where it runs a trajectory
// the numeric slope is that of the trajectory, in the run's precision.
type Certificate struct {
	Forward Number `json:"forward_residual"` // ‖f(z) − z‖/‖f(z)‖ at the state that was read out, largest of the batch; null for trials
	Adjoint Number `json:"adjoint_residual"` // ‖ℓ + Jᵀu − u‖/‖ℓ‖, largest of the batch; null where the rule has no u
	Slope   Number `json:"slope"`            // gᵀd: the rule's gradient along a random unit direction d of all that learns
	Numeric Number `json:"numeric_slope"`    // the same by finite differences of the loss; null where a solve failed
	Error   Number `json:"slope_error"`      // |gᵀd − numeric| / max(|numeric|, ‖g‖/√p, resolution), for p numbers that learn
}

// slopeResolution is what differences can tell of a slope, relative to the loss: losses at equilibria solved to 1e-11 in
// float64, and those of trajectories in the run's precision, over steps of about 1e-4 and, in float32, 1e-2.
func slopeResolution[T deq.Float](own bool) float64 {
	if _, is32 := any(T(0)).(float32); is32 && own {
		return 1e-5
	}
	return 1e-7
}

var errNoSlope = errors.New("a solve did not converge")

// certify adds a certificate to the record of a step, where the settings want it. It depends on the
// step alone, and neither its evaluations nor its time are counted.
func (t *Trainer[T]) certify(ctx context.Context, s *Step[T]) error {
	if !t.certified() {
		return nil
	}
	twin, x, z := t.twin, widen(s.Batch.X), widen(s.Z)
	err := twin.Update(func(params deq.Params[float64]) error {
		for i, p := range t.Layer.Params {
			copy(params[i].Data, widen(p.Data))
		}
		return nil
	})
	if err != nil {
		return t.stepError(err)
	}
	deq.CopyMasks(twin, t.Layer)
	c := &Certificate{Forward: Number(math.NaN()), Adjoint: Number(math.NaN()), Numeric: Number(math.NaN())}
	if s.Batch.Steps == 0 {
		next, err := twin.Relax(ctx, x, z, 1)
		if err != nil {
			return t.stepError(err)
		}
		c.Forward = Number(change(z, next.Last(), twin.Units))
	}
	if s.adjoint != nil {
		if c.Adjoint, err = adjointResidual(twin, x, z, widen(s.Output.DZ), widen(s.adjoint)); err != nil {
			return t.stepError(err)
		}
	}
	direction := t.direction()
	squares, numbers := 0.0, 0
	for j, i := range t.trained {
		for k, d := range direction[j] {
			g := float64(t.grads[i].Data[k])
			c.Slope += Number(d * g)
			squares += g * g
		}
		numbers += len(direction[j])
	}
	var slope float64
	if temporal(t.rule) {
		slope, err = t.ownSlope(ctx, s, direction)
	} else {
		slope, err = t.exactSlope(ctx, s, direction, x, z)
	}
	switch {
	case err == nil:
		c.Numeric = Number(slope)
	case !errors.Is(err, errNoSlope):
		return t.stepError(err)
	}
	// A random direction is nearly across the gradient: a slope that is small by chance says nothing of an error.
	c.Error = Number(math.Abs(float64(c.Slope - c.Numeric)))
	if c.Error != 0 {
		c.Error /= Number(max(math.Abs(float64(c.Numeric)), math.Sqrt(squares/float64(numbers)), slopeResolution[T](temporal(t.rule))*math.Abs(s.Outputs.Loss())))
	}
	s.Record.Certificate = c
	return nil
}

// certified reports whether the step to come has a certificate.
func (t *Trainer[T]) certified() bool {
	every := t.settings.Certificate
	return every > 0 && t.Step%every == 0 && len(t.trained) > 0
}

// direction draws a unit vector over the parameters that learn.
func (t *Trainer[T]) direction() [][]float64 {
	draw := rng.Stream(t.settings.Seed, "certificate", uint64(t.Step))
	out, sum := make([][]float64, len(t.trained)), 0.0
	for j, i := range t.trained {
		out[j] = make([]float64, len(t.grads[i].Data))
		for k := range out[j] {
			out[j][k] = draw.NormFloat64()
			sum += out[j][k] * out[j][k]
		}
	}
	for j := range out {
		for k := range out[j] {
			out[j][k] /= math.Sqrt(sum)
		}
	}
	return out
}

func adjointResidual(l *deq.Layer[float64], x, z, dz, u []float64) (Number, error) {
	e, err := l.At(x, z)
	if err != nil {
		return 0, err
	}
	ju := make([]float64, len(u))
	if err := e.ApplyJT(u, ju); err != nil {
		return 0, err
	}
	worst := 0.0
	for b := 0; b < len(u); b += l.Units {
		var r, size float64
		for i := b; i < b+l.Units; i++ {
			d := dz[i] + ju[i] - u[i]
			r, size = r+d*d, size+dz[i]*dz[i]
		}
		if r != 0 {
			worst = max(worst, math.Sqrt(r/size))
		}
	}
	return Number(worst), nil
}

// exactSlope differentiates the loss at the equilibrium, in float64.
func (t *Trainer[T]) exactSlope(ctx context.Context, s *Step[T], direction [][]float64, x, z []float64) (float64, error) {
	tight := deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-11, MaxEvals: 1000}}
	loss := t.wideObjective(s.Batch)
	also := added[float64]{weight: s.added.weight, decay: s.added.decay}
	for _, v := range s.added.probes {
		also.probes = append(also.probes, widen(v))
	}
	for _, v := range s.added.iterates {
		also.iterates = append(also.iterates, widen(v))
	}
	return slope(t.twin, t.trained, direction, 1, func() (float64, error) {
		e, err := t.twin.Solve(ctx, x, z, tight)
		if err != nil {
			return 0, err
		}
		if e.Report.Failed() > 0 {
			return 0, errNoSlope
		}
		o, err := t.twin.Evaluate(e.Z, loss, nil)
		if err != nil {
			return 0, err
		}
		more, err := also.at(t.twin, x, e.Z, loss)
		return o.Mean() + more, err
	})
}

// ownSlope differentiates the loss of the rule's own trajectory, on the layer that is trained. In float32 the steps are longer.
func (t *Trainer[T]) ownSlope(ctx context.Context, s *Step[T], direction [][]float64) (float64, error) {
	stretch := 1.0
	if _, is32 := any(T(0)).(float32); is32 {
		stretch = 100
	}
	return slope(t.Layer, t.trained, direction, stretch, func() (float64, error) { return t.valueOf(ctx, s) })
}

// slope differentiates a value along a direction of some parameters, which it leaves as they were.
func slope[T deq.Float](l *deq.Layer[T], trained []int, direction [][]float64, stretch float64, value func() (float64, error)) (float64, error) {
	d, err := finite.Derivative(func(h float64) (v float64, err error) {
		err = l.Vary(func(params deq.Params[T]) error {
			for j, i := range trained {
				for k, d := range direction[j] {
					params[i].Data[k] = T(float64(params[i].Data[k]) + stretch*h*d)
				}
			}
			return nil
		}, func() error { v, err = value(); return err })
		return v, err
	})
	return d / stretch, err
}

// wideObjective is the objective of a batch in float64; a loss that is not one of ours is
// evaluated in the run's precision.
func (t *Trainer[T]) wideObjective(batch *tasks.Batch[T]) deq.Loss[float64] {
	own, err := losses.Catalog[float64]().Lookup(t.lossName)
	if err != nil {
		return wideLoss[T]{t.objective(batch)}
	}
	wide := &tasks.Batch[float64]{Rows: batch.Rows, Labels: batch.Labels}
	if batch.Y != nil {
		wide.Y = widen(batch.Y)
	}
	return objective[float64]{loss: own.Value, outputs: t.Layer.Outputs, batch: wide}
}

// wideLoss evaluates a loss for outputs in float64.
type wideLoss[T deq.Float] struct{ loss deq.Loss[T] }

// Eval implements deq.Loss.
func (w wideLoss[T]) Eval(rows []int, y, dy []float64, loss []float64) error {
	in, grad := make([]T, len(y)), make([]T, len(y))
	for i, v := range y {
		in[i] = T(v)
	}
	err := w.loss.Eval(rows, in, grad, loss)
	copy(dy, widen(grad))
	return err
}

func widen[T deq.Float](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
