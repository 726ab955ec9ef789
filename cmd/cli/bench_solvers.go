package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"attractor/internal/figure"
	"attractor/solvers/study"
)

// benchSolvers measures what every solver spends on random networks.
func (p *program) benchSolvers(ctx context.Context, b *benchmark, f benchFlags) error {
	var o study.Options
	if f.quick {
		o = study.Quick
	}
	m := p.meter("solvers")
	table, err := study.Run(ctx, study.Methods(p.parts64.Solvers), o, m.at)
	m.end()
	if err != nil {
		return err
	}
	b.Solvers = table
	if !p.json {
		fmt.Fprintln(p.stdout)
		if err := table.Write(p.stdout); err != nil {
			return err
		}
	}
	if f.out == "" {
		return nil
	}
	const name = "solvers"
	if err := figure.Save(f.out, name, table.Figure()); err != nil {
		return err
	}
	if !p.json {
		fmt.Fprintf(p.stdout, "\nfigure  %s (and .svg)\n", filepath.Join(f.out, name+".png"))
	}
	return nil
}
