package tasks

import (
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/internal/kernels"
	"attractor/internal/rng"
)

func TestBatches(t *testing.T) {
	t.Run("float32", testBatches[float32])
	t.Run("float64", testBatches[float64])
}

func testBatches[T kernels.Float](t *testing.T) {
	for _, task := range []Task{Linear{Inputs: 3, Outputs: 2, Train: 23, Test: 1}, Blobs{Train: 23, Test: 4}} {
		d, err := task.Load(5)
		if err != nil {
			t.Fatal(err)
		}
		s := d.Train
		for _, size := range []int{1, 5, 23, 100} {
			b, err := NewBatches[T](s, size, 9)
			if err != nil {
				t.Fatal(err)
			}
			var orders [3][]int
			for epoch := range orders {
				for k := range b.Len() {
					batch := b.At(epoch, k)
					if k < b.Len()-1 && len(batch.Rows) != b.Size() {
						t.Fatalf("batch %d of %d has %d samples, want %d", k, b.Len(), len(batch.Rows), b.Size())
					}
					checkBatch(t, d, s, batch)
					orders[epoch] = append(orders[epoch], batch.Rows...)
				}
			}
			every := slices.Sorted(slices.Values(orders[0]))
			for i, r := range every {
				if i != r || len(every) != s.N {
					t.Fatalf("size %d: the epoch does not visit every sample once: %v", size, every)
				}
			}
			if slices.Equal(orders[0], orders[1]) || slices.Equal(orders[1], orders[2]) {
				t.Errorf("size %d: two epochs in the same order", size)
			}
			// Resumed: any batch of any epoch, asked for first.
			c, err := NewBatches[T](s, size, 9)
			if err != nil {
				t.Fatal(err)
			}
			k := b.Len() / 2
			if got, want := c.At(2, k).Rows, orders[2][k*c.Size():min(s.N, (k+1)*c.Size())]; !slices.Equal(got, want) {
				t.Errorf("size %d: resumed with %v, want %v", size, got, want)
			}
			if got := c.InOrder(k); got.Rows[0] != k*c.Size() || !slices.IsSorted(got.Rows) {
				t.Errorf("size %d: rows %v of batch %d in order", size, got.Rows, k)
			}
		}
	}
}

func checkBatch[T kernels.Float](t *testing.T, d *Dataset, s Split, b *Batch[T]) {
	t.Helper()
	for i, r := range b.Rows {
		for j := range d.Inputs {
			if b.X[i*d.Inputs+j] != T(s.X[r*d.Inputs+j]) {
				t.Fatalf("x[%d, %d] is not that of row %d", i, j, r)
			}
		}
		if d.Kind == Classification {
			if b.Y != nil || b.Labels[i] != s.Labels[r] {
				t.Fatalf("label %d is not that of row %d", i, r)
			}
			continue
		}
		for j := range d.Outputs {
			if b.Labels != nil || b.Y[i*d.Outputs+j] != T(s.Y[r*d.Outputs+j]) {
				t.Fatalf("y[%d, %d] is not that of row %d", i, j, r)
			}
		}
	}
}

func TestBatchesErrors(t *testing.T) {
	d, err := Blobs{}.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewBatches[float32](d.Train, 0, 0); err == nil {
		t.Error("no error for batches of no samples")
	}
	if _, err := NewBatches[float32](Split{}, 1, 0); err == nil {
		t.Error("no error for an empty split")
	}
}

func TestBatchesDoNotAllocate(t *testing.T) {
	d, err := Linear{}.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBatches[float32](d.Train, 32, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := 0
	if n := testing.AllocsPerRun(20, func() { b.InOrder(k % b.Len()); k++ }); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

// Largest remainders by hand: 3 of 10 to hold out of classes of 5, 4 and 1 is 1.5, 1.2
// and 0.3; rounded down 1, 1, 0, and the largest remainder, 0.5, gives one more.
func TestStratify(t *testing.T) {
	labels := []int32{0, 1, 0, 1, 0, 1, 0, 1, 0, 2}
	keep, held := stratify(10, labels, 3, 3, func(class int) *rand.Rand { return rng.Stream(0, "test", uint64(class)) })
	var took [3]int
	for _, i := range held {
		took[labels[i]]++
	}
	if took != [3]int{2, 1, 0} {
		t.Errorf("held out %v per class, want [2 1 0]", took)
	}
	if !slices.IsSorted(keep) || !slices.IsSorted(held) || len(keep) != 7 {
		t.Errorf("kept %v, held out %v", keep, held)
	}
	for _, i := range held {
		if slices.Contains(keep, i) {
			t.Errorf("sample %d is in both parts", i)
		}
	}
}
