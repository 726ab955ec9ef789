package quote

import (
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	many := strings.Split(strings.Repeat("a,", 11)+"b", ",")
	for _, c := range []struct{ got, want string }{
		{Name("a\x1b[31m\u009bπ"), `"a\x1b[31m\u009bπ"`},
		{Name("\xff"), `"\xff"`},
		{Name(strings.Repeat("é", 61)), `"` + strings.Repeat("é", 60) + `…"`},
		{Names([]string{"a", "b"}), `"a", "b"`},
		{Bare([]string{"a", "b"}), `a,b`},
		{Names(many), strings.Repeat(`"a", `, 9) + `"a" and 2 more`},
		{Path("runs/π a"), "runs/π a"},
		{Path("a\nb\x1b"), `"a\nb\x1b"`},
		{Path("a\xff"), `"a\xff"`},
		{Text("a\tb\nc\x1b[2J\u202e\xff\u00a0'\r�"), "a\tb\nc\\x1b[2J\\u202e\\xff\\u00a0'\\r�"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
