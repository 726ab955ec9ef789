package npz

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tuple is a tuple of Python's; a list is []any.
type tuple []any

// literal reads a literal of Python, as ast.literal_eval does: dictionaries with texts as keys,
// tuples, lists, texts, whole numbers, True, False and None, with comments and line breaks
// between them.
type literal struct {
	text  string
	at    int
	longs bool // 3L is a whole number, as Python 2 wrote it
	depth int
}

// parseLiteral reads a text that is one literal.
func parseLiteral(text string, longs bool) (any, error) {
	p := &literal{text: text, longs: longs}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.fail("the end")
	}
	return v, nil
}

func (p *literal) fail(expected string) error {
	found := "the end"
	if p.at < len(p.text) {
		rest := p.text[p.at:]
		found = strconv.Quote(rest[:min(len(rest), 12)])
	}
	return fmt.Errorf("expected %s at its byte %d, found %s", expected, p.at, found)
}

// space skips blanks, line breaks and comments.
func (p *literal) space() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			p.at++
		case c == '#':
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				end = len(p.text) - p.at
			}
			p.at += end
		default:
			return
		}
	}
}

// take skips a sign, after what is blank, and reports whether it was there.
func (p *literal) take(sign byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == sign {
		p.at++
		return true
	}
	return false
}

func (p *literal) value() (any, error) {
	const deepest = 16
	if p.depth++; p.depth > deepest {
		return nil, fmt.Errorf("expected values nested at most %d deep, found more", deepest)
	}
	defer func() { p.depth-- }()
	switch {
	case p.take('('):
		items, commas, err := p.items(')')
		if err == nil && len(items) == 1 && commas == 0 {
			return items[0], nil // parentheses alone make no tuple
		}
		return tuple(items), err
	case p.take('['):
		items, _, err := p.items(']')
		return items, err
	case p.take('{'):
		return p.dict()
	}
	rest := p.text[p.at:] // take has skipped what is blank
	if rest == "" {
		return nil, p.fail("a value")
	}
	if c := rest[0]; c == '\'' || c == '"' || len(rest) > 1 && (c == 'u' || c == 'U') && (rest[1] == '\'' || rest[1] == '"') {
		return p.texts()
	}
	if c := rest[0]; c >= '0' && c <= '9' || c == '-' || c == '+' {
		return p.number()
	}
	word := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"))]
	for name, v := range map[string]any{"True": true, "False": false, "None": nil} {
		if word == name {
			p.at += len(word)
			return v, nil
		}
	}
	return nil, p.fail("a value")
}

// items reads what stands between commas up to the end, and counts the commas.
func (p *literal) items(end byte) (items []any, commas int, err error) {
	items = []any{}
	for !p.take(end) {
		v, err := p.value()
		if err != nil {
			return nil, 0, err
		}
		items = append(items, v)
		if p.take(',') {
			commas++
		} else if p.take(end) {
			break
		} else {
			return nil, 0, p.fail(fmt.Sprintf("a comma or %q", end))
		}
	}
	return items, commas, nil
}

// dict reads a dictionary; of a key that is there twice the second counts, as in Python.
func (p *literal) dict() (any, error) {
	out := map[string]any{}
	for !p.take('}') {
		key, err := p.value()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("expected keys that are texts, found %v", key)
		}
		if !p.take(':') {
			return nil, p.fail("a colon")
		}
		if out[name], err = p.value(); err != nil {
			return nil, err
		}
		if !p.take(',') && !p.take('}') {
			return nil, p.fail("a comma or '}'")
		} else if p.text[p.at-1] == '}' {
			break
		}
	}
	return out, nil
}

// texts reads one or more texts that follow each other, which Python joins.
func (p *literal) texts() (any, error) {
	var b strings.Builder
	for {
		p.space()
		rest := p.text[p.at:]
		prefixed := len(rest) > 1 && (rest[0] == 'u' || rest[0] == 'U')
		if prefixed {
			rest = rest[1:]
		}
		if rest == "" || rest[0] != '\'' && rest[0] != '"' {
			return b.String(), nil
		}
		if prefixed {
			p.at++
		}
		quote := p.text[p.at]
		for p.at++; ; p.at++ {
			if p.at >= len(p.text) || p.text[p.at] == '\n' {
				return nil, p.fail("the end of a text")
			}
			c := p.text[p.at]
			if c == quote {
				p.at++
				break
			}
			if c != '\\' {
				b.WriteByte(c)
				continue
			}
			r, multibyte, tail, err := strconv.UnquoteChar(p.text[p.at:], quote)
			if err != nil {
				return nil, p.fail("an escape that is known")
			}
			if multibyte || r >= utf8.RuneSelf {
				b.WriteRune(r)
			} else {
				b.WriteByte(byte(r))
			}
			p.at = len(p.text) - len(tail) - 1
		}
	}
}

// number reads a whole number.
func (p *literal) number() (any, error) {
	sign := ""
	for p.text[p.at] == '+' || p.text[p.at] == '-' {
		if sign != "" {
			return nil, p.fail("a whole number")
		}
		sign = p.text[p.at : p.at+1]
		p.at++
		if p.space(); p.at >= len(p.text) {
			return nil, p.fail("a whole number")
		}
	}
	rest := p.text[p.at:]
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789abcdefABCDEFxXoO_."))]
	if body := strings.Trim(digits, "0_"); body != "" && digits[0] == '0' && body[0] >= '0' && body[0] <= '9' {
		return nil, p.fail("a whole number without leading zeros")
	}
	zero := strings.Trim(digits, "0") == "" && digits != ""
	n, err := strconv.ParseInt(sign+digits, 0, 64)
	switch {
	case zero:
		n = 0
	case errors.Is(err, strconv.ErrRange):
		return nil, p.fail("a whole number below 2⁶³")
	case err != nil:
		return nil, p.fail("a whole number")
	}
	p.at += len(digits)
	if p.longs {
		p.take('L')
	}
	return n, nil
}
