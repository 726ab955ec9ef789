package bench

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Every case that the TapeMachine can do gives its results, and none allocates that should
// not.
func TestCasesAgreeWithTheTape(t *testing.T) {
	for _, c := range Quick(Cases()) {
		t.Run(c.Name, func(t *testing.T) {
			w, err := c.start()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.ours(); err != nil {
				t.Fatal(err)
			}
			if w.gemm != nil {
				if err := w.gemm(); err != nil {
					t.Fatal(err)
				}
			}
			if w.still && !raceEnabled {
				if n, err := allocations(w.ours); n != 0 || err != nil {
					t.Errorf("%v allocations, error %v; want none", n, err)
				}
			}
			if w.tape == nil || w.out == nil {
				return
			}
			run, out, err := w.tape()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.ours(); err != nil {
				t.Fatal(err)
			}
			if err := run(); err != nil {
				t.Fatal(err)
			}
			// Solves stop at RTol by iterates of their own rounding.
			tolerance := 1e-5
			if w.evaluations != nil {
				tolerance = 10 * RTol
			}
			if d := difference(w.out(), out()); !(d <= tolerance) {
				t.Errorf("differs from the TapeMachine by %.3g of its norm", d)
			}
		})
	}
}

// difference is ‖a − b‖/‖b‖.
func difference(a, b []float32) float64 {
	if len(a) != len(b) || len(a) == 0 {
		return math.NaN()
	}
	var d, norm float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		d, norm = d+(x-y)*(x-y), norm+y*y
	}
	return math.Sqrt(d / norm)
}

func TestDifferenceCanFail(t *testing.T) {
	if d := difference([]float32{1, 0}, []float32{1, 1}); !(d >= 0.5) {
		t.Errorf("difference %v", d)
	}
	if d := difference(nil, []float32{1}); !math.IsNaN(d) {
		t.Errorf("difference of different lengths %v", d)
	}
}

func TestRun(t *testing.T) {
	cores := runtime.GOMAXPROCS(0)
	cases := Select(Quick(Cases()), "cell/1x64", "step/1x64", "gemm/1x256x256", "elementwise/tanh")
	blas := 0
	var reported []string
	results, err := Run(context.Background(), cases, Options{
		Budget:   time.Millisecond,
		OpenBLAS: func(m, n, k, times int) (float64, error) { blas++; return 1, nil },
	}, func(r Result) { reported = append(reported, r.Name) })
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(cases) || len(reported) != len(cases) {
		t.Fatalf("%d results, %d reported, of %d cases", len(results), len(reported), len(cases))
	}
	for i, r := range results {
		if r.Name != cases[i].Name || !(r.Ours > 0) {
			t.Errorf("result %+v of case %s", r, cases[i].Name)
		}
		if r.Gemm != nil && *r.OverGemm != r.Ours / *r.Gemm {
			t.Errorf("%s: over_gemm %v of %v and %v", r.Name, *r.OverGemm, r.Ours, *r.Gemm)
		}
		if step := strings.HasPrefix(r.Name, "step/"); step != (r.Evals != nil && r.Evals.Forward > 1 && r.Evals.Backward > 1) {
			t.Errorf("%s: evaluations %+v", r.Name, r.Evals)
		}
	}
	if blas == 0 {
		t.Error("OpenBLAS was not asked")
	}
	if runtime.GOMAXPROCS(0) != cores {
		t.Error("the number of cores was not restored")
	}
	var table strings.Builder
	if err := Write(&table, results); err != nil || !strings.Contains(table.String(), "ns/element") {
		t.Errorf("table %v:\n%s", err, &table)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if results, err := Run(ctx, cases, Options{}, nil); err == nil || len(results) > 0 {
		t.Errorf("a cancelled run gave %v, %v", results, err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Name] {
			t.Errorf("two cases are named %q", c.Name)
		}
		seen[c.Name] = true
	}
	for _, want := range []string{"cell/64x256", "adjoint/64x256", "step/64x256", "gemm/128x512x512", "bptt/32x128"} {
		if !seen[want] {
			t.Errorf("no case %q", want)
		}
	}
}

// BenchmarkCases has every case by ours and by the bare product, and the small ones by the
// TapeMachine.
func BenchmarkCases(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, c := range Cases() {
		kind, shape, _ := strings.Cut(c.Name, "/")
		b.Run("case="+kind+"/shape="+strings.ReplaceAll(shape, "/", "-"), func(b *testing.B) {
			w, err := c.start()
			if err != nil {
				b.Fatal(err)
			}
			b.Run("by=ours", func(b *testing.B) { w.loop(b, w.ours) })
			if w.gemm != nil {
				b.Run("by=gemm", func(b *testing.B) { w.loop(b, w.gemm) })
			}
			if w.tape != nil && c.Quick {
				b.Run("by=tape", func(b *testing.B) {
					run, _, err := w.tape()
					if err != nil {
						b.Fatal(err)
					}
					w.loop(b, run)
				})
			}
		})
	}
}

func (w *work) loop(b *testing.B, run func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	if w.evaluations != nil {
		b.ReportMetric(w.evaluations.Forward+w.evaluations.Backward, "evals/op")
	}
	if w.elements > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*w.elements), "ns/element")
	}
}
