package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// eachLevel runs test at every level that this processor offers.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	for _, level := range Levels() {
		t.Run("level="+level.String(), func(t *testing.T) {
			defer SetLevel(level)()
			test(t)
		})
	}
}

func typeName[T Float]() string {
	var zero T
	return fmt.Sprintf("%T", zero)
}

func normals[T Float](rng *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(rng.NormFloat64())
	}
	return x
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// sameBits tells numbers apart by sign of zero too, but takes all NaNs as one.
func sameBits[T Float](x, y T) bool {
	return x == y && math.Signbit(float64(x)) == math.Signbit(float64(y)) || x != x && y != y
}

// ulp is the error of got in units in the last place of want.
func ulp[T Float](got T, want float64) float64 {
	if float64(got) == want || got != got && want != want {
		return 0
	}
	digits, least := 23, -149
	if typeName[T]() == "float64" {
		digits, least = 52, -1074
	}
	_, exp := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exp-1-digits, least))
}
