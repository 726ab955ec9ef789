package train

import (
	"context"
	"fmt"
	"math"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"
)

// growthSteps is the length of an estimate of the spectral radius, which it gives to about
// one per cent.
const growthSteps = 60

// measureStability puts the spectral radius of the cell's Jacobian into the record of a step,
// the largest of the batch, where the settings want it, and the eigenvalues of that sample. A state exactly on kinks,
// as a relu network without bias at rest, has no Jacobian: it counts by how directions grow there (stability.Growth), and has no
// eigenvalues. It depends on the step alone, so that a continued run does the same. Its products are not counted as evaluations.
func (t *Trainer[T]) measureStability(ctx context.Context, s *Step[T]) error {
	if t.settings.Stability == "off" || t.Step%t.settings.StabilityEvery != 0 {
		return nil
	}
	e := s.Equilibrium
	if e == nil {
		var err error
		if e, err = t.Layer.At(s.Batch.X, s.Z); err != nil {
			return t.stepError(err)
		}
	}
	rates, err := stability.Growth(e, growthSteps, t.settings.Seed)
	if err != nil {
		return t.stepError(err)
	}
	worst := 0
	for b, r := range rates {
		if r.Radius > rates[worst].Radius || math.IsNaN(r.Radius) {
			worst = b
		}
	}
	radius := Number(rates[worst].Radius)
	s.Record.Radius = &radius
	if t.eigenvalues > 0 && !math.IsNaN(float64(radius)) && rates[worst].Kinks == 0 {
		values, err := stability.Eigenvalues(ctx, e, worst, t.eigenvalues)
		if err != nil {
			return t.stepError(err)
		}
		for _, v := range values {
			s.Record.Spectrum = append(s.Record.Spectrum, Complex(v))
		}
	}
	if t.settings.Stability != "record" && !(float64(radius) <= t.settings.StabilityBound) {
		s.Record.Unstable = fmt.Sprintf("step %d: the spectral radius of the Jacobian is %.4g, above stability_bound %g",
			t.Step+1, float64(radius), t.settings.StabilityBound)
		if t.settings.Stability == "shrink" {
			s.Record.Unstable += ": the recurrent weights are shrunk"
		}
	}
	return nil
}

// shrink scales the recurrent parameters that learn by bound/radius, where the radius of the
// step passes the bound.
func (t *Trainer[T]) shrink(r StepRecord) error {
	if t.settings.Stability != "shrink" || r.Unstable == "" {
		return nil
	}
	factor := t.settings.StabilityBound / float64(*r.Radius)
	if math.IsNaN(factor) || factor == 0 {
		return nil
	}
	return t.Layer.Update(func(params deq.Params[T]) error {
		for _, i := range t.trained {
			if p := params[i]; p.Role == models.Recurrent {
				for k, w := range p.Data {
					p.Data[k] = T(factor * float64(w))
				}
			}
		}
		return nil
	})
}
