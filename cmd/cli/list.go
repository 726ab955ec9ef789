package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/train/rules"
)

func (p *program) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the models, solvers, rules, tasks, …",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.list() },
	}
	p.jsonFlag(cmd)
	return cmd
}

// listed is a part in the output of list --json.
type listed struct {
	Name     string       `json:"name"`
	Synopsis string       `json:"synopsis"`
	Audit    *rules.Audit `json:"audit,omitempty"` // of a rule, with its default options
}

func (p *program) list() error {
	if p.json {
		all := map[string][]listed{}
		for _, k := range p.kinds() {
			for _, e := range k.parts {
				all[k.plural] = append(all[k.plural], listed{Name: e.name, Synopsis: e.synopsis, Audit: e.audit})
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
