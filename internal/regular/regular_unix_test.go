//go:build unix

package regular

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.WriteFile(at("file"), []byte("12345"), 0o600), os.Symlink(at("file"), at("link")),
		os.Symlink("/dev/zero", at("link to zeros")), syscall.Mkfifo(at("pipe"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", at("socket")); err == nil {
		defer l.Close()
	}
	for _, name := range []string{"file", "link"} {
		if text, err := Read(at(name), 5); err != nil || string(text) != "12345" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for path, want := range map[string]string{
		dir: "found a folder", at("pipe"): "found a pipe", "/dev/zero": "found a device", at("link to zeros"): "found a device", at("socket"): "found a socket",
	} {
		_, err := Open(path)
		if !errors.Is(err, ErrNot) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	if _, err := Open(at("none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that it does not exist", err)
	}
	if _, err := Read(at("file"), 4); err == nil || !strings.Contains(err.Error(), "at most 4 bytes") {
		t.Errorf("error %v of a file that is too long", err)
	}
}
