package tasks

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"attractor/internal/budget"
)

// What is divided in its own memory is what Select copies.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOfN(rapid.Bool(), 1, 30).Draw(t, "held")
		w, steps := rapid.IntRange(1, 4).Draw(t, "width"), rapid.IntRange(1, 3).Draw(t, "steps")
		s := Split{N: len(marks), Steps: steps, Levels: []Level{{1}}}
		var keep, held []int
		for i, m := range marks {
			if m {
				held = append(held, i)
			} else {
				keep = append(keep, i)
			}
			for k := range w * steps {
				s.X, s.Bytes = append(s.X, float64(i*100+k)), append(s.Bytes, byte(7*i+k))
			}
			for k := range steps {
				s.Labels, s.Y = append(s.Labels, int32(i)), append(s.Y, float64(i+k))
				s.Weights, s.Scored = append(s.Weights, float64(i)), append(s.Scored, m)
			}
		}
		wantKept, wantHeld := s.Select(keep), s.Select(held)
		kept, out := s.divide(keep, held)
		if !reflect.DeepEqual(kept, wantKept) || !reflect.DeepEqual(out, wantHeld) {
			t.Fatalf("%+v and %+v,\nwant %+v and %+v", kept, out, wantKept, wantHeld)
		}
		if cap(kept.X) != len(kept.X) {
			t.Fatal("what is kept can grow into what is held out")
		}
	})
}

// An archive takes what its budget says: little more than its arrays have bytes.
func TestMemoryOfArchives(t *testing.T) {
	const n, w = 20000, 1000
	zeros := func(descr string, fortran bool, size int, shape string, n int) string {
		order := "False"
		if fortran {
			order = "True"
		}
		head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", descr, order, shape)
		return "\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), 0}) + head + strings.Repeat("\x00\x01", n*size/2)
	}
	for name, c := range map[string]struct {
		x, y, test string
		task       NPZ
		arrays     float64 // bytes
	}{
		"bytes":   {zeros("|u1", false, 1, "20000, 1000", n*w), zeros("|i1", false, 1, "20000,", n), "", NPZ{}, n * w},
		"part":    {zeros("|u1", false, 1, "20000, 1000", n*w), zeros("|i1", false, 1, "20000,", n), "", NPZ{Train: 8000}, n * w},
		"columns": {zeros("|u1", true, 1, "20000, 1000", n*w), zeros("|i1", false, 1, "20000,", n), "", NPZ{}, n * w},
		"floats":  {zeros("<i4", false, 4, "2000, 1000", n*w/10), zeros("|i1", false, 1, "2000,", n/10), "", NPZ{Normalize: "standard"}, 8 * n * w / 10},
		"narrow":  {zeros("|u1", false, 1, "2000000, 1", n*w/10), zeros("|i1", false, 1, "2000000,", n*w/10), "", NPZ{}, n * w / 10},
		"targets": {zeros("|u1", false, 1, "2000000, 1", n*w/10), zeros("<i4", false, 4, "2000000,", n*w/10), "", NPZ{Kind: "regression"}, n * w / 10},
		"mixed":   {zeros("|u1", false, 1, "2000, 1000", n*w/10), zeros("|i1", false, 1, "2000,", n/10), zeros("|i1", false, 1, "2000, 1000", n*w/10), NPZ{}, 16 * n * w / 10},
		"given":   {zeros("|u1", false, 1, "20000, 1000", n*w), zeros("|i1", false, 1, "20000,", n), zeros("|u1", false, 1, "20000, 1000", n*w), NPZ{}, 2 * n * w},
	} {
		t.Run(name, func(t *testing.T) {
			c.task.File = filepath.Join(t.TempDir(), "a.npz")
			f, err := os.Create(c.task.File)
			if err != nil {
				t.Fatal(err)
			}
			z := zip.NewWriter(f)
			members := map[string]string{"x": c.x, "y": c.y}
			if c.test != "" {
				members = map[string]string{"x_train": c.x, "y_train": c.y, "x_test": c.test, "y_test": c.y}
			}
			for name, text := range members {
				m, err := z.Create(name + ".npy")
				if err == nil {
					_, err = m.Write([]byte(text))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			f.Close()
			need := 0.0
			func() {
				old := debug.SetMemoryLimit(1)
				defer debug.SetMemoryLimit(old)
				_, err := c.task.Load(0)
				var e *budget.Error
				if !errors.As(err, &e) {
					t.Fatalf("a limit of a byte: %v", err)
				}
				need = e.Need / (1 + budget.Garbage)
			}()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := c.task.Load(0); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			taken := float64(after.TotalAlloc - before.TotalAlloc)
			if r := need / taken; !(r > 0.8 && r < 1.2) {
				t.Errorf("%.0f bytes are budgeted, %.0f taken: %.2f of them", need, taken, r)
			}
			t.Logf("%.2f of the arrays, budget over taken %.2f", taken/c.arrays, need/taken)
		})
	}
}
