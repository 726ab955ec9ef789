package datasets

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"attractor/internal/atomicfile"
	"attractor/internal/regular"
)

// State is what is known of a file in the data folder.
type State string

const (
	Present  State = "present" // it is there and, as far as was looked, right
	Absent   State = "absent"
	Wrong    State = "wrong"    // another size or sum
	Fetched  State = "fetched"  // it has just been got
	Imported State = "imported" // likewise
)

// Status is a file of a set on this machine.
type Status struct {
	File
	State State  `json:"state"`
	Path  string `json:"path"`            // where it is or would be
	Error string `json:"error,omitempty"` // what is wrong
}

// Progress is told how many bytes of a file have been read, of how many; 0 for a number that
// is not known.
type Progress func(file string, done, total int64)

func (p Progress) tell(file string, done, total int64) {
	if p != nil {
		p(file, done, total)
	}
}

// ContentError says that contents are not those of a file of a data set.
type ContentError struct {
	Path            string // or URL
	File            string
	Expected, Found string
	Err             error // the cause, if another error is
}

func (e *ContentError) Error() string {
	s := fmt.Sprintf("%s: expected %s of %s, found %s", e.Path, e.Expected, e.File, e.Found)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ContentError) Unwrap() error { return e.Err }

// IncompleteError says which files of a set have not been found.
type IncompleteError struct {
	Set     string
	Missing []string
	Close   []error // what was found in their place: *ContentError
}

func (e *IncompleteError) Error() string {
	s := fmt.Sprintf("%s: not found:", e.Set)
	for i, name := range e.Missing {
		if i > 0 {
			s += ","
		}
		s += " " + name
	}
	for _, err := range e.Close {
		s += "\n  " + err.Error()
	}
	return s
}

// Look reports which files of a set are in dir, by their names and sizes alone.
func (s Set) Look(dir string) []Status {
	var out []Status
	for _, f := range s.Files {
		st := Status{File: f, State: Absent, Path: filepath.Join(dir, f.Name)}
		if path, err := Path(s.Name, dir, f.Name); err == nil {
			st.State, st.Path = Present, path
			if info, err := os.Stat(path); err != nil || path == filepath.Join(dir, f.Name) && info.Size() != f.Size {
				st.State = Wrong
			}
		}
		out = append(out, st)
	}
	return out
}

// Verify reads the files of a set in dir and compares their sums. Its error is that of ctx.
func (s Set) Verify(ctx context.Context, dir string, progress Progress) ([]Status, error) {
	out := s.Look(dir)
	for i, st := range out {
		if st.State == Absent {
			continue
		}
		err := verify(ctx, st, progress)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out[i].State = Present
		if err != nil {
			out[i].State, out[i].Error = Wrong, err.Error()
		}
	}
	return out, nil
}

func verify(ctx context.Context, st Status, progress Progress) error {
	f, err := regular.Open(st.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, _, err := unpacked(&reader{ctx: ctx, r: f})
	if err != nil {
		return &ContentError{Path: st.Path, File: st.Name, Expected: "the contents", Found: "a damaged file", Err: err}
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(&reader{ctx: ctx, r: r, tell: func(n int64) { progress.tell(st.Name, n, st.Size) }}, st.Size+1))
	if err != nil {
		return &ContentError{Path: st.Path, File: st.Name, Expected: fmt.Sprintf("the %d bytes", st.Size), Found: fmt.Sprintf("an error after %d", n), Err: err}
	}
	return st.File.compare(st.Path, n, sum.Sum(nil))
}

// compare returns a *ContentError for another size or sum.
func (f File) compare(path string, size int64, sum []byte) error {
	e := &ContentError{Path: path, File: f.Name}
	switch got := hex.EncodeToString(sum); {
	case size > f.Size:
		e.Expected, e.Found = fmt.Sprintf("the %d bytes", f.Size), "more"
	case size < f.Size:
		e.Expected, e.Found = fmt.Sprintf("the %d bytes", f.Size), fmt.Sprint(size)
	case got != f.SHA256:
		e.Expected, e.Found = "SHA-256 "+f.SHA256, got
	default:
		return nil
	}
	return e
}

// take reads all of r, which comes from path, and demands that it is the file.
func (f File) take(path string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, f.Size+1))
	if err != nil {
		return nil, &ContentError{Path: path, File: f.Name, Expected: fmt.Sprintf("the %d bytes", f.Size), Found: fmt.Sprintf("an error after %d", len(data)), Err: err}
	}
	sum := sha256.Sum256(data)
	return data, f.compare(path, int64(len(data)), sum[:])
}

// keep writes a file of the set to dir.
func (f File) keep(dir string, data []byte) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, f.Name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// missing are the files of the set that are not in dir with the right sum.
func (s Set) missing(ctx context.Context, dir string) (out []Status, want []File, err error) {
	out, err = s.Verify(ctx, dir, nil)
	for _, st := range out {
		if st.State != Present {
			want = append(want, st.File)
		}
	}
	return out, want, err
}

// got marks a file that has just been kept.
func got(list []Status, dir string, f File, state State) {
	for i := range list {
		if list[i].Name == f.Name {
			list[i] = Status{File: f, State: state, Path: filepath.Join(dir, f.Name)}
		}
	}
}

// unpacked is r, or what is in it if it is a gzip file.
func unpacked(r io.Reader) (_ *bufio.Reader, gz bool, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if magic, err := b.Peek(2); err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		return b, false, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, true, err
	}
	return bufio.NewReaderSize(z, 1<<16), true, nil
}

// reader stops when ctx is done, and tells how far it is.
type reader struct {
	ctx  context.Context
	r    io.Reader
	n    int64
	tell func(n int64) // nil for nobody
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.n += int64(n)
	if r.tell != nil {
		r.tell(r.n)
	}
	return n, err
}
