// Package config reads and writes configurations: YAML files that say which parts (a
// model, a solver, a rule, …) a run is made of and what their options are.
//
//	model: {name: rate, units: 128}   # a part of a catalogue and its options
//	rule: jfb                         # in short, when all options have their defaults
//	train:                            # plain settings
//	  epochs: 20
//	  betas: [0.9, 0.999]
//
// A file is one mapping of sections; package options says which keys and values a
// section has. Nothing is guessed and nothing ignored: a key or a name that is not known,
// a key given twice, a value of another type, a number that is not finite or does not fit,
// and no value (null) are errors, and so are anchors, aliases, merge keys, tags and a
// second document. All problems are reported together, each with its place and, where
// there is one, the nearest known word.
//
// # Values
//
// Numbers are those of YAML 1.2: 1e-3 is a number; 0x10 and 0o17 are integers; 010 is
// refused, because it was octal in YAML 1.1. An integer may be written 1e3 or 3.0, but not
// 3.5. Numbers and booleans are not quoted, and booleans are true and false only. Text
// may be left unquoted even if it looks like a number, except null and ~. A list is always
// written as one, [a] with a single element. After --set, whose key says what is expected, text is
// taken as it stands, every sign of it: task.file=data #2.npz names that file. As zero stands for the default, an option
// whose default is not zero cannot be set to zero.
//
// # Layers
//
// Defaults come first, then the file, then every --set in its order; what comes later wins,
// and the value that it replaces is not looked at.
//
//	--set model.units=256                one option
//	--set rule=jfb                       the part, the same as --set rule.name=jfb
//	--set 'model={name: gru, units: 8}'  the whole section, without what came before
//
// When --set chooses another part than the file, the options in the file stay in force, so
// that `--set rule=jfb` leaves a common option as it was; one that the new part does not
// have is an error rather than dropped in silence, and the third form is the way around it.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/internal/quote"
)

// Section is one section of a configuration, made by [Struct] or [Choice].
type Section struct {
	name, doc string
	kind      string   // what its catalogue lists, empty for plain settings
	names     []string // of the parts in its catalogue
	chosen    func() string
	start     func(part string) (any, error) // pointer to a copy of the options to begin from
	store     func(part string, value any)   // value is a struct
	synopsis  func(part string) string
}

// Struct is a section of plain settings: the options of the struct S. [Read] replaces
// what the file and --set give; what dst holds otherwise is kept, and its zero fields get
// their defaults. It panics if S is not a struct of options.
func Struct[S any](name, doc string, dst *S) Section {
	options.Fields(dst)
	return Section{
		name: name, doc: doc,
		chosen: func() string { return "" },
		start:  func(string) (any, error) { return pointerTo(*dst), nil },
		store:  func(_ string, v any) { *dst = v.(S) },
	}
}

// Chosen is what was chosen from a catalogue: a part with its options set.
type Chosen[T any] struct {
	Name  string
	Value T
}

// Choice is a section that chooses a part from a catalogue, under the key name, and gives
// it options. The name in dst is the default; if it is empty, one must be chosen. The
// options begin from the Value in dst, if the part is that default one and Value is not
// zero, else from the one in the catalogue; zero fields get their defaults. It panics if
// a part is not a struct of options, has an option called name, or the default name is
// not in the catalogue.
//
// common are pointers to settings that stand in the same section whichever part is
// chosen, as Struct has them; no part may have an option of one of their keys.
func Choice[T any](name, doc string, cat *catalog.Catalog[T], dst *Chosen[T], common ...any) Section {
	for _, e := range cat.Entries() {
		if slices.Contains(keysOf(pointerTo(e.Value)), "name") {
			panic(fmt.Sprintf("config: %s %q has an option %q, which chooses the %s itself", cat.Kind(), e.Name, "name", cat.Kind()))
		}
	}
	if dst.Name != "" {
		if _, err := cat.Lookup(dst.Name); err != nil {
			panic(fmt.Sprintf("config: default of section %s: %v", name, err))
		}
	}
	return Section{
		name: name, doc: doc, kind: cat.Kind(), names: cat.Names(),
		chosen: func() string { return dst.Name },
		start: func(part string) (any, error) {
			e, err := cat.Lookup(part)
			if err != nil {
				return nil, err
			}
			if part == dst.Name && !reflect.ValueOf(&dst.Value).Elem().IsZero() {
				e.Value = dst.Value
			}
			return pointerTo(joined(e.Value, common)), nil
		},
		store: func(part string, v any) { *dst = Chosen[T]{part, split(v, common).(T)} },
		synopsis: func(part string) string {
			e, _ := cat.Lookup(part)
			return e.Synopsis()
		},
	}
}

// Read reads a configuration into the sections' destinations. data is the file, source
// its name for messages, sets the arguments of --set. No data means all defaults. A part
// or settings with a method Validate() error have it called when all options are set.
//
// The error joins one *[Error] for every problem, in the order of the file and then of
// sets (after 20 of them the last one counts the rest); with an error no destination is
// changed.
func Read(source string, data []byte, sets []string, sections ...Section) error {
	r := reader{}
	for _, s := range sections {
		if slices.ContainsFunc(r.sections, func(g *given) bool { return g.name == s.name }) {
			panic(fmt.Sprintf("config: two sections %q", s.name))
		}
		r.sections = append(r.sections, &given{Section: s})
	}
	file := &document{source: source}
	if len(data) > MaxSize {
		return errors.Join(&Error{Source: source, Msg: fmt.Sprintf("expected a configuration of at most %d bytes, found %d", MaxSize, len(data))})
	}
	ok := r.file(file, data)
	for i, s := range sets {
		r.set(&document{source: "--set", order: i + 1, isSet: true}, s)
	}
	if ok {
		for _, g := range r.sections {
			if g.at.doc == nil {
				g.at.doc = file
			}
			r.resolve(g)
		}
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b problem) int {
			return cmp.Or(cmp.Compare(a.at.doc.order, b.at.doc.order), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.column, b.at.column))
		})
		var errs []error
		for _, p := range r.problems[:min(len(r.problems), maxProblems)] {
			errs = append(errs, p.explain())
		}
		if more := len(r.problems) - maxProblems; more > 0 {
			errs = append(errs, &Error{Source: source, Msg: fmt.Sprintf("and %d more problems", more)})
		}
		return errors.Join(errs...)
	}
	for _, g := range r.sections {
		g.store(g.result.Name, g.result.Value)
	}
	return nil
}

const maxProblems = 20

// MaxSize is the largest configuration in bytes: the largest that [Write] makes is a few kB.
const MaxSize = 1 << 20

// Error is one problem in a configuration.
type Error struct {
	Source       string // name of the file, or "--set"
	Line, Column int    // from 1, Column in characters; Line is 0 in --set, both when there is no place
	Path         string // "model.units", if the place has one
	Msg          string // what was expected and what was found
	Excerpt      string // the line, and below it a caret under the column
	Suggestion   string // what was probably meant, if anything
	Err          error  // the cause, if there is one: from Validate, a catalogue, a value
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(quote.Path(e.Source))
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(quote.Key(e.Path) + ": ")
	}
	b.WriteString(e.Msg)
	if e.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", e.Suggestion)
	}
	if e.Excerpt != "" {
		b.WriteString("\n    " + strings.ReplaceAll(e.Excerpt, "\n", "\n    "))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// joined makes one struct of a part and the settings that common points to, of whose
// fields each is an option of the section; without any it is the part.
func joined(part any, common []any) any {
	if len(common) == 0 {
		return part
	}
	values := []reflect.Value{reflect.ValueOf(part)}
	for _, c := range common {
		values = append(values, reflect.ValueOf(c).Elem())
	}
	fields := make([]reflect.StructField, len(values))
	for i, v := range values {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("Part%d", i), Type: v.Type(), Tag: `inline:"true"`}
	}
	s := reflect.New(reflect.StructOf(fields)).Elem()
	for i, v := range values {
		s.Field(i).Set(v)
	}
	return s.Interface()
}

// split undoes joined: it stores the settings where common points and returns the part.
func split(v any, common []any) any {
	if len(common) == 0 {
		return v
	}
	s := reflect.ValueOf(v)
	for i, c := range common {
		reflect.ValueOf(c).Elem().Set(s.Field(i + 1))
	}
	return s.Field(0).Interface()
}

// validate calls Validate of v or, if it was joined, of what it was joined from.
func validate(v any) error {
	if t := reflect.TypeOf(v); t.Name() == "" && t.NumField() > 0 {
		for i := range t.NumField() {
			if err := validate(reflect.ValueOf(v).Field(i).Interface()); err != nil {
				return err
			}
		}
		return nil
	}
	// A method of the value is also one of the pointer to it.
	if p, ok := pointerTo(v).(interface{ Validate() error }); ok {
		return p.Validate()
	}
	return nil
}

func pointerTo(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

func keysOf(v any) []string {
	var keys []string
	for _, f := range options.Fields(v) {
		keys = append(keys, f.Key)
	}
	return keys
}
