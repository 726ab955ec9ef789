package cli

import (
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
	"attractor/internal/catalog"
	"attractor/internal/quote"
	"attractor/models"
	"attractor/solvers"
	"attractor/train"
)

// solveFlags are the flags of solve.
type solveFlags struct {
	solver, activation, precision string
	rtol, atol                    float64
	maxEvals                      int
	strict                        bool
}

// solveResult is the output of solve --json.
type solveResult struct {
	File       string        `json:"file"`
	Solver     string        `json:"solver"`
	Activation string        `json:"activation"`
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
z ← φ(Wz + Ux + b) where it is below 1.

FILE is .npz (numpy.savez) or .safetensors with the arrays

    W   [n, n]
    b   [n]                optional
    U   [n, inputs]        optional
    x   [samples, inputs]  optional; without it there is one sample, without input
    z0  [samples, n]       optional initial states, or [n] for all samples; default 0
    m   [n, loops]         optional feedback loops, with n [loops, n]: W + mn in place of W

or a vanilla nn.RNN of PyTorch as safetensors.torch.save_file(module.state_dict(), FILE) writes it,
of floats of 16 to 64 bits, integers or booleans. Arrays of other names are ignored; GRUs, LSTMs, several
layers and two directions are refused. Samples are solved each by itself. One that does not converge is no
error: its status says max_evals, stalled, diverged or non_finite, its z is the best that was
found, and the exit code is 0, or with --strict 1. Nothing is written but the output.`,
		Example: fmt.Sprintf(`  %[1]s solve network.npz
  %[1]s solve network.npz --solver newton --activation relu --rtol 1e-10 --json`, p.name),
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
			net, err := loadNetwork(args[0])
			if err != nil {
				return usage(err)
			}
			net.warn(p.log)
			if net.hasU && !net.hasX {
				p.log.Warn("there is U but no x: solving one sample without input", "file", net.path)
			}
			var r *solveResult
			if f.precision == "float32" {
				r, err = solveNetwork(cmd.Context(), net, f, p.parts32.Solvers)
			} else {
				r, err = solveNetwork(cmd.Context(), net, f, p.parts64.Solvers)
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
	}
	return nil
}

// solveNetwork solves the samples of a network in one number type.
func solveNetwork[T deq.Float](ctx context.Context, net *network, f solveFlags, methods *catalog.Catalog[solvers.Method[T]]) (*solveResult, error) {
	method, err := methods.Lookup(f.solver)
	if err != nil {
		return nil, usagef("--solver: %w", err)
	}
	with := deq.Solver[T]{Method: method.Value, Settings: solvers.Settings{RTol: f.rtol, ATol: f.atol, MaxEvals: f.maxEvals}}
	one, err := solvers.New(with.Method, 1, net.units, with.Settings)
	var bad *solvers.SettingError
	if errors.As(err, &bad) {
		flag := map[string]string{"RTol": "rtol", "ATol": "atol", "MaxEvals": "max-evals"}[bad.Field]
		return nil, usagef("--%s: expected %s, found %v", flag, bad.Expected, bad.Found)
	}
	if err != nil {
		return nil, usagef("%s: %w", f.solver, err)
	}
	l, x, z0, err := compile[T](net, f.activation)
	if err != nil {
		return nil, usage(err)
	}
	e, err := l.Solve(ctx, x, z0, with)
	if err != nil {
		return nil, err
	}
	r := &solveResult{
		File: net.path, Solver: f.solver, Activation: f.activation, Precision: f.precision, Units: net.units,
		RTol: one.Settings().RTol, MaxEvals: one.Settings().MaxEvals, Radius: train.Number(math.NaN()),
	}
	for b, s := range e.Report.Status {
		sample := solveSample{
			Status: s.String(), Evals: e.Report.Evals[b], Residual: train.Number(e.Report.Residual[b]), Radius: train.Number(math.NaN()),
		}
		if s != solvers.Converged && e.Report.Breakdown[b] != 0 {
			sample.Reason = e.Report.Breakdown[b].String()
		}
		for _, z := range e.Z[b*net.units : (b+1)*net.units] {
			sample.Z = append(sample.Z, train.Number(z))
		}
		r.Samples = append(r.Samples, sample)
	}
	return r, addRadii(ctx, r, l, x, e)
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
	fmt.Fprintf(p.stdout, "%s: %d units, %s, by %s in %s to rtol %g\n\n", quote.Path(r.File), r.Units, r.Activation, r.Solver, r.Precision, r.RTol)
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
		fmt.Fprintf(p.stdout, "; largest spectral radius of the Jacobian %.6g: %s under z ← φ(Wz + Ux + b)", float64(r.Radius), verdict)
	}
	_, err := fmt.Fprintln(p.stdout)
	return err
}
