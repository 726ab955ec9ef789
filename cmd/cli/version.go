package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"attractor/train"
)

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			e := train.ReadEnvironment(0)
			if p.json {
				return p.printJSON(map[string]string{"version": e.Program, "go": e.Go, "os": e.OS})
			}
			_, err := fmt.Fprintf(p.stdout, "%s %s (%s, %s)\n", p.name, e.Program, e.Go, e.OS)
			return err
		},
	}
	p.jsonFlag(cmd)
	return cmd
}
