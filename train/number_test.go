package train

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// Infinite numbers are written as texts and read again; null, which they were written as once, is NaN.
func TestNumber(t *testing.T) {
	for _, c := range []struct {
		value float64
		text  string
	}{
		{1.5, "1.5"}, {-0.25, "-0.25"}, {math.Inf(1), `"inf"`}, {math.Inf(-1), `"-inf"`}, {math.NaN(), "null"}, {math.MaxFloat64, "1.7976931348623157e+308"},
	} {
		b, err := json.Marshal(Number(c.value))
		if err != nil || string(b) != c.text {
			t.Errorf("%g is written as %s, %v", c.value, b, err)
		}
		back := Number(7)
		if err := json.Unmarshal(b, &back); err != nil || float64(back) != c.value && !(math.IsNaN(float64(back)) && math.IsNaN(c.value)) {
			t.Errorf("%s is read as %g, %v", b, float64(back), err)
		}
	}
	b, err := json.Marshal(Complex(complex(math.Inf(-1), math.NaN())))
	if err != nil || string(b) != `["-inf",null]` {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range []string{`"-Infinity"`, `"1"`, `""`, `true`, `{}`} {
		var n Number
		if err := json.Unmarshal([]byte(bad), &n); err == nil {
			t.Errorf("%s is read as %g", bad, float64(n))
		} else if strings.HasPrefix(bad, `"`) && !strings.Contains(err.Error(), `"inf", "-inf" or null`) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
