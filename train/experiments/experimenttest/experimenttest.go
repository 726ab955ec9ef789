// Package experimenttest holds the tests that every experiment passes: Run them on the entries of
// your paper.
package experimenttest

import (
	"context"
	"errors"
	"os"
	"testing"

	"attractor/internal/catalog"
	"attractor/internal/folder"
	"attractor/train/experiments"
)

// Run demands that in the quick form every check holds, ids are unique, progress is told, and the
// figures are there; and that an experiment ends when it is interrupted.
func Run(t *testing.T, entries []catalog.Entry[experiments.Experiment]) {
	for _, e := range entries {
		t.Run(e.Name, func(t *testing.T) {
			t.Run("quick", func(t *testing.T) { quick(t, e) })
			t.Run("interrupted", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := e.Value.Run(ctx, experiments.Options{}); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want that of the context", err)
				}
			})
		})
	}
}

func quick(t *testing.T, e catalog.Entry[experiments.Experiment]) {
	if testing.Short() {
		t.Skip("takes a few seconds")
	}
	out, err := folder.Use(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	progress := 0
	r, err := e.Value.Run(t.Context(), experiments.Options{Quick: true, Out: out, Progress: func(done, total int, _ string) {
		if done > total || done != progress+1 {
			t.Errorf("progress %d/%d after %d", done, total, progress)
		}
		progress = done
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != e.Name || len(r.Checks) == 0 || len(r.Notes) == 0 || progress == 0 {
		t.Errorf("name %q, %d checks, %d notes, progress %d", r.Name, len(r.Checks), len(r.Notes), progress)
	}
	seen := map[string]bool{}
	once := func(id string) {
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
	}
	for _, c := range r.Checks {
		once(c.ID)
		if !c.Holds {
			t.Errorf("%s: expected %s %g ± %g, measured %g", c.ID, c.Relation, float64(c.Expected), float64(c.Tolerance), float64(c.Measured))
		}
		if c.Source == "" {
			t.Errorf("%s has no source", c.ID)
		}
	}
	for _, v := range r.Values {
		once(v.ID)
	}
	if len(r.Figures) == 0 {
		t.Error("no figures")
	}
	for _, f := range r.Figures {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			t.Errorf("figure %s: %v", f, err)
		}
	}
}
