// Package kit is what a part needs: a model, a solver, a rule, a task, a loss or an optimiser, ours or one's own.
//
// A part is a struct whose exported fields are its options; zero stands for the default of an option:
//
//	type Picard struct {
//		Damping float64 `default:"1" doc:"step length τ, 0 < τ ≤ 1"`
//	}
//
// Its methods begin with WithDefaults. A part is found by the program, its help and its configuration through an
// [Entry] in a [Catalog]: a name, a documentation whose first line says what it is, and references. The tags of
// options are
//
//	default  the value that zero stands for; a list's elements are separated by commas
//	doc      one line for help texts
//	choices  the values allowed, separated by commas
//	max      the largest integer allowed, a colon and why: "1e6: every state is kept"
//	key      the key in a configuration in place of the field's name in small letters; "-" hides the field
//
// A struct that breaks these rules is a programmer's mistake, on which Fields and WithDefaults panic.
package kit

import (
	"math/rand/v2"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/internal/rng"
)

// Entry is a part with its name, documentation, references (BibTeX) and default options.
type Entry[T any] = catalog.Entry[T]

// Catalog is a list of the parts of one kind; its method With returns one that also has a part of one's own.
type Catalog[T any] = catalog.Catalog[T]

// UnknownError says that a name is not known, and what was probably meant.
type UnknownError = catalog.UnknownError

// Must makes a catalogue of a kind ("solver"). It panics on an empty or repeated name.
func Must[T any](kind string, entries ...Entry[T]) *Catalog[T] { return catalog.Must(kind, entries...) }

// Unknown makes an UnknownError that suggests the nearest of the known names.
func Unknown(kind, name string, known []string) *UnknownError {
	return catalog.Unknown(kind, name, known)
}

// Zeros, embedded in a part, tells zero that is meant from zero that stands for the default: Rate{Zeros: "gain"} has
// the gain 0, as has what a configuration sets to 0. Keys are separated by spaces. A key that is no number of the
// part with a default makes WithDefaults panic.
type Zeros = options.Zeros

// Field describes an option.
type Field = options.Field

// ValueError says which value of an option was expected and which was found.
type ValueError = options.ValueError

// Fields returns the options of a part, which is a struct or a pointer to one.
func Fields(part any) []Field { return options.Fields(part) }

// WithDefaults returns a part in which zeros that stand for a default are replaced by it. Twice is as good as once.
func WithDefaults[T any](part T) T { return options.WithDefaults(part) }

// Check reports the first option of a part that is not finite or beyond its max, by its key.
func Check(part any) error { return options.Check(part) }

// Stream returns the generator of random numbers of a name ("mytask/train") and of indices, for a seed. Streams are
// independent of each other and of the order in which they are asked for, so that what a part draws does not depend
// on other parts, on the number of cores or on a resume.
func Stream(seed uint64, name string, index ...uint64) *rand.Rand {
	return rng.Stream(seed, name, index...)
}
