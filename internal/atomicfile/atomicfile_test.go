package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// want demands that dir holds the one file with that content.
func want(t *testing.T, path, content string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left", e.Name())
		}
	}
	got, err := os.ReadFile(path)
	if content == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || string(got) != content {
		t.Errorf("%q, %v; want %q", got, err, content)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b.txt")
	failure := errors.New("failure")
	half := func(w io.Writer) error { return errors.Join(text(strings.Repeat("half", 1<<16))(w), failure) }
	if err := Write(path, half); !errors.Is(err, failure) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	want(t, path, "")
	if err := Write(path, text("one")); err != nil {
		t.Fatal(err)
	}
	want(t, path, "one")
	if err := Write(path, half); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	want(t, path, "one")
	if err := Write(path, text("two")); err != nil {
		t.Fatal(err)
	}
	want(t, path, "two")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = Write(path, func(w io.Writer) error { _ = text("half")(w); panic("failure") })
	}()
	want(t, path, "two")
}

func TestWriteSeesOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, text("old")); err != nil {
		t.Fatal(err)
	}
	err := Write(path, func(w io.Writer) error {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != "old" {
			t.Errorf("during the write: %q, %v", got, err)
		}
		return text("new")(w)
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, path, "new")
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "none", "f"), text("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v in a missing directory", err)
	}
	if err := Write(dir, text("x")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v in place of a directory", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

// Many writers at once leave one of their files, whole.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			if err := Write(path, text(strings.Repeat(string(rune('a'+k)), 1<<17))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(path)
	if err != nil || len(got) != 1<<17 || strings.Trim(string(got), string(got[:1])) != "" {
		t.Errorf("%d bytes of several writers, %v", len(got), err)
	}
	want(t, path, string(got))
}

// What a kill has left of a file is removed by the next writing of it; what another process is at, and what belongs to
// other files, is not.
func TestWriteCleans(t *testing.T) {
	dir := t.TempDir()
	own, held, other := filepath.Join(dir, ".a.npz.tmp-01234567"), filepath.Join(dir, ".a.npz.tmp-89abcdef"), filepath.Join(dir, ".b.npz.tmp-01234567")
	for _, name := range []string{own, held, other} {
		if err := os.WriteFile(name, []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(held)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Lock(f); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "a.npz"), func(w io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{own: false, held: true, other: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s stays: %v, want %v", filepath.Base(name), err == nil, want)
		}
	}
}
