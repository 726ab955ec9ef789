package compare

import (
	"context"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train"
)

// Newton's method takes the fixed point that a state is near to, stable or not, and none where there is none near: not
// one that is far away.
func TestApproach(t *testing.T) {
	l, err := deq.New[float64](models.Rate{N: 1}, 1, 1, 1, deq.Config{Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	// z = tanh(2z + b) has a fold at z = −1/√2, b = atanh(z) − 2z: beyond it a fixed point near 0.98 alone.
	fold := -math.Sqrt2/2 + 0
	b := math.Atanh(fold) - 2*fold
	update(l, func() { l.Params.Data("W")[0], l.Params.Data("U")[0], l.Params.Data("b")[0] = 2, 1, b })
	const off = 2e-3
	x := []float64{-off, -off, off, off}
	z := []float64{fold - 0.04, fold + 0.04, fold, 0.9}
	reached, err := approach(context.Background(), l, x, z, []int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	near := map[int][2]float64{0: {-1, fold}, 1: {fold, 0}, 3: {0.9, 1}} // where it is
	for _, r := range reached {
		in, ok := near[r]
		if !ok {
			t.Fatalf("state %d reached %g: there is no fixed point near it", r, z[r])
		}
		if !(z[r] > in[0] && z[r] < in[1]) || !(math.Abs(math.Tanh(2*z[r]+b+x[r])-z[r]) < 1e-12) {
			t.Errorf("state %d: %g is no fixed point in %v", r, z[r], in)
		}
		delete(near, r)
	}
	if len(near) > 0 {
		t.Errorf("not reached: %v", near)
	}
}

// The exact gradient is found at unstable fixed points, too, from which iterations of the cell run away, as do Anderson's: a
// linear network with eigenvalues all over the disc of radius 3 has one, and one alone.
func TestExactGradientAtUnstableFixedPoints(t *testing.T) {
	sets := []string{"model.gain=3", "model.units=48", "model.activation=linear", "solver=newton", "solver.rtol=1e-3", "backward=lu"}
	c, parts := small[float32](t, sets...)
	tr, err := train.New(c, parts)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newReference(wideOf(t, sets...), tr.Data, 1, "all")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = tr.Next(context.Background(), watcher[float32](func(ctx context.Context, s train.Step[float32]) error {
		found, err := gradientOf(ctx, x, s.Layer, s.Batch.Rows, widen(s.Z))
		if err != nil {
			return err
		}
		if n := len(s.Batch.Rows); len(found.rows) != n || found.unstable != n || found.missing != 0 {
			t.Fatalf("%d fixed points, %d unstable, %d missing, of %d", len(found.rows), found.unstable, found.missing, n)
		}
		if c := matchOf(flat(s.Grads, s.Trained[:3]), flat(found.Grads, s.Trained[:3])).cosine(); !(c > 1-1e-6) {
			t.Errorf("cosine to the gradient of the rule: %g", c)
		}
		x.batch.Gather(x.Data.Train, s.Batch.Rows)
		before, err := x.Look(ctx, x.Layer.Params, &x.batch, widen(s.Z))
		if err == nil && before.Report.Failed() == 0 {
			t.Error("Anderson's method finds all: the test tests nothing")
		}
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// Where samples have no fixed point a rule is compared on the others: one that is exact has cosine 1 there.
func TestCosineWithoutSomeSamples(t *testing.T) {
	sets := []string{"model.gain=3", "model.units=24", "task.train=256", "train.batch=64", "train.epochs=1", "solver=newton", "solver.rtol=1e-10", "solver.max_evals=20000", "backward=lu", "backward.rtol=1e-10"}
	c, parts := small[float64](t, sets...)
	s, err := Run(context.Background(), c, parts, Wide{Config: c, Parts: parts},
		Plan{Rules: []string{"implicit", "jfb"}, Settings: []string{"credit-critical"}, Seeds: []uint64{1}, Every: 1, Looks: -1}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s[0].Rules[:2] {
		partial, b := 0, r.CosineBasis
		for _, p := range r.Trials[0].Cosine {
			if p.Samples+p.Missing != 64 {
				t.Errorf("%s, step %d: %d samples and %d without an exact gradient, of 64", r.Rule, p.Step, p.Samples, p.Missing)
			}
			if p.Samples == 0 || p.Missing == 0 {
				continue
			}
			partial++
			if exact := math.Abs(p.Cosine-1) < 1e-6; exact != (r.Rule == "implicit") {
				t.Errorf("%s, step %d: cosine %g", r.Rule, p.Step, p.Cosine)
			}
		}
		if partial == 0 || b.Partial != partial || b.Taken != len(r.Trials[0].Cosine) || b.Looks < partial || b.Samples+b.Missing != 64*b.Taken {
			t.Errorf("%s: %d looks at a part of a batch, %+v", r.Rule, partial, b)
		}
	}
}

// update changes the parameters of a layer by its door.
func update[T deq.Float](l *deq.Layer[T], change func()) {
	if err := l.Update(func(deq.Params[T]) error { change(); return nil }); err != nil {
		panic(err)
	}
}
