package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/internal/quote"
)

// reader gathers what the file and every --set give to each section, then resolves it.
type reader struct {
	sections []*given
	problems []problem
}

// problem is a place where something is wrong. What it is said to be is worked out for the few that
// are reported.
type problem struct {
	at      place
	explain func() *Error
}

// given is what was written about one section, later layers over earlier ones.
type given struct {
	Section
	at      place // its first mention
	part    value // the name chosen, if any
	options []pair
	index   map[string]int // of the options by their keys
	result  Chosen[any]
}

// document is the file or one --set.
type document struct {
	source string
	order  int
	isSet  bool
	lines  []string
}

type place struct {
	doc          *document
	line, column int // from 1, or 0
}

type value struct {
	doc  *document
	node *yaml.Node // nil of a --set whose text is not read yet
	text string     // of such a one
	at   place
}

func (v value) place() place {
	if v.node == nil {
		return v.at
	}
	return place{v.doc, v.node.Line, v.node.Column}
}

// literally is the value that stands for every sign of its text.
func (v value) literally() value {
	v.node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v.text, Line: v.at.line, Column: v.at.column}
	return v
}

type pair struct {
	key   string
	at    place
	value value
}

func (r *reader) fail(at place, path, suggestion string, cause error, format string, args ...any) {
	r.later(at, func() *Error { return at.error(path, suggestion, cause, format, args...) })
}

// later notes a problem that takes long to explain.
func (r *reader) later(at place, explain func() *Error) {
	r.problems = append(r.problems, problem{at, explain})
}

func (at place) error(path, suggestion string, cause error, format string, args ...any) *Error {
	e := &Error{
		Source: at.doc.source, Line: at.line, Column: at.column, Path: path,
		Msg: fmt.Sprintf(format, args...), Suggestion: suggestion, Err: cause,
	}
	if at.line > 0 && at.line <= len(at.doc.lines) {
		e.Excerpt = excerpt(at.doc.lines[at.line-1], at.column)
	}
	if at.doc.isSet {
		e.Line = 0
	}
	return e
}

// excerpt is a line, or the part of it around a column, with a caret below.
func excerpt(line string, column int) string {
	const width = 100
	text := []rune(strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return utf8.RuneError
		}
		return c
	}, line))
	at := min(max(column-1, 0), len(text))
	from := max(0, at-width/2)
	to := min(len(text), from+width)
	return string(text[from:to]) + "\n" + strings.Repeat(" ", at-from) + "^"
}

// file reads the file, and reports whether its sections could be told apart.
func (r *reader) file(doc *document, data []byte) bool {
	doc.lines = lines(data)
	root, ok := r.parse(doc, data)
	if !ok || root.node == nil || root.node.Tag == "!!null" && root.node.Value == "" {
		return ok // nothing there: all defaults
	}
	if !r.usable(root, "") {
		return false
	}
	if root.node.Kind != yaml.MappingNode {
		r.fail(root.place(), "", "", nil, "expected a mapping of sections, found %s", describe(root.node))
		return false
	}
	for _, p := range r.pairs(root, "") {
		if g := r.section(p.at, p.key); g != nil {
			r.give(g, p)
		}
	}
	return true
}

// set reads one --set.
func (r *reader) set(doc *document, arg string) {
	doc.lines = lines([]byte(arg))
	path, text, ok := strings.Cut(arg, "=")
	name, key, hasKey := strings.Cut(strings.TrimSpace(path), ".")
	if !ok || name == "" || hasKey && key == "" {
		r.fail(place{doc, 1, 1}, "", "", nil, "expected section.key=value")
		return
	}
	at := place{doc, 1, 1 + strings.Index(arg, name)}
	g := r.section(at, name)
	if g == nil {
		return
	}
	v := value{doc: doc, text: text, at: place{doc, 1, utf8.RuneCountInString(path) + 2}}
	if hasKey {
		at.column += utf8.RuneCountInString(name) + 1
		g.mention(at)
		if g.kind != "" && key == "name" {
			v = v.literally()
		}
		g.give(pair{key, at, v})
		return
	}
	if v, ok = r.value(v); ok {
		r.give(g, pair{name, at, v})
	}
}

// value reads the text of a --set as YAML.
func (r *reader) value(v value) (value, bool) {
	// Blanks in place of the key make the parser count columns in the argument.
	parsed, ok := r.parse(v.doc, []byte(strings.Repeat(" ", v.at.column-1)+v.text))
	if ok && parsed.node == nil { // only blanks or a comment
		parsed.node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: v.at.column}
	}
	return parsed, ok
}

// lines splits a text where YAML does.
func lines(data []byte) []string {
	breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Split(breaks.Replace(strings.TrimPrefix(string(data), "\ufeff")), "\n")
}

// parse returns the one document in data; its node is nil if there is none.
func (r *reader) parse(doc *document, data []byte) (value, bool) {
	v := value{doc: doc}
	for i, line := range lines(data) {
		column := 0
		for j, c := range line {
			column++
			at := place{doc, i + 1, column}
			if _, size := utf8.DecodeRuneInString(line[j:]); c == utf8.RuneError && size == 1 {
				r.fail(at, "", "", nil, "expected text in UTF-8, found the byte 0x%02x", line[j])
				return v, false
			}
			if unicode.IsControl(c) && c != '\t' || c == '\ufffe' || c == '\uffff' {
				r.fail(at, "", "", nil, "expected text, found the control character %U", c)
				return v, false
			}
		}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.syntax(doc, err)
		return v, false
	}
	for n := 0; ; n++ {
		var root yaml.Node
		switch err := loader.Load(&root); {
		case err == io.EOF:
			return v, true
		case err != nil:
			r.syntax(doc, err)
			return v, false
		case n > 0:
			r.fail(value{doc: doc, node: &root}.place(), "", "", nil, "expected one document, found a second")
			return v, false
		case len(root.Content) > 0:
			v.node = root.Content[0]
		}
	}
}

// syntax reports an error of the YAML parser.
func (r *reader) syntax(doc *document, err error) {
	at, msg := place{doc: doc}, err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		at.line, at.column = load.Mark.Line, load.Mark.Column
		msg = load.Message
		if load.ContextMsg != "" {
			msg = load.ContextMsg + ": " + msg
		}
		ended := at.line > len(doc.lines) || at.line > 0 && strings.TrimSpace(doc.lines[at.line-1]) == ""
		switch begin := load.ContextMark; {
		case begin.Line == 0:
		case ended: // show what was not finished rather than the end of the file
			at.line, at.column = begin.Line, begin.Column
		case begin.Line < at.line:
			msg += fmt.Sprintf(" (it begins in line %d)", begin.Line)
		}
	}
	if at.line > 0 && at.line <= len(doc.lines) {
		if rest := []rune(doc.lines[at.line-1]); at.column > 0 && at.column <= len(rest) && rest[at.column-1] == '\t' {
			msg += ": indent with spaces, not with tabs"
		}
	}
	r.fail(at, "", "", err, "%s", msg)
}

// usable refuses what has no meaning here: anchors, aliases, tags and null.
func (r *reader) usable(v value, path string) bool {
	n := v.node
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(v.place(), path, "", nil, "anchors and aliases are not supported: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(v.place(), path, "", nil, "tags are not supported, found %s", quote.Key(n.Tag))
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		r.fail(v.place(), path, "", nil, "expected a value, found none: leave the key out for the default")
	default:
		return true
	}
	return false
}

// pairs returns the entries of a mapping without those that are wrong.
func (r *reader) pairs(v value, path string) []pair {
	var pairs []pair
	first := map[string]int{} // line of each key
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k := value{doc: v.doc, node: v.node.Content[i]}
		if !r.usable(k, path) {
			continue
		}
		if k.node.Kind != yaml.ScalarNode {
			r.fail(k.place(), path, "", nil, "expected a key, found %s", describe(k.node))
			continue
		}
		key := k.node.Value
		if k.node.Tag == "!!merge" {
			r.fail(k.place(), path, "", nil, "merge keys are not supported: write the options out")
			continue
		}
		if line, twice := first[key]; twice {
			where := ""
			if !v.doc.isSet {
				where = fmt.Sprintf(", first in line %d", line)
			}
			r.fail(k.place(), join(path, key), "", nil, "given twice%s", where)
			continue
		}
		first[key] = k.node.Line
		pairs = append(pairs, pair{key, k.place(), value{doc: v.doc, node: v.node.Content[i+1]}})
	}
	return pairs
}

// section finds a section by its name.
func (r *reader) section(at place, name string) *given {
	if i := slices.IndexFunc(r.sections, func(g *given) bool { return g.name == name }); i >= 0 {
		return r.sections[i]
	}
	r.later(at, func() *Error {
		var names []string
		elsewhere := ""
		for _, g := range r.sections {
			names = append(names, g.name)
			if elsewhere == "" && g.kind == "" {
				if settings, _ := g.start(""); slices.Contains(keysOf(settings), name) {
					elsewhere = join(g.name, name)
				}
			}
		}
		u := catalog.Unknown("section", name, names)
		if elsewhere != "" {
			u.Suggestion = elsewhere
		}
		return at.unknown("", u)
	})
	return nil
}

// unknown is the error about the name of a section or part, with all that are known if none is near.
func (at place) unknown(path string, u *catalog.UnknownError) *Error {
	known := ""
	if u.Suggestion == "" {
		known = " (known: " + strings.Join(u.Known, ", ") + ")"
	}
	return at.error(path, u.Suggestion, u, "unknown %s %s%s", u.Kind, quote.Name(u.Name), known)
}

// give gives a section what one layer says of it as a whole.
func (r *reader) give(g *given, p pair) {
	v := p.value
	if !r.usable(v, g.name) {
		return
	}
	g.mention(p.at)
	switch {
	case v.node.Kind == yaml.MappingNode:
		if v.doc.isSet {
			g.at, g.part, g.options, g.index = p.at, value{}, nil, nil
		}
		for _, q := range r.pairs(v, g.name) {
			g.give(q)
		}
	case v.node.Kind == yaml.ScalarNode && g.kind != "":
		g.part = v
	case g.kind != "":
		r.fail(v.place(), g.name, "", nil, "expected the name of a %s or a mapping of name and options, found %s", g.kind, describe(v.node))
	default:
		r.fail(v.place(), g.name, "", nil, "expected a mapping of options, found %s", describe(v.node))
	}
}

func (g *given) mention(at place) {
	if g.at.doc == nil {
		g.at = at
	}
}

// give gives a section one option, or the name of its part.
func (g *given) give(p pair) {
	if g.kind != "" && p.key == "name" {
		g.part = p.value
		return
	}
	if i, given := g.index[p.key]; given {
		g.options[i] = p
		return
	}
	if g.index == nil {
		g.index = map[string]int{}
	}
	g.index[p.key] = len(g.options)
	g.options = append(g.options, p)
}

// resolve turns what was given into the section's part and options.
func (r *reader) resolve(g *given) {
	before := len(r.problems)
	part := g.chosen()
	if g.part.node != nil {
		if !r.usable(g.part, g.name) {
			return
		}
		if g.part.node.Kind != yaml.ScalarNode {
			r.fail(g.part.place(), join(g.name, "name"), "", nil, "expected the name of a %s, found %s", g.kind, describe(g.part.node))
			return
		}
		part = g.part.node.Value
	} else if g.kind != "" && part == "" {
		r.fail(g.at, g.name, "", nil, "expected the name of a %s (known: %s)", g.kind, strings.Join(g.names, ", "))
		return
	}
	opts, err := g.start(part)
	if u := (*catalog.UnknownError)(nil); errors.As(err, &u) {
		at := g.part.place()
		r.later(at, func() *Error { return at.unknown(g.name, u) })
		return
	}
	fields := options.Fields(opts)
	for _, p := range g.options {
		i := slices.IndexFunc(fields, func(f options.Field) bool { return f.Key == p.key })
		if i < 0 {
			r.later(p.at, func() *Error { return g.unknownOption(part, p, fields) })
			continue
		}
		r.assign(fields[i], opts, p.value, join(g.name, p.key))
	}
	if len(r.problems) > before {
		return
	}
	g.result = Chosen[any]{part, options.WithDefaults(reflect.ValueOf(opts).Elem().Interface())}
	if err := validate(g.result.Value); err != nil {
		r.fail(g.blamed(err), g.name, "", err, "%v", err)
	}
}

// blamed is the place of the option that Validate complains of, "KEY: …", where it was given, or else of the section.
func (g *given) blamed(err error) place {
	key, _, _ := strings.Cut(err.Error(), ":")
	for _, p := range slices.Backward(g.options) { // the last one given holds
		if p.key == key {
			return p.at
		}
	}
	return g.at
}

// unknownOption is the error about an option that the part does not have: which parts do.
func (g *given) unknownOption(part string, p pair, fields []options.Field) *Error {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.Key
	}
	u := catalog.Unknown("option", p.key, known)
	of, hint := "", ""
	if g.kind != "" {
		of = fmt.Sprintf(" of the %s %q", g.kind, part)
	}
	switch owners := g.owners(p.key); {
	case len(owners) > 0:
		hint = ": it belongs to " + strings.Join(owners, ", ")
		u.Suggestion = ""
	case len(known) == 0:
		hint = ": it has none"
	case u.Suggestion == "":
		hint = " (known: " + strings.Join(known, ", ") + ")"
	}
	if g.part.doc != nil && g.part.doc.isSet && !p.at.doc.isSet {
		hint += fmt.Sprintf("; to replace the section of the file use --set '%s={name: %s}'", g.name, part)
	}
	return p.at.error(join(g.name, p.key), u.Suggestion, u, "unknown option %s%s%s", quote.Name(p.key), of, hint)
}

// owners are the parts of the section's catalogue that have an option.
func (g *given) owners(key string) []string {
	var names []string
	for _, name := range g.names {
		if part, err := g.start(name); err == nil && slices.Contains(keysOf(part), key) {
			names = append(names, name)
		}
	}
	return names
}

// assign sets one option.
func (r *reader) assign(f options.Field, opts any, v value, path string) {
	if v.node == nil {
		if f.Text && !f.List {
			v = v.literally()
		} else {
			var ok bool
			if v, ok = r.value(v); !ok {
				return
			}
		}
	}
	if !r.usable(v, path) {
		return
	}
	elems := []value{v}
	if f.List {
		if v.node.Kind != yaml.SequenceNode {
			suggestion := ""
			if v.node.Kind == yaml.ScalarNode {
				suggestion = "[" + quote.Key(v.node.Value) + "]"
			}
			r.fail(v.place(), path, suggestion, nil, "expected %s, found %s", f.Want(), describe(v.node))
			return
		}
		elems = nil
		for _, n := range v.node.Content {
			elems = append(elems, value{doc: v.doc, node: n})
		}
	}
	var texts []string
	for _, e := range elems {
		if e.node != v.node && !r.usable(e, path) {
			return
		}
		quoted := e.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
		switch {
		case e.node.Kind != yaml.ScalarNode && f.List:
			r.fail(e.place(), path, "", nil, "expected %s, found %s in it", f.Want(), describe(e.node))
			return
		case e.node.Kind != yaml.ScalarNode:
			r.fail(e.place(), path, "", nil, "expected %s, found %s", f.Want(), describe(e.node))
			return
		case quoted && !f.Textual:
			r.fail(e.place(), path, "", nil, "expected %s, found text: leave out the quotes of %s", f.Want(), describe(e.node))
			return
		}
		texts = append(texts, e.node.Value)
	}
	var bad *options.ValueError
	if err := f.Set(opts, texts...); errors.As(err, &bad) {
		at := v
		if len(elems) > 0 {
			at = elems[bad.Item]
		}
		r.fail(at.place(), path, bad.Suggestion, bad.Err, "%s", bad.Msg)
	}
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return quote.Name(n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
