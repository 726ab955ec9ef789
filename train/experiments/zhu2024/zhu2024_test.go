package zhu2024

import (
	"strings"
	"testing"

	"attractor/train/experiments"
	"attractor/train/experiments/experimenttest"
)

func TestExperiments(t *testing.T) {
	withMNIST(t)
	experimenttest.Run(t, Entries())
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
