package stability

import (
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/rng"
)

// Rate is the rate at which a random vector grows under J.
type Rate struct {
	Radius float64 // estimate of the spectral radius
	// Spread is the difference of the estimates from the third and from the last quarter of
	// the steps: it falls with the error.
	Spread float64
	Kinks  int // of the cell that the state is on
}

// kinkDirections is how many vectors, and as many opposite ones, Growth follows at a kink.
const kinkDirections = 8

// Growth estimates the spectral radius of J = ∂f/∂z at z* for every sample, from the growth of
// a random vector: v ← Jv/‖Jv‖, ρ ≈ exp(mean log ‖Jv‖ over the last half of the steps), at
// least 4. For a complex leading pair the norms oscillate and their mean converges, like
// 1/steps, where a Rayleigh quotient would not; for a real leading eigenvalue the error falls
// like a power of its ratio to the next. A vector that J brings to 0 gives 0.
//
// A state exactly on kinks, as a relu network without bias at rest, has no J: vectors then follow the one-sided derivative,
// v ← lim (f(z* + hv) − f(z*))/h, h > 0 (deq.Sides), and the estimate is the largest growth of 8 random ones and
// their opposites: what grows more, but in directions that none of them comes to, is not seen (see OnKinks).
func Growth[T deq.Float](e *deq.Equilibrium[T], steps int, seed uint64) ([]Rate, error) {
	if steps < 4 {
		return nil, fmt.Errorf("stability: growth over %d steps: expected at least 4", steps)
	}
	r := rng.Stream(seed, "stability/radius")
	first := make([]T, e.Rows*e.Layer().Units)
	draw := func() {
		for i := range first {
			first[i] = T(r.NormFloat64())
		}
	}
	draw()
	rates, err := grow(first, e.Rows, steps, e.JVP)
	if err != nil || !e.Layer().Kinked() {
		return rates, err
	}
	here, err := e.Sides(0)
	if err != nil {
		return nil, err
	}
	if slices.Max(here.On) == 0 {
		return rates, nil
	}
	for b, on := range here.On {
		if on > 0 {
			rates[b] = Rate{Kinks: on}
		}
	}
	oneSided := func(v, jv []T) error {
		sides, err := here.Towards(v)
		if err != nil {
			return err
		}
		return sides.JVP(v, jv)
	}
	for range kinkDirections {
		for range 2 {
			found, err := grow(first, e.Rows, steps, oneSided)
			if err != nil {
				return nil, err
			}
			for b, on := range here.On {
				if on > 0 && !(found[b].Radius <= rates[b].Radius) { // also NaN
					rates[b].Radius, rates[b].Spread = found[b].Radius, found[b].Spread
				}
			}
			kernels.Scale(first, -1, first)
		}
		draw()
	}
	return rates, nil
}

// grow follows the vectors v [rows, units] under a product.
func grow[T deq.Float](v []T, rows, steps int, product func(v, jv []T) error) ([]Rate, error) {
	units := len(v) / rows
	v, jv := slices.Clone(v), make([]T, len(v))
	middle := steps - (steps-steps/2)/2 // between the third and the last quarter
	early, late := make([]float64, rows), make([]float64, rows)
	for k := range steps {
		if err := product(v, jv); err != nil {
			return nil, err
		}
		for b := range rows {
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
	rates := make([]Rate, rows)
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
