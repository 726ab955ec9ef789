package stability

import (
	"fmt"
	"math"

	"attractor/deq"
	"attractor/internal/rng"
)

// Rate is the rate at which a random vector grows under J.
type Rate struct {
	Radius float64 // estimate of the spectral radius
	// Spread is the difference of the estimates from the third and from the last quarter of
	// the steps: it falls with the error.
	Spread float64
}

// Growth estimates the spectral radius of J = ∂f/∂z at z* for every sample, from the growth of
// a random vector: v ← Jv/‖Jv‖, ρ ≈ exp(mean log ‖Jv‖ over the last half of the steps), at
// least 4. For a complex leading pair the norms oscillate and their mean converges, like
// 1/steps, where a Rayleigh quotient would not; for a real leading eigenvalue the error falls
// like a power of its ratio to the next. A vector that J brings to 0 gives 0.
func Growth[T deq.Float](e *deq.Equilibrium[T], steps int, seed uint64) ([]Rate, error) {
	if steps < 4 {
		return nil, fmt.Errorf("stability: growth over %d steps: expected at least 4", steps)
	}
	units := e.Layer().Units
	v, jv := make([]T, e.Rows*units), make([]T, e.Rows*units)
	r := rng.Stream(seed, "stability/radius")
	for i := range v {
		v[i] = T(r.NormFloat64())
	}
	middle := steps - (steps-steps/2)/2 // between the third and the last quarter
	early, late := make([]float64, e.Rows), make([]float64, e.Rows)
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
			switch {
			case k >= middle:
				late[b] += math.Log(norm)
			case k >= steps/2:
				early[b] += math.Log(norm)
			}
			if norm == 0 {
				norm = 1
			}
			for i, x := range row {
				v[b*units+i] = T(float64(x) / norm)
			}
		}
	}
	rates := make([]Rate, e.Rows)
	for b := range rates {
		rates[b].Radius = math.Exp((early[b] + late[b]) / float64(steps-steps/2))
		rates[b].Spread = math.Abs(math.Exp(late[b]/float64(steps-middle)) - math.Exp(early[b]/float64(middle-steps/2)))
	}
	return rates, nil
}

// Radius is the estimate of Growth alone.
func Radius[T deq.Float](e *deq.Equilibrium[T], steps int, seed uint64) ([]float64, error) {
	rates, err := Growth(e, steps, seed)
	radius := make([]float64, len(rates))
	for b, r := range rates {
		radius[b] = r.Radius
	}
	return radius, err
}
