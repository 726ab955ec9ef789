package tasks

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/internal/kernels"
	"attractor/internal/rng"
)

// numbered is a data set of numbers that say where they stand: input j of step t of trial i is i.tj, as
// are label or target. Trial i lasts 2 + i%2 of the 3 steps.
func numbered(kind Kind, n int) *Dataset {
	draw := func(offset int) Split {
		s := Split{N: n, Steps: 3}
		for i := range n {
			for t := range s.Steps {
				lasts := t < 2+i%2
				for j := range 2 {
					s.X = append(s.X, float64(offset+i)+float64(t)/10+float64(j)/100)
				}
				if kind == Classification {
					s.Labels = append(s.Labels, int32((i+t)%4))
				} else {
					s.Y = append(s.Y, float64(i), float64(t))
				}
				s.Weights = append(s.Weights, map[bool]float64{true: 1 + float64(t)}[lasts])
				s.Scored = append(s.Scored, lasts && t > 0)
			}
		}
		return s
	}
	d := &Dataset{Name: "trials", Kind: kind, Inputs: 2, Outputs: 4, Steps: 3, Train: draw(0), Test: draw(100)}
	if kind == Regression {
		d.Outputs = 2
	}
	return d
}

func TestSequenceBatches(t *testing.T) {
	t.Run("float32", testSequenceBatches[float32])
	t.Run("float64", testSequenceBatches[float64])
}

func testSequenceBatches[T kernels.Float](t *testing.T) {
	for _, kind := range []Kind{Classification, Regression} {
		d := numbered(kind, 11)
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		s := d.Train
		b, err := NewBatches[T](s, 4, 1)
		if err != nil {
			t.Fatal(err)
		}
		for k := range b.Len() {
			for _, batch := range []*Batch[T]{b.At(0, k), b.InOrder(k)} {
				n := len(batch.Rows)
				if batch.Steps != 3 || len(batch.X) != 3*n*2 || len(batch.Labels)+len(batch.Y)/2 != 3*n || len(batch.Weights) != 3*n || len(batch.Scored) != 3*n {
					t.Fatalf("batch of %d trials: %d steps, %d inputs, %d labels, %d targets, %d weights, %d marks",
						n, batch.Steps, len(batch.X), len(batch.Labels), len(batch.Y), len(batch.Weights), len(batch.Scored))
				}
				for step := range 3 {
					for i, r := range batch.Rows {
						at, from := step*n+i, r*3+step
						if !slices.Equal(batch.X[at*2:at*2+2], []T{T(s.X[from*2]), T(s.X[from*2+1])}) {
							t.Errorf("x[%d, %d] is not that of trial %d", step, i, r)
						}
						if kind == Classification && (batch.Y != nil || batch.Labels[at] != s.Labels[from]) ||
							kind == Regression && (batch.Labels != nil || batch.Y[at*2] != T(r) || batch.Y[at*2+1] != T(step)) {
							t.Errorf("target [%d, %d] is not that of trial %d", step, i, r)
						}
						if float64(batch.Weights[at]) != s.Weight(r, step) || batch.Scored[at] != s.IsScored(r, step) {
							t.Errorf("weight or mark [%d, %d] is not that of trial %d", step, i, r)
						}
					}
				}
			}
		}
		if n := testing.AllocsPerRun(20, func() { b.InOrder(0) }); n != 0 {
			t.Errorf("%v allocations per batch", n)
		}
		s.Weights, s.Scored = nil, nil
		var batch Batch[T]
		if batch.Gather(s, []int{2}); batch.Weights != nil || batch.Scored != nil {
			t.Error("weights of a split without any")
		}
	}
}

// Bytes of trials stand for the same numbers as floats do; the levels go by the columns of
// a step.
func TestSequenceBytes(t *testing.T) {
	s := Split{N: 2, Steps: 3, Bytes: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, Levels: make([]Level, 2)}
	var want []float64
	for i := range s.Bytes {
		for k := range s.Levels {
			s.Levels[k][i] = float64(i + 100*k)
		}
		want = append(want, float64(i+100*(i%2)))
	}
	if got := s.Row(s.Row(nil, 0), 1); !slices.Equal(got, want) || s.Inputs() != 2 {
		t.Errorf("rows of %d inputs %v, want 2 and %v", s.Inputs(), got, want)
	}
	var a, b Batch[float64]
	a.Gather(s, []int{1, 0})
	b.Gather(s.floats(), []int{1, 0})
	if !slices.Equal(a.X, b.X) || !slices.Equal(a.X[:4], []float64{6, 107, 0, 101}) {
		t.Errorf("batches %v of bytes and %v of floats", a.X, b.X)
	}
}

func TestSequenceSelect(t *testing.T) {
	s := numbered(Classification, 5).Train
	got := s.Select([]int{4, 1})
	if got.N != 2 || got.Steps != 3 || !slices.Equal(got.Row(nil, 0), s.Row(nil, 4)) || !slices.Equal(got.Row(nil, 1), s.Row(nil, 1)) ||
		!slices.Equal(got.Labels, append(slices.Clone(s.Labels[12:]), s.Labels[3:6]...)) ||
		!slices.Equal(got.Weights, append(slices.Clone(s.Weights[12:]), s.Weights[3:6]...)) ||
		!slices.Equal(got.Scored, append(slices.Clone(s.Scored[12:]), s.Scored[3:6]...)) {
		t.Errorf("selected %+v", got)
	}
	if !got.IsScored(1, 2) || got.IsScored(0, 2) || got.IsScored(0, 0) {
		t.Errorf("scored steps %v", got.Scored)
	}
}

// The class of a trial is the label at its last scored step, by which Validation divides.
func TestSequenceClasses(t *testing.T) {
	d := numbered(Classification, 8)
	// Trial i has the label (i + t) mod 4 and is last scored at step 1 + i mod 2.
	want := []int32{1, 3, 3, 1, 1, 3, 3, 1}
	if got := d.Train.Classes(); !slices.Equal(got, want) {
		t.Errorf("classes %v, want %v", got, want)
	}
	unmarked := d.Train
	unmarked.Scored = nil
	if got := unmarked.Classes(); !slices.Equal(got, want) {
		t.Errorf("classes %v by the weights, want %v", got, want)
	}
	keep, hold := stratify(8, want, 4, 2, func(class int) *rand.Rand { return rng.Stream(3, "validation/split", uint64(class)) })
	fit, held := d.Validation(3)
	if !slices.Equal(fit.X, d.Train.Select(keep).X) || !slices.Equal(held.X, d.Train.Select(hold).X) || held.Steps != 3 {
		t.Errorf("fit on %v, held out %v", fit.X, held.X)
	}
	if r := numbered(Regression, 8); r.Train.Classes() != nil {
		t.Error("classes in a regression")
	}
}

func TestSequenceCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		damage func(d *Dataset)
		want   string
	}{
		{"input", Classification, func(d *Dataset) { d.Train.X[6*2+2*2+1] = math.NaN() }, "tasks: trials: train split, trial 2, step 2, column 1: expected a finite input, found NaN"},
		{"target", Regression, func(d *Dataset) { d.Test.Y[3*2] = math.Inf(1) }, "tasks: trials: test split, trial 1, step 0, column 0: expected a finite target, found +Inf"},
		{"label", Classification, func(d *Dataset) { d.Train.Labels[4] = 9 }, "tasks: trials: train split, trial 1, step 1: expected a label from 0 to 3, found 9"},
		{"weight", Regression, func(d *Dataset) { d.Train.Weights[5] = -1 }, "tasks: trials: train split, trial 1, step 2: expected a finite weight of at least 0, found -1"},
		{"weight NaN", Regression, func(d *Dataset) { d.Train.Weights[5] = math.NaN() }, "tasks: trials: train split, trial 1, step 2: expected a finite weight of at least 0, found NaN"},
		{"padding", Classification, func(d *Dataset) { d.Train.Scored[2] = true }, "tasks: trials: train split, trial 0, step 2: expected a weight above 0 where a step is scored, found 0"},
		{"unscored", Classification, func(d *Dataset) { copy(d.Train.Scored[3:6], make([]bool, 3)) }, "tasks: trials: train split, row 1: expected a step with a weight and a scored one, found none"},
		{"unweighted", Regression, func(d *Dataset) { d.Train.Scored = nil; copy(d.Train.Weights[3:6], make([]float64, 3)) }, "tasks: trials: train split, row 1: expected a step with a weight and a scored one, found none"},
		{"steps", Classification, func(d *Dataset) { d.Steps = 2 }, "tasks: trials: train split: expected 2 steps, found 3"},
		{"no steps", Classification, func(d *Dataset) { d.Test.Steps = 0 }, "tasks: trials: test split: expected 3 steps, found 0"},
		{"negative", Classification, func(d *Dataset) { d.Steps, d.Train.Steps = -3, -3 }, "tasks: trials: train split: expected 0 steps, found -3"},
		{"short", Classification, func(d *Dataset) { d.Train.X = d.Train.X[1:] }, "tasks: trials: train split: expected 24 inputs (4 trials of 3 steps of 2), found 23"},
		{"weights", Classification, func(d *Dataset) { d.Test.Weights = d.Test.Weights[1:] }, "tasks: trials: test split: expected 12 weights (4 trials of 3 steps), or nil, found 11"},
		{"no weights", Classification, func(d *Dataset) { d.Test.Weights = []float64{} }, "tasks: trials: test split: expected 12 weights (4 trials of 3 steps), or nil, found 0"},
		{"marks", Classification, func(d *Dataset) { d.Test.Scored = d.Test.Scored[1:] }, "tasks: trials: test split: expected 12 marks of scored steps (4 trials of 3 steps), or nil, found 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := numbered(c.kind, 4)
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
			c.damage(d)
			var e *DataError
			if err := d.Check(); !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
	d, err := Blobs{}.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	d.Train.Weights = make([]float64, d.Train.N)
	if d.Check() == nil {
		t.Error("no error for weights without steps")
	}
}
