package npz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// magic is how the header of an array begins.
const magic = "\x93NUMPY"

// Header is what is known of an array before it is read.
type Header struct {
	Type    string // numpy's name of the type of its elements, such as <f8
	Shape   []int  // no dimensions for a single number
	Fortran bool   // columns lie one after the other in the file
}

// Len is the number of elements.
func (h Header) Len() int {
	n := 1
	for _, s := range h.Shape {
		n *= s
	}
	return n
}

// The bounds of numpy: numpy.load's max_header_size, and NPY_MAXDIMS.
const (
	maxHeader     = 10000
	maxDimensions = 64
)

var errHeader = errors.New("expected the header of a numpy array, found something else")

// readHeader reads the header of an array as numpy.lib.format does: the magic, a version from 1.0
// to 3.0, the length of a dictionary in Latin-1 or, from 3.0, UTF-8, and that dictionary, which has
// the keys descr, fortran_order and shape. It returns how long the header is. What descr says is
// left to [elementType] where it is text.
func readHeader(r io.Reader) (h Header, length int, err error) {
	fail := func(cause error) (Header, int, error) {
		return Header{}, 0, fmt.Errorf("%w: %w", errHeader, cause)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(r, head[:8]); err != nil || string(head[:6]) != magic {
		return Header{}, 0, errHeader
	}
	version, size := head[6], 2
	if version < 1 || version > 3 || head[7] != 0 {
		return fail(fmt.Errorf("version %d.%d, of which 1.0, 2.0 and 3.0 are known", version, head[7]))
	}
	if version > 1 {
		size = 4
	}
	if _, err := io.ReadFull(r, head[8:8+size]); err != nil {
		return Header{}, 0, errHeader
	}
	n := uint32(binary.LittleEndian.Uint16(head[8:]))
	if version > 1 {
		n = binary.LittleEndian.Uint32(head[8:])
	}
	if n > maxHeader {
		return fail(fmt.Errorf("expected at most %d bytes, found %d", maxHeader, n))
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fail(fmt.Errorf("expected %d bytes: %w", n, err))
	}
	if version == 3 && !utf8.Valid(text) {
		return fail(errors.New("expected UTF-8"))
	}
	v, err := parseLiteral(string(text), version < 3)
	if err != nil {
		return fail(err)
	}
	if h, err = headerOf(v); err != nil {
		return fail(err)
	}
	return h, 8 + size + int(n), nil
}

// headerOf makes a header of the dictionary in it.
func headerOf(v any) (h Header, err error) {
	keys := []string{"descr", "fortran_order", "shape"}
	d, ok := v.(map[string]any)
	if !ok || !slices.Equal(slices.Sorted(maps.Keys(d)), keys) {
		return h, fmt.Errorf("expected a dictionary with the keys %s", strings.Join(keys, ", "))
	}
	if h.Fortran, ok = d["fortran_order"].(bool); !ok {
		return h, errors.New("fortran_order: expected True or False")
	}
	shape, ok := d["shape"].(tuple)
	if !ok || len(shape) > maxDimensions {
		return h, fmt.Errorf("shape: expected a tuple of at most %d whole numbers", maxDimensions)
	}
	for _, n := range shape {
		n, ok := n.(int64)
		if !ok || int64(int(n)) != n {
			return h, errors.New("shape: expected whole numbers")
		}
		h.Shape = append(h.Shape, int(n))
	}
	switch t := d["descr"].(type) {
	case string:
		h.Type = elementType(t)
	case nil:
		return h, errors.New("descr: expected a type, found None")
	default:
		h.Type = structured
	}
	return h, nil
}

// structured stands for a type of several fields or of arrays.
const structured = "structured"

// codes are numpy's types by their letters and names, on a machine of 64 bits that is no Windows.
var codes = map[string]string{
	"?": "b1", "b": "i1", "B": "u1", "h": "i2", "H": "u2", "i": "i4", "I": "u4", "l": "i8", "L": "u8", "q": "i8", "Q": "u8",
	"p": "i8", "P": "u8", "n": "i8", "N": "u8", "e": "f2", "f": "f4", "d": "f8", "g": "f16",
}

var typeNames = map[string]string{
	"bool": "b1", "bool_": "b1", "byte": "i1", "int8": "i1", "ubyte": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
	"uint16": "u2", "intc": "i4", "int32": "i4", "uintc": "u4", "uint32": "u4", "int": "i8", "int_": "i8", "long": "i8", "longlong": "i8",
	"intp": "i8", "int64": "i8", "uint": "u8", "ulong": "u8", "ulonglong": "u8", "uintp": "u8", "uint64": "u8",
	"half": "f2", "float16": "f2", "single": "f4", "float32": "f4", "float": "f8", "double": "f8", "float64": "f8", "longdouble": "f16",
}

// elementType is the name that numpy.dtype(descr).str has, such as <f8 for d, =f8, |f8 and float64, or
// descr where it is no number, or none that numpy knows.
func elementType(descr string) string {
	if code := typeNames[descr]; code != "" {
		return ordered("", code)
	}
	order, code := "", descr
	if descr != "" && strings.ContainsAny(descr[:1], "<>=|") {
		order, code = descr[:1], descr[1:]
	}
	switch {
	case codes[code] != "":
		return ordered(order, codes[code])
	case code == "" || !strings.ContainsAny(code[:1], "biuf"):
		return descr
	}
	size, err := strconv.ParseUint(strings.TrimLeft(code[1:], " "), 10, 16) // f 4 and f04 are f4
	if code = fmt.Sprintf("%s%d", code[:1], size); err != nil || elements[code].size == 0 && code != "f16" {
		return descr
	}
	return ordered(order, code)
}

// ordered puts the order of the bytes before a type.
func ordered(order, code string) string {
	switch {
	case strings.HasSuffix(code, "1"):
		return "|" + code // of one byte
	case order == ">":
		return order + code
	}
	return "<" + code
}
