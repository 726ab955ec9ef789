package options

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"attractor/internal/quote"
)

// kind is how a value is written as text.
type kind struct {
	name, plural string
	want         string // after "expected"
}

var (
	boolean  = kind{"true or false", "true or false", "true or false"}
	integer  = kind{"integer", "integers", "an integer"}
	number   = kind{"number", "numbers", "a number"}
	text     = kind{"text", "texts", "text"}
	duration = kind{"duration", "durations", "a duration such as 90s or 1h30m"}
)

// kindOf returns the kind of a type, or of its elements if it is a slice.
func kindOf(t reflect.Type) (k kind, list, ok bool) {
	if t.Kind() == reflect.Slice {
		k, nested, ok := kindOf(t.Elem())
		return k, true, ok && !nested
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return duration, false, true
	case t.Kind() == reflect.Bool:
		return boolean, false, true
	case t.Kind() == reflect.String:
		return text, false, true
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return number, false, true
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return integer, false, true
	}
	return kind{}, false, false
}

// isZero reports whether a value stands for the default: also -0 and every empty slice.
func isZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice:
		return v.Len() == 0
	case reflect.Float32, reflect.Float64:
		return v.Float() == 0
	}
	return v.IsZero()
}

// textsOf is the inverse of parse.
func textsOf(v reflect.Value) []string {
	if v.Kind() != reflect.Slice {
		return []string{textOf(v)}
	}
	texts := make([]string, v.Len())
	for i := range texts {
		texts[i] = textOf(v.Index(i))
	}
	return texts
}

func textOf(v reflect.Value) string {
	switch k, _, _ := kindOf(v.Type()); k {
	case duration:
		return time.Duration(v.Int()).String()
	case boolean:
		return strconv.FormatBool(v.Bool())
	case text:
		return v.String()
	case number:
		s := strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
		return strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e-").Replace(s)
	}
	if v.CanUint() {
		return strconv.FormatUint(v.Uint(), 10)
	}
	return strconv.FormatInt(v.Int(), 10)
}

// parse sets dst; its error is a *ValueError.
func (f Field) parse(dst reflect.Value, texts []string) error {
	if !f.List {
		return f.parseOne(dst, texts[0])
	}
	if len(texts) == 0 {
		dst.SetZero()
		return nil
	}
	list := reflect.MakeSlice(dst.Type(), len(texts), len(texts))
	for i, s := range texts {
		if err := f.parseOne(list.Index(i), s); err != nil {
			err.(*ValueError).Item = i
			return err
		}
	}
	dst.Set(list)
	return nil
}

func (f Field) parseOne(dst reflect.Value, s string) error {
	var bad *ValueError
	switch f.kind {
	case boolean:
		var b bool
		b, bad = parseBool(s)
		dst.SetBool(b)
	case text:
		if !utf8.ValidString(s) {
			bad = expected("text in UTF-8", s)
		}
		dst.SetString(s)
	case duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			bad = expected(duration.want, s)
		}
		dst.SetInt(int64(d))
	case number:
		var x float64
		x, bad = parseNumber(s, dst.Type())
		dst.SetFloat(x)
	case integer:
		bad = parseInteger(dst, s)
	}
	if bad != nil {
		return bad
	}
	if err := f.check(dst); err != nil {
		return err
	}
	if f.Choices != nil && !slices.Contains(f.Choices, textOf(dst)) {
		return unknownChoice(f, s)
	}
	return nil
}

func parseBool(s string) (bool, *ValueError) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	bad := expected(boolean.want, s)
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y", "t", "1":
		bad.Suggestion = "true"
	case "false", "no", "off", "n", "f", "0":
		bad.Suggestion = "false"
	}
	return false, bad
}

// Numbers are written as in the core schema of YAML 1.2.2, section 10.3.2.
var (
	decimal   = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	digits    = regexp.MustCompile(`^[-+]?[0-9]+$`)
	based     = regexp.MustCompile(`^(0x[0-9a-fA-F]+|0o[0-7]+)$`)
	notFinite = regexp.MustCompile(`^([-+]?\.?([iI]nf|INF|[iI]nfinity)|\.?(nan|NaN|NAN))$`)
)

func parseNumber(s string, t reflect.Type) (float64, *ValueError) {
	switch {
	case based.MatchString(s):
		n, err := strconv.ParseUint(s, 0, 53)
		if err != nil {
			return 0, expected("a number written in decimal", s)
		}
		s = strconv.FormatUint(n, 10)
	case notFinite.MatchString(s):
		return 0, expected("a finite number", s)
	case !decimal.MatchString(s):
		return 0, expected(number.want, s)
	}
	if bad := leadingZeros(s, number.want); bad != nil {
		return 0, bad
	}
	x, err := strconv.ParseFloat(s, t.Bits())
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	if err != nil || x == 0 && strings.ContainsAny(mantissa, "123456789") {
		return 0, expected(fmt.Sprintf("a number within the range of %s", t.Kind()), s)
	}
	return x, nil
}

// zeros are what a number begins with that was octal in YAML 1.1 and in C.
var zeros = regexp.MustCompile(`^([-+]?)0+([0-9].*)$`)

// leadingZeros refuses a number that is written like 010.
func leadingZeros(s, want string) *ValueError {
	m := zeros.FindStringSubmatch(s)
	if m == nil {
		return nil
	}
	bad := expected(want+" without leading zeros (0o10 is octal)", s)
	if decimal.MatchString(s) {
		bad.Suggestion = m[1] + m[2]
	}
	return bad
}

// Plain refuses what is written as no option may be: a number like 010 and, where true or false is
// expected, any other word. Its error is a *[ValueError].
func Plain(s string, truth bool) error {
	var bad *ValueError
	if truth {
		_, bad = parseBool(s)
	} else {
		bad = leadingZeros(s, number.want)
	}
	if bad != nil {
		return bad
	}
	return nil
}

// parseInteger also takes 3.0 and 1e3, whose value is an integer, as far as a float64
// has every integer.
func parseInteger(dst reflect.Value, s string) *ValueError {
	if bad := leadingZeros(s, integer.want); bad != nil {
		return bad
	}
	switch {
	case based.MatchString(s), digits.MatchString(s):
	case decimal.MatchString(s):
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(x) > 1<<53 {
			return expected("an integer written in digits", s)
		}
		if x != math.Trunc(x) {
			return expected(integer.want, s)
		}
		s = strconv.FormatFloat(x, 'f', 0, 64)
	default:
		return expected(integer.want, s)
	}
	bits := dst.Type().Bits()
	if dst.CanUint() {
		if strings.HasPrefix(s, "-") && strings.Trim(s, "-0") != "" {
			return expected("an integer that is not negative", s)
		}
		n, err := strconv.ParseUint(strings.TrimLeft(s, "+-"), 0, bits)
		if err != nil {
			return expected(fmt.Sprintf("an integer of at most %d", ^uint64(0)>>(64-bits)), s)
		}
		dst.SetUint(n)
		return nil
	}
	n, err := strconv.ParseInt(s, 0, bits)
	if err != nil {
		top := int64(1)<<(bits-1) - 1
		return expected(fmt.Sprintf("an integer from %d to %d", -top-1, top), s)
	}
	dst.SetInt(n)
	return nil
}

// expected makes an error; what was found is cut to a length that can be read.
func expected(want, found string) *ValueError {
	if !decimal.MatchString(found) && !based.MatchString(found) && !notFinite.MatchString(found) {
		found = quote.Name(found)
	} else {
		found = quote.Key(found)
	}
	return &ValueError{Msg: fmt.Sprintf("expected %s, found %s", want, found)}
}
