package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// yardstick is what the rules of a setting are ranked by: test accuracy, or test loss
// where no accuracy was measured.
type yardstick struct {
	name     string // "test accuracy" or "test loss"
	measure  Measure
	interval func(*Row) Interval
	sign     float64                    // +1 where more is better
	show     func(float64) string       // a value
	gap      func(float64) string       // a difference, without its unit
	unit     string                     // of differences: " points" or ""
	ranks    func(a, b *Row) int        // better first, unmeasured last
	mean     func(r *Row) float64       // of the interval
	differ   func(a, b *Row) Difference // positive where a is better
}

func yardstickOf(s *Setting) *yardstick {
	y := &yardstick{
		name: "test accuracy", measure: Accuracy, sign: 1, unit: " points",
		interval: func(r *Row) Interval { return r.TestAccuracy },
		show:     percent,
		gap:      func(v float64) string { return signed(fmt.Sprintf("%.1f", 100*v)) },
	}
	if !slices.ContainsFunc(s.Rules, func(r Row) bool { return finite(r.TestAccuracy.Mean) }) {
		y.name, y.measure, y.sign, y.unit = "test loss", Loss, -1, ""
		y.interval = func(r *Row) Interval { return r.TestLoss }
		y.show = plain
		y.gap = func(v float64) string { return signed(plain(v)) }
	}
	y.mean = func(r *Row) float64 { return y.interval(r).Mean }
	y.ranks = func(a, b *Row) int {
		va, vb := y.sign*y.mean(a), y.sign*y.mean(b)
		switch {
		case math.IsNaN(va) || math.IsNaN(vb):
			return boolInt(math.IsNaN(va)) - boolInt(math.IsNaN(vb))
		case va > vb:
			return -1
		case va < vb:
			return 1
		}
		return 0
	}
	y.differ = func(a, b *Row) Difference {
		if y.sign > 0 {
			return Compare(a, b, y.measure)
		}
		return Compare(b, a, y.measure)
	}
	return y
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// signed writes a minus as such, and none before what rounds to zero.
func signed(s string) string {
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return strings.Replace(s, "-", "−", 1)
}

// best returns the rules that do not fail, the best first, and those that fail. Controls
// are in neither.
func (y *yardstick) best(s *Setting) (learn, fail []*Row) {
	for i := range s.Rules {
		r := &s.Rules[i]
		switch {
		case r.Control:
		case r.Fails != "" || !finite(y.mean(r)):
			fail = append(fail, r)
		default:
			learn = append(learn, r)
		}
	}
	slices.SortStableFunc(learn, y.ranks)
	return learn, fail
}

// Findings puts the rows of a setting into one to five lines of plain English. Everything
// is derived from the numbers: who is best and whether the paired interval of the
// difference excludes zero; who differs from the reference after correction for the number
// of rules; who follows the exact gradient and at what cost; what the controls say about the
// setting, and who fails.
func Findings(s Setting) []string {
	if len(s.Rules) == 0 {
		return nil
	}
	y := yardstickOf(&s)
	learn, fail := y.best(&s)
	var lines []string
	for _, line := range []string{
		y.winner(learn),
		y.verdict(&s),
		join(y.gradient(learn, fail), missing(&s), y.cost(learn)),
		join(y.controls(&s, learn), unstable(&s), failures(fail)),
		fairness(&s),
	} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func join(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), " ")
}

// split parts the rules behind the best into those that the paired intervals can tell
// apart from it and those that they cannot.
func (y *yardstick) split(learn []*Row) (same, worse []*Row) {
	for _, r := range learn[1:] {
		if y.differ(learn[0], r).ExcludesZero() {
			worse = append(worse, r)
		} else {
			same = append(same, r)
		}
	}
	return same, worse
}

func (y *yardstick) winner(learn []*Row) string {
	if len(learn) == 0 {
		return "No rule learns in this setting."
	}
	top := learn[0]
	reach := fmt.Sprintf("%s%s", y.show(y.mean(top)), bracket(y.interval(top), y.show))
	if len(learn) == 1 {
		return fmt.Sprintf("Only %s learns, to a %s of %s.", top.Rule, y.name, reach)
	}
	if y.differ(top, learn[1]).N < 2 {
		return fmt.Sprintf("%s has the best %s, %s, before %s by %s%s; a single shared seed cannot say whether that is more than noise.",
			top.Rule, y.name, reach, learn[1].Rule, y.gap(y.differ(top, learn[1]).Mean), y.unit)
	}
	same, worse := y.split(learn)
	beats := func(r *Row) string {
		d := y.differ(top, r)
		return fmt.Sprintf("%s by %s%s (95 %% interval of the paired difference over %d seeds: %s to %s, which excludes zero)",
			r.Rule, y.gap(d.Mean), y.unit, d.N, y.gap(d.Lo), y.gap(d.Hi))
	}
	if len(same) == 0 {
		return fmt.Sprintf("%s has the best %s, %s. It beats the next, %s.", top.Rule, y.name, reach, beats(worse[0]))
	}
	widest := 0.0
	for _, r := range same {
		widest = math.Max(widest, y.differ(top, r).Mean)
	}
	line := fmt.Sprintf("%s has the best %s, %s, but it is indistinguishable from %s: the paired intervals hold zero, with differences of at most %s%s.",
		top.Rule, y.name, reach, list(same), y.gap(widest), y.unit)
	if len(worse) > 0 {
		line += fmt.Sprintf(" It beats %s.", beats(worse[0]))
	}
	return line
}

// exact is the cosine from which a gradient counts as the exact one.
const exact = 0.999

func (y *yardstick) gradient(learn, fail []*Row) string {
	var rows, same []*Row
	for _, r := range append(slices.Clone(learn), fail...) {
		if r.CosineToExact != nil && finite(r.CosineToExact.Mean) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return ""
	}
	slices.SortStableFunc(rows, func(a, b *Row) int {
		switch {
		case a.CosineToExact.Mean > b.CosineToExact.Mean:
			return -1
		case a.CosineToExact.Mean < b.CosineToExact.Mean:
			return 1
		}
		return 0
	})
	var parts []string
	for _, r := range rows {
		if c := r.CosineToExact.Mean; c >= exact {
			same = append(same, r)
		} else {
			parts = append(parts, fmt.Sprintf("%s %s", r.Rule, signed(fmt.Sprintf("%.2f", c))))
		}
	}
	if len(parts) > many {
		parts = slices.Concat(parts[:many/2], []string{"…"}, parts[len(parts)-many/2:])
	}
	if len(same) > 0 {
		verb := "follow"
		if len(same) == 1 {
			verb = "follows"
		}
		parts = append([]string{fmt.Sprintf("%s %s the exact gradient (cosine ≥ %g)", list(same), verb, exact)}, parts...)
	} else {
		parts[0] = "Cosine to the exact gradient: " + parts[0]
	}
	line := strings.Join(parts, ", ") + "."
	// The alignment that does not pay: lower by a tenth, and yet better beyond noise.
	for i, lower := range rows {
		for _, higher := range rows[:i] {
			if higher.CosineToExact.Mean-lower.CosineToExact.Mean > 0.1 && lower.Fails == "" && y.differ(lower, higher).Lo > 0 {
				return line + fmt.Sprintf(" Alignment does not decide here: %s is less aligned than %s and yet better.", lower.Rule, higher.Rule)
			}
		}
	}
	return line
}

func (y *yardstick) cost(learn []*Row) string {
	if len(learn) < 2 || !(learn[0].Evals > 0) {
		return ""
	}
	top := learn[0]
	same, _ := y.split(learn)
	cheapest := func(rows []*Row) *Row {
		c := top
		for _, r := range rows {
			if r.Evals > 0 && r.Evals < c.Evals {
				c = r
			}
		}
		return c
	}
	const notable = 0.9
	if c := cheapest(same); c.Evals < notable*top.Evals && y.differ(top, c).N > 1 {
		return fmt.Sprintf("%s, indistinguishable from %s, needs %.2g times its evaluations per step.", c.Rule, top.Rule, c.Evals/top.Evals)
	}
	if c := cheapest(learn); c.Evals < notable*top.Evals {
		return fmt.Sprintf("The cheapest rule, %s, needs %.2g times the evaluations per step of %s and gives up %s%s.", c.Rule, c.Evals/top.Evals, top.Rule, y.gap(y.differ(top, c).Mean), y.unit)
	}
	return fmt.Sprintf("No rule needs notably fewer evaluations per step than %s (%.3g).", top.Rule, top.Evals)
}

func (y *yardstick) controls(s *Setting, learn []*Row) string {
	base, readout := s.Row(Untrained), s.Row(ReadoutOnly)
	if readout == nil || !finite(y.mean(readout)) || len(learn) == 0 {
		return ""
	}
	reach := fmt.Sprintf("Training the readout alone reaches %s", y.show(y.mean(readout)))
	if s.FixedReadout {
		return reach + "; the rules here have to do without."
	}
	top := learn[0]
	if y.differ(readout, top).Lo > 0 {
		return reach + ", better than every rule: training the recurrent weights only did harm here."
	}
	share := math.NaN()
	if base != nil {
		share = (y.mean(readout) - y.mean(base)) / (y.mean(top) - y.mean(base))
	}
	var line string
	const nearly = 0.9
	switch {
	case share >= nearly:
		line = fmt.Sprintf("%s, %.0f %% of the way from %s to %s: it is nearly as good, so this setting alone tells the rules apart little.", reach, 100*share, Untrained, top.Rule)
	case finite(share) && share > 0:
		line = fmt.Sprintf("%s, %.0f %% of the way from %s to %s; the rest is what the rules add.", reach, 100*share, Untrained, top.Rule)
	default:
		line = reach + "."
	}
	var no []*Row
	for _, r := range learn {
		if d := y.differ(r, readout); d.N > 1 && !(d.Lo > 0) {
			no = append(no, r)
		}
	}
	switch {
	case len(no) == len(learn) && len(no) > 1:
		line += " No rule is better than that beyond noise."
	case len(no) > 0:
		line += fmt.Sprintf(" Not better than that beyond noise: %s.", list(no))
	}
	return line
}

// missing says of which samples there was no exact gradient, and what that means.
func missing(s *Setting) string {
	var parts []string
	for i := range s.Rules {
		if b := s.Rules[i].CosineBasis; b.Missing > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s)", s.Rules[i].Rule, share(b.Missing, b.Samples+b.Missing)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > many {
		parts = append(parts[:many], "…")
	}
	return "Cosines leave out the samples at which the solve has ended where no fixed point is, and so no exact gradient either, under " + strings.Join(parts, ", ") + "."
}

// unstable says under which rules the feedback became unstable.
func unstable(s *Setting) string {
	var parts []string
	measured := false
	for i := range s.Rules {
		r := &s.Rules[i]
		passed, worst := 0, 0.0
		for _, t := range r.Trials {
			if !finite(t.MaxRadius) {
				continue
			}
			measured = true
			if t.MaxRadius > 1 {
				passed, worst = passed+1, math.Max(worst, t.MaxRadius)
			}
		}
		if passed > 0 {
			parts = append(parts, fmt.Sprintf("%s (%d of %d seeds, up to %.2f)", r.Rule, passed, len(r.Trials), worst))
		}
	}
	switch {
	case !measured:
		return ""
	case len(parts) == 0:
		return "The spectral radius of the cell's Jacobian stayed below 1 under every rule."
	}
	return "The spectral radius of the cell's Jacobian passed 1, where iterating the cell no longer settles, under " + strings.Join(parts, ", ") + "."
}

func failures(fail []*Row) string {
	var parts []string
	for _, r := range fail {
		why := r.Fails
		if why == "" {
			why = "nothing was measured"
		}
		parts = append(parts, fmt.Sprintf("%s fails: %s.", r.Rule, why))
	}
	return strings.Join(parts, " ")
}

// many is how many names a sentence holds; beyond that it says how many there are.
const many = 8

func list(rows []*Row) string {
	if len(rows) > many {
		return fmt.Sprintf("%d rules", len(rows))
	}
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Rule
	}
	return listed(names)
}

func listed(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}
