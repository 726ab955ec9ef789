// Package ruletest is the contract of learning rules: a rule that is listed in the catalogue is
// tested by it.
package ruletest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"
	"attractor/train/rules"
)

const (
	rows, inputs, outputs, units = 6, 5, 3, 10
)

// Loss is ½‖y − t‖² with targets that are functions of the indices.
type Loss[T deq.Float] struct{ Outputs int }

// Eval implements deq.Loss.
func (l Loss[T]) Eval(rows []int, y, dy []T, losses []float64) error {
	for i, r := range rows {
		losses[i] = 0
		for k := range l.Outputs {
			d := float64(y[i*l.Outputs+k]) - math.Sin(float64(3*r+k))
			dy[i*l.Outputs+k] = T(d)
			losses[i] += d * d / 2
		}
	}
	return nil
}

// Continue implements rules.HolomorphicLoss.
func (l Loss[T]) Continue(b int, y, dy []complex128) error {
	for k := range y {
		dy[k] = y[k] - complex(math.Sin(float64(3*b+k)), 0)
	}
	return nil
}

// Bench is a small network with random inputs to try rules on.
type Bench struct {
	Layer    *deq.Layer[float64]
	X        []float64
	Tight    deq.Solver[float64] // of the equilibria
	Backward deq.Solver[float64] // of the adjoints
	// Mirrored gives the parameters of a rule's own that stand in for the network's the values of those.
	Mirrored bool
}

// Update changes the parameters of a layer.
func Update[T deq.Float](t testing.TB, l *deq.Layer[T], change func(p deq.Params[T])) {
	t.Helper()
	if err := l.Update(func(p deq.Params[T]) error { change(p); return nil }); err != nil {
		t.Fatal(err)
	}
}

// guard makes the test fail where a rule writes to the parameters of the layer.
func guard(t testing.TB, l *deq.Layer[float64]) {
	check := l.Guard()
	t.Cleanup(func() {
		if err := check(); err != nil {
			t.Error(err)
		}
	})
}

// NewBench makes one of the given model, with 10 units if it does not say, in two shards of
// which one is not full, with all parameters random.
func NewBench(t testing.TB, m models.Rate, seed uint64) *Bench {
	t.Helper()
	if m.N == 0 {
		m.N = units
	}
	l, err := deq.New[float64](m, inputs, outputs, seed, deq.Config{Batch: rows + 1, Shard: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.Stream(seed, "ruletest")
	Update(t, l, func(params deq.Params[float64]) {
		for _, name := range []string{"b", "bo"} {
			p := params.Data(name)
			for i := range p {
				p[i] = 0.2 * r.NormFloat64()
			}
		}
		for i := range params.Data("Wo") { // mild, so that the loss bends little where β nudges
			params.Data("Wo")[i] *= 0.3
		}
	})
	guard(t, l)
	x := make([]float64, rows*inputs)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	tight := deq.Solver[float64]{
		Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-13, MaxEvals: 5000},
	}
	return &Bench{Layer: l, X: x, Tight: tight, Backward: tight}
}

// Sequence is a relaxation at the inputs.
func (b *Bench) Sequence() deq.Sequence[float64] {
	return deq.Sequence[float64]{Rows: len(b.X) / inputs, X: b.X}
}

// accepted makes a bench of the model with the first activation that the rule accepts.
func accepted(t testing.TB, rule rules.Rule[float64], m models.Rate, seed uint64) (b *Bench, err error) {
	t.Helper()
	for _, m.Activation = range models.Activations {
		b = NewBench(t, m, seed)
		if err = rule.Check(b.Layer); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("the rule accepts no rate network: %w", err)
}

// outcome is what a rule has made of a bench.
type outcome struct {
	grads     deq.Params[float64]
	situation rules.Situation[float64]
	output    *deq.Output[float64] // what the rule read
	report    rules.Report
	relax     deq.Reads // of a relaxation of the rule's own
	gradient  deq.Reads // of Gradient
}

// run runs a rule. tamper, which may be nil, changes the output and the loss that it is given.
func (b *Bench) run(rule rules.Rule[float64], tamper func(o *deq.Output[float64], loss deq.Loss[float64]) deq.Loss[float64]) (out outcome, err error) {
	ctx := context.Background()
	out.grads = b.Layer.Params.ZerosLike()
	forward := b.Tight
	if r, ok := rule.(rules.ForwardChecker[float64]); ok && r.CheckForward(forward) != nil {
		forward.Method = solvers.Broyden[float64]{Memory: -1}
	}
	var loss deq.Loss[float64] = Loss[float64]{outputs}
	e, err := b.Layer.SolveAlong(ctx, b.X, nil, forward, deq.Along[float64]{Loss: loss})
	if err != nil {
		return out, err
	}
	if err := e.Report.Err(); err != nil {
		return out, err
	}
	z := e.Z
	var tr *deq.Trajectory[float64]
	if r, ok := rule.(rules.TemporalRule[float64]); ok {
		before := b.Layer.Reads()
		if tr, err = rules.Run(ctx, r, b.Layer, b.Sequence()); err != nil {
			return out, err
		}
		z, out.relax = tr.Last(), b.Layer.Reads().Sub(before)
	}
	o, err := b.Layer.Evaluate(z, loss, nil)
	if err != nil {
		return out, err
	}
	if tamper != nil {
		loss = tamper(o, loss)
	}
	out.output = o
	out.situation = rules.Situation[float64]{Equilibrium: e, Output: o, Loss: loss, Forward: forward, Backward: b.Backward,
		Own: rules.NewOwn(rule, b.Layer, 1, nil)}
	if b.Mirrored {
		mirror(out.situation.Own, b.Layer)
	}
	before := b.Layer.Reads()
	switch r := rule.(type) {
	case rules.EquilibriumRule[float64]:
		out.report, err = r.Gradient(ctx, out.situation, out.grads)
	case rules.TemporalRule[float64]:
		outs := make(deq.Outputs[float64], tr.Steps+1)
		outs[tr.Steps] = o
		out.report, err = r.Gradient(ctx, rules.Passage[float64]{Trajectory: tr, Outputs: outs, Loss: loss, Own: out.situation.Own}, out.grads)
	default:
		err = fmt.Errorf("%T has no Gradient for an equilibrium or a trajectory", rule)
	}
	out.gradient = b.Layer.Reads().Sub(before)
	return out, err
}

// Gradient returns the cell's gradient by a rule, and the situation it was given: the
// equilibrium, whatever the rule reads out.
func (b *Bench) Gradient(t testing.TB, rule rules.Rule[float64]) (deq.Params[float64], rules.Situation[float64]) {
	t.Helper()
	out, err := b.run(rule, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.grads, out.situation
}

// Cosine is the cosine of two gradients over the cell's parameters.
func Cosine(a, b deq.Params[float64]) float64 {
	var ab, aa, bb float64
	for i := range a {
		if !a[i].Role.OfCell() {
			continue
		}
		for k, v := range a[i].Data {
			w := b[i].Data[k]
			ab, aa, bb = ab+v*w, aa+v*v, bb+w*w
		}
	}
	return ab / math.Sqrt(aa*bb)
}

// Distance is the largest difference of two gradients over the cell's parameters, relative to
// the largest entry of b.
func Distance(a, b deq.Params[float64]) float64 {
	var d, scale float64
	for i := range a {
		if !a[i].Role.OfCell() {
			continue
		}
		for k, v := range a[i].Data {
			d, scale = max(d, math.Abs(v-b[i].Data[k])), max(scale, math.Abs(b[i].Data[k]))
		}
	}
	return d / scale
}

// differ reports whether two gradients of a rule differ in what it teaches: the cell, or the readout.
func differ(rule rules.Rule[float64], a, b deq.Params[float64]) bool {
	_, ofReadout := rule.(rules.ReadoutRule)
	for i, p := range a {
		if p.Role.OfCell() != ofReadout && !slices.Equal(p.Data, b[i].Data) {
			return true
		}
	}
	return false
}

// Test checks what holds for every rule: it leaves the equilibrium, the parameters and the
// readout's gradients alone (but for a decay, if a parameter of its own learns beside the readout), adds to what the gradients hold, gives the same bits twice and on
// any number of cores, points along the exact gradient where the network hardly feeds back and its own
// parameters are those of the network that they stand in for, is told apart from the exact one
// exactly if it says so, and needs what its audit says (CheckAudit). It adds to the gradients of its
// own parameters, and does not move them. Temporal rules are tested on trials of many steps as well. A
// rules.ReadoutRule leaves the cell alone instead, and takes a step that brings the loss down.
func Test(t *testing.T, rule rules.Rule[float64]) {
	b, err := accepted(t, rule, models.Rate{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, rule)
	again, s := b.Gradient(t, rule)
	finite(t, g)
	readoutAlone(t, rule, b.Layer, g)
	for i := range g {
		for k, v := range g[i].Data {
			if v != again[i].Data[k] {
				t.Fatalf("two calls give %v and %v for %s[%d]", v, again[i].Data[k], g[i].Name, k)
			}
		}
	}
	if r, ok := rule.(rules.EquilibriumRule[float64]); ok {
		z, dz := append([]float64(nil), s.Z...), append([]float64(nil), s.Output.DZ...)
		once, own := s.Own.Grads, copyOf(s.Own.Params)
		s.Own.Grads = copyOf(once)
		s.Own.Grads.Clear()
		twice := b.Layer.Params.ZerosLike()
		for range 2 {
			if _, err := r.Gradient(context.Background(), s, twice); err != nil {
				t.Fatal(err)
			}
		}
		adds(t, g, twice)
		adds(t, once, s.Own.Grads)
		for i, p := range own {
			for k, v := range p.Data {
				if s.Own.Params[i].Data[k] != v {
					t.Fatalf("the rule changes %s[%d] of its own", p.Name, k)
				}
			}
		}
		for i, v := range z {
			if s.Z[i] != v || s.Output.DZ[i] != dz[i] {
				t.Fatal("the rule changes the equilibrium or the output")
			}
		}
	}
	if d := Distance(g, exact); rule.Exact() != (d < 1e-6) {
		t.Errorf("the rule says that it is exact: %v; it is off by %.2g", rule.Exact(), d)
	}
	if _, ok := rule.(rules.ReadoutRule); !ok {
		weak, err := accepted(t, rule, models.Rate{Gain: 1e-4}, 1)
		if err != nil {
			t.Fatal(err)
		}
		weak.Mirrored = true
		exact, _ = weak.Gradient(t, rules.Implicit[float64]{})
		g, _ = weak.Gradient(t, rule)
		if c := Cosine(g, exact); !(c > 0.5) {
			t.Errorf("with hardly any feedback its cosine to the exact gradient is %.3f", c)
		}
	}
	if r, ok := rule.(rules.TemporalRule[float64]); ok {
		testTrials(t, r)
	}
	if err := CheckAudit(t, rule); err != nil {
		t.Errorf("the rule's audit does not hold: %v", err)
	}
}

// finite checks that a gradient is a number.
func finite(t *testing.T, g deq.Params[float64]) {
	t.Helper()
	for _, p := range g {
		for k, v := range p.Data {
			if v-v != 0 {
				t.Fatalf("the gradient of %s[%d] is %v", p.Name, k, v)
			}
		}
	}
}

// readoutAlone checks that a gradient has nothing of the readout's, but for a decay; that of a rule for the
// readout has nothing of the cell's.
func readoutAlone(t *testing.T, rule rules.Rule[float64], l *deq.Layer[float64], g deq.Params[float64]) {
	t.Helper()
	_, ofReadout := rule.(rules.ReadoutRule)
	for i, p := range l.Params {
		if ofReadout {
			if p.Role.OfCell() && slices.ContainsFunc(g[i].Data, func(v float64) bool { return v != 0 }) {
				t.Fatalf("the rule for the readout writes the cell's gradient of %s", p.Name)
			}
			continue
		}
		if p.Role.OfCell() {
			continue
		}
		decay := 0.0
		if learnsBeside(rule, l, p.Name) {
			decay = g[i].Data[0] / p.Data[0]
		}
		for k, v := range g[i].Data {
			if !(math.Abs(v-decay*p.Data[k]) <= 1e-15) {
				t.Fatalf("the rule writes the readout's gradient of %s", p.Name)
			}
		}
	}
}

// mirror gives a rule's own parameters that stand in for the network's the values of those.
func mirror(own rules.Own[float64], l *deq.Layer[float64]) {
	for _, o := range own.Params {
		for _, p := range l.Params {
			if p.Name == o.Name {
				copy(o.Data, p.Data)
			}
		}
	}
}

// learnsBeside reports whether a parameter of the rule's own learns beside that of the network.
func learnsBeside(rule rules.Rule[float64], l *deq.Layer[float64], name string) bool {
	parametric, ok := rule.(rules.Parametric[float64])
	return ok && slices.ContainsFunc(parametric.Parameters(l), func(p rules.Parameter) bool { return !p.Fixed && p.Beside == name })
}

// adds checks that the gradients after two calls are twice those after one.
func adds(t *testing.T, once, twice deq.Params[float64]) {
	t.Helper()
	for i, g := range once {
		for k, v := range g.Data {
			if !(math.Abs(twice[i].Data[k]-2*v) <= 1e-12*math.Abs(v)) {
				t.Fatalf("the rule does not add to %s[%d]: %v after two calls, %v after one", g.Name, k, twice[i].Data[k], v)
			}
		}
	}
}

func copyOf(p deq.Params[float64]) deq.Params[float64] {
	c := p.ZerosLike()
	c.CopyFrom(p)
	return c
}
