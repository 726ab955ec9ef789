package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// product is one gemm with room around its matrices.
type product[T Float] struct {
	tA, tB        bool
	m, n, k       int
	lda, ldb, ldc int
	a, b, c       []T
	beta          T
}

func newProduct[T Float](rng *rand.Rand, tA, tB bool, m, n, k, pad int, beta T) product[T] {
	g := product[T]{tA: tA, tB: tB, m: m, n: n, k: k, lda: k + pad, ldb: n + pad, ldc: n + pad, beta: beta}
	rowsA, rowsB := m, k
	if tA {
		rowsA, g.lda = k, m+pad
	}
	if tB {
		rowsB, g.ldb = n, k+pad
	}
	g.a = normals[T](rng, rowsA*g.lda)
	g.b = normals[T](rng, rowsB*g.ldb)
	g.c = normals[T](rng, m*g.ldc)
	if beta == 0 && m*n > 0 {
		g.c[0] = T(math.NaN())
	}
	return g
}

func (g product[T]) String() string {
	return fmt.Sprintf("tA=%v tB=%v [%d,%d]·[%d,%d] lda=%d ldb=%d ldc=%d beta=%v", g.tA, g.tB, g.m, g.k, g.k, g.n, g.lda, g.ldb, g.ldc, g.beta)
}

// compute returns C by Gemm, or by GemmPacked if packed is set.
func (g product[T]) compute(packed bool) []T {
	c := append([]T(nil), g.c...)
	if !packed {
		Gemm(g.tA, g.tB, g.m, g.n, g.k, g.a, g.lda, g.b, g.ldb, g.beta, c, g.ldc)
		return c
	}
	var p Packed[T]
	p.Pack(g.tB, g.k, g.n, g.b, g.ldb)
	GemmPacked(g.m, g.a, g.lda, &p, g.beta, c, g.ldc, nil)
	return c
}

// check compares c with the definition, in float64, and with the old C outside.
func (g product[T]) check(t *testing.T, c []T) {
	t.Helper()
	eps := float64(math.Nextafter32(1, 2) - 1)
	if typeName[T]() == "float64" {
		eps = math.Nextafter(1, 2) - 1
	}
	for i := range g.m {
		for j := range g.ldc {
			got, old := float64(c[i*g.ldc+j]), float64(g.c[i*g.ldc+j])
			if j >= g.n {
				if got != old {
					t.Fatalf("%v: wrote outside C at [%d,%d]", g, i, j)
				}
				continue
			}
			want, size := 0.0, 0.0
			if g.beta != 0 {
				want, size = float64(g.beta)*old, math.Abs(float64(g.beta)*old)
			}
			for p := range g.k {
				ia, ib := i*g.lda+p, p*g.ldb+j
				if g.tA {
					ia = p*g.lda + i
				}
				if g.tB {
					ib = j*g.ldb + p
				}
				v := float64(g.a[ia]) * float64(g.b[ib])
				want += v
				size += math.Abs(v)
			}
			if !(math.Abs(got-want) <= eps*float64(g.k+2)*size) {
				t.Fatalf("%v: C[%d,%d] = %v, want %v", g, i, j, got, want)
			}
		}
	}
}

func TestGemm(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testGemm[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testGemm[float64]) })
}

func testGemm[T Float](t *testing.T) {
	rng := newRand()
	for _, s := range [][3]int{{1, 1, 1}, {1, 33, 7}, {2, 5, 0}, {3, 64, 40}, {7, 1, 19}, {12, 32, 8}, {13, 31, 33}, {25, 70, 5}, {5, 17, 1100}, {2, 1100, 130}, {0, 3, 4}, {3, 0, 4}} {
		for _, beta := range []T{0, 1, -0.5} {
			for code := range 4 {
				g := newProduct(rng, code&1 != 0, code&2 != 0, s[0], s[1], s[2], 3*(code%3), beta)
				c := g.compute(false)
				g.check(t, c)
				if g.tA {
					continue
				}
				for i, v := range g.compute(true) {
					if !sameBits(v, c[i]) {
						t.Fatalf("%v: packed C[%d] = %v, unpacked %v", g, i, v, c[i])
					}
				}
			}
		}
	}
	for m := range 30 { // every height and width of a tile
		for n := range 70 {
			g := newProduct[T](rng, false, (m+n)%2 == 0, m, n, 3, m%2, 1)
			g.check(t, g.compute(true))
			g.check(t, g.compute(false))
		}
	}
}

// A row of C must have the same bits whichever rows are computed with it, and so
// must a column.
func TestGemmRowIndependence(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testRowIndependence[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testRowIndependence[float64]) })
}

func testRowIndependence[T Float](t *testing.T) {
	rng := newRand()
	const m, n, k = 29, 75, 700
	for code := range 4 {
		g := newProduct[T](rng, code&1 != 0, code&2 != 0, m, n, k, 1, 1)
		want := g.compute(false)
		step := g.lda
		if g.tA {
			step = 1
		}
		for range 12 {
			i, j := rng.IntN(m), rng.IntN(n)
			part := g
			part.m = 1 + rng.IntN(m-i)
			part.n = 1 + rng.IntN(n-j)
			part.a = g.a[i*step:]
			part.b = g.b[j:]
			if g.tB {
				part.b = g.b[j*g.ldb:]
			}
			part.c = g.c[i*g.ldc+j:]
			for _, packed := range []bool{false, true} {
				if packed && g.tA {
					continue
				}
				got := part.compute(packed)
				for r := range part.m {
					for s := range part.n {
						if !sameBits(got[r*g.ldc+s], want[(i+r)*g.ldc+j+s]) {
							t.Fatalf("%v: C[%d,%d] = %v alone, %v in [%d,%d]", part, r, s, got[r*g.ldc+s], want[(i+r)*g.ldc+j+s], m, n)
						}
					}
				}
			}
		}
	}
}

func TestGemmPackedDone(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand()
		for _, s := range [][3]int{{1, 1, 1}, {31, 45, 9}, {13, 400, 600}, {2, 3, 0}} {
			m, n, k := s[0], s[1], s[2]
			g := newProduct[float32](rng, false, true, m, n, k, 2, 0)
			want := g.compute(true)
			var p Packed[float32]
			p.Pack(true, k, n, g.b, g.ldb)
			c := append([]float32(nil), g.c...)
			GemmPacked(m, g.a, g.lda, &p, 0, c, g.ldc, func(i0, i1, j0, j1 int) {
				for i := i0; i < i1; i++ {
					row := c[i*g.ldc+j0 : i*g.ldc+j1]
					Neg(row, row)
				}
			})
			for i := range m {
				for j := range n {
					if at := i*g.ldc + j; c[at] != -want[at] {
						t.Fatalf("[%d,%d,%d]: C[%d,%d] = %v after done, want %v", m, n, k, i, j, c[at], -want[at])
					}
				}
			}
		}
	})
}

func TestGemmSpecialValues(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		a := []float32{0, 1, 0, 1} // 0·Inf is NaN and must show
		b := []float32{inf, 2, 3, 4}
		c := make([]float32, 4)
		Gemm(false, false, 2, 2, 2, a, 2, b, 2, 0, c, 2)
		want := []float32{float32(math.NaN()), 4, float32(math.NaN()), 4}
		for i := range c {
			if !sameBits(c[i], want[i]) {
				t.Errorf("C = %v, want %v", c, want)
			}
		}
	})
}

func TestPackedReuse(t *testing.T) {
	var p Packed[float64]
	b := make([]float64, 200*100)
	p.Pack(false, 200, 100, b, 100)
	size := p.Bytes()
	p.Pack(true, 30, 50, b, 30)
	if k, n := p.Dims(); k != 30 || n != 50 || p.Bytes() != size {
		t.Errorf("after a smaller Pack: [%d,%d] in %d bytes, want [30,50] in %d", k, n, p.Bytes(), size)
	}
}

func TestGemmAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools")
	}
	eachLevel(t, func(t *testing.T) {
		g := newProduct[float32](newRand(), false, true, 20, 40, 30, 0, 0)
		var p Packed[float32]
		p.Pack(true, 30, 40, g.b, 30)
		calls := 0
		done := func(int, int, int, int) { calls++ }
		if n := testing.AllocsPerRun(20, func() {
			Gemm(false, true, 20, 40, 30, g.a, 30, g.b, 30, 0, g.c, 40)
			p.Pack(true, 30, 40, g.b, 30)
			GemmPacked(20, g.a, 30, &p, 0, g.c, 40, done)
			Tanh(g.c, g.c)
			Add(g.c, g.c, g.c)
			SumSquares(g.c)
		}); n != 0 {
			t.Errorf("%v allocations, want 0", n)
		}
	})
}

func TestShapePanics(t *testing.T) {
	var p Packed[float32]
	p.Pack(false, 3, 4, make([]float32, 12), 4)
	x := make([]float32, 12)
	for name, f := range map[string]func(){
		"short A":    func() { Gemm(false, false, 4, 1, 4, x, 4, x, 1, 0, x, 1) },
		"narrow ldb": func() { Gemm(false, false, 1, 4, 3, x, 3, x, 3, 0, x, 4) },
		"short C":    func() { GemmPacked(4, x, 3, &p, 0, x, 4, nil) },
		"lengths":    func() { Add(x, x[:3], x) },
		"dot":        func() { Dot(x, x[:3]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// A matrix of zeros is not multiplied; that changes nothing, also where P is not finite.
func TestGemmPackedOfZeros(t *testing.T) {
	const m, n, k = 5, 40, 70
	for _, c := range []struct {
		name  string
		where int // of the only entry of A that is not 0
		last  float32
		in    float32 // an entry of P
	}{
		{"zeros", 0, 0, 1}, {"minus zero", 0, float32(math.Copysign(0, -1)), 1}, {"last entry", m*k - 1, 2, 1},
		{"infinity", 0, 0, float32(math.Inf(1))}, {"NaN", 0, 0, float32(math.NaN())},
	} {
		a, b := make([]float32, m*k), make([]float32, k*n)
		for i := range b {
			b[i] = float32(i%7) - 3
		}
		a[c.where], b[k*n-1] = c.last, c.in
		var p Packed[float32]
		p.Pack(false, k, n, b, n)
		for _, beta := range []float32{0, 1, 0.5} {
			got, want := make([]float32, m*n), make([]float32, m*n)
			for i := range got {
				got[i], want[i] = 3, 3*beta
				for q := range k {
					want[i] += a[i/n*k+q] * b[q*n+i%n]
				}
			}
			blocks := 0
			GemmPacked(m, a, k, &p, beta, got, n, func(i0, i1, j0, j1 int) { blocks += (i1 - i0) * (j1 - j0) })
			for i, v := range got {
				if v != want[i] && !(math.IsNaN(float64(v)) && math.IsNaN(float64(want[i]))) {
					t.Fatalf("%s, beta %g: C[%d] = %g, want %g", c.name, beta, i, v, want[i])
				}
			}
			if blocks != m*n {
				t.Fatalf("%s: %d entries of %d were finished", c.name, blocks, m*n)
			}
		}
	}
}
