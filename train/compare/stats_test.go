package compare

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"attractor/internal/rng"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.7g, want %.7g ± %g", what, got, want, tol)
	}
}

// Student (1908), "The probable error of a mean", the sleep data as in R's datasets.
var (
	sleep1 = []float64{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0}
	sleep2 = []float64{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4}
)

// Darwin's maize, differences in eighths of an inch (Fisher 1935, The Design of Experiments, §17).
var maize = []float64{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}

func TestMeanInterval(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		name         string
		x            []float64
		mean, lo, hi float64
	}{
		// t(0.975; 2) = 4.302653, any t table; s = 1.
		{"three", []float64{1, 2, 3}, 2, 2 - 4.302653/math.Sqrt(3), 2 + 4.302653/math.Sqrt(3)},
		// t(0.975; 1) = 12.706205, s = √½.
		{"two", []float64{0, 1}, 0.5, 0.5 - 12.706205/2, 0.5 + 12.706205/2},
		// x̄ = 314/15, s = 37.7444, t(0.975; 14) = 2.1447867.
		{"maize", maize, 20.933333, 0.031193, 41.835473},
		{"constant", []float64{0.5, 0.5, 0.5}, 0.5, 0.5, 0.5},
		{"a gap", []float64{1, nan, 2, math.Inf(1), 3}, 2, 2 - 4.302653/math.Sqrt(3), 2 + 4.302653/math.Sqrt(3)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := MeanInterval(tc.x)
			near(t, "mean", got.Mean, tc.mean, 1e-5)
			near(t, "lo", got.Lo, tc.lo, 1e-5)
			near(t, "hi", got.Hi, tc.hi, 1e-5)
		})
	}
	if one := MeanInterval([]float64{0.7}); one.Mean != 0.7 || !math.IsNaN(one.Lo) || !math.IsNaN(one.Hi) {
		t.Errorf("one value: %+v, want a mean without an interval", one)
	}
	if none := MeanInterval([]float64{nan}); !math.IsNaN(none.Mean) {
		t.Errorf("no value: %+v", none)
	}
}

// Closed forms where nothing or everything happens; else the tails of the binomial distribution that define the ends.
func TestShareInterval(t *testing.T) {
	for _, n := range []int{1, 5, 30, 200} {
		none, all := ShareInterval(0, n), ShareInterval(n, n)
		near(t, "none: upper end", none.Hi, 1-math.Pow(0.025, 1/float64(n)), 1e-12)
		near(t, "all: lower end", all.Lo, math.Pow(0.025, 1/float64(n)), 1e-12)
		if none.Lo != 0 || none.Mean != 0 || all.Hi != 1 || all.Mean != 1 {
			t.Errorf("n = %d: %+v, %+v", n, none, all)
		}
		for k := 1; k < n; k += 1 + n/7 {
			iv := ShareInterval(k, n)
			near(t, "k or more at the lower end", 1-distuv.Binomial{N: float64(n), P: iv.Lo}.CDF(float64(k-1)), 0.025, 1e-9)
			near(t, "k or fewer at the upper end", distuv.Binomial{N: float64(n), P: iv.Hi}.CDF(float64(k)), 0.025, 1e-9)
		}
	}
	if iv := ShareInterval(0, 0); finite(iv.Mean) || finite(iv.Lo) || finite(iv.Hi) {
		t.Errorf("of nothing: %+v", iv)
	}
}

func TestClip(t *testing.T) {
	got := Interval{Mean: 0.97, Lo: 0.9, Hi: 1.04}.Clip(0, 1)
	if (got != Interval{Mean: 0.97, Lo: 0.9, Hi: 1}) {
		t.Errorf("clipped to %+v", got)
	}
	if got := (Interval{Mean: 0.5, Lo: math.NaN(), Hi: math.NaN()}).Clip(0, 1); !math.IsNaN(got.Lo) || !math.IsNaN(got.Hi) {
		t.Errorf("clipping invented an interval: %+v", got)
	}
}

func TestMeanIntervalCovers(t *testing.T) {
	// 95 % of the intervals over three normal values hold the true mean.
	r := rng.Stream(1, "coverage")
	const trials = 4000
	covered := 0
	for range trials {
		iv := MeanInterval([]float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()})
		if iv.Lo <= 0 && 0 <= iv.Hi {
			covered++
		}
	}
	near(t, "coverage", float64(covered)/trials, 0.95, 3*math.Sqrt(0.95*0.05/trials))
}

func TestBootstrap(t *testing.T) {
	x := make([]float64, 200)
	r := rng.Stream(2, "bootstrap data")
	for i := range x {
		x[i] = 3 + r.NormFloat64()
	}
	got, want := Bootstrap(x, 1), MeanInterval(x)
	half := (want.Hi - want.Lo) / 2
	near(t, "mean", got.Mean, want.Mean, 1e-12)
	near(t, "lo", got.Lo, want.Lo, 0.05*half)
	near(t, "hi", got.Hi, want.Hi, 0.05*half)
	if again := Bootstrap(x, 1); again != got {
		t.Errorf("seed 1 twice: %+v and %+v", got, again)
	}
	if other := Bootstrap(x, 2); other == got {
		t.Error("seeds 1 and 2 agree to the last bit")
	}
	// Mouse data, treated group (Efron & Tibshirani 1993, table 2.1): the plug-in
	// standard error is 23.36; a percentile interval spans about 2·1.96 of them.
	mouse := Bootstrap([]float64{94, 197, 16, 38, 99, 141, 23}, 1)
	near(t, "mouse standard error", (mouse.Hi-mouse.Lo)/(2*1.96), 23.36, 1.2)
}

func TestPairedDifference(t *testing.T) {
	t.Run("sleep", func(t *testing.T) {
		// R's ?t.test on sleep, paired: t = -4.0621, df = 9, p-value = 0.002833,
		// interval -2.4598858 -0.7001142, mean difference -1.58.
		d := PairedDifference(sleep1, sleep2)
		near(t, "mean", d.Mean, -1.58, 1e-12)
		near(t, "lo", d.Lo, -2.4598858, 1e-6)
		near(t, "hi", d.Hi, -0.7001142, 1e-6)
		near(t, "t", d.T, -4.0621, 5e-5)
		near(t, "p", d.PT, 0.002833, 5e-7)
		if !d.ExcludesZero() || d.N != 10 {
			t.Errorf("N = %d, excludes zero %t", d.N, d.ExcludesZero())
		}
	})
	t.Run("maize", func(t *testing.T) {
		// Fisher 1935, §17 and §21: t = 2.148; 863 of the 32,768 sums are at least 314,
		// hence 1726 on both sides. t gives p = 0.0497.
		d := PairedDifference(maize, make([]float64, len(maize)))
		near(t, "t", d.T, 2.148, 5e-4)
		near(t, "p", d.PT, 0.0497, 5e-5)
		near(t, "sign-flip p", d.PFlip, 1726.0/32768, 1e-12)
	})
	t.Run("three seeds", func(t *testing.T) {
		d := PairedDifference([]float64{3, 4, 5}, []float64{1, 1, 1})
		near(t, "sign-flip p", d.PFlip, 0.25, 0) // 2/2³, the least that is possible
	})
	t.Run("equal", func(t *testing.T) {
		d := PairedDifference([]float64{1, 2}, []float64{1, 2})
		if d.ExcludesZero() || d.PT != 1 || d.PFlip != 1 {
			t.Errorf("equal samples: %+v", d)
		}
	})
	t.Run("constant shift", func(t *testing.T) {
		for _, shift := range []float64{1, 0.1} { // 0.1 leaves a spread of rounding errors
			d := PairedDifference([]float64{2 + shift, 3 + shift, 4 + shift}, []float64{2, 3, 4})
			if d.ExcludesZero() || !math.IsNaN(d.PT) || !math.IsNaN(d.Lo) || !math.IsNaN(d.Hi) || d.PFlip != 0.25 {
				t.Errorf("constant shift: %+v", d)
			}
			near(t, "mean", d.Mean, shift, 1e-12)
		}
	})
	t.Run("gap", func(t *testing.T) {
		if d := PairedDifference([]float64{1, math.NaN()}, []float64{0, 0}); d.N != 1 || d.Mean != 1 || d.ExcludesZero() {
			t.Errorf("one pair left: %+v", d)
		}
	})
	t.Run("many pairs", func(t *testing.T) {
		// Twice Darwin's data: drawn signs against the normal limit z = Σd/√Σd².
		var a []float64
		sum, square := 0.0, 0.0
		for _, d := range append(maize, maize...) {
			a = append(a, d)
			sum, square = sum+d, square+d*d
		}
		d := PairedDifference(a, make([]float64, len(a)))
		near(t, "sign-flip p", d.PFlip, math.Erfc(sum/math.Sqrt(square)/math.Sqrt2), 0.002)
	})
}

func TestMannWhitney(t *testing.T) {
	// Hollander & Wolfe (1973), p. 69f, as in R's ?wilcox.test: W = 35, one-sided p = 0.1272.
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	u, p, err := MannWhitney(x, y)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "U", u, 35, 0)
	near(t, "p", p, 2*0.1272, 1e-4)
	// Three against three, apart: 2 of the 20 orders.
	if _, p, err = MannWhitney([]float64{4, 5, 6}, []float64{1, 2, 3}); err != nil || !(math.Abs(p-0.1) <= 1e-12) {
		t.Errorf("apart: p = %g, %v", p, err)
	}
	if _, p, err = MannWhitney([]float64{1, 1}, []float64{1, 1}); err != nil || p != 1 {
		t.Errorf("all equal: p = %g, %v", p, err)
	}
	if _, _, err = MannWhitney(nil, []float64{1}); err == nil {
		t.Error("no error for an empty sample")
	}
}

func TestHolm(t *testing.T) {
	// R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		near(t, "corrected p", Holm([]float64{0.01, 0.04, 0.03, 0.005})[i], want, 1e-12)
	}
	got := Holm([]float64{0.03, none, 0.7, 0.6})
	near(t, "beside a NaN", got[0], 0.09, 1e-12)
	if !math.IsNaN(got[1]) || got[2] != 1 || got[3] != 1 {
		t.Errorf("corrected %v", got)
	}
}

// With no difference at all, one family in twenty has a rejection; uncorrected it is many more.
func TestHolmKeepsTheLevel(t *testing.T) {
	const families, rules, seeds = 2000, 5, 4
	r := rng.Stream(3, "holm")
	raw, corrected := 0, 0
	for range families {
		p := make([]float64, rules)
		for i := range p {
			d := make([]float64, seeds)
			for k := range d {
				d[k] = r.NormFloat64()
			}
			p[i] = PairedDifference(d, make([]float64, seeds)).PT
		}
		if slices.Min(p) < level {
			raw++
		}
		if slices.Min(Holm(p)) < level {
			corrected++
		}
	}
	near(t, "families with a rejection", float64(corrected)/families, 0.05, 3*math.Sqrt(0.05*0.95/families))
	if float64(raw)/families < 0.18 {
		t.Errorf("uncorrected only %d of %d", raw, families)
	}
}

// The least p is what the test gives for data that are as far apart as can be.
func TestLeastP(t *testing.T) {
	for n := 1; n <= 6; n++ {
		a, b := make([]float64, n), make([]float64, n)
		for i := range a {
			a[i], b[i] = float64(i), float64(100+i*i)
		}
		near(t, "sign-flip", PairedDifference(a, b).PFlip, LeastSignFlip(n), 1e-12)
		_, p, err := MannWhitney(a, b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "Mann–Whitney", p, LeastMannWhitney(n, n), 1e-12)
	}
}
