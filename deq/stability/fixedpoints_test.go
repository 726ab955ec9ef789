package stability_test

import (
	"context"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/models/meanfield"

	"gonum.org/v1/gonum/mat"
)

// planted is a layer z = tanh(Wz + b) with fixed points at the given states, [points, n], of
// least ‖W‖: W Z = artanh Z − b.
func planted(t *testing.T, n int, points [][]float64, b []float64, batch int) *deq.Layer[float64] {
	t.Helper()
	l := free[float64](t, models.Rate{N: n}, 1, batch, 1)
	z, a := mat.NewDense(n, len(points), nil), mat.NewDense(n, len(points), nil)
	for j, p := range points {
		for i, v := range p {
			z.Set(i, j, v)
			a.Set(i, j, math.Atanh(v)-b[i])
		}
	}
	var inverse, w mat.Dense // Z⁺ = (ZᵀZ)⁻¹Zᵀ
	var gram mat.Dense
	gram.Mul(z.T(), z)
	if err := inverse.Solve(&gram, z.T()); err != nil {
		t.Fatal(err)
	}
	w.Mul(a, &inverse)
	update(l, func() {
		copy(l.Params.Data("W"), w.RawMatrix().Data)
		copy(l.Params.Data("b"), b)
	})
	return l
}

func find(t *testing.T, l *deq.Layer[float64], x, starts []float64, o stability.Finder) []stability.FixedPoint {
	t.Helper()
	found, err := stability.FixedPoints(ctx, l, x, starts, o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// All planted points are found, whatever their kind, with their spectra, and each point once.
func TestPlantedFixedPoints(t *testing.T) {
	const n = 30
	for seed := range uint64(3) {
		r := rng.Stream(seed, "planted")
		var points [][]float64
		for range 4 {
			p := make([]float64, n)
			for i := range p {
				p[i] = 0.9 * (2*r.Float64() - 1)
			}
			points = append(points, p)
		}
		b := make([]float64, n)
		for i := range b {
			b[i] = 0.1 * r.NormFloat64()
		}
		l := planted(t, n, points, b, 64)
		found := find(t, l, nil, nil, stability.Finder{Seed: seed})
		for k, p := range points {
			hits := 0
			for _, f := range found {
				if math.Sqrt(kernels.SquaredDistance(p, f.Z)) < 1e-6 {
					hits++
				}
			}
			if hits != 1 {
				t.Errorf("seed %d: planted point %d is found %d times among %d", seed, k, hits, len(found))
			}
		}
		kinds, indices := map[string]int{}, 0
		for i, f := range found {
			kinds[f.Status]++
			indices += f.Index
			if f.Q > 1e-18 || f.Found < 1 {
				t.Errorf("seed %d: point %d: q %.2g, found %d times", seed, i, f.Q, f.Found)
			}
			for _, other := range found[:i] {
				if d := math.Sqrt(kernels.SquaredDistance(other.Z, f.Z) / n); !(d >= 1e-3) {
					t.Errorf("seed %d: two points %.2g apart", seed, d)
				}
			}
			j := mat.NewDense(n, n, nil)
			j.Apply(func(i, k int, _ float64) float64 {
				return (1 - f.Z[i]*f.Z[i]) * l.Params.Data("W")[i*n+k]
			}, j)
			want, _ := eigenvalues(t, j, mat.EigenNone)
			unstable := 0
			for _, v := range want {
				if cmplx.Abs(v) >= 1 {
					unstable++
				}
				if d := nearest(v, f.Values); !(d <= 1e-9) {
					t.Errorf("seed %d: point %d lacks the eigenvalue %v by %.2g", seed, i, v, d)
				}
			}
			if f.Unstable != unstable || (f.Status == stability.Stable) != (unstable == 0) {
				t.Errorf("seed %d: point %d: %s with %d unstable modes, want %d", seed, i, f.Status, f.Unstable, unstable)
			}
		}
		if kinds[stability.Stable] == 0 || kinds[stability.Saddle] == 0 {
			t.Errorf("seed %d: %v", seed, kinds)
		}
		if indices != 1 { // Poincaré and Hopf: else points are missing
			t.Errorf("seed %d: the indices of %d points add up to %d", seed, len(found), indices)
		}
	}
}

// Far from 0 the gates of a GRU close, and nothing moves to rounding: these are no fixed points. Its state is a mean of
// numbers within (−1, 1), and so are all that there are.
func TestClosedGatesAreNoFixedPoints(t *testing.T) {
	for seed := range uint64(4) {
		l := free[float64](t, models.GRU{N: 6, Gain: 2}, 2, 64, seed)
		indices := 0
		found := find(t, l, nil, nil, stability.Finder{Seed: seed})
		for _, f := range found {
			indices += f.Index
			for _, z := range f.Z {
				if !(math.Abs(z) <= 1) {
					t.Fatalf("seed %d: a %s point at %v", seed, f.Status, f.Z)
				}
			}
		}
		if indices != 1 {
			t.Errorf("seed %d: the indices of %d points add up to %d", seed, len(found), indices)
		}
	}
}

// Points that are slow but not fixed are listed on request alone.
func TestSlowPoints(t *testing.T) {
	l := free[float64](t, models.Rate{N: 1}, 1, 64, 1) // tanh(3z + b), just beyond where two points have met
	slow := math.Sqrt(2.0 / 3)
	update(l, func() { l.Params.Data("W")[0], l.Params.Data("b")[0] = 3, math.Atanh(slow)-3*slow-0.02 })
	for want, o := range map[int]stability.Finder{1: {}, 2: {Slow: 1e-3}} {
		found := find(t, l, nil, nil, o)
		if len(found) != want {
			t.Fatalf("%+v: %+v", o, found)
		}
		for _, f := range found {
			if (f.Status == stability.Slow) != (f.Q > 1e-18) || f.Q > 1e-3 || f.Status == stability.Slow && !(math.Abs(f.Z[0]-slow) <= 0.05) {
				t.Errorf("%+v", f)
			}
			speed := func(z float64) float64 { d := math.Tanh(3*z+l.Params.Data("b")[0]) - z; return d * d / 2 }
			const h = 1e-5 // where dq/dz is 0, and not where it is 0.01 farther
			for off, still := range map[float64]bool{0: true, 0.01: false} {
				if slope := (speed(f.Z[0]+off+h) - speed(f.Z[0]+off-h)) / (2 * h); (math.Abs(slope) < 1e-9) != still {
					t.Errorf("%s: dq/dz is %.2g at %g beside %v", f.Status, slope, off, f.Z)
				}
			}
		}
	}
}

func TestBadFinder(t *testing.T) {
	l := free[float64](t, models.Rate{N: 3}, 2, 4, 1)
	for want, o := range map[string]stability.Finder{
		"expected map or rate, found \"flow\"": {Dynamics: "flow"}, "expected at least 1, 1 and 0": {Steps: -1}, "expected positive numbers": {Unique: -1},
	} {
		if _, err := stability.FixedPoints(ctx, l, nil, nil, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
	if _, err := stability.FixedPoints(ctx, l, []float64{1}, nil, stability.Finder{}); err == nil || !strings.Contains(err.Error(), "expected 2") {
		t.Errorf("short input: error %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := stability.FixedPoints(cancelled, l, nil, nil, stability.Finder{}); err == nil {
		t.Error("cancelled: no error")
	}
}

// feedback is a layer of the network with one loop and the vectors of a direction of n, made for a target, with the
// theory of it; nil where there is none.
func feedback(t *testing.T, r *rand.Rand, n int, v meanfield.Vectors, gain float64, d meanfield.Direction, target float64) (*deq.Layer[float64], *meanfield.Loop) {
	t.Helper()
	open, err := v.Network(gain).Open()
	if err != nil {
		t.Fatal(err)
	}
	loop, err := open.CloseAt(v.Readout(d), target)
	if err != nil {
		return nil, nil
	}
	m := models.Feedback{N: n, Gain: gain, Orthogonal: true}
	l := free[float64](t, m, 1, 64, r.Uint64())
	xi, etaM, etaI := m.Vectors(r, 1)
	c := (loop.U + loop.V) / (v.Readout(d).U + v.Readout(d).V)
	update(l, func() {
		for i := range n {
			x, a, b := xi[0][i], etaM[0][i], etaI[0][i]
			l.Params.Data("M")[i] = v.SigmaM * (v.Rho*x + math.Sqrt(1-v.Rho*v.Rho)*a)
			l.Params.Data("U")[i] = v.SigmaI * (v.Rho*x + math.Sqrt(1-v.Rho*v.Rho)*b)
			l.Params.Data("n")[i] = c / float64(n) * (d.Xi*x + d.EtaM*a + d.EtaI*b)
		}
	})
	return l, &loop
}

// Networks with a loop of rank one have as many fixed points as their theory says, and as the scan of the loop
// finds, away from bifurcations.
func TestFixedPointsOfLoops(t *testing.T) {
	const n = 120
	networks := 50
	if testing.Short() {
		networks = 10
	}
	r := rng.Stream(1, "loops")
	counts := map[int]int{}
	for seen := 0; seen < networks; {
		v := meanfield.Vectors{SigmaM: 0.5 + r.Float64(), SigmaI: 0.2 + 0.8*r.Float64(), Rho: r.Float64()}
		d := meanfield.Direction{Xi: r.NormFloat64(), EtaM: r.NormFloat64(), EtaI: r.NormFloat64()}
		bistable := seen%2 == 1
		if bistable { // more often than not
			d = meanfield.Direction{Xi: 0.3 * d.Xi, EtaM: 1, EtaI: 0.3 * d.EtaI}
		}
		gain, target := 0.1+0.5*r.Float64(), 0.5+1.5*r.Float64()
		l, loop := feedback(t, r, n, v, gain, d, target)
		if loop == nil {
			continue
		}
		// The overlaps of a finite network are off by some 1/√n, and what is read out too.
		want, sharp := loop.FixedPoints(), true
		open, err := v.Network(gain).Open()
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []float64{0.8, 1.25} {
			for _, shift := range []float64{-0.15, 0.15} {
				near := open.Close(meanfield.Readout{U: u * loop.U, V: loop.V + shift})
				sharp = sharp && len(near.FixedPoints()) == len(want)
			}
		}
		for _, z := range want {
			if s := loop.At(z); math.Abs(s.Slope-1) < 0.3 || !(math.Abs(z) <= 4) {
				sharp = false
			}
		}
		if !sharp || bistable != (len(want) > 1) {
			continue
		}
		seen++
		found := find(t, l, []float64{1}, nil, stability.Finder{Dynamics: "rate", K: 2, Trajectories: 8, Steps: 30, Visited: 3})
		if _, scan := scanned(t, l, stability.Loop{From: -12, To: 12, Points: 101}); len(scan) != len(found) {
			t.Errorf("network %d: %d fixed points, and %d by the scan of the loop", seen, len(found), len(scan))
		}
		if len(found) != len(want) {
			t.Errorf("network %d (%+v %+v gain %g target %g): %d fixed points, want those at z = %.3f", seen, v, d, gain, target, len(found), want)
		}
		counts[len(want)]++
		for _, f := range found {
			z := kernels.Dot(l.Params.Data("n"), tanh(f.Z))
			off := math.Inf(1)
			var nearest meanfield.Solution
			for _, w := range want {
				if d := math.Abs(z - w); d < off {
					off, nearest = d, loop.At(w)
				}
			}
			if stable := f.Status == stability.Stable; stable != nearest.Stable {
				t.Errorf("network %d: the point at z = %.3f is %s, theory says stable: %v at %.3f", seen, z, f.Status, nearest.Stable, nearest.Z)
			}
		}
	}
	if counts[1]+counts[3] != networks || counts[3] == 0 {
		t.Errorf("networks by fixed points: %v", counts)
	}
	t.Log(counts)
}

func tanh(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Tanh(v)
	}
	return out
}
