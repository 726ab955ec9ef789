package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrReplaced says that another file took the place of one that was being opened.
var ErrReplaced = errors.New("the file was replaced meanwhile")

// LinkError says that a file is a link to another one, through which nothing is written.
type LinkError struct {
	Path   string
	Target string // of a symbolic link; empty where the file has several names
}

func (e *LinkError) Error() string {
	if e.Target == "" {
		return fmt.Sprintf("%s is a hard link: the file has other names, under which it would be changed too; put a copy in its place", e.Path)
	}
	return fmt.Sprintf("%s is a symbolic link to %s: nothing is written through a link; put the file itself in its place, or remove the link", e.Path, e.Target)
}

// NoLink returns a *LinkError where path is a symbolic link, dangling or not.
func NoLink(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	target, err := os.Readlink(path)
	if err != nil || target == "" {
		target = "another file"
	}
	return &LinkError{Path: path, Target: target}
}

// regular is what is known of a file, or nil where there is none. Anything but a regular
// file is an error.
func regular(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, NoLink(path)
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return info, nil
}

// Open opens a regular file to be changed in place, as os.OpenFile does. A path that is a
// symbolic link, or a file with several names, is refused with a *LinkError.
func Open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	if _, err := regular(path); err != nil {
		return nil, fmt.Errorf("atomicfile: %w", err)
	}
	f, err := os.OpenFile(path, flag|noFollow, perm)
	if err != nil {
		return nil, fmt.Errorf("atomicfile: %w", errors.Join(NoLink(path), err))
	}
	if err := same(f, path); err != nil {
		f.Close()
		return nil, fmt.Errorf("atomicfile: %w", err)
	}
	return f, nil
}

// same demands that f is the regular file path and has no other name.
func same(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	now, err := regular(path)
	switch {
	case err != nil:
		return err
	case now == nil || !os.SameFile(info, now):
		return &fs.PathError{Op: "open", Path: path, Err: ErrReplaced}
	case names(info) > 1:
		return &LinkError{Path: path}
	}
	return nil
}

// Read reads a regular file. A path that is a symbolic link is refused with a *LinkError.
func Read(path string) ([]byte, error) {
	if _, err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
