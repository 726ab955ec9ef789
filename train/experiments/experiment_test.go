package experiments

import (
	"math"
	"testing"
)

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		is              Relation
		measured, bound float64
		holds           bool
	}{
		{Below, 1, 1, false}, {Below, 0.9, 1, true}, {AtMost, 1, 1, true}, {AtMost, 1.1, 1, false},
		{Above, 1, 1, false}, {Above, 1.1, 1, true}, {AtLeast, 1, 1, true}, {AtLeast, 0.9, 1, false},
		{Below, math.NaN(), 1, false}, {AtLeast, math.NaN(), 1, false}, {Above, math.Inf(1), 1, true},
	} {
		var r Result
		r.Bound("x", c.measured, c.is, c.bound, "a test")
		if r.Checks[0].Holds != c.holds {
			t.Errorf("%g %s %g: %v", c.measured, c.is, c.bound, !c.holds)
		}
	}
	var r Result
	r.Equal("within", 1.009, 1, 0.01, "a test")
	r.Equal("beyond", 1.011, 1, 0.01, "a test")
	r.Equal("nan", math.NaN(), 1, 0.01, "a test")
	if !r.Checks[0].Holds || r.Checks[1].Holds || r.Failed() != 2 {
		t.Errorf("%+v", r.Checks)
	}
}

// Progress counts every part once, whatever a piece says.
func TestWorkInParts(t *testing.T) {
	told := 0
	o := Options{Progress: func(done, total int, _ string) {
		if told++; done != told || total != 15 {
			t.Errorf("progress %d/%d after %d", done, total, told-1)
		}
	}}
	err := o.WorkInParts(t.Context(), 3, 5, func(i int, done func()) error {
		for range 4 * i { // 0, 4 and 8 of 5 parts
			done()
		}
		return nil
	}, func(int) string { return "" })
	if err != nil || told != 15 {
		t.Errorf("%d parts told, error %v", told, err)
	}
}
