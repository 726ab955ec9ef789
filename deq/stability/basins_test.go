package stability_test

import (
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/models/meanfield"
	"attractor/solvers"
)

// pitchfork is z = tanh(1.5 z) in one unit, beside another unit that forgets: fixed points at 0 and ±p.
func pitchfork(t *testing.T) (*deq.Layer[float64], []stability.FixedPoint) {
	t.Helper()
	l := free[float64](t, models.Rate{N: 2}, 1, 16, 1)
	update(l, func() { copy(l.Params.Data("W"), []float64{1.5, 0, 0, 0.2}) })
	points := find(t, l, nil, nil, stability.Finder{})
	if len(points) != 3 || points[0].Status != stability.Saddle || points[0].Index != -1 || points[1].Index != 1 {
		t.Fatalf("%+v", points)
	}
	return l, points
}

func TestBasins(t *testing.T) {
	l, points := pitchfork(t)
	plus, minus := 1, 2
	if points[1].Z[0] < 0 {
		plus, minus = 2, 1
	}
	for _, dynamics := range []string{"map", "rate"} {
		o := stability.Basins{Dynamics: dynamics}
		ends, err := stability.Along(ctx, l, nil, []float64{1, -2}, []float64{-3, -0.01, 0.01, 1}, points, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{minus, minus, plus, plus} {
			if ends[i] != want {
				t.Errorf("%s: amplitude %d settles at %d, want %d", dynamics, i, ends[i], want)
			}
		}
		ends, err = stability.AtRandom(ctx, l, nil, 1000, 1, 3, points, o)
		if err != nil {
			t.Fatal(err)
		}
		up := 0
		for _, e := range ends {
			if e == plus {
				up++
			} else if e != minus {
				t.Errorf("%s: settles at %d", dynamics, e)
			}
		}
		if !(math.Abs(float64(up)-500) <= 4*math.Sqrt(250)) {
			t.Errorf("%s: %d of 1000 to one of two mirrored basins", dynamics, up)
		}
		edges, err := stability.Graph(ctx, l, nil, points, 1e-3, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(edges) != 2 || edges[0].From != 0 || edges[0].To+edges[1].To != plus+minus || edges[0].To == edges[1].To || edges[0].To < 1 {
			t.Errorf("%s: edges %+v", dynamics, edges)
		}
	}
	// The saddle is left alone: a state on it settles nowhere.
	ends, err := stability.Settle(ctx, l, nil, []float64{0, 0.5}, points, stability.Basins{Steps: 50})
	if err != nil || ends[0] != stability.Nowhere {
		t.Errorf("%v, %v", ends, err)
	}
	if _, err := stability.Settle(ctx, l, nil, []float64{0, 0.5}, points, stability.Basins{Dynamics: "flow"}); err == nil || !strings.Contains(err.Error(), `found "flow"`) {
		t.Error(err)
	}
}

// An unstable spiral settles on a cycle, at no fixed point; both directions of its plane are tried.
func TestGraphOfSpiral(t *testing.T) {
	l := free[float64](t, models.Rate{N: 2}, 1, 16, 1)
	update(l, func() { copy(l.Params.Data("W"), rotations([2]float64{1.4, 0.7})) })
	points := find(t, l, nil, nil, stability.Finder{})
	if len(points) != 1 || points[0].Unstable != 2 || points[0].Index != 1 {
		t.Fatalf("%+v", points)
	}
	edges, err := stability.Graph(ctx, l, nil, points, 1e-3, stability.Basins{Steps: 200})
	if err != nil || len(edges) != 4 {
		t.Fatalf("%+v, %v", edges, err)
	}
	for _, e := range edges {
		if e.To != stability.Nowhere {
			t.Errorf("%+v", e)
		}
	}
}

// scanned opens a network with one loop and one input, of 1, and scans it.
func scanned(t *testing.T, closed *deq.Layer[float64], o stability.Loop) (*deq.Layer[float64], []stability.LoopPoint[float64]) {
	t.Helper()
	// φ(Wr + m κ + I), whose fixed points are the φ of those of the closed one
	open := free[float64](t, models.Rate{N: closed.Units}, 2, 50, 1)
	update(open, func() {
		copy(open.Params.Data("W"), closed.Params.Data("W"))
		for i := range closed.Units {
			open.Params.Data("U")[2*i] = closed.Params.Data("M")[i]
			open.Params.Data("U")[2*i+1] = closed.Params.Data("U")[i]
		}
		copy(open.Params.Data("Wo"), closed.Params.Data("n"))
	})
	sharp := deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-12}}
	points, failed, err := stability.ScanLoop(ctx, open, []float64{0, 1}, o, sharp)
	if err != nil || failed > 0 {
		t.Fatal(failed, err)
	}
	return open, points
}

// The scan of a loop finds what the search of the closed network finds, with the slope 1 of theory where an
// eigenvalue is 1.
func TestScanLoop(t *testing.T) {
	const n = 150
	v := meanfield.Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.5}
	closed, loop := feedback(t, rng.Stream(3, "scan"), n, v, 0.3, meanfield.Direction{Xi: 1, EtaM: 1, EtaI: 0.3}, 2)
	want := loop.Solutions()
	if len(want) != 3 {
		t.Fatalf("%+v", want)
	}
	open, points := scanned(t, closed, stability.Loop{From: -12, To: 12})
	found := find(t, closed, []float64{1}, nil, stability.Finder{Dynamics: "rate"})
	if len(points) != 3 || len(found) != 3 {
		t.Fatalf("%d points by the scan and %d by the search, want 3", len(points), len(found))
	}
	for i, p := range points {
		if d := math.Abs(p.Value - want[i].Z); !(d <= 0.2) {
			t.Errorf("point %d at %.4f, theory %.4f", i, p.Value, want[i].Z)
		}
		near, status := math.Inf(1), ""
		for _, f := range found {
			if d := math.Sqrt(kernels.SquaredDistance(tanh(f.Z), p.Z)); d < near {
				near, status = d, f.Status
			}
		}
		if near > 1e-8 || (p.Slope > 1) != (status == stability.Saddle) {
			t.Errorf("point %d has slope %.3f and is %.2g from a %s point of the search", i, p.Slope, near, status)
		}
		if d := math.Abs(p.Slope - want[i].Slope); !(d <= 0.2) {
			t.Errorf("point %d: slope %.4f, theory %.4f", i, p.Slope, want[i].Slope)
		}
	}
	for want, o := range map[string]stability.Loop{"from output 1": {Out: 1, To: 1}, "from 0 to 0": {}, "at 1 values": {To: 1, Points: 1}} {
		if _, _, err := stability.ScanLoop(ctx, open, nil, o, deq.Solver[float64]{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
