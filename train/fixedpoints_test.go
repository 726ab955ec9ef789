package train

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/train/tasks"
)

// finalTest trains and tests.
func finalTest[T deq.Float](t *testing.T, sets ...string) (*Trainer[T], *FixedPoints) {
	t.Helper()
	tr, err := New(configured[T](t, sets...), Ours[T]())
	if err != nil {
		t.Fatal(err)
	}
	for !tr.Done() {
		if _, _, err := tr.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	score, err := tr.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same, points, err := tr.FinalTest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if score != same {
		t.Errorf("%v: looking at fixed points changes the score from %v to %v", sets, score, same)
	}
	if points != nil {
		if err := points.Check(); err != nil {
			t.Error(err)
		}
	}
	return tr, points
}

// wild is a network whose fixed points Anderson's method finds, and the iteration leaves.
var wild = []string{"model.units=40", "model.gain=2", "model.input_gain=0.5", "solver.max_evals=1000"}

func TestFixedPoints(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sets   []string
		stable float64 // share at least; NaN for none examined
		most   float64
		doubts []string
	}{
		{name: "settled", stable: 1, most: 1},
		{name: "settled, exact", sets: []string{"train.stability_test=exact"}, stable: 1, most: 1},
		{name: "untrained", sets: slices.Concat(wild, []string{"train.trained=none"}), most: 0.5, doubts: []string{"iterating the cell leaves them"}},
		{name: "credit-critical", sets: slices.Concat(wild, []string{"train.trained=recurrent", "optimizer.lr=1e-3"}), most: 0.5, doubts: []string{"iterating the cell leaves them"}},
		{name: "exact", sets: slices.Concat(wild, []string{"train.trained=none", "train.stability_test=exact"}), most: 0.5, doubts: []string{"iterating the cell leaves them"}},
		{name: "off", sets: slices.Concat(wild, []string{"train.trained=none", "train.stability_test=off"}), stable: math.NaN(), doubts: []string{"of 32 test samples converged"}},
		{name: "cut off", sets: []string{"solver.max_evals=2"}, stable: math.NaN(), doubts: []string{"0 of 32 test samples converged", "192 of 192 samples of training did not converge"}},
		{name: "cut off, as is meant", sets: []string{"solver.max_evals=2", "train.unconverged=accept"}, stable: math.NaN()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr, f := finalTest[float32](t, tc.sets...)
			share := f.StableShare()
			if math.IsNaN(tc.stable) != math.IsNaN(share) || share < tc.stable || share > tc.most {
				t.Errorf("%v: %g of the fixed points are stable, expected from %g to %g", f, share, tc.stable, tc.most)
			}
			if f.Samples != 32 {
				t.Errorf("%d samples, expected those of the test, 32", f.Samples)
			}
			doubts := strings.Join(tr.Doubts(f), "\n")
			if len(tc.doubts) == 0 && doubts != "" {
				t.Errorf("doubts: %s", doubts)
			}
			for _, want := range tc.doubts {
				if !strings.Contains(doubts, want) {
					t.Errorf("no %q in %q", want, doubts)
				}
			}
		})
	}
	if _, f := finalTest[float32](t, "rule=bptt"); f != nil {
		t.Errorf("bptt solves for no fixed point, and has %v", f)
	}
}

// The doubt about training begins where more than a twentieth of the samples failed.
func TestDoubtsOfTraining(t *testing.T) {
	tr, _ := finalTest[float32](t)
	for _, tc := range []struct {
		failed  int64
		doubted bool
	}{{0, false}, {50, false}, {51, true}, {1000, true}} {
		tr.Samples, tr.Failed = 1000, tc.failed
		if got := len(tr.Doubts(nil)) > 0; got != tc.doubted {
			t.Errorf("%d of 1000 failed: doubted: %v", tc.failed, got)
		}
	}
}

// Of more fixed points than are examined, each is as likely to be among them.
func TestFixedPointsAreDrawn(t *testing.T) {
	many := []string{"task.test=300", "train.epochs=1"}
	drawn := make([]int, 300)
	tr, err := New(configured[float32](t, many...), Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	batch := &tasks.Batch[float32]{}
	var solved []*deq.Equilibrium[float32]
	for first := 0; first < 300; first += 10 {
		rows := make([]int, 10)
		for i := range rows {
			rows[i] = first + i
		}
		batch.Gather(tr.test, rows)
		e, err := tr.Layer.Solve(t.Context(), batch.X, nil, tr.forward)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			e.Z[i*tr.Layer.Units] = float32(rows[i]) // which one it is
		}
		solved = append(solved, e)
	}
	for seed := range 200 {
		tr.settings.Seed = uint64(seed)
		points := tr.newFixedPointTest()
		for _, e := range solved {
			if err := points.see(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(points.z) / tr.Layer.Units; n != examinedMost {
			t.Fatalf("%d drawn, expected %d", n, examinedMost)
		}
		for z := range slices.Chunk(points.z, tr.Layer.Units) {
			drawn[int(z[0])]++
		}
	}
	// Binomial with p = 64/300 and n = 200: mean 42.7, standard deviation 5.8; six of them to either side.
	if slices.Min(drawn) < 8 || slices.Max(drawn) > 78 {
		t.Errorf("drawn from %d to %d times, expected about 43", slices.Min(drawn), slices.Max(drawn))
	}
	if _, f := finalTest[float32](t, append(many, "train.stability_test=exact")...); f.Examined != 300 {
		t.Errorf("the exact test examined %d of 300", f.Examined)
	}
	if _, f := finalTest[float32](t, append(many, "train.batch=10")...); f.Examined != 64 {
		t.Errorf("%d examined in batches of 10, expected 64", f.Examined)
	}
}

// Near the edge of stability an estimate rarely says the opposite of the eigenvalues, and mostly decides.
func TestEstimatedStability(t *testing.T) {
	decided, examined, unstable, wrong := 0, 0, 0, 0
	var beyond []float64
	for _, model := range [][]string{{"model=rate", "model.units=40"}, {"model=rate", "model.units=24", "model.leak=0.3"}, {"model=gru", "model.units=24"}, {"model=lstm", "model.units=16"}} {
		for _, gain := range []string{"0.9", "1.1", "1.3", "1.6", "2", "3"} {
			for _, seed := range []string{"1", "2"} {
				tr, err := New(configured[float32](t, slices.Concat(model, []string{"model.input_gain=0.5", "model.gain=" + gain, "train.seed=" + seed})...), Ours[float32]())
				if err != nil {
					t.Fatal(err)
				}
				e, err := tr.Layer.Solve(t.Context(), tr.batches.InOrder(0).X, nil, tr.forward)
				if err != nil {
					t.Fatal(err)
				}
				rates, err := stability.Growth(e, growthSteps, 1)
				if err != nil {
					t.Fatal(err)
				}
				exact, err := stability.SpectralRadius(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				for b, r := range rates {
					examined++
					if exact[b] > 1 {
						unstable++
					}
					if math.Abs(exact[b]-1) < 0.1 {
						beyond = append(beyond, math.Abs(r.Radius-exact[b])-r.Spread)
					}
					if math.Abs(r.Radius-1) > growthMargin+r.Spread {
						decided++
						if r.Radius > 1 != (exact[b] > 1) {
							wrong++
						}
					}
				}
			}
		}
	}
	slices.Sort(beyond)
	worst := beyond[len(beyond)*99/100]
	t.Logf("%d fixed points, %d unstable: %d decided, %d of them wrongly; near 1 (%d) 99 %% of the errors exceed the spread by at most %.4f",
		examined, unstable, decided, wrong, len(beyond), worst)
	if unstable < 100 || len(beyond) < 200 {
		t.Error("too few to tell")
	}
	if wrong > 1 || decided < examined*4/5 || worst > growthMargin {
		t.Error("the estimate is worse than is said of it")
	}
}

// The result says it, and no number of the training depends on it.
func TestResultTellsOfFixedPoints(t *testing.T) {
	var first string
	for _, method := range []string{"estimate", "exact", "off"} {
		c := configured[float32](t, slices.Concat(wild, []string{"train.trained=recurrent", "optimizer.lr=1e-3", "train.stability_test=" + method})...)
		dir := filepath.Join(t.TempDir(), "run")
		run, err := CreateRun(dir, c, Ours[float32]())
		if err != nil {
			t.Fatal(err)
		}
		res, err := run.Train(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		run.Close()
		if first == "" {
			first = res.Metrics
		}
		if res.Metrics != first {
			t.Errorf("%s: other metrics", method)
		}
		text, err := os.ReadFile(filepath.Join(dir, ResultFile))
		if err != nil {
			t.Fatal(err)
		}
		var saved struct {
			FixedPoints struct {
				FixedPoints
				StableShare *float64 `json:"stable_share"`
			} `json:"fixed_points"`
			Warnings []string `json:"warnings"`
		}
		if err := json.Unmarshal(text, &saved); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(*res.FixedPoints, saved.FixedPoints.FixedPoints) + cmp.Diff(res.Warnings, saved.Warnings); d != "" {
			t.Errorf("%s: %s says another thing:\n%s", method, ResultFile, d)
		}
		if off := method == "off"; off != (saved.FixedPoints.StableShare == nil) || off == strings.Contains(strings.Join(saved.Warnings, " "), "unstable") {
			t.Errorf("%s: stable share %v, warnings %q", method, saved.FixedPoints.StableShare, saved.Warnings)
		}
	}
}
