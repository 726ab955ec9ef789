package rules

import (
	"fmt"

	"attractor/deq"
	"attractor/models"
	"attractor/train/kit"
)

// rate returns the model of a layer for the rules that compute with its W, U and b: the rate network
// φ(zWᵀ + xUᵀ + b), or a leak of it, whose W is a parameter as it is.
func rate[T deq.Float](rule string, l *deq.Layer[T]) (models.Rate, error) {
	m, ok := l.Model.(models.Rate)
	if !ok {
		return m, fmt.Errorf("rules: %s needs the model rate, found %T", rule, l.Model)
	}
	m = kit.WithDefaults(m)
	if m.Normalize != "none" || m.Dropout > 0 || m.Dale > 0 || m.Density < 1 {
		return m, fmt.Errorf("rules: %s needs the weights as they are: choose model.normalize none, and neither dropout nor dale nor density", rule)
	}
	if m.Form != "h" {
		return m, fmt.Errorf("rules: %s needs a state of activities: choose model.form h", rule)
	}
	return m, nil
}
