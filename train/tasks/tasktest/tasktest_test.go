package tasktest

import (
	"slices"
	"testing"

	"attractor/internal/rng"
	"attractor/train/tasks"
)

// The contract can fail: targets that have nothing to do with the inputs are not
// learned, and samples in both parts are seen.
func TestNegativeControls(t *testing.T) {
	for _, task := range []tasks.Task{tasks.Digits{}, tasks.Linear{}, tasks.Blobs{}} {
		d, err := task.Load(1)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []tasks.Split{d.Train, d.Test} {
			rng.Stream(0, "test").Shuffle(s.N, func(i, j int) {
				if s.Labels != nil {
					s.Labels[i], s.Labels[j] = s.Labels[j], s.Labels[i]
				}
				for k := range len(s.Y) / s.N {
					w := len(s.Y) / s.N
					s.Y[i*w+k], s.Y[j*w+k] = s.Y[j*w+k], s.Y[i*w+k]
				}
			})
		}
		if learned, constant := Learn(d); !(learned > 0.8*constant) {
			t.Errorf("%T: error %.3f on shuffled targets, %.3f by the constant predictor", task, learned, constant)
		}
		w := d.Inputs
		copy(d.Test.X[3*w:4*w], d.Train.X[5*w:6*w])
		if n := Shared(d.Train, d.Test); n != 1 {
			t.Errorf("%T: %d shared samples seen, want 1", task, n)
		}
	}
}

// A task that no linear predictor learns (the label is the sign of a product) passes by
// the random features.
func TestLearnNonlinear(t *testing.T) {
	draw := func(n int, part uint64) tasks.Split {
		r, s := rng.Stream(0, "test", part), tasks.Split{N: n}
		for range n {
			a, b := r.NormFloat64(), r.NormFloat64()
			s.X = append(s.X, a, b)
			s.Labels = append(s.Labels, map[bool]int32{false: 0, true: 1}[a*b > 0])
		}
		return s
	}
	d := &tasks.Dataset{Name: "product", Inputs: 2, Outputs: 2, Train: draw(400, 0), Test: draw(400, 1)}
	if learned, constant := Learn(d); !(Linear(d) >= 0.8*constant) || !(learned <= 0.3*constant) {
		t.Errorf("error %.3f, linear %.3f, constant %.3f", learned, Linear(d), constant)
	}
}

func TestPartitionCounts(t *testing.T) {
	s := tasks.Split{N: 4, X: []float64{1, 2, 2, 3}, Labels: []int32{0, 1, 1, 0}}
	Partition(t, s, s.Select([]int{3, 1}), s.Select([]int{2, 0}))
	if got := s.Select([]int{3, 1}); !slices.Equal(got.X, []float64{3, 2}) || !slices.Equal(got.Labels, []int32{0, 1}) {
		t.Errorf("selected %+v", got)
	}
}
