package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"

	"attractor/models/meanfield"
	"attractor/train/experiments"
)

const fig1eDoc = `figure 1e: stationary states of a feedback network and their stability, over the target

Mean-field theory at g = 0.3, σ_m = 1.2, σ_I = 0.5, ρ = 0.5 and n ∝ ξ + η_m + 0.3η_I scaled to each
of 1,000 targets A from −2 to 2: the readouts z of all stationary states, the largest outlier of
their spectra and the radius of the bulk; beside it simulated networks of 2,000 units, 8 draws,
with the n of the theory, whose stationary states, stable or not, are found by opening the loop
and scanning z, and whose outliers follow from n, m and the random part alone.
Checked: the published z, outliers and radii at five targets, the flex, the loss of stability and
the onset of bistability, the numbers of states; that the means over the simulated networks agree
with the theory within 0.03 for z and 0.04 for the outliers, where these are off the bulk by
0.05 and not within 0.15 of 1; and that the theory with ρ in place of ρ² in the covariance of m and I,
or with σ_m read as a variance, does not give the published numbers.`

// fig1eStates are the published z, outliers and radii, by target.
var fig1eStates = []struct {
	target float64
	states [][3]float64
}{
	{-2, [][3]float64{{-2, .2476, .1410}, {-.3626, 2.6266, .2434}, {2.3366, .0306, .1256}}},
	{-1, [][3]float64{{-1, .6834, .1903}, {-.5608, 1.3877, .2267}, {1.5258, .1101, .1508}}},
	{0.5, [][3]float64{{.5, .3637, .2136}}},
	{1, [][3]float64{{1, .2118, .1767}}},
	{2, [][3]float64{{-1.6271, .3415, .1552}, {-.4026, 2.1786, .2403}, {2, .0562, .1345}}},
}

// fig1eLimit is the largest |z| that is drawn.
const fig1eLimit = 8

func fig1e(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/fig1e", Seed: seedOf(o), Notes: []string{
		"Theory: trapezoidal rule, all states by a scan. States farther away than 8, as beside the flex, are not drawn.",
	}}
	const gain = 0.3
	open, err := vectors.Network(gain).Open()
	if err != nil {
		return nil, err
	}
	readout := vectors.Readout(direction)
	diagram, err := open.Diagram(readout.Always, -2, 2, 999)
	if err != nil {
		return nil, err
	}
	if err := fig1eTheory(r, open, readout); err != nil {
		return nil, err
	}
	if err := fig1eControls(r); err != nil {
		return nil, err
	}
	picture := diagram.Figure(fig1eLimit)
	picture.Title = "Stationary states of a feedback network and their spectra"
	networks := &ensemble{units: 2000, draws: 8, gain: gain, vectors: vectors}
	for _, a := range []float64{-2, -1.75, -1.5, -1.25, -1, -0.75, -0.5, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2} {
		if err := networks.add(open, direction, a); err != nil {
			return nil, err
		}
	}
	if o.Quick {
		networks.quick(r)
	}
	found, err := simulate(ctx, o, networks)
	if err != nil {
		return nil, err
	}
	states := found[0]
	states.check(r, "simulated/", !o.Quick)
	picture.Panels[0].Points = append(picture.Panels[0].Points, states.points(networks.name(), false))
	picture.Panels[1].Points = append(picture.Panels[1].Points, states.points(networks.name(), true))
	return r, r.Save(o, "fig1e", picture)
}

// fig1eTheory checks the numbers of the theory.
func fig1eTheory(r *experiments.Result, open *meanfield.Open, readout meanfield.Readout) error {
	for _, c := range fig1eStates {
		l, err := open.CloseAt(readout, c.target)
		if err != nil {
			return err
		}
		found := l.Solutions()
		id := fmt.Sprintf("A=%g/", c.target)
		r.Equal(id+"states", float64(len(found)), float64(len(c.states)), 0, published)
		for i, want := range c.states {
			if i == len(found) {
				break
			}
			r.Equal(fmt.Sprintf("%sz%d", id, i+1), found[i].Z, want[0], digit, published)
			r.Equal(fmt.Sprintf("%slambda%d", id, i+1), real(found[i].Outliers[0]), want[1], digit, published)
			r.Equal(fmt.Sprintf("%sradius%d", id, i+1), found[i].Radius, want[2], digit, published)
		}
	}
	three, one := 0, 0
	for k := -20; k <= 20; k++ {
		a := float64(k) / 10
		l, err := open.CloseAt(readout, a)
		if err != nil {
			return err
		}
		n := len(l.FixedPoints())
		switch inside := k >= -2 && k <= 14; {
		case inside && n == 1:
			one++
		case !inside && n == 3:
			three++
		}
	}
	r.Equal("targets-with-3-states", float64(three), 24, 0, published)
	r.Equal("targets-with-1-state", float64(one), 17, 0, published)
	r.Equal("A-flex", readout.Flex(), -0.2318, digit, published)
	lost, err := meanfield.Zeros(func(a float64) (float64, error) {
		l, err := open.CloseAt(readout, a)
		if err != nil {
			return 0, err
		}
		return real(l.At(a).Outliers[0]) - 1, nil
	}, -2, 2, 41)
	if err != nil {
		return err
	}
	r.Equal("A-stability-lost", first(lost), -0.7380, digit, published)
	onset, err := onlySaddleNode(func(a float64) ([]float64, error) {
		l, err := open.CloseAt(readout, a)
		return l.FixedPoints(), err
	}, 0.5, 2, 15)
	if err != nil {
		return err
	}
	r.Equal("A-bistable", onset, 1.4401, digit, published)
	return nil
}

func first(v []float64) float64 {
	if len(v) != 1 {
		return math.NaN()
	}
	return v[0]
}

// fig1eControls checks that wrong statistics do not give the published numbers.
func fig1eControls(r *experiments.Result) error {
	n := vectors.Network(0.3)
	n.CovMI = vectors.Rho * vectors.SigmaM * vectors.SigmaI
	narrow := vectors
	narrow.SigmaM = math.Sqrt(vectors.SigmaM)
	for _, c := range []struct {
		name    string
		network meanfield.Network
		readout meanfield.Readout
	}{
		{"rho-for-rho²", n, vectors.Readout(direction)},
		{"sigma_m-as-variance", narrow.Network(0.3), narrow.Readout(direction)},
	} {
		open, err := c.network.Open()
		if err != nil {
			return err
		}
		worst := 0.0
		for _, s := range fig1eStates {
			l, err := open.CloseAt(c.readout, s.target)
			if err != nil {
				return err
			}
			for i, found := range l.Solutions() {
				if i < len(s.states) {
					worst = max(worst, math.Abs(found.Z-s.states[i][0]), math.Abs(real(found.Outliers[0])-s.states[i][1]))
				}
			}
		}
		r.Bound("control/"+c.name, worst, experiments.Above, 100*digit, published)
	}
	return nil
}
