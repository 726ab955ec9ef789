package compare

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/train"
)

// small is a configuration that trains in no time.
func small[T deq.Float](t *testing.T, sets ...string) (train.Config[T], train.Parts[T]) {
	t.Helper()
	parts := train.Ours[T]()
	task := []string{"task=blobs", "task.train=64", "task.test=32"}
	if slices.Contains(sets, "task=dms") {
		task = []string{"task.trials=64", "task.test_trials=32"}
	}
	c, err := train.Read(parts, "test", nil, slices.Concat(task, []string{"model.units=6", "train.epochs=3", "train.batch=16"}, sets))
	if err != nil {
		t.Fatal(err)
	}
	return c, parts
}

func wideOf(t *testing.T, sets ...string) Wide {
	c, parts := small[float64](t, sets...)
	return Wide{Config: c, Parts: parts}
}

// The looks change nothing of a run but what they report, and at the first step they are the same
// whichever rule drives.
func TestLooksChangeNothing(t *testing.T) {
	c, parts := small[float32](t)
	plan := Plan{Rules: []string{"implicit", "jfb", "bptt", "shine"}, Settings: []string{"all-trained"}, Seeds: []uint64{1}, Every: 5}
	run := func(plan Plan) []Row {
		s, err := Run(context.Background(), c, parts, wideOf(t), plan, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s[0].Rules
	}
	with := run(plan)
	plan.Looks = -1
	without := run(plan)
	ignored := cmp.Options{cmpopts.EquateNaNs(), sameNumbers, cmpopts.IgnoreFields(Trial{}, "WallS", "Looks"), cmpopts.IgnoreFields(Row{}, "WallS")}
	if d := cmp.Diff(without, with, ignored); d != "" {
		t.Errorf("with looks (+) and without (-):\n%s", d)
	}
	for i, name := range plan.Rules {
		looks := with[i].Trials[0].Looks
		if len(looks) != 3 || looks[1].Step != 4 || looks[2].Step != 8 || looks[2].Epoch != 2 {
			t.Fatalf("%s: expected looks at the starts of three epochs of 4 steps, found %+v", name, looks)
		}
		if d := cmp.Diff(with[0].Trials[0].Looks[0], looks[0], sameNumbers); d != "" {
			t.Errorf("the first look of %s is not that of %s:\n%s", name, plan.Rules[0], d)
		}
		if slices.Equal(looks[0].Cosines[0], looks[2].Cosines[0]) {
			t.Errorf("%s: the last look is the first", name)
		}
	}
}

// watcher is an observer made of a function.
type watcher[T deq.Float] func(ctx context.Context, s train.Step[T]) error

func (w watcher[T]) Observe(ctx context.Context, s train.Step[T]) error { return w(ctx, s) }

// What a rule makes of the step of another is what it makes of it when it drives, to the last bit.
func TestOnlookersAreDrivers(t *testing.T) {
	for _, tc := range []struct {
		reference string
		sets      []string
	}{{"implicit", nil}, {"bptt", []string{"task=dms"}}} {
		t.Run(tc.reference, func(t *testing.T) {
			c, parts := small[float32](t, tc.sets...)
			names, _, err := Applicable(c, parts, parts.Rules.Names())
			if err != nil || len(names) < 4 {
				t.Fatalf("rules %v, %v", names, err)
			}
			for _, name := range names {
				sameAsDriver(t, c, parts, wideOf(t, tc.sets...), tc.reference, name)
			}
		})
	}
}

// sameAsDriver trains by a rule and lets the same rule look on.
func sameAsDriver(t *testing.T, c train.Config[float32], parts train.Parts[float32], wide Wide, reference, name string) {
	t.Helper()
	data, err := c.Task.Value.Load(1)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newReference(wide, data, 1, "all")
	if err != nil {
		t.Fatal(err)
	}
	configured := func(rule string) (train.Config[float32], error) {
		c, _, err := configure(job{setting: settings[0], rule: rule, seed: 1}, c, parts, Plan{})
		return c, err
	}
	own, err := configured(name)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := train.NewOn(own, parts, data)
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGallery(driver, parts, Plan{Onlookers: []string{reference, name}, Looks: 1, LookBatches: 1}, configured)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _, err = driver.Next(context.Background(), watcher[float32](func(ctx context.Context, s train.Step[float32]) error {
			cell := []int{0, 1, 2}
			seen, err := g.see(ctx, x, s.Index, cell, s.Batch.Rows)
			if err != nil {
				return err
			}
			if !slices.Equal(seen.gradients[2], flat(s.Grads, cell)) {
				t.Errorf("%s, step %d: the onlooker has another gradient", name, s.Index)
			}
			if seen.evals[1] != s.Record.Cell+s.Record.Adjoint {
				t.Errorf("%s, step %d: %g evaluations, %g of the driver", name, s.Index, seen.evals[1], s.Record.Cell+s.Record.Adjoint)
			}
			if c := matchOf(seen.gradients[1], seen.gradients[0]).cosine(); !(c > 0.9999) {
				t.Errorf("%s, step %d: cosine of %s to the exact gradient is %g", name, s.Index, reference, c)
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Descent is the slope of the loss along a rule's direction.
func TestDescent(t *testing.T) {
	c, parts := small[float64](t, "solver.rtol=1e-12", "backward.rtol=1e-12", "rule=jfb")
	tr, err := train.New(c, parts)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newReference(Wide{Config: c, Parts: parts}, tr.Data, 1, "all")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = tr.Next(context.Background(), watcher[float64](func(ctx context.Context, s train.Step[float64]) error {
		g, err := newGallery(tr, parts, Plan{Onlookers: []string{"jfb"}, Looks: 1, LookBatches: 1}, func(string) (train.Config[float64], error) { return c, nil })
		if err != nil {
			return err
		}
		look, err := g.look(ctx, x, s)
		if err != nil {
			return err
		}
		length := 0.0
		for i, p := range s.Grads {
			if s.Grads[i].Role.OfCell() {
				for _, v := range p.Data {
					length += v * v
				}
			}
		}
		loss := func(h float64) float64 {
			moved := s.Params.ZerosLike()
			moved.CopyFrom(s.Params)
			for i, p := range s.Grads {
				if s.Grads[i].Role.OfCell() {
					for k, v := range p.Data {
						moved[i].Data[k] -= h * v / math.Sqrt(length)
					}
				}
			}
			at, err := x.Look(ctx, moved, s.Batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			return float64(at.Record.Loss)
		}
		const h = 1e-4
		near(t, "descent", float64(look.Views[0].Descent), (loss(-h)-loss(h))/(2*h), 1e-6)
		if c := look.Views[0].Cosine; !(c > 0.1 && c < 0.99) {
			t.Errorf("cosine %g: the direction should not be the exact one", c)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// The estimates of bias and variance do not depend on the number of batches; the plain square
// of the mean error does.
func TestBiasAndVarianceAreUnbiased(t *testing.T) {
	const entries, repeats = 5, 4000
	bias := []float64{0.5, -0.2, 0, 0.1, 0}
	r := rng.Stream(1, "bias")
	exact := []float64{1, 2, -1, 0.5, 0}
	scale := 0.0
	for _, v := range exact {
		scale += v * v
	}
	want, sd := 0.25+0.04+0.01, 0.8
	for _, m := range []int{2, 4} {
		var b, v, plain float64
		for range repeats {
			total := newTally([]string{"a"})
			total.param("W", 2)
			total.param("b", 3)
			mean := make([]float64, entries)
			for range m {
				g := make([]float64, entries)
				for k := range g {
					d := bias[k] + sd*r.NormFloat64()
					g[k] = exact[k] + d
					mean[k] += d / float64(m)
				}
				total.add(sight{samples: 1, gradients: [][]float64{exact, g}, evals: []float64{1}, errs: []error{nil}})
			}
			view := total.views()[0]
			b += float64(view.BiasSquared) * scale / repeats
			v += float64(view.Variance) * scale / repeats
			for _, d := range mean {
				plain += d * d / repeats
			}
		}
		near(t, "bias²", b, want, 0.06)
		near(t, "variance", v, entries*sd*sd, 0.15)
		if plain < want+0.5*entries*sd*sd/float64(m) {
			t.Errorf("%d batches: the plain square %.3g should be too large", m, plain)
		}
	}
}

// Samples without a fixed point are left out of a look, for all rules.
func TestLooksDropSamplesWithoutFixedPoint(t *testing.T) {
	sets := []string{"model.gain=3", "model.units=24", "task.train=256", "train.batch=64", "train.epochs=1"}
	c, parts := small[float32](t, sets...)
	plan := Plan{Rules: []string{"jfb", "bptt"}, Settings: []string{"credit-critical"}, Seeds: []uint64{1}, Looks: 2, LookBatches: 2}
	s, err := Run(context.Background(), c, parts, wideOf(t, sets...), plan, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for _, r := range s[0].Rules[:2] {
		for _, l := range r.Trials[0].Looks {
			dropped += l.Dropped
			if l.Samples+l.Dropped != 128 {
				t.Errorf("%d samples and %d without a fixed point, expected 128", l.Samples, l.Dropped)
			}
			if c := float64(l.Views[0].Cosine); l.Samples > 0 && !finite(c) {
				t.Errorf("%s, step %d: cosine %g of %d samples", r.Rule, l.Step, c, l.Samples)
			}
		}
	}
	if dropped == 0 {
		t.Error("no sample was without a fixed point: the test tests nothing")
	}
}

func TestMoments(t *testing.T) {
	for _, tc := range []struct {
		steps, epochs, n int
		want             []int
	}{
		{690, 30, 3, []int{0, 345, 667}}, {46, 2, 3, []int{0, 23, 45}}, {46, 2, 2, []int{0, 23}}, {10, 1, 3, []int{0, 5, 9}},
		{1, 1, 3, []int{0}}, {3, 3, 3, []int{0, 1, 2}}, {0, 0, 3, nil}, {100, 10, 1, []int{0}}, {9, 3, -1, nil},
	} {
		if got := momentsOf(tc.steps, tc.epochs, tc.n); !slices.Equal(got, tc.want) {
			t.Errorf("%d moments of %d steps in %d epochs: %v, want %v", tc.n, tc.steps, tc.epochs, got, tc.want)
		}
	}
}
