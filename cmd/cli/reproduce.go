package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"attractor/internal/catalog"
	"attractor/internal/folder"
	"attractor/train"
	"attractor/train/experiments"
	"attractor/train/experiments/liu2024"
	"attractor/train/experiments/mastrogiuseppe2019"
	"attractor/train/experiments/zhu2024"
)

// reproducible are the experiments of papers.
var reproducible = catalog.Must("experiment", slices.Concat(zhu2024.Entries(), mastrogiuseppe2019.Entries(), liu2024.Entries())...)

func (p *program) reproduceCommand() *cobra.Command {
	var o experiments.Options
	var out string
	cmd := &cobra.Command{
		Use:   "reproduce [NAME]",
		Short: "run a paper's experiment and compare with what it published",
		Long: `Reproduce runs an experiment of a paper, prints what was published, what was measured and
whether the two agree, and keeps the result with the figures in a folder. Without a name it
lists the experiments. It exits with code 4 when a check does not hold.

` + experimentList(),
		Example: fmt.Sprintf(`  %[1]s reproduce
  %[1]s reproduce zhu2024/fig2 --quick
  %[1]s reproduce zhu2024/fig2 --seed 7 --json
  %[1]s reproduce zhu2024/mnist --faithful`, p.name),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("expected one experiment, found %s", strings.Join(args, " "))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, e := range reproducible.Entries() {
				if len(args) == 0 {
					names = append(names, e.Name+"\t"+e.Synopsis())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.listExperiments()
			}
			e, err := reproducible.Lookup(args[0])
			if err != nil {
				return usage(err)
			}
			if cmd.Flags().Changed("seed") && o.Seed == 0 {
				return usagef("--seed: expected a seed from 1, found 0")
			}
			if _, is := e.Value.(experiments.Quirky); o.Faithful && !is {
				return usagef("--faithful: no quirk of a published script is known of %s (%s)", e.Name, quirks())
			}
			return p.reproduce(cmd.Context(), e, o, out)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Quick, "quick", false, "a small part, to see that it works; what needs all of it is not checked")
	flags.Uint64Var(&o.Seed, "seed", 0, "`SEED` in place of the published one, whose numbers are then not checked")
	flags.BoolVar(&o.Faithful, "faithful", false, "do also what the published script does and the paper does not say ("+quirks()+")")
	flags.StringVar(&out, "out", "", "`DIR` of the result, new or empty (default runs/<date-time>-reproduce-<name>)")
	p.jsonFlag(cmd)
	return cmd
}

// quirks says what the published scripts of experiments do that the papers do not say.
func quirks() string {
	var all []string
	for _, e := range reproducible.Entries() {
		if q, is := e.Value.(experiments.Quirky); is {
			all = append(all, e.Name+" "+q.Quirk)
		}
	}
	return strings.Join(all, ", ")
}

// experimentKind lists them among the parts.
func experimentKind() kind {
	k := kind{plural: "experiments", singular: reproducible.Kind()}
	for _, e := range reproducible.Entries() {
		k.parts = append(k.parts, part{name: e.Name, synopsis: e.Synopsis(), doc: e.Doc, refs: e.Refs})
	}
	return k
}

// experimentList is the list of experiments as text.
func experimentList() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, e := range reproducible.Entries() {
		fmt.Fprintf(w, "%s\t%s\n", e.Name, e.Synopsis())
	}
	w.Flush()
	return strings.TrimSpace(b.String())
}

func (p *program) listExperiments() error {
	if !p.json {
		fmt.Fprintln(p.stdout, experimentList())
		return nil
	}
	list := []listed{}
	for _, e := range reproducible.Entries() {
		list = append(list, listed{Name: e.Name, Synopsis: e.Synopsis()})
	}
	return p.printJSON(map[string]any{"experiments": list})
}

// reproduction is what is kept of an experiment.
type reproduction struct {
	*experiments.Result
	Quick    bool         `json:"quick"`
	Faithful bool         `json:"faithful"`
	Holds    bool         `json:"holds"` // all of the checks
	WallS    train.Number `json:"wall_s"`
	Run      string       `json:"run"`
}

// reproducePlan is plan.json: what is reproduced.
type reproducePlan struct {
	Experiment string `json:"experiment"`
	Quick      bool   `json:"quick"`
	Faithful   bool   `json:"faithful"`
	Seed       uint64 `json:"seed"`
}

// folder claims the folder of a reproduction. One that was killed is begun again in its own.
func (r reproducePlan) folder(dir string) (*folder.Folder, error) {
	if dir == "" {
		return folder.Fresh(train.DefaultFolder("reproduce-" + strings.ReplaceAll(r.Experiment, "/", "-")))
	}
	return folder.Claim(dir, func(files []string) error {
		var old reproducePlan
		_, err := folder.ReadJSON(filepath.Join(dir, planName), &old)
		if len(files) > 0 && (err != nil || old != r || slices.Contains(files, train.ResultFile)) {
			return train.Occupied(dir, files)
		}
		return nil
	})
}

func (p *program) reproduce(ctx context.Context, e catalog.Entry[experiments.Experiment], o experiments.Options, dir string) error {
	plan := reproducePlan{Experiment: e.Name, Quick: o.Quick, Faithful: o.Faithful, Seed: o.Seed}
	work, err := plan.folder(dir)
	if err != nil {
		return usage(err)
	}
	defer work.Close()
	p.atEnd(work.Close)
	o.Out = work
	if err := work.WriteJSON(planName, plan); err != nil {
		return err
	}
	m := p.meter(e.Name)
	m.say("reproduce", "experiment", e.Name, "run", work.Dir)
	start, tenth := time.Now(), 0
	o.Progress = func(done, total int, note string) {
		m.at(done, total)
		m.note(note)
		if t := 10 * done / total; t > tenth {
			tenth = t
			m.say("done", "part", fmt.Sprintf("%d/%d", done, total), "last", note)
		}
	}
	r, err := e.Value.Run(ctx, o)
	m.end()
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w; nothing is kept of %s", errInterrupted, e.Name)
		}
		if errors.Is(err, fs.ErrNotExist) { // data that are not there
			return usage(err)
		}
		return err
	}
	r.Notes, r.Checks = append([]string{}, r.Notes...), append([]experiments.Check{}, r.Checks...) // [] in JSON where there are none
	r.Values, r.Figures = append([]experiments.Value{}, r.Values...), append([]string{}, r.Figures...)
	failed := r.Failed()
	out := reproduction{Result: r, Quick: o.Quick, Faithful: o.Faithful, Holds: failed == 0, WallS: train.Number(time.Since(start).Seconds()), Run: work.Dir}
	if err := work.WriteJSON(train.EnvironmentFile, train.ReadEnvironment(r.Seed)); err != nil {
		return err
	}
	if err := work.WriteJSON(train.ResultFile, out); err != nil {
		return err
	}
	files := []string{planName, train.EnvironmentFile, train.ResultFile}
	for _, path := range r.Figures {
		files = append(files, filepath.Base(path))
	}
	if err := work.Demand(files...); err != nil {
		return err
	}
	work.Keep()
	if err := p.printReproduction(out); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%w: %d of %d checks of %s", errCheck, failed, len(r.Checks), e.Name)
	}
	return nil
}

func (p *program) printReproduction(r reproduction) error {
	if p.json {
		return p.printJSON(r)
	}
	fmt.Fprintf(p.stdout, "%s\n\n", r.Name)
	for _, note := range r.Notes {
		fmt.Fprintln(p.stdout, wrap(note, ""))
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ncheck\texpected\tmeasured\tholds\tsource")
	for _, c := range r.Checks {
		holds := "yes"
		if !c.Holds {
			holds = "NO"
		}
		expected := string(c.Relation) + " " + digits(c.Expected)
		if c.Relation == experiments.Equal {
			expected = digits(c.Expected)
			if c.Tolerance > 0 {
				expected += fmt.Sprintf(" ± %.2g", float64(c.Tolerance))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.ID, expected, digits(c.Measured), holds, c.Source)
	}
	if len(r.Values) > 0 {
		fmt.Fprintln(w, "\nvalue\t\tmeasured")
	}
	for _, v := range r.Values {
		fmt.Fprintf(w, "%s\t\t%s\n", v.ID, digits(v.Measured))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\nchecks  %d of %d hold\nspent   %.3g s\nrun     %s\n", len(r.Checks)-r.Failed(), len(r.Checks), float64(r.WallS), r.Run)
	for _, f := range r.Figures {
		fmt.Fprintf(p.stdout, "figure  %s\n", f)
	}
	return nil
}

// digits writes a number of a paper, with six digits at most.
func digits(n train.Number) string { return strconv.FormatFloat(float64(n), 'g', 6, 64) }
