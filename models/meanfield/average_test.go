package meanfield

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
)

// legendre integrates f(x) over N(mean, sd²) by Gauss–Legendre rules on short intervals.
func legendre(mean, sd float64, f func(x float64) float64) float64 {
	sum := 0.0
	for _, width := range []float64{1, -1} { // from the mean outwards, in x and in s
		for at := 0.0; at < 11*sd; {
			next := at + min(0.5, sd/2)*max(1, math.Floor(at/60)) // wide intervals where tanh is flat
			a, b := mean+width*at, mean+width*next
			sum += quad.Fixed(func(x float64) float64 {
				s := (x - mean) / sd
				return f(x) * math.Exp(-s*s/2) / (sd * math.Sqrt(2*math.Pi))
			}, min(a, b), max(a, b), 20, quad.Legendre{}, 0)
			at = next
		}
	}
	return sum
}

func slope(x float64) float64 { c := math.Cosh(x); return 1 / (c * c) }

// The averages have the stated error, over both ranges of Δ.
func TestAverageError(t *testing.T) {
	fine := newGrid(8 * nodes)
	buffer := make([]float64, 3*len(fine.s))
	worst := 0.0
	for _, mean := range []float64{0, 0.3, -2, 40} {
		for _, delta := range []float64{0, 1e-8, 1e-3, 0.3, 1, 7, 60, 195.9, 196.1, 1e3, 1e5, 1e9} {
			sd := math.Sqrt(delta)
			got, want := average(mean, delta), fine.average(mean, sd, buffer)
			for _, c := range [][2]float64{{got.d, want.d}, {got.dd, want.dd}, {got.t, want.t}, {got.td, want.td}} {
				worst = max(worst, math.Abs(c[0]-c[1]))
			}
		}
	}
	if !(worst <= averageError) {
		t.Errorf("error %.2g against eight times as many points, stated is %.2g", worst, averageError)
	}
	for _, c := range []struct{ mean, sd float64 }{{0, 0.5}, {0, 3}, {0, 13.9}, {0, 14.1}, {0.7, 1.3}, {-3, 14.1}, {30, 80}} {
		got := average(c.mean, c.sd*c.sd)
		for _, m := range []struct {
			name string
			got  float64
			f    func(x float64) float64
		}{
			{"⟨φ⟩", got.t, math.Tanh}, {"⟨φ′⟩", got.d, slope},
			{"⟨φ′²⟩", got.dd, func(x float64) float64 { return slope(x) * slope(x) }},
			{"⟨φφ′⟩", got.td, func(x float64) float64 { return math.Tanh(x) * slope(x) }},
			{"⟨φ²⟩", got.square(), func(x float64) float64 { return math.Tanh(x) * math.Tanh(x) }},
			{"⟨φ″⟩", got.second(), func(x float64) float64 { return -2 * math.Tanh(x) * slope(x) }},
			{"⟨φ‴⟩", got.third(), func(x float64) float64 { return slope(x) * (4 - 6*slope(x)) }},
			{"⟨φ′² + φφ″⟩", got.curve(), func(x float64) float64 { return slope(x) * (3*slope(x) - 2) }},
		} {
			if want := legendre(c.mean, c.sd, m.f); !(math.Abs(m.got-want) <= 1e-12) {
				t.Errorf("μ = %g, √Δ = %g: %s = %v, by Legendre's rule %v", c.mean, c.sd, m.name, m.got, want)
			}
		}
	}
	// tanh² = x² − 2x⁴/3 + 17x⁶/45 − …
	const small = 1e-3
	if got, want := average(0, small).square(), small-2*small*small+17./3*small*small*small; !(math.Abs(got-want) <= 40*math.Pow(small, 4)) {
		t.Errorf("⟨φ²⟩ = %v for Δ = %g, the series has %v", got, small, want)
	}
}

// Negative control: a Gauss–Hermite rule of 200 nodes, which is made for such averages, moves the outlier of the
// widest state of figure 1e, at A = −2, by more than the digits that are published.
func TestHermiteFallsShort(t *testing.T) {
	o := open(t, fig1e.Network(gain))
	l := closeAt(t, o, fig1e.Readout(direction), -2)
	found := l.Solutions()
	s := found[len(found)-1]
	sd := math.Sqrt(s.Delta)
	third := quad.Fixed(func(x float64) float64 {
		d := slope(math.Sqrt2 * sd * x)
		return d * (4 - 6*d) * math.Exp(-x*x) / math.Sqrt(math.Pi)
	}, math.Inf(-1), math.Inf(1), 200, quad.Hermite{}, 0)
	_, half := o.drive(s.Z)
	if moved := math.Abs((l.U*s.Z + l.V) * half * (third - s.third())); moved < 10*digit {
		t.Errorf("at z = %.3f C of the outliers is off by %.2g only", s.Z, moved)
	}
}

func TestPair(t *testing.T) {
	const vx, vy, q = 1.3, 4.2, 0.8
	p := gaussian{varX: vx, varY: vy, cov: q}
	a := p.average(true)
	for _, delta := range []float64{1e-6, 0.1, vx, vy, 30, 150} {
		one, other := average(0, delta), average(0, vy)
		equal := gaussian{varX: delta, varY: delta, cov: delta}.average(false)
		apart := gaussian{varX: delta, varY: vy}.average(false)
		for _, c := range [][2]float64{{equal.tt, one.square()}, {equal.dd, one.dd}, {apart.tt, 0}, {apart.dd, one.d * other.d}} {
			if !(math.Abs(c[0]-c[1]) <= pairError) {
				t.Errorf("Δ = %g: %v, want %v", delta, c[0], c[1])
			}
		}
	}
	// Price's theorem: ∂⟨fg⟩/∂q = ⟨f′g′⟩ and ∂⟨fg⟩/∂Δ_y = ½⟨fg″⟩.
	const h = 1e-4
	p.cov = q + h
	up := p.average(true)
	p.cov = q - h
	down := p.average(true)
	p.cov, p.varY = q, vy+h
	wide := p.average(true)
	p.varY = vy - h
	narrow := p.average(true)
	p.varY, p.meanY = vy, h
	right := p.average(true)
	p.meanY = -h
	left := p.average(true)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"∂⟨ΦΦ⟩/∂q", (up.ll - down.ll) / (2 * h), a.tt}, {"∂⟨φφ⟩/∂q", (up.tt - down.tt) / (2 * h), a.dd},
		{"∂⟨φφ⟩/∂Δ_y", (wide.tt - narrow.tt) / (2 * h), a.tdd / 2}, {"∂⟨φΦ⟩/∂μ_y", (right.tl - left.tl) / (2 * h), a.tt},
	} {
		if !(math.Abs(c.got-c.want) <= 1e-7) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	// ∂⟨Φ(x)Φ(y)⟩/∂Δ_x = ½⟨φ′(x)Φ(y)⟩
	wide = gaussian{varX: vx + h, varY: vy, cov: q}.average(true)
	narrow = gaussian{varX: vx - h, varY: vy, cov: q}.average(true)
	if got := (wide.ll - narrow.ll) / (2 * h); !(math.Abs(got-a.dl/2) <= 1e-7) {
		t.Errorf("∂⟨ΦΦ⟩/∂Δ_x = %v, want %v", got, a.dl/2)
	}
}
