// Package cli is the program attractor as a function, so that a program of one's own can
// list a model, a solver, a rule or a task beside ours and get every command for it:
//
//	func parts[T deq.Float]() train.Parts[T] {
//		p := train.Ours[T]()
//		p.Models = p.Models.With(models.Entry{Name: "mine", Doc: "my cell", Value: Mine{}})
//		return p
//	}
//
//	func main() { cli.Main(parts[float32](), parts[float64]()) }
//
// Results go to the standard output, progress and messages to the standard error. With
// --json the standard output is one JSON object. The exit code is 0 when the work is done,
// 1 when it failed or does not fit in memory, 2 for a wrong command line or configuration, 3 when it was interrupted
// and its state saved, and 4 when a check does not hold.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"attractor/internal/budget"
	"attractor/internal/catalog"
	"attractor/internal/datasets"
	"attractor/internal/folder"
	"attractor/internal/kernels"
	"attractor/internal/options"
	"attractor/internal/quote"
	"attractor/train"
)

// Main runs the program with the arguments of the process and ends it with its exit code.
// The two lists hold the same parts, one for each number type.
func Main(parts32 train.Parts[float32], parts64 train.Parts[float64]) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as by nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	budget.Observe()
	p := &program{
		name:    strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"),
		parts32: parts32, parts64: parts64, stdout: os.Stdout, stderr: os.Stderr,
	}
	context.AfterFunc(ctx, func() {
		stop() // the second signal ends the process at once
		p.interrupt()
	})
	os.Exit(p.run(ctx, os.Args[1:]))
}

// patience is how long a command may take to end by itself after an interrupt.
const patience = 1500 * time.Millisecond

// interrupt ends the process if the command does not end by itself, as in the middle of one
// long computation. One that saves a state that would be lost may take its time.
func (p *program) interrupt() {
	time.Sleep(patience)
	if p.saving.Load() {
		fmt.Fprintf(p.stderr, "%s: interrupted: the step that was begun is ended and the state saved; a second Ctrl-C stops at once\n", p.name)
		return
	}
	p.mu.Lock() // and never gives it back
	if p.release != nil {
		released := make(chan struct{})
		go func() {
			p.release()
			close(released)
		}()
		select {
		case <-released:
		case <-time.After(patience / 5): // a file is being written; what is left is as after a kill
		}
	}
	fmt.Fprintf(p.stderr, "%s: %v\n", p.name, errInterrupted)
	os.Exit(exitInterrupted)
}

// atEnd has release called if the process is ended by an interrupt.
func (p *program) atEnd(release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release = release
}

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 3
	exitCheck       = 4
)

// program is one run of the program.
type program struct {
	name           string
	args           []string
	parts32        train.Parts[float32]
	parts64        train.Parts[float64]
	stdout, stderr io.Writer
	data           []datasets.Set // nil for the known ones

	quiet, json bool
	log         *slog.Logger

	saving  atomic.Bool // a state is kept that an interrupt must save
	mu      sync.Mutex
	release func() // what gives free and takes away what must not stay
}

// run executes a command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	p.args = args
	p.log = slog.New(slog.NewTextHandler(p.stderr, nil))
	out := &output{w: p.stdout}
	p.stdout = out
	root := p.root()
	root.SetArgs(args)
	cmd, err := execute(ctx, root)
	if err == nil && out.err != nil {
		err = fmt.Errorf("the standard output could not be written: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	code := codeOf(err)
	if unknown := p.unknownCommand(cmd, err); unknown != nil {
		code, err = exitUsage, unknown
	}
	fmt.Fprintf(p.stderr, "%s: %s\n", p.name, quote.Text(err.Error())) // with names from files and servers
	return code
}

// codeOf is the exit code of an error. What the machine does not give, memory, space or permission, is no fault of
// the command line or configuration that asks for it, which may go elsewhere.
func codeOf(err error) int {
	var usage *usageError
	var memory *budget.Error
	switch {
	case errors.As(err, &memory), errors.Is(err, fs.ErrPermission):
		return exitFailed
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE):
		return exitFailed
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errCheck):
		return exitCheck
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	return exitFailed
}

// execute runs the command. A panic, a fault of the program that no input should bring about, becomes
// an error; where it happened is told if GOTRACEBACK asks for it.
func execute(ctx context.Context, root *cobra.Command) (cmd *cobra.Command, err error) {
	defer func() {
		if r := recover(); r != nil {
			where := "set GOTRACEBACK=all to see where"
			if os.Getenv("GOTRACEBACK") != "" {
				where = string(debug.Stack())
			}
			cmd, err = root, fmt.Errorf("a fault of the program: %v; %s", r, where)
		}
	}()
	return root.ExecuteContextC(ctx)
}

// output is a writer that remembers the first error, so that no command can forget it.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(b)
	o.err = err
	return n, err
}

func (p *program) root() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   p.name,
		Short: "train recurrent and deep-equilibrium networks by different learning rules, and compare them",
		Long: `Attractor trains recurrent and deep-equilibrium networks at their fixed points and
through time, by back-propagation and by local learning rules, on the same cell, and shows
why one rule learns where another does not.

Begin with "` + p.name + ` compare". A name from "` + p.name + ` list" is explained by "` + p.name + ` help NAME".`,
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if p.quiet {
				p.log = slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			}
			if cmd.Name() == "doctor" { // which says what is wrong with the kernels among other things
				return finiteFlags(cmd)
			}
			return errors.Join(usage(kernels.StartError()), finiteFlags(cmd))
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().BoolVarP(&p.quiet, "quiet", "q", false, "no progress and no messages but warnings")
	root.SetFlagErrorFunc(p.flagError)
	root.AddCommand(p.compareCommand(), p.trainCommand(), p.reproduceCommand(), p.gradcheckCommand(), p.gradientCommand(), p.solveCommand(), p.analyzeCommand(), p.meanfieldCommand(), p.explainCommand(), p.benchCommand(),
		p.dataCommand(), p.listCommand(), p.citeCommand(), p.doctorCommand(), p.versionCommand())
	root.SetHelpCommand(p.helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
		if c.Name() == "completion" {
			c.Short = "print the completion script for a shell"
			c.Args, c.RunE = cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	plainFlags(root)
	print := root.UsageFunc()
	root.SetUsageFunc(func(c *cobra.Command) error { // pflag adds to each switch what it can be set to
		w := c.OutOrStdout()
		var b strings.Builder
		c.SetOut(&b)
		defer c.SetOut(w)
		if err := print(c); err != nil {
			return err
		}
		const noise = "[=true|false]"
		_, err := io.WriteString(w, strings.ReplaceAll(b.String(), noise, strings.Repeat(" ", len(noise))))
		return err
	})
	return root
}

// usageError is a wrong command line or configuration.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// atMost refuses a flag whose value is above the largest that makes sense.
func atMost(flag string, value, most int, why string) error {
	if value > most {
		return usagef("--%s: expected an integer of at most %d (%s), found %d", flag, most, why, value)
	}
	return nil
}

var (
	errCheck       = errors.New("the check does not hold")
	errInterrupted = errors.New("interrupted")
)

// plainFlags has the numbers and switches among the flags of all commands written as those of a
// configuration are: 010 is no number, and TRUE no truth value.
func plainFlags(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if _, done := f.Value.(plainValue); !done && strings.Contains("int uint64 float64 float64Slice bool", f.Value.Type()) {
				f.Value = plainValue{f.Value}
			}
		})
	}
	for _, c := range cmd.Commands() {
		plainFlags(c)
	}
}

// plainValue is the value of a flag of numbers or a switch.
type plainValue struct{ pflag.Value }

func (v plainValue) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if err := options.Plain(strings.TrimSpace(part), v.Type() == "bool"); err != nil {
			return err
		}
	}
	err := v.Value.Set(text)
	var bad *strconv.NumError
	if !errors.As(err, &bad) {
		return err
	}
	expected, found := "a number", "nothing"
	if v.Type() == "bool" {
		expected = "true or false"
	}
	if bad.Num != "" {
		found = quote.Name(bad.Num)
	}
	if errors.Is(err, strconv.ErrRange) {
		found += ", which is too large"
	}
	return fmt.Errorf("expected %s, found %s", expected, found)
}

// finiteFlags refuses numbers among the flags that are NaN or infinite.
func finiteFlags(cmd *cobra.Command) error {
	var bad error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		var numbers []float64
		switch f.Value.Type() {
		case "float64":
			x, _ := cmd.Flags().GetFloat64(f.Name)
			numbers = []float64{x}
		case "float64Slice":
			numbers, _ = cmd.Flags().GetFloat64Slice(f.Name)
		}
		for _, x := range numbers {
			if err := options.Finite(x); err != nil && bad == nil {
				bad = usagef("--%s: %w; see %s --help", f.Name, err, cmd.CommandPath())
			}
		}
	})
	return bad
}

// flagError adds to an unknown flag the nearest one that the command has.
func (p *program) flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	dashes := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	hint := "see " + cmd.CommandPath() + " --help"
	if near := catalog.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean --%s?", near)
	}
	return usagef("unknown flag %s%s of %s (%s)", dashes, name, cmd.CommandPath(), hint)
}

// unknownCommand says what was probably meant, if err is cobra's about a command.
func (p *program) unknownCommand(cmd *cobra.Command, err error) error {
	var name string
	if n, _ := fmt.Sscanf(err.Error(), "unknown command %q", &name); n != 1 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return fmt.Errorf("unexpected argument %q: %s takes none", name, cmd.CommandPath())
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			known = append(known, c.Name())
		}
	}
	return fmt.Errorf("%w; see %s --help", catalog.Unknown("command", name, known), cmd.CommandPath())
}

// claimFigures claims the folder for figures, if one is asked for, so that those of two commands do
// not take each other's places. release gives it free.
func (p *program) claimFigures(dir string) (release func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	work, err := folder.Use(dir)
	if err != nil {
		return nil, usagef("--out: %w", err)
	}
	p.atEnd(work.Close)
	return work.Close, nil
}

// jsonFlag gives a command --json.
func (p *program) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.json, "json", false, "print one JSON object")
}

func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// isTerminal reports whether someone is looking at w.
func isTerminal(w io.Writer) bool {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
