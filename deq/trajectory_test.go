package deq_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
)

// trial is a layer with a sequence and the weights of its losses.
type trial struct {
	*deq.Layer[float64]
	deq.Sequence[float64]
	weights []float64
}

const span = 7 // steps

// newTrial makes trials of different lengths, from states of their own, the loss of some steps being 0.
func newTrial(t *testing.T, m models.Model, c deq.Config) *trial {
	t.Helper()
	c.Batch = 6
	l, err := deq.New[float64](m, inputs, outputs, 1, c)
	if err != nil {
		t.Fatal(err)
	}
	update(l, func() {
		for i, p := range l.Params {
			if len(p.Shape) == 1 {
				copy(p.Data, normals(uint64(10+i), len(p.Data), 0.3))
			}
		}
	})
	w := make([]float64, span*rows)
	for i := range w {
		if step, b := i/rows, i%rows; step != 2 && step < span-b {
			w[i] = float64(1 + b)
		}
	}
	return &trial{l, deq.Sequence[float64]{
		Rows: rows, Steps: span, X: normals(4, span*rows*inputs, 1), Z0: normals(5, rows*l.Units, 0.5),
	}, w}
}

// run runs the sequence and reads it out; the gradients of the readout go to g.
func (tr *trial) run(t *testing.T, g deq.Params[float64]) (*deq.Trajectory[float64], deq.Outputs[float64]) {
	t.Helper()
	r, err := tr.Run(ctx, tr.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	outs, err := r.Evaluate(ctx, quadratic{outputs}, tr.weights, g)
	if err != nil {
		t.Fatal(err)
	}
	return r, outs
}

// gradients are those of the parameters, the inputs and the initial state.
func (tr *trial) gradients(t *testing.T) (g deq.Params[float64], dx, dz0 []float64) {
	t.Helper()
	g = tr.Params.ZerosLike()
	r, outs := tr.run(t, g)
	dx, dz0 = make([]float64, len(tr.X)), make([]float64, len(tr.Z0))
	if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs, DX: dx, DZ0: dz0}, g); err != nil {
		t.Fatal(err)
	}
	return g, dx, dz0
}

func (tr *trial) loss(t *testing.T) float64 {
	_, outs := tr.run(t, nil)
	return outs.Loss()
}

// numeric differentiates the loss for some numbers and returns the largest error of got, relative to the
// largest derivative.
func (tr *trial) numeric(t *testing.T, values, got []float64) float64 {
	t.Helper()
	const h = 1e-5
	var diff, scale float64
	for k := 0; k < len(values); k += 1 + len(values)/20 {
		old := values[k]
		at := func(v float64) float64 {
			values[k] = v
			return tr.loss(t)
		}
		n := (at(old+h) - at(old-h)) / (2 * h)
		values[k] = old
		diff, scale = max(diff, math.Abs(got[k]-n)), max(scale, math.Abs(n))
	}
	return diff / scale
}

var cells = map[string]models.Model{
	"rate": models.Rate{N: units}, "leaky": models.Rate{N: units, Leak: 0.3, Gain: 1.5}, "softplus": models.Rate{N: units, Activation: "softplus", Leak: 0.4},
	"gru": models.GRU{N: units}, "lstm": models.LSTM{N: 4}, "currents": models.Rate{N: units, Form: "v", Leak: 0.3, Dale: 0.5, Density: 0.7}, "mondeq": models.MonDEQ{N: units, Activation: "tanh"}, "dropout": models.Rate{N: units, Dropout: 0.3, Normalize: "weight"},
}

// Gradients through time of parameters, inputs and initial states agree with finite differences, with
// all states kept and with some, at inputs that change and that do not.
func TestSequenceGradient(t *testing.T) {
	for name, m := range cells {
		for _, every := range []int{1, 3} {
			for _, constant := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/every=%d/constant=%v", name, every, constant), func(t *testing.T) {
					tr := newTrial(t, m, deq.Config{Shard: 2})
					tr.Every = every
					if constant {
						tr.X = tr.X[:rows*inputs]
					}
					g, dx, dz0 := tr.gradients(t)
					if e := worst(t, tr.Layer, g, func() float64 { return tr.loss(t) }); !(e <= 1e-7) {
						t.Errorf("gradients of the parameters are off by %.2g", e)
					}
					if e := tr.numeric(t, tr.X, dx); !(e <= 1e-7) {
						t.Errorf("gradients of the inputs are off by %.2g", e)
					}
					if e := tr.numeric(t, tr.Z0, dz0); !(e <= 1e-7) {
						t.Errorf("gradients of the initial states are off by %.2g", e)
					}
				})
			}
		}
	}
}

// Negative control: losses that are a step late, and a way back that leaves out a step, are told apart.
func TestSequenceGradientOffByOne(t *testing.T) {
	tr := newTrial(t, models.Rate{N: units, Leak: 0.5}, deq.Config{Shard: 2})
	r, outs := tr.run(t, nil)
	value := func() float64 { return tr.loss(t) }
	late := append(deq.Outputs[float64]{nil}, outs[:span]...)
	for name, b := range map[string]deq.Back[float64]{"late losses": {Outputs: late}, "a step left out": {Outputs: outs, Stop: 1}} {
		g := tr.Params.ZerosLike()
		if _, err := r.Evaluate(ctx, quadratic{outputs}, tr.weights, g); err != nil {
			t.Fatal(err)
		}
		if err := r.VJP(ctx, b, g); err != nil {
			t.Fatal(err)
		}
		if e := worst(t, tr.Layer, g, value); !(e >= 1e-3) {
			t.Errorf("%s pass as exact: off by only %.2g", name, e)
		}
	}
}

// What is computed again, and by how many cores, changes no bit.
func TestSequenceBits(t *testing.T) {
	for name, m := range cells {
		want, wantX, wantZ0 := newTrial(t, m, deq.Config{Shard: 2, Workers: 1}).gradients(t)
		for _, workers := range []int{1, 3} {
			for _, every := range []int{0, 1, 2, 3, 5, span, 20} {
				for _, once := range []bool{false, true} {
					tr := newTrial(t, m, deq.Config{Shard: 2, Workers: workers})
					tr.Every, tr.Once = every, once
					g, dx, dz0 := tr.gradients(t)
					if !slices.Equal(dx, wantX) || !slices.Equal(dz0, wantZ0) {
						t.Fatalf("%s: %d cores, a state kept every %d, once %v: other gradients of inputs or initial states", name, workers, every, once)
					}
					for i := range g {
						if !slices.Equal(g[i].Data, want[i].Data) {
							t.Fatalf("%s: %d cores, a state kept every %d, once %v: other gradients of %s", name, workers, every, once, g[i].Name)
						}
					}
				}
			}
		}
		tape := newTrial(t, m, deq.Config{Shard: 2, Engine: "tape"})
		g, _, _ := tape.gradients(t)
		for i := range g {
			for k, v := range g[i].Data {
				if w := want[i].Data[k]; !(math.Abs(v-w) <= 1e-12*max(1, math.Abs(w))) {
					t.Fatalf("%s: by the TapeMachine %s[%d] is %v, want %v", name, g[i].Name, k, v, w)
				}
			}
		}
	}
}

// A way back that stops at a state is that of a trajectory which starts there.
func TestSequenceStops(t *testing.T) {
	const stop = 4
	tr := newTrial(t, models.GRU{N: units}, deq.Config{Shard: 2})
	r, outs := tr.run(t, nil)
	part, err := tr.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: span - stop, X: tr.X[stop*rows*inputs:], Z0: r.Z[stop]})
	if err != nil {
		t.Fatal(err)
	}
	for every := range 4 {
		tr.Every = every
		r, _ := tr.run(t, nil)
		got, want := tr.Params.ZerosLike(), tr.Params.ZerosLike()
		dz, dzPart := make([]float64, rows*units), make([]float64, rows*units)
		if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs, Stop: stop, DZ0: dz}, got); err != nil {
			t.Fatal(err)
		}
		if err := part.VJP(ctx, deq.Back[float64]{Outputs: outs[stop:], DZ0: dzPart}, want); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(dz, dzPart) {
			t.Error("the gradients of the state differ")
		}
		for i := range got {
			if !slices.Equal(got[i].Data, want[i].Data) {
				t.Errorf("the gradients of %s differ", got[i].Name)
			}
		}
	}
}

// Noise of the model is drawn for every step and sample, whatever the batch is divided into and whatever is
// computed again, and the gradient is that with the noise as it is.
func TestNoise(t *testing.T) {
	stream := func(name string, t, sample int) *rand.Rand {
		return rng.Stream(1, name, uint64(t), uint64(sample))
	}
	for _, m := range []models.Rate{{Noise: 0.5}, {Noise: 0.5, Form: "v", Leak: 0.3}} {
		m.N = units
		quiet := newTrial(t, m, deq.Config{Shard: 2})
		still, _ := quiet.run(t, nil)
		var want *deq.Trajectory[float64]
		for _, every := range []int{1, 3} {
			for _, c := range []deq.Config{{Shard: 2}, {Shard: 4, Workers: 1}} {
				tr := newTrial(t, m, c)
				tr.Noise, tr.Every = stream, every
				g, _, dz0 := tr.gradients(t)
				if e := worst(t, tr.Layer, g, func() float64 { return tr.loss(t) }); !(e <= 1e-7) {
					t.Errorf("gradients are off by %.2g", e)
				}
				if e := tr.numeric(t, tr.Z0, dz0); !(e <= 1e-7) {
					t.Errorf("gradients of the initial states are off by %.2g", e)
				}
				r, _ := tr.run(t, nil)
				if want == nil {
					want = r
				}
				if !slices.Equal(r.Last(), want.Last()) {
					t.Errorf("%+v, a state kept every %d: other noise", c, every)
				}
				tr.Noise = nil
				if r, _ = tr.run(t, nil); !slices.Equal(r.Last(), still.Last()) {
					t.Error("noise of before is left")
				}
			}
		}
		if slices.Equal(want.Last(), still.Last()) || !quiet.Noisy() {
			t.Error("the noise changes nothing")
		}
		e, err := quiet.Solve(ctx, quiet.X[:rows*inputs], nil, exact())
		if err != nil || e.Report.Err() != nil {
			t.Errorf("an equilibrium with noise: %v, %v", err, e.Report.Err())
		}
	}
	// The current of a unit without input fluctuates by σ/√(1 − α/2).
	const sigma, alpha, steps, samples, n = 0.3, 0.1, 400, 20, 50
	l, err := deq.New[float64](models.Rate{N: n, Gain: 1e-9, Form: "v", Leak: alpha, Noise: sigma}, 1, 1, 1, deq.Config{Batch: samples})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Run(ctx, deq.Sequence[float64]{Rows: samples, Steps: steps, X: make([]float64, samples), Noise: stream})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, z := range r.Z[steps/2:] {
		for _, v := range z {
			sum += v * v / float64(len(z)*(steps-steps/2+1))
		}
	}
	if got, want := math.Sqrt(sum), sigma/math.Sqrt(1-alpha/2.); !(math.Abs(got-want) <= 0.01) {
		t.Errorf("fluctuates by %.4f, want %.4f", got, want)
	}
}

// A step costs one evaluation of the cell and one product with Jᵀ, and what is not kept another evaluation.
func TestSequenceCounts(t *testing.T) {
	for every, again := range map[int]int{1: 0, 3: span - 1} {
		tr := newTrial(t, models.GRU{N: units}, deq.Config{Shard: 2})
		_, outs := tr.run(t, nil)
		tr.Every = every
		before := tr.Counts()
		r, err := tr.Run(ctx, tr.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		if got := tr.Counts().Sub(before); got != (deq.Counts{Cell: span * rows}) {
			t.Errorf("forward: %+v", got)
		}
		before = tr.Counts()
		if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs}, tr.Params.ZerosLike()); err != nil {
			t.Fatal(err)
		}
		// The first state needs no product: nothing goes further back.
		if got := tr.Counts().Sub(before); got.Adjoint != (span-1)*rows || got.Cell < int64(again*rows) || got.Cell > int64((again+1)*rows) {
			t.Errorf("a state kept every %d: back: %+v", every, got)
		}
	}
}

// Of T steps with a state kept every √T, about 2√T states are in memory.
func TestSequenceMemory(t *testing.T) {
	l, err := deq.New[float64](models.Rate{N: units}, inputs, outputs, 1, deq.Config{Batch: rows})
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(steps, every int) int {
		r, err := l.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: steps, X: make([]float64, rows*inputs), Every: every})
		if err != nil {
			t.Fatal(err)
		}
		outs, err := r.Evaluate(ctx, quadratic{outputs}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range outs {
			if dz := outs.DZ(i); every > 1 && dz != nil {
				t.Fatalf("∂L/∂z of state %d is kept", i)
			}
		}
		return r.Bytes()
	}
	const state = 8 * rows * units
	if got, most := bytes(400, 20), 45*state; got > most {
		t.Errorf("%d bytes, want at most %d", got, most)
	}
	if got, least := bytes(400, 1), 400*state; got < least {
		t.Errorf("%d bytes with all states, want at least %d: the test cannot fail", got, least)
	}
}

func TestBadSequences(t *testing.T) {
	tr := newTrial(t, models.Rate{N: units}, deq.Config{Shard: 2})
	for name, q := range map[string]deq.Sequence[float64]{
		"no samples":  {Steps: 1, X: tr.X},
		"no steps":    {Rows: rows, X: tr.X},
		"too many":    {Rows: 7, Steps: 1, X: make([]float64, 7*inputs)},
		"ragged":      {Rows: rows, Steps: span, X: tr.X[1:]},
		"other steps": {Rows: rows, Steps: span + 1, X: tr.X},
		"state":       {Rows: rows, Steps: span, X: tr.X, Z0: make([]float64, 1)},
		"kept":        {Rows: rows, Steps: span, X: tr.X, Every: -1},
	} {
		if _, err := tr.Run(ctx, q); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	r, outs := tr.run(t, nil)
	for name, b := range map[string]deq.Back[float64]{
		"no losses": {}, "stop": {Outputs: outs, Stop: span}, "state": {Outputs: outs, DZ0: make([]float64, 1)}, "inputs": {Outputs: outs, DX: make([]float64, 1)},
	} {
		if err := r.VJP(ctx, b, nil); err == nil {
			t.Errorf("back: %s: accepted", name)
		}
	}
	for name, w := range map[string][]float64{"too few": make([]float64, 3), "all 0": make([]float64, span*rows)} {
		if _, err := r.Evaluate(ctx, quadratic{outputs}, w, nil); err == nil {
			t.Errorf("weights, %s: accepted", name)
		}
	}
}

// A trajectory that takes over the memory of another one is what it is by itself, and so are its outputs and its
// gradients; one of another size has memory of its own.
func TestReuse(t *testing.T) {
	tr := newTrial(t, models.Rate{N: units, Leak: 0.4, Form: "v"}, deq.Config{Shard: 2})
	other := tr.Sequence
	other.X, other.Z0 = normals(9, len(tr.X), 1), normals(10, rows*units, 1)
	shorter := tr.Sequence
	shorter.Steps, shorter.X = 2, tr.X[:2*rows*inputs]
	results := func(q deq.Sequence[float64]) (*deq.Trajectory[float64], []float64) {
		r, err := tr.Run(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		g := tr.Layer.Params.ZerosLike()
		outs, err := r.Evaluate(ctx, half{}, nil, g)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs}, g); err != nil {
			t.Fatal(err)
		}
		all := append(slices.Concat(r.Z...), r.X...)
		for _, o := range outs[1:] {
			all = append(append(append(all, o.Y...), o.DZ...), o.Losses...)
		}
		for _, p := range g {
			all = append(all, p.Data...)
		}
		return r, all
	}
	plain := tr.Sequence
	plain.Z0 = nil
	_, want := results(plain)
	for name, before := range map[string]deq.Sequence[float64]{"as long": other, "shorter": shorter} {
		old, _ := results(before)
		memory := &old.Last()[0]
		again := plain
		again.Reuse = old
		r, got := results(again)
		if !slices.Equal(got, want) {
			t.Errorf("%s: differs from the trajectory by itself", name)
		}
		if took := &r.Last()[0] == memory; took != (name == "as long") {
			t.Errorf("%s: took over the memory: %v", name, took)
		}
	}
	// Outputs that were made twice are two.
	r, _ := results(plain)
	a, err := r.Evaluate(ctx, half{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Evaluate(ctx, half{}, nil, nil)
	if err != nil || &a[1].DZ[0] == &b[1].DZ[0] {
		t.Errorf("a second evaluation writes over the first, or %v", err)
	}
}

// half is the loss ½‖y‖².
type half struct{}

func (half) Eval(_ []int, y, dy []float64, losses []float64) error {
	copy(dy, y)
	width := len(y) / len(losses)
	for b := range losses {
		losses[b] = 0
		for _, v := range y[b*width : (b+1)*width] {
			losses[b] += v * v / 2
		}
	}
	return nil
}
