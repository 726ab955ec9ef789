package tasks

import (
	"fmt"

	"attractor/internal/kernels"
	"attractor/internal/rng"
)

// Batch is some samples in the precision of training.
type Batch[T kernels.Float] struct {
	Rows   []int   // which samples of the split
	X      []T     // [len(Rows), Inputs]
	Labels []int32 // [len(Rows)], or nil
	Y      []T     // [len(Rows), Outputs], or nil
}

// Gather fills b with the given rows of s. It keeps b's memory where that is enough,
// and refers to rows without copying it.
func (b *Batch[T]) Gather(s Split, rows []int) {
	b.Rows, b.X = rows, b.X[:0]
	for _, r := range rows {
		b.X = appendRow(b.X, s, r)
	}
	b.Y = gather(b.Y, s.Y, s.N, rows)
	if s.Labels == nil {
		b.Labels = nil
		return
	}
	b.Labels = b.Labels[:0]
	for _, r := range rows {
		b.Labels = append(b.Labels, s.Labels[r])
	}
}

func gather[T kernels.Float](dst []T, src []float64, n int, rows []int) []T {
	if src == nil {
		return nil
	}
	w := width(src, n)
	dst = dst[:0]
	for _, r := range rows {
		for _, x := range src[r*w : (r+1)*w] {
			dst = append(dst, T(x))
		}
	}
	return dst
}

// Batches walks over a split in batches of Size samples; the last one of an epoch holds
// what is left. The order of an epoch depends on the seed and the epoch alone, so a run
// that is resumed in the middle of an epoch goes on as if it had not stopped.
type Batches[T kernels.Float] struct {
	split Split
	size  int
	seed  uint64
	epoch int // whose order it is; -1 for the order of the split
	order []int
	batch Batch[T]
}

// NewBatches returns the batches of a split. A size above the number of samples means
// all of them at once.
func NewBatches[T kernels.Float](s Split, size int, seed uint64) (*Batches[T], error) {
	if s.N < 1 {
		return nil, fmt.Errorf("tasks: batches of an empty split")
	}
	if size < 1 {
		return nil, fmt.Errorf("tasks: expected a batch size of at least 1, found %d", size)
	}
	size = min(size, s.N)
	b := &Batches[T]{split: s, size: size, seed: seed, order: make([]int, s.N)}
	b.batch.X = make([]T, 0, size*s.Inputs())
	b.batch.Y = make([]T, 0, size*width(s.Y, s.N))
	b.batch.Labels = make([]int32, 0, size)
	b.reorder(-1)
	return b, nil
}

// Len is the number of batches of an epoch.
func (b *Batches[T]) Len() int { return (b.split.N + b.size - 1) / b.size }

// Size is the number of samples of every batch but the last.
func (b *Batches[T]) Size() int { return b.size }

// At returns batch k, from 0 to Len()-1, of an epoch, counted from 0, in which the
// samples are in random order. The batch is valid until the next call.
func (b *Batches[T]) At(epoch, k int) *Batch[T] {
	if epoch < 0 {
		panic(fmt.Sprintf("tasks: epoch %d, expected at least 0", epoch))
	}
	return b.at(epoch, k)
}

// InOrder returns batch k of the samples in the order of the split. The batch is valid
// until the next call.
func (b *Batches[T]) InOrder(k int) *Batch[T] { return b.at(-1, k) }

func (b *Batches[T]) at(epoch, k int) *Batch[T] {
	if k < 0 || k >= b.Len() {
		panic(fmt.Sprintf("tasks: batch %d of %d", k, b.Len()))
	}
	if epoch != b.epoch {
		b.reorder(epoch)
	}
	b.batch.Gather(b.split, b.order[k*b.size:min((k+1)*b.size, b.split.N)])
	return &b.batch
}

func (b *Batches[T]) reorder(epoch int) {
	for i := range b.order {
		b.order[i] = i
	}
	if epoch >= 0 {
		rng.Stream(b.seed, "batches", uint64(epoch)).Shuffle(len(b.order), func(i, j int) {
			b.order[i], b.order[j] = b.order[j], b.order[i]
		})
	}
	b.epoch = epoch
}
