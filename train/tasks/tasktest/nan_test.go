package tasktest_test

import (
	"math"
	"testing"

	"attractor/internal/catalog"
	"attractor/internal/mustfail"
	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

// broken is a regression with a target that is not a number.
type broken struct{ tasks.Linear }

func (b broken) Load(seed uint64) (*tasks.Dataset, error) {
	d, err := b.Linear.Load(seed)
	if err == nil {
		d.Name = "broken"
		d.Test.Y[5] = math.NaN()
	}
	return d, err
}

func TestRefusesNaN(t *testing.T) {
	mustfail.With(t, "test error NaN", func(t *testing.T) {
		tasktest.Run(t, catalog.Entry[tasks.Task]{Name: "broken", Doc: "a line\nand more", Value: broken{}})
	})
}
