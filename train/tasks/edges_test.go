package tasks_test

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"attractor/train/tasks"
)

// What is odd about labels is said, and what cannot be used is refused with the element.
func TestOddLabels(t *testing.T) {
	dir := t.TempDir()
	x := func(n int) array { return array{[]int{n, 1}, make([]float64, n)} }
	cycle := func(n int, of ...int64) []int64 {
		y := make([]int64, n)
		for i := range y {
			y[i] = of[i%len(of)]
		}
		return y
	}
	many := cycle(200, 0)
	many[199] = 50
	for name, c := range map[string]struct {
		arrays arrays
		want   []string
	}{
		"from 0":       {arrays{"x": x(20), "y": {[]int{20}, cycle(20, 0, 1)}}, nil},
		"from 1":       {arrays{"x": x(20), "y": {[]int{20}, cycle(20, 1, 2)}}, []string{"no sample has the label 0; labels count from 0 and here begin at 1: "}},
		"gap":          {arrays{"x": x(20), "y": {[]int{20}, cycle(20, 0, 3)}}, []string{"no sample has the label 1, 2; the network has an output for each"}},
		"many":         {arrays{"x": x(200), "y": {[]int{200}, many}}, []string{"the label 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 39 more;", "label 50, which"}},
		"test only":    {arrays{"x_train": x(20), "y_train": {[]int{20}, cycle(20, 0, 1)}, "x_test": x(3), "y_test": {[]int{3}, []int64{0, 1, 2}}}, []string{"only samples of the test part have the label 2, which cannot be learned"}},
		"train only":   {arrays{"x_train": x(20), "y_train": {[]int{20}, cycle(20, 0, 1)}, "x_test": x(2), "y_test": {[]int{2}, []int64{0, 0}}}, []string{"only samples of the training part have the label 1, which is not tested"}},
		"floats":       {arrays{"x": x(4), "y": {[]int{4}, []float64{0, 1, 0, 1}}}, []string{"y holds whole numbers as <f8, which are taken for real numbers (regression)"}},
		"real numbers": {arrays{"x": x(4), "y": {[]int{4}, []float64{0, 1.5, 0, 1}}}, nil},
		"booleans":     {arrays{"x": x(8), "y": {[]int{8}, []bool{true, false, true, false, true, false, true, false}}}, nil},
		"all true":     {arrays{"x": x(4), "y": {[]int{4}, []bool{true, true, true, true}}}, []string{"no sample has the label 0; labels count from 0 and here begin at 1"}},
	} {
		d := load(t, tasks.NPZ{File: writeNPZ(t, dir, c.arrays)}, 1)
		for _, want := range c.want {
			if !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.Contains(n, want) }) {
				t.Errorf("%s: notes %q, want %q", name, d.Notes, want)
			}
		}
		if len(d.Notes) != len(c.want) {
			t.Errorf("%s: %d notes %q, want %d", name, len(d.Notes), d.Notes, len(c.want))
		}
	}
	for name, c := range map[string]struct {
		y    any
		want string
	}{
		"negative":  {[]int64{0, -1, 1, 0}, "expected a label from 0 to 2147483647 as element 1, found -1"},
		"huge":      {[]int64{0, 1 << 40, 1, 0}, "expected a label from 0 to 2147483647 as element 1"},
		"large":     {[]int64{0, 7, 1, 0}, "at most as many as the 4 samples, found 7 as the largest label"},
		"all false": {[]bool{false, false, false, false}, "labels of at least 2 classes"},
	} {
		_, err := tasks.NPZ{File: writeNPZ(t, dir, arrays{"x": x(4), "y": {[]int{4}, c.y}})}.Load(1)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// Inputs of any scale have mean 0 and variance 1, the same as those of the scale 1 to the last bit.
func TestStandardizeScales(t *testing.T) {
	dir := t.TempDir()
	base := []float64{1, -.5, .75, .25, -1, .125, .875, -.25, .5, 1}
	standard := func(x []float64) (*tasks.Dataset, error) {
		return tasks.NPZ{File: writeNPZ(t, dir, arrays{
			"x_train": {[]int{10, 1}, x}, "y_train": {[]int{10}, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9.5}}, "x_test": {[]int{1, 1}, x[:1]}, "y_test": {[]int{1}, []float64{1}},
		}), Normalize: "standard"}.Load(1)
	}
	want, err := standard(slices.Clone(base))
	if err != nil {
		t.Fatal(err)
	}
	mean, square := 0.0, 0.0
	for _, x := range want.Train.X {
		mean, square = mean+x/10, square+x*x/10
	}
	if !(math.Abs(mean) < 1e-15) || !(math.Abs(square-1) < 1e-14) {
		t.Errorf("mean %g, mean square %g", mean, square)
	}
	for _, e := range []int{1023, 1000, 513, 20, -20, -520, -1000, -1060, -1071} { // of the last every number has one to four bits
		x := slices.Clone(base)
		for i := range x {
			x[i] = math.Ldexp(x[i], e)
		}
		d, err := standard(x)
		if err != nil {
			t.Errorf("2^%d: %v", e, err)
		} else if !slices.Equal(d.Train.X, want.Train.X) || !slices.Equal(d.Test.X, want.Test.X) {
			t.Errorf("2^%d: %v, want %v", e, d.Train.X, want.Train.X)
		}
	}
	// On a large offset the numbers are told apart as far as they differ.
	x := slices.Clone(base)
	for i := range x {
		x[i] = 1e15 + 8*x[i]
	}
	d, err := standard(x)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range d.Train.X {
		if !(math.Abs(x-want.Train.X[i]) < 1e-14) {
			t.Errorf("element %d: %g, want %g", i, x, want.Train.X[i])
		}
	}
	// Numbers that are all the same are 0, whatever their sum rounds to.
	for _, v := range []float64{0, .1, 1e308, -5e-324} {
		x := make([]float64, 10)
		for i := range x {
			x[i] = v
		}
		d, err := standard(x)
		if err != nil || !slices.Equal(d.Train.X, make([]float64, 10)) || d.Test.X[0] != 0 {
			t.Errorf("%g everywhere: %v, %v", v, d, err)
		}
	}
	// What is too far off is refused by its place.
	_, err = tasks.NPZ{File: writeNPZ(t, dir, arrays{
		"x_train": {[]int{2, 2}, []float64{0, 1e-300, 1, 2e-300}}, "y_train": {[]int{2}, []float64{0, 1}}, "x_test": {[]int{1, 2}, []float64{0, 1e300}}, "y_test": {[]int{1}, []float64{1}},
	}), Normalize: "standard"}.Load(1)
	if want := "found 1e+300 in row 0, column 1 of the test part, too far off"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// A number that float32 does not hold is refused by its place.
func TestCheckRange(t *testing.T) {
	data := func(x, y []float64) *tasks.Dataset {
		part := tasks.Split{N: 2, X: x, Y: y}
		return &tasks.Dataset{Name: "own", Kind: tasks.Regression, Inputs: 2, Outputs: 1, Train: part, Test: part}
	}
	for _, c := range []struct {
		x, y []float64
		want string // empty where it fits
	}{
		{[]float64{1, 3e38, -1, 0}, []float64{0, -3e38}, ""},
		{[]float64{1, 1e-40, -1, 2}, []float64{0, 1e-300}, ""},
		{[]float64{1, 0, -1, 0}, []float64{0, 0}, ""},
		{[]float64{1, 2, 3, -1e39}, []float64{0, 1}, "row 1, column 1: expected an input within the range of float32: choose train.precision float64, or rescale it, found -1e+39"},
		{[]float64{1, 2, 3, 4}, []float64{0, 1e39}, "row 1, column 0: expected a target within the range of float32"},
		{[]float64{1, 1e-40, 3, 0}, []float64{0, 1}, "column 1: expected inputs of at least 1.1754943508222875e-38 in size, which float32 holds"},
		{[]float64{1, 1e-300, 3, 5e-324}, []float64{0, 1}, "column 1: expected inputs of at least"},
	} {
		err := tasks.CheckRange[float32](data(c.x, c.y))
		var bad *tasks.DataError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, %v: error %v, want %q", c.x, c.y, err, c.want)
		}
		if err := tasks.CheckRange[float64](data(c.x, c.y)); err != nil {
			t.Error(err)
		}
	}
}

// A class that the division for validation leaves on one side alone is named.
func TestValidationNotes(t *testing.T) {
	labels := append(make([]int32, 18), 1, 2)
	for i := range 9 {
		labels[i] = 3
	}
	d := &tasks.Dataset{Name: "own", Inputs: 1, Outputs: 4, Train: tasks.Split{N: 20, X: make([]float64, 20), Labels: labels}}
	fit, held := d.Validation(0)
	notes := d.ValidationNotes()
	if len(notes) == 0 {
		t.Error("nothing is said")
	}
	for _, note := range notes {
		without := held
		if strings.Contains(note, "cannot be learned") {
			without = fit
		}
		for class := range 4 {
			named := slices.ContainsFunc(strings.FieldsFunc(note, func(r rune) bool { return r < '0' || r > '9' }), func(w string) bool { return w == strconv.Itoa(class) })
			if named == slices.Contains(without.Labels, int32(class)) {
				t.Errorf("class %d: %q", class, note)
			}
		}
	}
	d.Train.Labels = make([]int32, 20)
	for i := range d.Train.Labels {
		d.Train.Labels[i] = int32(i % 4)
	}
	if notes := d.ValidationNotes(); len(notes) > 0 {
		t.Errorf("%q", notes)
	}
}
