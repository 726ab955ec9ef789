// Package quote puts words that come from elsewhere into messages: names in a user's files, keys of
// a configuration. What a terminal would obey is escaped, and their length and number are bounded.
package quote

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

const (
	longest = 60 // characters of a name
	most    = 10 // names of a list
)

// Name is a name in quotes, as %q writes it, cut where it is long.
func Name(s string) string { return strconv.Quote(cut(s)) }

// Names are the first of some names in quotes, and how many more there are.
func Names(names []string) string { return list(names, ", ", Name) }

// Bare is Names without the quotes, for a log that sets them itself.
func Bare(names []string) string { return list(names, ",", cut) }

func list(names []string, between string, show func(string) string) string {
	var out []string
	for _, s := range names[:min(len(names), most)] {
		out = append(out, show(s))
	}
	text := strings.Join(out, between)
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Path is a path as it is or, where it holds what a terminal would obey, in quotes.
func Path(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

// Key is a key as it is or, where it holds what a terminal would obey, in quotes; cut where it is long.
func Key(s string) string { return Path(cut(s)) }

// Text is a text of several lines in which what a terminal would obey is escaped.
func Text(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == unicode.ReplacementChar && !strings.HasPrefix(s[i:], string(unicode.ReplacementChar)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || r == '\t' || strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// cut shortens a text to the length of a name.
func cut(s string) string {
	n := 0
	for i := range s {
		if n++; n > longest {
			return s[:i] + "…"
		}
	}
	return s
}
