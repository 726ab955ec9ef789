package kernels

import (
	"sync"
	"unsafe"
)

// workspace is the memory of one running product.
type workspace[T Float] struct {
	b Packed[T] // a block of B
	a []T       // the rows of A for a row of tiles
}

// collides reports whether the rows of A that a tile reads at one time lie a
// multiple of 4 KiB apart, so that they push each other out of the first-level
// cache (or, where A is transposed, each needs its own page).
func (x strided[T]) collides() bool {
	var zero T
	return x.rowStep*x.colStep*int(unsafe.Sizeof(zero))%4096 == 0
}

// copy returns a copy of the first rows and cols of x, laid out densely.
func (w *workspace[T]) copy(x strided[T], rows, cols int) strided[T] {
	const pad = 16
	runs, length, step := rows, cols, x.rowStep
	if x.colStep != 1 {
		runs, length, step = cols, rows, x.colStep
	}
	stride := length + pad
	w.a = resizeAligned(w.a, runs*stride)
	for i := range runs {
		copy(w.a[i*stride:i*stride+length], x.data[i*step:])
	}
	if x.colStep != 1 {
		return strided[T]{w.a, 1, stride}
	}
	return strided[T]{w.a, stride, 1}
}

var workspaces32, workspaces64 sync.Pool

func workspaces[T Float]() *sync.Pool {
	var zero T
	if unsafe.Sizeof(zero) == 4 {
		return &workspaces32
	}
	return &workspaces64
}

func takeWorkspace[T Float]() *workspace[T] {
	if w, ok := workspaces[T]().Get().(*workspace[T]); ok {
		return w
	}
	return new(workspace[T])
}

func giveWorkspace[T Float](w *workspace[T]) { workspaces[T]().Put(w) }
