package tasks_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/internal/options"
	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

func TestCatalog(t *testing.T) {
	for _, e := range tasks.Catalog.Entries() {
		t.Run(e.Name, func(t *testing.T) {
			e.Value = onTestData(t, e.Value)
			tasktest.Run(t, e)
			for _, f := range options.Fields(e.Value) {
				if f.Doc == "" || f.Default == "" && f.Type != "text" {
					t.Errorf("option %s needs a default and a doc", f.Key)
				}
			}
		})
	}
}

func load(t testing.TB, task tasks.Task, seed uint64) *tasks.Dataset {
	t.Helper()
	d, err := task.Load(seed)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigits(t *testing.T) {
	d := load(t, tasks.Digits{}, 3)
	if d.Train.N != 1437 || d.Test.N != 360 || d.Inputs != 64 || d.Outputs != 10 {
		t.Errorf("%d + %d samples of %d inputs and %d classes", d.Train.N, d.Test.N, d.Inputs, d.Outputs)
	}
	tasktest.Balanced(t, 10, d.Train, d.Test)
	for _, x := range append(slices.Clone(d.Train.X), d.Test.X...) {
		if x < 0 || x > 1 || x*16 != math.Trunc(x*16) {
			t.Fatalf("input %v is not a sixteenth in [0, 1]", x)
		}
	}
	if fit, held := d.Validation(0); fit.N != 1149 || held.N != 288 {
		t.Errorf("validation: %d to fit, %d held out, want 1149 and 288", fit.N, held.N)
	}
	if accuracy := 1 - tasktest.Linear(d); accuracy < 0.93 {
		t.Errorf("accuracy %.4f by linear least squares, want above 0.93", accuracy)
	}
}

// The teacher and the angle change with the seed; the digits and their split do not.
func TestSeed(t *testing.T) {
	for _, c := range []struct {
		task  tasks.Task
		fixed bool
	}{{tasks.Digits{}, true}, {tasks.Linear{}, false}, {tasks.Blobs{}, false}} {
		a, b := load(t, c.task, 1), load(t, c.task, 2)
		if slices.Equal(a.Train.X, b.Train.X) != c.fixed {
			t.Errorf("%T: the same inputs for two seeds: %v, want %v", c.task, !c.fixed, c.fixed)
		}
	}
}

func TestValidationSeed(t *testing.T) {
	d := load(t, tasks.Blobs{}, 1)
	_, a := d.Validation(0)
	_, b := d.Validation(1)
	if slices.Equal(a.X, b.X) {
		t.Error("two seeds hold the same samples out")
	}
}

// By the normal equations no linear predictor comes below the noise, and a good one
// comes near: 256 samples fit 9 numbers per output.
func TestLinearNoise(t *testing.T) {
	d := load(t, tasks.Linear{Noise: 0.5, Test: 4096}, 1)
	if mse := tasktest.Linear(d); mse < 0.9*0.25 || mse > 1.15*0.25 {
		t.Errorf("mean squared error %.4f, want the noise's 0.25", mse)
	}
}

// The error rate stated in the documentation of blobs, checked at a noise where it is large.
func TestBlobsBayes(t *testing.T) {
	d := load(t, tasks.Blobs{Noise: 0.5, Train: 4096, Test: 4096}, 1)
	want := math.Erfc(math.Sin(math.Pi/4) / 0.5 / math.Sqrt2)
	if got := tasktest.Linear(d); !(math.Abs(got-want) <= 0.03) {
		t.Errorf("error rate %.4f, want about %.4f", got, want)
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, c := range []struct {
		task tasks.Task
		want string
	}{
		{tasks.Linear{Inputs: -1}, "expected inputs from 1 to"},
		{tasks.Linear{Outputs: 1 << 40}, "expected outputs from 1 to"},
		{tasks.Linear{Train: -5}, "expected train from 1 to"},
		{tasks.Linear{Noise: -1}, "finite noise of at least 0, found -1"},
		{tasks.Linear{Noise: math.NaN()}, "finite noise of at least 0, found NaN"},
		{tasks.Linear{Train: 1 << 28, Inputs: 1 << 28}, "GiB"},
		{tasks.Blobs{Classes: 1}, "expected classes from 2 to"},
		{tasks.Blobs{Inputs: 1}, "expected inputs from 2 to"},
		{tasks.Blobs{Test: 3}, "expected test from 4 to"},
		{tasks.Blobs{Noise: math.Inf(1)}, "finite noise of at least 0, found +Inf"},
	} {
		if _, err := c.task.Load(0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.task, err, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		task   tasks.Task
		damage func(d *tasks.Dataset)
		want   string
	}{
		{"NaN", tasks.Blobs{}, func(d *tasks.Dataset) { d.Train.X[5] = math.NaN() }, "tasks: blobs: train split, row 2, column 1: expected a finite input, found NaN"},
		{"target", tasks.Linear{}, func(d *tasks.Dataset) { d.Test.Y[4] = math.Inf(-1) }, "tasks: linear: test split, row 1, column 0: expected a finite target, found -Inf"},
		{"label", tasks.Blobs{}, func(d *tasks.Dataset) { d.Test.Labels[7] = 4 }, "tasks: blobs: test split, row 7: expected a label from 0 to 3, found 4"},
		{"negative", tasks.Blobs{}, func(d *tasks.Dataset) { d.Test.Labels[7] = -1 }, "tasks: blobs: test split, row 7: expected a label from 0 to 3, found -1"},
		{"short", tasks.Blobs{}, func(d *tasks.Dataset) { d.Train.X = d.Train.X[1:] }, "tasks: blobs: train split: expected 512 inputs (256 samples of 2), found 511"},
		{"kind", tasks.Linear{}, func(d *tasks.Dataset) { d.Kind = tasks.Classification }, "tasks: linear: train split: expected 256 labels (256 samples of 1), found 0"},
		{"empty", tasks.Linear{}, func(d *tasks.Dataset) { d.Test = tasks.Split{} }, "tasks: linear: test split: expected at least one sample, found 0"},
		{"width", tasks.Linear{}, func(d *tasks.Dataset) { d.Outputs = 0 }, "tasks: linear: expected at least one input and one output, found 8 inputs and 0 outputs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := load(t, c.task, 1)
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
			c.damage(d)
			var e *tasks.DataError
			if err := d.Check(); !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
}

func ExampleBatches() {
	d, err := tasks.Digits{}.Load(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	batches, err := tasks.NewBatches[float32](d.Train, 64, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for k := range batches.Len() {
		if b := batches.At(0, k); k == 0 || k == batches.Len()-1 {
			fmt.Println(len(b.Rows), "samples,", len(b.X), "pixels,", len(b.Labels), "labels")
		}
	}
	// Output:
	// 64 samples, 4096 pixels, 64 labels
	// 29 samples, 1856 pixels, 29 labels
}
