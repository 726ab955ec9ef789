package train

import (
	"context"
	"fmt"
	"unsafe"

	"attractor/deq"
	"attractor/internal/budget"
	"attractor/internal/options"
	"attractor/models"
	"attractor/train/tasks"
)

// checkMemory refuses a run that will not fit in memory, before anything large is taken.
func checkMemory[T deq.Float](c Config[T], p Parts[T], data *tasks.Dataset) error {
	need := estimate(c, p, data)
	units := c.Model.Value.Units()
	budget.Collect(need)
	return budget.Fit((1+budget.Garbage)*need, fmt.Sprintf("a run with %d units, a batch of %d and rule %q", units, batchOf(c, data), c.Rule.Name),
		"use fewer units, a smaller batch, or a larger train.shard, of which each holds gradients of its own")
}

func batchOf[T deq.Float](c Config[T], data *tasks.Dataset) int {
	return min(options.WithDefaults(c.Train).Batch, data.Train.N)
}

// estimate is the memory in bytes that a run takes besides its data: what layer, rule, solvers and
// optimiser hold after a step. Where that may be much, a run with a few units tells it: memory is a
// polynomial of the third degree at most in their number, and four sizes give that exactly.
func estimate[T deq.Float](c Config[T], p Parts[T], data *tasks.Dataset) float64 {
	units := c.Model.Value.Units()
	numbers := 0.0
	for _, q := range c.Model.Value.Params(data.Inputs, data.Outputs) {
		n := 1.0
		for _, d := range q.Shape {
			n *= float64(d)
		}
		numbers += n
	}
	steps := 1.0
	if r, ok := c.Rule.Value.(interface{ Horizon() int }); ok {
		steps = float64(max(r.Horizon(), data.Steps))
	}
	size := float64(unsafe.Sizeof(T(0)))
	states := float64(batchOf(c, data)) * steps * size
	// At least parameters, their gradients, those of a shard and two moments, and the states.
	least := 5*numbers*size + states*float64(units)
	free, _ := budget.Free()
	sizes := []int{96, 192, 288, 384} // of which the panels of packed weights have no remainder
	const few = 64                    // times as much in the worst case, such as a Jacobian of every sample
	last := sizes[len(sizes)-1]
	if few*least < float64(free) || least > few*float64(free) || units <= last || states*float64(last) > 1<<28 {
		return least
	}
	var bytes [4]float64
	for i, n := range sizes {
		var err error
		if bytes[i], err = miniature(c, p, data, n); err != nil {
			return least // another way to choose sizes, or a rule of which some are too large
		}
	}
	return max(least, extrapolate(sizes, bytes[:], float64(units)))
}

// miniature is what a run with so many units holds after a step.
func miniature[T deq.Float](c Config[T], p Parts[T], data *tasks.Dataset, units int) (float64, error) {
	m, ok := models.WithUnits(c.Model.Value, units)
	if !ok || m.Units()*c.Model.Value.Units() == 0 {
		return 0, fmt.Errorf("train: %T has no option units", c.Model.Value)
	}
	c.Model.Value = m
	t, err := NewOn(c, p, data)
	if err != nil {
		return 0, err
	}
	if _, err := t.step(context.Background()); err != nil {
		return 0, err
	}
	return float64(t.Bytes()), nil
}

// extrapolate is the polynomial through (x[i], y[i]) at a point, by Lagrange's formula.
func extrapolate(x []int, y []float64, at float64) float64 {
	sum := 0.0
	for i := range x {
		term := y[i]
		for j := range x {
			if j != i {
				term *= (at - float64(x[j])) / float64(x[i]-x[j])
			}
		}
		sum += term
	}
	return sum
}
