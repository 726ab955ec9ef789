//go:build unix

package atomicfile

import (
	"io/fs"
	"syscall"
)

// noFollow has a symbolic link refused, and does not wait for the other end of a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// names is the number of names (hard links) of a file.
func names(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
