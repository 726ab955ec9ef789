package stability_test

import (
	"context"
	"fmt"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"
)

// A slow rotation: the eigenvalues are a pair, 0.9·e^±0.3i.
func ExampleLeading() {
	l, err := deq.New[float64](models.Rate{N: 2, Activation: "linear"}, 1, 1, 1, deq.Config{Batch: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	update(l, func() { copy(l.Params.Data("W"), rotations([2]float64{0.9, 0.3})) })
	e, err := l.At([]float64{0}, []float64{0, 0})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := stability.Leading(context.Background(), e, stability.Arnoldi{K: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range found[0].Values {
		fmt.Printf("%.4f\n", v)
	}
	// Output:
	// (0.8598+0.2660i)
	// (0.8598-0.2660i)
}

// The largest Lyapunov exponents of a chaotic network without input.
func ExampleExponents() {
	l, err := deq.New[float64](models.Rate{N: 100, Gain: 3}, 1, 1, 1, deq.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := stability.Exponents(context.Background(), l, nil, nil, stability.Lyapunov{K: 2, Steps: 5000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range found {
		fmt.Printf("%.1f ± %.2f\n", e.Value, e.StdErr) // a second digit depends on rounding: it is chaos
	}
	// Output:
	// 0.3 ± 0.00
	// 0.3 ± 0.00
}
