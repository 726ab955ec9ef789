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
	"runtime"
)

// Write makes the file path of what write writes. Until all of it is on the disk the
// old file, if any, stays as it was; then the new one takes its place in one step. On
// an error, or a panic in write, nothing new stays (unless it was the directory that
// could not be synchronised). A kill or a power failure leaves
// the old file or the new one, and at most a temporary file .NAME.tmp-* beside it, which the next Write of
// that file removes.
//
// The new file has the permissions of the old one, or else 0666 less the umask. A path that
// is a symbolic link is refused with a *LinkError.
func Write(path string, write func(w io.Writer) error) error {
	old, err := regular(path)
	if err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	clean(path)
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
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return fmt.Errorf("atomicfile: write %s: %w", path, err)
	}
	if runtime.GOOS == "windows" { // which moves no open file; elsewhere it is locked until it is in its place
		f.Close()
	}
	if _, err := regular(path); err != nil { // it may have come to be a link meanwhile
		return fmt.Errorf("atomicfile: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("atomicfile: %w", err)
	}
	renamed = true
	f.Close() // after Sync it has nothing to say
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
		if Lock(f) != nil || same(f, name) != nil { // another process takes it for one that a kill has left
			f.Close()
			os.Remove(name)
			continue
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

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked")

// clean removes the temporary files of path that a kill has left: those that no process holds.
func clean(path string) {
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir))
	for _, e := range entries {
		if !e.Type().IsRegular() || !IsTemporary(e.Name()) || e.Name()[:len(e.Name())-len(".tmp-00000000")] != "."+base {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := Open(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if Lock(f) == nil {
			os.Remove(name)
		}
		f.Close()
	}
}

var temporary = regexp.MustCompile(`^\..+\.tmp-[0-9a-f]{8}$`)

// IsTemporary reports whether a file has the name of a temporary file of Write's.
func IsTemporary(name string) bool { return temporary.MatchString(name) }
