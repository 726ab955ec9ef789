package zhu2024

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attractor/internal/datasets"
	"attractor/internal/rng"
	"attractor/train/experiments"
	"attractor/train/tasks"
)

// withMNIST makes a small set of noisy copies of ten pictures that has the files of MNIST.
func withMNIST(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	t.Setenv(datasets.Variable, root)
	dir := filepath.Join(root, "mnist")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const size = 28
	classes := rng.Stream(0, "test/pictures")
	first := make([]byte, 10*size*size)
	for i := range first {
		first[i] = byte(classes.IntN(256))
	}
	for part, n := range map[string]int{"train": 40, "t10k": 20} {
		images, labels := header(n, size, size), header(n)
		noise := rng.Stream(0, "test/noise/"+part)
		for i := range n {
			labels = append(labels, byte(i%10))
			for _, b := range first[i%10*size*size : (i%10+1)*size*size] {
				if noise.IntN(3) == 0 {
					b = byte(noise.IntN(256))
				}
				images = append(images, b)
			}
		}
		for name, data := range map[string][]byte{part + "-images-idx3-ubyte": images, part + "-labels-idx1-ubyte": labels} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// header is that of an IDX file of bytes.
func header(dims ...int) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return b
}

func TestMNISTAbsent(t *testing.T) {
	t.Setenv(datasets.Variable, t.TempDir())
	_, err := mnist(t.Context(), experiments.Options{Quick: true})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"attractor data fetch mnist", "attractor data import mnist", "zhu2024/digits"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// small are a few digits and a schedule for them.
func small(t *testing.T) (*tasks.Dataset, schedule) {
	t.Helper()
	data, err := tasks.Digits{}.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	data.Train, data.Test = data.Train.Select(firstRows(48)), data.Test.Select(firstRows(32))
	return data, schedule{batch: 16, steps: 6, dt: 0.2, euler: 10, spectraEvery: 6}
}

// The states that are trained on are those of r ← r + dt/τ (−r + tanh(Wr + Ux + b)).
func TestEuler(t *testing.T) {
	data, how := small(t)
	c, err := newClassifier(how, data.Inputs, data.Outputs, 3)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 0, data.Inputs)
	for _, v := range data.Train.Row(nil, 7) {
		x = append(x, float32(v))
	}
	e, err := c.settle(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	w, u := c.layer.Params.Data("W"), c.layer.Params.Data("U")
	r := make([]float64, imageUnits)
	for range how.euler {
		old := slices.Clone(r)
		for i := range r {
			sum := 0.
			for j, v := range old {
				sum += float64(w[i*imageUnits+j]) * v
			}
			for j, v := range x {
				sum += float64(u[i*data.Inputs+j]) * float64(v)
			}
			r[i] += how.dt * (math.Tanh(sum) - old[i])
		}
	}
	for i := range r {
		if !(math.Abs(r[i]-float64(e.Z[i])) <= 1e-5) {
			t.Fatalf("r[%d] = %g, want %g", i, e.Z[i], r[i])
		}
	}
}

// Trained on the tests means trained as if they were the training samples; a run at solved fixed
// points differs from one at Euler's states.
func TestWhatIsTrainedOn(t *testing.T) {
	data, how := small(t)
	run := func(data *tasks.Dataset, how schedule) []float64 {
		t.Helper()
		ticks := 0
		r, err := learn(t.Context(), data, how, setting{"reparam-gradient", 0.1}, 1, func() { ticks++ })
		if err != nil {
			t.Fatal(err)
		}
		if ticks != how.steps || len(r.loss) != how.steps || len(r.before) != imageUnits || len(r.after) != imageUnits {
			t.Errorf("%d ticks, %d losses, %d and %d eigenvalues", ticks, len(r.loss), len(r.before), len(r.after))
		}
		return r.loss
	}
	plain := run(data, how)
	swapped := *data
	swapped.Train = data.Test
	want := run(&swapped, how)
	quirk, solved := how, how
	quirk.onTests, solved.solved = true, true
	if got := run(data, quirk); !slices.Equal(got, want) || slices.Equal(got, plain) {
		t.Errorf("on tests %v, want %v and not %v", got, want, plain)
	}
	if got := run(data, solved); slices.Equal(got, plain) || !(math.Abs(got[0]-plain[0]) <= 0.1) {
		t.Errorf("at solved fixed points %v, at Euler's states %v", got, plain)
	}
}

// Below the limit a rule learns, above it its loss grows, and what is not finite is no failure.
func TestLimit(t *testing.T) {
	data, how := small(t)
	s := setting{"reparam-gradient", 0.1}
	at, err := limit(t.Context(), data, how, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rate     float64
		diverges bool
	}{{at / 1.1, false}, {at * 1.1, true}, {1e39, true}} {
		r, err := learn(t.Context(), data, how, setting{s.rule, c.rate}, 1, func() {})
		if err != nil {
			t.Fatal(err)
		}
		if r.diverged() != c.diverges {
			t.Errorf("η = %g of %g: diverged %v, losses %v", c.rate, at, r.diverged(), r.loss)
		}
		if c.rate == 1e39 && (r.after != nil || !math.IsNaN(r.jacobian) || r.final() != 0) {
			t.Errorf("η = %g: %d eigenvalues, Jacobian %g, accuracy %g", c.rate, len(r.after), r.jacobian, r.final())
		}
	}
}

func TestTrialMeasures(t *testing.T) {
	a := &trial{loss: []float64{2, 1, 2.5, 2.25}, accuracy: []float64{0, 0.5}, test: []float64{0.1, 0.9, 0.5}}
	b := &trial{loss: []float64{2.1, 1, 2, 3, 4}}
	share, last := ahead(a, b)
	if a.jump() != 1.5 || a.diverged() || !b.diverged() || a.tail() != 0.25 || !a.collapsed() || share != 0.5 || last != 3 {
		t.Errorf("jump %g, diverged %v and %v, tail %g, collapsed %v, ahead %g until %g", a.jump(), a.diverged(), b.diverged(), a.tail(), a.collapsed(), share, last)
	}
	if n := past([]complex128{1.5, 1, 0.5, complex(1.1, 3)}); n != 2 {
		t.Errorf("%d past 1, want 2", n)
	}
}
