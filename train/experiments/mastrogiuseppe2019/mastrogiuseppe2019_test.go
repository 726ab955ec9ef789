package mastrogiuseppe2019

import (
	"math"
	"testing"

	"attractor/internal/kernels"
	"attractor/models/meanfield"
	"attractor/train/experiments/experimenttest"
	"attractor/train/readout"
)

func TestExperiments(t *testing.T) { experimenttest.Run(t, Entries()) }

// The vectors of a network are orthogonal, make up m and I, and give readouts the overlaps of the theory.
func TestDraw(t *testing.T) {
	v := meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.6}
	n, err := draw[float64](100, 0.3, v, 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n.Units {
		m, in := 1.2*(0.6*n.xi[i]+0.8*n.etaM[i]), 0.5*(0.6*n.xi[i]+0.8*n.etaI[i])
		if !(math.Abs(n.M[i]-m) <= 1e-12) || !(math.Abs(n.U[i]-in) <= 1e-12) {
			t.Fatalf("m and I of unit %d are %g and %g, want %g and %g", i, n.M[i], n.U[i], m, in)
		}
	}
	want, readout := v.Readout(direction), n.along(direction)
	if u, v := kernels.Dot(readout, n.M), kernels.Dot(readout, n.U); !(math.Abs(u-want.U) <= 1e-12) || !(math.Abs(v-want.V) <= 1e-12) {
		t.Errorf("overlaps %g and %g, want %g and %g", u, v, want.U, want.V)
	}
}

// Fixed points found by the scan are at rest under the dynamics of the closed loop, and those with
// outliers below 1 attract.
func TestFixedPoints(t *testing.T) {
	n, err := draw[float64](200, 0.3, vectors, 1)
	if err != nil {
		t.Fatal(err)
	}
	scan, err := n.scan(t.Context(), 4, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := n.fixedPoints(t.Context(), scan, [][]float64{make([]float64, n.Units)}) // its gap is 0 at a value of the scan
	if err != nil || len(nothing) != 1 || nothing[0].z != 0 {
		t.Errorf("fixed points of a readout of zeros %+v, %v", nothing, err)
	}
	readouts := [][]float64{n.along(meanfield.Direction{Xi: 2, EtaM: 2, EtaI: 0.6}), n.along(direction)}
	points, err := n.fixedPoints(t.Context(), scan, readouts)
	if err != nil || len(points) < 4 {
		t.Fatalf("fixed points %+v, %v", points, err)
	}
	for _, p := range points {
		at, err := n.settle(t.Context(), []float64{p.z}, nil)
		if err != nil {
			t.Fatal(err)
		}
		readout := readouts[p.readout]
		if f := kernels.Dot(readout, at.rates); !(math.Abs(f-p.z) <= 1e-6) {
			t.Errorf("z = %g is read out as %g", p.z, f)
		}
		largest := p.outside()
		if math.IsNaN(largest) || math.Abs(largest-1) < 0.05 {
			continue
		}
		for i, m := range n.M { // a little aside
			at.x[i] += 0.01 * m
		}
		ends, err := n.ends(t.Context(), at.x, [][]float64{readout}, 80)
		if err != nil {
			t.Fatal(err)
		}
		end := ends[0]
		if stays := math.Abs(end-p.z) < 0.02; stays != (largest < 1) {
			t.Errorf("z = %g with the outlier %g ends at %g", p.z, largest, end)
		}
	}
}

// Least squares, ridge regression and gradient descent find multiples of the rates in the open loop; a closed loop with any of the
// readouts, or with that of FORCE, stays at the target.
func TestTraining(t *testing.T) {
	const target, alpha = 1.5, 3.0
	n, err := draw[float64](200, 0.5, vectors, 1)
	if err != nil {
		t.Fatal(err)
	}
	ls, err := n.leastSquares(t.Context(), target, 0)
	if err != nil {
		t.Fatal(err)
	}
	ridge, err := n.leastSquares(t.Context(), target, alpha)
	if err != nil {
		t.Fatal(err)
	}
	rates := make([]float64, n.Units)
	kernels.Tanh(rates, ls.x)
	square := kernels.SumSquares(rates)
	descent, err := readout.Descend(n.Units, rates, []float64{target}, 1/square, 50)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rates {
		if want := target * r / square; !(math.Abs(ls.readout[i]-want) <= 1e-10) || !(math.Abs(descent[i]-want) <= 1e-10) {
			t.Fatalf("unit %d: least squares %g and gradient descent %g, want %g", i, ls.readout[i], descent[i], want)
		}
		if want := target * r / (square + alpha); !(math.Abs(ridge.readout[i]-want) <= 1e-10) {
			t.Fatalf("unit %d: ridge regression %g, want %g", i, ridge.readout[i], want)
		}
	}
	learned, err := n.force(t.Context(), target, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	readouts := [][]float64{ls.readout, learned.readout}
	z, err := n.ends(t.Context(), append(append([]float64(nil), ls.x...), learned.x...), readouts, 60)
	if err != nil || !(math.Abs(z[0]-target) <= 1e-6) || !(math.Abs(z[1]-target) <= 0.01) {
		t.Errorf("the trained networks end at %v, %v", z, err)
	}
	if g := n.geometry(ls.readout, ls.readout); !(math.Abs(g.cosine-1) <= 1e-12) || !(math.Abs(g.norm-target*math.Sqrt(float64(n.Units)/square)) <= 1e-9) {
		t.Errorf("least squares has the geometry %+v", g)
	}
}

// Below the critical gain networks forget where they began and rest; above it they do not.
func TestWander(t *testing.T) {
	for gain, rests := range map[float64]bool{0.5: true, 2.5: false} {
		n, err := draw[float64](200, gain, vectors, 2)
		if err != nil {
			t.Fatal(err)
		}
		found, err := n.wander(t.Context(), 1, []wanderer[float64]{{input: 1, z: 0.5}, {}}, 60, 40)
		if err != nil {
			t.Fatal(err)
		}
		at, err := n.settle(t.Context(), []float64{0.5}, nil)
		if err != nil {
			t.Fatal(err)
		}
		held, alone := found[0], found[1]
		if rests {
			if want := kernels.SumSquares(at.x) / float64(n.Units); !(math.Abs(held.delta-want) <= 1e-6) || !(math.Abs(held.deltaInf-want) <= 1e-6) || alone.delta > 1e-6 {
				t.Errorf("Δ₀ and Δ_∞ are %g and %g, want %g; without input %g", held.delta, held.deltaInf, want, alone.delta)
			}
		} else if held.delta-held.deltaInf < 0.1 || alone.delta-alone.deltaInf < 1 {
			t.Errorf("the state fluctuates by %g, and without input by %g", held.delta-held.deltaInf, alone.delta-alone.deltaInf)
		}
		if len(held.z) != 40 || held.z[0] != 0.5 {
			t.Errorf("z is %v", held.z)
		}
	}
}

// Of three states the target has the initial states between its neighbours; the correlation of ranks is the one in closed
// form.
func TestPrediction(t *testing.T) {
	state := func(z float64, stable bool) meanfield.Solution {
		return meanfield.Solution{State: meanfield.State{Z: z}, Stable: stable}
	}
	for name, c := range map[string]struct {
		states []meanfield.Solution
		want   forecast
	}{
		"alone":        {[]meanfield.Solution{state(1, true)}, forecast{alone, 1}},
		"unstable":     {[]meanfield.Solution{state(1, false)}, forecast{unstable, 0}},
		"of two":       {[]meanfield.Solution{state(-2, true), state(-0.6, false), state(1, true)}, forecast{stable, 13. / 16}}, // z₀ from −0.5 on
		"of two below": {[]meanfield.Solution{state(1, true), state(1.5, false), state(3, true)}, forecast{stable, 14. / 16}},
		"none":         {nil, forecast{unstable, 0}},
	} {
		if got := predict(c.states, 1); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{1, 8, 27, 64}, 1},
		{[]float64{1, 2, 3, 4}, []float64{9, 7, 5, 3}, -1},
		{[]float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}, 0.8},  // 1 − 6Σd²/(n³ − n)
		{[]float64{1, 1, 2}, []float64{3, 4, 5}, math.Sqrt(3) / 2}, // of ranks 1.5, 1.5, 3 and 1, 2, 3
		{[]float64{1, 2, 2, 3}, []float64{1, 3, 3, 9}, 1},          // equal where the other is
	} {
		if got := rankCorrelation(c.x, c.y); !(math.Abs(got-c.want) <= 1e-12) {
			t.Errorf("%v and %v correlate by %g, want %g", c.x, c.y, got, c.want)
		}
	}
}
