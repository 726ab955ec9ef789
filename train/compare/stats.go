package compare

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"attractor/internal/rng"
)

// Interval is a mean with its 95 % interval. Lo and Hi are NaN where one value alone
// gives no interval; all three are NaN where nothing was measured.
type Interval struct {
	Mean float64 `json:"mean"`
	Lo   float64 `json:"lo"`
	Hi   float64 `json:"hi"`
}

// Clip moves the ends (not the mean) of the interval into [lo, hi]: a t interval knows
// nothing of the bounds of an accuracy.
func (iv Interval) Clip(lo, hi float64) Interval {
	clip := func(x float64) float64 { return math.Min(math.Max(x, lo), hi) } // keeps NaN
	return Interval{Mean: iv.Mean, Lo: clip(iv.Lo), Hi: clip(iv.Hi)}
}

// Overlaps reports whether the two intervals share a point.
func (iv Interval) Overlaps(other Interval) bool { return iv.Lo <= other.Hi && other.Lo <= iv.Hi }

// MeanInterval returns the mean of the finite values of x and Student's t interval
//
//	x̄ ± t(0.975; n − 1) s/√n.
//
// It is what we report over seeds. Three to five seeds are usual, and that few leave no
// other honest choice: a bootstrap of three values knows 10 different samples and is far
// too narrow, and ±1 standard error covers 58 % at n = 3. The price is width: the factor
// t/√n is 2.48 at n = 3, 1.24 at n = 5 and 0.72 at n = 10. The interval assumes values
// that are roughly normal over seeds; see Bootstrap where there are many.
func MeanInterval(x []float64) Interval {
	x = onlyFinite(x)
	n := float64(len(x))
	switch len(x) {
	case 0:
		return Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	case 1:
		return Interval{Mean: x[0], Lo: math.NaN(), Hi: math.NaN()}
	}
	mean, sd := stat.MeanStdDev(x, nil)
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * sd / math.Sqrt(n)
	return Interval{Mean: mean, Lo: mean - half, Hi: mean + half}
}

// spread reports whether finite values differ by more than rounding.
func spread(x []float64) bool {
	x = onlyFinite(x)
	if len(x) < 2 {
		return false
	}
	mean, sd := stat.MeanStdDev(x, nil)
	return sd > 1e-12*math.Abs(mean)
}

// spreadInterval is MeanInterval, but without ends where the values do not differ: Student's t has no spread to judge
// by then, and an interval of no width would claim to know the mean exactly.
func spreadInterval(x []float64) Interval {
	iv := MeanInterval(x)
	if !spread(x) {
		iv.Lo, iv.Hi = math.NaN(), math.NaN()
	}
	return iv
}

// ShareInterval returns k/n, the share of n independent trials in which something happened k times, with its exact 95 %
// interval: all shares at which k or more, and k or fewer, each have at least 2.5 % probability. It covers the
// true share in at least 95 % of cases, whatever that is: 0 of 30 is [0, 0.116]. All three are NaN for n = 0.
//
// C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404–413, doi:10.1093/biomet/26.4.404.
func ShareInterval(k, n int) Interval {
	if k < 0 || k > n {
		panic(fmt.Sprintf("compare: a share of %d in %d", k, n))
	}
	if n == 0 {
		return Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	yes, no := float64(k), float64(n-k)
	iv := Interval{Mean: yes / float64(n), Lo: 0, Hi: 1}
	if k > 0 {
		iv.Lo = distuv.Beta{Alpha: yes, Beta: no + 1}.Quantile(0.025)
	}
	if k < n {
		iv.Hi = distuv.Beta{Alpha: yes + 1, Beta: no}.Quantile(0.975)
	}
	return iv
}

// Bootstrap returns the mean of the finite values of x and the percentile bootstrap
// interval (Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13) from
// 10,000 resamples drawn from the stream "bootstrap" of seed. Use it with some twenty
// values or more; with fewer it is too narrow.
func Bootstrap(x []float64, seed uint64) Interval {
	x = onlyFinite(x)
	if len(x) < 2 {
		return MeanInterval(x)
	}
	const resamples = 10_000
	r := rng.Stream(seed, "bootstrap")
	means := make([]float64, resamples)
	for b := range means {
		sum := 0.0
		for range x {
			sum += x[r.IntN(len(x))]
		}
		means[b] = sum / float64(len(x))
	}
	slices.Sort(means)
	return Interval{
		Mean: stat.Mean(x, nil),
		Lo:   stat.Quantile(0.025, stat.Empirical, means, nil),
		Hi:   stat.Quantile(0.975, stat.Empirical, means, nil),
	}
}

// Difference is the paired comparison of two rules over their shared seeds.
type Difference struct {
	N        int // pairs with two finite values
	Interval     // of the mean difference first − second; Student's t over the pairs
	// T and PT are the statistic and the two-sided p-value of the paired t test. Pairs that all
	// differ by the same, as accuracies of few samples may, have no spread to judge by: the interval
	// has no ends then, and T and PT are NaN, unless they do not differ at all.
	T, PT float64
	// PFlip is the two-sided p-value of the sign-flip permutation test on the mean
	// difference, which assumes only that under no difference both signs are equally
	// likely. It is exact up to 20 pairs and drawn beyond. It cannot fall below 2/2ᴺ:
	// with three seeds never below 0.25.
	PFlip float64
}

// ExcludesZero reports whether the 95 % interval of the difference lies on one side of 0; where there is none, it does not.
func (d Difference) ExcludesZero() bool { return d.Lo > 0 || d.Hi < 0 }

// PairedDifference compares a[i] with b[i]. Pairs with a value that is not finite are left
// out. It panics when the lengths differ.
func PairedDifference(a, b []float64) Difference {
	if len(a) != len(b) {
		panic(fmt.Sprintf("compare: pairs of %d and %d values", len(a), len(b)))
	}
	diffs := make([]float64, 0, len(a))
	for i := range a {
		if d := a[i] - b[i]; finite(d) {
			diffs = append(diffs, d)
		}
	}
	d := Difference{N: len(diffs), Interval: spreadInterval(diffs), T: math.NaN(), PT: math.NaN(), PFlip: signFlip(diffs)}
	if d.N >= 2 {
		mean, sd := stat.MeanStdDev(diffs, nil)
		switch {
		case spread(diffs):
			d.T = mean / (sd / math.Sqrt(float64(d.N)))
			d.PT = 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(d.N - 1)}.Survival(math.Abs(d.T))
		case mean == 0:
			d.T, d.PT = 0, 1
		}
	}
	return d
}

// signFlip is the two-sided sign-flip test of Fisher (1935, The Design of Experiments,
// §21): the share of the 2ⁿ choices of signs whose sum is at least as far from zero as
// the one observed.
func signFlip(diffs []float64) float64 {
	n := len(diffs)
	if n == 0 {
		return math.NaN()
	}
	observed, scale := 0.0, 0.0
	for _, d := range diffs {
		observed += d
		scale += math.Abs(d)
	}
	bound := math.Abs(observed) - 1e-12*scale // sums that differ by rounding are equal
	const exact, draws = 20, 100_000
	if n > exact {
		r := rng.Stream(0, "sign-flip")
		hits := 1 // the observed signs
		for range draws {
			sum := 0.0
			for _, d := range diffs {
				if r.Uint64()&1 == 0 {
					d = -d
				}
				sum += d
			}
			if math.Abs(sum) >= bound {
				hits++
			}
		}
		return float64(hits) / (draws + 1)
	}
	// Walk all signs in Gray-code order: one sign changes at a time.
	sum, hits := scale, 0
	signs := make([]float64, n)
	for i := range signs {
		signs[i] = math.Abs(diffs[i])
	}
	for k := uint64(0); k < 1<<n; k++ {
		if k > 0 {
			i := bits.TrailingZeros64(k)
			sum -= 2 * signs[i]
			signs[i] = -signs[i]
		}
		if math.Abs(sum) >= bound {
			hits++
		}
	}
	return float64(hits) / float64(uint64(1)<<n)
}

// MannWhitney returns U (how many pairs have the value of a above that of b, ties counting
// a half) and the two-sided p-value of the Mann–Whitney test of two unpaired samples. It is
// exact up to 50 values a side (25 with ties). Where all values are equal it returns p = 1.
func MannWhitney(a, b []float64) (u, p float64, err error) {
	a, b = onlyFinite(a), onlyFinite(b)
	r, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers)
	switch {
	case err == stats.ErrSamplesEqual:
		return float64(len(a)*len(b)) / 2, 1, nil
	case err != nil:
		return math.NaN(), math.NaN(), fmt.Errorf("compare: Mann–Whitney of %d and %d values: %w", len(a), len(b), err)
	}
	return r.U, math.Min(r.P, 1), nil
}

// alike reports whether several trials have all the same value.
func (r *Row) alike(measure Measure) bool {
	v := onlyFinite(values(r, measure))
	return len(v) > 1 && !spread(v)
}

// A Measure is the number of a trial that is compared.
type Measure func(Trial) float64

// Accuracy is the test accuracy of a trial.
func Accuracy(t Trial) float64 { return t.TestAccuracy }

// Loss is the test loss of a trial.
func Loss(t Trial) float64 { return t.TestLoss }

// Compare is the paired difference a − b of a measure over the seeds that both rows have.
func Compare(a, b *Row, measure Measure) Difference {
	return PairedDifference(paired(a, b, measure))
}

func onlyFinite(x []float64) []float64 {
	out := make([]float64, 0, len(x))
	for _, v := range x {
		if finite(v) {
			out = append(out, v)
		}
	}
	return out
}
