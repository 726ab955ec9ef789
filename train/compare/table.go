package compare

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"attractor/train"
)

// Escape sequences for a terminal that has colours.
const (
	boldOn = "\x1b[1m"
	redOn  = "\x1b[31m"
	dimOn  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// longest is how much of a rule's name a table shows.
const longest = 21

// columns is the width of a page.
const columns = 100

// WriteTable writes a setting as a table of at most 100 columns: the rules, then the
// controls, then why rules fail. The best rule is bold and a failing one red when color
// is true, which is for the caller to decide (a terminal, and NO_COLOR not set).
func WriteTable(w io.Writer, s Setting, color bool) error {
	t := textTable{header: []string{"rule", "test accuracy %", "loss", "cosine", "looks", "evals", "wall s", "memory", "div.", "lr"}, style: map[string]string{}}
	y := yardstickOf(&s)
	learn, _ := y.best(&s)
	var rules, controls [][]string
	if len(learn) > 0 {
		t.style[learn[0].marked(shorten(learn[0].Rule))] = boldOn
	}
	var notes []string
	for i := range s.Rules {
		r := &s.Rules[i]
		cells := []string{r.marked(shorten(r.Rule)), accuracyCell(r), number(r.TestLoss.Mean, 4), cosineCell(r), looksCell(r), number(r.Evals, 3),
			number(r.WallS, 3), Bytes(r.PeakBytes), fmt.Sprintf("%d/%d", r.Diverged, len(r.Trials)), r.rateCell()}
		if r.Fails != "" {
			t.style[cells[0]] = redOn
			notes = append(notes, fmt.Sprintf("%s fails: %s", r.Rule, r.Fails))
		}
		if r.Undecided != "" {
			notes = append(notes, fmt.Sprintf("%s %s", r.Rule, r.Undecided))
		}
		if r.Control {
			controls = append(controls, cells)
		} else {
			rules = append(rules, cells)
		}
	}
	t.groups = [][][]string{rules, controls}
	b := bufio.NewWriter(w)
	title := s.Name
	if color {
		title = boldOn + title + reset
	}
	fmt.Fprintln(b, title)
	t.write(b, color)
	for _, n := range notes {
		fold(b, n, columns)
	}
	for _, n := range slices.Concat(doubts(&s), []string{rateLegend(&s), certain(&s)}, restsOn(&s)) {
		if n != "" {
			fold(b, n, columns)
		}
	}
	return b.Flush()
}

// WriteContrasts writes how the rules of a setting differ from its reference: nothing where
// there is nothing to compare.
func WriteContrasts(w io.Writer, s Setting) error {
	y := yardstickOf(&s)
	t := textTable{header: []string{"rule", "diff.", "95 % interval", "bootstrap", "p t", "Holm", "p flip", "Holm", "p M–W"}, groups: make([][][]string, 2)}
	for _, r := range s.Rules {
		c := r.Contrast
		if c == nil || c.Pairs < 2 {
			continue
		}
		group := boolInt(r.Control)
		t.groups[group] = append(t.groups[group], []string{shorten(r.Rule), y.gap(c.Difference.Mean), dash(ends(c.Difference, y.gap)), dash(ends(c.Bootstrap, y.gap)),
			pCell(c.PT), pCell(c.PTHolm), pCell(c.PFlip), pCell(c.PFlipHolm), pCell(c.PRank)})
	}
	if len(t.groups[0]) == 0 {
		return nil
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s: %s less that of %s%s\n", s.Name, y.name, s.Reference, strings.ReplaceAll(y.unit, " points", ", in points"))
	t.write(b, false)
	return b.Flush()
}

// WriteAlignment writes what the rules make of the runs of the reference, with the cosines between
// any two where they are few: nothing where they did not look on.
func WriteAlignment(w io.Writer, s Setting) error {
	moments := s.alignmentsOf(s.Reference)
	if len(moments) == 0 {
		return nil
	}
	last := moments[len(moments)-1]
	t := textTable{header: []string{"rule"}}
	for _, a := range moments {
		t.header = append(t.header, fmt.Sprintf("cosine,\nep. %.3g", float64(a.Epoch)))
	}
	t.header = append(t.header, "norm\nratio", "signs\n%", "bias", "sd", "descent\nper eval", "descent\nper MiB")
	var rows [][]string
	for _, v := range last.Views {
		cells := []string{shorten(v.Rule)}
		for _, a := range moments {
			cells = append(cells, fixed(a.View(v.Rule).Cosine.Mean, 3))
		}
		rows = append(rows, append(cells, fixed(v.NormRatio.Mean, 2), fixed(100*v.SignAgreement.Mean, 0), fixed(root(v.BiasSquared.Mean), 2),
			fixed(root(v.Variance.Mean), 2), number(v.PerEval.Mean, 3), number(v.PerMiB.Mean, 3)))
	}
	t.groups = [][][]string{rows}
	b := bufio.NewWriter(w)
	fold(b, fmt.Sprintf("%s: what all rules make of the same batches while %s drives; from the norm ratio on at epoch %.3g", s.Name, s.Reference, float64(last.Epoch)), columns)
	t.write(b, false)
	if note := last.leaves(); note != "" {
		fold(b, note, columns)
	}
	for _, v := range last.Views {
		if v.Error != "" {
			fold(b, fmt.Sprintf("%s: %s", v.Rule, v.Error), columns)
		}
	}
	if n := len(last.Gradients); n <= 12 {
		fmt.Fprintf(b, "\n%s: cosines between gradients at epoch %.3g while %s drives\n", s.Name, float64(last.Epoch), s.Reference)
		m := textTable{header: []string{""}}
		rows := make([][]string, n)
		for i, name := range last.Gradients {
			m.header = append(m.header, fmt.Sprint(i+1))
			rows[i] = []string{fmt.Sprintf("%2d %s", i+1, shorten(name))}
			for k := range last.Gradients {
				text := ""
				if k <= i {
					text = cosineText(last.Cosines[i][k].Mean)
				}
				rows[i] = append(rows[i], text)
			}
		}
		m.groups = [][][]string{rows}
		m.write(b, false)
	}
	return b.Flush()
}

// textTable is a table for a terminal: the first column to the left, the others to the right,
// the groups of rows parted by lines.
type textTable struct {
	header []string // may have two lines
	groups [][][]string
	style  map[string]string // of rows, by their first cell
}

func (t textTable) write(w io.Writer, color bool) {
	head := make([][]string, 2)
	for _, h := range t.header {
		over, under, two := strings.Cut(h, "\n")
		if !two {
			over, under = "", over
		}
		head[0], head[1] = append(head[0], over), append(head[1], under)
	}
	if strings.Join(head[0], "") == "" {
		head = head[1:]
	}
	width := make([]int, len(t.header))
	for _, row := range slices.Concat(append([][][]string{head}, t.groups...)...) {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	total := 0
	for _, n := range width {
		total += n
	}
	gap := "  "
	if total+len(gap)*(len(width)-1) > columns {
		gap = " "
	}
	total += len(gap) * (len(width) - 1)
	line := func(cells []string, style string) {
		var out strings.Builder
		for i, c := range cells {
			if i > 0 {
				out.WriteString(gap)
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
		fmt.Fprintln(w, text)
	}
	for _, h := range head {
		line(h, dimOn)
	}
	rule := "─"
	for _, rows := range t.groups {
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintln(w, strings.Repeat(rule, total))
		for _, cells := range rows {
			line(cells, t.style[cells[0]])
		}
		rule = "┄"
	}
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
func accuracyCell(r *Row) string {
	iv := r.TestAccuracy
	up, down := 100*(iv.Hi-iv.Mean), 100*(iv.Mean-iv.Lo)
	switch {
	case !finite(iv.Mean):
		return "–"
	case r.alike(Accuracy):
		return fmt.Sprintf("%.1f %s", 100*iv.Mean, noSpread)
	case !finite(up) || !finite(down):
		return fmt.Sprintf("%.1f", 100*iv.Mean)
	case math.Abs(up-down) < 0.05:
		return fmt.Sprintf("%.1f ± %.1f", 100*iv.Mean, up)
	}
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*iv.Mean, 100*iv.Lo, 100*iv.Hi)
}

// noSpread stands in place of an interval where the values of several seeds do not differ.
const noSpread = "(no spread)"

func cosineCell(r *Row) string {
	if r.CosineToExact == nil || !finite(r.CosineToExact.Mean) {
		return "–"
	}
	return signed(fmt.Sprintf("%.3f", r.CosineToExact.Mean))
}

// looksCell is the looks that a cosine rests on, out of those taken.
func looksCell(r *Row) string {
	if r.CosineBasis.Taken == 0 {
		return "–"
	}
	return fmt.Sprintf("%d/%d", r.CosineBasis.Looks, r.CosineBasis.Taken)
}

// restsOn says which samples have no exact gradient, and which have one at a fixed point that is unstable: nothing
// where all is as it should be.
func restsOn(s *Setting) (lines []string) {
	var missing, unstable []string
	for i := range s.Rules {
		r, b := &s.Rules[i], s.Rules[i].CosineBasis
		all := b.Samples + b.Missing
		if b.Missing > 0 {
			missing = append(missing, fmt.Sprintf("%s %s of the samples, at %d of %d looks", r.Rule, share(b.Missing, all), b.Partial+b.Taken-b.Looks, b.Taken))
		}
		if b.Unstable > 0 {
			unstable = append(unstable, fmt.Sprintf("%s %s", r.Rule, share(b.Unstable, all)))
		}
	}
	if len(missing) > 0 {
		lines = append(lines, "cosine: without samples that have no exact gradient, as no fixed point was found where the rule's solve had ended: "+strings.Join(missing, "; "))
	}
	if len(unstable) > 0 {
		lines = append(lines, "cosine: with samples whose fixed point is unstable, so that iterating the cell leaves it: "+strings.Join(unstable, "; "))
	}
	return lines
}

// share writes a part of a whole in percent, never as none or all where it is not.
func share(part, whole int) string {
	v := 100 * float64(part) / float64(whole)
	switch {
	case part > 0 && v < 0.1:
		return "< 0.1 %"
	case part < whole && v > 99.9:
		return "> 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", v)
}

// fixed writes a value with so many decimals.
func fixed(v float64, decimals int) string {
	if !finite(v) {
		return "–"
	}
	return signed(fmt.Sprintf("%.*f", decimals, v))
}

// root is the length that belongs to the estimate of a square, which may fall below zero.
func root(square float64) float64 {
	if square < 0 {
		return 0
	}
	return math.Sqrt(square)
}

func pCell(p train.Number) string {
	if !finite(float64(p)) {
		return "–"
	}
	return pValue(float64(p))
}

func dash(text string) string {
	if text == "" {
		return "–"
	}
	return text
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
