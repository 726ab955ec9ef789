package config

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"attractor/internal/options"
)

// Write writes the sections' destinations as a configuration that [Read] turns into the
// same values: every section, the name of its part and every option, defaults filled in,
// with a comment that says what it is, what it can be and, if it is not the default, what
// the default is. A value that Read would refuse, such as a NaN, is an error.
func Write(w io.Writer, sections ...Section) error {
	b := bufio.NewWriter(w) // keeps its first error for Flush
	for i, s := range sections {
		rows, err := s.rows()
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(b)
		}
		if s.doc != "" {
			fmt.Fprintf(b, "# %s\n", oneLine(s.doc))
		}
		if len(rows) == 0 {
			fmt.Fprintf(b, "%s: {}\n", s.name)
			continue
		}
		fmt.Fprintf(b, "%s:\n", s.name)
		width := 0
		for _, r := range rows {
			if n := utf8.RuneCountInString(r.text); n <= 40 {
				width = max(width, n)
			}
		}
		for _, r := range rows {
			if r.comment == "" {
				fmt.Fprintf(b, "  %s\n", r.text)
			} else {
				fmt.Fprintf(b, "  %-*s  # %s\n", width, r.text, r.comment)
			}
		}
	}
	return b.Flush()
}

type row struct{ text, comment string }

func (s Section) rows() ([]row, error) {
	var rows []row
	part := s.chosen()
	if s.kind != "" {
		if part == "" {
			return nil, fmt.Errorf("config: write %s: no %s is chosen", s.name, s.kind)
		}
		rows = append(rows, row{"name: " + quoted(part), comment(s.synopsis(part), s.names, "")})
	}
	opts, err := s.start(part)
	if err != nil {
		return nil, fmt.Errorf("config: write %s: %w", s.name, err)
	}
	t := reflect.TypeOf(opts).Elem()
	resolved := options.WithDefaults(reflect.ValueOf(opts).Elem().Interface())
	defaults := options.WithDefaults(reflect.Zero(t).Interface())
	for _, f := range options.Fields(opts) {
		texts := f.Texts(resolved)
		if err := f.Set(opts, texts...); err != nil {
			return nil, fmt.Errorf("config: write %s.%s: %w", s.name, f.Key, err)
		}
		for i := range texts {
			if f.Textual {
				texts[i] = quoted(texts[i])
			}
		}
		text := strings.Join(texts, ", ")
		if f.List {
			text = "[" + text + "]"
		}
		def := f.Default
		if slices.Equal(f.Texts(resolved), f.Texts(defaults)) {
			def = ""
		}
		rows = append(rows, row{f.Key + ": " + text, comment(f.Doc, f.Choices, def)})
	}
	return rows, nil
}

func comment(doc string, choices []string, def string) string {
	var notes []string
	if doc != "" {
		notes = append(notes, oneLine(doc))
	}
	if len(choices) > 0 {
		notes = append(notes, "one of "+strings.Join(choices, ", "))
	}
	if def != "" && !strings.Contains(doc, "(default ") { // which says what it is
		notes = append(notes, "default "+def)
	}
	return strings.Join(notes, "; ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// plain text needs no quotes: words, paths and durations, which end with s.
var plain = regexp.MustCompile(`^([A-Za-z_/][A-Za-z0-9_./+-]*|-?[0-9][0-9.hmnµ]*s)$`)

// quoted writes text such that every reader of YAML, 1.1 or 1.2, takes it for that text.
// The escapes of Go are escapes of YAML's double quotes.
func quoted(s string) string {
	if plain.MatchString(s) {
		switch strings.ToLower(s) {
		case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		default:
			return s
		}
	}
	return strconv.Quote(s)
}
