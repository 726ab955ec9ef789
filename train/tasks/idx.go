package tasks

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"attractor/internal/budget"
	"attractor/internal/regular"
)

// FileError says where a file of bytes is not as it should be.
type FileError struct {
	File            string
	Offset          int64 // counted from 0; in a gzip file, of its contents
	Expected, Found string
	Err             error // the cause, if another error is
}

func (e *FileError) Error() string {
	s := fmt.Sprintf("tasks: %s: byte %d: expected %s, found %s", e.File, e.Offset, e.Expected, e.Found)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *FileError) Unwrap() error { return e.Err }

// source reads a file, also one compressed by gzip, and knows where it is.
type source struct {
	name  string
	at    int64 // of the contents
	limit int64 // no more bytes can be in it
	r     io.Reader
}

// newSource reads size bytes from r.
func newSource(name string, r io.Reader, size int64) (*source, error) {
	s := &source{name: name, limit: size}
	b := bufio.NewReaderSize(r, 1<<16)
	s.r = b
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, s.fail("a gzip file", "a damaged header", err)
		}
		s.r, s.limit = z, size*budget.DeflateRatio
	}
	return s, nil
}

func (s *source) fail(expected, found string, cause error) error {
	return &FileError{File: s.name, Offset: s.at, Expected: expected, Found: found, Err: cause}
}

// next reads n bytes; what says what they are. It takes little more memory than the file is
// found to hold, whatever n is, and refuses what does not fit in memory.
func (s *source) next(n int64, what string) ([]byte, error) {
	if n > s.limit-s.at {
		// As much as there can be is read, for the offset of the end.
		got, err := io.Copy(io.Discard, s.r)
		s.at += got
		return nil, s.short(n-got, what, err)
	}
	if err := budget.Fit(float64(n), fmt.Sprintf("%s: %s", s.name, what), "use a file with fewer samples"); err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	const block = 1 << 26 // of what is only claimed
	var b []byte
	for int64(len(b)) < n {
		begin, more := len(b), int(min(n-int64(len(b)), max(block, int64(len(b)))))
		b = slices.Grow(b, more)[:begin+more]
		got, err := io.ReadFull(s.r, b[begin:])
		s.at += int64(got)
		if err != nil {
			return nil, s.short(n-int64(begin+got), what, err)
		}
	}
	return b, nil
}

func (s *source) short(missing int64, what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // which says the same
	}
	found := "the end of the file"
	if err != nil {
		found = "an error"
	}
	return s.fail(fmt.Sprintf("%d more bytes of %s", missing, what), found, err)
}

// end demands that the file ends, and with it the sum of a gzip file.
func (s *source) end() error {
	var b [1]byte
	n, err := io.ReadFull(s.r, b[:])
	if n > 0 {
		return s.fail("the end of the file", "more bytes", nil)
	}
	if err != io.EOF {
		return s.fail("the end of the file", "an error", err)
	}
	return nil
}

// readFile opens a file and reads it by read.
func readFile[R any](path string, read func(s *source) (R, error)) (out R, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return out, fmt.Errorf("tasks: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return out, fmt.Errorf("tasks: %w", err)
	}
	s, err := newSource(path, f, info.Size())
	if err != nil {
		return out, err
	}
	return read(s)
}

// idx is an array of bytes in the format IDX of MNIST.
type idx struct {
	dims []int
	data []byte // row by row
}

const (
	idxBytes    = 8       // the code of unsigned bytes in the third byte of an IDX file
	maxElements = 1 << 50 // above it a product of dimensions could overflow
)

// readIDX reads an array of bytes with as many dimensions as wanted has; a number above 0 in
// wanted is what that dimension must be. The format is two zeros, the type of the elements,
// the number of dimensions, each dimension as a big-endian uint32, and the elements
// (http://yann.lecun.com/exdb/mnist/). Its errors are of type *FileError.
func readIDX(s *source, wanted ...int) (*idx, error) {
	magic, err := s.next(4, "the magic number")
	if err != nil {
		return nil, err
	}
	if want := [4]byte{0, 0, idxBytes, byte(len(wanted))}; [4]byte(magic) != want {
		s.at = 0
		return nil, s.fail(fmt.Sprintf("the magic number % x of bytes in %d dimensions", want, len(wanted)), fmt.Sprintf("% x", magic), nil)
	}
	a, n := &idx{}, int64(1)
	for i, want := range wanted {
		at := s.at
		b, err := s.next(4, "a dimension")
		if err != nil {
			return nil, err
		}
		d := int64(binary.BigEndian.Uint32(b))
		switch {
		case want > 0 && d != int64(want):
			s.at = at
			return nil, s.fail(fmt.Sprintf("%d as dimension %d", want, i+1), fmt.Sprint(d), nil)
		case d == 0:
			s.at = at
			return nil, s.fail(fmt.Sprintf("at least 1 as dimension %d", i+1), "0", nil)
		case n > maxElements/d:
			s.at = at
			return nil, s.fail(fmt.Sprintf("at most %d elements", int64(maxElements)), fmt.Sprintf("%d × %d", n, d), nil)
		}
		n *= d
		a.dims = append(a.dims, int(d))
	}
	if a.data, err = s.next(n, fmt.Sprintf("%v elements", a.dims)); err != nil {
		return nil, err
	}
	return a, s.end()
}

// readLabels reads an IDX file of labels from 0 to classes-1. A count above 0 is how many
// there must be.
func readLabels(s *source, count, classes int) ([]byte, error) {
	a, err := readIDX(s, count)
	if err != nil {
		return nil, err
	}
	const header = 8
	return a.data, checkLabels(s.name, a.data, header, 1, classes)
}

// checkLabels verifies the label at the start of each record of stride bytes.
func checkLabels(file string, data []byte, offset int64, stride, classes int) error {
	for i := 0; i < len(data); i += stride {
		if int(data[i]) >= classes {
			return &FileError{File: file, Offset: offset + int64(i), Expected: fmt.Sprintf("a label from 0 to %d", classes-1), Found: fmt.Sprint(data[i])}
		}
	}
	return nil
}
