package tasks

import (
	"fmt"

	"attractor/internal/kernels"
	"attractor/train/kit"
)

// Batch is some samples in the precision of training. Trials come step by step: the
// dimension for the steps stands before that for the rows.
type Batch[T kernels.Float] struct {
	Rows   []int   // which samples of the split
	Steps  int     // of every trial; 0 when a sample is one input
	X      []T     // [len(Rows), Inputs], or [Steps, len(Rows), Inputs]
	Labels []int32 // [len(Rows)], or [Steps, len(Rows)], or nil
	Y      []T     // [len(Rows), Outputs], or [Steps, len(Rows), Outputs], or nil

	Weights []T    // [Steps, len(Rows)], or nil for 1 everywhere
	Scored  []bool // [Steps, len(Rows)], or nil for all of weight above 0
}

// Gather fills b with the given rows of s. It keeps b's memory where that is enough,
// and refers to rows without copying it.
func (b *Batch[T]) Gather(s Split, rows []int) {
	b.Rows, b.Steps, b.X = rows, s.Steps, b.X[:0]
	for t := range s.steps() {
		for _, r := range rows {
			b.X = appendStep(b.X, s, r, t)
		}
	}
	cast := func(y float64) T { return T(y) }
	b.Y = gather(b.Y, s.Y, s, rows, cast)
	b.Labels = gather(b.Labels, s.Labels, s, rows, same)
	b.Weights = gather(b.Weights, s.Weights, s, rows, cast)
	b.Scored = gather(b.Scored, s.Scored, s, rows, same)
}

// IsScored reports whether accuracy is taken at step t of the trial in row i.
func (b *Batch[T]) IsScored(t, i int) bool {
	k := t*len(b.Rows) + i
	if b.Scored == nil {
		return b.Weights == nil || b.Weights[k] > 0
	}
	return b.Scored[k]
}

// gather fills dst with the given rows of an array of s, step by step.
func gather[E, F any](dst []F, src []E, s Split, rows []int, convert func(E) F) []F {
	if src == nil {
		return nil
	}
	steps := s.steps()
	w := width(src, s.N*steps)
	dst = dst[:0]
	for t := range steps {
		for _, r := range rows {
			for _, x := range src[(r*steps+t)*w : (r*steps+t+1)*w] {
				dst = append(dst, convert(x))
			}
		}
	}
	return dst
}

func same[E any](x E) E { return x }

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
	b.batch.X = make([]T, 0, size*s.steps()*s.Inputs())
	b.batch.Y = make([]T, 0, size*width(s.Y, s.N))
	b.batch.Labels = make([]int32, 0, size*width(s.Labels, s.N))
	b.batch.Weights = make([]T, 0, size*width(s.Weights, s.N))
	b.batch.Scored = make([]bool, 0, size*width(s.Scored, s.N))
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
		kit.Stream(b.seed, "batches", uint64(epoch)).Shuffle(len(b.order), func(i, j int) {
			b.order[i], b.order[j] = b.order[j], b.order[i]
		})
	}
	b.epoch = epoch
}
