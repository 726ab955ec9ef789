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
)

// Write makes the file path of what write writes. Until all of it is on the disk the
// old file, if any, stays as it was; then the new one takes its place in one step. On
// an error, or a panic in write, nothing new stays (unless it was the directory that
// could not be synchronised). A kill or a power failure leaves
// the old file or the new one, and at most a temporary file .NAME.tmp-* beside it.
//
// The new file has the permissions of the old one, or else 0666 less the umask. Where
// path is a symbolic link, the link stays and the file it points to is replaced.
func Write(path string, write func(w io.Writer) error) error {
	target, err := resolve(path)
	if err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	f, err := create(target)
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
	if err := os.Rename(f.Name(), target); err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	renamed = true
	return syncDir(filepath.Dir(target))
}

// resolve is the file that a symbolic link points to, or path itself.
func resolve(path string) (string, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case info.Mode()&fs.ModeSymlink != 0:
		return filepath.EvalSymlinks(path)
	case !info.Mode().IsRegular():
		return "", &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file")}
	}
	return path, nil
}

// create opens a new temporary file beside path. os.CreateTemp would make it readable
// by its owner alone.
func create(path string) (*os.File, error) {
	mode, replaces := fs.FileMode(0o666), false
	if info, err := os.Stat(path); err == nil {
		mode, replaces = info.Mode().Perm(), true
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
		if replaces {
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
