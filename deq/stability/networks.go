package stability

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/models"
)

// RandomNetworks measures the Lyapunov exponents of count networks of a model with random
// weights, the i-th drawn from the seed o.Seed + i. Their input is 0, or with sigma > 0 noise of
// every unit and step from N(0, sigma²). For h ← φ(Wh + noise) with W = g·randn/√n the largest
// tends to ½ ln(g²⟨φ′(√Δ ξ)²⟩) as n → ∞, where Δ = g²⟨φ(√Δ ξ)²⟩ + sigma² and ξ ~ N(0, 1).
//
// L. Molgedey, J. Schuchhardt and H. G. Schuster, Phys. Rev. Lett. 69 (1992) 3717–3719,
// doi:10.1103/PhysRevLett.69.3717.
func RandomNetworks(ctx context.Context, m models.Rate, sigma float64, count int, o Lyapunov) ([][]Exponent, error) {
	o = options.WithDefaults(o)
	out, errs := make([][]Exponent, count), make([]error, count)
	var wg sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range count {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			own := o
			own.Seed += uint64(i)
			out[i], errs[i] = random(ctx, m, sigma, own)
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// random measures the exponents of one network.
func random(ctx context.Context, m models.Rate, sigma float64, o Lyapunov) ([]Exponent, error) {
	inputs := 1
	if sigma > 0 {
		inputs = m.Units()
	}
	l, err := deq.New[float64](m, inputs, 1, o.Seed, deq.Config{Batch: o.K, Shard: o.K, Workers: 1})
	if err != nil {
		return nil, fmt.Errorf("stability: %w", err)
	}
	if err := l.Update(func(p deq.Params[float64]) error {
		u := p.Data("U")
		clear(u)
		if sigma > 0 {
			for i := range inputs {
				u[i*inputs+i] = sigma
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var drive Drive[float64]
	if sigma > 0 {
		r := rng.Stream(o.Seed, "stability/noise")
		drive = func(_ int, x []float64) {
			for i := range x {
				x[i] = r.NormFloat64()
			}
		}
	}
	return Exponents(ctx, l, drive, nil, o)
}
