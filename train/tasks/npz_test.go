package tasks_test

import (
	stdzip "archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attractor/internal/datasets"
	"attractor/internal/npz"
	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

// array is an array of an archive: a shape, and elements of a type of numpy's.
type array struct {
	shape []int
	data  any // []float64, []float32, []int64, []uint8, []bool
}

// npy is the array in numpy's format.
func (a array) npy() []byte {
	descr := map[string]string{"[]float64": "<f8", "[]float32": "<f4", "[]int64": "<i8", "[]uint8": "|u1", "[]bool": "|b1"}[fmt.Sprintf("%T", a.data)]
	shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(a.shape), "[]"), " ", ", ")
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }\n", descr, shape)
	b := bytes.NewBufferString("\x93NUMPY\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(head))))
	b.WriteString(head)
	if err := binary.Write(b, binary.LittleEndian, a.data); err != nil {
		panic(err)
	}
	return b.Bytes()
}

type arrays map[string]array

func (a arrays) archive() []byte {
	var b bytes.Buffer
	z := stdzip.NewWriter(&b)
	for name, v := range a {
		w, err := z.Create(name + ".npy")
		if err == nil {
			_, err = w.Write(v.npy())
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func writeNPZ(t testing.TB, dir string, a arrays) string {
	path := filepath.Join(dir, "own.npz")
	write(t, path, a.archive())
	return path
}

// blobArrays are samples of blobs, without a test part.
func blobArrays(t testing.TB) arrays {
	d := load(t, tasks.Blobs{Train: 200}, 3)
	labels := make([]int64, d.Train.N)
	for i, l := range d.Train.Labels {
		labels[i] = int64(l)
	}
	return arrays{"x": {[]int{200, 2}, d.Train.X}, "y": {[]int{200}, labels}}
}

func TestNPZ(t *testing.T) {
	dir := t.TempDir()
	// A test part of one's own, pictures in bytes, labels [n, 1].
	a := arrays{
		"x_train": {[]int{3, 2, 2}, []uint8{0, 1, 2, 3, 4, 5, 6, 255, 8, 9, 10, 3}}, "y_train": {[]int{3, 1}, []int64{0, 2, 1}},
		"x_test": {[]int{2, 4}, []uint8{1, 1, 1, 1, 2, 2, 2, 2}}, "y_test": {[]int{2}, []uint8{2, 0}}, "comment": {[]int{1}, []float64{1}},
	}
	d := load(t, tasks.NPZ{File: writeNPZ(t, dir, a)}, 1)
	if d.Inputs != 4 || d.Outputs != 3 || d.Train.N != 3 || d.Test.N != 2 || d.Kind != tasks.Classification || d.Train.Bytes == nil {
		t.Errorf("%+v", d)
	}
	if got := fmt.Sprint(d.Train.Row(nil, 1), d.Train.Labels, d.Test.Row(nil, 1), d.Test.Labels); got != "[4 5 6 255] [0 2 1] [2 2 2 2] [2 0]" {
		t.Error(got)
	}
	// The same in another type, normalised: bytes and floats give the same inputs.
	standard := load(t, tasks.NPZ{File: writeNPZ(t, dir, a), Normalize: "standard"}, 1)
	a["x_test"] = array{[]int{2, 4}, []float32{1, 1, 1, 1, 2, 2, 2, 2}}
	floats := load(t, tasks.NPZ{File: writeNPZ(t, dir, a), Normalize: "standard"}, 1)
	if floats.Train.Bytes != nil || floats.Test.Bytes != nil {
		t.Error("bytes beside floats")
	}
	for j := range 4 {
		sum, squares := 0.0, 0.0
		for i := range 3 {
			x, y := standard.Train.Row(nil, i)[j], floats.Train.Row(nil, i)[j]
			if x != y {
				t.Errorf("%v in bytes, %v in floats", x, y)
			}
			sum, squares = sum+x, squares+x*x
		}
		if !(math.Abs(sum) <= 1e-12) || !(math.Abs(squares-3) <= 1e-12) {
			t.Errorf("column %d: sum %v, of squares %v", j, sum, squares)
		}
	}
	// No test part: a fifth of each class.
	blobs := tasks.NPZ{File: writeNPZ(t, dir, blobArrays(t))}
	d = load(t, blobs, 1)
	if d.Train.N != 160 || d.Test.N != 40 || d.Outputs != 4 {
		t.Errorf("%d + %d samples of %d classes", d.Train.N, d.Test.N, d.Outputs)
	}
	tasktest.Balanced(t, 4, d.Train, d.Test)
	blobs.Train, blobs.Test, blobs.Kind = 40, 20, "regression"
	d = load(t, blobs, 1)
	if d.Kind != tasks.Regression || d.Outputs != 1 || d.Train.N != 40 || d.Test.N != 20 {
		t.Errorf("%v, %d outputs", d.Kind, d.Outputs)
	}
	// Regression on two targets; labels in floats; a constant column.
	a = arrays{"x": {[]int{5, 2}, []float64{1, 7, 2, 7, 3, 7, 4, 7, 5, 7}}, "y": {[]int{5, 2}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}}
	d = load(t, tasks.NPZ{File: writeNPZ(t, dir, a), Normalize: "standard"}, 1)
	if d.Kind != tasks.Regression || d.Outputs != 2 || d.Test.N != 1 || d.Train.X[1] != 0 {
		t.Errorf("%+v", d)
	}
	a["y"] = array{[]int{5}, []float64{0, 1, 1, 0, 1}}
	if d = load(t, tasks.NPZ{File: writeNPZ(t, dir, a), Kind: "classification"}, 1); d.Outputs != 2 || d.Kind != tasks.Classification {
		t.Errorf("%+v", d)
	}
}

// An archive is found where it was imported.
func TestNPZFolder(t *testing.T) {
	root := t.TempDir()
	t.Setenv(datasets.Variable, root)
	if err := os.Mkdir(filepath.Join(root, "npz"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeNPZ(t, filepath.Join(root, "npz"), blobArrays(t))
	load(t, tasks.NPZ{File: "own.npz"}, 1)
	load(t, tasks.NPZ{File: "own"}, 1)
	for file, want := range map[string]string{"": "--set task.file=FILE", "none.npz": "attractor data import npz FILE"} {
		_, err := tasks.NPZ{File: file}.Load(1)
		if err == nil || !strings.Contains(err.Error(), want) || file != "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
}

func TestDamagedNPZ(t *testing.T) {
	x, y := array{[]int{4, 2}, make([]float64, 8)}, array{[]int{4}, []int64{0, 1, 0, 1}}
	nan := array{[]int{4, 2}, []float64{0, 0, 0, math.NaN(), 0, 0, 0, 0}}
	for _, c := range []struct {
		name string
		a    arrays
		want string
	}{
		{"no x", arrays{"X": x, "y": y}, `expected an array "x" or "x_train", found [`},
		{"no y", arrays{"x": x}, `expected an array "y", found ["x"]`},
		{"no y_test", arrays{"x": x, "y": y, "x_test": x}, `expected an array "y_test"`},
		{"no x_test", arrays{"x": x, "y": y, "y_test": y}, `expected an array "x_test"`},
		{"flat", arrays{"x": y, "y": y}, `array "x": expected the shape [samples, inputs], found [4]`},
		{"none", arrays{"x": {[]int{0, 2}, []float64{}}, "y": {[]int{0}, []int64{}}}, `array "x": expected at least one sample of at least one input, found [0 2]`},
		{"one", arrays{"x": {[]int{1, 2}, []float64{1, 2}}, "y": {[]int{1}, []float64{1}}}, `array "x": expected at least 2 samples`},
		{"other count", arrays{"x": x, "y": {[]int{3}, []int64{0, 1, 0}}}, `array "y": expected the shape [4] or [4, targets], found [3]`},
		{"one-hot", arrays{"x": x, "y": {[]int{4, 2}, make([]int64, 8)}}, `array "y": expected one label per sample, or kind: regression, found [4 2]`},
		{"NaN", arrays{"x": nan, "y": y}, `array "x": expected a finite number in row 1, column 1, found NaN`},
		{"NaN target", arrays{"x": x, "y": {[]int{4}, []float64{0, 1, math.Inf(1), 0}}}, `array "y": expected a finite number as element 2, found +Inf`},
		{"negative label", arrays{"x": x, "y": {[]int{4}, []int64{0, 1, -1, 1}}}, `array "y": expected a label from 0 to 2147483647 as element 2, found -1`},
		{"huge label", arrays{"x": x, "y": {[]int{4}, []int64{0, 1, 1 << 40, 1}}}, `array "y": expected a label from 0 to 2147483647 as element 2`},
		{"large label", arrays{"x": x, "y": {[]int{4}, []int64{0, 1, 4, 1}}}, `expected labels of at least 2 classes and at most as many as the 4 samples, found 4 as the largest label`},
		{"one class", arrays{"x": x, "y": {[]int{4}, []int64{0, 0, 0, 0}}}, "found 0 as the largest label"},
		{"width", arrays{"x": x, "y": y, "x_test": {[]int{2, 3}, make([]float64, 6)}, "y_test": {[]int{2}, []int64{0, 1}}}, `array "x_test": expected 2 inputs as in the training part, found 3`},
		{"targets", arrays{"x": x, "y": {[]int{4, 2}, make([]float64, 8)}, "x_test": x, "y_test": {[]int{4, 3}, make([]float64, 12)}}, `array "y_test": expected 2 targets as in the training part, found 3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeNPZ(t, t.TempDir(), c.a)
			_, err := tasks.NPZ{File: path}.Load(1)
			var e *npz.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
}

func FuzzNPZ(f *testing.F) {
	small := arrays{"x": {[]int{5, 2}, make([]float64, 10)}, "y": {[]int{5}, []int64{0, 1, 0, 1, 1}}}
	f.Add(small.archive())
	f.Add(arrays{"x": {[]int{5, 2}, make([]uint8, 10)}, "y": {[]int{5, 1}, make([]float32, 5)}}.archive())
	f.Add(arrays{"x_train": small["x"], "y_train": small["y"], "x_test": small["x"], "y_test": small["y"]}.archive())
	f.Add(flip(small.archive(), -300))
	f.Add([]byte("PK"))
	path := filepath.Join(f.TempDir(), "f.npz")
	f.Fuzz(func(t *testing.T, data []byte) {
		write(t, path, data)
		for _, normalize := range []string{"none", "standard"} {
			d, err := tasks.NPZ{File: path, Normalize: normalize}.Load(1)
			if err != nil {
				if !strings.Contains(err.Error(), "f.npz") {
					t.Fatalf("error without the file: %v", err)
				}
				continue
			}
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzNPZArrays changes the arrays and zips them afterwards, as the sums of the archive would stop it otherwise.
func FuzzNPZArrays(f *testing.F) {
	numbers := array{[]int{5, 2}, []float64{1, 1e308, -1, -1e308, 5e-324, 0, 1e-310, 3, .1, .1}}
	for _, y := range []array{{[]int{5}, []int64{1, 2, 1, 2, 2}}, {[]int{5}, []float64{0, 1, 0, 1, 1}}, {[]int{5, 1}, []bool{true, false, true, true, true}}, {[]int{5}, []int64{0, 4, 0, 4, 1 << 40}}} {
		f.Add(numbers.npy(), y.npy())
		f.Add(array{[]int{5, 2}, make([]uint8, 10)}.npy(), y.npy())
	}
	path := filepath.Join(f.TempDir(), "f.npz")
	f.Fuzz(func(t *testing.T, x, y []byte) {
		var b bytes.Buffer
		z := stdzip.NewWriter(&b)
		for name, data := range map[string][]byte{"x": x, "y": y} {
			w, err := z.Create(name + ".npy")
			if err == nil {
				_, err = w.Write(data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, path, b.Bytes())
		for _, normalize := range []string{"none", "standard"} {
			d, err := tasks.NPZ{File: path, Normalize: normalize}.Load(1)
			if err != nil {
				if !strings.Contains(err.Error(), "f.npz") {
					t.Fatalf("error without the file: %v", err)
				}
				continue
			}
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
