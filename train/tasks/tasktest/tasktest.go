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
	"attractor/internal/rng"
	"attractor/train/tasks"
)

// Run tests a task's entry: documentation, shapes, ranges, determinism, splits without
// a sample in common, balanced validation, and that it can be learned.
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
		if d.Kind == tasks.Classification {
			for c := range d.Outputs {
				if !slices.Contains(d.Train.Labels, int32(c)) || !slices.Contains(d.Test.Labels, int32(c)) {
					t.Errorf("class %d is missing in the training or test part", c)
				}
			}
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
	t.Run("disjoint", func(t *testing.T) {
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
		if got, constant := Learn(d); got > 0.8*constant {
			t.Errorf("test error %.4g by least squares, %.4g by the constant predictor", got, constant)
		}
	})
}

// Balanced demands that each class has its share of both parts, to within one sample.
func Balanced(t *testing.T, classes int, a, b tasks.Split) {
	t.Helper()
	na, nb := make([]int, classes), make([]int, classes)
	for _, c := range a.Labels {
		na[c]++
	}
	for _, c := range b.Labels {
		nb[c]++
	}
	for c := range classes {
		want := float64(na[c]+nb[c]) * float64(b.N) / float64(a.N+b.N)
		if math.Abs(float64(nb[c])-want) >= 1 {
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
	a.Labels, a.Y, b.Labels, b.Y = nil, nil, nil, nil
	seen := map[string]bool{}
	for i := range a.N {
		seen[sample(a, i)] = true
	}
	n := 0
	for i := range b.N {
		if seen[sample(b, i)] {
			n++
		}
	}
	return n
}

// sample is sample i as bytes.
func sample(s tasks.Split, i int) string {
	var b []byte
	w := len(s.Y) / s.N
	for _, x := range append(s.Row(nil, i), s.Y[i*w:(i+1)*w]...) {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	if s.Labels != nil {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Labels[i]))
	}
	return string(b)
}

// Learn returns the test error of a least-squares predictor fitted in closed form and
// that of the best constant: shares of wrong labels, or mean squared errors. The
// predictor is linear in the inputs or, when that is better, in 200 random rectified
// features too, so that a task need not be linear to be learnable. At most 4,000
// samples are used to fit.
func Learn(d *tasks.Dataset) (learned, constant float64) {
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
	x := design(fit)
	var gram, moment, beta, y mat.Dense
	solve := func(dst *mat.Dense, right mat.Matrix) {
		n, _ := gram.Dims()
		for k := range n {
			gram.Set(k, k, gram.At(k, k)+1e-3*float64(fit.N)/1000)
		}
		if err := dst.Solve(&gram, right); err != nil {
			panic(fmt.Sprintf("tasktest: least squares: %v", err))
		}
	}
	if n, f := x.Dims(); f <= n {
		gram.Mul(x.T(), x)
		moment.Mul(x.T(), targets)
		solve(&beta, &moment)
	} else { // the same by (XᵀX + λ)⁻¹Xᵀ = Xᵀ(XXᵀ + λ)⁻¹, which is smaller
		gram.Mul(x, x.T())
		solve(&moment, targets)
		beta.Mul(x.T(), &moment)
	}
	y.Mul(design(d.Test), &beta)
	sum := 0.0
	for i := range d.Test.N {
		if d.Kind == tasks.Classification {
			best := 0
			for k := range d.Outputs {
				if y.At(i, k) > y.At(i, best) {
					best = k
				}
			}
			if best != int(d.Test.Labels[i]) {
				sum++
			}
			continue
		}
		for k := range d.Outputs {
			e := y.At(i, k) - d.Test.Y[i*d.Outputs+k]
			sum += e * e / float64(d.Outputs)
		}
	}
	return sum / float64(d.Test.N)
}
