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
	sign     float64              // +1 where more is better
	show     func(float64) string // a value
	gap      func(float64) string // a difference, without its unit
	unit     string               // of differences: " points" or ""
}

func yardstickOf(s *Setting) *yardstick {
	if slices.ContainsFunc(s.Rules, func(r Row) bool { return finite(r.TestAccuracy.Mean) }) {
		return byAccuracy()
	}
	return byLoss()
}

func byAccuracy() *yardstick {
	return &yardstick{
		name: "test accuracy", measure: Accuracy, sign: 1, unit: " points",
		interval: func(r *Row) Interval { return r.TestAccuracy },
		show:     percent,
		gap:      func(v float64) string { return signed(fmt.Sprintf("%.1f", 100*v)) },
	}
}

func byLoss() *yardstick {
	return &yardstick{
		name: "test loss", measure: Loss, sign: -1,
		interval: func(r *Row) Interval { return r.TestLoss },
		show:     plain,
		gap:      func(v float64) string { return signed(plain(v)) },
	}
}

func (y *yardstick) mean(r *Row) float64 { return y.interval(r).Mean }

// ranks puts the better first, and last what was not measured.
func (y *yardstick) ranks(a, b *Row) int {
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

// differ is the paired difference of two rows, positive where a is better.
func (y *yardstick) differ(a, b *Row) Difference {
	if y.sign > 0 {
		return Compare(a, b, y.measure)
	}
	return Compare(b, a, y.measure)
}

// tells says of two rows which is shown to be better: +1 for a, −1 for b, 0 where that is not decided. Whatever the
// findings say of two rows rests on this, so that no two of them contradict each other: where one of them is the
// reference the t test decides after Holm's correction, and else the 95 % interval of the paired difference.
func (y *yardstick) tells(a, b *Row) int {
	d := y.differ(a, b)
	for _, c := range []*Contrast{a.contrastTo(b), b.contrastTo(a)} {
		if c != nil && !c.Significant {
			return 0
		}
	}
	return boolInt(d.Lo > 0) - boolInt(d.Hi < 0)
}

// contrastTo is how a rule, which no control is, was compared with the reference, if b is that.
func (r *Row) contrastTo(b *Row) *Contrast {
	if r.Control || r.Contrast == nil || r.Contrast.To != b.Rule {
		return nil
	}
	return r.Contrast
}

// reach is what a row reaches, with its interval.
func (y *yardstick) reach(r *Row) string {
	if r.alike(y.measure) {
		return y.show(y.mean(r)) + " at every seed"
	}
	return y.show(y.mean(r)) + bracket(y.interval(r), y.show)
}

// difference is a difference with its interval, for a sentence.
func (y *yardstick) difference(d Difference) string {
	text := fmt.Sprintf("difference %s%s", y.gap(d.Mean), y.unit)
	switch {
	case finite(d.Lo):
		return text + fmt.Sprintf(", 95 %% interval %s to %s", y.gap(d.Lo), y.gap(d.Hi))
	case d.N > 1:
		return text + " at every seed, which has no spread and so no interval"
	}
	return text
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
		y.winner(&s, learn, fail),
		y.verdict(&s),
		join(y.gradient(learn, fail), missing(&s), y.cost(learn, fail)),
		join(y.controls(&s, learn, fail), unstable(&s), undecided(learn), failures(fail)),
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

// split parts the rules behind the best into those that are not shown to be worse and those that are.
func (y *yardstick) split(learn []*Row) (same, worse []*Row) {
	for _, r := range learn[1:] {
		if y.tells(learn[0], r) > 0 {
			worse = append(worse, r)
		} else {
			same = append(same, r)
		}
	}
	return same, worse
}

func (y *yardstick) winner(s *Setting, learn, fail []*Row) string {
	if !slices.ContainsFunc(learn, func(r *Row) bool { return r.Undecided == "" }) {
		return "No rule is shown to learn in this setting."
	}
	top := learn[0]
	if len(learn) == 1 {
		if len(fail) == 0 {
			return fmt.Sprintf("%s reaches a %s of %s.", top.Rule, y.name, y.reach(top))
		}
		return fmt.Sprintf("Only %s is shown to learn and does not fail; it reaches a %s of %s.", top.Rule, y.name, y.reach(top))
	}
	lead := fmt.Sprintf("%s has the best %s, %s", top.Rule, y.name, y.reach(top))
	if slices.ContainsFunc(fail, func(r *Row) bool { return finite(y.mean(r)) && y.ranks(r, top) < 0 }) {
		lead = "Of the rules that do not fail, " + lead
	}
	if d := y.differ(top, learn[1]); d.N < 2 {
		return fmt.Sprintf("%s, before %s by %s%s; %s cannot say whether that is more than noise.", lead, learn[1].Rule,
			y.gap(y.mean(top)*y.sign-y.mean(learn[1])*y.sign), y.unit, []string{"two rules without a shared seed", "a single shared seed"}[d.N])
	}
	same, worse := y.split(learn)
	beats := func(r *Row) string {
		d := y.differ(top, r)
		return fmt.Sprintf("%s by %s%s (95 %% interval of the paired difference over %d seeds: %s to %s, which excludes zero)",
			r.Rule, y.gap(d.Mean), y.unit, d.N, y.gap(d.Lo), y.gap(d.Hi))
	}
	if len(same) == 0 {
		return fmt.Sprintf("%s. It beats the next, %s.", lead, beats(worse[0]))
	}
	widest := 0.0
	for _, r := range same {
		widest = math.Max(widest, math.Abs(y.differ(top, r).Mean))
	}
	line := fmt.Sprintf("%s, but it cannot be told apart from %s, with differences of at most %s%s.", lead, list(same), y.gap(widest), y.unit)
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
	// The alignment that does not pay: lower by a tenth, which is more than noise, and yet shown to be better.
	cosine := func(t Trial) float64 { return t.meanCosine() }
	for i, lower := range rows {
		for _, higher := range rows[:i] {
			if higher.CosineToExact.Mean-lower.CosineToExact.Mean > 0.1 && Compare(higher, lower, cosine).Lo > 0 && lower.Fails == "" && y.tells(lower, higher) > 0 {
				return line + fmt.Sprintf(" Alignment does not decide here: %s is less aligned than %s and yet better.", lower.Rule, higher.Rule)
			}
		}
	}
	return line
}

func (y *yardstick) cost(learn, fail []*Row) string {
	if len(learn) < 2 || !(learn[0].Evals > 0) {
		return ""
	}
	top := learn[0]
	same, _ := y.split(learn)
	same = slices.DeleteFunc(same, func(r *Row) bool { return r.Undecided != "" })
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
		return fmt.Sprintf("%s, which cannot be told apart from %s, needs %.2g times its evaluations per step.", c.Rule, top.Rule, c.Evals/top.Evals)
	}
	if c := cheapest(learn); c.Evals < notable*top.Evals {
		return fmt.Sprintf("The cheapest rule, %s, needs %.2g times the evaluations per step of %s and gives up %s%s.", c.Rule, c.Evals/top.Evals, top.Rule, y.gap(y.differ(top, c).Mean), y.unit)
	}
	which := "rule"
	if slices.ContainsFunc(fail, func(r *Row) bool { return r.Evals > 0 && r.Evals < notable*top.Evals }) {
		which = "rule that does not fail"
	}
	return fmt.Sprintf("No %s needs notably fewer evaluations per step than %s (%.3g).", which, top.Rule, top.Evals)
}

func (y *yardstick) controls(s *Setting, learn, fail []*Row) string {
	base, readout := s.Row(Untrained), s.Row(ReadoutOnly)
	if readout == nil || !finite(y.mean(readout)) || len(learn) == 0 {
		return ""
	}
	reach := fmt.Sprintf("Training the readout alone reaches %s", y.show(y.mean(readout)))
	if s.FixedReadout {
		return reach + "; the rules here have to do without."
	}
	top := learn[0]
	beaten := func(r *Row) bool { return y.tells(readout, r) > 0 }
	if all := slices.Concat(learn, fail); !slices.ContainsFunc(all, func(r *Row) bool { return !beaten(r) }) {
		return reach + ", better than every rule: training the recurrent weights only did harm here."
	}
	line := reach
	way := math.NaN()
	if base != nil && top.Undecided == "" && y.ranks(readout, base) < 0 && y.ranks(top, base) < 0 {
		way = (y.mean(readout) - y.mean(base)) / (y.mean(top) - y.mean(base))
	}
	const nearly = 0.9
	switch {
	case beaten(top):
		line += fmt.Sprintf(", better than %s.", top.Rule)
	case way >= nearly && way <= 1:
		line += fmt.Sprintf(", %.0f %% of the way from %s to %s: it is nearly as good, so there is little that the rules can add.", 100*way, Untrained, top.Rule)
	case way > 0 && way < nearly:
		line += fmt.Sprintf(", %.0f %% of the way from %s to %s", 100*way, Untrained, top.Rule)
		if y.tells(top, readout) > 0 {
			line += "; the rest is what the rules add"
		}
		line += "."
	default:
		line += "."
	}
	var no []*Row
	for _, r := range learn {
		if y.differ(r, readout).N > 1 && y.tells(r, readout) <= 0 {
			no = append(no, r)
		}
	}
	switch {
	case len(no) == len(learn) && len(no) > 1:
		line += " No rule is shown to be better than that."
	case len(no) > 0:
		line += fmt.Sprintf(" Not shown to be better than that: %s.", list(no))
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

// undecided says which rules cannot be told from the baseline.
func undecided(learn []*Row) string {
	var parts []string
	for _, r := range learn {
		if r.Undecided != "" {
			parts = append(parts, fmt.Sprintf("%s %s.", r.Rule, r.Undecided))
		}
	}
	return strings.Join(parts, " ")
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
