// Package npz reads arrays of numbers from the .npz archives that numpy.savez and
// numpy.savez_compressed write (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
// It takes the headers that numpy.load takes, and checks before anything is allocated: lengths
// against the archive's directory, shapes that fit an int, repeated names, arrays that are cut off.
// Elements are floats of 2, 4 or 8 bytes, integers or booleans, in either order of their bytes.
// Errors are of type *Error and say where, what was expected and what was found.
package npz

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"attractor/internal/budget"
	"attractor/internal/halfprec"
	"attractor/internal/quote"
	"attractor/internal/regular"
)

// Array is an array of numbers. Its rows lie one after the other, however they are in the file.
type Array struct {
	Header
	Data []float64
}

// File is an open archive.
type File struct {
	path    string
	file    *os.File // nil for an archive in memory
	names   []string
	members map[string]*zip.File
	reader  *lastRead
}

// Error says which archive, or array in it, cannot be used and why.
type Error struct {
	Path            string
	Array           string // empty when the error is not about one array
	Expected, Found string
	Hint            string // what to do
	Err             error  // the cause, if another error is
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("npz: ")
	if e.Path != "" {
		b.WriteString(quote.Path(e.Path) + ": ")
	}
	if e.Array != "" {
		fmt.Fprintf(&b, "array %s: ", quote.Name(e.Array))
	}
	if e.Expected != "" {
		fmt.Fprintf(&b, "expected %s, found %s", e.Expected, e.Found)
	}
	if e.Err != nil {
		if e.Expected != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Open opens an archive and reads its directory.
func Open(path string) (*File, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, &Error{Err: err} // which names the path
	}
	f, err := open(path, file)
	if err != nil {
		file.Close()
	}
	return f, err
}

func open(path string, file *os.File) (*File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	f, err := newFile(path, file, info.Size())
	if f != nil {
		f.file = file
	}
	return f, err
}

const archive = "a zip archive as numpy.savez writes it"

func newFile(path string, r io.ReaderAt, size int64) (*File, error) {
	at := &lastRead{ReaderAt: r}
	z, err := zip.NewReader(at, size)
	if err != nil {
		e := &Error{Path: path, Expected: archive, Found: describe(r, size)}
		if string(head(r, 6)) == magic {
			e.Hint = "save it with numpy.savez, each array by its name"
		}
		return nil, e
	}
	f := &File{path: path, members: map[string]*zip.File{}, reader: at}
	for _, m := range z.File {
		if err := checkVersion(m); err != nil {
			return nil, &Error{Path: path, Array: m.Name, Err: err}
		}
		if strings.HasSuffix(m.Name, "/") {
			continue
		}
		name := strings.TrimSuffix(m.Name, ".npy")
		if f.members[name] != nil {
			return nil, &Error{Path: path, Array: name, Expected: "one array of that name", Found: "two"}
		}
		f.members[name] = m
		f.names = append(f.names, name)
	}
	return f, nil
}

func head(r io.ReaderAt, n int) []byte {
	b := make([]byte, n)
	n, _ = r.ReadAt(b, 0)
	return b[:n]
}

// describe says what a file that is no archive looks like.
func describe(r io.ReaderAt, size int64) string {
	switch b := head(r, 6); {
	case size == 0:
		return "an empty file"
	case string(b) == magic:
		return "a single array (.npy)"
	case bytes.HasPrefix(b, []byte("PK")):
		return "one that is cut off or damaged"
	default:
		return fmt.Sprintf("a file that begins with %q", b)
	}
}

// Close closes the archive.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// Names are the names of the arrays, as they come in the archive.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Header reads the header of an array.
func (f *File) Header(name string) (Header, error) {
	h, r, err := f.header(name)
	if err != nil {
		return Header{}, err
	}
	if err := r.Close(); err != nil { // of a damaged member, also where its header is whole
		return Header{}, &Error{Path: f.path, Array: name, Err: err}
	}
	return h, nil
}

// stream is the open member of an archive.
type stream struct {
	*bufio.Reader
	io.Closer
}

// header reads the header of an array and leaves the reader at its data. Types, shapes and
// sizes are checked.
func (f *File) header(name string) (_ Header, _ *stream, err error) {
	m := f.members[name]
	if m == nil {
		return Header{}, nil, &Error{Path: f.path, Array: name, Expected: "an array of that name", Found: "none"}
	}
	fail := func(expected, found string) error {
		return &Error{Path: f.path, Array: name, Expected: expected, Found: found}
	}
	if err := f.checkMember(m); err != nil {
		return Header{}, nil, &Error{Path: f.path, Array: name, Err: err}
	}
	c, err := m.Open()
	if err != nil {
		return Header{}, nil, &Error{Path: f.path, Array: name, Err: err}
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	s := &stream{bufio.NewReaderSize(c, 1<<16), c}
	h, length, err := readHeader(s)
	if err != nil {
		return Header{}, nil, &Error{Path: f.path, Array: name, Err: err}
	}
	e, ok := elements[h.code()]
	if !ok {
		return Header{}, nil, &Error{Path: f.path, Array: name, Expected: "elements that are floats, integers or booleans, such as float64",
			Found: typeName(h.Type), Hint: "convert it with .astype(numpy.float64)"}
	}
	n := uint64(1)
	for _, d := range h.Shape {
		if d < 0 || d > 0 && n > math.MaxInt/8/uint64(d) {
			return Header{}, nil, fail("a shape that fits the memory of a computer", fmt.Sprint(h.Shape))
		}
		n *= uint64(d)
	}
	if want := uint64(length) + n*uint64(e.size); m.UncompressedSize64 != want {
		return Header{}, nil, fail(fmt.Sprintf("%d bytes for the shape %v of %s", want, h.Shape, h.Type), fmt.Sprint(m.UncompressedSize64))
	}
	if least := m.UncompressedSize64 / budget.DeflateRatio; m.CompressedSize64 < least || m.Method == zip.Store && m.CompressedSize64 < m.UncompressedSize64 {
		return Header{}, nil, fail(fmt.Sprintf("%d bytes in the archive", m.UncompressedSize64), fmt.Sprintf("%d, which cannot hold them", m.CompressedSize64))
	}
	return h, s, nil
}

// Read reads an array. Integers become floats, which must hold them; booleans become 0 and 1. An
// array that does not fit in memory is refused before it is read, with a *[budget.Error].
func (f *File) Read(name string) (Array, error) {
	h, data, err := read(f, name, 8, func(h Header, e element, o binary.ByteOrder, dst []float64, chunk []byte) ([]float64, error) {
		for ; len(chunk) > 0; chunk = chunk[e.size:] {
			v, exact := e.value(o, chunk)
			if !exact {
				return nil, &Error{Path: f.path, Array: name, Expected: fmt.Sprintf("as element %d an integer that a float64 holds, as those up to 2⁵³ are", len(dst)), Found: integer(h, o, chunk),
					Hint: "convert it with .astype(numpy.float64)"}
			}
			dst = append(dst, v)
		}
		return dst, nil
	})
	if err != nil {
		return Array{}, err
	}
	return Array{Header: h, Data: data}, nil
}

// IsBytes reports whether the elements are bytes.
func (h Header) IsBytes() bool { return h.code() == "u1" }

// Bytes reads an array of bytes as they are, in an eighth of the memory of what Read returns.
func (f *File) Bytes(name string) ([]byte, error) {
	_, data, err := read(f, name, 1, func(h Header, _ element, _ binary.ByteOrder, dst, chunk []byte) ([]byte, error) {
		if !h.IsBytes() {
			return nil, &Error{Path: f.path, Array: name, Expected: "elements of type uint8", Found: typeName(h.Type)}
		}
		return append(dst, chunk...), nil
	})
	return data, err
}

// read reads an array whose elements take so many bytes in memory.
func read[E float64 | byte](f *File, name string, size int, decode func(h Header, e element, o binary.ByteOrder, dst []E, chunk []byte) ([]E, error)) (Header, []E, error) {
	h, s, err := f.header(name)
	if err != nil {
		return h, nil, err
	}
	defer s.Close()
	n, need := h.Len(), float64(size)*float64(h.Len())
	if h.Fortran {
		need *= 2 // while it is transposed
	}
	if err := budget.Fit(need, fmt.Sprintf("array %q of shape %v in %s", name, h.Shape, f.path), "save fewer numbers"); err != nil {
		return h, nil, fmt.Errorf("npz: %w", err)
	}
	e := elements[h.code()]
	var order binary.ByteOrder = binary.LittleEndian
	if strings.HasPrefix(h.Type, ">") {
		order = binary.BigEndian
	}
	data := make([]E, 0, n)
	buf := make([]byte, e.size*min(n, 1<<13))
	for len(data) < n {
		chunk := buf[:min(len(buf), e.size*(n-len(data)))]
		if _, err := io.ReadFull(s, chunk); err != nil {
			return h, nil, &Error{Path: f.path, Array: name, Expected: fmt.Sprintf("%d numbers", n), Found: fmt.Sprintf("an error after %d", len(data)), Err: err}
		}
		if data, err = decode(h, e, order, data, chunk); err != nil {
			return h, nil, err
		}
	}
	if _, err := io.Copy(io.Discard, s); err != nil { // which checks the sum
		return h, nil, &Error{Path: f.path, Array: name, Err: err}
	}
	if h.Fortran {
		data = transposed(data, h.Shape)
	}
	return h, data, nil
}

// transposed brings an array whose first index runs fastest into the order in which its last
// does.
func transposed[E any](data []E, shape []int) []E {
	out := make([]E, len(data))
	index := make([]int, len(shape))
	for i := range out { // index is that of out[i]
		from, stride := 0, 1
		for d, k := range index {
			from, stride = from+k*stride, stride*shape[d]
		}
		out[i] = data[from]
		for d := len(shape) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}

// element is a type that is read.
type element struct {
	size  int
	value func(o binary.ByteOrder, b []byte) (v float64, exact bool)
}

// elements are the types that are read, by numpy's names without the byte order.
var elements = map[string]element{
	"f2": {2, always(func(o binary.ByteOrder, b []byte) float64 { return halfprec.F16(o.Uint16(b)) })},
	"f4": {4, always(func(o binary.ByteOrder, b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) })},
	"f8": {8, always(func(o binary.ByteOrder, b []byte) float64 { return math.Float64frombits(o.Uint64(b)) })},
	"b1": {1, always(func(_ binary.ByteOrder, b []byte) float64 { return float64(min(b[0], 1)) })},
	"i1": {1, always(func(_ binary.ByteOrder, b []byte) float64 { return float64(int8(b[0])) })},
	"i2": {2, always(func(o binary.ByteOrder, b []byte) float64 { return float64(int16(o.Uint16(b))) })},
	"i4": {4, always(func(o binary.ByteOrder, b []byte) float64 { return float64(int32(o.Uint32(b))) })},
	"i8": {8, func(o binary.ByteOrder, b []byte) (float64, bool) {
		n := int64(o.Uint64(b))
		v := float64(n)
		return v, v < 1<<63 && int64(v) == n
	}},
	"u1": {1, always(func(_ binary.ByteOrder, b []byte) float64 { return float64(b[0]) })},
	"u2": {2, always(func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint16(b)) })},
	"u4": {4, always(func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint32(b)) })},
	"u8": {8, func(o binary.ByteOrder, b []byte) (float64, bool) {
		n := o.Uint64(b)
		v := float64(n)
		return v, v < 1<<64 && uint64(v) == n
	}},
}

// always is of a type whose numbers are all floats.
func always(value func(o binary.ByteOrder, b []byte) float64) func(o binary.ByteOrder, b []byte) (float64, bool) {
	return func(o binary.ByteOrder, b []byte) (float64, bool) { return value(o, b), true }
}

// integer is an integer of 8 bytes as text.
func integer(h Header, o binary.ByteOrder, b []byte) string {
	if h.code() == "u8" {
		return fmt.Sprint(o.Uint64(b))
	}
	return fmt.Sprint(int64(o.Uint64(b)))
}

// code is the type without the order of its bytes.
func (h Header) code() string { return strings.TrimLeft(h.Type, "<>|=") }

// typeName is what people call a type of numpy's.
func typeName(descr string) string {
	name := ""
	switch code := strings.TrimLeft(descr, "<>|="); {
	case descr == structured:
		return "one of several fields or of arrays"
	case code == "f16" || code == "f12":
		name = "longdouble"
	case code == "c8" || code == "c16" || code == "F" || code == "D":
		name = "complex"
	case code == "O" || code == "object":
		name = "object"
	case strings.HasPrefix(code, "U"), strings.HasPrefix(code, "S"):
		name = "text"
	}
	if name == "" {
		return fmt.Sprintf("%.40q", descr)
	}
	return fmt.Sprintf("%s (%.40q)", name, descr)
}
