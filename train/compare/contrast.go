package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"attractor/train"
)

// Contrast compares a rule with the reference of its setting, over the seeds that both have, by
// test accuracy, or by test loss where there is none. Differences are positive where the rule
// is better.
type Contrast struct {
	To         string   `json:"to"`
	Pairs      int      `json:"pairs"`
	Difference Interval `json:"difference"` // paired; Student's t; without ends where all pairs differ by the same
	Bootstrap  Interval `json:"bootstrap"`  // of the same; too narrow below some ten pairs

	PT          train.Number `json:"p_t"`            // paired t test: exact where differences are normal over seeds
	PFlip       train.Number `json:"p_sign_flip"`    // sign-flip permutation test of the pairs: exact
	PRank       train.Number `json:"p_mann_whitney"` // Mann–Whitney test, which forgets the pairs: exact
	PTHolm      train.Number `json:"p_t_holm"`       // PT and PFlip corrected by Holm for all rules of the setting that are
	PFlipHolm   train.Number `json:"p_sign_flip_holm"`
	Significant bool         `json:"significant"` // PTHolm < 0.05
}

// level is what a corrected p must be below.
const level = 0.05

// ReferenceRule is the rule that others are compared with, where it is there.
const ReferenceRule = "implicit"

// referenceOf is the row that the others are compared with: ReferenceRule, or else the first
// that is no control. Nil where all are controls.
func referenceOf(rows []Row) *Row {
	var first *Row
	for i := range rows {
		switch r := &rows[i]; {
		case r.Rule == ReferenceRule:
			return r
		case first == nil && !r.Control:
			first = r
		}
	}
	return first
}

// contrast fills in the Contrast of every row but the reference. Holm's correction is over the
// rules; controls, whose difference nobody doubts, are not among them.
func (s *Setting) contrast() {
	base := referenceOf(s.Rules)
	if base == nil {
		return
	}
	s.Reference = base.Rule
	y := yardstickOf(s)
	var family []*Contrast
	for i := range s.Rules {
		r := &s.Rules[i]
		if r == base {
			continue
		}
		a, b := paired(r, base, y.measure)
		if y.sign < 0 {
			a, b = b, a
		}
		d := PairedDifference(a, b)
		diffs := make([]float64, len(a))
		for k := range a {
			diffs[k] = a[k] - b[k]
		}
		boot := spreadInterval(diffs)
		if spread(diffs) {
			boot = Bootstrap(diffs, 0)
		}
		_, rank, err := MannWhitney(values(r, y.measure), values(base, y.measure))
		if err != nil {
			rank = math.NaN()
		}
		nan := train.Number(math.NaN())
		r.Contrast = &Contrast{
			To: base.Rule, Pairs: d.N, Difference: d.Interval, Bootstrap: boot,
			PT: train.Number(d.PT), PFlip: train.Number(d.PFlip), PRank: train.Number(rank), PTHolm: nan, PFlipHolm: nan,
		}
		if !r.Control {
			family = append(family, r.Contrast)
		}
	}
	correct := func(p func(*Contrast) train.Number, into func(*Contrast, train.Number)) {
		raw := make([]float64, len(family))
		for i, c := range family {
			raw[i] = float64(p(c))
		}
		for i, v := range Holm(raw) {
			into(family[i], train.Number(v))
		}
	}
	correct(func(c *Contrast) train.Number { return c.PT }, func(c *Contrast, v train.Number) { c.PTHolm, c.Significant = v, v < level })
	correct(func(c *Contrast) train.Number { return c.PFlip }, func(c *Contrast, v train.Number) { c.PFlipHolm = v })
}

// verdict says which rules differ from the reference after the correction.
func (y *yardstick) verdict(s *Setting) string {
	var better, worse, same []string
	family := 0
	for _, r := range s.Rules {
		c := r.Contrast
		if c == nil || r.Control || c.Pairs < 2 {
			continue
		}
		family++
		text := fmt.Sprintf("%s (%s%s, %s)", r.Rule, y.gap(c.Difference.Mean), y.unit, pText(float64(c.PTHolm)))
		switch {
		case !c.Significant:
			same = append(same, r.Rule)
		case c.Difference.Mean > 0:
			better = append(better, text)
		default:
			worse = append(worse, text)
		}
	}
	if family == 0 {
		return s.power()
	}
	say := func(names []string, one, plural string) string {
		switch len(names) {
		case 0:
			return ""
		case 1:
			return names[0] + " " + one
		}
		if len(names) > many {
			return fmt.Sprintf("%d rules %s", len(names), plural)
		}
		return listed(names) + " " + plural
	}
	parts := slices.DeleteFunc([]string{
		say(better, "is better", "are better"), say(worse, "is worse", "are worse"), say(same, "cannot be told apart", "cannot be told apart"),
	}, func(p string) bool { return p == "" })
	return join(fmt.Sprintf("Against %s, by paired t tests corrected for %s (Holm): %s.", s.Reference, count(family, "rule"), strings.Join(parts, "; ")), s.power())
}

// power says what the exact tests can find at all with as many seeds, or "".
func (s *Setting) power() string {
	base := referenceOf(s.Rules)
	if base == nil {
		return ""
	}
	seeds, family := len(base.Trials), 0
	for _, r := range s.Rules {
		if r.Contrast != nil && !r.Control {
			family++
		}
	}
	if family == 0 || seeds < 2 { // of one seed the winner's line says what there is to say
		return ""
	}
	flip, rank := LeastSignFlip(seeds), LeastMannWhitney(seeds, seeds)
	text := fmt.Sprintf("With %d seeds the sign-flip test cannot fall below %s and the Mann–Whitney test not below %s", seeds, pText(flip), pValue(rank))
	enough := func(times int) int {
		n := 2
		for float64(times)*LeastSignFlip(n) >= level {
			n++
		}
		return n
	}
	switch {
	case flip*float64(family) < level && rank < level:
		return ""
	case flip >= level && rank >= level:
		text += fmt.Sprintf(": no test that does without normal differences can reach p < %g here, however large they are", level)
	case flip >= level:
		text += fmt.Sprintf(": the first cannot reach p < %g here, however large the differences are", level)
	default:
		text += fmt.Sprintf(": not enough for p < %g after the correction for %s", level, count(family, "rule"))
	}
	text += fmt.Sprintf(" (the sign-flip test could with %d seeds", enough(1))
	if family > 1 {
		text += fmt.Sprintf(", with %d after the correction for %d rules", enough(family), family)
	}
	return text + "). What the t test finds rests on differences that are normal over seeds, which so few cannot show."
}

// paired are the values of a measure over the seeds that both rows have.
func paired(a, b *Row, measure Measure) (x, y []float64) {
	of := map[uint64]float64{}
	for _, t := range b.Trials {
		of[t.Seed] = measure(t)
	}
	for _, t := range a.Trials {
		if v, ok := of[t.Seed]; ok {
			x, y = append(x, measure(t)), append(y, v)
		}
	}
	return x, y
}

func values(r *Row, measure Measure) []float64 {
	out := make([]float64, len(r.Trials))
	for i, t := range r.Trials {
		out[i] = measure(t)
	}
	return out
}

// Holm corrects p-values for how many there are (Holm 1979, Scandinavian Journal of Statistics
// 6:65–70): the k-th smallest of m becomes the largest of (m − j + 1)p₍ⱼ₎ over j ≤ k, at most 1.
// Rejecting what is below α keeps the chance of any false rejection below α, however the tests
// depend on each other. NaN stays NaN and does not count.
func Holm(p []float64) []float64 {
	out := slices.Clone(p)
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	largest := 0.0
	for k, i := range order {
		largest = math.Max(largest, math.Min(1, float64(len(order)-k)*p[i]))
		out[i] = largest
	}
	return out
}

// LeastSignFlip is the smallest p that the sign-flip test of n pairs can give, 2/2ⁿ.
func LeastSignFlip(n int) float64 { return math.Min(1, math.Exp2(1-float64(n))) }

// LeastMannWhitney is the smallest p that the Mann–Whitney test of n and m values can give: both
// extremes of the n + m over n orders.
func LeastMannWhitney(n, m int) float64 {
	orders := 1.0
	for k := 1; k <= n; k++ {
		orders *= float64(m+k) / float64(k)
	}
	return math.Min(1, 2/orders)
}
