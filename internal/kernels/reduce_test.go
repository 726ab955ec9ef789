package kernels

import (
	"math"
	"testing"
)

func TestReductions(t *testing.T) {
	t.Run("type=float32", func(t *testing.T) { eachLevel(t, testReductions[float32]) })
	t.Run("type=float64", func(t *testing.T) { eachLevel(t, testReductions[float64]) })
}

func testReductions[T Float](t *testing.T) {
	rng := newRand()
	for n := range 100 {
		all, other := normals[T](rng, n+1), normals[T](rng, n+1)
		x, y := all[1:], other[1:] // not at the start of an allocation
		var sum, dot, squares, distance, size, largest float64
		for i := range x {
			u, v := float64(x[i]), float64(y[i])
			sum += u
			dot += u * v
			squares += u * u
			distance += (u - v) * (u - v)
			size += 1 + u*u + v*v
			largest = max(largest, math.Abs(u))
		}
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"Sum", Sum(x), sum},
			{"Dot", Dot(x, y), dot},
			{"SumSquares", SumSquares(x), squares},
			{"SquaredDistance", SquaredDistance(x, y), distance},
			{"DistanceAndSquares", first(DistanceAndSquares(x, y)), distance},
			{"DistanceAndSquares", second(DistanceAndSquares(x, y)), squares},
		} {
			if !(math.Abs(c.got-c.want) <= 1e-14*size) {
				t.Fatalf("%s of %d: %v, want %v", c.name, n, c.got, c.want)
			}
		}
		if got := MaxAbs(x); float64(got) != largest {
			t.Fatalf("MaxAbs of %d: %v, want %v", n, got, largest)
		}
		if !AllFinite(x) {
			t.Fatalf("AllFinite of %d normals is false", n)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if n == 0 {
				break
			}
			i := rng.IntN(n)
			old := x[i]
			x[i] = T(bad)
			if AllFinite(x) {
				t.Fatalf("AllFinite of %d with %v at %d is true", n, bad, i)
			}
			if got := float64(MaxAbs(x)); !sameBits(got, math.Abs(bad)) {
				t.Fatalf("MaxAbs of %d with %v at %d: %v", n, bad, i, got)
			}
			x[i] = old
		}
	}
}

func first(x, _ float64) float64 { return x }

func second(_, x float64) float64 { return x }

// The sums have the same bits at every level, alone or together, and read nothing else.
func TestReductionsAgree(t *testing.T) {
	t.Run("type=float32", testReductionsAgree[float32])
	t.Run("type=float64", testReductionsAgree[float64])
}

func testReductionsAgree[T Float](t *testing.T) {
	const rows, ld = 12, 1009
	rng := newRand()
	x, y := normals[T](rng, ld), normals[T](rng, rows*ld)
	for i := range x {
		x[i] *= T(math.Ldexp(1, rng.IntN(60)-30)) // the order of the sum matters
	}
	x[70], y[70] = 0, T(math.NaN()) // a mask must not hide what is there
	all := func(n, i int) []float64 {
		x, y := x[i:i+n], y[i:]
		dots := make([]float64, 4+rows*(rows+1)/2)
		dots[0], dots[1] = Sum(x), SquaredDistance(x, y[ld:ld+n])
		dots[2], dots[3] = DistanceAndSquares(x, y[ld:ld+n])
		at := 4
		for k := range rows + 1 {
			Dots(dots[at:at+k], x, y, ld)
			at += k
		}
		return dots
	}
	single := func(n, i int) []float64 {
		x, y := x[i:i+n], y[i:]
		dots := []float64{Sum(x), SquaredDistance(x, y[ld:ld+n]), SquaredDistance(x, y[ld:ld+n]), SumSquares(x)}
		for k := range rows + 1 {
			for j := range k {
				dots = append(dots, Dot(x, y[j*ld:j*ld+n]))
			}
		}
		return dots
	}
	for n := range 100 {
		for _, length := range []int{n, ld - n} {
			i := rng.IntN(ld - length + 1)
			restore := SetLevel(Portable)
			want := single(length, i)
			restore()
			for _, level := range Levels() {
				restore := SetLevel(level)
				for _, got := range [][]float64{all(length, i), single(length, i)} {
					for j := range want {
						if !sameBits(got[j], want[j]) {
							t.Fatalf("level=%v n=%d, sum %d: %v, portable %v", level, length, j, got[j], want[j])
						}
					}
				}
				restore()
			}
		}
	}
}

func TestReductionAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	eachLevel(t, func(t *testing.T) {
		rng := newRand()
		x, y := normals[float32](rng, 100), normals[float32](rng, 600)
		dst, weights := make([]float64, 6), normals[float32](rng, 6)
		if n := testing.AllocsPerRun(20, func() {
			DistanceAndSquares(x, y[:100])
			Dots(dst, x, y, 100)
			Axpys(weights, y, 100, x)
			Combine(x, weights, y, 100)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestRowAndColumnSums(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		rng := newRand()
		const rows, cols, ld = 7, 150, 153
		x := normals[float32](rng, rows*ld)
		r, c := make([]float32, rows), make([]float32, cols)
		RowSums(r, rows, cols, x, ld)
		ColSums(c, rows, cols, x, ld)
		for i := range rows {
			if want := float32(Sum(x[i*ld : i*ld+cols])); r[i] != want {
				t.Errorf("row %d: %v, want %v", i, r[i], want)
			}
		}
		for j := range cols {
			want := 0.0
			for i := range rows {
				want += float64(x[i*ld+j])
			}
			if c[j] != float32(want) {
				t.Errorf("column %d: %v, want %v", j, c[j], want)
			}
		}
	})
}
