package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/train"
)

func (p *program) gradcheckCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "gradcheck",
		Short: "check a model's and rule's gradient against finite differences",
		Long: `Gradcheck compares the gradient that a rule gives with central differences of what is trained, the
loss and what regularizer.* adds to it, with one draw of the masks of dropout, the noise and the probes, in
float64 and at equilibria solved to 1e-13, for every parameter of the model. It exits with
code 4 when the two do not agree, as is right for a rule that is not exact.

Errors are relative to the parameter's largest entry; where differences cannot tell so much, to
that of the whole gradient; and below 1e-9 of the loss differences tell nothing. A parameter that the loss does
not depend on, as the update gate of a GRU at its equilibrium or weights of inputs that are all 0,
is unused; one that the rule leaves alone all the same has no gradient.`,
		Example: fmt.Sprintf(`  %[1]s gradcheck --model rate --set model.activation=softplus
  %[1]s gradcheck --rule jfb --task blobs`, p.name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(&flags, p.parts64, "")
			if err != nil {
				return err
			}
			t, err := train.New(c, p.parts64)
			if err != nil {
				return usage(err)
			}
			for _, note := range t.Notes() {
				p.log.Warn(note)
			}
			r, err := train.GradCheck(cmd.Context(), c, p.parts64)
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w; nothing is kept of a gradient check", errInterrupted)
			}
			if err != nil {
				return err
			}
			if err := p.printGradients(c, r); err != nil {
				return err
			}
			if !r.Holds {
				return fmt.Errorf("%w: the gradient of %s differs from finite differences by more than %g", errCheck, c.Rule.Name, r.Tolerance)
			}
			return nil
		},
	}
	flags.add(p, cmd, "epochs", "lr")
	p.jsonFlag(cmd)
	return cmd
}

func (p *program) printGradients(c train.Config[float64], r *train.GradReport) error {
	if p.json {
		return p.printJSON(r)
	}
	fmt.Fprintf(p.stdout, "gradient of %s by %s on %s against central differences\n\n", c.Model.Name, c.Rule.Name, c.Task.Name)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "parameter\tmax relative error\tcosine\tchecked\t\t")
	for _, g := range r.Parameters {
		relative, cosine, status := fmt.Sprintf("%.2g", float64(g.MaxRelError)), fmt.Sprintf("%.9f", float64(g.Cosine)), string(g.Status)
		switch g.Status {
		case train.GradHolds:
			status = ""
		case train.GradUnused, train.GradNone:
			cosine = "–"
		}
		if g.Status == train.GradUnused {
			relative = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\t\n", g.Name, relative, cosine, g.Checked, g.Entries, status)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	verdict := "holds"
	if !r.Holds {
		verdict = "does not hold"
	}
	_, err := fmt.Fprintf(p.stdout, "\n%s (tolerance %g)\n", verdict, r.Tolerance)
	return err
}
