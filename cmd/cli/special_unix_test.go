//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to and a device without an end are refused by whatever opens a user's file.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, tensors, run1 := filepath.Join(dir, "pipe"), filepath.Join(dir, "pipe.safetensors"), filepath.Join(dir, "run")
	if err := os.Mkdir(run1, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, tensors, filepath.Join(run1, "config.yaml"), filepath.Join(run1, "checkpoint.safetensors"), filepath.Join(run1, "train-labels-idx1-ubyte"), filepath.Join(run1, "train-images-idx3-ubyte")} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip(err)
		}
	}
	for _, args := range [][]string{
		{"solve", pipe}, {"solve", tensors}, {"solve", "/dev/zero"}, {"analyze", pipe}, {"analyze", tensors}, {"analyze", run1}, {"analyze", "/dev/zero"},
		{"train", "--config", pipe}, {"train", "--config", "/dev/zero"}, {"train", "--config", dir}, {"compare", "--config", pipe}, {"explain", "--config", pipe},
		{"gradcheck", "--config", pipe}, {"train", "--resume", run1}, {"train", "--task", "npz", "--set", "task.file=" + pipe}, {"train", "--task", "mnist", "--set", "task.dir=" + run1},
		{"data", "import", "npz", pipe}, {"data", "import", "mnist", pipe},
	} {
		code, stdout, stderr := run(t, args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "expected a ") {
			t.Errorf("%v: exit code %d, %q: %s", args, code, stdout, stderr)
		}
	}
}

// Text after --set is taken as it stands by every command: the file of that name is the one that is read.
func TestSetNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"data #2.npz", "a: b.npz", `"quoted".npz`, "[x].npz", " blank ", "~", "null", "010", "é\nü.npz", "x\x1b[31m"} {
		path := filepath.Join(dir, name)
		for _, command := range []string{"train", "compare", "gradcheck", "explain"} {
			_, _, stderr := run(t, command, "--task", "npz", "--set", "task.file="+path)
			if want := strings.NewReplacer("\x1b", `\x1b`).Replace(path); !strings.Contains(stderr, "open "+want+": ") {
				t.Errorf("%s, %q: %s", command, name, stderr)
			}
		}
	}
}
