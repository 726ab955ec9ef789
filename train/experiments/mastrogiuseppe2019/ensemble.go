package mastrogiuseppe2019

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/internal/figure"
	"attractor/models/meanfield"
	"attractor/train/experiments"

	"gonum.org/v1/gonum/stat"
)

// ensemble is a number of networks, each with the same readouts.
type ensemble struct {
	units, draws int
	gain         float64
	vectors      meanfield.Vectors
	cases        []loop
	starts       []float64 // of z, from which the closed loops run
}

// loop is a readout at a target, and what the theory expects of it.
type loop struct {
	target  float64
	states  []state
	readout func(ctx context.Context, n *network[float64]) ([]float64, error)
}

// state is a stationary state in theory.
type state struct {
	z       float64
	outlier float64 // the one that is off the bulk; NaN where none is, or it is not known
	slope   float64 // F′(z), which is 1 at a bifurcation
	radius  float64 // of the bulk, which is 1 where chaos begins
}

// critical reports that finite networks may behave otherwise there.
func (s state) critical() bool {
	return math.Abs(s.slope-1) < bifurcating || math.Abs(s.radius-1) < bifurcating
}

// margin is the distance to the bulk, and bifurcating that of an outlier, the radius or F′ to 1, within which finite
// networks are not compared with the theory.
const (
	margin      = 0.05
	bifurcating = 0.15
)

// add adds the multiple of a direction that has the solution z = target in theory.
func (e *ensemble) add(open *meanfield.Open, d meanfield.Direction, target float64) error {
	own, err := scaled(open, e.vectors, d, target)
	if err != nil {
		return err
	}
	out := loop{target: target, readout: func(_ context.Context, n *network[float64]) ([]float64, error) { return n.along(own), nil }}
	out.expect(open.Close(e.vectors.Readout(own)).Solutions())
	e.cases = append(e.cases, out)
	return nil
}

// scaled returns the multiple of a direction that has the solution z = target in theory.
func scaled(open *meanfield.Open, v meanfield.Vectors, d meanfield.Direction, target float64) (meanfield.Direction, error) {
	shape := v.Readout(d)
	n, err := open.Normalized(shape, target)
	c := n.U / shape.U
	if shape.U == 0 {
		c = n.V / shape.V
	}
	return meanfield.Direction{Xi: c * d.Xi, EtaM: c * d.EtaM, EtaI: c * d.EtaI}, err
}

// expect sets the states of the theory.
func (l *loop) expect(solutions []meanfield.Solution) {
	for _, s := range solutions {
		l.states = append(l.states, state{z: s.Z, outlier: outside(s), slope: s.Slope, radius: s.Radius})
	}
}

// outside returns the outlier of the largest modulus, NaN if it is not real and off the bulk, or not known.
func outside(s meanfield.Solution) float64 {
	l := s.Outliers[0]
	if cmplx.Abs(s.Outliers[1]) > cmplx.Abs(l) {
		l = s.Outliers[1]
	}
	if imag(l) == 0 && cmplx.Abs(l) > s.Radius+margin {
		return real(l)
	}
	return math.NaN()
}

// quick makes the ensemble small, and says so.
func (e *ensemble) quick(r *experiments.Result) {
	e.units, e.draws = 500, 4
	r.Notes = append(r.Notes, fmt.Sprintf("Quick: %d networks of %d units, which are not checked.", e.draws, e.units))
}

func (e *ensemble) name() string {
	return fmt.Sprintf("%d networks of %d units, ± sd", e.draws, e.units)
}

// simulated is what was found in an ensemble.
type simulated struct {
	*ensemble
	z, outlier [][][]float64 // of the networks that have the state, by case and state
	others     []int         // networks with another number of states than the theory, by case
	reached    [][][]int     // the states in which the loops end, −1 for none, by case and start
}

// simulate finds the stationary states of all networks of the ensembles.
func simulate(ctx context.Context, o experiments.Options, all ...*ensemble) ([]*simulated, error) {
	type piece struct {
		*simulated
		network int
		points  []fixedPoint
		ends    []float64 // by case and start
	}
	var out []*simulated
	var pieces []*piece
	for _, e := range all {
		s := &simulated{ensemble: e}
		out = append(out, s)
		for i := range e.draws {
			pieces = append(pieces, &piece{simulated: s, network: i})
		}
	}
	err := o.Work(ctx, len(pieces), func(i int) (err error) {
		p := pieces[i]
		p.points, p.ends, err = p.one(ctx, seedOf(o)+uint64(p.network))
		return err
	}, func(i int) string { return fmt.Sprintf("network %d at g = %g", pieces[i].network+1, pieces[i].gain) })
	if err != nil {
		return nil, err
	}
	for _, s := range out {
		for k, c := range s.cases {
			s.z, s.outlier = append(s.z, make([][]float64, len(c.states))), append(s.outlier, make([][]float64, len(c.states)))
			s.reached, s.others = append(s.reached, make([][]int, len(s.starts))), append(s.others, 0)
			for _, p := range pieces {
				if p.simulated == s {
					s.take(k, p.points, p.ends[k*len(s.starts):(k+1)*len(s.starts)])
				}
			}
		}
	}
	return out, nil
}

// one finds the states of one network, and where its loops end.
func (e *ensemble) one(ctx context.Context, seed uint64) ([]fixedPoint, []float64, error) {
	n, err := draw[float64](e.units, e.gain, e.vectors, seed)
	if err != nil {
		return nil, nil, err
	}
	limit := 3.0
	for _, c := range e.cases {
		for _, s := range c.states {
			limit = max(limit, math.Abs(s.z)+1)
		}
	}
	scan, err := n.scan(ctx, limit, 0.2)
	if err != nil {
		return nil, nil, err
	}
	readouts := make([][]float64, len(e.cases))
	var own [][]float64 // by case and start
	var z []float64
	for k, c := range e.cases {
		if readouts[k], err = c.readout(ctx, n); err != nil {
			return nil, nil, err
		}
		for _, start := range e.starts {
			own, z = append(own, readouts[k]), append(z, start)
		}
	}
	points, err := n.fixedPoints(ctx, scan, readouts)
	if err != nil || len(own) == 0 {
		return points, nil, err
	}
	ends, err := n.ends(ctx, n.towards(z), own, 60)
	return points, ends, err
}

// take adds what was found in a network to a case.
func (s *simulated) take(k int, points []fixedPoint, ends []float64) {
	var here []fixedPoint
	for _, p := range points {
		if p.readout == k {
			here = append(here, p)
		}
	}
	states := s.cases[k].states
	if len(here) != len(states) {
		s.others[k]++
	}
	distance := func(p fixedPoint, i int) float64 { return math.Abs(p.z - states[i].z) }
	taken := make([]fixedPoint, len(states)) // the nearest of those that are nearer to no other state
	for i := range taken {
		taken[i].z = math.NaN()
	}
	for _, p := range here {
		i := 0
		for j := range states {
			if distance(p, j) < distance(p, i) {
				i = j
			}
		}
		if !(distance(taken[i], i) <= distance(p, i)) {
			taken[i] = p
		}
	}
	for i, p := range taken {
		if math.IsNaN(p.z) {
			continue
		}
		s.z[k][i] = append(s.z[k][i], p.z)
		if v := p.outside(); !math.IsNaN(v) {
			s.outlier[k][i] = append(s.outlier[k][i], v)
		}
	}
	for i, end := range ends {
		s.reached[k][i] = append(s.reached[k][i], slices.IndexFunc(taken, func(p fixedPoint) bool { return math.Abs(p.z-end) < 0.01 }))
	}
}

// fraction returns the part of the networks whose loop goes from a start to a state.
func (s *simulated) fraction(k, start, state int) float64 {
	n := 0
	for _, i := range s.reached[k][start] {
		if i == state {
			n++
		}
	}
	return float64(n) / float64(s.draws)
}

// common reports whether a state is to be compared.
func (s *simulated) common(k, state int) bool {
	return !s.cases[k].states[state].critical() && 4*len(s.z[k][state]) >= 3*s.draws
}

// only returns some of the cases.
func (s *simulated) only(from, to int) *simulated {
	e := *s.ensemble
	e.cases = e.cases[from:to]
	return &simulated{ensemble: &e, z: s.z[from:to], outlier: s.outlier[from:to], others: s.others[from:to], reached: s.reached[from:to]}
}

// check compares the means over the networks with the theory, or records the differences where
// they are not to be checked. A state is compared where it is not critical and three quarters of the
// networks have it.
func (s *simulated) check(r *experiments.Result, id string, check bool) {
	worstZ, worstL := math.NaN(), math.NaN() // which no check holds for
	compared, outliers, expected := 0, 0, 0
	for k, c := range s.cases {
		for i, want := range c.states {
			if !s.common(k, i) {
				continue
			}
			if compared++; compared == 1 {
				worstZ = 0
			}
			worstZ = max(worstZ, math.Abs(stat.Mean(s.z[k][i], nil)-want.z))
			if !(math.Abs(want.outlier-1) >= bifurcating) {
				continue
			}
			if expected++; len(s.outlier[k][i]) < len(s.z[k][i]) {
				continue
			}
			if outliers++; outliers == 1 {
				worstL = 0
			}
			worstL = max(worstL, math.Abs(stat.Mean(s.outlier[k][i], nil)-want.outlier))
		}
	}
	if check {
		r.Bound(id+"largest-|z-theory|", worstZ, experiments.Below, 0.03, theory)
	} else {
		r.Value(id+"largest-|z-theory|", worstZ)
	}
	if check && expected > 0 {
		r.Bound(id+"largest-|lambda-theory|", worstL, experiments.Below, 0.04, theory)
	} else if expected > 0 {
		r.Value(id+"largest-|lambda-theory|", worstL)
	}
	r.Value(id+"states-compared", float64(compared))
	r.Value(id+"outliers-compared", float64(outliers))
	r.Value(id+"outliers-in-the-bulk-of-some-network", float64(expected-outliers))
	others := 0
	for _, n := range s.others {
		others += n
	}
	r.Value(id+"networks-with-other-numbers-of-states", float64(others))
}

// points returns z, or the outliers, over the targets with their standard deviations.
func (s *simulated) points(name string, outliers bool) figure.Points {
	p := figure.Points{Name: name, Hollow: true, Color: figure.Green}
	values := s.z
	if outliers {
		values = s.outlier
	}
	for k, c := range s.cases {
		for i, want := range c.states {
			if len(values[k][i]) == 0 || outliers && (math.IsNaN(want.outlier) || len(values[k][i]) < len(s.z[k][i])) {
				continue
			}
			mean, sd := stat.MeanStdDev(values[k][i], nil)
			p.X, p.Y = append(p.X, c.target), append(p.Y, mean)
			p.YLo, p.YHi = append(p.YLo, mean-sd), append(p.YHi, mean+sd)
		}
	}
	return p
}
