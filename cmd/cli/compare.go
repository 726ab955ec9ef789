package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"attractor/deq"
	"attractor/internal/atomicfile"
	"attractor/internal/catalog"
	"attractor/internal/figure"
	"attractor/internal/folder"
	"attractor/internal/quote"
	"attractor/train"
	"attractor/train/compare"
	"attractor/train/tasks"
)

// compareFlags are what compare is told besides the configuration.
type compareFlags struct {
	config      configFlags
	plan        planFile
	out, resume string
	print       bool
	quick       bool
	rates       string
}

// planFile is plan.json: what is compared, and how it was asked for.
type planFile struct {
	Rules    []string                `json:"rules"`
	All      bool                    `json:"all,omitempty"` // they were all that were applicable
	Left     []compare.NotApplicable `json:"not_applicable,omitempty"`
	Settings []string                `json:"settings"`
	Seeds    []uint64                `json:"seeds"`
	Passive  []string                `json:"passive,omitempty"`  // that look on besides
	AllLook  bool                    `json:"all_look,omitempty"` // they were all that were applicable
	Every    int                     `json:"every"`
	Looks    int                     `json:"looks"`
	Batches  int                     `json:"look_batches"`
	LR       float64                 `json:"lr,omitempty"`           // 0: each rule's own
	Rates    compare.Rates           `json:"rates,omitempty"`        // each rule's own, where they were given
	Source   string                  `json:"rates_source,omitempty"` // of LR or Rates; plans of earlier versions have none
	Tune     bool                    `json:"tune,omitempty"`         // learning rates are chosen
	Advice   string                  `json:"tune_command,omitempty"` // that tunes the learning rates
	Command  string                  `json:"command"`
	Config   string                  `json:"config,omitempty"` // config.yaml, so that this file alone says all
}

// same reports whether two plans are the same, however they were asked for.
func (p planFile) same(q planFile) bool {
	for _, plan := range []*planFile{&p, &q} {
		plan.Command, plan.Source, plan.Advice = "", "", ""
	}
	a, err1 := json.Marshal(p)
	b, err2 := json.Marshal(q)
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

// The files of a comparison besides those of every run.
const (
	planName   = "plan.json"
	trialsName = "trials" // a file for each trial that has ended
	reportName = "report.html"
)

func (p *program) compareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "train one network by several rules and compare them",
		Long: `Compare trains one model on one task by several rules over several seeds. Trials of one
seed are paired: they start from the same parameters and see the same batches. It prints a
table for each setting, says what can be concluded, and writes a report with figures.

While one rule trains the network all others look on: at a few moments (--looks) they get their
gradients for the same batches at the same weights, which changes nothing in the run.

The exact gradient is that at the fixed point which a rule's own solve has come to. Samples at which no
fixed point is near to where it ended have none, and are left out on both sides; the table says at how many
looks out of those taken there was a cosine, and how many samples are missing or at an unstable point.

--tune chooses the learning rate of every rule, one's own too, with the same rates tried for each, on a
part of the training data that is held out; --rates uses what it has chosen. Without it rules have the
rates that were chosen on the digits with the default model, and 0.03 where there is none; --lr, or
--set optimizer.lr, gives all the same. The table says where a rate comes from, and the findings where
it was not tuned for the task and model.

A comparison or a choice that was interrupted or killed is continued by --resume: trials that
have ended are not run again.`,
		Example: fmt.Sprintf(`  %[1]s compare
  %[1]s compare --rules implicit,jfb --seeds 1,2,3,4,5 --set model.units=64
  %[1]s compare --rules jfb --passive all
  %[1]s compare --task mnist --rules all --quick
  %[1]s compare --tune --task mnist --out rates && %[1]s compare --task mnist --rates rates
  %[1]s compare --quick --json`, p.name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			saved, err := f.prepare(cmd.Flags(), p.name, p.args)
			if err != nil {
				return err
			}
			c, err := read(&f.config, p.parts32, saved)
			if err != nil {
				return err
			}
			c64, err := read(&f.config, p.parts64, saved)
			if err != nil {
				return err
			}
			wide := compare.Wide{Config: c64, Parts: p.parts64}
			if c.Train.Precision == "float64" {
				return compareRules(cmd.Context(), p, &f, c64, p.parts64, wide)
			}
			return compareRules(cmd.Context(), p, &f, c, p.parts32, wide)
		},
	}
	f.config.add(p, cmd, "rule", "seed", "lr")
	flags := cmd.Flags()
	flags.StringSliceVar(&f.plan.Rules, "rules", compare.DefaultRules, "`RULES` to compare, separated by commas, or all that can train the model")
	flags.StringSliceVar(&f.plan.Settings, "settings", compare.SettingNames(), "`SETTINGS` to compare in")
	flags.Var(&seeds{&f.plan.Seeds, false}, "seeds", "`SEEDS`, one trial each")
	flags.IntVar(&f.plan.Every, "every", 20, "steps between two looks at the exact gradient")
	flags.IntVar(&f.plan.Looks, "looks", 3, "`MOMENTS` of every trial at which all rules look at the same batches; 0 is none")
	flags.IntVar(&f.plan.Batches, "look-batches", 4, "`BATCHES` of such a look, at least 2 to tell bias from variance")
	flags.StringSliceVar(&f.plan.Passive, "passive", nil, "`RULES` that look on without being compared themselves, or all")
	flags.Float64Var(&f.plan.LR, "lr", 0, "learning rate of every rule (default each rule's own)")
	flags.BoolVar(&f.quick, "quick", false, "2 epochs, 1 seed and at most 6,000 pictures, to see that it works")
	flags.BoolVar(&f.plan.Tune, "tune", false, "choose each rule's learning rate on held-out training data instead")
	flags.StringVar(&f.rates, "rates", "", "use the learning rates that --tune has chosen in `DIR`")
	flags.StringVar(&f.out, "out", "", "`DIR` of the comparison, new or empty (default runs/<date-time>-compare-<task>)")
	flags.StringVar(&f.resume, "resume", "", "continue the comparison in `DIR`")
	flags.BoolVar(&f.print, "print-config", false, "print the resolved configuration instead")
	p.jsonFlag(cmd)
	for _, flag := range []string{"rules", "passive"} {
		must(cmd.RegisterFlagCompletionFunc(flag, p.completeParts("rule")))
	}
	must(cmd.RegisterFlagCompletionFunc("settings", cobra.FixedCompletions(compare.SettingNames(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// seeds is a flag for a list of seeds; the default is 1, 2, 3.
type seeds struct {
	list  *[]uint64
	given bool
}

func (s *seeds) Type() string { return "seeds" }

func (s *seeds) String() string {
	if s.list == nil || len(*s.list) == 0 {
		return "1,2,3"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*s.list), " ", ","), "[]")
}

func (s *seeds) Set(text string) error {
	if !s.given {
		*s.list, s.given = nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		text := strings.TrimSpace(part)
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || text != strconv.FormatUint(n, 10) { // as it would be for 010
			return fmt.Errorf("expected whole numbers from 0, separated by commas, found %s", quote.Name(part))
		}
		*s.list = append(*s.list, n)
	}
	return nil
}

// prepare completes the plan and returns the configuration file of what is continued.
func (f *compareFlags) prepare(flags *pflag.FlagSet, name string, args []string) (saved string, err error) {
	if f.out != "" && f.resume != "" {
		return "", usagef("--out and --resume cannot both be given: --resume continues in the folder it names")
	}
	for _, pair := range [][2]string{{"tune", "lr"}, {"tune", "rates"}, {"tune", "passive"}, {"lr", "rates"}} {
		if flags.Changed(pair[0]) && flags.Changed(pair[1]) {
			return "", usagef("--%s and --%s cannot both be given", pair[0], pair[1])
		}
	}
	if err := f.givenRate(flags); err != nil {
		return "", err
	}
	if f.rates != "" {
		if f.plan.Rates, err = readRates(f.rates); err != nil {
			return "", usage(err)
		}
	}
	if f.quick {
		if !flags.Changed("seeds") {
			f.plan.Seeds = []uint64{1}
		}
		if !flags.Changed("look-batches") {
			f.plan.Batches = 2
		}
		f.config.sets = append([]string{"train.epochs=2"}, f.config.sets...)
	}
	if len(f.plan.Seeds) == 0 {
		f.plan.Seeds = []uint64{1, 2, 3}
	}
	f.plan.Command = commandLine(name, args)
	if f.resume != "" {
		if saved, err = f.continued(flags); err != nil {
			return "", err
		}
	}
	if err := errors.Join(atMost("every", f.plan.Every, 1e12, "no run has more updates"), atMost("looks", f.plan.Looks, 1e6, "every moment is a line of the result"),
		atMost("look-batches", f.plan.Batches, 1e6, "the error falls with their square root")); err != nil {
		return "", err
	}
	if f.plan.Every < 1 {
		return "", usagef("--every: expected at least 1 step, found %d", f.plan.Every)
	}
	if f.plan.Looks < 0 {
		return "", usagef("--looks: expected at least 0, found %d", f.plan.Looks)
	}
	if f.plan.Looks > 0 && f.plan.Batches < 1 {
		return "", usagef("--look-batches: expected at least 1, found %d", f.plan.Batches)
	}
	if f.plan.LR < 0 {
		return "", usagef("--lr: expected a positive learning rate, or 0 for each rule's own, found %g", f.plan.LR)
	}
	for _, s := range f.plan.Settings {
		if !slices.Contains(compare.SettingNames(), s) {
			return "", usagef("--settings: %w", catalog.Unknown("setting", s, compare.SettingNames()))
		}
	}
	if len(f.plan.Passive) > 0 {
		if err := once("passive", f.plan.Passive); err != nil {
			return "", err
		}
	}
	return saved, errors.Join(once("rules", f.plan.Rules), once("settings", f.plan.Settings), once("seeds", f.plan.Seeds))
}

// once refuses a list that is empty or names something twice.
func once[T comparable](flag string, list []T) error {
	if len(list) == 0 {
		return usagef("--%s: expected at least one, found none", flag)
	}
	for i, v := range list {
		if slices.Contains(list[:i], v) {
			return usagef("--%s: %v is given twice", flag, v)
		}
	}
	return nil
}

// continued takes the plan from the folder that is continued and refuses another one.
func (f *compareFlags) continued(flags *pflag.FlagSet) (saved string, err error) {
	if _, err := os.Stat(f.resume); err != nil {
		return "", usagef("--resume: %w", err)
	}
	path := filepath.Join(f.resume, planName)
	var old planFile
	_, err = folder.ReadJSON(path, &old)
	if errors.Is(err, fs.ErrNotExist) {
		return "", usagef("--resume: %s is not the folder of a comparison: it has no %s; it is written first and says what is compared, which %s alone does not; one that was killed before is begun again by --out", f.resume, planName, train.ConfigFile)
	}
	if err != nil {
		return "", usagef("%s: expected the plan of a comparison: %w", path, err)
	}
	if err := f.savedConfig(old); err != nil {
		return "", usage(err)
	}
	e := &train.ConfigurationError{Source: path}
	differ := func(flag string, given bool, old, now any) {
		if a, b := fmt.Sprint(old), fmt.Sprint(now); given && a != b {
			e.Differences = append(e.Differences, train.Difference{Path: "--" + flag, Saved: a, Given: b})
		}
	}
	given := func(all bool, names []string) []string {
		if all {
			return []string{allRules}
		}
		return names
	}
	differ("rules", flags.Changed("rules"), given(old.All, old.Rules), f.plan.Rules)
	differ("settings", flags.Changed("settings"), old.Settings, f.plan.Settings)
	differ("seeds", flags.Changed("seeds") || f.quick, old.Seeds, f.plan.Seeds)
	differ("passive", flags.Changed("passive"), given(old.AllLook, old.Passive), f.plan.Passive)
	differ("looks", flags.Changed("looks"), old.Looks, f.plan.Looks)
	differ("look-batches", flags.Changed("look-batches") || f.quick, old.Batches, f.plan.Batches)
	differ("every", flags.Changed("every"), old.Every, f.plan.Every)
	differ("lr", flags.Changed("lr"), old.LR, f.plan.LR)
	differ("rates", flags.Changed("rates"), old.Rates, f.plan.Rates)
	differ("tune", flags.Changed("tune"), old.Tune, f.plan.Tune)
	if len(e.Differences) > 0 {
		return "", usage(e)
	}
	f.plan = old
	if f.config.file == "" {
		saved = filepath.Join(f.resume, train.ConfigFile)
	}
	return saved, nil
}

// The samples that --quick keeps of a task that can do with fewer.
const quickTrain, quickTest = 6000, 2000

// compareRules compares in one number type.
func compareRules[T deq.Float](ctx context.Context, p *program, f *compareFlags, c train.Config[T], parts train.Parts[T], wide compare.Wide) error {
	if t, ok := c.Task.Value.(tasks.Limited); ok && f.quick {
		c.Task.Value = t.Limit(quickTrain, quickTest)
	}
	if err := errors.Join(overridden(c), f.resolve(parts.Rules, func(names []string) ([]string, []compare.NotApplicable, error) {
		return compare.Applicable(c, parts, names)
	})); err != nil {
		return usage(err)
	}
	if f.print {
		return c.Write(p.stdout, parts)
	}
	if f.plan.Rates != nil {
		if err := f.plan.Rates.Check(f.planFor(0)); err != nil {
			return usagef("--rates %s: %w: choose it by %s compare --tune", f.rates, err, p.name)
		}
	}
	if err := rateSource(f, c, parts); err != nil {
		return usage(err)
	}
	if f.plan.Advice == "" && !f.plan.Tune {
		f.plan.Advice = f.tuneCommand(p.name)
	}
	if f.resume != "" {
		if err := sameConfig(f, c, parts); err != nil {
			return usage(err)
		}
		if done, err := p.ended(f); done || err != nil {
			return err
		}
	}
	work, done, err := p.compareFolder(f, func(w io.Writer) error { return c.Write(w, parts) }, c.Task.Name)
	if err != nil {
		return usage(err)
	}
	defer work.Close()
	if f.resume != "" { // it may have ended just before the folder was given free
		if done, err := p.ended(f); done || err != nil {
			return err
		}
	}
	if f.plan.Tune {
		return tuneRules(ctx, p, f, c, parts, work, done)
	}
	var settings []compare.Setting
	var locality []compare.Locality
	err = p.follow(ctx, f, "compare", work, done, func(ctx context.Context, notify func(compare.Event)) (err error) {
		if locality, err = compare.Localities(ctx, c, parts, f.onlookers()); err != nil {
			return err
		}
		for _, l := range locality {
			if w := l.Reach.Warning(l.Rule, c.Model.Name, nil); w != "" {
				p.log.Warn(w)
			}
		}
		settings, err = compare.Run(ctx, c, parts, wide, f.planFor(c.Train.Workers), done, notify)
		return err
	})
	if err != nil {
		return err
	}
	env := train.ReadEnvironment(0)
	cpu := env.CPU
	if cpu != "" {
		cpu += ", "
	}
	r := &compare.Result{
		Locality: locality, NotApplicable: f.plan.Left,
		Task: c.Task.Name, Model: c.Model.Name, Seeds: f.plan.Seeds, Command: f.plan.Command, Version: env.Program, Settings: settings,
		Environment: compare.Environment{
			Go: env.Go, OS: env.OS, CPU: cpu + env.Instructions, Cores: env.Maxprocs,
			Precision: c.Train.Precision, Date: time.Now().Format(time.RFC3339),
		},
	}
	if err := writeComparison(work, r, citations(c, parts, f.onlookers())); err != nil {
		return err
	}
	return p.printComparison(r, work.Dir)
}

// ended prints what has come of a comparison or a choice of learning rates that has ended.
func (p *program) ended(f *compareFlags) (bool, error) {
	if f.plan.Tune {
		return p.tuned(f)
	}
	path := filepath.Join(f.resume, train.ResultFile)
	var r compare.Result
	sealed, err := folder.ReadJSON(path, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return false, usagef("%s: expected the result of a comparison: %w; remove the file to have it made again", path, err)
	}
	if !sealed {
		p.warnUnsealed(path)
	}
	return true, p.printComparison(&r, f.resume)
}

// warnUnsealed warns of files of an earlier version.
func (p *program) warnUnsealed(what string) {
	p.log.Warn(what + ": no checksum, as of an earlier version: that it is as it was written is not known")
}

// follow shows how far trials have come, and keeps those that have ended in the folder.
func (p *program) follow(ctx context.Context, f *compareFlags, what string, work *folder.Folder, done []compare.Trial, run func(context.Context, func(compare.Event)) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	m := p.meter(what)
	m.say(what, "rules", strings.Join(f.plan.Rules, ","), "trials_done", len(done), "run", work.Dir)
	files := []string{planName, train.ConfigFile, train.EnvironmentFile}
	for i := range done {
		files = append(files, f.trialFile(&done[i]))
	}
	share := map[string]float64{} // how much of a trial is done
	noted := map[string]bool{}
	err := run(ctx, func(e compare.Event) {
		if e.Note != "" {
			if !noted[e.Note] {
				m.warn(e.Note)
			}
			noted[e.Note] = true
			return
		}
		key := trialName(e.Setting, e.Rule, e.Seed)
		delete(share, key)
		if e.Trial == nil && e.Epochs > 0 {
			share[key] = float64(e.Epoch) / float64(e.Epochs)
		}
		partly := 0.0
		for _, s := range share {
			partly += s
		}
		m.at(int(100*(float64(e.Done)+partly)), 100*e.Trials)
		m.note(fmt.Sprintf("%d/%d trials  %s", e.Done, e.Trials, key))
		if e.Trial == nil {
			return
		}
		m.say("trial", "done", fmt.Sprintf("%d/%d", e.Done, e.Trials), "setting", e.Setting, "rule", e.Rule, "seed", e.Seed, "learning_rate", e.Trial.LearningRate,
			"accuracy", short(train.Number(e.Trial.TestAccuracy)), "loss", short(train.Number(e.Trial.TestLoss)))
		file := f.trialFile(e.Trial)
		if err := work.WriteJSON(file, e.Trial); err != nil {
			stop(err)
			return
		}
		files = append(files, file)
	})
	m.end()
	if err == nil {
		err = work.Demand(files...)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return fmt.Errorf("%w; the trials that have ended are saved; continue with: %s compare --resume %s", err, p.name, work.Dir)
}

// onlookers are the rules that look on: those compared, and those that do nothing else.
func (f *compareFlags) onlookers() []string { return slices.Concat(f.plan.Rules, f.plan.Passive) }

func (f *compareFlags) planFor(workers int) compare.Plan {
	looks := f.plan.Looks
	if looks == 0 {
		looks = -1
	}
	return compare.Plan{Rules: f.plan.Rules, Settings: f.plan.Settings, Seeds: f.plan.Seeds, Every: f.plan.Every, LR: f.plan.LR, Rates: f.plan.Rates, Workers: workers,
		RatesTuned: f.plan.Source == compare.RateTuned, TuneCommand: f.plan.Advice,
		Looks: looks, LookBatches: f.plan.Batches, Onlookers: f.onlookers()}
}

// overridden refuses options that compare decides itself.
func overridden[T deq.Float](c train.Config[T]) error {
	plain := train.Settings{Seed: 1, Trained: "all"}
	var errs []error
	refuse := func(differs bool, key, instead string) {
		if differs {
			errs = append(errs, fmt.Errorf("%s: compare sets it: %s", key, instead))
		}
	}
	refuse(c.Train.Seed != plain.Seed, "train.seed", "use --seeds")
	refuse(c.Train.Trained != plain.Trained, "train.trained", "use --settings")
	refuse(c.Train.Holdout, "train.holdout", "leave it out")
	return errors.Join(errs...)
}

// allRules stands for every rule of the catalogue that can train the model.
const allRules = "all"

// resolve puts names in place of "all" in the plan. Of all rules those that cannot train the
// model on the task are left out; one that was asked for by name must be able to.
func (f *compareFlags) resolve(known interface{ Names() []string }, applicable func([]string) ([]string, []compare.NotApplicable, error)) error {
	for _, list := range []struct {
		flag  string
		names *[]string
		all   *bool
	}{{"rules", &f.plan.Rules, &f.plan.All}, {"passive", &f.plan.Passive, &f.plan.AllLook}} {
		names := *list.names
		if len(names) == 0 {
			continue
		}
		all := slices.Contains(names, allRules)
		if all {
			if len(names) > 1 {
				return fmt.Errorf("--%s: expected %s alone or a list of rules, found both", list.flag, allRules)
			}
			names, *list.all = known.Names(), true
		}
		for _, name := range names {
			if !slices.Contains(known.Names(), name) {
				return fmt.Errorf("--%s: %w", list.flag, catalog.Unknown("rule", name, known.Names()))
			}
		}
		yes, no, err := applicable(names)
		if err != nil {
			return err
		}
		if len(no) > 0 && (!all || len(yes) == 0) {
			return no[0].Err()
		}
		*list.names = yes
		if len(no) > 0 {
			f.plan.Left = no
		}
	}
	f.plan.Passive = slices.DeleteFunc(f.plan.Passive, func(name string) bool { return slices.Contains(f.plan.Rules, name) })
	return nil
}

// savedConfig takes the configuration from the plan that is continued, and demands that
// config.yaml is that, where it is there.
func (f *compareFlags) savedConfig(plan planFile) error {
	path := filepath.Join(f.resume, train.ConfigFile)
	text, err := atomicfile.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && plan.Config != "":
		f.config.saved = []byte(plan.Config)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--resume: %s is not the folder of a run: it has no %s", f.resume, train.ConfigFile)
	case err != nil:
		return err
	case plan.Config != "" && plan.Config != string(text):
		return fmt.Errorf("%s is not as it was written: remove it to have it made again", path)
	default:
		f.config.saved = text
	}
	return nil
}

// sameConfig refuses another configuration than that of the folder that is continued.
func sameConfig[T deq.Float](f *compareFlags, c train.Config[T], parts train.Parts[T]) error {
	path := filepath.Join(f.resume, train.ConfigFile)
	old, err := read(&configFlags{saved: f.config.saved}, parts, path)
	if err != nil {
		return err
	}
	if d := train.Differences(old, c); len(d) > 0 {
		return &train.ConfigurationError{Source: path, Differences: d}
	}
	return nil
}

// compareFolder claims the folder of a comparison, new or with the trials in it.
func (p *program) compareFolder(f *compareFlags, config func(io.Writer) error, task string) (work *folder.Folder, done []compare.Trial, err error) {
	var text strings.Builder
	if err := config(&text); err != nil {
		return nil, nil, err
	}
	what := "compare-"
	if f.plan.Tune {
		what = "tune-"
	}
	switch {
	case f.resume != "":
		work, err = folder.Open(f.resume)
		if err == nil {
			done, err = p.continueTrials(f, work)
		}
	case f.out != "":
		f.plan.Config = text.String()
		work, err = folder.Claim(f.out, f.suits)
	default:
		f.plan.Config = text.String()
		work, err = folder.Fresh(train.DefaultFolder(what + task))
	}
	if err == nil {
		err = f.begin(work)
	}
	if err != nil {
		if work != nil {
			work.Close()
		}
		return nil, nil, err
	}
	work.Keep()
	return work, done, nil
}

// begin writes what is not there of a comparison's files. A kill leaves the first few of them, from
// which it is begun again: the plan says all.
func (f *compareFlags) begin(work *folder.Folder) error {
	var err error
	missing := func(name string) bool {
		_, none := os.Lstat(work.Path(name))
		return err == nil && errors.Is(none, fs.ErrNotExist)
	}
	if missing(planName) {
		err = work.WriteJSON(planName, f.plan)
	}
	if missing(train.ConfigFile) {
		err = work.Write(train.ConfigFile, func(w io.Writer) error {
			_, err := io.WriteString(w, f.plan.Config)
			return err
		})
	}
	if missing(train.EnvironmentFile) {
		err = work.WriteJSON(train.EnvironmentFile, train.ReadEnvironment(0))
	}
	return errors.Join(err, work.Mkdir(trialsName))
}

// suits refuses a folder with files in it, but for the beginning of this very comparison.
func (f *compareFlags) suits(files []string) error {
	if len(files) == 0 {
		return nil
	}
	beginning := slices.Contains(files, planName)
	for _, name := range files {
		beginning = beginning && slices.Contains([]string{planName, train.ConfigFile, train.EnvironmentFile, trialsName}, name)
	}
	var old planFile
	if beginning {
		_, err := folder.ReadJSON(filepath.Join(f.out, planName), &old)
		trials, _ := folder.Files(filepath.Join(f.out, trialsName))
		beginning = err == nil && len(trials) == 0 && old.same(f.plan)
	}
	if !beginning {
		return train.Occupied(f.out, files)
	}
	return nil
}

// trialFile is the file of a trial.
func (f *compareFlags) trialFile(t *compare.Trial) string {
	name := trialName(t.Setting, t.Rule, t.Seed)
	if f.plan.Tune {
		name = fmt.Sprintf("%s-lr%g", name, t.LearningRate)
	}
	return filepath.Join(trialsName, name+".json")
}

func trialName(setting, rule string, seed uint64) string {
	return fmt.Sprintf("%s-%s-s%d", setting, rule, seed)
}

// continueTrials reads the trials that have ended, and warns of what has changed since.
func (p *program) continueTrials(f *compareFlags, work *folder.Folder) ([]compare.Trial, error) {
	dir := work.Path(trialsName)
	if err := atomicfile.NoLink(dir); err != nil {
		return nil, err
	}
	trials, unsealed, err := f.readTrials(dir)
	if err != nil {
		return nil, err
	}
	if unsealed > 0 {
		p.warnUnsealed(fmt.Sprintf("%s: %d of %d trials", dir, unsealed, len(trials)))
	}
	if _, err := os.Lstat(work.Path(train.EnvironmentFile)); len(trials) > 0 || err == nil {
		for _, w := range train.ChangesSince(work.Path(train.EnvironmentFile), "comparison") {
			p.log.Warn(w)
		}
	}
	return trials, nil
}

// readTrials reads the trials in a folder, of which so many have no checksum.
func (f *compareFlags) readTrials(dir string) (trials []compare.Trial, unsealed int, err error) {
	names, err := folder.Files(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	for _, name := range names {
		if filepath.Ext(name) != ".json" {
			continue
		}
		var t compare.Trial
		sealed, err := folder.ReadJSON(filepath.Join(dir, name), &t)
		if err == nil {
			err = t.Check()
		}
		if err == nil && filepath.Base(f.trialFile(&t)) != name {
			err = fmt.Errorf("found that of %s", f.trialFile(&t))
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: expected a trial: %w; remove the file to have the trial run again", filepath.Join(dir, name), err)
		}
		if !sealed {
			unsealed++
		}
		trials = append(trials, t)
	}
	return trials, unsealed, nil
}

// writeComparison writes report, figures and, last, the result.
func writeComparison(work *folder.Folder, r *compare.Result, cites []compare.Citation) error {
	err := work.Write(reportName, func(w io.Writer) error { return compare.WriteReport(w, r, cites) })
	if err != nil {
		return err
	}
	files := []string{reportName, train.ResultFile}
	for _, f := range figures(r) {
		names := figure.Files(f.Name)
		if err := work.Make(func() error { return figure.Save(work.Dir, f.Name, f.Figure) }, names...); err != nil {
			return err
		}
		files = append(files, names...)
	}
	if err := work.WriteJSON(train.ResultFile, r); err != nil {
		return err
	}
	return work.Demand(files...)
}

// figures joins the figures of one name of all settings.
func figures(r *compare.Result) []compare.NamedFigure {
	var out []compare.NamedFigure
	for i := range r.Settings {
		s := &r.Settings[i]
		for _, f := range compare.Figures(r, s) {
			for k := range f.Figure.Panels {
				if len(r.Settings) > 1 {
					f.Figure.Panels[k].Title = strings.Join(slices.DeleteFunc([]string{s.Name, f.Figure.Panels[k].Title}, func(s string) bool { return s == "" }), ": ")
				}
			}
			k := slices.IndexFunc(out, func(o compare.NamedFigure) bool { return o.Name == f.Name })
			if k < 0 {
				if len(r.Settings) > 1 && f.Figure.Cols == 0 {
					f.Figure.Cols = max(2, len(f.Figure.Panels))
				}
				out = append(out, f)
				continue
			}
			out[k].Figure.Panels = append(out[k].Figure.Panels, f.Figure.Panels...)
			out[k].Figure.Alt += " " + f.Figure.Alt
		}
	}
	return out
}

// citations are the sources of what was compared.
func citations[T deq.Float](c train.Config[T], parts train.Parts[T], names []string) []compare.Citation {
	var out []compare.Citation
	for _, name := range names {
		out = append(out, cite(parts.Rules, name)...)
	}
	out = append(out, cite(parts.Models, c.Model.Name)...)
	out = append(out, cite(parts.Tasks, c.Task.Name)...)
	out = append(out, cite(parts.Solvers, c.Solver.Name)...)
	return append(out, cite(parts.Optimizers, c.Optimizer.Name)...)
}

func cite[P any](cat *catalog.Catalog[P], name string) []compare.Citation {
	e, err := cat.Lookup(name)
	if err != nil || len(e.Refs) == 0 {
		return nil
	}
	return []compare.Citation{{Name: name, Refs: e.Refs}}
}

// printComparison prints a result, and is an error where trials ended as no solve of an epoch converged.
func (p *program) printComparison(r *compare.Result, dir string) error {
	if err := p.showComparison(r, dir); err != nil {
		return err
	}
	all, failed, first := 0, 0, ""
	for _, s := range r.Settings {
		for _, row := range s.Rules {
			for _, t := range row.Trials {
				if all++; t.Unsolved {
					if failed++; first == "" {
						first = fmt.Sprintf("%s: %s", trialName(t.Setting, t.Rule, t.Seed), t.Error)
					}
				}
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d trials have failed: %s", failed, all, first)
	}
	return nil
}

// showComparison prints a result for people, or as JSON.
func (p *program) showComparison(r *compare.Result, dir string) error {
	for _, s := range r.Settings {
		for _, row := range s.Rules {
			if doubt := row.Doubt(); doubt != "" {
				p.log.Warn(fmt.Sprintf("%s, %s: %s", s.Name, row.Rule, doubt))
			}
		}
	}
	if p.json {
		return p.printJSON(r)
	}
	color := isTerminal(p.stdout) && os.Getenv("NO_COLOR") == ""
	for _, s := range r.Settings {
		if err := compare.WriteTable(p.stdout, s, color); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "\n%s\n\n", wrap(s.Doc, ""))
		for _, f := range s.Findings {
			fmt.Fprintln(p.stdout, wrap("- "+f, "  "))
		}
		fmt.Fprintln(p.stdout)
	}
	if err := compare.WriteLocality(p.stdout, r); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout)
	for _, n := range r.NotApplicable {
		fmt.Fprintln(p.stdout, wrap(fmt.Sprintf("%s: not applicable: %s", n.Rule, n.Reason), "  "))
	}
	if len(r.NotApplicable) > 0 {
		fmt.Fprintln(p.stdout)
	}
	for _, s := range r.Settings {
		for _, write := range []func(io.Writer, compare.Setting) error{compare.WriteContrasts, compare.WriteAlignment} {
			var b bytes.Buffer
			if err := write(&b, s); err != nil {
				return err
			}
			if b.Len() > 0 {
				fmt.Fprintln(p.stdout, b.String())
			}
		}
	}
	for _, s := range r.Settings {
		if s.TuneCommand != "" && slices.ContainsFunc(s.Rules, func(r compare.Row) bool { return r.RateSource != "" && !r.RateTuned }) {
			fmt.Fprintf(p.stdout, "tune    %s\n", s.TuneCommand)
			break
		}
	}
	fmt.Fprintf(p.stdout, "run     %s\nreport  %s\n", dir, filepath.Join(dir, reportName))
	return nil
}

// wrap breaks a text into lines of at most 100 characters, of which all but the first begin
// with indent.
func wrap(text, indent string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > 100:
			b.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// commandLine is a command as one types it.
func commandLine(name string, args []string) string {
	words := []string{name}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
