package train_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"attractor/internal/options"
	"attractor/train"
	"attractor/train/optim"
	"attractor/train/tasks"
)

// Every count has an upper bound with a reason; beyond it the option is refused by name, in a
// configuration and in code.
func TestCountsAreBounded(t *testing.T) {
	parts := train.Ours[float64]()
	check := func(section, part string, v any) {
		for _, f := range options.Fields(v) {
			if !strings.Contains(f.Type, "integer") || f.Key == "seed" {
				continue
			}
			path := section + "." + f.Key
			if f.Bound.Max == 0 {
				t.Errorf("%s of %s has no bound", path, part)
				continue
			}
			for _, n := range []int64{f.Bound.Max + 1, math.MaxInt64} {
				sets := []string{fmt.Sprintf("%s=%d", path, n)}
				if part != "" {
					sets = append(sets, section+"="+part)
				}
				_, err := train.Read(parts, "test", nil, sets)
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), f.Bound.Reason) {
					t.Errorf("%v: error %v", sets, err)
				}
			}
		}
	}
	for _, e := range parts.Rules.Entries() {
		check("rule", e.Name, e.Value)
	}
	for _, e := range parts.Tasks.Entries() {
		check("task", e.Name, e.Value)
	}
	check("regularizer", "", train.Regularizer{})
	check("flossing", "", train.Flossing{})
}

func TestOptionsInCodeAreChecked(t *testing.T) {
	parts := train.Ours[float64]()
	tests := map[string]func(*train.Config[float64]){
		"task.steps: expected an integer of at most": func(c *train.Config[float64]) { c.Task.Value = tasks.Copy{Steps: math.MaxInt} },
		"optimizer.lr: expected a finite number":     func(c *train.Config[float64]) { c.Optimizer.Value = optim.SGD[float64]{LR: math.NaN()} },
		"solver.rtol: expected a finite number":      func(c *train.Config[float64]) { c.Forward.RTol = math.NaN() },
		"regularizer.probes: expected an integer":    func(c *train.Config[float64]) { c.Regularizer.Probes = math.MaxInt },
		"train.clip: expected a finite number":       func(c *train.Config[float64]) { c.Train.Clip = math.Inf(1) },
	}
	for want, spoil := range tests {
		c := train.Default(parts)
		spoil(&c)
		if _, err := train.New(c, parts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
