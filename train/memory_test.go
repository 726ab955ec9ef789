package train

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"attractor/internal/budget"
)

// held is the memory of what is still in use.
func held() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// What a run counts as its memory is what it holds on the heap, and what a few units foretell.
func TestMemoryIsCounted(t *testing.T) {
	const units = 576
	cases := [][]string{
		{"rule=implicit"},
		{"rule=implicit", "train.batch=256"},
		{"rule=implicit", "optimizer=sgd", "train.precision=float64"},
		{"rule=implicit", "solver=newton-gmres", "train.batch=8"},
		{"rule=implicit", "solver=broyden", "backward=gmres"},
		{"rule=bptt"},
		{"rule=eqprop"},
		{"rule=rflo"},
		{"rule=snap-1", "train.batch=8"},
		{"rule=kolen-pollack"},
		{"rule=implicit", "model=gru"},
		{"rule=implicit", "train.certificate=1"},
	}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, sets := range cases {
		t.Run(strings.Join(sets, " "), func(t *testing.T) {
			sets := append([]string{"task=blobs", "task.train=256", "task.test=8", fmt.Sprint("model.units=", units)}, sets...)
			if strings.Contains(strings.Join(sets, " "), "float64") {
				compareMemory[float64](t, units, sets)
			} else {
				compareMemory[float32](t, units, sets)
			}
		})
	}
}

func compareMemory[T float32 | float64](t *testing.T, units int, sets []string) {
	c := configured[T](t, sets...)
	data, err := c.Task.Value.Load(1)
	if err != nil {
		t.Fatal(err)
	}
	before := held()
	tr, err := NewOn(c, Ours[T](), data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	heap, counted := held()-before, float64(tr.Bytes())
	runtime.KeepAlive(tr)
	if r := counted / heap; !(r >= 0.8 && r <= 1.25) {
		t.Errorf("%.0f bytes counted, %.0f held: %.2f of them", counted, heap, r)
	}
	var x []int
	var y []float64
	for _, n := range []int{96, 192, 288, 384} {
		bytes, err := miniature(c, Ours[T](), data, n)
		if err != nil {
			t.Fatal(err)
		}
		x, y = append(x, n), append(y, bytes)
	}
	if r := extrapolate(x, y, float64(units)) / counted; !(math.Abs(r-1) <= 0.05) {
		t.Errorf("%.2f of the %.0f bytes are foretold", r, counted)
	}
}

// A run that does not fit is refused before it takes anything, with the figures and what to do.
func TestMemoryIsRefused(t *testing.T) {
	old := debug.SetMemoryLimit(512 << 20)
	defer debug.SetMemoryLimit(old)
	for _, sets := range [][]string{
		{"model.units=6000"}, {"model.units=1000000"},
		{"model.units=1000", "rule=bptt", "rule.steps=100000"},
		{"model=gru", "model.units=4000"},
	} {
		c := configured[float32](t, append([]string{"rule=implicit"}, sets...)...)
		before := held()
		_, err := New(c, Ours[float32]())
		var e *budget.Error
		var n *budget.CountError
		if !errors.As(err, &e) && !errors.As(err, &n) {
			t.Errorf("%v: %v", sets, err)
		}
		if e != nil && !(strings.Contains(err.Error(), "GOMEMLIMIT") && strings.Contains(err.Error(), "use fewer units")) {
			t.Errorf("%v: %v", sets, err)
		}
		if after := held(); after-before > 8<<20 {
			t.Errorf("%v: %.0f bytes are held", sets, after-before)
		}
	}
}

func TestStepsOverflow(t *testing.T) {
	for _, epochs := range []int{1 << 62, math.MaxInt, 1<<60 + 1} {
		c := configured[float32](t)
		c.Train.Epochs = epochs
		_, err := New(c, Ours[float32]())
		if err == nil || !strings.Contains(err.Error(), "epochs") || !strings.Contains(err.Error(), fmt.Sprint(epochs)) {
			t.Errorf("%d epochs: %v", epochs, err)
		}
	}
}
