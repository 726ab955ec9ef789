package stability_test

import (
	"math"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/rng"

	"gonum.org/v1/gonum/mat"
)

func normals(seed uint64, rows, columns int) *mat.Dense {
	r := rng.Stream(seed, "geometry")
	m := mat.NewDense(rows, columns, nil)
	m.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, m)
	return m
}

func TestSVCCA(t *testing.T) {
	x := normals(1, 200, 5)
	var mapped mat.Dense
	mapped.Mul(x, normals(2, 5, 8)) // a linear function of x, in more units
	mapped.Apply(func(_, j int, v float64) float64 { return v + float64(j) }, &mapped)
	half := mat.NewDense(200, 4, nil) // two of the directions of x, and two others
	other := normals(3, 200, 2)
	for i := range 200 {
		half.SetRow(i, []float64{x.At(i, 0), x.At(i, 1), other.At(i, 0), other.At(i, 1)})
	}
	for _, c := range []struct {
		name      string
		y         *mat.Dense
		want, tol float64
	}{
		{"itself", x, 1, 1e-12}, {"a function", &mapped, 1, 1e-12}, {"half", half, 0.5, 0.15}, {"another", normals(4, 200, 5), 0, 0.2},
	} {
		got, err := stability.SVCCA(x, c.y, 1)
		if err != nil {
			t.Fatal(err)
		}
		back, err := stability.SVCCA(c.y, x, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(got-c.want) <= c.tol) || !(math.Abs(got-back) <= 1e-12) {
			t.Errorf("%s: %.4f, turned round %.4f, want %.4f", c.name, got, back, c.want)
		}
	}
	// What little noise adds is not kept.
	noisy := mat.DenseCopyOf(x)
	noisy.Apply(func(i, j int, v float64) float64 {
		if j == 4 {
			return 1e-3 * other.At(i, 0)
		}
		return v
	}, noisy)
	few := mat.DenseCopyOf(x.Slice(0, 200, 0, 4))
	if got, err := stability.SVCCA(few, noisy, 0.99); err != nil || !(math.Abs(got-1) <= 1e-5) {
		t.Errorf("with noise: %g, %v", got, err)
	}
	for name, y := range map[string]*mat.Dense{"fewer samples": normals(1, 100, 5), "no variation": mat.NewDense(200, 2, nil)} {
		if _, err := stability.SVCCA(x, y, 0.99); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := stability.SVCCA(x, x, 0); err == nil {
		t.Error("nothing kept: accepted")
	}
}

func TestGeometry(t *testing.T) {
	g := stability.GeometryOf([]float64{3, 4}, []float64{1, 0}, []float64{0, 0})
	for i, want := range [][]float64{{25, 3, 0}, {3, 1, 0}, {0, 0, 0}} {
		for k, v := range want {
			if g.Overlaps[i][k] != v {
				t.Errorf("overlap %d, %d is %g, want %g", i, k, g.Overlaps[i][k], v)
			}
		}
	}
	if g.Cosines[0][1] != 0.6 || g.Cosines[1][0] != 0.6 || g.Cosines[0][0] != 1 || !math.IsNaN(g.Cosines[0][2]) {
		t.Errorf("cosines %v", g.Cosines)
	}
}

// Two kinds of networks, whose states follow different inputs, each in random directions of its own units and with noise: by
// their distances MDS puts those of a kind together, whatever their units.
func TestDistances(t *testing.T) {
	const samples, networks = 120, 8
	inputs := []*mat.Dense{normals(1, samples, 3), normals(2, samples, 3)}
	var activities []*mat.Dense
	for i := range uint64(networks) {
		units := 10 + int(i)
		x, noise := new(mat.Dense), normals(100+i, samples, units)
		x.Mul(inputs[i%2], normals(10+i, 3, units))
		noise.Scale(0.05, noise)
		x.Add(x, noise)
		activities = append(activities, x)
	}
	d, err := stability.Distances(activities, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	at, err := stability.MDS(d, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range networks {
		for k := range i {
			apart := math.Hypot(at.At(i, 0)-at.At(k, 0), at.At(i, 1)-at.At(k, 1))
			if same := i%2 == k%2; same != (d.At(i, k) < 0.2) || same != (apart < 0.3) {
				t.Errorf("networks %d and %d are %.3f apart, on the plane %.3f", k, i, d.At(i, k), apart)
			}
		}
	}
	if _, err := stability.Distances(nil, 0.9); err == nil {
		t.Error("no networks: accepted")
	}
	if _, err := stability.Distances([]*mat.Dense{activities[0], normals(3, 7, 4)}, 0.9); err == nil {
		t.Error("other samples: accepted")
	}
}

func TestMDS(t *testing.T) {
	flat := normals(1, 9, 2)
	d := mat.NewSymDense(9, nil)
	distance := func(p *mat.Dense, i, j int) float64 {
		return math.Hypot(p.At(i, 0)-p.At(j, 0), p.At(i, 1)-p.At(j, 1))
	}
	for i := range 9 {
		for j := range i {
			d.SetSym(i, j, distance(flat, i, j))
		}
	}
	got, err := stability.MDS(d, 2)
	if err != nil {
		t.Fatal(err)
	}
	wide := [2]float64{}
	for i := range 9 {
		for j := range i {
			if off := distance(got, i, j) - d.At(i, j); !(math.Abs(off) <= 1e-12) {
				t.Errorf("points %d and %d are %g too far apart", i, j, off)
			}
		}
		for k := range wide {
			wide[k] += got.At(i, k) * got.At(i, k)
		}
	}
	if wide[0] < wide[1] {
		t.Errorf("widths %v", wide)
	}
	if _, err := stability.MDS(d, 0); err == nil {
		t.Error("no dimension: accepted")
	}
}
