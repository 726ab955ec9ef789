package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/internal/catalog"
	"attractor/internal/options"
	"attractor/train"
	"attractor/train/rules"
)

func (p *program) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [NAME | COMMAND | section.key]",
		Short: "explain a model, solver, rule, task, …, an option or a command",
		Long: `Help explains a part that list names: what it computes, its options and its sources; or an
option of the configuration, such as train.epochs; or a command.`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append(p.names(), commandNames(cmd.Root())...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Root().Help()
			}
			return p.help(cmd.Context(), cmd.Root(), args)
		},
	}
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	return names
}

func (p *program) help(ctx context.Context, root *cobra.Command, args []string) error {
	name, found := args[0], 0
	if len(args) == 1 {
		for _, k := range p.kinds() {
			for _, e := range k.parts {
				if e.name != name {
					continue
				}
				if found++; found > 1 {
					fmt.Fprintf(p.stdout, "\n%s\n\n", strings.Repeat("─", 60))
				}
				p.explain(k, e)
				if e.audit != nil {
					if err := p.explainOwn(e.name); err != nil {
						return err
					}
					if err := p.explainReach(ctx, e.name); err != nil {
						return err
					}
				}
				p.explainSources(e)
			}
		}
		found += p.explainOption(name)
	}
	if cmd, rest, err := root.Find(args); err == nil && cmd != root && len(rest) == 0 {
		if found++; found > 1 {
			fmt.Fprintf(p.stdout, "\n%s\n\n", strings.Repeat("─", 60))
		}
		cmd.InitDefaultHelpFlag()
		if err := cmd.Help(); err != nil {
			return err
		}
	}
	if found == 0 {
		known := append(p.names(), commandNames(root)...)
		if strings.Contains(name, ".") {
			known = nil
			for _, s := range p.settable() {
				known = append(known, s.path)
			}
		}
		return usagef("%w; see %s list", catalog.Unknown("part, option or command", strings.Join(args, " "), known), p.name)
	}
	return nil
}

// explain prints all that is known of a part.
func (p *program) explain(k kind, e part) {
	w := p.stdout
	fmt.Fprintf(w, "%s (%s)\n\n%s\n", e.name, k.singular, strings.TrimSpace(e.doc))
	switch {
	case k.choose == "":
		fmt.Fprintf(w, "\nRun by %s reproduce %s.\n", p.name, e.name)
	case k.section != "":
		fmt.Fprintf(w, "\nChosen by --set %s=%s.\n", k.section, e.name)
		writeFields(w, fmt.Sprintf("Options, --set %s.KEY=VALUE:", k.section), e.options)
		writeFields(w, fmt.Sprintf("Options of every %s:", k.singular), k.common)
	default:
		fmt.Fprintf(w, "\nChosen by --set %s=%s.\n", k.choose, e.name)
	}
	if e.audit != nil {
		fmt.Fprint(w, "\nLocality, with the default options:\n")
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range e.audit.Facts() {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", f.Name, f.Value, f.Doc)
		}
		t.Flush()
	}
}

func (p *program) explainSources(e part) {
	if len(e.refs) > 0 {
		fmt.Fprintf(p.stdout, "\nSources:\n\n%s\n", strings.Join(e.refs, "\n\n"))
	}
}

// explainReach prints which parameters of each model a rule teaches.
func (p *program) explainReach(ctx context.Context, name string) error {
	rule, err := p.parts64.Rules.Lookup(name)
	if err != nil {
		return err
	}
	if _, ok := rule.Value.(rules.ReadoutRule); ok {
		_, err := fmt.Fprint(p.stdout, "\nIt teaches the readout alone.\n")
		return err
	}
	audits, err := p.audits(ctx, name)
	if err != nil {
		return err
	}
	a := audits[name]
	fmt.Fprint(p.stdout, "\nWhat it teaches of the cell of each model, both with the default options:\n")
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, model := range p.parts64.Models.Names() {
		what := "all parameters"
		if left := (rules.Reach{Unreached: a.Unreached[model], Partly: a.Partly[model]}).Left(nil); left != "" {
			what = "all but " + left + ", to which it gives no gradient while the exact one does"
		}
		if reason, no := a.Refused[model]; no {
			what = "refused: " + reason
		}
		fmt.Fprintf(t, "  %s\t%s\n", model, what)
	}
	return t.Flush()
}

func writeFields(w io.Writer, title string, fields []options.Field) {
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  key\ttype\tdefault\t")
	for _, f := range fields {
		doc := f.Doc
		if len(f.Choices) > 0 {
			doc += " (" + strings.Join(f.Choices, ", ") + ")"
		}
		if f.Bound.Max > 0 {
			doc += fmt.Sprintf(" (at most %d)", f.Bound.Max)
		}
		value := f.Default
		if strings.Contains(doc, "(default ") { // which says what zero stands for
			value = ""
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", f.Key, f.Type, value, doc)
	}
	t.Flush()
}

// explainOption explains section.key, for every part that has it, and returns how many.
func (p *program) explainOption(path string) (found int) {
	section, key, ok := strings.Cut(path, ".")
	if !ok {
		return 0
	}
	show := func(of string, fields []options.Field) {
		for _, f := range fields {
			if f.Key != key {
				continue
			}
			if found++; found == 1 {
				fmt.Fprintf(p.stdout, "%s\n", path)
			}
			fmt.Fprintf(p.stdout, "\n%s%s: %s", of, f.Type, f.Doc)
			if len(f.Choices) > 0 {
				fmt.Fprintf(p.stdout, " (%s)", strings.Join(f.Choices, ", "))
			}
			if f.Default != "" && !strings.Contains(f.Doc, "(default ") {
				fmt.Fprintf(p.stdout, "; default %s", f.Default)
			}
			if f.Bound.Max > 0 {
				fmt.Fprintf(p.stdout, "; %s", f.Bound)
			}
			fmt.Fprintln(p.stdout)
		}
	}
	for _, k := range p.kinds() {
		if k.section != section || section == "" {
			continue
		}
		for _, e := range k.parts {
			show(e.name+": ", e.options)
		}
		show("", k.common)
	}
	if section == "train" {
		show("", options.Fields(train.Settings{}))
	}
	return found
}
