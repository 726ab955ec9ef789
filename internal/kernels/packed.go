package kernels

import "unsafe"

// Packed is a right-hand operand P = op(B) [k,n] laid out for the micro-kernel:
// panels of a tile's width, each k rows deep, the last filled up with zeros. The
// zero value is a [0,0] operand. A Packed may be read by many goroutines at once.
type Packed[T Float] struct {
	level  Level
	k, n   int
	data   []T
	finite bool // no NaN and no infinity among the data
}

// Pack lays out op(B) [k,n], where op transposes if trans is set, reusing the
// memory of p. A row of the stored B is ldb elements after the one before. The
// layout is for the [Current] level; p keeps to that level.
func (p *Packed[T]) Pack(trans bool, k, n int, b []T, ldb int) {
	rows, cols := k, n
	if trans {
		rows, cols = n, k
	}
	checkMatrix("B", rows, cols, len(b), ldb)
	p.pack(Current(), trans, k, n, b, ldb)
	p.finite = AllFinite(p.data)
}

// Dims returns k and n.
func (p *Packed[T]) Dims() (k, n int) { return p.k, p.n }

// Bytes returns the memory that p holds.
func (p *Packed[T]) Bytes() int {
	var zero T
	return cap(p.data) * int(unsafe.Sizeof(zero))
}

func (p *Packed[T]) panels() panels[T] {
	_, nr := tileSize[T](p.level)
	return panels[T]{p.data, p.k * nr, nr}
}

func (p *Packed[T]) pack(level Level, trans bool, k, n int, b []T, ldb int) {
	_, nr := tileSize[T](level)
	p.level, p.k, p.n = level, k, n
	p.data = resizeAligned(p.data, (n+nr-1)/nr*nr*k)
	for j := 0; j < n; j += nr {
		w := min(nr, n-j)
		panel := p.data[j*k : (j+nr)*k]
		if trans {
			transpose(level, panel, nr, b[j*ldb:], ldb, w, k)
		}
		if w < nr {
			for q := range k {
				clear(panel[q*nr+w : q*nr+nr])
			}
		}
	}
	if trans {
		return
	}
	const rows = 16 // at a time, so that both sides stay within few pages
	for q0 := 0; q0 < k; q0 += rows {
		q1 := min(q0+rows, k)
		for j := 0; j < n; j += nr {
			w := min(nr, n-j)
			for q := q0; q < q1; q++ {
				copy(p.data[j*k+q*nr:j*k+q*nr+w], b[q*ldb+j:])
			}
		}
	}
}

// transpose computes dst[p,i] = src[i,p] for src [rows,cols].
func transpose[T Float](level Level, dst []T, ldd int, src []T, lds, rows, cols int) {
	size, done := transposeSize[T](level), 0
	for ; size > 0 && cols >= size && done+size <= rows; done += size {
		whole := cols / size * size
		transposeVector(dst[done:], ldd, src[done*lds:], lds, whole)
		for i := done; i < done+size; i++ {
			transposeRow(dst, whole*ldd+i, ldd, src[i*lds+whole:i*lds+cols])
		}
	}
	for i := done; i < rows; i++ {
		transposeRow(dst, i, ldd, src[i*lds:i*lds+cols])
	}
}

// transposeRow writes row to dst from the index at on, ldd apart.
func transposeRow[T Float](dst []T, at, ldd int, row []T) {
	for _, v := range row {
		dst[at] = v
		at += ldd
	}
}

// resizeAligned returns n elements, the first on a cache line, in the memory of s
// if they fit.
func resizeAligned[T Float](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	const line = 64
	var zero T
	size := int(unsafe.Sizeof(zero))
	s = make([]T, n+line/size)
	skip := -int(uintptr(unsafe.Pointer(&s[0]))) & (line - 1) / size
	return s[skip : skip+n]
}
