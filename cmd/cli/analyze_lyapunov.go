package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/budget"
	"attractor/internal/kernels"
	"attractor/internal/quote"
	"attractor/internal/rng"
	"attractor/train"
)

// analyzedDrive is the input that varies while exponents are measured.
type analyzedDrive struct {
	File  string       `json:"file"`  // empty without one
	Steps int          `json:"steps"` // of its sequence, which is repeated
	Noise train.Number `json:"noise"` // standard deviation of what is added to each input at each step

	x []float64 // [steps, inputs]
}

// readDrive reads the sequence of --drive.
func (r *analyzeResult) readDrive(f analyzeFlags) error {
	if f.drive == "" && f.noise == 0 {
		return nil
	}
	r.Drive = &analyzedDrive{File: f.drive, Noise: train.Number(f.noise)}
	if f.drive == "" {
		return nil
	}
	file, closeFile, err := openArrays(f.drive)
	if err != nil {
		return err
	}
	defer closeFile()
	if !slices.Contains(file.names(), "x") {
		return fmt.Errorf("--drive: %s: expected an array \"x\" [steps, %d], found %s", quote.Path(f.drive), r.net.Inputs, quote.Names(file.names()))
	}
	shape, err := file.shape("x")
	if err != nil {
		return err
	}
	ok := len(shape) == 2 && shape[0] >= 1 && shape[1] == r.net.Inputs || len(shape) == 1 && shape[0] >= 1 && r.net.Inputs == 1
	if !ok {
		return fmt.Errorf("--drive: %s: array \"x\": expected shape [steps, %d], found %s", quote.Path(f.drive), r.net.Inputs, bracketed(shape))
	}
	if err := budget.Fit(2*8*float64(shape[0])*float64(r.net.Inputs), "a sequence of "+quote.Path(f.drive), "take a shorter one"); err != nil {
		return err
	}
	if r.Drive.x, err = file.read("x"); err != nil {
		return err
	}
	for i, v := range r.Drive.x {
		if v-v != 0 {
			return fmt.Errorf("--drive: %s: array \"x\": expected finite numbers, found %v at %s", quote.Path(f.drive), v, bracketed(position(i, shape)))
		}
	}
	r.Drive.Steps = shape[0]
	return nil
}

// drive is the input while exponents are measured.
func (r *analyzeResult) drive(seed uint64) stability.Drive[float64] {
	if r.Drive == nil {
		return func(_ int, x []float64) { copy(x, r.x) }
	}
	base := stability.Repeating(r.x)
	if r.Drive.x != nil {
		base = stability.Repeating(r.Drive.x)
	}
	sd := float64(r.Drive.Noise)
	return func(step int, x []float64) {
		if base(step, x); sd == 0 {
			return
		}
		noise := rng.Stream(seed, "analyze/noise", uint64(step))
		for i := range x {
			x[i] += sd * noise.NormFloat64()
		}
	}
}

// checkCounts reports counts beyond what can be done.
func (r *analyzeResult) checkCounts(f analyzeFlags) error {
	for _, c := range []struct {
		flag, what string
		count      int
		states     float64 // that are held of each, of the network's units
	}{
		{"--starts", "trajectories", f.starts, 3 * 7},
		{"--basins", "random states", f.basins, 4},
		{"--lyapunov", "exponents", min(f.lyapunov, r.Units), 24},
	} {
		need := 8 * c.states * float64(c.count) * float64(r.Units)
		if err := budget.Fit(need, fmt.Sprintf("%s: %d %s of %d units", c.flag, c.count, c.what, r.Units), "take fewer"); err != nil {
			return err
		}
	}
	return nil
}

// measureLyapunov adds the exponents, per step of the map or per unit of time.
func (r *analyzeResult) measureLyapunov(ctx context.Context, f analyzeFlags) error {
	k := min(f.lyapunov, r.Units)
	l, err := deq.New[float64](r.net.Model, r.net.Inputs, r.net.Outputs, 0, deq.Config{Batch: k, Shard: k, Workers: 1})
	if err != nil {
		return err
	}
	if err := l.Update(r.net.Params.Into); err != nil {
		return err
	}
	found, err := stability.Exponents(ctx, l, r.drive(f.seed), nil, stability.Lyapunov{Dynamics: f.dynamics, K: k, Steps: f.steps, Effort: f.effort, Seed: f.seed})
	if err != nil && found == nil {
		return err
	}
	for _, e := range found {
		r.Lyapunov = append(r.Lyapunov, train.Number(e.Value))
		r.LyapunovSE = append(r.LyapunovSE, train.Number(e.StdErr))
		r.bounds = append(r.bounds, e.Bound)
		if math.IsInf(e.Value, -1) {
			r.LyapunovLost++
		}
	}
	d := stability.KaplanYorke(found, r.Units)
	r.KaplanYorke = train.Number(d.Value)
	r.KaplanYorkeRange = [2]train.Number{train.Number(d.Lo), train.Number(d.Hi)}
	r.Neutral = d.Neutral
	return err
}

// printLyapunov prints the exponents and the dimension.
func (r *analyzeResult) printLyapunov(to io.Writer, unit string) {
	if len(r.Lyapunov) == 0 {
		return
	}
	var list []string
	sum := 0.0
	for i, v := range r.Lyapunov {
		sum += float64(v)
		switch {
		case math.IsInf(float64(v), -1):
			list = append(list, "-inf")
		case r.bounds[i]:
			list = append(list, fmt.Sprintf("≤ %.4f", float64(v)))
		default:
			list = append(list, fmt.Sprintf("%.4f ± %.4f", float64(v), float64(r.LyapunovSE[i])))
		}
	}
	fmt.Fprintf(to, "Lyapunov exponents (nats per %s)%s: %s\n", unit, r.driven(), strings.Join(list, ", "))
	if r.LyapunovLost > 0 {
		fmt.Fprintf(to, "%d of %d are lost, -inf: J is singular, up to rounding relative to the larger entries of its rows and columns, and perturbations along them vanish\n", r.LyapunovLost, len(r.Lyapunov))
	}
	if slices.Contains(r.bounds, true) {
		fmt.Fprintln(to, "≤: an upper bound, as these directions were lost to rounding beside the larger ones")
	}
	if r.Neutral {
		fmt.Fprintln(to, "the largest exponent is 0 within two standard errors, and the dimension that of 0")
	}
	switch d := float64(r.KaplanYorke); {
	case math.IsNaN(d):
		fmt.Fprintf(to, "Kaplan–Yorke dimension: more than %d, as the exponents that were measured add up to %.4f; give a larger --lyapunov, up to the %d units\n", len(r.Lyapunov), sum, r.Units)
	case r.KaplanYorkeRange[0] == r.KaplanYorkeRange[1]:
		fmt.Fprintf(to, "Kaplan–Yorke dimension: %.4g\n", d)
	default:
		hi := fmt.Sprintf("%.4g", float64(r.KaplanYorkeRange[1]))
		if math.IsNaN(float64(r.KaplanYorkeRange[1])) {
			hi = fmt.Sprintf("more than %d", len(r.Lyapunov))
		}
		fmt.Fprintf(to, "Kaplan–Yorke dimension: %.4g, from %.4g to %s within two standard errors\n", d, float64(r.KaplanYorkeRange[0]), hi)
	}
}

// driven says by what.
func (r *analyzeResult) driven() string {
	if r.Drive == nil {
		return ""
	}
	each := "step"
	if r.Dynamics == "rate" {
		each = "0.1 units of time"
	}
	var list []string
	if r.Drive.File != "" {
		list = append(list, fmt.Sprintf("the %d rows of %s, one a %s, over and over again", r.Drive.Steps, quote.Path(r.Drive.File), each))
	}
	if r.Drive.Noise != 0 {
		list = append(list, fmt.Sprintf("noise of %g a %s", float64(r.Drive.Noise), each))
	}
	return ", driven by " + strings.Join(list, " and ")
}

// discretised says what a leak means.
func (r *analyzeResult) discretised(to io.Writer) {
	α := r.Leak
	if α == 1 {
		return
	}
	if r.Dynamics == "rate" {
		fmt.Fprintf(to, "the cell has the leak α = %g: its time is counted in steps of the trained map, of which %.4g are a time constant τ\n\n", α, 1/α)
		return
	}
	fmt.Fprintf(to, "the cell has the leak α = %g: analysed is its map as it is, a step of Euler's method of dt = α τ; for continuous time see --dynamics rate\n\n", α)
}

// checkDrive reports what is wrong with the drive.
func (f analyzeFlags) checkDrive() error {
	switch {
	case !(f.noise >= 0) || !kernels.AllFinite([]float64{f.noise}):
		return fmt.Errorf("--noise: expected a finite standard deviation of at least 0, found %g", f.noise)
	case f.lyapunov == 0 && (f.drive != "" || f.noise != 0):
		return fmt.Errorf("--drive and --noise drive the network while its exponents are measured: give --lyapunov of at least 1")
	case f.drive != "" && f.input != nil:
		return fmt.Errorf("--drive: the sequence takes the place of --input: give one of them")
	}
	return nil
}
