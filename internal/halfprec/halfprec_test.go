package halfprec

import (
	"math"
	"testing"
)

// The values are those of numpy's float16 and of ml_dtypes' bfloat16.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name string
		got  float64
		want float64
	}{
		{"f16 one", F16(0x3c00), 1},
		{"f16 minus two", F16(0xc000), -2},
		{"f16 largest", F16(0x7bff), 65504},
		{"f16 third", F16(0x3555), 0.333251953125},
		{"f16 smallest normal", F16(0x0400), math.Ldexp(1, -14)},
		{"f16 smallest", F16(0x0001), math.Ldexp(1, -24)},
		{"f16 largest subnormal", F16(0x03ff), math.Ldexp(1023, -24)},
		{"f16 infinity", F16(0xfc00), math.Inf(-1)},
		{"bf16 one", BF16(0x3f80), 1},
		{"bf16 pi", BF16(0x4049), 3.140625},
		{"bf16 largest", BF16(0x7f7f), 3.3895313892515355e38},
		{"bf16 smallest", BF16(0x0001), math.Ldexp(1, -133)},
	} {
		if math.Float64bits(c.got) != math.Float64bits(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if v := F16(0x8000); v != 0 || !math.Signbit(v) {
		t.Errorf("minus zero is %v", v)
	}
	if !math.IsNaN(F16(0x7e01)) || !math.IsNaN(BF16(0x7fc0)) {
		t.Error("NaN is a number")
	}
}
