package tasktest

import (
	"testing"

	"attractor/internal/rng"
	"attractor/train/tasks"
)

// The contract can fail for trials: targets of other trials are not learned, nor labels that
// only later inputs tell.
func TestTrialsNegativeControls(t *testing.T) {
	future := func(s tasks.Split) { // the label is the input of the next step
		for i := range s.N {
			for k := range s.Steps - 1 {
				s.Labels[i*s.Steps+k] = int32(s.X[i*s.Steps+k+1])
			}
		}
	}
	others := func(s tasks.Split) {
		rng.Stream(0, "test").Shuffle(s.N, func(i, j int) {
			for k := range s.Steps {
				if s.Labels != nil {
					s.Labels[i*s.Steps+k], s.Labels[j*s.Steps+k] = s.Labels[j*s.Steps+k], s.Labels[i*s.Steps+k]
				} else {
					s.Y[i*s.Steps+k], s.Y[j*s.Steps+k] = s.Y[j*s.Steps+k], s.Y[i*s.Steps+k]
				}
			}
		})
	}
	for _, c := range []struct {
		task   tasks.Task
		damage func(tasks.Split)
	}{
		{tasks.PerceptualDecision{Timing: "lab", Trials: 400, TestTrials: 200}, others},
		{tasks.DelayMatchSample{Timing: "lab", Trials: 400, TestTrials: 200}, others},
		{tasks.Adding{Steps: 10, Trials: 400, TestTrials: 200}, others},
		{tasks.Copy{Delay: 1, Steps: 12, Trials: 400, TestTrials: 200}, future},
	} {
		d, err := c.task.Load(1)
		if err != nil {
			t.Fatal(err)
		}
		if learned, constant := Learn(d); learned > learnable*constant {
			t.Errorf("%T: error %.3f, %.3f by the constant predictor", c.task, learned, constant)
		}
		c.damage(d.Train)
		c.damage(d.Test)
		if learned, constant := Learn(d); learned <= learnable*constant {
			t.Errorf("%T: error %.3f on wrong targets, %.3f by the constant predictor", c.task, learned, constant)
		}
	}
}

func TestPadding(t *testing.T) {
	load := func() tasks.Split {
		d, err := tasks.ContextDecision{Trials: 20, TestTrials: 1}.Load(1)
		if err != nil {
			t.Fatal(err)
		}
		return d.Train
	}
	s := load()
	last := s.Steps - 1
	for _, c := range []struct {
		name   string
		damage func(s tasks.Split)
	}{
		{"input", func(s tasks.Split) { s.X[(4*s.Steps+last)*7+2] = 1 }},
		{"label", func(s tasks.Split) { s.Labels[4*s.Steps+last] = 2 }},
		{"mark", func(s tasks.Split) { s.Scored[4*s.Steps+last] = true }},
	} {
		if i, step := Padding(s); i != -1 || step != -1 {
			t.Fatalf("trial %d, step %d is padded and not empty", i, step)
		}
		s = load()
		if c.damage(s); s.Weight(4, last) != 0 {
			t.Fatal("trial 4 is as long as the longest")
		}
		if i, step := Padding(s); i != 4 || step != last {
			t.Errorf("%s: seen at trial %d, step %d", c.name, i, step)
		}
		s = load()
	}
}
