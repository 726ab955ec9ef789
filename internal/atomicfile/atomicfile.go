// Package atomicfile writes files that are there as a whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
)

// Write makes the file path of what write writes. Until all of it is on the disk the
// old file, if any, stays as it was; then the new one takes its place in one step. On
// an error, or a panic in write, nothing new stays (unless it was the directory that
// could not be synchronised). A kill or a power failure leaves
// the old file or the new one, and at most a temporary file .NAME.tmp-* beside it.
//
// The new file has the permissions of the old one, or else 0666 less the umask. A path that
// is a symbolic link is refused with a *LinkError.
func Write(path string, write func(w io.Writer) error) error {
	old, err := regular(path)
	if err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	f, err := create(path, old)
	if err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	renamed := false
	defer func() { // also when write panics
		if !renamed {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return fmt.Errorf("atomicfile: write %s: %w", path, err)
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("atomicfile: write %s: %w", path, err)
	}
	if _, err := regular(path); err != nil { // it may have come to be a link meanwhile
		return fmt.Errorf("atomicfile: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	renamed = true
	return syncDir(filepath.Dir(path))
}

// create opens a new temporary file beside path. os.CreateTemp would make it readable
// by its owner alone. old is the file that it will replace, or nil.
func create(path string, old fs.FileInfo) (*os.File, error) {
	mode := fs.FileMode(0o666)
	if old != nil {
		mode = old.Mode().Perm()
	}
	for range 100 {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp-%08x", filepath.Base(path), rand.Uint32()))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if old != nil {
			if err := f.Chmod(mode); err != nil { // the umask does not count for an old file
				f.Close()
				os.Remove(name)
				return nil, err
			}
		}
		return f, nil
	}
	return nil, &fs.PathError{Op: "create", Path: path, Err: errors.New("no free temporary name in 100 attempts")}
}

var temporary = regexp.MustCompile(`^\..+\.tmp-[0-9a-f]{8}$`)

// IsTemporary reports whether a file has the name of a temporary file of Write's.
func IsTemporary(name string) bool { return temporary.MatchString(name) }
