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
	Tried   []Candidate `json:"tried"`
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
// untouched.
func Tune[T deq.Float](ctx context.Context, base train.Config[T], parts train.Parts[T], plan Plan, notify func(Event)) ([]Choice, error) {
	plan.Holdout = true
	var choices []Choice
	for _, lr := range Grid {
		plan.LR = lr
		settings, err := Run(ctx, base, parts, plan, nil, notify)
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
		choices[i].LR = slices.MaxFunc(choices[i].Tried, better).LR
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
	fmt.Fprintln(t, "chosen\t")
	for _, c := range choices {
		fmt.Fprintf(t, "%s\t%s\t", c.Setting, c.Rule)
		for _, k := range c.Tried {
			if math.IsNaN(k.Accuracy.Mean) {
				fmt.Fprintf(t, "loss %.3g\t", k.Loss.Mean)
			} else {
				fmt.Fprintf(t, "%.1f%%\t", 100*k.Accuracy.Mean)
			}
		}
		fmt.Fprintf(t, "%g\t\n", c.LR)
	}
	return t.Flush()
}
