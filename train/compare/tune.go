package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"attractor/deq"
	"attractor/train"
)

// Grid are the learning rates that Tune tries: the same for every rule, so that none wins by
// being tuned harder.
var Grid = []float64{0.01, 0.03, 0.1, 0.3}

// Choice is the learning rate chosen for a rule in a setting.
type Choice struct {
	Setting string      `json:"setting"`
	Rule    string      `json:"rule"`
	LR      float64     `json:"learning_rate"`
	AtEnd   bool        `json:"at_end"` // of Grid: a better rate may lie beyond
	Tried   []Candidate `json:"tried"`
}

// Rates are learning rates by setting and rule.
type Rates map[string]map[string]float64

// RatesOf are the rates that were chosen.
func RatesOf(choices []Choice) Rates {
	r := Rates{}
	for _, c := range choices {
		if r[c.Setting] == nil {
			r[c.Setting] = map[string]float64{}
		}
		r[c.Setting][c.Rule] = c.LR
	}
	return r
}

// Check reports a rule of the plan, or a control that learns, that has no rate.
func (r Rates) Check(plan Plan) error {
	plan = plan.withDefaults()
	for _, s := range settings {
		if !slices.Contains(plan.Settings, s.name) {
			continue
		}
		for _, rule := range slices.Concat(plan.Rules, s.controls) {
			if rule != Untrained && r[s.name][rule] == 0 {
				return fmt.Errorf("compare: no learning rate of %s in the setting %s", rule, s.name)
			}
		}
	}
	return nil
}

// Cost is the number of runs of a Tune with the plan, beside that of the comparison itself. A run of Tune trains on four
// fifths of the training data and looks at no gradients.
func (p Plan) Cost() (tune, comparison int) {
	p = p.withDefaults()
	for _, s := range settings {
		if slices.Contains(p.Settings, s.name) {
			comparison += (len(p.Rules) + len(s.controls)) * len(p.Seeds)
		}
	}
	return len(Grid) * comparison, comparison
}

// Candidate is what one learning rate reached on the held-out part of the training data.
type Candidate struct {
	LR       float64  `json:"learning_rate"`
	Accuracy Interval `json:"accuracy"`
	Loss     Interval `json:"loss"`
	Diverged int      `json:"diverged"`
}

// Tune runs the plan once for every learning rate of Grid, training on four fifths of the
// training data and scoring on the rest, and chooses for every rule the rate with the best mean
// accuracy (for regression, or between equals, the least mean loss). The test data stays
// untouched. Every rule has the same budget: the same rates, seeds and steps. Trials that done
// holds are taken from there; notify is as in Run, over all rates.
func Tune[T deq.Float](ctx context.Context, base train.Config[T], parts train.Parts[T], plan Plan, done []Trial, notify func(Event)) ([]Choice, error) {
	plan.Holdout = true
	var choices []Choice
	for k, lr := range Grid {
		plan.LR = lr
		own := slices.DeleteFunc(slices.Clone(done), func(t Trial) bool { return t.LearningRate != lr })
		settings, err := Run(ctx, base, parts, Wide{}, plan, own, func(e Event) {
			e.Done, e.Trials = e.Done+k*e.Trials, len(Grid)*e.Trials
			if notify != nil {
				notify(e)
			}
		})
		if err != nil {
			return choices, fmt.Errorf("compare: tune at learning rate %g: %w", lr, err)
		}
		for _, s := range settings {
			for _, row := range s.Rules {
				if row.Rule == Untrained {
					continue
				}
				i := slices.IndexFunc(choices, func(c Choice) bool { return c.Setting == s.Name && c.Rule == row.Rule })
				if i < 0 {
					i = len(choices)
					choices = append(choices, Choice{Setting: s.Name, Rule: row.Rule})
				}
				choices[i].Tried = append(choices[i].Tried, Candidate{LR: lr, Accuracy: row.TestAccuracy, Loss: row.TestLoss, Diverged: row.Diverged})
			}
		}
	}
	for i := range choices {
		best := slices.MaxFunc(choices[i].Tried, better).LR
		choices[i].LR, choices[i].AtEnd = best, best == Grid[0] || best == Grid[len(Grid)-1]
	}
	return choices, nil
}

// better orders candidates from worse to better.
func better(a, b Candidate) int {
	worst := func(x float64) float64 {
		if math.IsNaN(x) {
			return math.Inf(-1)
		}
		return x
	}
	if x, y := worst(a.Accuracy.Mean), worst(b.Accuracy.Mean); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	if x, y := worst(-a.Loss.Mean), worst(-b.Loss.Mean); x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return 0
}

// WriteChoices prints the choices as a table.
func WriteChoices(w io.Writer, choices []Choice) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "setting\trule\t")
	for _, lr := range Grid {
		fmt.Fprintf(t, "%g\t", lr)
	}
	fmt.Fprintln(t, "chosen \t")
	ends := false
	for _, c := range choices {
		fmt.Fprintf(t, "%s\t%s\t", c.Setting, c.Rule)
		for _, k := range c.Tried {
			text := fmt.Sprintf("%.1f%%", 100*k.Accuracy.Mean)
			switch {
			case math.IsNaN(k.Accuracy.Mean) && math.IsNaN(k.Loss.Mean):
				text = "–"
			case math.IsNaN(k.Accuracy.Mean):
				text = fmt.Sprintf("loss %.3g", k.Loss.Mean)
			}
			if k.Diverged > 0 {
				text += fmt.Sprintf(" (%d div.)", k.Diverged)
			}
			fmt.Fprintf(t, "%s\t", text)
		}
		mark := " "
		if c.AtEnd {
			mark, ends = "*", true
		}
		fmt.Fprintf(t, "%g%s\t\n", c.LR, mark)
	}
	if err := t.Flush(); err != nil || !ends {
		return err
	}
	_, err := fmt.Fprintln(w, "* the last rate that was tried on that side: a better one may lie beyond")
	return err
}
