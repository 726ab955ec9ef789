package compare

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// claims is what findings say of pairs of rules.
type claims struct {
	better map[[2]string]string // the first is better than the second, in this sentence
	open   map[[2]string]string // the two cannot be told apart
	fails  map[string]string    // is worse than the baseline
}

var (
	beatsClaim     = regexp.MustCompile(`(\S+) has the best .*[Bb]eats (?:the next, )?(\S+) by`)
	openClaim      = regexp.MustCompile(`(\S+) has the best .* (?:apart|indistinguishable) from (.+?)(?:, with|:)`)
	verdictClaim   = regexp.MustCompile(`^Against (\S+), by [^:]*: (.*?)\.(?: With|$)`)
	alignmentClaim = regexp.MustCompile(`: (\S+) is less aligned than (\S+) and yet better`)
	cheaperClaim   = regexp.MustCompile(`(\S+), (?:which cannot be told apart|indistinguishable) from (\S+), needs`)
	readoutOpen    = regexp.MustCompile(`Not (?:shown to be better than that|better than that beyond noise): (.+?)\.`)
	failsClaim     = regexp.MustCompile(`(\S+) fails: `)
	worseClaim     = regexp.MustCompile(`(\S+) fails: (?:[^.]|\.\d)*(?:worse than|does not lie)`)
)

func names(list string) []string { return regexp.MustCompile(`, | and `).Split(list, -1) }

// claimed reads findings.
func claimed(lines []string) claims {
	c := claims{map[[2]string]string{}, map[[2]string]string{}, map[string]string{}}
	both := func(a, b, line string) { c.open[[2]string{a, b}], c.open[[2]string{b, a}] = line, line }
	for _, line := range lines {
		if m := beatsClaim.FindStringSubmatch(line); m != nil {
			c.better[[2]string{m[1], m[2]}] = line
		}
		if m := openClaim.FindStringSubmatch(line); m != nil {
			for _, name := range names(m[2]) {
				both(m[1], name, line)
			}
		}
		if m := alignmentClaim.FindStringSubmatch(line); m != nil {
			c.better[[2]string{m[1], m[2]}] = line
		}
		if m := cheaperClaim.FindStringSubmatch(line); m != nil {
			both(m[1], m[2], line)
		}
		if m := verdictClaim.FindStringSubmatch(line); m != nil {
			for part := range strings.SplitSeq(regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(m[2], ""), "; ") {
				for _, name := range names(regexp.MustCompile(` (is|are|cannot) .*`).ReplaceAllString(part, "")) {
					switch {
					case strings.HasSuffix(part, "better"):
						c.better[[2]string{name, m[1]}] = line
					case strings.HasSuffix(part, "worse"):
						c.better[[2]string{m[1], name}] = line
					default:
						both(name, m[1], line)
					}
				}
			}
		}
		for _, m := range worseClaim.FindAllStringSubmatch(line, -1) {
			c.fails[m[1]] = line
		}
	}
	return c
}

// Of two rules the findings say one thing: that one is better, or that they cannot be told apart; and no rule fails for
// being no better than the baseline unless the paired difference shows that it is worse.
func TestFindingsDoNotContradictEachOther(t *testing.T) {
	better, open, fails := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		seeds := rapid.IntRange(1, 8).Draw(t, "seeds")
		grid := rapid.SampledFrom([]float64{2, 20, 200, 1e6}).Draw(t, "grid") // accuracies are of so many samples
		var trials []Trial
		for _, rule := range []string{ReferenceRule, "a", "b", "c", Untrained, ReadoutOnly}[rapid.IntRange(0, 1).Draw(t, "from"):] {
			level, width := rapid.Float64Range(0, 1).Draw(t, rule), rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.5}).Draw(t, rule+" spread")
			cosine := rapid.Float64Range(-1, 1).Draw(t, rule+" cosine")
			for seed := range seeds {
				accuracy := min(max(level+width*rapid.Float64Range(-1, 1).Draw(t, rule+" seed"), 0), 1)
				accuracy = float64(int(accuracy*grid+0.5)) / grid
				trial := Trial{Rule: rule, Seed: uint64(seed), TestAccuracy: accuracy, TestLoss: 1 - accuracy, Evals: 10 * level,
					Cosine: []CosinePoint{{Step: 1, Cosine: cosine * (1 - 0.01*float64(seed%2))}}}
				if rapid.IntRange(0, 40).Draw(t, rule+" fate") == 0 {
					trial.Diverged, trial.TestAccuracy, trial.TestLoss = true, none, none
				}
				trials = append(trials, trial)
			}
		}
		s := NewSetting("s", "", trials, Summary{})
		c := claimed(s.Findings)
		text := strings.Join(s.Findings, "\n")
		for pair, line := range c.better {
			if other := c.open[pair]; other != "" {
				t.Errorf("%s is better than %s, and they cannot be told apart:\n%s\n%s", pair[0], pair[1], line, other)
			}
			if other := c.better[[2]string{pair[1], pair[0]}]; other != "" {
				t.Errorf("%s and %s are each better than the other:\n%s\n%s", pair[0], pair[1], line, other)
			}
		}
		for rule, line := range c.fails {
			if d := Compare(s.Row(rule), s.Row(Untrained), Accuracy); !(d.Hi < 0) {
				t.Errorf("%s fails at a difference of %+v:\n%s", rule, d.Interval, line)
			}
		}
		for _, m := range failsClaim.FindAllStringSubmatch(text, -1) {
			if strings.Contains(text, m[1]+" has the best") || strings.Contains(text, fmt.Sprintf("%s cannot be told from", m[1])) {
				t.Errorf("%s fails and does not:\n%s", m[1], text)
			}
		}
		if strings.Contains(text, "better than every rule") && (strings.Contains(text, "hown to be better") || strings.Contains(text, "the rest is what the rules add")) {
			t.Errorf("the readout is better and is not:\n%s", text)
		}
		if m := readoutOpen.FindStringSubmatch(text); m != nil && strings.Contains(text, "the rest is what the rules add") {
			top := regexp.MustCompile(`to (\S+); the rest`).FindStringSubmatch(text)[1]
			for _, name := range names(m[1]) {
				if name == top {
					t.Errorf("%s adds something and is not shown to:\n%s", name, text)
				}
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "%!") {
			t.Errorf("a number that is none:\n%s", text)
		}
		better, open, fails = better+len(c.better), open+len(c.open), fails+len(c.fails)
	})
	if better == 0 || open == 0 || fails == 0 {
		t.Errorf("read %d claims of better, %d of not told apart and %d of worse than the baseline", better, open, fails)
	}
}
