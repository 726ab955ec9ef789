package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"

	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train/experiments"
)

const classesDoc = `in the paper's spirit: what the geometry of the readout makes of the task

Four directions of n at g = 0.3, σ_m = 1.2, σ_I = 0.5 and ρ = 0.5, scaled to targets A from −3 to 3:
n ∝ η_I, which sees no feedback (one state, globally stable); n ∝ η_m, which sees no input (always also
z = 0 and z = −A − 2σ_mI/σ_m²); n ∝ ξ, which sees both (one flex, at A = −σ_I/σ_m); and n ∝ mA + I, the
direction of least squares (bistable beyond a target). Beside the theory, 8 networks of 2,000 units
at A = 1 and 2, whose closed loops also run from x = mz₀ + I with z₀ = −3 and 3.
Checked: the outlier of n ∝ η_I and the states and outliers of n ∝ η_m at ρ = 0, their partner
at ρ = 0.5, the flex, the onset of bistability, the number of states over all targets, the means
over the networks, and where the networks with n ∝ η_I and n ∝ η_m end.`

// directed is a direction of n at a target.
type directed struct {
	name string
	at   func(target float64) meanfield.Direction
}

func fixed(d meanfield.Direction) func(float64) meanfield.Direction {
	return func(float64) meanfield.Direction { return d }
}

var (
	etaM = directed{"η_m", fixed(meanfield.Direction{EtaM: 1})}
	etaI = directed{"η_I", fixed(meanfield.Direction{EtaI: 1})}
	xi   = directed{"ξ", fixed(meanfield.Direction{Xi: 1})}

	// mA + I in terms of ξ, η_m and η_I.
	linearised = directed{"mA + I", func(a float64) meanfield.Direction {
		r := math.Sqrt(1 - vectors.Rho*vectors.Rho)
		return meanfield.Direction{Xi: vectors.Rho * (vectors.SigmaM*a + vectors.SigmaI), EtaM: r * vectors.SigmaM * a, EtaI: r * vectors.SigmaI}
	}}
)

func classes(ctx context.Context, o experiments.Options) (*experiments.Result, error) {
	r := &experiments.Result{Name: "mastrogiuseppe2019/classes", Seed: seedOf(o), Notes: []string{
		"Not a figure of the paper: an experiment of ours in its spirit.",
	}}
	const gain = 0.3
	if err := uncorrelatedClasses(r, gain); err != nil {
		return nil, err
	}
	open, err := vectors.Network(gain).Open()
	if err != nil {
		return nil, err
	}
	all := []directed{etaI, etaM, xi, linearised}
	targets := []float64{1, 2}
	networks := &ensemble{units: 2000, draws: 8, gain: gain, vectors: vectors, starts: []float64{-3, 3}}
	for _, g := range all {
		for _, a := range targets {
			if err := networks.add(open, g.at(a), a); err != nil {
				return nil, err
			}
		}
	}
	if o.Quick {
		networks.quick(r)
	}
	found, err := simulate(ctx, o, networks)
	if err != nil {
		return nil, err
	}
	picture := figure.Figure{
		Title: "Stationary states by the direction of the readout n", Names: figure.NamesAbove, Cols: 2,
		Alt: "Readouts of all stationary states against the target, for four directions of n: solid where stable, dashed where not.",
	}
	for k, g := range all {
		states := found[0].only(k*len(targets), (k+1)*len(targets))
		states.check(r, g.name+"/", !o.Quick)
		diagram, err := open.Diagram(func(a float64) meanfield.Readout { return vectors.Readout(g.at(a)) }, -3, 3, 600)
		if err != nil {
			return nil, err
		}
		panel := diagram.Figure(6).Panels[0]
		panel.Title = "n along " + g.name
		panel.Points = append(panel.Points, states.points(networks.name(), false))
		picture.Panels = append(picture.Panels, panel)
	}
	if err := wholeRange(r, open); err != nil {
		return nil, err
	}
	// With n ∝ η_I every network ends at its state by the target; with n ∝ η_m it depends on where it starts.
	for k, c := range networks.cases[:2*len(targets)] {
		for i, start := range networks.starts {
			at := len(c.states) - 1
			if start < 0 {
				at = 0
			}
			id := fmt.Sprintf("%s/A=%g/from-z=%g/ends-by-%.3g", all[k/len(targets)].name, c.target, start, c.states[at].z)
			r.Equal(id, found[0].fraction(k, i, at), 1, 0, theory)
		}
	}
	r.Equal("ξ/A-flex", vectors.Readout(xi.at(0)).Flex(), -vectors.SigmaI/vectors.SigmaM, 1e-12, derived)
	onset, err := onlySaddleNode(func(a float64) ([]float64, error) {
		l, err := open.CloseAt(vectors.Readout(linearised.at(a)), a)
		return l.FixedPoints(), err
	}, 0.1, 3, 29)
	if err != nil {
		return nil, err
	}
	r.Equal("mA + I/A-bistable", onset, 1.367, 0.001, derived)
	return r, r.Save(o, "classes", picture)
}

// uncorrelatedClasses checks the numbers for ρ = 0 at A = 1, and the partner at ρ = 0.5.
func uncorrelatedClasses(r *experiments.Result, gain float64) error {
	for _, c := range []struct {
		directed
		rho  float64
		z, l []float64
	}{
		{etaI, 0, []float64{1}, []float64{-0.581}},
		{etaM, 0, []float64{-1, 0, 1}, []float64{0.395, 1.619, 0.395}},
		{etaM, 0.5, []float64{-1.208, 0, 1}, nil},
	} {
		v := vectors
		v.Rho = c.rho
		open, err := v.Network(gain).Open()
		if err != nil {
			return err
		}
		loop, err := open.CloseAt(v.Readout(c.at(1)), 1)
		if err != nil {
			return err
		}
		found := loop.Solutions()
		id := fmt.Sprintf("%s/ρ=%g/A=1/", c.name, c.rho)
		r.Equal(id+"states", float64(len(found)), float64(len(c.z)), 0, derived)
		for i := range min(len(found), len(c.z)) {
			r.Equal(fmt.Sprintf("%sz%d", id, i+1), found[i].Z, c.z[i], 0.001, derived)
			if c.l != nil {
				r.Equal(fmt.Sprintf("%slambda%d", id, i+1), outside(found[i]), c.l[i], 0.001, derived)
			}
		}
	}
	return nil
}

// wholeRange checks n ∝ η_I and n ∝ η_m over all targets that are not next to 0.
func wholeRange(r *experiments.Result, open *meanfield.Open) error {
	var one, three, targets int
	worst := 0.0
	for k := -12; k <= 12; k++ {
		a := float64(k) / 4
		if math.Abs(a) < 0.3 {
			continue
		}
		targets++
		alone, err := open.CloseAt(vectors.Readout(etaI.at(a)), a)
		if err != nil {
			return err
		}
		if found := alone.Solutions(); len(found) == 1 && found[0].Stable {
			one++
		}
		pair, err := open.CloseAt(vectors.Readout(etaM.at(a)), a)
		if err != nil {
			return err
		}
		found := pair.Solutions()
		if len(found) == 3 && found[0].Stable && !found[1].Stable && found[2].Stable {
			three++
			partner := -a - 2*open.CovMI/open.VarM
			worst = max(worst, math.Abs(min(a, partner)-found[0].Z), math.Abs(found[1].Z), math.Abs(max(a, partner)-found[2].Z))
		}
	}
	r.Equal("η_I/targets-with-one-stable-state", float64(one), float64(targets), 0, derived)
	r.Equal("η_m/targets-with-two-stable-states-and-one-between", float64(three), float64(targets), 0, derived)
	r.Bound("η_m/partner-and-0", worst, experiments.Below, 1e-8, derived)
	return nil
}
