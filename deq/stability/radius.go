// Package stability measures how an equilibrium reacts to perturbations.
package stability

import (
	"math"

	"attractor/deq"
	"attractor/internal/rng"
)

// Radius estimates the spectral radius of J = ∂f/∂z at z* for every sample, from the growth of
// a random vector: v ← Jv/‖Jv‖, ρ ≈ exp(mean log ‖Jv‖) over the last half of the steps. For
// a complex leading pair the norms oscillate and their mean converges, where a
// Rayleigh quotient would not. A nilpotent direction gives 0.
func Radius[T deq.Float](e *deq.Equilibrium[T], steps int, seed uint64) ([]float64, error) {
	units := e.Layer().Units
	v, jv := make([]T, e.Rows*units), make([]T, e.Rows*units)
	r := rng.Stream(seed, "stability/radius")
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	logs := make([]float64, e.Rows)
	for k := range steps {
		if err := e.JVP(v, jv); err != nil {
			return nil, err
		}
		for b := range e.Rows {
			row := jv[b*units : (b+1)*units]
			norm := 0.0
			for _, x := range row {
				norm += float64(x) * float64(x)
			}
			norm = math.Sqrt(norm)
			if k >= steps/2 {
				logs[b] += math.Log(norm)
			}
			if norm == 0 {
				norm = 1
			}
			for i, x := range row {
				v[b*units+i] = T(float64(x) / norm)
			}
		}
	}
	radius := logs
	for b, l := range logs {
		radius[b] = math.Exp(l / float64(steps-steps/2))
	}
	return radius, nil
}
