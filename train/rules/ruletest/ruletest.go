// Package ruletest is the contract of learning rules: a rule that is listed in the catalogue is
// tested by it.
package ruletest

import (
	"context"
	"math"
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

// Bench is a small network with random inputs to try rules on.
type Bench struct {
	Layer *deq.Layer[float64]
	X     []float64
	Tight deq.Solver[float64]
}

// NewBench makes one of the given model, in two shards of which one is not full, with all
// parameters random.
func NewBench(t testing.TB, m models.Rate, seed uint64) *Bench {
	t.Helper()
	m.N = units
	l, err := deq.New[float64](m, inputs, outputs, seed, deq.Config{Batch: rows + 1, Shard: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := rng.Stream(seed, "ruletest")
	for _, name := range []string{"b", "bo"} {
		p := l.Params.Data(name)
		for i := range p {
			p[i] = 0.2 * r.NormFloat64()
		}
	}
	for i := range l.Params.Data("Wo") { // mild, so that the loss bends little where β nudges
		l.Params.Data("Wo")[i] *= 0.3
	}
	l.Updated()
	x := make([]float64, rows*inputs)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return &Bench{Layer: l, X: x, Tight: deq.Solver[float64]{
		Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-13, MaxEvals: 5000},
	}}
}

// Gradient returns the cell's gradient by a rule, and the situation it was given.
func (b *Bench) Gradient(t testing.TB, rule rules.Rule[float64]) (deq.Params[float64], rules.Situation[float64]) {
	t.Helper()
	ctx := context.Background()
	g := b.Layer.Params.ZerosLike()
	forward := b.Tight
	if r, ok := rule.(rules.ForwardChecker[float64]); ok && r.CheckForward(forward) != nil {
		forward.Method = solvers.Broyden[float64]{Memory: -1}
	}
	e, err := b.Layer.Solve(ctx, b.X, nil, forward)
	if err != nil || e.Report.Err() != nil {
		t.Fatal(err, e.Report.Err())
	}
	loss := Loss[float64]{outputs}
	o, err := b.Layer.Evaluate(e.Z, loss, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := rules.Situation[float64]{Equilibrium: e, Output: o, Loss: loss, Forward: forward, Backward: b.Tight}
	switch r := rule.(type) {
	case rules.EquilibriumRule[float64]:
		_, err = r.Gradient(ctx, s, g)
	case rules.TemporalRule[float64]:
		var tr *deq.Trajectory[float64]
		if tr, err = rules.Relax(ctx, r, b.Layer, b.X); err == nil {
			if o, err = b.Layer.Evaluate(tr.Last(), loss, nil); err == nil {
				_, err = r.Gradient(ctx, tr, o, g)
			}
		}
	default:
		t.Fatalf("%T has no Gradient for an equilibrium or a trajectory", rule)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g, s
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

// Test checks what holds for every rule: it leaves the equilibrium, the parameters and the
// readout's gradients alone, adds to what the gradients hold, gives the same bits twice and on
// any number of cores, points along the exact gradient where the network hardly feeds back, and is
// told apart from the exact one exactly if it says so.
func Test(t *testing.T, rule rules.Rule[float64]) {
	b := NewBench(t, models.Rate{}, 1)
	if err := rule.Check(b.Layer); err != nil {
		t.Fatal(err)
	}
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	g, _ := b.Gradient(t, rule)
	again, s := b.Gradient(t, rule)
	for i := range g {
		if !g[i].Role.OfCell() {
			for _, v := range g[i].Data {
				if v != 0 {
					t.Fatalf("the rule writes the readout's gradient of %s", g[i].Name)
				}
			}
		}
		for k, v := range g[i].Data {
			if v != again[i].Data[k] {
				t.Fatalf("two calls give %v and %v for %s[%d]", v, again[i].Data[k], g[i].Name, k)
			}
			if math.IsNaN(v) {
				t.Fatalf("%s[%d] is NaN", g[i].Name, k)
			}
		}
	}
	if r, ok := rule.(rules.EquilibriumRule[float64]); ok {
		z, dz := append([]float64(nil), s.Z...), append([]float64(nil), s.Output.DZ...)
		twice := b.Layer.Params.ZerosLike()
		for range 2 {
			if _, err := r.Gradient(context.Background(), s, twice); err != nil {
				t.Fatal(err)
			}
		}
		for i := range g {
			for k, v := range g[i].Data {
				if math.Abs(twice[i].Data[k]-2*v) > 1e-12*math.Abs(v) {
					t.Fatalf("the rule does not add to %s[%d]: %v after two calls, %v after one", g[i].Name, k, twice[i].Data[k], v)
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
	weak := NewBench(t, models.Rate{Gain: 1e-4}, 1)
	exact, _ = weak.Gradient(t, rules.Implicit[float64]{})
	g, _ = weak.Gradient(t, rule)
	if c := Cosine(g, exact); !(c > 0.5) {
		t.Errorf("with hardly any feedback its cosine to the exact gradient is %.3f", c)
	}
}
