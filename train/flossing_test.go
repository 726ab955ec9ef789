package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/tasks"
)

// flossed makes the steps of a run and returns the records of its flossings by step.
func flossed(t *testing.T, tr *Trainer[float64]) map[int]*FlossingRecord {
	t.Helper()
	found := map[int]*FlossingRecord{}
	for !tr.Done() {
		r, _, err := tr.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Flossing != nil {
			found[r.Step] = r.Flossing
		}
	}
	return found
}

// Flossings are when they are asked for: in two epochs of three steps.
func TestFlossingSchedule(t *testing.T) {
	for set, want := range map[string][]int{
		"flossing={times: 0}":                                   nil,
		"flossing={times: 1}":                                   {1},
		"flossing={times: 3, every: 2}":                         {1, 3, 5},
		"flossing={times: 9, start: 3, every: 2}":               {4, 6},
		"flossing={times: 9, every: 1, unit: epochs}":           {1, 4},
		"flossing={times: 1, start: 1, every: 1, unit: epochs}": {4},
	} {
		var got []int
		for step, r := range flossed(t, timed(t, set, "flossing.steps=2", "flossing.horizon=20")) {
			if got = append(got, step); r.Status != stability.Spent || r.Updates != 2 || len(r.Losses) != 3 || len(r.After.Exponents) != 1 {
				t.Errorf("%s: %+v", set, r)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: before the steps %v, want %v", set, got, want)
		}
	}
}

// A flossing brings the exponents to the target, and every later one draws trajectories of its own; it moves what of the
// cell learns, or all of it beside a readout that learns alone.
func TestFlossing(t *testing.T) {
	const floss = "flossing={times: 2, every: 1, exponents: 2, horizon: 30, steps: 300, target: -0.1, lr: 0.003}"
	for trained, moves := range map[string]func(r models.Role) bool{
		"all":       models.Role.OfCell,
		"recurrent": func(r models.Role) bool { return r == models.Recurrent || r == models.Bias },
		"readout":   models.Role.OfCell,
	} {
		tr := timed(t, floss, "train.trained="+trained, "optimizer={name: sgd, lr: 1e-30}", "model={name: rate, units: 24, gain: 0.4}")
		before := tr.Layer.Params.ZerosLike()
		before.CopyFrom(tr.Layer.Params)
		found := flossed(t, tr)
		if first, second := found[1], found[2]; first.Status != stability.Reached || second.Status != stability.Reached || len(found) != 2 ||
			!(first.Before.Exponents[0] < -0.5) || !(math.Abs(float64(first.After.Exponents[0]+0.1)) <= 0.04) || second.Losses[0] == first.After.Loss {
			t.Errorf("%s: %+v, %+v", trained, first, second)
		}
		for i, p := range tr.Layer.Params {
			if moved := kernels.SquaredDistance(p.Data, before[i].Data) > 1e-12; moved != moves(p.Role) {
				t.Errorf("%s: %s moved: %v", trained, p.Name, moved)
			}
		}
	}
}

// Once the run is under way a flossing that fails is recorded and stops nothing.
func TestFlossingFails(t *testing.T) {
	const floss = "flossing={times: 1, start: 1, steps: 2, horizon: 20}"
	tr := timed(t, floss, "model.leak=1")
	next(t, tr)
	update(tr.Layer, func() { clear(tr.Layer.Params.Data("W")) })
	r := next(t, tr)
	if f := r.Flossing; f == nil || f.Status != FlossingFailed || !strings.Contains(f.Reason, "singular") || !math.IsNaN(float64(f.After.Loss)) {
		t.Errorf("%+v", r.Flossing)
	}
	if next(t, tr).Flossing != nil {
		t.Error("it is recorded twice")
	}
	tr = timed(t, "model.leak=1", "flossing={times: 1, horizon: 20}")
	update(tr.Layer, func() { clear(tr.Layer.Params.Data("W")) })
	if _, _, err := tr.Next(t.Context()); err == nil || tr.Step != 0 {
		t.Errorf("before training: %v", err)
	}
}

func TestFlossingRefuses(t *testing.T) {
	for set, want := range map[string]string{
		"task={name: blobs}":                         `task "blobs" have no steps`,
		"flossing.exponents=13":                      "expected at most the 12 units, found 13",
		"flossing={times: 1, start: 6}":              "within the 6 updates of the run, found it after 6",
		"flossing={times: 1, horizon: 100000000000}": "every state of the trajectory is kept",
		"flossing.times=-1":                          "found -1, 0 and 100",
		"flossing.variant=d":                         "expected one of exact, a, b, c",
		"flossing.warmup=99":                         "more than the 99 steps of warm-up",
		"flossing.seed=4":                            `seed`,
	} {
		c, err := Read(Ours[float64](), "test", nil, append(slices.Clone(match), "flossing.times=1", set))
		if err == nil {
			_, err = New(c, Ours[float64]())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", set, err, want)
		}
	}
	c, err := Read(Ours[float64](), "test", nil, append(slices.Clone(match), "model.units=1000", "flossing={times: 1, exponents: 1000, horizon: 1000000}"))
	if err == nil {
		_, err = New(c, Ours[float64]())
	}
	if err == nil || !strings.Contains(err.Error(), "a flossing of 1000 exponents over 1000000 steps needs") {
		t.Errorf("16 TB: error %v", err)
	}
}

// The trials follow one another without what pads them, over and over again.
func TestDrive(t *testing.T) {
	s := tasks.Split{N: 3, Steps: 3, X: []float64{1, 10, 2, 20, 0, 0, 3, 30, 4, 40, 5, 50, 6, 60, 0, 0, 0, 0}, Weights: []float64{0, 1, 0, 1, 0, 1, 1, 0, 0}}
	for from := range 13 {
		drive, x := Drive[float32](s, from), make([]float32, 2)
		for _, step := range []int{0, 1, 2, 3, 4, 5, 6, 7, 11, 3, 0} {
			drive(step, x)
			if want := float32((step+from)%6 + 1); x[0] != want || x[1] != 10*want {
				t.Errorf("from %d: step %d is %v, want %g", from, step, x, want)
			}
		}
	}
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}
