package meanfield

import (
	"math"
	"math/cmplx"
	"slices"
	"testing"
)

// The network of figure 1e: vectors, gain and direction.
var (
	fig1e     = Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: 0.5}
	direction = Direction{Xi: 1, EtaM: 1, EtaI: 0.3}
)

const gain = 0.3

// digit is one unit in the fourth decimal, which published numbers are given to.
const digit = 1e-4

// published are z, outlier and radius of the solutions of figure 1e, by target.
var published = map[float64][][3]float64{
	-2:  {{-2, .2476, .1410}, {-.3626, 2.6266, .2434}, {2.3366, .0306, .1256}},
	-1:  {{-1, .6834, .1903}, {-.5608, 1.3877, .2267}, {1.5258, .1101, .1508}},
	0.5: {{.5, .3637, .2136}},
	1:   {{1, .2118, .1767}},
	2:   {{-1.6271, .3415, .1552}, {-.4026, 2.1786, .2403}, {2, .0562, .1345}},
}

func open(t *testing.T, n Network) *Open {
	t.Helper()
	o, err := n.Open()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func closeAt(t *testing.T, o *Open, r Readout, target float64) Loop {
	t.Helper()
	l, err := o.CloseAt(r, target)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFigure1e(t *testing.T) {
	o, readout := open(t, fig1e.Network(gain)), fig1e.Readout(direction)
	for target, want := range published {
		found := closeAt(t, o, readout, target).Solutions()
		if len(found) != len(want) {
			t.Fatalf("A = %g: %d solutions, want %d", target, len(found), len(want))
		}
		for i, w := range want {
			s := found[i]
			if !(math.Abs(s.Z-w[0]) <= digit) || !(math.Abs(real(s.Outliers[0])-w[1]) <= digit) || !(math.Abs(s.Radius-w[2]) <= digit) {
				t.Errorf("A = %g: z, λ, radius %.5f, %.5f, %.5f, want %v", target, s.Z, s.Outliers[0], s.Radius, w)
			}
			if s.Stable != (w[1] < 1) {
				t.Errorf("A = %g, z = %g: stable is %v", target, s.Z, s.Stable)
			}
		}
	}
	for target := -2.0; target < 2.05; target += 0.1 {
		want := 3
		if target > -0.25 && target < 1.45 {
			want = 1
		}
		if n := len(closeAt(t, o, readout, target).FixedPoints()); n != want {
			t.Errorf("A = %.1f: %d solutions, want %d", target, n, want)
		}
	}
}

// The flex, the loss of stability and the onset of bistability of figure 1e.
func TestLandmarks(t *testing.T) {
	o, readout := open(t, fig1e.Network(gain)), fig1e.Readout(direction)
	near(t, "flex", readout.Flex(), -0.2318, digit)
	if l := closeAt(t, o, readout, readout.Flex()-0.01).FixedPoints(); l[0] > -6 && l[len(l)-1] < 6 {
		t.Errorf("beside the flex the solutions are %v: expected |z| > 6", l)
	}
	if _, err := o.CloseAt(Readout{}, 1); err == nil {
		t.Error("a readout of zeros is scaled to a target")
	}
	lost, err := Zeros(func(a float64) (float64, error) {
		l, err := o.CloseAt(readout, a)
		if err != nil {
			return 0, err
		}
		return real(l.At(a).Outliers[0]) - 1, nil
	}, -2, 2, 41)
	if err != nil || len(lost) != 1 {
		t.Fatalf("stability is lost at %v, %v", lost, err)
	}
	near(t, "the loss of stability", lost[0], -0.7380, digit)
	found, err := Bifurcations(func(a float64) ([]float64, error) {
		l, err := o.CloseAt(readout, a)
		return l.FixedPoints(), err
	}, -2, 2, 41)
	if err != nil || len(found) != 2 || found[0].SaddleNode() || !found[1].SaddleNode() || found[1].After != 3 {
		t.Fatalf("bifurcations %v, %v", found, err)
	}
	near(t, "the flex by counting", found[0].At, readout.Flex(), 1e-5)
	near(t, "the onset of bistability", found[1].At, 1.4401, digit)
	l := closeAt(t, o, readout, found[1].At)
	if _, slope := l.Transfer(found[1].Z); !(math.Abs(slope-1) <= 1e-3) {
		t.Errorf("F′ is %g at the saddle-node", slope)
	}
}

// The classes of geometry at g = 0.3.
func TestClasses(t *testing.T) {
	etaM, etaI, xi := Direction{EtaM: 1}, Direction{EtaI: 1}, Direction{Xi: 1}
	for _, c := range []struct {
		rho      float64
		n        Direction
		z, wantL []float64 // outliers of largest modulus, where they are known
	}{
		{0, etaI, []float64{1}, []float64{-0.581}},
		{0, etaM, []float64{-1, 0, 1}, []float64{0.395, 1.619, 0.395}},
		{0.5, etaM, []float64{-1.208, 0, 1}, nil},
		{0.5, etaI, []float64{1}, nil},
		{0.5, xi, []float64{1}, nil},
	} {
		v := Vectors{SigmaM: 1.2, SigmaI: 0.5, Rho: c.rho}
		found := closeAt(t, open(t, v.Network(gain)), v.Readout(c.n), 1).Solutions()
		if len(found) != len(c.z) {
			t.Fatalf("ρ = %g, n ∝ %+v: %d solutions, want %d", c.rho, c.n, len(found), len(c.z))
		}
		for i, s := range found {
			near(t, "z", s.Z, c.z[i], 1e-3)
			if c.wantL != nil {
				l := s.Outliers[0]
				if !(cmplx.Abs(s.Outliers[1]) <= cmplx.Abs(l)) {
					l = s.Outliers[1]
				}
				near(t, "λ", real(l), c.wantL[i], 1e-3)
			}
		}
	}
	near(t, "the flex of n ∝ ξ", fig1e.Readout(xi).Flex(), -0.5/1.2, 1e-12)
	// n ∝ η_m has the partner −A − 2σ_mI/σ_m² at every target.
	n := fig1e.Network(gain)
	for _, a := range []float64{0.4, 1, 2} {
		z := closeAt(t, open(t, n), fig1e.Readout(etaM), a).FixedPoints()
		if len(z) != 3 {
			t.Fatalf("n ∝ η_m, A = %g: solutions %v", a, z)
		}
		near(t, "the partner", z[0], -a-2*n.CovMI/n.VarM, 1e-9)
		near(t, "the middle one", z[1], 0, 1e-9)
	}
}

func TestLeastSquares(t *testing.T) {
	for gain, want := range map[float64][2]float64{0.3: {1.545, 1.367}, 0.8: {1.545, 1.408}, 1.2: {1.579, 1.482}, 1.5: {1.652, 1.564}} {
		o := open(t, fig1e.Network(gain))
		onset := func(states func(a float64) ([]float64, error)) float64 {
			found, err := Bifurcations(states, 1.2, 1.8, 3)
			if err != nil || len(found) != 1 || found[0].Before != 1 || found[0].After != 3 {
				t.Fatalf("g = %g: bifurcations %v, %v", gain, found, err)
			}
			return found[0].At
		}
		exact := onset(func(a float64) ([]float64, error) {
			l, err := o.LeastSquares(a)
			if err != nil {
				return nil, err
			}
			return l.FixedPoints(), nil
		})
		linear := onset(func(a float64) ([]float64, error) {
			r, err := o.Linearised(a)
			return o.Close(r).FixedPoints(), err
		})
		near(t, "exact onset", exact, want[0], 0.01)
		near(t, "linearised onset", linear, want[1], 0.01)
	}
	// z = A is a fixed point, F′ is the derivative of F, and λ = 1 where F′(A) = 1.
	o := open(t, Vectors{SigmaM: 0.4, SigmaI: 0.17, Rho: 0.9}.Network(gain))
	excess := func(a float64) (l *LeastSquares, slope float64) {
		l, err := o.LeastSquares(a)
		if err != nil {
			t.Fatal(err)
		}
		f, slope := l.Transfer(a)
		near(t, "F(A)", f, a, 1e-10)
		up, _ := l.Transfer(0.3 + 1e-5)
		down, _ := l.Transfer(0.3 - 1e-5)
		_, d := l.Transfer(0.3)
		near(t, "F′", d, (up-down)/2e-5, 1e-7)
		return l, slope
	}
	l, _ := excess(-1)
	states := l.Solutions()
	if len(states) != 3 || !states[0].Stable || states[1].Stable || !states[2].Stable {
		t.Errorf("solutions at A = -1: %+v", states)
	}
	for i, s := range states {
		near(t, "a fixed point", s.Z, l.FixedPoints()[i], 0)
		if known := !cmplx.IsNaN(s.Outliers[0]); known != (i == 1) {
			t.Errorf("z = %g: outliers %v", s.Z, s.Outliers)
		}
	}
	near(t, "the target", states[1].Z, -1, 1e-9)
	near(t, "its outlier", real(states[1].Outliers[0]), l.Outlier(), 0)
	critical, err := Zeros(func(a float64) (float64, error) { _, slope := excess(a); return slope - 1, nil }, -1, -0.4, 5)
	for _, a := range critical {
		l, _ := excess(a)
		near(t, "the outlier where F′ = 1", l.Outlier(), 1, 1e-8)
	}
	if err != nil || len(critical) == 0 {
		t.Errorf("F′(A) = 1 at %v, %v", critical, err)
	}
	// To first order in φ, and without χ, the overlaps are those of the linearised readout.
	o = open(t, Vectors{SigmaM: 0.024, SigmaI: 0.01, Rho: 0.5}.Network(0))
	l, err = o.LeastSquares(1.5)
	if err != nil {
		t.Fatal(err)
	}
	linear, err := o.Linearised(1.5)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "u over that of mA + I", l.Readout().U/linear.U, 1, 1e-4)
	near(t, "v over that of mA + I", l.Readout().V/linear.V, 1, 1e-4)
	near(t, "|n|√N", l.Norm(), 1.5/math.Sqrt(o.Clamp(1.5).square()), 1e-9)
	if _, err := open(t, fig1e.Network(1.7)).LeastSquares(0.1); err == nil {
		t.Error("a target whose state fluctuates is accepted")
	}
}

// λ = 1 exactly where F′ = 1: (1 − λ₁)(1 − λ₂) = (1 − F′)(1 − g²⟨φ′² + φφ″⟩), with and without means.
func TestOutlierIdentity(t *testing.T) {
	for _, c := range []struct {
		n Network
		r Readout
	}{
		{fig1e.Network(gain), fig1e.Readout(direction)},
		{fig1e.Network(1.4), Readout{U: 2, V: -0.3}},
		{Network{Gain: 0.8, VarM: 0.5, VarI: 0.2, CovMI: -0.1, MeanM: 0.9, MeanI: -0.4}, Readout{U: 1.1, V: 0.3, Mean: 0.8}},
	} {
		o := open(t, c.n)
		l := o.Close(c.r)
		for _, z := range []float64{-3, -0.4, 0.1, 1, 2.5} {
			s := l.At(z)
			left := (1 - s.Outliers[0]) * (1 - s.Outliers[1])
			right := (1 - s.Slope) * (1 - c.n.Gain*c.n.Gain*s.curve())
			if !(cmplx.Abs(left-complex(right, 0)) <= 1e-12*max(1, math.Abs(right))) {
				t.Errorf("%+v at %g: (1 − λ₁)(1 − λ₂) = %v, want %v", c.n, z, left, right)
			}
			up, _ := l.Transfer(z + 1e-5)
			down, _ := l.Transfer(z - 1e-5)
			near(t, "F′", s.Slope, (up-down)/2e-5, 1e-7)
		}
	}
}

// The companion model has the published form where only its own terms are there, and is the
// other one where the means are 0.
func TestMeans(t *testing.T) {
	n := Network{Gain: 0.8, VarM: 0.4, VarI: 0.3, MeanM: 1.3, MeanI: 0.2}
	r := Readout{Mean: 1.7, V: 0.25}
	found := open(t, n).Close(r).Solutions()
	if len(found) == 0 {
		t.Fatal("no solutions")
	}
	for _, s := range found {
		m := average(s.Mean, s.Delta)
		near(t, "μ", s.Mean, n.MeanM*s.Z+n.MeanI, 1e-13)
		near(t, "Δ", s.Delta, n.Gain*n.Gain*m.square()+n.VarM*s.Z*s.Z+n.VarI, 1e-12)
		near(t, "κ", s.Z, r.Mean*m.t+r.V*m.d, 1e-12)
	}
	// a common factor of n and its inverse of m change nothing but z
	scaled := open(t, Network{Gain: 0.8, VarM: 0.4 / 4, VarI: 0.3, MeanM: 1.3 / 2, MeanI: 0.2}).Close(Readout{Mean: 2 * r.Mean, V: 2 * r.V}).Solutions()
	for i, s := range scaled {
		near(t, "2κ", s.Z, 2*found[i].Z, 1e-11)
		near(t, "Δ", s.Delta, found[i].Delta, 1e-11)
		near(t, "λ", real(s.Outliers[0]), real(found[i].Outliers[0]), 1e-11)
	}
}

func TestChaos(t *testing.T) {
	s := Network{Gain: 2}.Clamp(0)
	if !s.Chaotic {
		t.Fatal("g = 2 without input is not chaotic")
	}
	near(t, "Δ₀ at g = 2", s.Delta, 1.925, 1e-3)
	near(t, "Δ_∞ at g = 2", s.DeltaInf, 0, 1e-9)
	for a, want := range map[float64]float64{0: 1.550, 0.5: 1.784, 1: 2.064, 1.5: 2.319, 2: 2.550, 3: 2.960} {
		n := fig1e.Network(gain)
		near(t, "g_c", n.CriticalGain(a), want, 0.002)
		n.Gain = n.CriticalGain(a) * (1 + 1e-4)
		above := n.Clamp(a)
		n.Gain = n.CriticalGain(a) * (1 - 1e-4)
		if below := n.Clamp(a); !above.Chaotic || below.Chaotic || !(math.Abs(above.Delta-below.Delta) <= 0.01) {
			t.Errorf("A = %g: Δ is %g below the critical gain and %g above it", a, below.Delta, above.Delta)
		}
	}
	n := fig1e.Network(2.5)
	for _, z := range []float64{0, 0.5, 1} {
		s := n.Clamp(z)
		first, second := residuals(n, s)
		near(t, "the residual of Δ₀", first, 0, 1e-6)
		near(t, "the residual of Δ_∞", second, 0, 1e-6)
		up, down := n.Clamp(z+1e-4), n.Clamp(z-1e-4)
		near(t, "dΔ₀/dz", s.slope, (up.Delta-down.Delta)/2e-4, 1e-5)
	}
	// With means, whose equations are the same at other places of φ.
	n.MeanM, n.MeanI = 0.3, -0.1
	s = n.Clamp(0.4)
	up, down := n.Clamp(0.4+1e-4), n.Clamp(0.4-1e-4)
	if near(t, "dΔ₀/dz", s.slope, (up.Delta-down.Delta)/2e-4, 1e-5); !s.Chaotic {
		t.Error("g = 2.5 with means is not chaotic")
	}
	// A closed loop in chaos: the target is a solution, of which the fixed point is not stable.
	o, r := open(t, fig1e.Network(2.5)), fig1e.Readout(direction)
	found := closeAt(t, o, r, 1).Solutions()
	i := slices.IndexFunc(found, func(s Solution) bool { return math.Abs(s.Z-1) < 1e-9 })
	if i < 0 || !found[i].Chaotic || found[i].Stable {
		t.Errorf("solutions %+v", found)
	}
}

// residuals are those of the equations of chaos in their published form,
//
//	Δ₀² = Δ_∞² + 2{g²[⟨Φ²⟩ − ∫Dy(∫Dx Φ(√(Δ₀−Δ_∞)x + √Δ_∞ y))²] + S(Δ₀ − Δ_∞)}
//	Δ_∞ = g²∫Dy(∫Dx φ(√(Δ₀−Δ_∞)x + √Δ_∞ y))² + S
//
// with sums of their own.
func residuals(n Network, at State) (first, second float64) {
	const h, half = 0.1, 80
	weight := func(i int) float64 { s := h * float64(i); return h * math.Exp(-s*s/2) / math.Sqrt(2*math.Pi) }
	lncosh := func(x float64) float64 { return math.Log(math.Cosh(x)) }
	overlap := func(f func(float64) float64, inf float64) float64 {
		sum := 0.0
		for i := -half; i <= half; i++ {
			inner := 0.0
			for j := -half; j <= half; j++ {
				inner += weight(j) * f(math.Sqrt(at.Delta-inf)*h*float64(j)+math.Sqrt(inf)*h*float64(i))
			}
			sum += weight(i) * inner * inner
		}
		return sum
	}
	s, _ := n.drive(at.Z)
	g2, d, inf := n.Gain*n.Gain, at.Delta, at.DeltaInf
	first = d*d - inf*inf - 2*(g2*(overlap(lncosh, d)-overlap(lncosh, inf))+s*(d-inf))
	return first, inf - g2*overlap(math.Tanh, inf) - s
}

// Negative controls: the wrong statistics do not give the published numbers.
func TestWrongStatistics(t *testing.T) {
	right := fig1e.Network(gain)
	rho, variance := right, right
	rho.CovMI = fig1e.Rho * fig1e.SigmaM * fig1e.SigmaI // ρ in place of ρ²
	variance.VarM = fig1e.SigmaM                        // σ_m read as a variance
	variance.CovMI = fig1e.Rho * fig1e.Rho * math.Sqrt(fig1e.SigmaM) * fig1e.SigmaI
	readout := fig1e.Readout(direction)
	wrongReadout := Vectors{SigmaM: math.Sqrt(fig1e.SigmaM), SigmaI: fig1e.SigmaI, Rho: fig1e.Rho}.Readout(direction)
	worst := func(n Network, r Readout) float64 {
		o, d := open(t, n), 0.0
		for target, want := range published {
			found := closeAt(t, o, r, target).Solutions()
			if len(found) != len(want) {
				return math.Inf(1)
			}
			for i, w := range want {
				d = max(d, math.Abs(found[i].Z-w[0]), math.Abs(real(found[i].Outliers[0])-w[1]), math.Abs(found[i].Radius-w[2]))
			}
		}
		return d
	}
	if d := worst(right, readout); !(d <= digit) {
		t.Errorf("the right statistics are off by %.2g", d)
	}
	for name, d := range map[string]float64{"ρ for ρ²": worst(rho, readout), "σ_m as a variance": worst(variance, wrongReadout)} {
		if !(d >= 100*digit) {
			t.Errorf("%s: off by no more than %.2g", name, d)
		}
	}
	for name, n := range map[string]Network{"ρ for ρ²": rho, "σ_m as a variance": variance} { // of the derived critical gain and onset
		if d := math.Abs(n.CriticalGain(1) - 2.064); !(d >= 0.02) {
			t.Errorf("%s: the critical gain is off by no more than %.2g", name, d)
		}
		o := open(t, n)
		onset, err := Bifurcations(func(a float64) ([]float64, error) {
			l, err := o.LeastSquares(a)
			if err != nil {
				return nil, err
			}
			return l.FixedPoints(), nil
		}, 1.45, 1.65, 1)
		if err != nil || len(onset) == 1 && math.Abs(onset[0].At-1.545) <= 0.02 {
			t.Errorf("%s: the second attractor of least squares appears at %v, %v", name, onset, err)
		}
	}
}

// Bifurcations are followed over any parameter: without input and with n along m the states ±z part from 0
// where u⟨φ′⟩ = 1 there, over the overlap, the gain or the spread of I, and ever farther targets with n along
// ξ gain two at a saddle-node over ρ.
func TestBifurcationsOverParameters(t *testing.T) {
	loop := func(n Network, r Readout) func(float64) ([]float64, error) {
		return func(float64) ([]float64, error) {
			o, err := n.Open()
			if err != nil {
				return nil, err
			}
			return o.Close(r).FixedPoints(), nil
		}
	}
	for name, c := range map[string]struct {
		states  func(p float64) ([]float64, error)
		lo, hi  float64
		more    bool                               // states as the parameter grows
		network func(p float64) (Network, Readout) // with u⟨φ′⟩ = 1 at the bifurcation
	}{
		"overlap": {lo: 0.7, hi: 1.4, more: true, network: func(p float64) (Network, Readout) { return Network{Gain: 0.4, VarM: 1}, Readout{U: p} }},
		"gain":    {lo: 0.2, hi: 1.8, network: func(p float64) (Network, Readout) { return Network{Gain: p, VarM: 1, VarI: 0.3}, Readout{U: 1.5} }},
		"spread":  {lo: 0.05, hi: 2, network: func(p float64) (Network, Readout) { return Network{Gain: 0.4, VarM: 1, VarI: p * p}, Readout{U: 1.5} }},
	} {
		found, err := Bifurcations(func(p float64) ([]float64, error) {
			n, r := c.network(p)
			return loop(n, r)(p)
		}, c.lo, c.hi, 4)
		if err != nil || len(found) != 1 || (found[0].After == 3) != c.more || found[0].Before+found[0].After != 4 {
			t.Errorf("%s: bifurcations %+v, %v", name, found, err)
			continue
		}
		n, r := c.network(found[0].At)
		near(t, name+": u⟨φ′⟩ at the bifurcation", r.U*n.Static(0).d, 1, 1e-3)
	}
	over, err := Bifurcations(func(rho float64) ([]float64, error) {
		v := fig1e
		v.Rho = rho
		o, err := v.Network(gain).Open()
		if err != nil {
			return nil, err
		}
		l, err := o.CloseAt(v.Readout(Direction{Xi: 1}), 2)
		return l.FixedPoints(), err
	}, 0.05, 0.95, 6)
	if err != nil || len(over) != 1 || !over[0].SaddleNode() {
		t.Fatalf("ρ: bifurcations %+v, %v", over, err)
	}
	v := fig1e
	v.Rho = over[0].At
	l := closeAt(t, open(t, v.Network(gain)), v.Readout(Direction{Xi: 1}), 2)
	if _, slope := l.Transfer(over[0].Z); !(math.Abs(slope-1) <= 1e-3) {
		t.Errorf("F′ is %g at the saddle-node over ρ", slope)
	}
}

func TestValidate(t *testing.T) {
	for _, n := range []Network{{Gain: -1}, {Gain: math.NaN()}, {VarM: -1}, {VarI: math.Inf(1)}, {VarM: 1, VarI: 1, CovMI: 1.1}, {MeanM: math.NaN()}} {
		if _, err := n.Open(); err == nil {
			t.Errorf("%+v is accepted", n)
		}
	}
	for _, v := range []Vectors{{SigmaM: -1}, {SigmaI: math.NaN()}, {Rho: 1.5}, {SigmaM: math.Inf(1)}} {
		if v.Validate() == nil {
			t.Errorf("%+v is accepted", v)
		}
	}
	if fig1e.Validate() != nil {
		t.Error(fig1e.Validate())
	}
	for _, n := range []Network{{}, {Gain: 1}, {Gain: 0.5}, {Gain: 1.2}, {VarM: 1}} { // nothing is driven at z = 0
		o := open(t, n)
		if found := o.Close(Readout{U: 0.5}).Solutions(); len(found) != 1 || !(math.Abs(found[0].Z) <= 1e-9) {
			t.Errorf("%+v: solutions %+v", n, found)
		}
	}
	if _, err := Bifurcations(nil, 1, 0, 3); err == nil {
		t.Error("a descending range is accepted")
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.9g, want %.9g ± %.2g", what, got, want, tolerance)
	}
}
