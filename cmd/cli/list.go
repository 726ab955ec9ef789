package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (p *program) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the models, solvers, rules, tasks, …",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return p.list(cmd.Context()) },
	}
	p.jsonFlag(cmd)
	return cmd
}

// listed is a part in the output of list --json.
type listed struct {
	Name     string   `json:"name"`
	Synopsis string   `json:"synopsis"`
	Audit    *audited `json:"audit,omitempty"` // of a rule
}

func (p *program) list(ctx context.Context) error {
	if p.json {
		audits, err := p.audits(ctx, p.parts64.Rules.Names()...)
		if err != nil {
			return err
		}
		all := map[string][]listed{}
		for _, k := range p.kinds() {
			for _, e := range k.parts {
				one := listed{Name: e.name, Synopsis: e.synopsis}
				if a, ok := audits[e.name]; ok && e.audit != nil {
					one.Audit = &a
				}
				all[k.plural] = append(all[k.plural], one)
			}
		}
		return p.printJSON(all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i, k := range p.kinds() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		how := "--set " + k.choose + "=NAME"
		if k.choose == "" {
			how = p.name + " reproduce NAME"
		}
		fmt.Fprintf(w, "%s  (%s)\n", k.plural, how)
		for _, e := range k.parts {
			fmt.Fprintf(w, "  %s\t%s\n", e.name, e.synopsis)
		}
	}
	return w.Flush()
}
