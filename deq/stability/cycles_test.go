package stability_test

import (
	"math"
	"math/cmplx"
	"testing"

	"attractor/deq/stability"
	"attractor/internal/kernels"
	"attractor/internal/rng"
)

// ends runs random states to where they are and looks for their cycles.
func cyclesOf(t *testing.T, activation string, w []float64, o stability.Cycling) ([]stability.Cycle, []int) {
	t.Helper()
	l := weighted(t, activation, w, nil)
	r := rng.Stream(5, "cycles")
	states := make([]float64, 40*l.Units)
	for i := range states {
		states[i] = r.NormFloat64()
	}
	ends, err := stability.Run(ctx, l, nil, states, nil, stability.Basins{Dynamics: o.Dynamics})
	if err != nil {
		t.Fatal(err)
	}
	cycles, where, err := stability.Cycles(ctx, l, nil, ends.Last, o)
	if err != nil {
		t.Fatal(err)
	}
	return cycles, where
}

// Cycles of maps, with their multipliers by another way: the product of the derivatives.
func TestCyclesOfMaps(t *testing.T) {
	turn := func(g, angle float64) []float64 {
		s, c := math.Sincos(angle)
		return []float64{g * c, -g * s, g * s, g * c}
	}
	for _, c := range []struct {
		name, activation string
		w                []float64
		period           float64
		count            int // of cycles
		status           string
	}{
		{"quarter turn", "tanh", turn(1.5, math.Pi/2), 4, 1, stability.Stable},
		{"flip", "tanh", []float64{-1.5}, 2, 1, stability.Stable},
		{"two units in turn", "tanh", []float64{0, 2, -2, 0}, 4, 1, stability.Stable},
		{"three in a row, which may rest too", "tanh", []float64{0, 0, 2, 2, 0, 0, 0, 2, 0}, 3, 0, stability.Stable},
		{"linear quarter turn", "linear", []float64{0, -1, 1, 0}, 4, 1, stability.Marginal},
		{"linear third of a turn", "linear", turn(1, 2*math.Pi/3), 3, 1, stability.Marginal},
		{"linear turn by 1", "linear", turn(1, 1), 0, 0, ""},
	} {
		cycles, ends := cyclesOf(t, c.activation, c.w, stability.Cycling{})
		if c.count > 0 && len(cycles) != c.count || c.count == 0 && c.period == 0 && len(cycles) > 0 {
			t.Errorf("%s: %d cycles: %+v", c.name, len(cycles), cycles)
			continue
		}
		found := 0
		for _, q := range cycles {
			found += q.Found
			if q.Period != c.period || q.Status != c.status || q.Family != (c.status == stability.Marginal) {
				t.Errorf("%s: period %g, %s, family %v, %v", c.name, q.Period, q.Status, q.Family, q.Multipliers)
			}
			n := len(q.Z)
			z, product := append([]float64(nil), q.Z...), make([]float64, n*n)
			for i := range n {
				product[i*n+i] = 1
			}
			for range int(q.Period) {
				next, j := make([]float64, n), make([]float64, n*n)
				kernels.Gemm(false, false, n, 1, n, c.w, n, z, 1, 0, next, 1)
				for i := range next {
					slope := 1.0
					if c.activation == "tanh" {
						next[i] = math.Tanh(next[i])
						slope = 1 - next[i]*next[i]
					}
					kernels.Gemm(false, false, 1, n, n, c.w[i*n:(i+1)*n], n, product, n, 0, j[i*n:(i+1)*n], n)
					kernels.Scale(j[i*n:(i+1)*n], slope, j[i*n:(i+1)*n])
				}
				z, product = next, j
			}
			if far := math.Sqrt(kernels.SquaredDistance(z, q.Z)); !(far < 1e-12) {
				t.Errorf("%s: after a period it is %g away", c.name, far)
			}
			trace := complex(0, 0)
			for _, v := range q.Multipliers {
				trace += v
			}
			want := 0.0
			for i := range n {
				want += product[i*n+i]
			}
			if !(cmplx.Abs(trace-complex(want, 0)) < 1e-10) {
				t.Errorf("%s: multipliers %v, whose sum should be %g", c.name, q.Multipliers, want)
			}
		}
		settled := 0
		for _, e := range ends {
			if e != stability.Nowhere {
				settled++
			}
		}
		if settled != found || c.count > 0 && settled != len(ends) || c.count == 0 && c.period > 0 && settled < len(ends)/2 || c.period == 0 && settled > 0 {
			t.Errorf("%s: %d of %d states on cycles, which say %d", c.name, settled, len(ends), found)
		}
	}
}

// Cycles of the rate dynamics: the normal form of a turn in a rotation-invariant field has its period and multiplier by hand.
func TestCyclesOfFlows(t *testing.T) {
	// dz/dt = −z + tanh(Wz) of two units in opposition: weakly nonlinear near the onset of oscillations.
	cycles, ends := cyclesOf(t, "tanh", []float64{2, -2, 2, 2}, stability.Cycling{Dynamics: "rate"})
	if len(cycles) != 1 || cycles[0].Found != len(ends) {
		t.Fatalf("%d cycles: %+v", len(cycles), cycles)
	}
	c := cycles[0]
	// By classical Runge–Kutta steps, and with Liouville's formula for the one multiplier: exp ∫ (tr J − 2) dt.
	const steps = 20000
	h := c.Period / steps
	field := func(z [2]float64) (d [2]float64, trace float64) {
		a, b := math.Tanh(2*z[0]-2*z[1]), math.Tanh(2*z[0]+2*z[1])
		return [2]float64{a - z[0], b - z[1]}, 2*(1-a*a) + 2*(1-b*b) - 2
	}
	z, sum := [2]float64{c.Z[0], c.Z[1]}, 0.0
	for range steps {
		move := func(d [2]float64, h float64) [2]float64 { return [2]float64{z[0] + h*d[0], z[1] + h*d[1]} }
		a, ta := field(z)
		b, tb := field(move(a, h/2))
		d, td := field(move(b, h/2))
		e, te := field(move(d, h))
		sum += h / 6 * (ta + 2*tb + 2*td + te)
		z = move([2]float64{(a[0] + 2*b[0] + 2*d[0] + e[0]) / 6, (a[1] + 2*b[1] + 2*d[1] + e[1]) / 6}, h)
	}
	if far := math.Hypot(z[0]-c.Z[0], z[1]-c.Z[1]); !(far < 1e-8) {
		t.Errorf("after the period %g it is %g away", c.Period, far)
	}
	if len(c.Multipliers) != 1 || c.Status != stability.Stable || !(math.Abs(real(c.Multipliers[0])-math.Exp(sum)) < 1e-7) {
		t.Errorf("%s, multipliers %v, want %g", c.Status, c.Multipliers, math.Exp(sum))
	}

	// A centre, dz/dt = (W − I)z with the eigenvalues ±3i: all states are on cycles of the period 2π/3.
	cycles, ends = cyclesOf(t, "linear", []float64{1, -3, 3, 1}, stability.Cycling{Dynamics: "rate"})
	if len(cycles) != 1 || cycles[0].Found != len(ends) || !cycles[0].Family || cycles[0].Status != stability.Marginal || !(math.Abs(cycles[0].Period-2*math.Pi/3) < 1e-8) {
		t.Errorf("centre: %d cycles: %+v", len(cycles), cycles)
	}
	// Two centres with periods that have no common multiple.
	w := []float64{1, -3, 0, 0, 3, 1, 0, 0, 0, 0, 1, -math.Sqrt(2), 0, 0, math.Sqrt(2), 1}
	if cycles, _ = cyclesOf(t, "linear", w, stability.Cycling{Dynamics: "rate", Near: 1e-3}); len(cycles) > 0 {
		t.Errorf("a torus: %d cycles: %+v", len(cycles), cycles)
	}
}
