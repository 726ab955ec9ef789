package train

import (
	"encoding/json"
	"fmt"
	"math"
)

// Number is a float that JSON writes as the texts "inf" and "-inf" when it is infinite, which float() of Python
// reads, and as null when it is NaN: what is not known, or not defined.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	switch v := float64(n); {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-inf"`), nil
	default:
		return json.Marshal(v)
	}
}

// UnmarshalJSON implements json.Unmarshaler. null is NaN, as what is infinite was once written too.
func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null":
		*n = Number(math.NaN())
	case `"inf"`:
		*n = Number(math.Inf(1))
	case `"-inf"`:
		*n = Number(math.Inf(-1))
	default:
		if len(b) > 0 && b[0] == '"' {
			return fmt.Errorf(`expected a number, "inf", "-inf" or null, found %s`, b)
		}
		return json.Unmarshal(b, (*float64)(n))
	}
	return nil
}

// Complex is a complex number that JSON writes as [real, imaginary].
type Complex complex128

// MarshalJSON implements json.Marshaler.
func (c Complex) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]Number{Number(real(c)), Number(imag(c))})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Complex) UnmarshalJSON(b []byte) error {
	var parts [2]Number
	err := json.Unmarshal(b, &parts)
	*c = Complex(complex(parts[0], parts[1]))
	return err
}
