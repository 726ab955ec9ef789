package rng

import (
	"math"
	"testing"
)

// log agrees with math.Log to the unit in the last place that the latter may be off.
func TestLog(t *testing.T) {
	r := NewNumPy(1)
	for range 20000 {
		s := math.Ldexp(1-r.Float64(), -int(r.Uint32()%60))
		if got, near := log(s), math.Log(s); !(math.Abs(got-near) <= 0x1p-52*math.Abs(near)) {
			t.Fatalf("log(%v) = %v, math.Log has %v", s, got, near)
		}
	}
	// log(10) and log(1 − 2⁻⁵³), rounded from their decimal expansions
	for s, want := range map[float64]float64{10: 2.302585092994045684, 1 - 0x1p-53: -1.1102230246251566e-16, 1: 0} {
		if got := log(s); got != want {
			t.Errorf("log(%v) = %v, want %v", s, got, want)
		}
	}
}
