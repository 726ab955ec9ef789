package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/catalog"
	"attractor/internal/figure"
	"attractor/internal/quote"
	"attractor/models"
	"attractor/train"
)

// analyzeFlags are the flags of analyze.
type analyzeFlags struct {
	activation, dynamics, out       string
	lyapunov, steps, starts, basins int
	sample                          int
	input                           []float64
	tol, unique, slow, noise        float64
	effort                          float64
	drive                           string
	seed                            uint64
}

// analyzeResult is the output of analyze --json.
type analyzeResult struct {
	File     string `json:"file"`
	Model    string `json:"model"` // or the activation of a network of one's own
	Units    int    `json:"units"`
	Dynamics string `json:"dynamics"`

	FixedPoints []analyzedPoint `json:"fixed_points"` // those nearest to 0 first
	// IndexSum is 1 for a cell with a bounded activation if all fixed points were found; null where some have no index.
	IndexSum train.Number `json:"index_sum"`
	NoIndex  int          `json:"without_index"` // fixed points
	// Radius is the largest spectral radius of ∂f/∂z at the fixed points; null without any.
	Radius     train.Number   `json:"spectral_radius"`
	Lyapunov   []train.Number `json:"lyapunov"` // nats per step of the map, or per unit of time
	LyapunovSE []train.Number `json:"lyapunov_stderr"`
	// LyapunovLost is how many of them are -inf, as J is singular.
	LyapunovLost int `json:"lyapunov_lost"`
	// KaplanYorke is the dimension from them, null where more of them are needed or none were measured, and its range
	// within two standard errors.
	KaplanYorke      train.Number    `json:"kaplan_yorke"`
	KaplanYorkeRange [2]train.Number `json:"kaplan_yorke_range"`
	// Neutral says that the largest exponent is 0 up to its error, and the dimension that of 0.
	Neutral   bool           `json:"kaplan_yorke_neutral"`
	Drive     *analyzedDrive `json:"drive"`     // of the exponents; null for the constant input
	Leak      float64        `json:"leak"`      // α of the cell, 1 of one without
	Basins    int            `json:"basins"`    // random states that were let run
	Elsewhere int            `json:"elsewhere"` // of them that settled at no fixed point
	Gone      int            `json:"unbounded"` // of these that left all bounds
	// Unsettled of the random states have come to no cycle either: chaos, quasi-periodic or too slow.
	Unsettled int `json:"unsettled"`
	// Stopped of the random states were still on their way when the evaluations that they are allowed were spent, and are on no
	// cycle known; they count as unsettled.
	Stopped int `json:"stopped"`
	// Notes say what was not done, or less than was asked for, and why.
	Notes   []string        `json:"notes"`
	Cycles  []analyzedCycle `json:"cycles"`
	Edges   []analyzedEdge  `json:"edges"` // from unstable points, along each unstable direction; null beyond MaxDense units
	Loops   *analyzedLoops  `json:"loops"` // null for a network without feedback loops
	Figures []string        `json:"figures"`

	net   *deq.Layer[float64]
	x     []float64
	loops *feedbackLoops
	found []stability.FixedPoint
	edges []float64 // of the bulk, by fixed point

	indices int // the sum of those that there are
	// bounds says which exponents are upper bounds.
	bounds []bool
}

type analyzedPoint struct {
	Norm        train.Number    `json:"z_norm"`
	Error       train.Number    `json:"z_error"` // bound of ‖z − z*‖; null where it is not known
	Q           train.Number    `json:"q"`       // ½‖f(z) − z‖²
	Status      string          `json:"status"`
	Unstable    train.Number    `json:"n_unstable"` // null where not all eigenvalues beyond the border are known
	Marginal    int             `json:"n_marginal"`
	Kinks       int             `json:"n_kinks"`         // of the cell that it is on: see stability.FixedPoint
	Gap         train.Number    `json:"border_distance"` // of the eigenvalue nearest to the border of stability, beyond it
	GapError    train.Number    `json:"border_error"`
	Eigenvalues []train.Complex `json:"eigenvalues"`
	Radius      train.Number    `json:"spectral_radius"`
	Bulk        train.Number    `json:"bulk_radius"`
	Outliers    []train.Complex `json:"outliers"`
	Index       train.Number    `json:"index"` // null where there is none or it was not computed
	Basin       int             `json:"basin"` // of the random states that settled here
	Found       int             `json:"found"` // of the states that the search began at
	Z           []train.Number  `json:"z"`

	Continuum *analyzedContinuum `json:"continuum"` // null for a point
}

// analyzedContinuum is a connected set of fixed points.
type analyzedContinuum struct {
	Dimension   int              `json:"dimension"`
	Extent      train.Number     `json:"extent"` // "inf" where it has no end
	Unbounded   bool             `json:"unbounded"`
	Closed      bool             `json:"closed"`
	Points      [][]train.Number `json:"points"`      // a few
	Neutrality  train.Number     `json:"neutrality"`  // largest distance of the eigenvalues along it from the border
	Transversal train.Number     `json:"transversal"` // largest |λ| or Re λ of the others; null where there are none
	Attracting  bool             `json:"attracting"`
}

type analyzedEdge struct {
	From  int  `json:"from"`
	Mode  int  `json:"mode"`
	Sign  int  `json:"sign"`
	To    int  `json:"to"`    // −1: at no fixed point
	Cycle *int `json:"cycle"` // of the list of cycles, null where it leads to none
	// Stopped says that it was not followed to its end, or not at all, as the evaluations that are allowed were spent, and leads to
	// no cycle known.
	Stopped bool `json:"stopped"`
}

// analyzedCycle is a periodic orbit.
type analyzedCycle struct {
	Status      string          `json:"status"`           // stable, marginal, saddle or unclear
	Period      train.Number    `json:"period"`           // in steps, or units of time
	Size        train.Number    `json:"size"`             // largest ‖z − z′‖ from z of its states
	Multipliers []train.Complex `json:"multipliers"`      // Floquet multipliers; null: not computed
	Error       train.Number    `json:"multiplier_error"` // of the one nearest to the unit circle
	Family      bool            `json:"family"`           // one of many beside each other
	Basin       int             `json:"basin"`            // of the random states that are on it
	Z           []train.Number  `json:"z"`
	ZError      train.Number    `json:"z_error"`
}

func (p *program) analyzeCommand() *cobra.Command {
	f := analyzeFlags{}
	cmd := &cobra.Command{
		Use:   "analyze FILE",
		Short: "fixed points, spectra, Lyapunov exponents and basins of a trained network or of your own",
		Long: `Analyze searches for the fixed points of a network, tells stable ones from saddles by the
eigenvalues of the Jacobian J = ∂f/∂z there, lets random states run to see where they
settle, follows the unstable directions of the saddles, and measures the Lyapunov exponents.

FILE is a run folder of train or its checkpoint.safetensors, of any model; or a network
of your own in an .npz (numpy.savez) or .safetensors file with the arrays

    W   [n, n]
    b   [n]                optional
    U   [n, inputs]        optional
    x   [samples, inputs]  optional; see --sample
    z0  [samples, n]       optional states to begin the search at
    m   [n, loops]         optional feedback loops, with n [loops, n]: W + mn in place of W

for the map z ← φ(Wz + Ux + b), or with --dynamics rate for dz/dt = −z + φ(Wz + Ux + b). A vanilla
nn.RNN of PyTorch is read as it is, from safetensors.torch.save_file(module.state_dict(), FILE). The
input is constant: that of --input, or the row --sample of x, or 0. From Python, and back:

    import json, numpy, subprocess
    W = 1.5 * numpy.random.default_rng(1).normal(size=(50, 50)) / 50**0.5
    numpy.savez("network.npz", W=W, b=numpy.zeros(50))
    out = subprocess.check_output(["` + p.name + `", "analyze", "network.npz", "--json"])
    points = [numpy.array(q["z"]) for q in json.loads(out)["fixed_points"]]

A point is marginal where an eigenvalue is on the border of stability, |λ| = 1 or with rate dynamics
Re λ = 1, up to its error (border_distance ± border_error, estimated from the eigenvalue's condition, the
residual of its vector and how far the position is unsure, z_error): the linear dynamics do not decide
there. A line, ring or plane of fixed points is one object of the status continuum: it has a dimension,
its extent ("inf": without end as far as it was followed), a few points, the neutrality along it and the largest |λ| or Re λ
across it. --slow lists slow points too.

Random states that settle at no fixed point are let run on until they come back to where they were:
cycles have a period, in steps or units of time, Floquet multipliers (null: not computed), a state z, and the
number of random states on them; a cycle with a multiplier on the unit circle is marginal, and of a
family if there are others beside it. unbounded counts states that leave all bounds, unsettled those that
come to nothing: chaos, quasi-periodic or too slow.

Rate dynamics are integrated by the method of Dormand and Prince, with steps of their own for each state and a local
error of 1e-5 of its norm, of 1e-7 for exponents, whose stated errors contain what its two orders differ by. f is the cell as it
is: one with the leak α has dz/dt = −z + f(z) = α(−z + F(z)), its time counted in steps of the trained map, and as a
map it is that step of Euler's method, dt = ατ.

Where rates are very different, rate dynamics are stiff: random states and edges then go by the implicit method SDIRK4 as soon as that takes
fewer evaluations for the same error, and the exponents at a point of rest are those of its Jacobian. The evaluations are
bounded: those of exponents by 1000 for a unit of time, those of a state by 10,000 and 20 to 200 for a unit of time, by the number of states and units. What is
stopped or left out for that is said in notes, with the rates, what is allowed and what it would take; --effort allows more.

At a point on kinks of the cell, such as the rest state of a relu network without biases, there is no Jacobian: it is
stable if the one-sided derivative, followed along many directions, comes back from all of them; n_kinks counts them.

Exponents are of one input, that of --input or x, or driven by --drive and --noise. Those that are -inf, as text also in
JSON, are lost: J is singular, and lyapunov_lost counts them. The Kaplan–Yorke dimension needs one exponent more than add up to 0;
where the first is 0 within two of its errors it is that of 0, as along a cycle (kaplan_yorke_neutral).

A search cannot prove that it found all. With a bounded activation the indices of all fixed points,
the signs of det(I − J), add up to 1: index_sum tells when some are missing. Marginal points and
continua have no index (null), and then there is no sum: without_index counts them. Beyond 1024 units
the eigenvalues are the leading ones; what they do not tell is null: n_unstable, index, z_error, edges. Of a network with feedback
loops, m and n or the model feedback, the overlaps and angles of n, m and the input I are told, and where
it settles from x = z₀m + I: random states do not reveal every attractor. With --out it
also draws the state space in its two leading principal components, and the spectra with the disc of
their bulk.`,
		Example: fmt.Sprintf(`  %[1]s analyze network.npz --out figures
  %[1]s analyze runs/digits-implicit-s1 --lyapunov 10 --json
  %[1]s analyze network.npz --dynamics rate --activation relu
  %[1]s analyze network.npz --lyapunov 20 --noise 0.5`, p.name),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("expected one FILE, found %d; see %s --help", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage(err)
			}
			release, err := p.claimFigures(f.out)
			if err != nil {
				return err
			}
			defer release()
			r, starts, err := p.readAnalyzed(args[0], f, cmd.Flags().Changed("activation"))
			if err != nil {
				return usage(err)
			}
			if err := r.readDrive(f); err != nil {
				return usage(err)
			}
			r.Leak = r.net.LeakRate()
			err = p.analyze(cmd.Context(), r, starts, f)
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w; nothing is kept of an analysis", errInterrupted)
			}
			if err != nil {
				return err
			}
			return p.printAnalysis(r)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.activation, "activation", "tanh", "φ of a network of your own: `NAME` is "+strings.Join(models.Activations, ", "))
	flags.StringVar(&f.dynamics, "dynamics", "map", "`KIND` of dynamics: map, z ← f(z), or rate, dz/dt = −z + f(z)")
	flags.IntVar(&f.lyapunov, "lyapunov", 1, "Lyapunov exponents to be measured, the `K` largest, at most there are units; 0 is none")
	flags.IntVar(&f.steps, "steps", 20000, "steps over which they are averaged, after 1000 of warm-up from a random state; with rate dynamics of 0.1 units of time; at most 1e9")
	flags.IntVar(&f.starts, "starts", 32, "random trajectories whose states the search for fixed points begins at")
	flags.IntVar(&f.basins, "basins", 200, "random states that are let run to where they settle")
	flags.Float64Var(&f.slow, "slow", 0, "list slow points too: minima of q = ½‖f(z) − z‖² that are no fixed points, up to this `Q`; 0 is none")
	flags.Float64Var(&f.tol, "tol", 1e-10, "largest ‖f(z) − z‖, relative to ‖z‖ + √n, `R`, from which a fixed point is refined to rounding")
	flags.Float64Var(&f.unique, "unique", 0, "root mean square difference `D` of units below which two points are one; 0 is as far as their positions are known, and 0.001 for slow points")
	flags.IntVar(&f.sample, "sample", 0, "which row of x is the input, from 0")
	flags.Float64SliceVar(&f.input, "input", nil, "constant input, a `LIST` of numbers with commas, one for each")
	flags.Lookup("input").DefValue = ""
	flags.StringVar(&f.drive, "drive", "", "`FILE` with an array x [steps, inputs] that drives the network while its exponents are measured, over and over again: a row a step, or with rate dynamics 0.1 units of time")
	flags.Float64Var(&f.noise, "noise", 0, "standard deviation `SD` of noise that is added to each input at each such step, drawn from --seed")
	flags.Float64Var(&f.effort, "effort", 1, "factor `F` of the evaluations of the network that are allowed with rate dynamics, for random states, unstable directions, cycles and exponents")
	flags.Uint64Var(&f.seed, "seed", 0, "seed of everything random")
	flags.StringVar(&f.out, "out", "", "`DIR` for the figures")
	p.jsonFlag(cmd)
	must(cmd.RegisterFlagCompletionFunc("activation", cobra.FixedCompletions(models.Activations, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("dynamics", cobra.FixedCompletions([]string{"map", "rate"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.ValidArgsFunction = cobra.FixedCompletions([]string{"npz", "safetensors"}, cobra.ShellCompDirectiveFilterFileExt)
	return cmd
}

func (f analyzeFlags) check() error {
	kinds := []string{"map", "rate"}
	switch {
	case !slices.Contains(kinds, f.dynamics):
		return fmt.Errorf("--dynamics: %w", catalog.Unknown("dynamics", f.dynamics, kinds))
	case !slices.Contains(models.Activations, f.activation):
		return fmt.Errorf("--activation: %w", catalog.Unknown("activation", f.activation, models.Activations))
	case f.starts > mostStates || f.basins > mostStates:
		return fmt.Errorf("--starts and --basins: expected at most %d, which take a small network about a day, found %d and %d", mostStates, f.starts, f.basins)
	case f.lyapunov < 0 || f.starts < 1 || f.basins < 0 || f.sample < 0:
		return fmt.Errorf("--lyapunov, --starts, --basins and --sample: expected at least 0, 1, 0 and 0, found %d, %d, %d and %d", f.lyapunov, f.starts, f.basins, f.sample)
	case !(f.tol > 0 && f.tol < 1):
		return fmt.Errorf("--tol: expected a number above 0 and below 1, found %g", f.tol)
	case !(f.effort > 0) || math.IsInf(f.effort, 1):
		return fmt.Errorf("--effort: expected a positive number, found %g", f.effort)
	case !(f.unique >= 0) || math.IsInf(f.unique, 1) || !(f.slow >= 0) || math.IsInf(f.slow, 1):
		return fmt.Errorf("--unique and --slow: expected numbers from 0 on, found %g and %g", f.unique, f.slow)
	case f.steps < 20 || f.steps > stability.MaxSteps-1000:
		return fmt.Errorf("--steps: expected from 20 to %d, which take the smallest network about an hour, found %d", stability.MaxSteps-1000, f.steps)
	}
	return f.checkDrive()
}

// mostStates is how many random states are let run at most.
const mostStates = 1_000_000

// analyzeBatch is how many states are looked at together.
const analyzeBatch = 64

// readAnalyzed reads what is to be analysed, with states to begin at.
func (p *program) readAnalyzed(path string, f analyzeFlags, activation bool) (*analyzeResult, []float64, error) {
	r := &analyzeResult{
		File: path, Model: f.activation, Dynamics: f.dynamics, FixedPoints: []analyzedPoint{}, Radius: train.Number(math.NaN()),
		KaplanYorke: train.Number(math.NaN()), KaplanYorkeRange: [2]train.Number{train.Number(math.NaN()), train.Number(math.NaN())},
		Lyapunov: []train.Number{}, LyapunovSE: []train.Number{}, Edges: []analyzedEdge{}, Cycles: []analyzedCycle{}, Figures: []string{}, Notes: []string{},
	}
	compiled := deq.Config{Batch: analyzeBatch, Shard: analyzeBatch / 2}
	if train.IsCheckpoint(path) {
		var err error
		if r.net, r.Model, err = train.ReadNetwork(path, p.parts64, compiled); err != nil {
			return nil, nil, err
		}
		if activation {
			return nil, nil, fmt.Errorf("--activation is for a network of your own: %s has a model with its own", path)
		}
		if f.sample > 0 {
			return nil, nil, fmt.Errorf("--sample is for a network of your own with x: see --input for the input of %s", path)
		}
		r.Units, r.x = r.net.Units, make([]float64, r.net.Inputs)
		if err := r.takeInput(f); err != nil {
			return nil, nil, err
		}
		r.loops = r.loopsOf()
		return r, nil, nil
	}
	net, err := loadNetwork(path)
	if err != nil {
		return nil, nil, err
	}
	net.warn(p.log)
	if f.sample >= net.samples {
		return nil, nil, fmt.Errorf("--sample: expected one from 0 to %d, of the rows of x in %s, found %d", net.samples-1, path, f.sample)
	}
	if net.hasU && !net.hasX && f.input == nil {
		p.log.Warn("there is U but no x and no --input: the input is 0", "file", net.path)
	}
	if net.samples > 1 && f.input == nil {
		p.log.Info("the input is one row of x", "sample", f.sample, "rows", net.samples)
	}
	net.samples = max(net.samples, analyzeBatch) // the batch that it is compiled for
	var x, z0 []float64
	if r.net, x, z0, err = compile[float64](net, f.activation); err != nil {
		return nil, nil, err
	}
	if f.noise != 0 && !net.hasU {
		return nil, nil, fmt.Errorf("--noise: %s has no array \"U\" by which it would come in", path)
	}
	if f.drive != "" && !net.hasU {
		return nil, nil, fmt.Errorf("--drive: %s has no array \"U\" for it", path)
	}
	r.Units, r.x = net.units, x[f.sample*net.inputs:(f.sample+1)*net.inputs]
	if f.input != nil && !net.hasU {
		return nil, nil, fmt.Errorf("--input: %s has no array \"U\" for it", path)
	}
	if err := r.takeInput(f); err != nil {
		return nil, nil, err
	}
	r.loops = net.feedback(r.x, f.activation)
	return r, z0, nil
}

// takeInput sets the input to that of the flag, if there is one.
func (r *analyzeResult) takeInput(f analyzeFlags) error {
	if f.input == nil {
		return nil
	}
	if len(f.input) != r.net.Inputs {
		return fmt.Errorf("--input: expected %d numbers for %s, found %d", r.net.Inputs, r.File, len(f.input))
	}
	r.x = f.input
	return nil
}

// analyze fills in the result.
func (p *program) analyze(ctx context.Context, r *analyzeResult, starts []float64, f analyzeFlags) (err error) {
	l := r.net
	if err := r.checkCounts(f); err != nil {
		return err
	}
	r.found, err = stability.FixedPoints(ctx, l, r.x, starts, stability.Finder{
		Dynamics: f.dynamics, Trajectories: f.starts, Seed: f.seed, Tol: f.tol, Unique: f.unique, Slow: f.slow,
	})
	if err != nil {
		return err
	}
	settle := stability.Basins{Dynamics: f.dynamics, Effort: f.effort}
	ends, err := stability.Run(ctx, l, r.x, stability.RandomStates(l, f.basins, 1, f.seed), r.found, settle)
	if err != nil {
		return err
	}
	r.Basins = f.basins
	basin := make([]int, len(r.found))
	var wandering []float64 // states that are at no fixed point: of the random ones, then of the edges
	var stopped []bool      // of the random ones
	for i, e := range ends.At {
		switch {
		case e != stability.Nowhere:
			basin[e]++
		case ends.Gone[i]:
			r.Gone++
			r.Elsewhere++
		default:
			r.Elsewhere++
			wandering = append(wandering, ends.Last[i*l.Units:(i+1)*l.Units]...)
			stopped = append(stopped, ends.Stopped[i])
		}
	}
	for i, point := range r.found {
		out := analyzedPoint{
			Error: train.Number(point.Error), Q: train.Number(point.Q), Status: point.Status, Basin: basin[i], Found: point.Found,
			Unstable: train.Number(point.Unstable), Marginal: point.Marginal, Kinks: point.Kinks, Gap: train.Number(point.Gap), GapError: train.Number(point.GapError),
			Index: train.Number(point.Index), Eigenvalues: complexes(point.Values), Continuum: continuumOf(point),
		}
		if !point.Complete {
			out.Unstable = train.Number(math.NaN())
		}
		if point.Index == 0 {
			out.Index = train.Number(math.NaN())
		}
		norm := 0.0
		for _, z := range point.Z {
			norm = math.Hypot(norm, z)
			out.Z = append(out.Z, train.Number(z))
		}
		out.Norm = train.Number(norm)
		radius := 0.0
		for _, v := range point.Values {
			radius = max(radius, math.Hypot(real(v), imag(v)))
		}
		here, err := l.At(r.x, point.Z)
		if err != nil {
			return err
		}
		var bulk, edge float64
		if point.Kinks > 0 { // there is no Jacobian
			if bulk, edge = math.NaN(), math.NaN(); r.Dynamics == "map" {
				radius = 1 + point.Gap // by how much perturbations grow
			}
		} else if r.Units <= stability.MaxDense {
			j, err := stability.Jacobian(ctx, here, 0)
			if err != nil {
				return err
			}
			bulk, edge, err = stability.BulkRadius(j, point.Values)
			if err != nil {
				return err
			}
		} else if bulk, edge, err = stability.BulkRadiusAt(ctx, here, 0, point.Values); err != nil {
			return err
		}
		var outliers []complex128
		if edge == edge {
			_, outliers = stability.Split(point.Values, edge)
		}
		out.Bulk, out.Outliers = train.Number(bulk), complexes(outliers)
		out.Radius = train.Number(radius)
		if !(float64(r.Radius) >= radius) {
			r.Radius = out.Radius
		}
		if r.IndexSum += train.Number(point.Index); point.Index == 0 && point.Status != stability.Slow {
			r.NoIndex++
		}
		r.FixedPoints, r.edges = append(r.FixedPoints, out), append(r.edges, edge)
	}
	indices := r.IndexSum // of those that have one
	if r.NoIndex > 0 {
		r.IndexSum = train.Number(math.NaN())
	}
	r.indices = int(indices)
	if err := r.analyzeLoops(ctx, settle); err != nil {
		return err
	}
	var leads []int // edges of the last of the wandering states
	var cut error   // of edges that were stopped
	if r.Units <= stability.MaxDense {
		edges, err := stability.Graph(ctx, l, r.x, r.found, 1e-3, settle)
		if cut = err; edges == nil && err != nil {
			return err
		}
		for _, e := range edges {
			r.Edges = append(r.Edges, analyzedEdge{From: e.From, Mode: e.Mode, Sign: e.Sign, To: e.To, Stopped: e.Stopped})
			if e.To == stability.Nowhere && e.Last != nil {
				leads = append(leads, len(r.Edges)-1)
				wandering = append(wandering, e.Last...)
			}
		}
	} else {
		r.Edges = nil
	}
	if err := r.findCycles(ctx, wandering, stopped, leads, f.effort); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Edges, func(e analyzedEdge) bool { return e.Stopped }) {
		if err := r.note("where unstable directions lead", cut); err != nil {
			return err
		}
	}
	if r.Stopped > 0 {
		if err := r.note("random states", ends.Stiff); err != nil {
			return err
		}
	}
	if f.lyapunov > 0 {
		if err := r.note("exponents", r.measureLyapunov(ctx, f)); errors.Is(err, stability.ErrUnbounded) {
			p.log.Warn("there are no Lyapunov exponents", "reason", err)
		} else if err != nil {
			return err
		}
	}
	if f.out == "" {
		return nil
	}
	return r.draw(ctx, f)
}

// note keeps what an error says of something that was done in part, as rates are too different, and returns any other.
func (r *analyzeResult) note(of string, err error) error {
	stiff := (*stability.StiffError)(nil)
	if !errors.As(err, &stiff) {
		return err
	}
	r.Notes = append(r.Notes, of+": "+stiff.Error())
	return nil
}

// findCycles looks where states go that are at no fixed point: random ones, of which some were stopped, and then the ends of some
// edges.
func (r *analyzeResult) findCycles(ctx context.Context, states []float64, stopped []bool, edges []int, effort float64) error {
	cycles, ends, err := stability.Cycles(ctx, r.net, r.x, states, stability.Cycling{Dynamics: r.Dynamics, Effort: effort})
	if err = r.note("cycles", err); err != nil {
		return err
	}
	for _, c := range cycles {
		var multipliers []train.Complex
		if c.Multipliers != nil {
			multipliers = complexes(c.Multipliers)
		}
		r.Cycles = append(r.Cycles, analyzedCycle{
			Status: c.Status, Period: train.Number(c.Period), Size: train.Number(c.Size), Multipliers: multipliers,
			Error: train.Number(c.MultiplierError), Family: c.Family, Z: numbers(c.Z), ZError: train.Number(c.Error),
		})
	}
	random := len(ends) - len(edges)
	for i, e := range ends {
		switch {
		case i < random && e == stability.Nowhere:
			if r.Unsettled++; stopped[i] {
				r.Stopped++
			}
		case i < random && e == stability.Unbounded:
			r.Gone++
		case i < random:
			r.Cycles[e].Basin++
		case e >= 0:
			edge := &r.Edges[edges[i-random]]
			edge.Cycle, edge.Stopped = &e, false
		}
	}
	return nil
}

func continuumOf(p stability.FixedPoint) *analyzedContinuum {
	c := p.Continuum
	if c == nil {
		return nil
	}
	out := &analyzedContinuum{
		Dimension: c.Dimension, Extent: train.Number(c.Extent), Unbounded: math.IsInf(c.Extent, 1), Closed: c.Closed,
		Neutrality: train.Number(c.Neutrality), Transversal: train.Number(c.Transversal), Attracting: c.Attracting,
	}
	for _, z := range c.Points {
		out.Points = append(out.Points, numbers(z))
	}
	return out
}

func complexes(values []complex128) []train.Complex {
	out := make([]train.Complex, len(values))
	for i, v := range values {
		out[i] = train.Complex(v)
	}
	return out
}

// draw writes the figures.
func (r *analyzeResult) draw(ctx context.Context, f analyzeFlags) error {
	portrait, err := stability.Draw(ctx, r.net, r.x, r.found, 16, 60, f.dynamics, f.seed)
	if err != nil {
		return err
	}
	figures := []struct {
		name string
		figure.Figure
	}{{"phase", phaseFigure(r, portrait)}}
	if len(r.found) > 0 {
		figures = append(figures, struct {
			name string
			figure.Figure
		}{"spectrum", spectrumFigure(r)})
	}
	for _, fig := range figures {
		if err := figure.Save(f.out, fig.name, fig.Figure); err != nil {
			return err
		}
		r.Figures = append(r.Figures, filepath.Join(f.out, fig.name+".png"), filepath.Join(f.out, fig.name+".svg"))
	}
	return nil
}

// printAnalysis prints the result.
func (p *program) printAnalysis(r *analyzeResult) error {
	if p.json {
		return p.printJSON(r)
	}
	law, unit, verdict, border := "z ← f(z)", "step", "|λ| > 1", "|λ|"
	if r.Dynamics == "rate" {
		law, unit, verdict, border = "dz/dt = −z + f(z)", "unit of time", "Re λ > 1", "Re λ"
	}
	fmt.Fprintf(p.stdout, "%s: %d units, %s, %s\n\n", quote.Path(r.File), r.Units, r.Model, law)
	r.discretised(p.stdout)
	if len(r.FixedPoints) == 0 {
		fmt.Fprintln(p.stdout, "no fixed points found")
	} else {
		const most = 30
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "point\tstatus\tunstable\t‖z‖\terror\tq\tradius\tbulk\toutliers\tindex\tbasin\tfound\t\n")
		for i, q := range r.FixedPoints[:min(most, len(r.FixedPoints))] {
			basin := "-"
			if r.attracts(i) && r.Basins > 0 {
				basin = fmt.Sprintf("%.1f %%", 100*float64(q.Basin)/float64(r.Basins))
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%.4g\t%s\t%.1e\t%s\t%s\t%s\t%s\t%s\t%d\t\n", i, q.Status, whole(q.Unstable), float64(q.Norm), roughly(q.Error), float64(q.Q),
				short(q.Radius), short(q.Bulk), outlierList(q.Outliers), whole(q.Index), basin, q.Found)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if more := len(r.FixedPoints) - most; more > 0 {
			fmt.Fprintf(p.stdout, "… and %d more: all are in the output of --json\n", more)
		}
		sum := fmt.Sprintf("the indices add up to %d", r.indices)
		if r.NoIndex > 0 {
			sum = fmt.Sprintf("the sum of the indices is not known: %d of %d fixed points have none (the others add up to %d)", r.NoIndex, r.fixed(), r.indices)
		}
		fmt.Fprintf(p.stdout, "\nunstable: eigenvalues with %s; largest spectral radius %.6g; %s\n", verdict, float64(r.Radius), sum)
		if r.Units > stability.MaxDense {
			fmt.Fprintf(p.stdout, "-: not computed beyond %d units, as where the unstable directions lead\n", stability.MaxDense)
		}
		for i, q := range r.FixedPoints[:min(most, len(r.FixedPoints))] {
			q.describe(p.stdout, i, border)
		}
	}
	if r.Basins > 0 {
		if r.Elsewhere == 0 {
			fmt.Fprintf(p.stdout, "all %d random states settle at these points\n", r.Basins)
		} else {
			fmt.Fprintf(p.stdout, "%d of %d random states settle at no stable fixed point%s\n", r.Elsewhere, r.Basins, r.instead())
		}
	}
	if err := r.printCycles(p.stdout, unit); err != nil {
		return err
	}
	for from := range r.FixedPoints {
		var ways []string
		count := func(where string, leads func(e analyzedEdge) bool) {
			count := 0
			for _, e := range r.Edges {
				if e.From == from && leads(e) {
					count++
				}
			}
			if count > 0 {
				ways = append(ways, fmt.Sprintf("%s in %d", where, count))
			}
		}
		count("to no stable point", func(e analyzedEdge) bool { return e.To == stability.Nowhere && e.Cycle == nil && !e.Stopped })
		count("to where they were not followed", func(e analyzedEdge) bool { return e.Stopped })
		for to := range r.FixedPoints {
			count(fmt.Sprint("to point ", to), func(e analyzedEdge) bool { return e.To == to })
		}
		for to := range r.Cycles {
			count(fmt.Sprint("to cycle ", to), func(e analyzedEdge) bool { return e.Cycle != nil && *e.Cycle == to })
		}
		if len(ways) > 0 && from < 30 {
			fmt.Fprintf(p.stdout, "from point %d the unstable directions lead %s\n", from, strings.Join(ways, ", "))
		}
	}
	if r.Loops != nil {
		if err := r.Loops.print(p.stdout); err != nil {
			return err
		}
	}
	r.printLyapunov(p.stdout, unit)
	for _, note := range r.Notes {
		fmt.Fprintln(p.stdout, "note:", note)
	}
	for _, f := range r.Figures {
		fmt.Fprintln(p.stdout, f)
	}
	return nil
}

// instead says what the states do that settle at no fixed point.
func (r *analyzeResult) instead() string {
	var list []string
	add := func(count int, what string) {
		if count > 0 {
			list = append(list, fmt.Sprintf("%d %s", count, what))
		}
	}
	add(r.Elsewhere-r.Gone-r.Unsettled, "are on cycles")
	add(r.Gone, "leave all bounds")
	add(r.Unsettled, "have not settled: chaos, quasi-periodic or too slow")
	if len(list) == 0 {
		return ""
	}
	return ", of which " + strings.Join(list, ", ")
}

// printCycles writes the cycles.
func (r *analyzeResult) printCycles(to io.Writer, unit string) error {
	if len(r.Cycles) == 0 {
		return nil
	}
	const most = 30
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	if unit == "step" {
		unit = "steps"
	} else {
		unit = "time"
	}
	fmt.Fprintf(w, "\ncycle\tstatus\tperiod (%s)\tsize\tmultipliers\tbasin\t\n", unit)
	for i, c := range r.Cycles[:min(most, len(r.Cycles))] {
		status, basin := c.Status, "-"
		if c.Family {
			status += ", one of a family"
		}
		if r.Basins > 0 {
			basin = fmt.Sprintf("%.1f %%", 100*float64(c.Basin)/float64(r.Basins))
		}
		fmt.Fprintf(w, "%d\t%s\t%.6g\t%.4g\t%s\t%s\t\n", i, status, float64(c.Period), float64(c.Size), outlierList(c.Multipliers), basin)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := len(r.Cycles) - most; more > 0 {
		fmt.Fprintf(to, "… and %d more: all are in the output of --json\n", more)
	}
	return nil
}

// fixed counts what are fixed points.
func (r *analyzeResult) fixed() (count int) {
	for _, q := range r.FixedPoints {
		if q.Status != stability.Slow {
			count++
		}
	}
	return count
}

// attracts says that random states may settle at a point.
func (r *analyzeResult) attracts(i int) bool {
	status := r.FixedPoints[i].Status
	return r.FixedPoints[i].Kinks > 0 && r.FixedPoints[i].Basin > 0 || status == stability.Stable || status == stability.Marginal || status == stability.Extended
}

// describe writes what is special about a point.
func (q analyzedPoint) describe(to io.Writer, i int, border string) {
	switch c := q.Continuum; {
	case q.Kinks > 0:
		growth := fmt.Sprintf("are multiplied by %.6g ± %.1g a step", 1+float64(q.Gap), float64(q.GapError))
		if border != "|λ|" {
			growth = fmt.Sprintf("grow at the rate %.6g ± %.1g", float64(q.Gap), float64(q.GapError))
		}
		fmt.Fprintf(to, "point %d is on %d kinks of the cell: perturbations %s, those that grow most; the eigenvalues are of one of the pieces that meet there\n", i, q.Kinks, growth)
	case c != nil:
		kind, size, across := "continuum", fmt.Sprintf("extent %.4g", float64(c.Extent)), "it does not attract from all sides"
		if c.Closed {
			kind = "closed curve"
		}
		if c.Unbounded {
			size = "without end as far as it was followed"
		}
		if c.Attracting {
			across = "it attracts"
		}
		if math.IsNaN(float64(c.Transversal)) {
			across = "it is all of the space around"
		} else {
			across = fmt.Sprintf("across it %s is at most %.6g: %s", border, float64(c.Transversal), across)
		}
		fmt.Fprintf(to, "point %d is one of a %s of fixed points: dimension %d, %s; along it %s is 1 within %.1g; %s\n",
			i, kind, c.Dimension, size, border, float64(c.Neutrality), across)
	case q.Marginal > 0:
		fmt.Fprintf(to, "point %d has %d eigenvalues on the border of stability within their errors: the nearest has %s − 1 = %.2g ± %.1g\n", i, q.Marginal, border, float64(q.Gap), float64(q.GapError))
	}
}

// whole shows a count that may not be known.
func whole(v train.Number) string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return fmt.Sprint(int(v))
}

// roughly shows an error.
func roughly(v train.Number) string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return fmt.Sprintf("%.0e", float64(v))
}

// outlierList shows a few complex numbers.
func outlierList(values []train.Complex) string {
	if len(values) == 0 {
		return "-"
	}
	var list []string
	for _, v := range values[:min(2, len(values))] {
		text := fmt.Sprintf("%.3g", real(v))
		if imag(v) != 0 {
			text += fmt.Sprintf("%+.2gi", imag(v))
		}
		list = append(list, text)
	}
	if len(values) > 2 {
		list = append(list, "…")
	}
	return strings.Join(list, " ")
}
