// Package regular opens the files that a user names. Only regular files, and links to them, are
// opened: a folder is no contents, a pipe may never give any, and a device may never end.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNot is wrapped by the error about what is no regular file.
var ErrNot = errors.New("expected a regular file")

// Open opens a regular file for reading, and does not wait for anything else. Its errors name the
// path.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path) // before it is opened, which some devices notice
	if err == nil {
		err = check(path, info)
	}
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		e.Op = "open" // as the caller asked for
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe may have taken its place
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = check(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func check(path string, info fs.FileInfo) error {
	kind := "a special file"
	switch m := info.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		kind = "a folder"
	case m&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case m&fs.ModeDevice != 0:
		kind = "a device"
	case m&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w, found %s", ErrNot, kind)}
}

// Read reads a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(path, f, limit)
}

// ReadAll reads what comes from r, at most limit bytes; name says in the error what that is.
func ReadAll(name string, r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("expected at most %d bytes, found more", limit)}
	}
	return data, nil
}
