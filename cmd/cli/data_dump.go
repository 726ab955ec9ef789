package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"attractor/internal/atomicfile"
	"attractor/internal/npz"
	"attractor/internal/quote"
	"attractor/train"
	"attractor/train/tasks"
)

// dumpFlags are what data dump is told besides the configuration.
type dumpFlags struct {
	config      configFlags
	split, out  string
	count, step int
}

func (p *program) dataDumpCommand() *cobra.Command {
	var f dumpFlags
	cmd := &cobra.Command{
		Use:   "dump TASK",
		Short: "write samples or trials of a task as .npz",
		Long: `Dump writes what a network is shown: the first samples or trials of a task, or the batch of a step of training.

The .npz holds x [batch, inputs], or of trials [batch, steps, inputs]; labels [batch] or [batch, steps] of classes, or
y, real targets, with a dimension of the outputs more; of trials also weights [batch, steps] of the losses and
scored, 1 at the steps at which accuracy is taken, where these differ from step to step; start, of every number of the
state at the beginning, where it is not 0; and rows, which samples of the split they are. The command gradient takes it
as its --batch.`,
		Example: fmt.Sprintf(`  %[1]s data dump dms --split test --count 100 --out trials.npz
  %[1]s data dump digits --seed 2 --step 5 --out fifth.npz   # the batch of step 5 of train --seed 2
  %[1]s data dump npz --set task.file=mine.npz --out all.npz`, p.name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("expected the name of a task, found %d arguments; see %s list", len(args), p.name)
			}
			if _, err := p.parts64.Tasks.Lookup(args[0]); err != nil {
				return usagef("%w; see %s list", err, p.name)
			}
			f.config.sets = append([]string{"task=" + args[0]}, f.config.sets...)
			c, err := read(&f.config, p.parts64, "")
			if err != nil {
				return err
			}
			return p.dataDump(cmd.Context(), f, c)
		},
	}
	f.config.add(p, cmd, "task", "model", "rule", "solver", "epochs", "lr", "engine")
	cmd.Flags().StringVar(&f.split, "split", "train", "`PART` of the data: train or test")
	cmd.Flags().IntVar(&f.count, "count", 0, "the first `N` samples or trials; 0 is all")
	cmd.Flags().IntVar(&f.step, "step", 0, "the batch of `STEP` of a run, from 1, in place of the order of the data")
	cmd.Flags().StringVar(&f.out, "out", "", "`FILE` that is written (default TASK-PART.npz)")
	return cmd
}

// dumped is the output of data dump --json.
type dumped struct {
	File    string `json:"file"`
	Task    string `json:"task"`
	Split   string `json:"split"`
	Seed    uint64 `json:"seed"`
	Kind    string `json:"kind"`
	Samples int    `json:"samples"`
	Steps   int    `json:"steps"` // of every trial; 0 where a sample is one input
	Inputs  int    `json:"inputs"`
	Outputs int    `json:"outputs"` // classes, or the width of a target
}

func (p *program) dataDump(ctx context.Context, f dumpFlags, c train.Config[float64]) error {
	switch {
	case f.split != "train" && f.split != "test":
		return usagef("--split: expected train or test, found %q", f.split)
	case f.count < 0 || f.step < 0:
		return usagef("--count and --step: expected at least 0, found %d and %d", f.count, f.step)
	case f.step > 0 && (f.count > 0 || f.split != "train"):
		return usagef("--step: the batch of a step is as large as --batch says, and of the split train: leave out --count and --split")
	}
	d, err := c.Task.Value.Load(c.Train.Seed)
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		return usage(fmt.Errorf("task %q: %w", c.Task.Name, err))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w; nothing is written", errInterrupted)
	}
	split := d.Train
	if f.split == "test" {
		split = d.Test
	}
	rows, err := f.rows(c, split)
	if err != nil {
		return err
	}
	if f.out == "" {
		f.out = c.Task.Name + "-" + f.split + ".npz"
	}
	if err := spareInputs(f.out, texts(c.Task.Value)...); err != nil {
		return err
	}
	arrays := arraysOf(d, split.Select(rows), rows)
	if err := atomicfile.Write(f.out, func(w io.Writer) error { return npz.Write(w, arrays...) }); err != nil {
		return err
	}
	r := dumped{File: f.out, Task: c.Task.Name, Split: f.split, Seed: c.Train.Seed, Kind: d.Kind.String(), Samples: len(rows),
		Steps: d.Steps, Inputs: d.Inputs, Outputs: d.Outputs}
	if p.json {
		return p.printJSON(r)
	}
	what := fmt.Sprintf("%d samples of %d inputs", r.Samples, r.Inputs)
	if r.Steps > 0 {
		what = fmt.Sprintf("%d trials of %d steps of %d inputs", r.Samples, r.Steps, r.Inputs)
	}
	_, err = fmt.Fprintf(p.stdout, "%s, %d outputs (%s), of %s, split %s, seed %d, written to %s\n", what, r.Outputs, r.Kind, r.Task, r.Split, r.Seed, quote.Path(r.File))
	return err
}

// rows are the samples that are asked for.
func (f dumpFlags) rows(c train.Config[float64], split tasks.Split) ([]int, error) {
	if f.step > 0 {
		batches, err := tasks.NewBatches[float64](split, c.Train.Batch, c.Train.Seed)
		if err != nil {
			return nil, usage(err)
		}
		return batches.At((f.step-1)/batches.Len(), (f.step-1)%batches.Len()).Rows, nil
	}
	if f.count > split.N {
		return nil, usagef("--count: expected at most the %d of the split %s, found %d", split.N, f.split, f.count)
	}
	if f.count == 0 {
		f.count = split.N
	}
	rows := make([]int, f.count)
	for i := range rows {
		rows[i] = i
	}
	return rows, nil
}

// arraysOf are samples as they are written.
func arraysOf(d *tasks.Dataset, s tasks.Split, rows []int) []npz.Named {
	shape := func(width ...int) []int {
		out := []int{s.N}
		if d.Steps > 0 {
			out = append(out, d.Steps)
		}
		return append(out, width...)
	}
	x := make([]float64, 0, s.N*max(1, d.Steps)*d.Inputs)
	for i := range s.N {
		x = s.Row(x, i)
	}
	arrays := []npz.Named{{Name: "x", Shape: shape(d.Inputs), Data: x}}
	if d.Kind == tasks.Classification {
		arrays = append(arrays, npz.Named{Name: "labels", Shape: shape(), Data: s.Labels})
	} else {
		arrays = append(arrays, npz.Named{Name: "y", Shape: shape(d.Outputs), Data: s.Y})
	}
	if s.Weights != nil {
		arrays = append(arrays, npz.Named{Name: "weights", Shape: shape(), Data: s.Weights})
	}
	if s.Scored != nil {
		scored := make([]uint8, len(s.Scored))
		for i, yes := range s.Scored {
			if yes {
				scored[i] = 1
			}
		}
		arrays = append(arrays, npz.Named{Name: "scored", Shape: shape(), Data: scored})
	}
	if d.Start != 0 {
		arrays = append(arrays, npz.Named{Name: "start", Data: []float64{d.Start}})
	}
	index := make([]int64, len(rows))
	for i, r := range rows {
		index[i] = int64(r)
	}
	return append(arrays, npz.Named{Name: "rows", Shape: []int{len(index)}, Data: index})
}
