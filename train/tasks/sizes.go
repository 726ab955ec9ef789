package tasks

import (
	"fmt"
	"math"

	"attractor/internal/budget"
)

// AtLeast is a size of a task that is drawn, by the key of its option, and the least that it may be.
type AtLeast struct {
	Key        string
	Value, Min int
}

// syntheticLimit bounds each size of a drawn task, so that products of two do not
// overflow, and syntheticMemory the numbers of a split (1 GiB).
const (
	syntheticLimit  = 1 << 28
	syntheticMemory = 1 << 27
)

// CheckDrawn reports sizes and the standard deviation of a noise that a task which is drawn cannot have, and more
// samples (of the sizes train and test, as wide as the other sizes together) than fit in memory.
func CheckDrawn(task string, noise float64, sizes ...AtLeast) error {
	width := 0
	for _, s := range sizes {
		if s.Key != "train" && s.Key != "test" {
			width += min(max(s.Value, 0), syntheticLimit)
		}
	}
	if err := checkSizes(task, width, sizes...); err != nil {
		return err
	}
	if !(noise >= 0) || math.IsInf(noise, 1) {
		return fmt.Errorf("tasks: %s: expected a finite noise of at least 0, found %v", task, noise)
	}
	return nil
}

// checkSizes verifies the sizes of a task that is drawn, of so many numbers a sample or, where
// it has steps, a step.
func checkSizes(task string, width int, sizes ...AtLeast) error {
	samples := 0
	for _, s := range sizes {
		if s.Value < s.Min || s.Value > syntheticLimit {
			return fmt.Errorf("tasks: %s: expected %s from %d to %d, found %d", task, s.Key, s.Min, syntheticLimit, s.Value)
		}
		switch s.Key {
		case "train", "test", "trials", "test_trials":
			samples += s.Value
		case "steps":
			width *= s.Value
		}
	}
	if samples > 0 && width > syntheticMemory/samples {
		gib := float64(samples) * float64(width) / (1 << 27)
		return fmt.Errorf("tasks: %s: %d samples of %d numbers need %.1f GiB, expected at most %.1f", task, samples, width, gib, float64(syntheticMemory)/(1<<27))
	}
	return budget.Fit(8*float64(samples)*float64(width), fmt.Sprintf("tasks: %s: %d samples of %d numbers", task, samples, width), "take fewer samples or shorter trials")
}
