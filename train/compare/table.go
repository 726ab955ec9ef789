package compare

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Escape sequences for a terminal that has colours.
const (
	boldOn = "\x1b[1m"
	redOn  = "\x1b[31m"
	dimOn  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// longest is how much of a rule's name a table shows.
const longest = 18

// WriteTable writes a setting as a table of at most 100 columns: the rules, then the
// controls, then why rules fail. The best rule is bold and a failing one red when color
// is true, which is for the caller to decide (a terminal, and NO_COLOR not set).
func WriteTable(w io.Writer, s Setting, color bool) error {
	header := []string{"rule", "test accuracy %", "loss", "cosine", "evals/step", "wall s", "memory", "div.", "fails"}
	y := yardstickOf(&s)
	learn, _ := y.best(&s)
	var rules, controls [][]string
	style := map[string]string{}
	if len(learn) > 0 {
		style[shorten(learn[0].Rule)] = boldOn
	}
	var notes []string
	for i := range s.Rules {
		r := &s.Rules[i]
		cells := []string{shorten(r.Rule), accuracyCell(r.TestAccuracy), number(r.TestLoss.Mean, 4), cosineCell(r), number(r.Evals, 3),
			number(r.WallS, 3), Bytes(r.PeakBytes), fmt.Sprintf("%d/%d", r.Diverged, len(r.Trials)), ""}
		if r.Fails != "" {
			cells[8] = "yes"
			style[cells[0]] = redOn
			notes = append(notes, fmt.Sprintf("%s fails: %s", r.Rule, r.Fails))
		}
		if r.Control {
			controls = append(controls, cells)
		} else {
			rules = append(rules, cells)
		}
	}
	width := make([]int, len(header))
	for _, row := range append(append([][]string{header}, rules...), controls...) {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}

	b := bufio.NewWriter(w)
	total := 2 * (len(width) - 1)
	for _, n := range width {
		total += n
	}
	line := func(cells []string, style string) {
		var out strings.Builder
		for i, c := range cells {
			if i > 0 {
				out.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i == 0 {
				out.WriteString(c + pad)
			} else {
				out.WriteString(pad + c)
			}
		}
		text := strings.TrimRight(out.String(), " ")
		if color && style != "" {
			text = style + text + reset
		}
		fmt.Fprintln(b, text)
	}
	title := s.Name
	if color {
		title = boldOn + title + reset
	}
	fmt.Fprintln(b, title)
	line(header, dimOn)
	fmt.Fprintln(b, strings.Repeat("─", total))
	for _, cells := range rules {
		line(cells, style[cells[0]])
	}
	if len(controls) > 0 {
		fmt.Fprintln(b, strings.Repeat("┄", total))
		for _, cells := range controls {
			line(cells, style[cells[0]])
		}
	}
	for _, n := range notes {
		fold(b, n, 100)
	}
	return b.Flush()
}

// fold writes text in lines of at most width columns, broken at spaces, the later ones
// indented by two.
func fold(w io.Writer, text string, width int) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			fmt.Fprintln(w, line)
			line = " "
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}

func shorten(name string) string {
	if r := []rune(name); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return name
}

// accuracyCell writes an accuracy in percent: with ± where its interval is symmetric,
// with both ends where it was clipped.
func accuracyCell(iv Interval) string {
	up, down := 100*(iv.Hi-iv.Mean), 100*(iv.Mean-iv.Lo)
	switch {
	case !finite(iv.Mean):
		return "–"
	case !finite(up) || !finite(down):
		return fmt.Sprintf("%.1f", 100*iv.Mean)
	case math.Abs(up-down) < 0.05:
		return fmt.Sprintf("%.1f ± %.1f", 100*iv.Mean, up)
	}
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*iv.Mean, 100*iv.Lo, 100*iv.Hi)
}

func cosineCell(r *Row) string {
	if r.CosineToExact == nil || !finite(r.CosineToExact.Mean) {
		return "–"
	}
	return signed(fmt.Sprintf("%.3f", r.CosineToExact.Mean))
}

// number writes a value with that many significant digits, never longer than a column.
func number(v float64, digits int) string {
	switch a := math.Abs(v); {
	case !finite(v):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e6 || a < 1e-4:
		return signed(fmt.Sprintf("%.*e", digits-2, v))
	default:
		decimals := digits - 1 - int(math.Floor(math.Log10(a)))
		return signed(fmt.Sprintf("%.*f", min(max(decimals, 0), 5), v))
	}
}

// Bytes writes a number of bytes for people: 1536 is 1.5 KiB. What is not positive was
// not measured.
func Bytes(n int64) string {
	if n <= 0 {
		return "–"
	}
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 || v >= 99.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
