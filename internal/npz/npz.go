// Package npz reads arrays of numbers from the .npz archives that numpy.savez and
// numpy.savez_compressed write (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//
// codeberg.org/sbinet/npyio decodes the headers of the arrays. What it leaves open is checked
// here before anything is allocated: lengths against the archive's directory, shapes that fit an
// int, repeated names, arrays that are cut off. Errors are of type *Error and say where, what
// was expected and what was found.
package npz

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"codeberg.org/sbinet/npyio/npy"
)

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
		b.WriteString(e.Path + ": ")
	}
	if e.Array != "" {
		fmt.Fprintf(&b, "array %q: ", e.Array)
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
	file, err := os.Open(path)
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
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Expected: "a regular file", Found: "a " + kind(info.Mode())}
	}
	f, err := newFile(path, file, info.Size())
	if f != nil {
		f.file = file
	}
	return f, err
}

func kind(m os.FileMode) string {
	if m.IsDir() {
		return "folder"
	}
	return "special file"
}

const archive = "a zip archive as numpy.savez writes it"

func newFile(path string, r io.ReaderAt, size int64) (*File, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		e := &Error{Path: path, Expected: archive, Found: describe(r, size)}
		if bytes.HasPrefix(head(r, 6), npy.Magic[:]) {
			e.Hint = "save it with numpy.savez, each array by its name"
		}
		return nil, e
	}
	f := &File{path: path, members: map[string]*zip.File{}}
	for _, m := range z.File {
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
	case bytes.HasPrefix(b, npy.Magic[:]):
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
	raw, length, err := readHeader(s)
	if err != nil {
		return Header{}, nil, &Error{Path: f.path, Array: name, Err: err}
	}
	h := Header{Type: strings.Trim(raw.Descr.Type, `'"`), Shape: raw.Descr.Shape, Fortran: raw.Descr.Fortran}
	e, ok := elements[strings.TrimLeft(h.Type, "<>|=")]
	if !ok {
		err = fail("elements of a float or integer type, such as float64", typeName(h.Type))
		err.(*Error).Hint = "convert it with .astype(numpy.float64)"
		return Header{}, nil, err
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
	return h, s, nil
}

// readHeader reads the header of an array and returns how long it is.
func readHeader(s *stream) (_ npy.Header, length int, err error) {
	damaged := errors.New("expected the header of a numpy array, found something else")
	defer func() {
		if recover() != nil { // npyio takes the places of the keys on trust
			err = damaged
		}
	}()
	b, err := s.Peek(12)
	if err != nil && len(b) < 10 {
		return npy.Header{}, 0, damaged
	}
	length = 10 + int(binary.LittleEndian.Uint16(b[8:10]))
	if b[6] > 1 {
		const limit = 1 << 20
		if len(b) < 12 || binary.LittleEndian.Uint32(b[8:12]) > limit {
			return npy.Header{}, 0, damaged
		}
		length = 12 + int(binary.LittleEndian.Uint32(b[8:12]))
	}
	r, err := npy.NewReader(s)
	if err != nil {
		return npy.Header{}, 0, fmt.Errorf("%w: %w", damaged, err)
	}
	return r.Header, length, nil
}

// Read reads an array. Integers become floats.
func (f *File) Read(name string) (Array, error) {
	h, s, err := f.header(name)
	if err != nil {
		return Array{}, err
	}
	defer s.Close()
	e := elements[strings.TrimLeft(h.Type, "<>|=")]
	var order binary.ByteOrder = binary.LittleEndian
	if strings.HasPrefix(h.Type, ">") {
		order = binary.BigEndian
	}
	n := h.Len()
	data := make([]float64, 0, min(n, 1<<16)) // it grows as the archive is found to hold it
	buf := make([]byte, e.size*min(n, 1<<13))
	for len(data) < n {
		chunk := buf[:min(len(buf), e.size*(n-len(data)))]
		if _, err := io.ReadFull(s, chunk); err != nil {
			return Array{}, &Error{Path: f.path, Array: name, Expected: fmt.Sprintf("%d numbers", n), Found: fmt.Sprintf("an error after %d", len(data)), Err: err}
		}
		for ; len(chunk) > 0; chunk = chunk[e.size:] {
			data = append(data, e.value(order, chunk))
		}
	}
	if _, err := io.Copy(io.Discard, s); err != nil { // which checks the sum
		return Array{}, &Error{Path: f.path, Array: name, Err: err}
	}
	if h.Fortran {
		data = transposed(data, h.Shape)
	}
	return Array{Header: h, Data: data}, nil
}

// transposed brings an array whose first index runs fastest into the order in which its last
// does.
func transposed(data []float64, shape []int) []float64 {
	out := make([]float64, len(data))
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

// elements are the types that are read, by numpy's names without the byte order.
var elements = map[string]struct {
	size  int
	value func(o binary.ByteOrder, b []byte) float64
}{
	"f4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(math.Float32frombits(o.Uint32(b))) }},
	"f8": {8, func(o binary.ByteOrder, b []byte) float64 { return math.Float64frombits(o.Uint64(b)) }},
	"i1": {1, func(_ binary.ByteOrder, b []byte) float64 { return float64(int8(b[0])) }},
	"i2": {2, func(o binary.ByteOrder, b []byte) float64 { return float64(int16(o.Uint16(b))) }},
	"i4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(int32(o.Uint32(b))) }},
	"i8": {8, func(o binary.ByteOrder, b []byte) float64 { return float64(int64(o.Uint64(b))) }},
	"u1": {1, func(_ binary.ByteOrder, b []byte) float64 { return float64(b[0]) }},
	"u2": {2, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint16(b)) }},
	"u4": {4, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint32(b)) }},
	"u8": {8, func(o binary.ByteOrder, b []byte) float64 { return float64(o.Uint64(b)) }},
}

// typeName is what people call a type of numpy's.
func typeName(descr string) string {
	name := ""
	switch code := strings.TrimLeft(descr, "<>|="); {
	case code == "b1":
		name = "bool"
	case code == "f2":
		name = "float16"
	case code == "f16" || code == "f12":
		name = "longdouble"
	case code == "c8" || code == "c16":
		name = "complex"
	case code == "O":
		name = "object"
	case strings.HasPrefix(code, "U"), strings.HasPrefix(code, "S"):
		name = "text"
	}
	if name == "" {
		return descr
	}
	return fmt.Sprintf("%s (%s)", name, descr)
}
