package deq_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
)

// The cell at a step of a trajectory has the noise of that step, which the cell by itself has not, and so
// has it for a sample that is repeated.
func TestAtHasNoise(t *testing.T) {
	for _, activation := range []string{"tanh", "softplus"} {
		tr := newTrial(t, models.Rate{N: units, Leak: 0.4, Noise: 0.3, Activation: activation}, deq.Config{Shard: 2})
		tr.Noise = func(name string, t, sample int) *rand.Rand { return rng.Stream(1, name, uint64(t), uint64(sample)) }
		r, err := tr.Run(ctx, tr.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		next := make([]float64, rows*units)
		for step := range span {
			e, err := r.At(step, r.Z[step])
			if err != nil {
				t.Fatal(err)
			}
			quiet, err := tr.At(r.Input(step), r.Z[step])
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // one after the other, in turns
				if err := e.Next(next); err != nil || !slices.Equal(next, r.Z[step+1]) {
					t.Fatalf("%s: step %d is not that of the trajectory, or %v", activation, step, err)
				}
				if err := quiet.Next(next); err != nil || slices.Equal(next, r.Z[step+1]) {
					t.Fatalf("%s: step %d has noise without being told, or %v", activation, step, err)
				}
			}
			const last = rows - 1
			repeated, err := e.Repeat(last, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := repeated.Next(next[:2*units]); err != nil || !slices.Equal(next[units:2*units], r.Z[step+1][last*units:]) {
				t.Fatalf("%s: step %d of a repeated sample is not its own, or %v", activation, step, err)
			}
		}
		for _, step := range []int{-1, span} {
			if _, err := r.At(step, r.Z[0]); err == nil {
				t.Errorf("step %d of %d is accepted", step, span)
			}
		}
	}
}
