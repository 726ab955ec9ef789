//go:build !unix

package atomicfile

// syncDir does nothing: directories cannot be synchronised here.
func syncDir(string) error { return nil }
