package options

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Bound is the largest value that an integer may have, and why: a count beyond it is a slip of the
// hand, which would end in exhausted memory or in a sum that overflows. The zero value is no bound.
type Bound struct {
	Max    int64
	Reason string // after "at most N: "
}

// boundOf reads the tag max, "1e6: every state is kept".
func boundOf(tag string) (Bound, error) {
	number, reason, ok := strings.Cut(tag, ":")
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if reason = strings.TrimSpace(reason); err != nil || !ok || reason == "" || !(x >= 1 && x <= 1<<53) || x != math.Trunc(x) {
		return Bound{}, fmt.Errorf(`max %q: expected a positive integer and a reason, as in "1000: every state is kept"`, tag)
	}
	return Bound{int64(x), reason}, nil
}

// String is "at most 1000: every state is kept", or nothing.
func (b Bound) String() string {
	if b.Max == 0 {
		return ""
	}
	return fmt.Sprintf("at most %d: %s", b.Max, b.Reason)
}

// Check reports a value beyond the bound, as a *[ValueError].
func (b Bound) Check(n int64) error {
	return b.check(n > b.Max, strconv.FormatInt(n, 10))
}

func (b Bound) check(beyond bool, found string) error {
	if b.Max == 0 || !beyond {
		return nil
	}
	return &ValueError{Msg: fmt.Sprintf("expected an integer of at most %d (%s), found %s", b.Max, b.Reason, found)}
}

// Check reports the first option of the struct v, or of the one it points to, that is beyond its
// bound or not finite. [Field.Set] refuses such values; Check is for those that were given in code
// or by a flag. The error names the option's key and wraps a *[ValueError].
func Check(v any) error {
	s := structOf(v)
	for _, f := range Fields(v) {
		value := s.FieldByIndex(f.index)
		elements := []reflect.Value{value}
		if f.List {
			elements = elements[:0]
			for i := range value.Len() {
				elements = append(elements, value.Index(i))
			}
		}
		for i, e := range elements {
			if err := f.check(e); err != nil {
				err.(*ValueError).Item = i
				return fmt.Errorf("%s: %w", f.Key, err)
			}
		}
	}
	return nil
}

// check reports one value that is beyond the bound or not finite.
func (f Field) check(v reflect.Value) error {
	switch {
	case f.kind == number:
		return Finite(v.Float())
	case f.kind == integer && v.CanInt():
		return f.Bound.Check(v.Int())
	case f.kind == integer:
		return f.Bound.check(v.Uint() > uint64(f.Bound.Max), strconv.FormatUint(v.Uint(), 10))
	}
	return nil
}

// Finite reports a number that is NaN or infinite, as a *[ValueError].
func Finite(x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return &ValueError{Msg: fmt.Sprintf("expected a finite number, found %v", x)}
	}
	return nil
}
