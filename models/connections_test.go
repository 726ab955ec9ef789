package models_test

import (
	"math"
	"math/cmplx"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
)

// Every row has its share of connections; the seed decides which.
func TestConnections(t *testing.T) {
	for density, each := range map[float64]int{0.1: 3, 0.5: 15, 0.001: 1, 1: 30} {
		mask := models.Connections(1, 20, 30, density)
		for i := range 20 {
			sum := 0.0
			for _, v := range mask[i*30 : (i+1)*30] {
				sum += v
			}
			if int(sum) != each {
				t.Errorf("density %g: %v connections in row %d, want %d", density, sum, i, each)
			}
		}
		if other := models.Connections(2, 20, 30, density); density < 1 && slices.Equal(mask, other) {
			t.Errorf("density %g: two seeds give the same", density)
		}
	}
}

// The eigenvalues of W reach about to gain, whichever connections there are and of whichever sign; and
// excitation cancels inhibition.
func TestRadiusOfParametrisations(t *testing.T) {
	const n, gain = 300, 0.8
	for name, m := range map[string]models.Rate{
		"plain": {}, "sparse": {Density: 0.2}, "dale": {Dale: 0.8}, "both": {Dale: 0.7, Density: 0.3},
	} {
		m.N, m.Gain = n, gain
		l, err := deq.New[float64](m, 1, 1, 1, deq.Config{Batch: 1})
		if err != nil {
			t.Fatal(err)
		}
		synapses, err := l.Synapses()
		if err != nil {
			t.Fatal(err)
		}
		w, err := l.Weights(slices.IndexFunc(synapses, func(y deq.Synapse) bool { return y.Param == "W" }))
		if err != nil {
			t.Fatal(err)
		}
		var eigen mat.Eigen
		if !eigen.Factorize(mat.NewDense(n, n, slices.Clone(w)), mat.EigenNone) {
			t.Fatal("no eigenvalues")
		}
		var size []float64
		for _, v := range eigen.Values(nil) {
			size = append(size, cmplx.Abs(v))
		}
		slices.Sort(size)
		// The means of rows of |w| are random, and set some eigenvalues apart: the bulk is what counts.
		if bulk := size[n-1-n/20]; !(math.Abs(bulk/gain-0.96) <= 0.06) {
			t.Errorf("%s: all but a twentieth of the eigenvalues are below %.3f of the gain", name, bulk/gain)
		}
		sum, square := 0.0, 0.0
		for _, v := range w {
			sum, square = sum+v, square+v*v
		}
		if m.Dale > 0 && !(math.Abs(sum) <= 4*math.Sqrt(square)) {
			t.Errorf("%s: the weights add up to %.3g, with deviations of %.3g", name, sum, math.Sqrt(square))
		}
	}
}

func TestBalanced(t *testing.T) {
	const n = 200
	w := make([]float64, n*n)
	models.Balanced{Gain: 1, Excitatory: 160, Density: 1}.Draw(rng.Stream(1, "W"), []int{n, n}, w)
	var excite, inhibit float64
	for k, v := range w {
		if k%n < 160 {
			excite += math.Abs(v)
		} else {
			inhibit += math.Abs(v)
		}
	}
	if r := excite / inhibit; !(math.Abs(r-1) <= 0.02) {
		t.Errorf("excitation is %.3f of inhibition", r)
	}
}
