package kernels

import (
	"fmt"
	"unsafe"
)

// C is computed by tiles that fit in registers, see tileSize. Every level computes
// an element as one chain
//
//	s ← beta·C[i,j];  s ← s + op(A)[i,p]·op(B)[p,j] for p = 0, 1, …, k−1
//
// (each step fused at the vector levels, rounded twice at Portable), so its bits
// depend on nothing but row i, column j and beta: not on m, on n, on the
// element's place, or on how the loops are blocked. AVX2 and AVX512 agree.

// blockBytes is how much of B is used again and again before the next part: a
// common second-level cache.
const blockBytes = 1 << 20

// blockDepth is how many steps p one tile takes at a time, so that its rows of A
// stay in the first-level cache.
const blockDepth = 512

// fewRows is up to how many rows of C it does not pay to pack B.
const fewRows = 16

// Gemm computes C = beta·C + op(A)·op(B) for row-major C [m,n], op(A) [m,k] and
// op(B) [k,n], where op transposes if tA or tB is set. A row of the stored A, B
// and C is lda, ldb and ldc elements after the one before. With beta = 0 what C
// held is not read. C must not overlap A or B.
func Gemm[T Float](tA, tB bool, m, n, k int, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	aRows, aCols, rowStep, colStep := m, k, lda, 1
	if tA {
		aRows, aCols, rowStep, colStep = k, m, 1, lda
	}
	bRows, bCols := k, n
	if tB {
		bRows, bCols = n, k
	}
	checkMatrix("A", aRows, aCols, len(a), lda)
	checkMatrix("B", bRows, bCols, len(b), ldb)
	checkMatrix("C", m, n, len(c), ldc)
	if m == 0 || n == 0 {
		return
	}
	x := strided[T]{a, rowStep, colStep}
	level := Current()
	_, nr := tileSize[T](level)
	if !tB && m <= fewRows || k == 0 {
		multiply(level, m, n, k, x, panels[T]{b, nr, ldb}, beta, c, ldc, nil)
		return
	}
	work := takeWorkspace[T]()
	defer giveWorkspace(work)
	depth := min(k, blockDepth)
	width := blockWidth[T](depth, nr)
	for j := 0; j < n; j += width {
		w := min(width, n-j)
		factor := beta
		for p := 0; p < k; p += depth {
			d := min(depth, k-p)
			at := p*ldb + j
			if tB {
				at = j*ldb + p
			}
			work.b.pack(level, tB, d, w, b[at:], ldb)
			multiply(level, m, w, d, x.from(0, p), work.b.panels(), factor, c[j:], ldc, nil)
			factor = 1
		}
	}
}

// GemmPacked computes C = beta·C + A·P for row-major A [m,k] and C [m,n] and a
// packed operand P [k,n]; lda, ldc and beta are as for [Gemm]. C must not overlap
// A. If done is not nil it is called exactly once for each finished block
// C[i0:i1, j0:j1] while the block is in cache; the blocks tile C. done may change
// its block, and nothing else of C.
func GemmPacked[T Float](m int, a []T, lda int, p *Packed[T], beta T, c []T, ldc int, done func(i0, i1, j0, j1 int)) {
	checkMatrix("A", m, p.k, len(a), lda)
	checkMatrix("C", m, p.n, len(c), ldc)
	if m == 0 || p.n == 0 {
		return
	}
	k := p.k
	if p.finite && zeros(a, lda, m, k) {
		k = 0
	}
	multiply(p.level, m, p.n, k, strided[T]{a, lda, 1}, p.panels(), beta, c, ldc, done)
}

// zeros reports whether the matrix A [m,k] is zero, as the state is from which a network starts: its
// product with finite numbers needs no computing.
func zeros[T Float](a []T, lda, m, k int) bool {
	for i := range m {
		for _, v := range a[i*lda : i*lda+k] {
			if v != 0 {
				return false
			}
		}
	}
	return true
}

// strided is a matrix whose element [i,p] is data[i·rowStep + p·colStep].
type strided[T Float] struct {
	data             []T
	rowStep, colStep int
}

func (x strided[T]) from(i, p int) strided[T] {
	x.data = x.data[min(i*x.rowStep+p*x.colStep, len(x.data)):]
	return x
}

// panels is a matrix cut into panels of as many columns as a tile has: element
// [p,j] of panel q is data[q·panelStep + p·rowStep + j].
type panels[T Float] struct {
	data               []T
	panelStep, rowStep int
}

// multiply computes C = beta·C + A·B.
func multiply[T Float](level Level, m, n, k int, a strided[T], b panels[T], beta T, c []T, ldc int, done func(i0, i1, j0, j1 int)) {
	mr, nr := tileSize[T](level)
	if beta != 0 && beta != 1 {
		for i := range m {
			row := c[i*ldc : i*ldc+n]
			Scale(row, beta, row)
		}
	}
	var work *workspace[T]
	if m > 1 && n > 2*nr && a.collides() {
		work = takeWorkspace[T]()
		defer giveWorkspace(work)
	}
	width := blockWidth[T](k, nr)
	for j0 := 0; j0 < n; j0 += width {
		j1 := min(j0+width, n)
		for i0, left := 0, (m+mr-1)/mr; left > 0; left-- {
			i1 := i0 + (m-i0+left-1)/left // tiles of nearly equal height
			for p := 0; p == 0 || p < k; p += blockDepth {
				depth := min(blockDepth, k-p)
				x := a.from(i0, p)
				if work != nil {
					x = work.copy(x, i1-i0, depth)
				}
				for j := j0; j < j1; j += nr {
					y := b.data[min(j/nr*b.panelStep+p*b.rowStep, len(b.data)):]
					tile(level, i1-i0, min(nr, n-j), depth, x, y, b.rowStep, c[i0*ldc+j:], ldc, p > 0 || beta != 0)
				}
			}
			if done != nil {
				done(i0, i1, j0, j1)
			}
			i0 = i1
		}
	}
}

// blockWidth is the number of columns, a multiple of nr, whose part of B of the
// given depth fills blockBytes.
func blockWidth[T Float](depth, nr int) int {
	var zero T
	cols := blockBytes / (max(depth, 1) * int(unsafe.Sizeof(zero)))
	return max(cols/nr, 1) * nr
}

func checkMatrix(name string, rows, cols, length, ld int) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("kernels: %s has shape [%d,%d]", name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("kernels: leading dimension %d of %s [%d,%d] is less than its columns", ld, name, rows, cols))
	}
	if need := (rows-1)*ld + cols; length < need {
		panic(fmt.Sprintf("kernels: %s [%d,%d] with leading dimension %d needs %d elements, has %d", name, rows, cols, ld, need, length))
	}
}
