package compare

import (
	"fmt"
	"math"
	"slices"
)

// Check reports a value that no trial can have, as that of a file that was damaged or changed.
// NaN, which stands for what was not measured, is right everywhere but in the learning rate.
func (t *Trial) Check() error {
	if !slices.Contains(SettingNames(), t.Setting) {
		return fmt.Errorf("setting: expected one of %v, found %q", SettingNames(), t.Setting)
	}
	if t.Rule == "" {
		return fmt.Errorf("rule: expected a name, found none")
	}
	if !(t.LearningRate >= 0) || math.IsInf(t.LearningRate, 1) {
		return fmt.Errorf("learning_rate: expected a finite number from 0, found %g", t.LearningRate)
	}
	if !slices.Contains([]string{"", RateTuned, RateDefault, RateGiven}, t.RateSource) {
		return fmt.Errorf("learning_rate_source: expected %s, %s or %s, found %q", RateTuned, RateDefault, RateGiven, t.RateSource)
	}
	inf := math.Inf(1)
	const rounding = 1e-6 // of a cosine
	var err error
	within := func(value, lo, hi float64, name string, at ...any) {
		if err == nil && (value < lo || value > hi) {
			err = fmt.Errorf("%s: expected a number from %g to %g, found %g", fmt.Sprintf(name, at...), lo, hi, value)
		}
	}
	within(t.TestAccuracy, 0, 1, "test_accuracy")
	within(t.WallS, 0, inf, "wall_s")
	within(t.Evals, 0, inf, "evals")
	within(float64(t.PeakBytes), 0, inf, "peak_bytes")
	within(t.MaxRadius, 0, inf, "max_radius")
	within(float64(t.Unconverged), 0, float64(t.Samples), "unconverged")
	if err == nil && t.FixedPoints != nil {
		err = t.FixedPoints.Check()
	}
	for i, p := range t.Curve {
		within(float64(p.Step), 0, inf, "curve[%d].step", i)
		within(p.Epoch, 0, inf, "curve[%d].epoch", i)
		within(p.TestAccuracy, 0, 1, "curve[%d].test_accuracy", i)
		within(p.SpectralRadius, 0, inf, "curve[%d].spectral_radius", i)
	}
	for i, c := range t.Cosine {
		within(float64(c.Step), 0, inf, "cosine[%d].step", i)
		within(c.Cosine, -1-rounding, 1+rounding, "cosine[%d].cosine", i)
		within(c.NormRatio, 0, inf, "cosine[%d].norm_ratio", i)
		for name, v := range c.PerParam {
			within(v, -1-rounding, 1+rounding, "cosine[%d].per_param.%s", i, name)
		}
	}
	for i, l := range t.Looks {
		for name, n := range map[string]int{"moment": l.Moment, "step": l.Step, "batches": l.Batches, "samples": l.Samples, "dropped": l.Dropped, "unstable": l.Unstable} {
			within(float64(n), 0, inf, "looks[%d].%s", i, name)
		}
		within(float64(l.Epoch), 0, inf, "looks[%d].epoch", i)
		if n := len(l.Gradients); err == nil && len(l.Cosines) != n {
			err = fmt.Errorf("looks[%d].cosines: expected %d rows, one for each of its gradients, found %d", i, n, len(l.Cosines))
		}
		for j, row := range l.Cosines {
			if n := len(l.Gradients); err == nil && len(row) != n {
				err = fmt.Errorf("looks[%d].cosines[%d]: expected %d numbers, one for each of its gradients, found %d", i, j, n, len(row))
			}
			for k, v := range row {
				within(float64(v), -1-rounding, 1+rounding, "looks[%d].cosines[%d][%d]", i, j, k)
			}
		}
		for j, v := range l.Views {
			within(float64(v.Cosine), -1-rounding, 1+rounding, "looks[%d].views[%d].cosine", i, j)
		}
	}
	return err
}

// Check reports a value in a trial of the comparison that no trial can have.
func (r *Result) Check() error {
	for _, s := range r.Settings {
		for _, row := range s.Rules {
			for i := range row.Trials {
				t := &row.Trials[i]
				if err := t.Check(); err != nil {
					return fmt.Errorf("%s, %s, seed %d: %w", t.Setting, t.Rule, t.Seed, err)
				}
			}
		}
	}
	return nil
}
