//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package atomicfile

import "os"

// Lock does nothing: files cannot be locked here.
func Lock(*os.File) error { return nil }
