// Package halfprec reads floats of 16 bits.
package halfprec

import "math"

// F16 is the number of the binary16 format of IEEE 754-2008, 3.6: a sign, 5 bits of an exponent with
// the bias 15, and 10 bits of a fraction. Every one of them is a float32 and a float64.
func F16(bits uint16) float64 {
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)
	v := 0.0
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 0x1f:
		if v = math.Inf(1); fraction != 0 {
			return math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return v
}

// BF16 is the number of the format bfloat16: the upper half of a float32.
func BF16(bits uint16) float64 { return float64(math.Float32frombits(uint32(bits) << 16)) }
