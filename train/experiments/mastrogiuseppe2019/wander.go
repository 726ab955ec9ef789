package mastrogiuseppe2019

import (
	"context"

	"attractor/internal/kernels"
)

// wanderer is a network that runs on: with its readout held at a value, or with a readout and the loop closed.
type wanderer[T kernels.Float] struct {
	input   float64
	z       float64
	readout []T // nil: the readout is held
}

// course is what a network does over time.
type course struct {
	delta    float64   // Δ₀, the variance of x over units and times
	deltaInf float64   // Δ_∞, the covariance of x with itself in another half of the time
	z        []float64 // every unit of time
}

// wander runs networks from states of N(0, 1), by Euler's method with dt = 0.1, for a time to forget these and
// for a time in which they are observed, every unit of time.
func (n *network[T]) wander(ctx context.Context, seed uint64, all []wanderer[T], forget, observe int) ([]course, error) {
	const perUnit = 10
	x, input := make([]T, 0, len(all)*n.Units), make([]T, len(all))
	for i, w := range all {
		x, input[i] = append(x, n.normal("wander", seed)...), T(w.input)
	}
	run := n.Start(x, input, func(row int, rates, z []T) {
		if w := all[row]; w.readout == nil {
			z[0] = T(w.z)
		} else {
			z[0] = T(kernels.Dot(w.readout, rates))
		}
	})
	out, halves := make([]course, len(all)), [2][]float64{make([]float64, len(x)), make([]float64, len(x))}
	for t := range forget + observe {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		run.Euler(1./perUnit, perUnit)
		if t < forget {
			continue
		}
		half := halves[2*(t-forget)/observe]
		for i, v := range run.X {
			half[i] += float64(v)
			out[i/n.Units].delta += float64(v) * float64(v)
		}
		for i := range out {
			out[i].z = append(out[i].z, float64(run.Z[i]))
		}
	}
	first, second := float64((observe+1)/2), float64(observe/2)
	for i := range out {
		c := &out[i]
		c.delta /= float64(observe * n.Units)
		row := func(h []float64) []float64 { return h[i*n.Units : (i+1)*n.Units] }
		c.deltaInf = kernels.Dot(row(halves[0]), row(halves[1])) / (first * second * float64(n.Units))
	}
	return out, nil
}
