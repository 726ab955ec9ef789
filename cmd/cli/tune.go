package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"attractor/deq"
	"attractor/internal/folder"
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
func tuneRules[T deq.Float](ctx context.Context, p *program, f *compareFlags, c train.Config[T], parts train.Parts[T], work *folder.Folder, done []compare.Trial) error {
	p.tellCost(f.planFor(c.Train.Workers))
	out := choices{Task: c.Task.Name, Model: c.Model.Name, Left: f.plan.Left}
	err := p.follow(ctx, f, "tune", work, done, func(ctx context.Context, notify func(compare.Event)) (err error) {
		out.Choices, err = compare.Tune(ctx, c, parts, f.planFor(c.Train.Workers), done, notify)
		return err
	})
	if err != nil {
		return err
	}
	if err := work.WriteJSON(choicesName, out); err != nil {
		return err
	}
	if err := work.Demand(choicesName); err != nil {
		return err
	}
	return p.printChoices(f, out, work.Dir)
}

// tuned prints the learning rates that were chosen, if they were.
func (p *program) tuned(f *compareFlags) (bool, error) {
	out, sealed, err := readChoices(filepath.Join(f.resume, choicesName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, usagef("%w; remove the file to have it made again", err)
	case !sealed:
		p.warnUnsealed(filepath.Join(f.resume, choicesName))
	}
	return true, p.printChoices(f, out, f.resume)
}

func (p *program) printChoices(f *compareFlags, out choices, dir string) error {
	if p.json {
		return p.printJSON(out)
	}
	if err := compare.WriteChoices(p.stdout, out.Choices); err != nil {
		return err
	}
	for _, n := range out.Left {
		fmt.Fprintln(p.stdout, wrap(fmt.Sprintf("%s: not applicable: %s", n.Rule, n.Reason), "  "))
	}
	fmt.Fprintf(p.stdout, "\nrun     %s\nuse     %s\n", dir, f.alike(p.name, "--rates", dir))
	return nil
}

func readChoices(path string) (out choices, sealed bool, err error) {
	if sealed, err = folder.ReadJSON(path, &out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, sealed, fmt.Errorf("%s: expected the learning rates that compare --tune has chosen: %w", path, err)
	}
	return out, sealed, err
}

// readRates reads the learning rates that were chosen in a folder.
func readRates(dir string) (compare.Rates, error) {
	c, _, err := readChoices(filepath.Join(dir, choicesName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--rates: %s is not the folder of a finished compare --tune: it has no %s", dir, choicesName)
	case err != nil:
		return nil, fmt.Errorf("--rates: %w", err)
	}
	for _, choice := range c.Choices {
		if !(choice.LR > 0) || math.IsInf(choice.LR, 1) {
			return nil, fmt.Errorf("--rates: %s: expected finite learning rates above 0, found %g of %s in the setting %s", filepath.Join(dir, choicesName), choice.LR, choice.Rule, choice.Setting)
		}
	}
	return compare.RatesOf(c.Choices), nil
}
