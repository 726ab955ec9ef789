package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/quote"
	"attractor/train"
	"attractor/train/compare"
)

// trainFlags are what train is told besides the configuration.
type trainFlags struct {
	config      configFlags
	out, resume string
	print       bool
}

func (p *program) trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train",
		Short: "train one network by one rule",
		Long: `Train trains one network and keeps it in a folder: the resolved configuration, the
surroundings, a line of metrics per step and per epoch, a checkpoint (after each epoch and
on an interrupt), and the result. A run that was interrupted or killed is continued by
--resume as if nothing had happened; one that was killed before its first checkpoint is also
begun again by the same command with --out.

A folder belongs to one process at a time: another one that is given it is refused. Links in
it are refused too. Metrics, checkpoint and result carry checksums, which --resume verifies.

Ctrl-C, a hangup or SIGTERM stops after saving the state; a second one stops at once.`,
		Example: fmt.Sprintf(`  %[1]s train --task digits --rule eqprop --epochs 5
  %[1]s train --config run.yaml --set model.units=256 --out runs/wide
  %[1]s train --resume runs/wide
  %[1]s train --print-config > run.yaml`, p.name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.out != "" && f.resume != "" {
				return usagef("--out and --resume cannot both be given: --resume continues in the folder it names")
			}
			saved := ""
			if f.resume != "" {
				if err := isRun(f.resume); err != nil {
					return err
				}
				if f.config.file == "" {
					saved = filepath.Join(f.resume, train.ConfigFile)
				}
			}
			c, err := read(&f.config, p.parts32, saved)
			if err != nil {
				return err
			}
			if c.Train.Precision != "float64" {
				return trainOne(cmd.Context(), p, f, c, p.parts32)
			}
			c64, err := read(&f.config, p.parts64, saved)
			if err != nil {
				return err
			}
			return trainOne(cmd.Context(), p, f, c64, p.parts64)
		},
	}
	f.config.add(p, cmd)
	cmd.Flags().StringVar(&f.out, "out", "", "`DIR` of the run, new or empty (default runs/<date-time>-<task>-<rule>-s<seed>)")
	cmd.Flags().StringVar(&f.resume, "resume", "", "continue the run in `DIR`")
	cmd.Flags().BoolVar(&f.print, "print-config", false, "print the resolved configuration instead")
	p.jsonFlag(cmd)
	return cmd
}

// warnOfReach warns of parameters that a rule leaves as they were drawn.
func warnOfReach[T deq.Float](ctx context.Context, p *program, t *train.Trainer[T]) {
	_, warning, err := t.Reach(ctx)
	switch {
	case ctx.Err() != nil: // the training will say so
	case err != nil:
		p.log.Warn("which parameters the rule teaches is not known: " + err.Error())
	case warning != "":
		p.log.Warn(warning)
	}
}

// isRun reports a folder that is not that of a run.
func isRun(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return usagef("--resume: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, train.ConfigFile)); err != nil {
		return usagef("--resume: %s is not the folder of a run: it has no %s", dir, train.ConfigFile)
	}
	return nil
}

// trainOne trains in one number type.
func trainOne[T deq.Float](ctx context.Context, p *program, f trainFlags, c train.Config[T], parts train.Parts[T]) error {
	if f.print {
		return c.Write(p.stdout, parts)
	}
	var run *train.Run[T]
	var err error
	if f.resume != "" {
		run, err = train.OpenRun(f.resume, c, parts)
	} else {
		run, err = train.CreateRun(f.out, c, parts)
	}
	if err != nil {
		return usage(err)
	}
	defer run.Close()
	for _, w := range run.Warnings {
		p.log.Warn(w)
	}
	if run.Trainer != nil {
		for _, note := range run.Notes() {
			p.log.Warn(note)
		}
	}
	var m *meter
	unstable := false // at the last look
	notify := func(s train.StepRecord, e *train.EpochRecord) {
		m.at(s.Step, run.Steps())
		if s.Radius != nil {
			if s.Unstable != "" && !unstable {
				m.warn(s.Unstable)
			}
			unstable = s.Unstable != ""
		}
		if f := s.Flossing; f != nil && e == nil {
			tellFlossing(m, s.Step, f)
		}
		if e == nil {
			return
		}
		m.note(fmt.Sprintf("epoch %d/%d  loss %.4g  test %s", e.Epoch, c.Train.Epochs, float64(e.TrainLoss), score(e.TestLoss, e.TestAccuracy)))
		m.say("epoch", "epoch", fmt.Sprintf("%d/%d", e.Epoch, c.Train.Epochs), "train_loss", short(e.TrainLoss),
			"test_loss", short(e.TestLoss), "test_accuracy", short(e.TestAccuracy))
	}
	if run.Trainer != nil {
		warnOfReach(ctx, p, run.Trainer)
		m = p.meter(c.Rule.Name)
		m.say("train", "task", c.Task.Name, "model", c.Model.Name, "rule", c.Rule.Name, "steps", run.Steps(), "from_step", run.Step, "run", run.Dir)
	}
	p.saving.Store(true)
	result, err := run.Train(ctx, notify)
	p.saving.Store(false)
	if m != nil {
		m.end()
	}
	if result == nil {
		return fmt.Errorf("%w\nthe run is kept up to its last checkpoint; when the cause is gone continue with: %s train --resume %s", err, p.name, quote.Path(run.Dir))
	}
	for _, w := range result.Warnings {
		p.log.Warn(w)
	}
	if p.json {
		if err := p.printJSON(result); err != nil {
			return err
		}
	} else {
		p.printRun(result)
	}
	if result.Status == train.Interrupted && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w after step %d of %d, state saved; continue with: %s train --resume %s", errInterrupted, result.Train.Steps, run.Steps(), p.name, quote.Path(result.Run))
	}
	return err
}

// tellFlossing tells of a flossing before a step.
func tellFlossing(m *meter, step int, f *train.FlossingRecord) {
	if f.Status == stability.RanAway || f.Status == train.FlossingFailed {
		m.warn(fmt.Sprintf("flossing before step %d %s: %s", step, f.Status, f.Reason))
	}
	if f.Status != train.FlossingFailed {
		m.say("flossing", "step", step, "status", f.Status, "updates", f.Updates,
			"largest_exponent", short(f.Before.Exponents[0])+" → "+short(f.After.Exponents[0]))
	}
}

// printRun prints a result for people.
func (p *program) printRun(r *train.Result) {
	if r.Status != train.Interrupted {
		fmt.Fprintf(p.stdout, "test    %s\n", scoreLong(r.Test))
		fmt.Fprintf(p.stdout, "train   %s\n", scoreLong(r.Train.Score))
	}
	if f := r.FixedPoints; f != nil {
		fmt.Fprintf(p.stdout, "found   %s\n", f)
	}
	fmt.Fprintf(p.stdout, "spent   %d steps in %.3g s, %s of memory", r.Train.Steps, r.WallS, compare.Bytes(int64(r.PeakBytes)))
	if r.Train.Steps > 0 {
		fmt.Fprintf(p.stdout, ", %.3g evaluations a step and sample", float64(r.EvalsPerStep))
	}
	if r.Train.Unconverged > 0 {
		fmt.Fprintf(p.stdout, "; solves of %d of %d samples did not converge", r.Train.Unconverged, r.Train.Samples)
	}
	fmt.Fprintf(p.stdout, "\nstatus  %s\nrun     %s\n", r.Status, quote.Path(r.Run))
}

// score is the accuracy, or the loss where there is none.
func score(loss, accuracy train.Number) string {
	if math.IsNaN(float64(accuracy)) {
		return fmt.Sprintf("%.4g", float64(loss))
	}
	return fmt.Sprintf("%.1f %%", 100*float64(accuracy))
}

func scoreLong(s train.Score) string {
	if math.IsNaN(float64(s.Loss)) && math.IsNaN(float64(s.Accuracy)) {
		return "not computed"
	}
	text := fmt.Sprintf("loss %.4g", float64(s.Loss))
	if !math.IsNaN(float64(s.Accuracy)) {
		text = fmt.Sprintf("accuracy %.1f %%, ", 100*float64(s.Accuracy)) + text
	}
	return text
}

// short is a number for a line of the log.
func short(n train.Number) string { return fmt.Sprintf("%.4g", float64(n)) }
