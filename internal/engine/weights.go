package engine

import (
	"sync"

	"attractor/internal/kernels"
)

// Weights are parameters packed for products, to be shared by programs that are bound to the same
// memory. Each is packed once after every change, by the first program that needs it. The zero
// value is ready to use; several programs may run at once.
type Weights[T kernels.Float] struct {
	mu      sync.Mutex
	version uint64
	packs   map[weight[T]]*sharedPack[T]
}

// weight identifies a packed parameter by its memory.
type weight[T kernels.Float] struct {
	data  *T
	trans bool
	k, n  int
}

type sharedPack[T kernels.Float] struct {
	packed  kernels.Packed[T]
	version uint64 // that it was packed at, plus one
}

// Changed says that the parameters have changed. No program that shares them may be running.
func (w *Weights[T]) Changed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
}

// Bytes returns the memory of the packed parameters.
func (w *Weights[T]) Bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.packs {
		n += p.packed.Bytes()
	}
	return n
}

// pack returns data, or its transpose, packed as [k, n].
func (w *Weights[T]) pack(trans bool, k, n int, data []T, ld int) *kernels.Packed[T] {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := weight[T]{&data[0], trans, k, n}
	p := w.packs[key]
	if p == nil {
		p = new(sharedPack[T])
		if w.packs == nil {
			w.packs = make(map[weight[T]]*sharedPack[T])
		}
		w.packs[key] = p
	}
	if p.version != w.version+1 {
		p.packed.Pack(trans, k, n, data, ld)
		p.version = w.version + 1
	}
	return &p.packed
}
