package zhu2024

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"attractor/train/experiments"
)

// In the quick form every check holds, ids are unique, and the figures are there.
func TestQuick(t *testing.T) {
	for _, e := range Entries() {
		t.Run(e.Name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("takes a few seconds")
			}
			progress := 0
			r, err := e.Value.Run(t.Context(), experiments.Options{Quick: true, Out: t.TempDir(), Progress: func(done, total int, _ string) {
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
			for _, c := range r.Checks {
				if !c.Holds {
					t.Errorf("%s: expected %s %g ± %g, measured %g", c.ID, c.Relation, float64(c.Expected), float64(c.Tolerance), float64(c.Measured))
				}
				if seen[c.ID] || c.Source == "" {
					t.Errorf("%s is there twice or has no source", c.ID)
				}
				seen[c.ID] = true
			}
			for _, v := range r.Values {
				if seen[v.ID] {
					t.Errorf("%s is there twice", v.ID)
				}
				seen[v.ID] = true
			}
			if len(r.Figures) == 0 {
				t.Error("no figures")
			}
			for _, f := range r.Figures {
				if info, err := os.Stat(f); err != nil || info.Size() == 0 {
					t.Errorf("figure %s: %v", f, err)
				}
			}
		})
	}
}

// With another seed the paper's numbers are not checked, but the same ids are measured.
func TestAnotherSeed(t *testing.T) {
	r, err := fig3(t.Context(), experiments.Options{Quick: true, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if !strings.HasPrefix(c.Source, derived) {
			t.Errorf("%s is checked against %s", c.ID, c.Source)
		}
	}
	found := false
	for _, v := range r.Values {
		found = found || v.ID == "eta=1/theta23/0"
	}
	if !found || r.Seed != 7 {
		t.Errorf("seed %d, values %v", r.Seed, r.Values)
	}
	if _, err := fig3(t.Context(), experiments.Options{Seed: 1 << 40}); err == nil {
		t.Error("a seed of 41 bits is accepted")
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, e := range Entries() {
		if _, err := e.Value.Run(ctx, experiments.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
}
