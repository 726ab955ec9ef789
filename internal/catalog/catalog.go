// Package catalog holds the lists of named parts: models, solvers, rules, tasks, ….
// A list is written out, nothing registers itself; help, listings, citations and the
// suggestions in error messages all come from it.
package catalog

import (
	"fmt"
	"slices"
	"strings"

	"attractor/internal/quote"
)

// Entry is one named part.
type Entry[T any] struct {
	Name  string   // as written in a configuration
	Doc   string   // first line: what it is; then equation, shapes, cost, when to use it
	Refs  []string // BibTeX records of its sources
	Value T        // an options struct; its zero fields mean the defaults
}

// Synopsis is the first line of the documentation.
func (e Entry[T]) Synopsis() string {
	line, _, _ := strings.Cut(e.Doc, "\n")
	return line
}

// Catalog is a list of parts of one kind ("solver", "rule", …).
type Catalog[T any] struct {
	kind    string
	entries []Entry[T]
}

// Must makes a catalogue. It panics on an empty or repeated name, a programmer's mistake.
func Must[T any](kind string, entries ...Entry[T]) *Catalog[T] {
	return (&Catalog[T]{kind: kind}).With(entries...)
}

// With returns a catalogue that also has the given entries. It panics as Must does.
func (c *Catalog[T]) With(entries ...Entry[T]) *Catalog[T] {
	out := &Catalog[T]{kind: c.kind, entries: slices.Clone(c.entries)}
	for _, e := range entries {
		if e.Name == "" {
			panic(fmt.Sprintf("catalog: a %s without a name", c.kind))
		}
		if slices.Contains(out.Names(), e.Name) {
			panic(fmt.Sprintf("catalog: two %ss named %q", c.kind, e.Name))
		}
		out.entries = append(out.entries, e)
	}
	return out
}

// Kind is what the catalogue lists, in the singular.
func (c *Catalog[T]) Kind() string { return c.kind }

// Entries returns the parts in their order.
func (c *Catalog[T]) Entries() []Entry[T] { return slices.Clone(c.entries) }

// Names returns the names in their order.
func (c *Catalog[T]) Names() []string {
	names := make([]string, len(c.entries))
	for i, e := range c.entries {
		names[i] = e.Name
	}
	return names
}

// Lookup returns the part with that name, or an *UnknownError.
func (c *Catalog[T]) Lookup(name string) (Entry[T], error) {
	for _, e := range c.entries {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry[T]{}, Unknown(c.kind, name, c.Names())
}

// UnknownError says that a name is not known, and what was probably meant.
type UnknownError struct {
	Kind, Name string
	Known      []string
	Suggestion string // empty when nothing is near
}

// Unknown makes an UnknownError with the nearest known name as its suggestion.
func Unknown(kind, name string, known []string) *UnknownError {
	return &UnknownError{Kind: kind, Name: name, Known: known, Suggestion: Nearest(name, known)}
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("unknown %s %s", e.Kind, quote.Name(e.Name))
	if e.Suggestion != "" {
		return s + fmt.Sprintf(" (did you mean %q?)", e.Suggestion)
	}
	return s + " (known: " + strings.Join(e.Known, ", ") + ")"
}

// Nearest returns the only known word that begins with word, or else the one with the
// fewest edits from it (insertions, deletions, substitutions, swaps of neighbours), the
// first of several, or "". The edits may be at most a third of the letters of word, or one
// in a word of two. The case of letters does not count.
func Nearest(word string, known []string) string {
	w := []rune(strings.ToLower(word))
	begins := func(k string) bool { return len(w) > 1 && strings.HasPrefix(strings.ToLower(k), string(w)) }
	if i := slices.IndexFunc(known, begins); i >= 0 && !slices.ContainsFunc(known[i+1:], begins) {
		return known[i]
	}
	limit := len(w) / 3
	if len(w) == 2 {
		limit = 1
	}
	best := ""
	for _, k := range known {
		r := []rune(strings.ToLower(k))
		if len(r)-len(w) > limit || len(w)-len(r) > limit {
			continue
		}
		if d := distance(w, r); d < limit || d == limit && best == "" {
			best, limit = k, d
		}
	}
	return best
}

// distance is the optimal string alignment distance.
func distance(a, b []rune) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
