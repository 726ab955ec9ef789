package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attractor/internal/npz"
)

// What a command reads it does not write over, by whatever name it is given.
func TestSpareInputs(t *testing.T) {
	dir := t.TempDir()
	weights, batch := filepath.Join(dir, "run"), filepath.Join(dir, "b.npz")
	if code, _, stderr := run(t, "train", "-q", "--task", "blobs", "--set", "model.units=4", "--epochs", "1", "--out", weights); code != 0 {
		t.Fatal(stderr)
	}
	var b bytes.Buffer
	x := make([]float64, 20)
	for i := range x {
		x[i] = float64(i % 7)
	}
	classes := []int64{0, 1, 0, 1, 0, 1, 0, 1, 0, 1} // of a batch, and of a data set
	arrays := []npz.Named{{Name: "x", Shape: []int{10, 2}, Data: x}, {Name: "labels", Shape: []int{10}, Data: classes}, {Name: "y", Shape: []int{10}, Data: classes}}
	if err := npz.Write(&b, arrays...); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(batch, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	for file, args := range map[string][]string{
		filepath.Join(weights, "checkpoint.safetensors"): {"gradient", "--weights", weights, "--batch", batch},
		batch: {"data", "dump", "npz", "--set", "task.file=" + batch},
	} {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code, _, stderr := run(t, append(args, "--out", file)...)
		after, err := os.ReadFile(file)
		if code != 2 || !strings.Contains(stderr, "it is the file that is read") || err != nil || !bytes.Equal(before, after) {
			t.Errorf("%v: exit code %d, %s; the file is as before: %v", args, code, stderr, bytes.Equal(before, after))
		}
	}
}

// A flag is blamed for its own value, not for that of one before it.
func TestBlamedFlag(t *testing.T) {
	for _, args := range [][]string{
		{"train", "--epochs", "1", "--batch", "-1"}, {"train", "--lr", "0.1", "--seed", "1", "--batch", "-1"}, {"compare", "--epochs", "1", "--batch", "-1"},
	} {
		if code, _, stderr := run(t, append(args, "-q", "--task", "blobs")...); code != 2 || !strings.Contains(stderr, "--batch: batch: expected at least 1") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
}
