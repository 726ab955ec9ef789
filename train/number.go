package train

import (
	"encoding/json"
	"math"
)

// Number is a float that JSON writes as null when it is not finite.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
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
