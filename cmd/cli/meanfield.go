package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train"
)

// meanfieldFlags are the flags of meanfield.
type meanfieldFlags struct {
	vectors   meanfield.Vectors
	direction []float64
	out       string

	Gain   float64
	Target float64
}

// meanfieldResult is the output of meanfield --json.
type meanfieldResult struct {
	Gain      float64      `json:"g"`
	SigmaM    float64      `json:"sigma_m"`
	SigmaI    float64      `json:"sigma_i"`
	Rho       float64      `json:"rho"`
	Direction [3]float64   `json:"direction"` // p, p_m, p_I as given
	Target    float64      `json:"target"`
	Scale     train.Number `json:"scale"` // what n is multiplied by for z = target
	U         train.Number `json:"u"`     // nᵀm
	V         train.Number `json:"v"`     // nᵀI
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
and Δ_∞ its covariance over a long time.

With --out it also draws z and the spectrum over the target.`,
		Example: fmt.Sprintf(`  %[1]s meanfield --target -1
  %[1]s meanfield --g 2.5 --rho 0 --direction 0,1,0 --target 1 --json
  %[1]s meanfield --target 2 --out figures`, p.name),
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := f.solve()
			if err != nil {
				return err
			}
			return p.printMeanfield(r)
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&f.Gain, "g", 0.3, "gain g of the random connectivity")
	flags.Float64Var(&f.vectors.SigmaM, "sigma-m", 1.2, "standard deviation σ_m of the feedback vector m")
	flags.Float64Var(&f.vectors.SigmaI, "sigma-i", 0.5, "standard deviation σ_I of the input I")
	flags.Float64Var(&f.vectors.Rho, "rho", 0.5, "ρ in [0, 1]: m and I have the correlation ρ²")
	flags.Float64SliceVar(&f.direction, "direction", []float64{1, 1, 0.3}, "direction `p,pm,pi` of the readout n along ξ, η_m and η_I")
	flags.Lookup("direction").DefValue = "1,1,0.3"
	flags.Float64Var(&f.Target, "target", 1, "target `A`: n is scaled so that z = A is a solution")
	flags.StringVar(&f.out, "out", "", "`DIR` for the figure of the states over the target")
	p.jsonFlag(cmd)
	return cmd
}

// solve computes the result, and draws the figure where one is wanted.
func (f meanfieldFlags) solve() (*meanfieldResult, error) {
	if len(f.direction) != 3 {
		return nil, usagef("--direction: expected three numbers p,pm,pi, found %d", len(f.direction))
	}
	for _, v := range append([]float64{f.Target}, f.direction...) {
		if v-v != 0 {
			return nil, usagef("--direction and --target: expected finite numbers, found %g", v)
		}
	}
	if err := f.vectors.Validate(); err != nil {
		return nil, usage(err)
	}
	open, err := f.vectors.Network(f.Gain).Open()
	if err != nil {
		return nil, usage(err)
	}
	d := [3]float64(f.direction)
	shape := f.vectors.Readout(meanfield.Direction{Xi: d[0], EtaM: d[1], EtaI: d[2]})
	loop, err := open.CloseAt(shape, f.Target)
	if err != nil {
		return nil, usage(err)
	}
	scale := loop.U / shape.U
	if shape.U == 0 {
		scale = loop.V / shape.V
	}
	r := &meanfieldResult{
		Gain: f.Gain, SigmaM: f.vectors.SigmaM, SigmaI: f.vectors.SigmaI, Rho: f.vectors.Rho, Direction: d, Target: f.Target,
		Scale: train.Number(scale), U: train.Number(loop.U), V: train.Number(loop.V), Flex: train.Number(shape.Flex()),
		Critical: train.Number(open.CriticalGain(f.Target)), Chaotic: loop.At(f.Target).Chaotic,
		Solutions: []meanfieldSolution{}, Figures: []string{},
	}
	for _, s := range loop.Solutions() {
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
	diagram, err := open.Diagram(shape.Always, -width, width, 800)
	if err != nil {
		return nil, err
	}
	picture := diagram.Figure(4 * width)
	for i := range picture.Panels {
		picture.Panels[i].Guides = append(picture.Panels[i].Guides, figure.Guide{At: f.Target, Upright: true})
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return nil, err
	}
	const name = "meanfield"
	if err := figure.Save(f.out, name, picture); err != nil {
		return nil, err
	}
	r.Figures = append(r.Figures, filepath.Join(f.out, name+".png"), filepath.Join(f.out, name+".svg"))
	return r, nil
}

func (p *program) printMeanfield(r *meanfieldResult) error {
	if p.json {
		return p.printJSON(r)
	}
	fmt.Fprintf(p.stdout, "g = %g, σ_m = %g, σ_I = %g, ρ = %g, n ∝ %gξ + %gη_m + %gη_I for z = %g\n\n",
		r.Gain, r.SigmaM, r.SigmaI, r.Rho, r.Direction[0], r.Direction[1], r.Direction[2], r.Target)
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
	fmt.Fprintf(p.stdout, "\nnᵀm = u = %s, nᵀI = v = %s, n is %s times as long as given", short(r.U), short(r.V), short(r.Scale))
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
	if l[1] == 0 {
		return fmt.Sprintf("%.4f", l[0])
	}
	return fmt.Sprintf("%.4f%+.4fi", l[0], l[1])
}
