package stability_test

import (
	"math"
	"testing"

	"attractor/deq/stability"
)

// The portrait of the pitchfork lies along its first unit, where all that happens: the points are as far apart as
// they are, the saddle's direction is that of the axis, and of the trajectories two leave it, one to either stable point.
func TestDraw(t *testing.T) {
	l, points := pitchfork(t)
	const random, steps = 20, 30
	for dynamics, states := range map[string]int{"map": steps + 1, "rate": 10*steps + 1} {
		p, err := stability.Draw(ctx, l, nil, points, random, steps, dynamics, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Paths) != random+2 || len(p.Points) != 3 || len(p.Unstable[0]) != 1 || len(p.Unstable[1]) != 0 {
			t.Fatalf("%s: %d paths, %d points and unstable directions %v", dynamics, len(p.Paths), len(p.Points), p.Unstable)
		}
		if v := p.Variance[0]; v < 0.8 || !(math.Abs(v+p.Variance[1]-1) <= 1e-12) {
			t.Errorf("%s: variances %v", dynamics, p.Variance)
		}
		distance := func(a, b [2]float64) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }
		want := math.Hypot(points[1].Z[0]-points[2].Z[0], points[1].Z[1]-points[2].Z[1])
		if d := distance(p.Points[1], p.Points[2]); !(math.Abs(d-want) <= 1e-12) {
			t.Errorf("%s: the stable points are %g apart, want %g", dynamics, d, want)
		}
		if d := p.Unstable[0][0]; !(math.Abs(distance(d, [2]float64{})-1) <= 1e-12) {
			t.Errorf("%s: unstable direction %v", dynamics, d)
		}
		ends := [3]int{}
		for i, path := range p.Paths {
			if len(path) != states {
				t.Fatalf("%s: a path of %d states, want %d", dynamics, len(path), states)
			}
			for k := range ends {
				if distance(path[len(path)-1], p.Points[k]) < 0.05 && i >= random {
					ends[k]++
				}
			}
			if i >= random && distance(path[0], p.Points[0]) > 0.1 {
				t.Errorf("%s: path %d does not begin by the saddle", dynamics, i)
			}
		}
		if ends != [3]int{0, 1, 1} {
			t.Errorf("%s: from the saddle %v trajectories go to the points", dynamics, ends)
		}
	}
}
