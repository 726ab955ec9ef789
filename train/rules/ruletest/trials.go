package ruletest

import (
	"context"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/rules"
)

const steps = 12

// Trials are sequences of different lengths through a small network, with a loss at some of their
// steps, to try temporal rules on.
type Trials struct {
	Layer *deq.Layer[float64]
	deq.Sequence[float64]
	Weights []float64 // [steps, rows]
	// Mirrored is as in Bench.
	Mirrored bool
}

// NewTrials makes some for the given model, in two shards of which one is not full, with all vectors
// random.
func NewTrials(t testing.TB, m models.Model, seed uint64, workers int) *Trials {
	t.Helper()
	l, err := deq.New[float64](m, inputs, outputs, seed, deq.Config{Batch: rows + 1, Shard: 4, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.Stream(seed, "ruletest")
	Update(t, l, func(params deq.Params[float64]) {
		for _, p := range params {
			if len(p.Shape) == 1 {
				for i := range p.Data {
					p.Data[i] += 0.2 * r.NormFloat64()
				}
			}
		}
	})
	guard(t, l)
	b := &Trials{Layer: l, Weights: make([]float64, steps*rows)}
	b.Rows, b.Steps, b.X = rows, steps, make([]float64, steps*rows*inputs)
	for i := range b.X {
		b.X[i] = r.NormFloat64()
	}
	for i := range b.Weights {
		if step, row := i/rows, i%rows; step%4 != 1 && step < steps-row/2 {
			b.Weights[i] = float64(1 + row%2)
		}
	}
	return b
}

// Passage runs the trials for a rule.
func (b *Trials) Passage(t testing.TB, rule rules.TemporalRule[float64]) rules.Passage[float64] {
	t.Helper()
	ctx := context.Background()
	tr, err := rules.Run(ctx, rule, b.Layer, b.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	loss := Loss[float64]{outputs}
	outs, err := tr.Evaluate(ctx, loss, b.Weights, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := rules.NewOwn(rule, b.Layer, 1, nil)
	if b.Mirrored {
		mirror(own, b.Layer)
	}
	return rules.Passage[float64]{Trajectory: tr, Outputs: outs, Loss: loss, Own: own}
}

// Gradient returns the cell's gradient by a rule.
func (b *Trials) Gradient(t testing.TB, rule rules.TemporalRule[float64]) deq.Params[float64] {
	t.Helper()
	g := b.Layer.Params.ZerosLike()
	if _, err := rule.Gradient(context.Background(), b.Passage(t, rule), g); err != nil {
		t.Fatal(err)
	}
	return g
}

// testTrials checks for a temporal rule on sequences what Test checks at equilibria.
func testTrials(t *testing.T, rule rules.TemporalRule[float64]) {
	if r, ok := rule.(rules.SequenceChecker); ok && r.CheckSequence(steps) != nil {
		return
	}
	leaky := models.Rate{N: units, Leak: 0.6, Gain: 1.2}
	b := NewTrials(t, leaky, 1, 1)
	if err := rule.Check(b.Layer); err != nil {
		t.Fatal(err)
	}
	p := b.Passage(t, rule)
	var before [][]float64
	content := func() (all [][]float64) {
		all = append(all, p.Z...)
		for i := range p.Outputs {
			all = append(all, p.Outputs.DY(i), p.Outputs.DZ(i))
		}
		for _, own := range p.Own.Params {
			all = append(all, own.Data)
		}
		return all
	}
	for _, v := range content() {
		before = append(before, slices.Clone(v))
	}
	once, twice := b.Layer.Params.ZerosLike(), b.Layer.Params.ZerosLike()
	ownGrads := copyOf(p.Own.Grads)
	for i, g := range []deq.Params[float64]{once, twice, twice} {
		if i == 1 {
			ownGrads.CopyFrom(p.Own.Grads)
			p.Own.Grads.Clear()
		}
		if _, err := rule.Gradient(context.Background(), p, g); err != nil {
			t.Fatal(err)
		}
	}
	finite(t, once)
	for i, v := range content() {
		if !slices.Equal(v, before[i]) {
			t.Fatal("the rule changes the passage")
		}
	}
	adds(t, once, twice)
	adds(t, ownGrads, p.Own.Grads)
	readoutAlone(t, rule, b.Layer, once)
	for i, g := range NewTrials(t, leaky, 1, 3).Gradient(t, rule) {
		if !slices.Equal(g.Data, once[i].Data) {
			t.Fatalf("on several cores the gradient of %s is another", g.Name)
		}
	}
	if d := Distance(once, b.Gradient(t, rules.BPTT[float64]{})); rule.Exact() != (d < 1e-9) {
		t.Errorf("on trials, the rule says that it is exact: %v; it is off by %.2g", rule.Exact(), d)
	}
	if _, ok := rule.(rules.ReadoutRule); ok {
		before := p.Outputs.Loss()
		Update(t, b.Layer, func(params deq.Params[float64]) {
			for i, param := range params {
				for k, v := range once[i].Data {
					param.Data[k] -= v
				}
			}
		})
		if after := b.Passage(t, rule).Outputs.Loss(); !(after < 0.5*before) {
			t.Errorf("on trials, a step of the readout changes the loss from %.3g to %.3g", before, after)
		}
		return
	}
	weak := NewTrials(t, models.Rate{N: units, Gain: 1e-4}, 1, 1)
	weak.Mirrored = true
	if c := Cosine(weak.Gradient(t, rule), weak.Gradient(t, rules.BPTT[float64]{})); !(c > 0.5) {
		t.Errorf("on trials, with hardly any feedback its cosine to the exact gradient is %.3f", c)
	}
}
