package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"attractor/deq"
	"attractor/train"
	"attractor/train/compare"
)

// choicesName is the file with the learning rates that were chosen.
const choicesName = "choices.json"

// choices is what choicesName holds, and compare --tune --json prints.
type choices struct {
	Task    string                  `json:"task"`
	Model   string                  `json:"model"`
	Choices []compare.Choice        `json:"choices"`
	Left    []compare.NotApplicable `json:"not_applicable,omitempty"`
}

// tuneRules chooses learning rates, with the trials in done made already.
func tuneRules[T deq.Float](ctx context.Context, p *program, f *compareFlags, c train.Config[T], parts train.Parts[T], dir string, done []compare.Trial) error {
	path := filepath.Join(dir, choicesName)
	out, err := readChoices(path)
	if os.IsNotExist(err) {
		out = choices{Task: c.Task.Name, Model: c.Model.Name, Left: f.plan.Left}
		err = p.follow(ctx, f, "tune", dir, len(done), func(ctx context.Context, notify func(compare.Event)) (err error) {
			out.Choices, err = compare.Tune(ctx, c, parts, f.planFor(c.Train.Workers), done, notify)
			return err
		})
		if err == nil {
			err = train.WriteJSON(path, out)
		}
	} else if err != nil {
		return usagef("%w; remove the file to have it made again", err)
	}
	switch {
	case err != nil:
		return err
	case p.json:
		return p.printJSON(out)
	}
	if err := compare.WriteChoices(p.stdout, out.Choices); err != nil {
		return err
	}
	for _, n := range out.Left {
		fmt.Fprintln(p.stdout, wrap(fmt.Sprintf("%s: not applicable: %s", n.Rule, n.Reason), "  "))
	}
	fmt.Fprintf(p.stdout, "\nrun     %s\nuse     %s compare --rates %s\n", dir, p.name, dir)
	return nil
}

func readChoices(path string) (out choices, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("%s: expected the learning rates that compare --tune has chosen: %w", path, err)
	}
	return out, nil
}

// readRates reads the learning rates that were chosen in a folder.
func readRates(dir string) (compare.Rates, error) {
	c, err := readChoices(filepath.Join(dir, choicesName))
	switch {
	case os.IsNotExist(err):
		return nil, fmt.Errorf("--rates: %s is not the folder of a finished compare --tune: it has no %s", dir, choicesName)
	case err != nil:
		return nil, fmt.Errorf("--rates: %w", err)
	}
	return compare.RatesOf(c.Choices), nil
}
