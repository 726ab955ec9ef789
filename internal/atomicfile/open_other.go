//go:build !unix

package atomicfile

import "io/fs"

const noFollow = 0

// names is the number of names of a file, which is not known here.
func names(fs.FileInfo) uint64 { return 1 }
