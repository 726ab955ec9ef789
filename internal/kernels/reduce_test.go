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
		} {
			if math.Abs(c.got-c.want) > 1e-14*size {
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

// The sums have the same bits at every level.
func TestReductionsAgree(t *testing.T) {
	rng := newRand()
	x, y := normals[float64](rng, 1003), normals[float64](rng, 1003)
	type sums struct{ sum, dot, squares, distance float64 }
	all := func() sums { return sums{Sum(x), Dot(x, y), SumSquares(x), SquaredDistance(x, y)} }
	restore := SetLevel(Portable)
	want := all()
	restore()
	eachLevel(t, func(t *testing.T) {
		if got := all(); got != want {
			t.Errorf("%+v, portable %+v", got, want)
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
