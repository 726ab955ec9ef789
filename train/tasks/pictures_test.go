package tasks_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"attractor/internal/datasets"
	"attractor/internal/rng"
	"attractor/train/tasks"
	"attractor/train/tasks/tasktest"
)

// onTestData gives a task that reads files small ones in the real format, so that no test
// needs the data.
func onTestData(t testing.TB, task tasks.Task) tasks.Task {
	dir := t.TempDir()
	switch task.(type) {
	case tasks.MNIST:
		writeMNIST(t, dir, 120, 60)
		return tasks.MNIST{Dir: dir}
	case tasks.FashionMNIST:
		writeMNIST(t, dir, 120, 60)
		return tasks.FashionMNIST{Dir: dir}
	case tasks.CIFAR10:
		writeCIFAR10(t, dir, 20)
		return tasks.CIFAR10{Dir: dir}
	case tasks.NPZ:
		return tasks.NPZ{File: writeNPZ(t, dir, blobArrays(t)), Normalize: "standard"}
	case tasks.SequentialMNIST:
		writeMNIST(t, dir, 120, 60)
		return tasks.SequentialMNIST{Dir: dir}
	case tasks.XOR:
		return tasks.XOR{Delay: 2, Steps: 20, Trials: 400, TestTrials: 200}
	}
	return few(t, task, 400)
}

// few is a task with so many trials to train on and half as many to test on, if it has these
// options.
func few(t testing.TB, task tasks.Task, n int) tasks.Task {
	return tasktest.With(t, tasktest.With(t, task, "trials", n), "test_trials", n/2)
}

// drawPictures makes n noisy copies of ten pictures of random bytes.
func drawPictures(n, size int, part uint64) (pictures [][]byte, labels []byte) {
	classes, noise := rng.Stream(0, "test/pictures"), rng.Stream(0, "test/noise", part)
	first := make([]byte, 10*size)
	for i := range first {
		first[i] = byte(classes.IntN(256))
	}
	for i := range n {
		c := i % 10
		p := bytes.Clone(first[c*size : (c+1)*size])
		for j := range p {
			if noise.IntN(3) == 0 {
				p[j] = byte(noise.IntN(256))
			}
		}
		pictures, labels = append(pictures, p), append(labels, byte(c))
	}
	return pictures, labels
}

func idxFile(dims []int, data ...[]byte) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, bytes.Join(data, nil)...)
}

// writeMNIST writes the four files, two of them compressed.
func writeMNIST(t testing.TB, dir string, train, test int) {
	t.Helper()
	for part, n := range map[string]int{"train": train, "t10k": test} {
		pictures, labels := drawPictures(n, 28*28, uint64(n))
		write(t, filepath.Join(dir, part+"-images-idx3-ubyte"), idxFile([]int{n, 28, 28}, pictures...))
		write(t, filepath.Join(dir, part+"-labels-idx1-ubyte.gz"), zip(idxFile([]int{n}, labels)))
	}
}

// writeCIFAR10 writes the six files with n records each, the first one compressed.
func writeCIFAR10(t testing.TB, dir string, n int) {
	t.Helper()
	tasks.SetCIFAR10Batch(t, n)
	for k, name := range []string{"data_batch_1.bin.gz", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		var b []byte
		pictures, labels := drawPictures(n, 3072, uint64(k))
		for i, p := range pictures {
			b = append(append(b, labels[i]), p...)
		}
		if k == 0 {
			b = zip(b)
		}
		write(t, filepath.Join(dir, name), b)
	}
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	writeMNIST(t, dir, 120, 60)
	pictures, labels := drawPictures(120, 28*28, 120)
	for normalize, want := range map[string]func(p byte) float64{
		"":         func(p byte) float64 { return float64(p) / 255 },
		"standard": func(p byte) float64 { return (float64(p)/255 - 0.1307) / 0.3081 },
	} {
		d := load(t, tasks.MNIST{Dir: dir, Normalize: normalize}, 1)
		if d.Train.N != 120 || d.Test.N != 60 || d.Inputs != 784 || d.Train.X != nil {
			t.Fatalf("%d + %d samples of %d inputs", d.Train.N, d.Test.N, d.Inputs)
		}
		for i := range d.Train.N {
			row := d.Train.Row(nil, i)
			for j, p := range pictures[i] {
				if row[j] != want(p) {
					t.Fatalf("%q: input %d of sample %d is %v, want %v", normalize, j, i, row[j], want(p))
				}
			}
			if d.Train.Labels[i] != int32(labels[i]) {
				t.Fatalf("label of sample %d is %d", i, d.Train.Labels[i])
			}
		}
		var b tasks.Batch[float32]
		b.Gather(d.Train, []int{7, 3})
		if len(b.X) != 2*784 || b.X[784+5] != float32(want(pictures[3][5])) || b.Labels[0] != 7 {
			t.Errorf("%q: batch of %d inputs", normalize, len(b.X))
		}
	}
}

// Each colour of CIFAR-10 has its own normalisation.
func TestCIFAR10(t *testing.T) {
	dir := t.TempDir()
	writeCIFAR10(t, dir, 20)
	d := load(t, tasks.CIFAR10{Dir: dir, Normalize: "standard"}, 1)
	if d.Train.N != 100 || d.Test.N != 20 || d.Inputs != 3072 {
		t.Fatalf("%d + %d samples of %d inputs", d.Train.N, d.Test.N, d.Inputs)
	}
	pictures, _ := drawPictures(20, 3072, 1) // the second file
	for i := range 20 {
		row := d.Train.Row(nil, 20+i)
		for j, p := range pictures[i] {
			mean, sd := []float64{0.4914, 0.4822, 0.4465}[j/1024], []float64{0.2470, 0.2435, 0.2616}[j/1024]
			if want := (float64(p)/255 - mean) / sd; row[j] != want {
				t.Fatalf("input %d of sample %d is %v, want %v", j, i, row[j], want)
			}
		}
		if want := int32(i % 10); d.Train.Labels[20+i] != want {
			t.Fatalf("label %d of sample %d, want %d", d.Train.Labels[20+i], i, want)
		}
	}
	for _, c := range []struct {
		name   string
		damage func(b []byte) []byte
		want   string
	}{
		{"cut", func(b []byte) []byte { return b[:len(b)-3073] }, "byte 58387: expected 3073 more bytes of 20 records"},
		{"long", func(b []byte) []byte { return append(b, 0) }, "byte 61460: expected the end of the file, found more bytes"},
		{"label", func(b []byte) []byte { b[2*3073] = 10; return b }, "byte 6146: expected a label from 0 to 9, found 10"},
	} {
		path := filepath.Join(dir, "data_batch_3.bin")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, c.damage(bytes.Clone(b)))
		_, err = tasks.CIFAR10{Dir: dir}.Load(1)
		var e *tasks.FileError
		if !errors.As(err, &e) || e.File != path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
		write(t, path, b)
	}
}

func TestSubset(t *testing.T) {
	dir := t.TempDir()
	writeMNIST(t, dir, 120, 60)
	whole := load(t, tasks.MNIST{Dir: dir}, 1)
	d := load(t, tasks.MNIST{Dir: dir, Train: 50, Test: 20}, 1)
	if d.Train.N != 50 || d.Test.N != 20 {
		t.Fatalf("%d + %d samples", d.Train.N, d.Test.N)
	}
	tasktest.Balanced(t, 10, d.Train, d.Test)
	if n := tasktest.Shared(whole.Train, d.Train); n != 50 {
		t.Errorf("%d of 50 samples are from the training part", n)
	}
	if !reflect.DeepEqual(d, load(t, tasks.MNIST{Dir: dir, Train: 50, Test: 20}, 2)) {
		t.Error("another subset for another seed")
	}
	for _, o := range []tasks.MNIST{{Dir: dir, Train: 121}, {Dir: dir, Test: -1}} {
		if _, err := o.Load(1); err == nil || !strings.Contains(err.Error(), "samples there are, or 0 for all, found ") {
			t.Errorf("error %v", err)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct{ task, want tasks.Task }{
		{tasks.MNIST{}, tasks.MNIST{Train: 50, Test: 20}},
		{tasks.FashionMNIST{Train: 60, Test: 10}, tasks.FashionMNIST{Train: 50, Test: 10}},
		{tasks.CIFAR10{Train: 40}, tasks.CIFAR10{Train: 40, Test: 20}},
	} {
		if got := c.task.(tasks.Limited).Limit(50, 20); got != c.want {
			t.Errorf("%T: %+v becomes %+v, want %+v", c.task, c.task, got, c.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	root := t.TempDir()
	t.Setenv(datasets.Variable, root)
	for _, task := range []tasks.Task{tasks.MNIST{}, tasks.FashionMNIST{}, tasks.CIFAR10{}} {
		_, err := task.Load(1)
		var absent *datasets.AbsentError
		if !errors.As(err, &absent) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "attractor data fetch "+absent.Set) ||
			absent.Dir != filepath.Join(root, absent.Set) {
			t.Errorf("%T: error %v", task, err)
		}
	}
}

func TestDamagedPictures(t *testing.T) {
	n := uint32(math.MaxUint32)
	lying := binary.BigEndian.AppendUint32(idxFile(nil)[:4], n)
	lying[3] = 1
	for _, c := range []struct {
		name, file string
		data       []byte
		want       string
	}{
		{"empty", "train-labels-idx1-ubyte", nil, "byte 0: expected 4 more bytes of the magic number, found the end of the file"},
		{"text", "train-labels-idx1-ubyte", []byte("<html>404"), "byte 0: expected the magic number 00 00 08 01 of bytes in 1 dimensions, found 3c 68 74 6d"},
		{"images for labels", "train-labels-idx1-ubyte", idxFile([]int{1, 28, 28}, make([]byte, 784)), "byte 0: expected the magic number 00 00 08 01"},
		{"lying count", "train-labels-idx1-ubyte", lying, "byte 8: expected 4294967295 more bytes of [4294967295] elements, found the end of the file"},
		{"lying count in gzip", "train-labels-idx1-ubyte", zip(lying), "byte 8: expected 4294967295 more bytes of [4294967295] elements, found the end of the file"},
		{"short", "train-labels-idx1-ubyte", idxFile([]int{120}, make([]byte, 119)), "byte 127: expected 1 more bytes of [120] elements, found the end of the file"},
		{"short in gzip", "train-labels-idx1-ubyte", zip(idxFile([]int{120}, make([]byte, 119))), "byte 127: expected 1 more bytes of [120] elements, found the end of the file"},
		{"long", "train-labels-idx1-ubyte", idxFile([]int{120}, make([]byte, 121)), "byte 128: expected the end of the file, found more bytes"},
		{"none", "train-labels-idx1-ubyte", idxFile([]int{0}), "byte 4: expected at least 1 as dimension 1, found 0"},
		{"label", "train-labels-idx1-ubyte", idxFile([]int{120}, append(make([]byte, 119), 10)), "byte 127: expected a label from 0 to 9, found 10"},
		{"cut gzip", "train-labels-idx1-ubyte", zip(idxFile([]int{120}, make([]byte, 120)))[:30], "found an error: unexpected EOF"},
		{"damaged gzip", "train-labels-idx1-ubyte", flip(zip(idxFile([]int{120}, make([]byte, 120))), -6), "byte 128: expected the end of the file, found an error: gzip: invalid checksum"},
		{"gzip header", "train-labels-idx1-ubyte", []byte{0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9}, "byte 0: expected a gzip file, found a damaged header"},
		{"another count", "train-images-idx3-ubyte", idxFile([]int{119, 28, 28}, make([]byte, 119*784)), "byte 4: expected 120 as dimension 1, found 119"},
		{"another shape", "train-images-idx3-ubyte", idxFile([]int{120, 32, 28}, make([]byte, 120*32*28)), "byte 8: expected 28 as dimension 2, found 32"},
		{"cut", "t10k-images-idx3-ubyte", idxFile([]int{60, 28, 28}, make([]byte, 59*784)), "byte 46272: expected 784 more bytes of [60 28 28] elements"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeMNIST(t, dir, 120, 60)
			path := filepath.Join(dir, c.file)
			write(t, path, c.data)
			_, err := tasks.MNIST{Dir: dir}.Load(1)
			var e *tasks.FileError
			if !errors.As(err, &e) || e.File != path || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error\n%v, want\n%s", err, c.want)
			}
		})
	}
}

func flip(b []byte, at int) []byte {
	b[len(b)+at] ^= 1
	return b
}
