// Package tasktest holds the test that every task passes: Run it on each entry of your
// catalogue.
package tasktest

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/internal/rng"
	"attractor/train/tasks"
)

// learnable is the share of the constant predictor's error that a task must let a predictor
// come below.
const learnable = 0.8

// Run tests a task's entry: documentation, shapes, ranges, padding, determinism, splits
// without a sample in common, balanced validation, and that it can be learned.
func Run(t *testing.T, entry catalog.Entry[tasks.Task]) {
	t.Helper()
	load := func(seed uint64) *tasks.Dataset {
		t.Helper()
		d, err := entry.Value.Load(seed)
		if err != nil {
			t.Fatalf("load with seed %d: %v", seed, err)
		}
		return d
	}
	d := load(1)
	t.Run("doc", func(t *testing.T) {
		if entry.Synopsis() == "" || entry.Synopsis() == entry.Doc {
			t.Errorf("the documentation %q needs a first line that says what it is, and lines with equation and shapes", entry.Doc)
		}
	})
	t.Run("shapes and ranges", func(t *testing.T) {
		if d.Name != entry.Name {
			t.Errorf("name %q, want %q", d.Name, entry.Name)
		}
		if err := d.Check(); err != nil {
			t.Error(err)
		}
		for _, s := range []tasks.Split{d.Train, d.Test} {
			if i, step := Padding(s); i >= 0 {
				t.Errorf("trial %d has ended at step %d, which is not empty", i, step)
			}
		}
		if d.Kind == tasks.Classification {
			for c := range d.Outputs {
				if !slices.Contains(d.Train.Labels, int32(c)) || !slices.Contains(d.Test.Labels, int32(c)) {
					t.Errorf("class %d is missing in the training or test part", c)
				}
			}
		}
	})
	t.Run("sequential", func(t *testing.T) {
		if _, ok := entry.Value.(tasks.Sequential); ok != (d.Steps > 0) {
			t.Errorf("trials of %d steps, but it says that it is sequential: %v", d.Steps, ok)
		}
	})
	t.Run("deterministic", func(t *testing.T) {
		for _, seed := range []uint64{1, 7} {
			if !reflect.DeepEqual(load(seed), load(seed)) {
				t.Errorf("seed %d gave two different data sets", seed)
			}
		}
		other := load(1)
		if other.Train.X != nil {
			other.Train.X[0]++
		} else {
			other.Train.Bytes[0]++
			other.Train.Levels[0][7]++
		}
		if reflect.DeepEqual(load(1), other) {
			t.Error("a change to one data set shows in the next")
		}
	})
	t.Run("extends", func(t *testing.T) { extends(t, entry.Value, d) })
	t.Run("disjoint", func(t *testing.T) {
		if d.Steps > 0 && len(inputs(d.Train)) < d.Train.N {
			t.Skip("the training part repeats its own trials: there are only some that differ")
		}
		if n := Shared(d.Train, d.Test); n != 0 {
			t.Errorf("%d samples of the test part are in the training part", n)
		}
	})
	t.Run("validation", func(t *testing.T) {
		fit, held := d.Validation(0)
		again, _ := d.Validation(0)
		if !reflect.DeepEqual(fit, again) {
			t.Error("two different validation splits")
		}
		if fit.N+held.N != d.Train.N || held.N != (d.Train.N+4)/5 {
			t.Errorf("%d samples to fit and %d held out, of %d", fit.N, held.N, d.Train.N)
		}
		Partition(t, d.Train, fit, held)
		if d.Kind == tasks.Classification {
			Balanced(t, d.Outputs, fit, held)
		}
	})
	t.Run("learnable", func(t *testing.T) {
		if got, constant := Learn(d); !(got <= learnable*constant) {
			t.Errorf("test error %.4g by least squares, %.4g by the constant predictor", got, constant)
		}
	})
}

// extends demands that a task with an option "trials" draws more of them by adding to the ones
// it has, and that the test part does not depend on how many there are.
func extends(t *testing.T, task tasks.Task, d *tasks.Dataset) {
	half := With(t, task, "trials", d.Train.N/2)
	if reflect.DeepEqual(half, task) {
		t.Skip("no option trials")
	}
	short, err := half.Load(1)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]int, d.Train.N/2)
	for i := range first {
		first[i] = i
	}
	if !reflect.DeepEqual(short.Train, d.Train.Select(first)) || !reflect.DeepEqual(short.Test, d.Test) {
		t.Error("half as many trials are not the first half, or change the test part")
	}
}

// With returns the task with another value of an option, or the task as it is if it does not
// have that option.
func With(t testing.TB, task tasks.Task, key string, value any) tasks.Task {
	t.Helper()
	p := reflect.New(reflect.TypeOf(task))
	p.Elem().Set(reflect.ValueOf(task))
	for _, f := range options.Fields(task) {
		if f.Key == key {
			if err := f.Set(p.Interface(), fmt.Sprint(value)); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		}
	}
	return p.Elem().Interface().(tasks.Task)
}

// Padding returns the first step behind the end of a trial at which it is not empty: an input
// or a target that is not 0, or a mark. A trial ends with its last weight. It returns -1 if all
// are empty.
func Padding(s tasks.Split) (trial, step int) {
	for i := range s.N * min(s.Steps, 1) {
		row, y := s.Row(nil, i), part(s.Y, s.N, i)
		for t := s.Steps - 1; t >= 0 && s.Weight(i, t) == 0; t-- {
			used := s.IsScored(i, t) || s.Labels != nil && s.Labels[i*s.Steps+t] != 0
			for _, v := range slices.Concat(part(row, s.Steps, t), part(y, s.Steps, t)) {
				used = used || v != 0
			}
			if used {
				return i, t
			}
		}
	}
	return -1, -1
}

// Balanced demands that each class has its share of both parts, to within one sample.
func Balanced(t *testing.T, classes int, a, b tasks.Split) {
	t.Helper()
	na, nb := make([]int, classes), make([]int, classes)
	for _, c := range a.Classes() {
		na[c]++
	}
	for _, c := range b.Classes() {
		nb[c]++
	}
	for c := range classes {
		want := float64(na[c]+nb[c]) * float64(b.N) / float64(a.N+b.N)
		if !(math.Abs(float64(nb[c])-want) < 1) {
			t.Errorf("class %d: %d of %d samples in the smaller part, want %.2f", c, nb[c], na[c]+nb[c], want)
		}
	}
}

// Partition demands that the parts hold the samples of whole, each once.
func Partition(t *testing.T, whole tasks.Split, parts ...tasks.Split) {
	t.Helper()
	count := map[string]int{}
	for i := range whole.N {
		count[sample(whole, i)]++
	}
	for _, p := range parts {
		for i := range p.N {
			count[sample(p, i)]--
		}
	}
	for s, n := range count {
		if n != 0 {
			t.Errorf("a sample occurs %+d times too often in the whole: %x", n, s)
			return
		}
	}
}

// Shared counts the samples of b whose inputs are also in a.
func Shared(a, b tasks.Split) int {
	seen := inputs(a)
	b = inputsOf(b)
	n := 0
	for i := range b.N {
		if seen[sample(b, i)] {
			n++
		}
	}
	return n
}

// inputs is the inputs of all samples.
func inputs(s tasks.Split) map[string]bool {
	s = inputsOf(s)
	seen := map[string]bool{}
	for i := range s.N {
		seen[sample(s, i)] = true
	}
	return seen
}

// inputsOf is a split without targets.
func inputsOf(s tasks.Split) tasks.Split {
	s.Labels, s.Y, s.Weights, s.Scored = nil, nil, nil, nil
	return s
}

// sample is sample i as bytes.
func sample(s tasks.Split, i int) string {
	var b []byte
	for _, x := range append(s.Row(nil, i), part(s.Y, s.N, i)...) {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	for _, l := range part(s.Labels, s.N, i) {
		b = binary.LittleEndian.AppendUint32(b, uint32(l))
	}
	return string(b)
}

// part is the part of sample i of an array of n samples.
func part[E any](v []E, n, i int) []E {
	w := len(v) / n
	return v[i*w : (i+1)*w]
}

// Learn returns the test error of a least-squares predictor fitted in closed form and
// that of the best constant: shares of wrong labels, or mean squared errors. The
// predictor is linear in the inputs or, when that is better, in 200 random rectified
// features too, so that a task need not be linear to be learnable. At most 4,000
// samples are used to fit. Of trials, see [Trials].
func Learn(d *tasks.Dataset) (learned, constant float64) {
	if d.Steps > 0 {
		return Trials(d)
	}
	learned = min(Linear(d), ridge(d, 200))
	return learned, ridgeOn(d, func([]float64) []float64 { return []float64{1} })
}

// Linear returns the test error of the linear least-squares predictor; see [Learn].
func Linear(d *tasks.Dataset) float64 { return ridge(d, 0) }

func ridge(d *tasks.Dataset, random int) float64 {
	w := make([]float64, random*(d.Inputs+1))
	r := rng.Stream(0, "tasktest/features")
	for i := range w {
		w[i] = r.NormFloat64() / math.Sqrt(float64(d.Inputs))
	}
	return ridgeOn(d, func(x []float64) []float64 {
		f := append([]float64{1}, x...)
		for k := range random {
			row := w[k*(d.Inputs+1) : (k+1)*(d.Inputs+1)]
			sum := row[d.Inputs]
			for j, v := range x {
				sum += row[j] * v
			}
			f = append(f, max(sum, 0))
		}
		return f
	})
}

func ridgeOn(d *tasks.Dataset, features func(x []float64) []float64) float64 {
	fit := tasks.Split{N: min(d.Train.N, 4000)}
	rows := make([]int, fit.N)
	for i := range rows {
		rows[i] = i * d.Train.N / fit.N
	}
	fit = d.Train.Select(rows)
	design := func(s tasks.Split) *mat.Dense {
		var f *mat.Dense
		for i := range s.N {
			row := features(s.Row(nil, i))
			if f == nil {
				f = mat.NewDense(s.N, len(row), nil)
			}
			f.SetRow(i, row)
		}
		return f
	}
	targets := mat.NewDense(fit.N, d.Outputs, slices.Clone(fit.Y))
	for i, l := range fit.Labels {
		targets.Set(i, int(l), 1)
	}
	var y mat.Dense
	y.Mul(design(d.Test), leastSquares(design(fit), targets))
	sum := 0.0
	for i := range d.Test.N {
		row := y.RawRowView(i)
		if d.Kind == tasks.Classification {
			if argmax(row) != int(d.Test.Labels[i]) {
				sum++
			}
			continue
		}
		for k := range d.Outputs {
			e := row[k] - d.Test.Y[i*d.Outputs+k]
			sum += e * e / float64(d.Outputs)
		}
	}
	return sum / float64(d.Test.N)
}

// argmax is the place of the largest entry, the first among equals.
func argmax(v []float64) int { return slices.Index(v, slices.Max(v)) }

// leastSquares returns the coefficients [features, targets] that fit x [n, features] to the
// targets [n, targets], with a small ridge.
func leastSquares(x, targets *mat.Dense) *mat.Dense {
	n, f := x.Dims()
	var gram, moment, beta mat.Dense
	solve := func(dst *mat.Dense, right mat.Matrix) {
		size, _ := gram.Dims()
		for k := range size {
			gram.Set(k, k, gram.At(k, k)+1e-3*float64(n)/1000)
		}
		if err := dst.Solve(&gram, right); err != nil {
			panic(fmt.Sprintf("tasktest: least squares: %v", err))
		}
	}
	if f <= n {
		gram.Mul(x.T(), x)
		moment.Mul(x.T(), targets)
		solve(&beta, &moment)
	} else { // the same by (XᵀX + λ)⁻¹Xᵀ = Xᵀ(XXᵀ + λ)⁻¹, which is smaller
		gram.Mul(x, x.T())
		solve(&moment, targets)
		beta.Mul(x.T(), &moment)
	}
	return &beta
}
