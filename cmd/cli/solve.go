package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/budget"
	"attractor/internal/catalog"
	"attractor/internal/config"
	"attractor/internal/kernels"
	"attractor/internal/quote"
	"attractor/models"
	"attractor/solvers"
	"attractor/train"
)

// solveFlags are the flags of solve.
type solveFlags struct {
	solver, activation, precision string
	rtol, atol                    float64
	maxEvals, stall               int
	set                           configFlags
	input                         []float64
	strict                        bool

	changed func(flag string) bool
}

// solveResult is the output of solve --json.
type solveResult struct {
	File       string        `json:"file"`
	Solver     string        `json:"solver"`
	Model      string        `json:"model,omitempty"`      // of a run
	Activation string        `json:"activation,omitempty"` // of a network of one's own
	Precision  string        `json:"precision"`
	Units      int           `json:"units"`
	RTol       float64       `json:"rtol"`
	MaxEvals   int           `json:"max_evals"`
	Samples    []solveSample `json:"samples"`
	Converged  int           `json:"converged"` // how many samples
	// Radius is the largest spectral radius of ∂f/∂z at the fixed points that were found; null
	// without any.
	Radius train.Number `json:"spectral_radius"`
}

type solveSample struct {
	Status   string         `json:"status"`
	Reason   string         `json:"reason,omitempty"` // why the method gave up
	Remedy   string         `json:"remedy,omitempty"` // what may help
	Evals    int            `json:"evals"`
	Residual train.Number   `json:"residual"` // ‖f(z) − z‖/‖f(z)‖
	Z        []train.Number `json:"z"`        // the best iterate where the sample has not converged
	Radius   train.Number   `json:"spectral_radius"`
}

func (p *program) solveCommand() *cobra.Command {
	f := solveFlags{}
	cmd := &cobra.Command{
		Use:   "solve FILE",
		Short: "find the fixed points of a network of your own",
		Long: `Solve finds the fixed points z = φ(Wz + Ux + b) of the network in FILE by a solver of your
choice, and the spectral radius of the Jacobian there: a fixed point is stable under
z ← φ(Wz + Ux + b) where it is below 1. At a kink of relu, where there is no Jacobian, it is the factor by which
perturbations grow most.

FILE is .npz (numpy.savez) or .safetensors with the arrays

    W   [n, n]
    b   [n]                optional
    U   [n, inputs]        optional
    x   [samples, inputs]  optional; without it there is one sample, without input
    z0  [samples, n]       optional initial states, or [n] for all samples; default 0
    m   [n, loops]         optional feedback loops, with n [loops, n]: W + mn in place of W

or a vanilla nn.RNN of PyTorch as safetensors.torch.save_file(module.state_dict(), FILE) writes it,
of floats of 16 to 64 bits, integers or booleans. Arrays of other names are ignored; GRUs, LSTMs, several
layers and two directions are refused. Or FILE is a run folder of train or its checkpoint.safetensors, of any
model, which is solved for the input of --input from the state 0.

Samples are solved each by itself. One that does not converge is no error: its status says max_evals, stalled,
diverged or non_finite, its z is the best that was found, and the exit code is 0, or with --strict 1. Every
option of the solver can be given by --set KEY=VALUE, as in the section solver of a configuration; where
there is a flag for it too, the flag counts. Nothing is written but the output.`,
		Example: fmt.Sprintf(`  %[1]s solve network.npz
  %[1]s solve network.npz --solver newton --activation relu --rtol 1e-10 --json
  %[1]s solve network.npz --solver anderson --set window=20 --stall -1
  %[1]s solve runs/digits-implicit-s1`, p.name),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("expected one FILE, found %d; see %s --help", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd.Flags()); err != nil {
				return usage(err)
			}
			f.changed = cmd.Flags().Changed
			var r *solveResult
			var err error
			if f.precision == "float32" {
				r, err = solveFile(cmd.Context(), p, args[0], f, p.parts32)
			} else {
				r, err = solveFile(cmd.Context(), p, args[0], f, p.parts64)
			}
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w; nothing is kept of a solve", errInterrupted)
			}
			if err != nil {
				return err
			}
			if err := p.printSolve(r); err != nil {
				return err
			}
			if failed := len(r.Samples) - r.Converged; f.strict && failed > 0 {
				return fmt.Errorf("%d of %d samples did not converge", failed, len(r.Samples))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.solver, "solver", "auto", "how the fixed point is found: a `NAME` of the solvers in the list")
	flags.StringVar(&f.activation, "activation", "tanh", "φ: `NAME` is "+strings.Join(models.Activations, ", "))
	flags.Float64Var(&f.rtol, "rtol", 0, "largest ‖f(z) − z‖/‖f(z)‖ (default 1e-8 in float64, 1e-4 in float32)")
	flags.Float64Var(&f.atol, "atol", 0, "with it a sample has converged at ‖f(z) − z‖ ≤ atol + rtol·‖f(z)‖ (default 0)")
	flags.IntVar(&f.maxEvals, "max-evals", 0, "evaluations that a sample may spend (default 200; for newton 20·(n + 1) where that is more)")
	flags.IntVar(&f.stall, "stall", 0, "evaluations without progress after which a sample has stalled; negative: never (default 50)")
	flags.Var(setFlag{&f.set, "", ""}, "set", "an option of the solver, as `KEY=VALUE`; may be repeated")
	flags.Float64SliceVar(&f.input, "input", nil, "constant input of a run, a `LIST` of numbers with commas, one for each (default 0)")
	flags.Lookup("input").DefValue = ""
	flags.StringVar(&f.precision, "precision", "float64", "number `TYPE`: float32 or float64")
	flags.BoolVar(&f.strict, "strict", false, "exit with code 1 when a sample does not converge")
	p.jsonFlag(cmd)
	must(cmd.RegisterFlagCompletionFunc("solver", p.completeParts("solver")))
	must(cmd.RegisterFlagCompletionFunc("activation", cobra.FixedCompletions(models.Activations, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("precision", cobra.FixedCompletions([]string{"float32", "float64"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"npz", "safetensors"}, cobra.ShellCompDirectiveFilterFileExt)
	return cmd
}

// check checks what does not depend on the number type.
func (f solveFlags) check(flags *pflag.FlagSet) error {
	precisions := []string{"float32", "float64"}
	switch {
	case !slices.Contains(precisions, f.precision):
		return fmt.Errorf("--precision: %w", catalog.Unknown("precision", f.precision, precisions))
	case !slices.Contains(models.Activations, f.activation):
		return fmt.Errorf("--activation: %w", catalog.Unknown("activation", f.activation, models.Activations))
	case flags.Changed("rtol") && !(f.rtol > 0):
		return fmt.Errorf("--rtol: expected a positive number, found %g", f.rtol)
	case !(f.atol >= 0) || math.IsInf(f.atol, 0):
		return fmt.Errorf("--atol: expected a finite number of at least 0, found %g", f.atol)
	case flags.Changed("max-evals") && f.maxEvals < 1:
		return fmt.Errorf("--max-evals: expected at least 1, found %d", f.maxEvals)
	case f.maxEvals > 1e9:
		return atMost("max-evals", f.maxEvals, 1e9, "no solve takes more evaluations")
	case flags.Changed("stall") && f.stall == 0:
		return errors.New("--stall: expected a number of evaluations, or a negative one for never, found 0")
	case !kernels.AllFinite(f.input):
		return fmt.Errorf("--input: expected finite numbers, found %g", f.input)
	}
	return nil
}

// chosenSolver is the solver that the flags choose, with its options.
func chosenSolver[T deq.Float](f solveFlags, methods *catalog.Catalog[solvers.Method[T]]) (name string, with deq.Solver[T], err error) {
	method, err := methods.Lookup(f.solver)
	if err != nil {
		return "", with, usagef("--solver: %w", err)
	}
	var sets []string
	limited := f.changed("max-evals")
	for _, set := range f.set.sets {
		key, _, _ := strings.Cut(set, "=")
		if key != "solver" && !strings.Contains(key, ".") {
			set = "solver." + set
		}
		limited = limited || strings.TrimPrefix(key, "solver.") == "max_evals"
		sets = append(sets, set)
	}
	choice := config.Chosen[solvers.Method[T]]{Name: f.solver, Value: method.Value}
	section := config.Choice("solver", "how the fixed point is found", methods, &choice, &with.Settings)
	if err := config.Read("defaults", nil, sets, section); err != nil {
		return "", with, usage(err)
	}
	if with.Method = choice.Value; with.Settings.History {
		return "", with, usagef("--set history=true: solve shows no residuals but the last: leave it out")
	}
	if f.changed("rtol") {
		with.Settings.RTol = f.rtol
	}
	if f.changed("atol") {
		with.Settings.ATol = f.atol
	}
	if f.changed("max-evals") || !limited { // 0 is the solver's own default
		with.Settings.MaxEvals = f.maxEvals
	}
	if f.changed("stall") {
		with.Settings.Stall = f.stall
	}
	return choice.Name, with, nil
}

// given names the option of a setting as it was given.
func (f solveFlags) given(bad *solvers.SettingError) string {
	flag := map[string]string{"RTol": "rtol", "ATol": "atol", "MaxEvals": "max-evals"}[bad.Field]
	if flag != "" && (f.changed(flag) || len(f.set.sets) == 0) {
		return "--" + flag
	}
	return "--set solver." + cmp.Or(strings.ReplaceAll(flag, "-", "_"), strings.ToLower(bad.Field))
}

// solveFile solves a network of one's own, or that of a run.
func solveFile[T deq.Float](ctx context.Context, p *program, path string, f solveFlags, parts train.Parts[T]) (*solveResult, error) {
	name, with, err := chosenSolver(f, parts.Solvers)
	if err != nil {
		return nil, err
	}
	r := &solveResult{File: path, Solver: name, Precision: f.precision}
	if !train.IsCheckpoint(path) {
		if f.input != nil {
			return nil, usagef("--input is for a run: the inputs of a network of your own are its array \"x\"")
		}
		net, err := loadNetwork(path)
		if err != nil {
			return nil, usage(err)
		}
		net.warn(p.log)
		if net.hasU && !net.hasX {
			p.log.Warn("there is U but no x: solving one sample without input", "file", net.path)
		}
		r.Activation = f.activation
		l, x, z0, err := compile[T](net, f.activation)
		if err != nil {
			return nil, usage(err)
		}
		return r, solveLayer(ctx, r, l, x, z0, with, f)
	}
	if f.changed("activation") {
		return nil, usagef("--activation is for a network of your own: %s has a model with its own", quote.Path(path))
	}
	l, model, err := train.ReadNetwork(path, parts, deq.Config{Batch: 1})
	if err != nil {
		return nil, usage(err)
	}
	r.Model = model
	if f.input != nil && len(f.input) != l.Inputs {
		return nil, usagef("--input: expected %d numbers for %s, found %d", l.Inputs, quote.Path(path), len(f.input))
	}
	x := make([]T, l.Inputs)
	for i, v := range f.input {
		if x[i] = T(v); math.IsInf(float64(x[i]), 0) {
			return nil, usagef("--input: %g is beyond the range of %T", v, x[i])
		}
	}
	return r, solveLayer(ctx, r, l, x, nil, with, f)
}

// solveLayer solves the samples and fills in the result.
func solveLayer[T deq.Float](ctx context.Context, r *solveResult, l *deq.Layer[T], x, z0 []T, with deq.Solver[T], f solveFlags) error {
	one, err := solvers.New(with.Method, 1, l.Units, with.Settings)
	var bad *solvers.SettingError
	if errors.As(err, &bad) {
		return usagef("%s: expected %s, found %v", f.given(bad), bad.Expected, bad.Found)
	}
	var large *budget.Error
	if errors.As(err, &large) {
		return fmt.Errorf("%s: %w", r.Solver, err)
	}
	if err != nil {
		return usagef("%s: %w", r.Solver, err)
	}
	e, err := l.Solve(ctx, x, z0, with)
	if err != nil {
		return err
	}
	r.Units, r.RTol, r.MaxEvals, r.Radius = l.Units, one.Settings().RTol, one.Settings().MaxEvals, train.Number(math.NaN())
	for b, s := range e.Report.Status {
		sample := solveSample{
			Status: s.String(), Evals: e.Report.Evals[b], Residual: train.Number(e.Report.Residual[b]), Radius: train.Number(math.NaN()),
		}
		if s != solvers.Converged && e.Report.Breakdown[b] != 0 {
			sample.Reason = e.Report.Breakdown[b].String()
		}
		sample.Remedy = solvers.Remedy(s, e.Report.Breakdown[b])
		for _, z := range e.Z[b*l.Units : (b+1)*l.Units] {
			sample.Z = append(sample.Z, train.Number(z))
		}
		r.Samples = append(r.Samples, sample)
	}
	return addRadii(ctx, r, l, x, e)
}

// addRadii adds the spectral radii at the fixed points that were found.
func addRadii[T deq.Float](ctx context.Context, r *solveResult, l *deq.Layer[T], x []T, e *deq.Equilibrium[T]) error {
	var rows []int
	var xs, zs []T
	for b, s := range e.Report.Status {
		if s == solvers.Converged {
			rows = append(rows, b)
			xs = append(xs, x[b*l.Inputs:(b+1)*l.Inputs]...)
			zs = append(zs, e.Z[b*l.Units:(b+1)*l.Units]...)
		}
	}
	r.Converged = len(rows)
	if len(rows) == 0 {
		return nil
	}
	found, err := l.At(xs, zs)
	if err != nil {
		return err
	}
	radii, err := stability.SpectralRadius(ctx, found)
	if err != nil {
		return err
	}
	for i, b := range rows {
		factor, kinks, err := stability.OnKinks(ctx, found, i)
		if err != nil {
			return err
		}
		if kinks > 0 {
			radii[i] = factor
		}
		r.Samples[b].Radius = train.Number(radii[i])
	}
	r.Radius = train.Number(slices.Max(radii))
	return nil
}

// printSolve prints the result.
func (p *program) printSolve(r *solveResult) error {
	if p.json {
		return p.printJSON(r)
	}
	fmt.Fprintf(p.stdout, "%s: %d units, %s, by %s in %s to rtol %g\n\n", quote.Path(r.File), r.Units, cmp.Or(r.Activation, r.Model), r.Solver, r.Precision, r.RTol)
	const most, entries = 20, 4
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "sample\tstatus\tevals\tresidual\tradius\t‖z‖\tz\t\n")
	for b, s := range r.Samples[:min(most, len(r.Samples))] {
		norm, z := 0.0, []string{}
		for i, v := range s.Z {
			norm = math.Hypot(norm, float64(v))
			if i < entries {
				z = append(z, short(v))
			}
		}
		if len(s.Z) > entries {
			z = append(z, "…")
		}
		status, radius := s.Status, "-"
		if s.Reason != "" {
			status += " (" + s.Reason + ")"
		}
		if s.Status == solvers.Converged.String() {
			radius = short(s.Radius)
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%.2g\t%s\t%.4g\t%s\t\n", b, status, s.Evals, float64(s.Residual), radius, norm, strings.Join(z, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := len(r.Samples) - most; more > 0 {
		fmt.Fprintf(p.stdout, "… and %d more: all are in the output of --json\n", more)
	}
	fmt.Fprintf(p.stdout, "\n%d of %d converged", r.Converged, len(r.Samples))
	if r.Converged > 0 {
		verdict := "stable"
		if float64(r.Radius) >= 1 {
			verdict = "not all stable"
		}
		cell := "φ(Wz + Ux + b)"
		if r.Model != "" {
			cell = "f(z)"
		}
		fmt.Fprintf(p.stdout, "; largest spectral radius of the Jacobian %.6g: %s under z ← %s", float64(r.Radius), verdict, cell)
	}
	told := map[string]bool{}
	for _, s := range r.Samples {
		if line := s.Status + ": " + s.Remedy; s.Remedy != "" && !told[line] {
			fmt.Fprintf(p.stdout, "\n%s", line)
			told[line] = true
		}
	}
	_, err := fmt.Fprintln(p.stdout)
	return err
}
