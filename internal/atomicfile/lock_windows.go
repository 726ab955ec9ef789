package atomicfile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Lock reserves an open file for this process until it is closed, or returns ErrLocked. A file system that cannot
// Lock is no reason not to work.
func Lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return nil
}
