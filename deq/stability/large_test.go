package stability_test

import (
	"math"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/rng"
)

// Beyond MaxDense units the index and the bulk come from products alone, and what these do not tell is not told.
func TestBeyondMaxDense(t *testing.T) {
	if testing.Short() {
		t.Skip("decompositions of 1025 units")
	}
	const n = stability.MaxDense + 1
	for _, c := range []struct {
		gain, outlier float64
		unstable      int
		index         int
		complete      bool
	}{{0.5, 0, 0, 1, true}, {0.5, 2, 1, -1, true}, {1.5, 0, 0, 0, false}} {
		r := rng.Stream(1, "large")
		w := make([]float64, n*n)
		for i := range w {
			w[i] = c.gain*r.NormFloat64()/math.Sqrt(n) + c.outlier/n
		}
		l := weighted(t, "tanh", w, nil)
		found := find(t, l, nil, nil, stability.Finder{Trajectories: -1, Rounds: -1})
		if len(found) != 1 {
			t.Fatalf("gain %g: %d points", c.gain, len(found))
		}
		p := found[0]
		if p.Complete != c.complete || p.Index != c.index || c.complete && p.Unstable != c.unstable || !math.IsNaN(p.Error) {
			t.Errorf("gain %g, outlier %g: complete %v, %d unstable, index %d, error %g", c.gain, c.outlier, p.Complete, p.Unstable, p.Index, p.Error)
		}
		e, err := l.At(make([]float64, 1), p.Z)
		if err != nil {
			t.Fatal(err)
		}
		radius, edge, err := stability.BulkRadiusAt(ctx, e, 0, p.Values)
		if err != nil || !(math.Abs(radius-c.gain) < 0.02*c.gain) || !(edge > radius) {
			t.Errorf("gain %g, outlier %g: bulk %g, edge %g, %v", c.gain, c.outlier, radius, edge, err)
		}
	}
}
