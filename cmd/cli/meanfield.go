package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/internal/catalog"
	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train"
)

// meanfieldFlags are the flags of meanfield.
type meanfieldFlags struct {
	vectors   meanfield.Vectors
	direction []float64
	readout   string
	out       string
	alone     bool // there is no loop

	MeanM, MeanI, MeanN float64

	Gain   float64
	Target float64
}

// meanfieldResult is the output of meanfield --json.
type meanfieldResult struct {
	Gain      float64      `json:"g"`
	SigmaM    float64      `json:"sigma_m"`
	SigmaI    float64      `json:"sigma_i"`
	Rho       float64      `json:"rho"`
	MeanM     float64      `json:"mean_m"`
	MeanI     float64      `json:"mean_i"`
	MeanN     float64      `json:"mean_n"`    // as given, of N·n
	Readout   string       `json:"readout"`   // direction, linearised or least-squares; none without a loop
	Direction []float64    `json:"direction"` // p, p_m, p_I as given; null for another readout
	Target    float64      `json:"target"`
	Scale     train.Number `json:"scale"` // what n is multiplied by for z = target; null by least squares
	U         train.Number `json:"u"`     // nᵀm, less what the means have of it
	V         train.Number `json:"v"`     // nᵀI, likewise
	Flex      train.Number `json:"flex"`  // the target without such an n
	Critical  train.Number `json:"critical_gain"`
	Chaotic   bool         `json:"chaotic"` // the state at the target fluctuates

	Solutions []meanfieldSolution `json:"solutions"` // by ascending z
	Figures   []string            `json:"figures"`
}

type meanfieldSolution struct {
	Z        train.Number       `json:"z"`
	Delta    train.Number       `json:"delta"`
	Outliers [2][2]train.Number `json:"outliers"` // real and imaginary parts, the largest real part first
	Radius   train.Number       `json:"radius"`
	Stable   bool               `json:"stable"`
	Slope    train.Number       `json:"slope"` // F′(z)
	Chaotic  bool               `json:"chaotic"`
	DeltaInf train.Number       `json:"delta_inf"`
}

func (p *program) meanfieldCommand() *cobra.Command {
	var f meanfieldFlags
	cmd := &cobra.Command{
		Use:   "meanfield",
		Short: "mean-field theory of a feedback network: its stationary states and their stability",
		Long: `Meanfield finds the stationary states of a large feedback network

    dx/dt = −x + gχφ(x) + m z + I,   z = nᵀφ(x),   φ = tanh

with χ_ij ~ N(0, 1/N), m = σ_m(ρξ + rη_m), I = σ_I(ρξ + rη_I), r = √(1 − ρ²), and
n ∝ pξ + p_m η_m + p_I η_I, where ξ, η_m and η_I have entries from N(0, 1). n is scaled so that
z = target is one of them. All states with |z| up to a million are found by a scan; a state
is stable where the bulk of its spectrum, a disc, and the two outliers are below 1 in real
part. Where the bulk is not, the state fluctuates (is chaotic): Δ is then the variance of x,
and Δ_∞ its covariance over a long time; far beyond the critical gain that takes minutes. --mean-m, --mean-i and --mean-n are added to the entries of
m, I and N·n.

With --readout least-squares n is that which least squares fits to a large network in the open loop, z
held at the target; it depends on χ, and its outliers are known at the target alone. linearised is
n ∝ mA + I, its approximation that is independent of χ.

With --g alone the network has no loop and no input: dx/dt = −x + gχφ(x), which rests at x = 0 up to g = 1 and is
chaotic beyond.

In JSON null stands for what there is not: the direction of another readout, the scale of least squares, the outliers
of a state that is not at the target by least squares, and what a network without a loop has no value of.

With --out it also draws z and the spectrum over the target.`,
		Example: fmt.Sprintf(`  %[1]s meanfield --target -1
  %[1]s meanfield --g 2.5 --rho 0 --direction 0,1,0 --target 1 --json
  %[1]s meanfield --g 1.5
  %[1]s meanfield --target 2 --readout least-squares --out figures`, p.name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type outcome struct {
				*meanfieldResult
				err error
			}
			release, err := p.claimFigures(f.out)
			if err != nil {
				return err
			}
			defer release()
			f.alone = cmd.Flags().Changed("g")
			for _, name := range []string{"sigma-m", "sigma-i", "rho", "direction", "mean-m", "mean-i", "mean-n", "readout", "target"} {
				f.alone = f.alone && !cmd.Flags().Changed(name)
			}
			found := make(chan outcome, 1)
			go func() {
				r, err := f.solve()
				found <- outcome{r, err}
			}()
			select {
			case <-cmd.Context().Done():
				return fmt.Errorf("%w; nothing is kept of a theory", errInterrupted)
			case o := <-found:
				if o.err != nil {
					return o.err
				}
				return p.printMeanfield(o.meanfieldResult)
			}
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.Gain, "g", 0.3, "gain g of the random connectivity; given alone, that of a network without a loop")
	flags.Float64Var(&f.vectors.SigmaM, "sigma-m", 1.2, "standard deviation σ_m of the feedback vector m")
	flags.Float64Var(&f.vectors.SigmaI, "sigma-i", 0.5, "standard deviation σ_I of the input I")
	flags.Float64Var(&f.vectors.Rho, "rho", 0.5, "ρ in [0, 1]: m and I have the correlation ρ²")
	flags.Float64SliceVar(&f.direction, "direction", []float64{1, 1, 0.3}, "direction `p,pm,pi` of the readout n along ξ, η_m and η_I")
	flags.Lookup("direction").DefValue = "1,1,0.3"
	flags.Float64Var(&f.MeanM, "mean-m", 0, "mean of the entries of m")
	flags.Float64Var(&f.MeanI, "mean-i", 0, "mean of the entries of I")
	flags.Float64Var(&f.MeanN, "mean-n", 0, "mean of the entries of N·n, scaled with it")
	flags.StringVar(&f.readout, "readout", "direction", "how n is made: `KIND` is "+strings.Join(meanfieldReadouts, ", "))
	flags.Float64Var(&f.Target, "target", 1, "target `A`: n is scaled so that z = A is a solution")
	flags.StringVar(&f.out, "out", "", "`DIR` for the figure of the states over the target")
	p.jsonFlag(cmd)
	must(cmd.RegisterFlagCompletionFunc("readout", cobra.FixedCompletions(meanfieldReadouts, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// meanfieldLimit is the largest target: states are found up to ten times it.
const meanfieldLimit = 1e5

var meanfieldReadouts = []string{"direction", "linearised", "least-squares"}

// trained returns the solutions of a target's readout, with its statistics; err where there is none.
func (f meanfieldFlags) trained(open *meanfield.Open, target float64) (n meanfield.Readout, solutions []meanfield.Solution, err error) {
	if f.readout == "least-squares" {
		l, err := open.LeastSquares(target)
		if err != nil {
			return n, nil, err
		}
		return l.Readout(), l.Solutions(), nil
	}
	l, err := open.CloseAt(f.shape(open.Network, target), target)
	if err != nil {
		return n, nil, err
	}
	return l.Readout, l.Solutions(), nil
}

// shape is n up to a factor.
func (f meanfieldFlags) shape(n meanfield.Network, target float64) meanfield.Readout {
	if f.readout == "direction" {
		r := f.vectors.Readout(meanfield.Direction{Xi: f.direction[0], EtaM: f.direction[1], EtaI: f.direction[2]})
		r.Mean = f.MeanN
		return r
	}
	return meanfield.Readout{U: n.VarM*target + n.CovMI, V: n.CovMI*target + n.VarI, Mean: n.MeanM*target + n.MeanI}
}

// ranges refuses a number that its flag cannot have.
func (f meanfieldFlags) ranges() error {
	for _, v := range []struct {
		flag          string
		value, lo, hi float64
	}{
		{"g", f.Gain, 0, math.MaxFloat64}, {"sigma-m", f.vectors.SigmaM, 0, math.MaxFloat64}, {"sigma-i", f.vectors.SigmaI, 0, math.MaxFloat64}, {"rho", f.vectors.Rho, 0, 1},
		{"target", f.Target, -math.MaxFloat64, math.MaxFloat64}, {"mean-m", f.MeanM, -math.MaxFloat64, math.MaxFloat64},
		{"mean-i", f.MeanI, -math.MaxFloat64, math.MaxFloat64}, {"mean-n", f.MeanN, -math.MaxFloat64, math.MaxFloat64},
	} {
		if !(v.lo <= v.value && v.value <= v.hi) {
			what := "a finite number"
			switch {
			case v.hi == 1:
				what = "a number from 0 to 1"
			case v.lo == 0:
				what += " of at least 0"
			}
			return usagef("--%s: expected %s, found %g", v.flag, what, v.value)
		}
	}
	return nil
}

// solve computes the result, and draws the figure where one is wanted.
func (f meanfieldFlags) solve() (*meanfieldResult, error) {
	if f.alone {
		return f.withoutLoop()
	}
	if len(f.direction) != 3 {
		return nil, usagef("--direction: expected three numbers p,pm,pi, found %d", len(f.direction))
	}
	if !slices.Contains(meanfieldReadouts, f.readout) {
		return nil, usagef("--readout: %w", catalog.Unknown("readout", f.readout, meanfieldReadouts))
	}
	if math.Abs(f.Target) > meanfieldLimit {
		return nil, usagef("--target: expected at most %g in size, found %g", meanfieldLimit, f.Target)
	}
	if err := f.ranges(); err != nil {
		return nil, err
	}
	for _, v := range f.direction {
		if v-v != 0 {
			return nil, usagef("--direction: expected finite numbers, found %g", v)
		}
	}
	if f.readout != "direction" && f.MeanN != 0 {
		return nil, usagef("--mean-n is for a readout of a direction: the one of %s has its own", f.readout)
	}
	if err := f.vectors.Validate(); err != nil {
		return nil, usage(err)
	}
	network := f.vectors.Network(f.Gain)
	network.MeanM, network.MeanI = f.MeanM, f.MeanI
	open, err := network.Open()
	if err != nil {
		return nil, usage(err)
	}
	n, solutions, err := f.trained(open, f.Target)
	if err != nil {
		return nil, usage(err)
	}
	var direction []float64
	scale, flex := math.NaN(), math.NaN()
	if shape := f.shape(network, f.Target); f.readout != "least-squares" {
		scale = f.Target / shape.Of(open.Clamp(f.Target))
		if f.readout == "direction" {
			direction = f.direction
			if at := shape.Flex(); f.MeanM == 0 && f.MeanI == 0 && f.MeanN == 0 && !math.IsInf(at, 0) {
				flex = at
			}
		}
	}
	r := &meanfieldResult{
		Gain: f.Gain, SigmaM: f.vectors.SigmaM, SigmaI: f.vectors.SigmaI, Rho: f.vectors.Rho, Direction: direction, Target: f.Target,
		MeanM: f.MeanM, MeanI: f.MeanI, MeanN: f.MeanN, Readout: f.readout,
		Scale: train.Number(scale), U: train.Number(n.U), V: train.Number(n.V), Flex: train.Number(flex),
		Critical: train.Number(open.CriticalGain(f.Target)), Chaotic: open.Clamp(f.Target).Chaotic,
		Solutions: []meanfieldSolution{}, Figures: []string{},
	}
	for _, s := range solutions {
		out := meanfieldSolution{
			Z: train.Number(s.Z), Delta: train.Number(s.Delta), Radius: train.Number(s.Radius), Stable: s.Stable,
			Slope: train.Number(s.Slope), Chaotic: s.Chaotic, DeltaInf: train.Number(s.DeltaInf),
		}
		for i, l := range s.Outliers {
			out.Outliers[i] = [2]train.Number{train.Number(real(l)), train.Number(imag(l))}
		}
		r.Solutions = append(r.Solutions, out)
	}
	if f.out == "" {
		return r, nil
	}
	width := max(2, 1.5*max(f.Target, -f.Target))
	steps := 800
	if f.readout == "least-squares" {
		steps = 160
	}
	diagram, err := meanfield.Over(-width, width, steps, func(target float64) ([]meanfield.Solution, error) {
		_, solutions, err := f.trained(open, target)
		if err != nil { // of a target without such a readout
			return nil, nil
		}
		return solutions, nil
	})
	if err != nil {
		return nil, err
	}
	picture := diagram.Figure(max(8, 2*width))
	picture.Title = r.network()
	for i := range picture.Panels {
		picture.Panels[i].Guides = append(picture.Panels[i].Guides, figure.Guide{At: f.Target, Upright: true})
	}
	const name = "meanfield"
	if err := figure.Save(f.out, name, picture); err != nil {
		return nil, err
	}
	r.Figures = append(r.Figures, filepath.Join(f.out, name+".png"), filepath.Join(f.out, name+".svg"))
	return r, nil
}

// withoutLoop is the result for the network alone.
func (f meanfieldFlags) withoutLoop() (*meanfieldResult, error) {
	if f.out != "" {
		return nil, usagef("--out draws the states over the target, and a network without a loop has none: give --target")
	}
	if err := f.ranges(); err != nil {
		return nil, err
	}
	s, err := meanfield.Network{Gain: f.Gain}.Alone()
	if err != nil {
		return nil, usage(err)
	}
	none := train.Number(math.NaN())
	return &meanfieldResult{
		Gain: f.Gain, Readout: "none", Scale: none, U: none, V: none, Flex: none, Critical: 1, Chaotic: s.Chaotic, Figures: []string{},
		Solutions: []meanfieldSolution{{
			Delta: train.Number(s.Delta), DeltaInf: train.Number(s.DeltaInf), Radius: train.Number(s.Radius), Stable: s.Stable, Chaotic: s.Chaotic,
			Slope: none, Outliers: [2][2]train.Number{{none, none}, {none, none}},
		}},
	}, nil
}

// network describes it.
func (r *meanfieldResult) network() string {
	if r.Readout == "none" {
		return fmt.Sprintf("g = %g, no loop", r.Gain)
	}
	text := fmt.Sprintf("g = %g, σ_m = %g, σ_I = %g, ρ = %g, ", r.Gain, r.SigmaM, r.SigmaI, r.Rho)
	if r.MeanM != 0 || r.MeanI != 0 || r.MeanN != 0 {
		text += fmt.Sprintf("means %g of m, %g of I and %g of N·n, ", r.MeanM, r.MeanI, r.MeanN)
	}
	switch r.Readout {
	case "direction":
		return text + fmt.Sprintf("n ∝ %gξ + %gη_m + %gη_I", r.Direction[0], r.Direction[1], r.Direction[2])
	case "linearised":
		return text + "n ∝ mA + I"
	}
	return text + "n by least squares"
}

func (p *program) printMeanfield(r *meanfieldResult) error {
	if p.json {
		return p.printJSON(r)
	}
	if r.Readout == "none" {
		return p.printWithoutLoop(r)
	}
	fmt.Fprintf(p.stdout, "%s for z = %g\n\n", r.network(), r.Target)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "z\tΔ\tΔ_∞\toutliers λ\t\tradius\tF′(z)\tstate\t")
	for _, s := range r.Solutions {
		state := "unstable"
		switch {
		case s.Chaotic:
			state = "chaotic"
		case s.Stable:
			state = "stable"
		}
		fmt.Fprintf(w, "%.6g\t%.6g\t%.6g\t%s\t%s\t%.4f\t%.4f\t%s\t\n", s.Z, s.Delta, s.DeltaInf, complexText(s.Outliers[0]), complexText(s.Outliers[1]), s.Radius, s.Slope, state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.MeanM != 0 || r.MeanI != 0 || r.MeanN != 0 {
		fmt.Fprintf(p.stdout, "\nwithout the means nᵀm = u = %s and nᵀI = v = %s", short(r.U), short(r.V))
	} else {
		fmt.Fprintf(p.stdout, "\nnᵀm = u = %s, nᵀI = v = %s", short(r.U), short(r.V))
	}
	if r.Readout == "direction" {
		fmt.Fprintf(p.stdout, ", n is %s times as long as given", short(r.Scale))
	}
	if f := float64(r.Flex); f-f == 0 {
		fmt.Fprintf(p.stdout, "; there is none for z = %s, the flex", short(r.Flex))
	}
	fmt.Fprintln(p.stdout)
	fmt.Fprintf(p.stdout, "the state at z = %g fluctuates above the gain %s\n", r.Target, short(r.Critical))
	for _, f := range r.Figures {
		fmt.Fprintf(p.stdout, "figure  %s\n", f)
	}
	return nil
}

func complexText(l [2]train.Number) string {
	if math.IsNaN(float64(l[0])) { // not known
		return "-"
	}
	if l[1] == 0 {
		return fmt.Sprintf("%.4f", l[0])
	}
	return fmt.Sprintf("%.4f%+.4fi", l[0], l[1])
}

func (p *program) printWithoutLoop(r *meanfieldResult) error {
	s := r.Solutions[0]
	state := "x = 0 is on the border of stability"
	switch {
	case s.Chaotic:
		state = fmt.Sprintf("chaotic: the variance of x is Δ = %.6g, and its covariance over a long time 0", float64(s.Delta))
	case s.Stable:
		state = "x = 0 is stable"
	}
	_, err := fmt.Fprintf(p.stdout, "%s: dx/dt = −x + gχφ(x)\n\n%s\nthe spectrum is a disc of the radius %.6g; the critical gain is 1\n", r.network(), state, float64(s.Radius))
	return err
}
