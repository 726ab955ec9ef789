package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"attractor/internal/catalog"
)

func (p *program) citeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cite [NAME ...]",
		Short: "print the sources of a part, or of all, as BibTeX",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return p.names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, names []string) error {
			all := p.names()
			for _, name := range names {
				if u := catalog.Unknown("part", name, all); !contains(all, name) {
					return usagef("%w; see %s list", u, p.name)
				}
			}
			if len(names) == 0 {
				names = all
			}
			p.cite(names)
			return nil
		},
	}
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// cite prints every record of the named parts once.
func (p *program) cite(names []string) {
	printed := map[string]bool{}
	for _, k := range p.kinds() {
		for _, e := range k.parts {
			if !contains(names, e.name) {
				continue
			}
			for _, ref := range e.refs {
				ref = strings.TrimSpace(ref)
				if !printed[ref] {
					fmt.Fprintf(p.stdout, "%s\n\n", ref)
				}
				printed[ref] = true
			}
		}
	}
	if len(printed) == 0 {
		p.log.Info("no sources are listed", "of", strings.Join(names, ", "))
	}
}
