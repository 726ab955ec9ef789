//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, text("new")); err != nil {
		t.Fatal(err)
	}
	want(t, path, "new")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, %v", info.Mode(), err)
	}
}

// Nothing is written, or opened, through a link: neither a file, nor what is not there yet,
// nor a folder.
func TestLinks(t *testing.T) {
	elsewhere := t.TempDir()
	target := filepath.Join(elsewhere, "f")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, to := range map[string]string{"file": target, "dangling": filepath.Join(elsewhere, "none"), "folder": elsewhere, "loop": filepath.Join(dir, "loop")} {
		link := filepath.Join(dir, name)
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		_, read := Read(link)
		_, open := Open(link, os.O_RDWR|os.O_CREATE, 0o666)
		for what, err := range map[string]error{"Write": Write(link, text("new")), "Open": open, "Read": read, "NoLink": NoLink(link)} {
			if e := (*LinkError)(nil); !errors.As(err, &e) || e.Path != link || e.Target != to {
				t.Errorf("%s of a link to a %s: %v", what, name, err)
			}
		}
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("the link is gone: %v, %v", info, err)
		}
	}
	want(t, target, "old")
	hard := filepath.Join(dir, "hard")
	if err := os.Link(target, hard); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(hard, os.O_RDWR, 0); !errors.As(err, new(*LinkError)) {
		t.Errorf("Open of a file with two names: %v", err)
	}
	if err := Write(hard, text("new")); err != nil { // which makes another file of this name
		t.Error(err)
	}
	want(t, target, "old")
}

// What is no regular file is refused at once, even a pipe that nobody writes to.
func TestSpecialFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip(err)
	}
	_, read := Read(pipe)
	_, open := Open(pipe, os.O_RDWR, 0)
	for what, err := range map[string]error{"Write": Write(pipe, text("new")), "Open": open, "Read": read} {
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s of a pipe: %v", what, err)
		}
	}
}
