package train

import (
	"context"
	"math"
	"reflect"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/train/rules"
)

// tight solves to the rounding of float64.
var tight = []string{"train.precision=float64", "solver.rtol=1e-13", "backward.rtol=1e-13", "solver.max_evals=2000", "backward.max_evals=2000", "solver.stall=-1", "backward.stall=-1"}

func trainer[T deq.Float](t *testing.T, sets ...string) *Trainer[T] {
	t.Helper()
	tr, err := New(configured[T](t, sets...), Ours[T]())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func next[T deq.Float](t *testing.T, tr *Trainer[T]) StepRecord {
	t.Helper()
	r, _, err := tr.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the certificate differentiates has all that is added to the loss in it, so that an exact
// rule's slope agrees with it.
func TestCertificateTellsRulesApart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sets  []string
		exact bool
	}{
		{"implicit", nil, true},
		{"implicit, regularised", []string{"regularizer={jacobian: 0.7, probes: 2, correction: 3}"}, true},
		{"implicit, readout", []string{"train.trained=readout"}, true},
		{"bptt", []string{"rule=bptt", "regularizer.jacobian=0.7"}, true},
		{"reversible", []string{"rule=reversible"}, true},
		{"unrolled", []string{"rule={name: unrolled, steps: 7}"}, true},
		{"jfb", []string{"rule=jfb"}, false},
		{"neumann", []string{"rule=neumann"}, false},
		{"shine", []string{"rule=shine", "solver=broyden"}, false},
		{"reparam-gradient", []string{"rule=reparam-gradient"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sets := append(append(tight, "train.certificate=2", "model.gain=0.9"), tt.sets...)
			tr := trainer[float64](t, sets...)
			c := next(t, tr).Certificate
			if c == nil {
				t.Fatal("the first step has no certificate")
			}
			t.Logf("%+v", *c)
			if e := float64(c.Error); tt.exact && !(e < 1e-6) || !tt.exact && !(e > 1e-4) {
				t.Errorf("slope %v, numeric %v: off by %.2g; exact: %v", c.Slope, c.Numeric, e, tt.exact)
			}
			if !temporal(tr.rule) && !(c.Forward < 1e-11) {
				t.Errorf("forward residual %v", c.Forward)
			}
			if tt.name == "implicit" && !(c.Adjoint < 1e-11) || tt.name == "jfb" && !(c.Adjoint > 0.1) {
				t.Errorf("adjoint residual %v", c.Adjoint)
			}
			if next(t, tr).Certificate != nil {
				t.Error("the second step has a certificate")
			}
		})
	}
}

func TestCertificateInFloat32(t *testing.T) {
	for _, rule := range []string{"implicit", "bptt", "reversible"} {
		c := next(t, trainer[float32](t, "rule="+rule, "train.certificate=1", "backward.rtol=1e-5", "solver.rtol=1e-5")).Certificate
		t.Logf("%s: %+v", rule, *c)
		if !(c.Error < 0.01) {
			t.Errorf("%s: %+v", rule, *c)
		}
	}
}

// A certificate does not touch the run.
func TestCertificateLooksOnly(t *testing.T) {
	for _, rule := range []string{"implicit", "bptt"} {
		plain, certified := trainer[float32](t, "rule="+rule), trainer[float32](t, "rule="+rule, "train.certificate=1")
		for !plain.Done() {
			a, b := next(t, plain), next(t, certified)
			if b.Certificate = nil; !reflect.DeepEqual(a, b) {
				t.Fatalf("%s: %+v, certified %+v", rule, a, b)
			}
		}
		if plain.Counts != certified.Counts {
			t.Errorf("%s: %+v, certified %+v", rule, plain.Counts, certified.Counts)
		}
	}
}

func TestPenaltySchedule(t *testing.T) {
	tr := trainer[float32](t, "regularizer={jacobian: 1, probability: 0.4, stop_epoch: 2}", "train.batch=2")
	with := map[int]int{}
	for !tr.Done() {
		if r := next(t, tr); r.Jacobian != nil {
			with[r.Epoch]++
		}
	}
	if n := with[1] + with[2]; !(math.Abs(float64(n)-0.4*64) <= 3*math.Sqrt(64*0.4*0.6)) || with[3] > 0 {
		t.Errorf("steps with a penalty by epoch: %v, of 32 each", with)
	}
}

// The penalty keeps the Jacobian small.
func TestPenaltyShrinksTheJacobian(t *testing.T) {
	norm := func(sets ...string) float64 {
		tr := trainer[float64](t, append(sets, "train.precision=float64", "train.epochs=8", "model.gain=0.9")...)
		for !tr.Done() {
			next(t, tr)
		}
		e, err := tr.Layer.Solve(t.Context(), tr.batches.InOrder(0).X, nil, tr.forward)
		if err != nil {
			t.Fatal(err)
		}
		draw, v := rng.Stream(1, "test"), make([]float64, len(e.Z))
		sum := 0.0
		for range 50 {
			for i := range v {
				v[i] = draw.NormFloat64()
			}
			r, err := e.JacobianPenalty(v, 1, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			sum += r / 50
		}
		return sum
	}
	without, with := norm(), norm("regularizer.jacobian=1")
	t.Logf("‖J‖²/n is %.3g without and %.3g with the penalty", without, with)
	if !(with < 0.7*without) {
		t.Errorf("‖J‖²/n is %.3g without and %.3g with the penalty", without, with)
	}
}

func TestWarmStartsSaveEvaluations(t *testing.T) {
	evals := func(setting string) (cell, adjoint float64) {
		tr := trainer[float64](t, "train.warm_start="+setting, "train.precision=float64", "optimizer.lr=0.01", "model.gain=0.9")
		for !tr.Done() {
			r := next(t, tr)
			if r.Failed > 0 {
				t.Errorf("%s: %d failed", setting, r.Failed)
			}
			if r.Epoch > 1 {
				cell, adjoint = cell+r.Cell, adjoint+r.Adjoint
			}
		}
		return cell, adjoint
	}
	cell, adjoint := evals("off")
	for _, setting := range []string{"forward", "adjoint", "both"} {
		c, a := evals(setting)
		t.Logf("%s: %.3g of the forward and %.3g of the adjoint evaluations", setting, c/cell, a/adjoint)
		if setting != "adjoint" && !(c < 0.9*cell) || setting != "forward" && !(a < adjoint) {
			t.Errorf("%s: %.3g cell and %.3g adjoint evaluations; cold: %.3g and %.3g", setting, c, a, cell, adjoint)
		}
	}
}

func TestRefusedTogether(t *testing.T) {
	for _, sets := range [][]string{
		{"rule=bptt", "train.warm_start=forward"},
		{"rule=jfb", "train.warm_start=adjoint"},
		{"rule=unrolled", "regularizer.correction=2"},
		{"rule=shine", "solver=anderson"},
	} {
		if _, err := New(configured[float32](t, sets...), Ours[float32]()); err == nil {
			t.Errorf("%v is accepted", sets)
		} else {
			t.Log(err)
		}
	}
	for _, set := range []string{"regularizer.jacobian=-1", "regularizer.probability=2", "regularizer.decay=-1", "train.certificate=-1", "regularizer.probes=-1"} {
		c, err := Read(Ours[float32](), "test", nil, []string{set})
		if err == nil {
			_, err = New(c, Ours[float32]())
		}
		if err == nil {
			t.Errorf("%s is accepted", set)
		}
	}
}

// A certificate where there is no gradient, or next to none, has an error of 0 or of the size of what differences can tell, not NaN;
// and where the rule gives none although there is one, the error is that of all of it.
func TestCertificateOfNothing(t *testing.T) {
	parts := Ours[float64]()
	parts.Rules = parts.Rules.With(rules.Entry[float64]{Name: "idle", Doc: "no gradient", Value: idle{}})
	for _, tt := range []struct {
		name, rule  string
		still       bool // without weights to the readout nothing of the cell has a gradient
		least, most float64
	}{
		{"none, and none given", "idle", true, 0, 1e-3},
		{"none, by implicit", "implicit", true, 0, 1e-3},
		{"some, and none given", "idle", false, 0.999, 1.001},
		{"some, by implicit", "implicit", false, 0, 1e-6},
	} {
		c, err := Read(parts, "test", nil, []string{"task=blobs", "model.units=6", "train.trained=recurrent", "train.certificate=1", "train.precision=float64", "rule=" + tt.rule, "solver.rtol=1e-12", "backward.rtol=1e-12"})
		if err != nil {
			t.Fatal(err)
		}
		tr, err := New(c, parts)
		if err != nil {
			t.Fatal(err)
		}
		if tt.still {
			update(tr.Layer, func() { clear(tr.Layer.Params.Data("Wo")) })
		}
		got := next(t, tr).Certificate
		if e := float64(got.Error); !(e >= tt.least && e <= tt.most) {
			t.Errorf("%s: %+v, want an error from %g to %g", tt.name, *got, tt.least, tt.most)
		}
	}
}

// idle gives no gradient.
type idle struct{ rules.JFB[float64] }

func (idle) Gradient(context.Context, rules.Situation[float64], deq.Params[float64]) (rules.Report, error) {
	return rules.Report{}, nil
}

// At the state 0, where a network without input and bias rests, a residual is 0 and not NaN.
func TestChangeAtZero(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		z, next []float64
		want    float64
	}{
		{[]float64{0, 0}, []float64{0, 0}, 0},
		{[]float64{0, 0, 3, 4}, []float64{0, 0, 3, 5}, math.Sqrt(1.0 / 34)},
		{[]float64{1, 0}, []float64{0, 0}, math.Inf(1)},
	} {
		if got := change(tt.z, tt.next, 2); got != tt.want {
			t.Errorf("from %v to %v: %v, want %v", tt.z, tt.next, got, tt.want)
		}
	}
	if got := change([]float64{nan, 0}, []float64{0, 0}, 2); !math.IsNaN(got) {
		t.Errorf("from NaN: %v", got)
	}
}
