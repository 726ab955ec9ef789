package cli

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"attractor/internal/npz"
)

// ownNetwork writes a network of one's own.
func ownNetwork(t *testing.T, units int, w []float64) string {
	return archiveOf(t, t.TempDir(), "own.npz", npz.Named{Name: "W", Shape: []int{units, units}, Data: w})
}

// What analyze says of networks whose fixed points are degenerate, in JSON and in words.
func TestAnalyzeDegenerate(t *testing.T) {
	s, c := math.Sincos(0.7)
	for _, n := range []struct {
		name     string
		units    int
		w        []float64
		args     []string
		statuses string
		sum      float64 // NaN is none
		words    []string
	}{
		{"line", 2, []float64{0.75, 0.5, 0.25, 0.5}, []string{"--activation", "linear"}, "continuum", math.NaN(),
			[]string{"point 0 is one of a continuum of fixed points: dimension 1, without end", "the sum of the indices is not known: 1 of 1", "100.0 %"}},
		{"rotation", 2, []float64{c, -s, s, c}, []string{"--activation", "linear"}, "marginal", math.NaN(), []string{"point 0 has 2 eigenvalues on the border"}},
		{"critical", 1, []float64{1}, nil, "marginal", math.NaN(), []string{"point 0 has 1 eigenvalues on the border", "100.0 %"}},
		{"onset", 1, []float64{1 + 1e-7}, nil, "saddle stable stable", 1, []string{"the indices add up to 1"}},
		{"onset of a flow", 1, []float64{1 + 2e-7}, []string{"--dynamics", "rate"}, "saddle stable stable", 1, []string{"the indices add up to 1"}},
	} {
		file := ownNetwork(t, n.units, n.w)
		args := append([]string{file, "--lyapunov", "0"}, n.args...)
		r := analyzed(t, args...)
		var statuses []string
		for _, p := range r.FixedPoints {
			statuses = append(statuses, p.Status)
			if known := !math.IsNaN(float64(p.Index)); known != (p.Status == "stable" || p.Status == "saddle") || (p.Continuum != nil) != (p.Status == "continuum") {
				t.Errorf("%s: a %s point with index %g and continuum %+v", n.name, p.Status, float64(p.Index), p.Continuum)
			}
		}
		if got := strings.Join(statuses, " "); got != n.statuses || !(math.IsNaN(n.sum) && math.IsNaN(float64(r.IndexSum)) || float64(r.IndexSum) == n.sum) {
			t.Errorf("%s: %s, sum of indices %g", n.name, got, float64(r.IndexSum))
		}
		code, text, _ := run(t, append([]string{"analyze"}, args...)...)
		for _, want := range n.words {
			if code != exitDone || !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", n.name, want, text)
			}
		}
	}
}

// Cycles in JSON and in words, of the map and of the flow, and states that do not settle.
func TestAnalyzeCycles(t *testing.T) {
	quarter := ownNetwork(t, 2, []float64{0, -1.5, 1.5, 0})
	r := analyzed(t, quarter, "--lyapunov", "0")
	if len(r.Cycles) < 1 || r.Cycles[0].Period != 4 || r.Cycles[0].Status != "stable" || r.Cycles[0].Basin != 200 || r.Elsewhere != 200 || r.Unsettled != 0 || len(r.Cycles[0].Multipliers) != 2 {
		t.Errorf("%+v, %d elsewhere, %d unsettled", r.Cycles, r.Elsewhere, r.Unsettled)
	}
	for _, e := range r.Edges {
		if e.To != -1 || e.Cycle == nil {
			t.Errorf("%+v", e)
		}
	}
	if _, text, _ := run(t, "analyze", quarter, "--lyapunov", "0"); !strings.Contains(text, "of which 200 are on cycles") || !strings.Contains(text, "period (steps)") {
		t.Error(text)
	}
	r = analyzed(t, ownNetwork(t, 2, []float64{2, -2, 2, 2}), "--lyapunov", "0", "--dynamics", "rate", "--basins", "20")
	if len(r.Cycles) != 1 || !(math.Abs(float64(r.Cycles[0].Period)-6.83763) <= 1e-5) || r.Cycles[0].Basin != 20 {
		t.Errorf("%+v", r.Cycles)
	}
	s, c := math.Sincos(1)
	if r = analyzed(t, ownNetwork(t, 2, []float64{c, -s, s, c}), "--lyapunov", "0", "--activation", "linear"); len(r.Cycles) > 0 || r.Unsettled != 200 {
		t.Errorf("a turn by an irrational angle: %+v, %d unsettled", r.Cycles, r.Unsettled)
	}
	if r = analyzed(t, ownNetwork(t, 1, []float64{2}), "--lyapunov", "0", "--activation", "linear"); r.Gone != 200 || r.Unsettled != 0 {
		t.Errorf("growth: %d unbounded, %d unsettled", r.Gone, r.Unsettled)
	}
}

// Slow points, tolerance and uniqueness are flags, and are checked.
func TestAnalyzeFinderFlags(t *testing.T) {
	slow := math.Sqrt(2.0 / 3) // just beyond where two fixed points have met
	file := archiveOf(t, t.TempDir(), "slow.npz", npz.Named{Name: "W", Shape: []int{1, 1}, Data: []float64{3}},
		npz.Named{Name: "b", Shape: []int{1}, Data: []float64{math.Atanh(slow) - 3*slow - 0.02}})
	for want, args := range map[int][]string{1: nil, 2: {"--slow", "1e-3"}} {
		if r := analyzed(t, append([]string{file, "--lyapunov", "0"}, args...)...); len(r.FixedPoints) != want || r.IndexSum != 1 {
			t.Errorf("%v: %d points", args, len(r.FixedPoints))
		}
	}
	onset := ownNetwork(t, 1, []float64{1 + 1e-4}) // ±0.0173
	for want, args := range map[int][]string{3: {"--tol", "1e-12"}, 1: {"--unique", "0.1"}} {
		if r := analyzed(t, append([]string{onset, "--lyapunov", "0"}, args...)...); len(r.FixedPoints) != want {
			t.Errorf("%v: %d points", args, len(r.FixedPoints))
		}
	}
	for want, args := range map[string][]string{
		"--tol: expected a number above 0": {"--tol", "0"}, "found NaN": {"--tol", "nan"}, "--unique and --slow: expected numbers from 0 on": {"--unique", "-1"},
		"expected a finite number, found +Inf": {"--slow", "inf"},
	} {
		if code, _, stderr := run(t, append([]string{"analyze", onset}, args...)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
}

// Beyond the size whose Jacobian is decomposed, what is not computed is null.
func TestAnalyzeLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("1025 units")
	}
	const n = 1025
	r, w := rand.New(rand.NewPCG(1, 2)), make([]float64, n*n)
	for i := range w {
		w[i] = 0.5 * r.NormFloat64() / math.Sqrt(n)
	}
	file := ownNetwork(t, n, w)
	args := []string{file, "--lyapunov", "0", "--basins", "10", "--starts", "2"}
	a := analyzed(t, args...)
	if len(a.FixedPoints) != 1 || a.IndexSum != 1 || a.FixedPoints[0].Index != 1 || a.Edges != nil {
		t.Fatalf("%d points, sum of indices %g, edges %v", len(a.FixedPoints), float64(a.IndexSum), a.Edges)
	}
	p := a.FixedPoints[0]
	if !(math.Abs(float64(p.Bulk)-0.5) < 0.02) || !math.IsNaN(float64(p.Error)) || p.Basin != 10 {
		t.Errorf("bulk %g, error %g, basin %d", float64(p.Bulk), float64(p.Error), p.Basin)
	}
	if _, text, _ := run(t, append([]string{"analyze"}, args...)...); !strings.Contains(text, "not computed beyond 1024 units") {
		t.Error(text)
	}
}
