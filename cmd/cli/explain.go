package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"attractor/deq"
	"attractor/train"
)

func (p *program) explainCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "show the programs that a model compiles to",
		Long: `Explain shows what the engine makes of a model: for the cell, its adjoint product, its gradient
and its readout the steps with their rates (what runs once per update, per batch, per
evaluation), fused groups, packed weights and buffers, and what fell back to Gorgonia's own
ops, and why.`,
		Example: fmt.Sprintf("  %s explain --model rate --set model.activation=softplus", p.name),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := read(&flags, p.parts32, "")
			if err != nil {
				return err
			}
			if c.Train.Precision == "float64" {
				d, err := read(&flags, p.parts64, "")
				if err != nil {
					return err
				}
				return explain(p, d, p.parts64)
			}
			return explain(p, c, p.parts32)
		},
	}
	flags.add(p, cmd, "epochs", "lr", "seed", "rule", "solver")
	return cmd
}

func explain[T deq.Float](p *program, c train.Config[T], parts train.Parts[T]) error {
	t, err := train.New(c, parts)
	if err != nil {
		return usage(err)
	}
	return t.Layer.Explain(p.stdout)
}
