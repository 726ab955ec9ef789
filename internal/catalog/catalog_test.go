package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"attractor/internal/catalog"
)

type method struct{ Window int }

var solvers = catalog.Must("solver",
	catalog.Entry[method]{Name: "picard", Doc: "damped fixed-point iteration\nz ← z + β(f(z) − z)"},
	catalog.Entry[method]{Name: "anderson", Doc: "Anderson mixing", Value: method{Window: 6}},
)

func ExampleCatalog_Lookup() {
	e, err := solvers.Lookup("picard")
	fmt.Println(e.Synopsis(), err)
	_, err = solvers.Lookup("andersen")
	fmt.Println(err)
	_, err = solvers.Lookup("adam")
	fmt.Println(err)
	// Output:
	// damped fixed-point iteration <nil>
	// unknown solver "andersen" (did you mean "anderson"?)
	// unknown solver "adam" (known: picard, anderson)
}

func TestLookupErrorIsTyped(t *testing.T) {
	_, err := solvers.Lookup("piccard")
	var unknown *catalog.UnknownError
	if !errors.As(err, &unknown) || unknown.Kind != "solver" || unknown.Suggestion != "picard" {
		t.Errorf("Lookup: %#v", err)
	}
}

func TestWithLeavesTheOriginal(t *testing.T) {
	more := solvers.With(catalog.Entry[method]{Name: "broyden"})
	if got, want := more.Names(), []string{"picard", "anderson", "broyden"}; !slices.Equal(got, want) {
		t.Errorf("With: %v, want %v", got, want)
	}
	if got := len(solvers.Names()); got != 2 {
		t.Errorf("the original has %d entries, want 2", got)
	}
	solvers.Entries()[0].Name = "changed"
	if got := solvers.Names()[0]; got != "picard" {
		t.Errorf("Entries gave away the list: %q", got)
	}
}

func TestMustPanics(t *testing.T) {
	for name, entries := range map[string][]catalog.Entry[method]{
		"empty":    {{}},
		"repeated": {{Name: "a"}, {Name: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			catalog.Must("solver", entries...)
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"units", "activation", "gain", "lr", "newton", "newton-gmres", "Δt"}
	for word, want := range map[string]string{
		"unit":        "units",
		"untis":       "units", // a swap is one edit
		"Units":       "units",
		"actvation":   "activation",
		"ACTIVASHION": "activation",
		"gian":        "gain",
		"rl":          "lr",
		"newton-gm":   "newton-gmres",
		"newt":        "", // two begin with it
		"act":         "activation",
		"x":           "",
		"":            "",
		"momentum":    "",
		"δt":          "Δt",
	} {
		if got := catalog.Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
