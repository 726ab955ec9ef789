package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"attractor/deq"
	"attractor/internal/atomicfile"
	"attractor/train"
	"attractor/train/compare"
)

// lrOption is the option that a learning rate of all rules may also be given by.
const lrOption = "optimizer.lr="

// givenRate takes --set optimizer.lr as --lr.
func (f *compareFlags) givenRate(flags *pflag.FlagSet) error {
	for _, set := range f.config.sets {
		text, found := strings.CutPrefix(set, lrOption)
		if !found {
			continue
		}
		for _, flag := range []string{"lr", "rates", "tune"} {
			if flags.Changed(flag) {
				return usagef("--set %s and --%s cannot both be given", set, flag)
			}
		}
		lr, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return nil // the configuration says what is wrong
		}
		if !(lr > 0) {
			return usagef("--set %s: expected a positive learning rate of every rule", set)
		}
		f.plan.LR = lr
	}
	return nil
}

// rateSource finds out where the learning rates come from. A plan that is continued knows it, but for one of an earlier
// version.
func rateSource[T deq.Float](f *compareFlags, c train.Config[T], parts train.Parts[T]) error {
	switch {
	case f.plan.Source != "" || f.plan.Tune:
	case f.plan.LR > 0:
		f.plan.Source = compare.RateGiven
	case f.plan.Rates == nil:
		f.plan.Source = compare.RateDefault
	case f.rates == "":
		f.plan.Source = compare.RateGiven // for what, an earlier version has not written down
	default:
		tuned, err := tunedFor(f.rates, c, parts)
		if err != nil {
			return err
		}
		if f.plan.Source = compare.RateGiven; tuned {
			f.plan.Source = compare.RateTuned
		}
	}
	return nil
}

// tunedFor reports whether the rates in a folder were chosen for the task and model of a configuration.
func tunedFor[T deq.Float](dir string, c train.Config[T], parts train.Parts[T]) (bool, error) {
	choices, _, err := readChoices(filepath.Join(dir, choicesName))
	if err != nil {
		return false, err
	}
	if choices.Task != c.Task.Name || choices.Model != c.Model.Name {
		return false, nil
	}
	path := filepath.Join(dir, train.ConfigFile)
	text, err := atomicfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) { // the names are all that is known
		return true, nil
	}
	if err != nil {
		return false, err
	}
	old, err := train.Read(parts, path, text, nil)
	return err == nil && compare.SameProblem(old, c), err
}

// tuneCommand is the command that tunes the learning rates for a comparison like this.
func (f *compareFlags) tuneCommand(name string) string { return f.alike(name, "--tune") }

// alike is the command that compares the same by other flags.
func (f *compareFlags) alike(name string, flags ...string) string {
	args := append([]string{"compare"}, flags...)
	switch {
	case f.resume != "":
		args = append(args, "--config", filepath.Join(f.resume, train.ConfigFile))
	case f.config.file != "":
		args = append(args, "--config", f.config.file)
	}
	if f.quick {
		args = append(args, "--quick")
	}
	for i, set := range f.config.sets {
		own := f.quick && i == 0 // it comes with --quick
		if own || f.resume != "" || strings.HasPrefix(set, lrOption) {
			continue
		}
		if flag := f.config.flags[set]; flag != "" {
			_, value, _ := strings.Cut(set, "=")
			args = append(args, "--"+flag, value)
		} else {
			args = append(args, "--set", set)
		}
	}
	rules := f.plan.Rules
	if f.plan.All {
		rules = []string{allRules}
	}
	if !slices.Equal(rules, compare.DefaultRules) {
		args = append(args, "--rules", strings.Join(rules, ","))
	}
	if !slices.Equal(f.plan.Settings, compare.SettingNames()) {
		args = append(args, "--settings", strings.Join(f.plan.Settings, ","))
	}
	usual := []uint64{1, 2, 3}
	if f.quick {
		usual = usual[:1]
	}
	if !slices.Equal(f.plan.Seeds, usual) {
		args = append(args, "--seeds", (&seeds{list: &f.plan.Seeds}).String())
	}
	return commandLine(name, args)
}

// tellCost says what a tuning costs.
func (p *program) tellCost(plan compare.Plan) {
	tune, comparison := plan.Cost()
	p.log.Info(fmt.Sprintf("tune: %d learning rates for each of %d rules and the controls, %d runs on four fifths of the training data: about %.1f times the evaluations that training takes in the comparison, of %d runs",
		len(compare.Grid), len(plan.Rules), tune, 0.8*float64(len(compare.Grid)), comparison))
}
