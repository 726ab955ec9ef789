// Package options describes the options of a part (a solver, a model, a rule, …): a
// part is a struct, an option is an exported field, and zero means the default.
//
//	type Anderson struct {
//		Window int     `default:"6" doc:"number of past iterates m"`
//		RTol   float64 `default:"1e-3" doc:"relative tolerance"`
//		Type   string  `default:"2" choices:"1,2" doc:"which residual is minimised"`
//		Inner  Method  `key:"-"`
//	}
//
// An option is a bool, an integer, a float, a string, a [time.Duration] or a slice of
// these; its type may have a name of its own. The tags are
//
//	default  the value that zero stands for; a slice's elements are separated by commas
//	doc      one line for help texts
//	choices  the values allowed, separated by commas
//	max      the largest integer allowed, a colon and why: "1e6: every state is kept"
//	key      the key in a configuration instead of the one made from the field's name;
//	         "-" hides the field
//
// The key is the field's name in small letters. A word begins, after an underscore, at
// a capital that follows a small letter or a digit, and at the last capital of three or
// more when a small letter follows it: MaxEvals is max_evals, LRDecay is lr_decay. So
// one capital joins the word behind it, as in mathematics: RTol is rtol, LR is lr.
// The fields of an embedded struct, and of a field with the tag inline:"true", are options
// of the struct around it.
//
// Because zero stands for the default, an option whose default is not zero can be zero
// only if it is a number of a struct that embeds [Zeros], and a bool's default is always
// false: name it after what is unusual.
//
// A struct that breaks these rules is a programmer's mistake, on which [Fields] panics.
package options

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"attractor/internal/catalog"
	"attractor/internal/quote"
)

// Field is one option.
type Field struct {
	Key     string   // as written in a configuration
	Type    string   // "integer", "number", "true or false", "text", "duration", "list of integers", …
	Default string   // what zero stands for, as text; empty for no text and for the empty list
	Doc     string   // one line
	Choices []string // the values allowed, nil for any
	Bound   Bound    // of integers
	List    bool     // a slice
	Text    bool     // text, alone or in a list
	Textual bool     // text or duration, alone or in a list: a configuration may quote it

	index    []int
	kind     kind
	zeroable bool // the default is zero, so that zero can be written out
	told     bool // a Zeros tells whether zero is meant
}

// Fields returns the options of a struct, or of the struct that v points to, in the
// order of its fields. It panics on a struct that breaks the package's rules.
func Fields(v any) []Field {
	s := structOf(v)
	t := s.Type()
	var fields []Field
	walk(t, nil, func(sf reflect.StructField, index []int) {
		key := keyOf(sf)
		if key == "-" {
			return
		}
		k, list, ok := kindOf(sf.Type)
		if !ok {
			panic(fmt.Sprintf(`options: %s.%s: a %s cannot be an option: hide it by key:"-"`, t, sf.Name, sf.Type))
		}
		f := Field{
			Key: key, Type: k.name, Doc: sf.Tag.Get("doc"),
			Choices: split(sf.Tag.Get("choices")), List: list,
			Text:    k == text,
			Textual: k == text || k == duration,
			index:   index, kind: k, zeroable: true,
		}
		if list {
			f.Type = "list of " + k.plural
		}
		if tag, ok := sf.Tag.Lookup("max"); ok {
			var err error
			if f.Bound, err = boundOf(tag); err == nil && k != integer {
				err = fmt.Errorf("a %s has no max", k.name)
			}
			if err != nil {
				panic(fmt.Sprintf("options: %s.%s: %v", t, sf.Name, err))
			}
		}
		if i := slices.IndexFunc(fields, func(g Field) bool { return g.Key == key }); i >= 0 {
			panic(fmt.Sprintf("options: %s has two options %q: fields %s and %s", t, key,
				t.FieldByIndex(fields[i].index).Name, sf.Name))
		}
		zero := reflect.New(sf.Type).Elem()
		f.Default = strings.Join(textsOf(zero), ",")
		if tag, ok := sf.Tag.Lookup("default"); ok {
			f.Default = tag
			f.setDefault(t, sf.Name, zero, tag)
			f.zeroable = isZero(zero)
			f.told = f.countable() && zerosOf(t, index) != nil
		}
		fields = append(fields, f)
	})
	return fields
}

// countable reports whether the option is one number.
func (f Field) countable() bool { return !f.List && (f.kind == number || f.kind == integer) }

// keyOf is the key of a field, or "-".
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("key"); key != "" {
		return key
	}
	return snake(f.Name)
}

// setDefault sets dst to the default in a tag.
func (f Field) setDefault(t reflect.Type, name string, dst reflect.Value, tag string) {
	texts := []string{tag}
	if f.List {
		texts = split(tag)
	}
	if err := f.parse(dst, texts); err != nil {
		panic(fmt.Sprintf("options: %s.%s: default %q: %v", t, name, tag, err))
	}
	if f.kind == boolean && !f.List && !isZero(dst) {
		panic(fmt.Sprintf("options: %s.%s: a bool whose default is true could never be false: turn its meaning round", t, name))
	}
}

// Set gives the option a value in the struct that p points to, as one who writes it out
// means it: text that does not fit its type or its choices, and zero where zero stands
// for another default and no [Zeros] can tell, is a *[ValueError], and then p is as before. A list has any
// number of texts, everything else one.
func (f Field) Set(p any, texts ...string) error {
	if !f.List && len(texts) != 1 {
		panic(fmt.Sprintf("options: %d texts for the option %s", len(texts), f.Key))
	}
	s := structOf(p)
	dst := s.FieldByIndex(f.index)
	v := reflect.New(dst.Type()).Elem()
	unset := f.kind == text && !f.List && f.zeroable && texts[0] == "" // no choice, yet the default
	if !unset {
		if err := f.parse(v, texts); err != nil {
			return err
		}
	}
	if isZero(v) && !f.zeroable && !f.told {
		found := "an empty list"
		switch {
		case f.kind == text && !f.List:
			found = "empty text"
		case !f.List:
			found = texts[0]
		}
		return &ValueError{Msg: fmt.Sprintf("%s selects the default (%s) and cannot be chosen: leave the key out or give another value", found, f.Default)}
	}
	if f.told {
		mean(s, f.index, f.Key, isZero(v) && !f.zeroable)
	}
	dst.Set(v)
	return nil
}

// Want says what the option expects: "an integer", "a list of numbers", ….
func (f Field) Want() string {
	if f.List {
		return "a " + f.Type
	}
	return f.kind.want
}

// Texts returns the option's value in the struct v or the struct it points to: the
// elements of a list, or one text. [Field.Set] turns them into the same value, of
// floats to the last bit.
func (f Field) Texts(v any) []string { return textsOf(structOf(v).FieldByIndex(f.index)) }

// WithDefaults returns v with every zero field and every empty slice that has a
// `default` tag, and is not named by [Zeros], replaced by the value of the tag; fields
// hidden from configurations too. T is a struct or an interface that holds one. It panics
// on a tag that does not fit its field, and on a name in Zeros that fits none.
func WithDefaults[T any](v T) T {
	rv := reflect.ValueOf(&v).Elem()
	s := rv
	if rv.Kind() == reflect.Interface && !rv.IsNil() {
		s = reflect.New(rv.Elem().Type()).Elem()
		s.Set(rv.Elem())
	}
	if s.Kind() != reflect.Struct {
		panic(fmt.Sprintf("options: %T has no options: it is not a struct", v))
	}
	t := s.Type()
	zeros := zerosIn(s)
	walk(t, nil, func(sf reflect.StructField, index []int) {
		tag, ok := sf.Tag.Lookup("default")
		dst := s.FieldByIndex(index)
		if !ok || zeros.names(s, sf, index) || !isZero(dst) {
			return
		}
		k, list, ok := kindOf(sf.Type)
		if !ok {
			panic(fmt.Sprintf("options: %s.%s: no default can be given for a %s", t, sf.Name, sf.Type))
		}
		f := Field{Choices: split(sf.Tag.Get("choices")), List: list, kind: k}
		f.setDefault(t, sf.Name, dst, tag)
	})
	zeros.check(t)
	if s != rv {
		rv.Set(s)
	}
	return v
}

func structOf(v any) reflect.Value {
	s := reflect.ValueOf(v)
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		panic(fmt.Sprintf("options: %T has no options: it is not a struct", v))
	}
	return s
}

// walk calls visit for every exported field, those of embedded structs included.
func walk(t reflect.Type, at []int, visit func(f reflect.StructField, index []int)) {
	for i := range t.NumField() {
		f, index := t.Field(i), append(slices.Clone(at), i)
		switch {
		case inlined(f):
			walk(f.Type, index, visit)
		case f.IsExported() && f.Type != zerosType:
			visit(f, index)
		}
	}
}

// inlined reports whether the options of a field's struct are options of the struct around it.
func inlined(f reflect.StructField) bool {
	return (f.Anonymous || f.Tag.Get("inline") == "true") && f.Type.Kind() == reflect.Struct && f.Tag.Get("key") != "-"
}

// snake makes a key of a field's name; the package comment has the rule.
func snake(name string) string {
	r := []rune(name)
	var b strings.Builder
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) {
			afterWord := !unicode.IsUpper(r[i-1]) && r[i-1] != '_'
			endsRun := i > 1 && unicode.IsUpper(r[i-1]) && unicode.IsUpper(r[i-2]) &&
				i+1 < len(r) && unicode.IsLower(r[i+1])
			if afterWord || endsRun {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// split returns the elements of a tag, separated by commas.
func split(tag string) []string {
	if tag == "" {
		return nil
	}
	list := strings.Split(tag, ",")
	for i, s := range list {
		list[i] = strings.TrimSpace(s)
	}
	return list
}

// ValueError says which value was expected and which was found.
type ValueError struct {
	Item       int    // in a list the element that is wrong, from 0
	Msg        string // expected and found
	Suggestion string // what was probably meant, if anything
	Err        error  // the cause, if another error is: *catalog.UnknownError for a choice
}

func (e *ValueError) Error() string {
	if e.Suggestion != "" {
		return fmt.Sprintf("%s (did you mean %q?)", e.Msg, e.Suggestion)
	}
	return e.Msg
}

func (e *ValueError) Unwrap() error { return e.Err }

func unknownChoice(f Field, found string) *ValueError {
	u := catalog.Unknown("choice", found, f.Choices)
	msg := fmt.Sprintf("expected one of %s, found %s", strings.Join(f.Choices, ", "), quote.Name(found))
	return &ValueError{Msg: msg, Suggestion: u.Suggestion, Err: u}
}
