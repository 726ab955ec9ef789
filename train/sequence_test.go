package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/train/losses"
	"attractor/train/rules"
)

// match is a decision in a context, in trials of different lengths.
var match = []string{"task={name: cxt, trials: 48, test_trials: 30}", "model={name: rate, units: 12, leak: 0.5}", "train.batch=16", "train.epochs=2"}

func timed(t *testing.T, sets ...string) *Trainer[float64] {
	t.Helper()
	c, err := Read(Ours[float64](), "test", nil, append(append([]string(nil), match...), sets...))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := New(c, Ours[float64]())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestDefaultRuleOfSequences(t *testing.T) {
	p := Ours[float32]()
	for want, sets := range map[string][]string{
		"bptt": {"task=copy"}, "implicit": {"task=blobs"}, "tbptt": {"task=copy", "rule=tbptt"}, "jfb": {"task=copy", "rule=jfb"},
	} {
		c, err := Read(p, "test", nil, sets)
		if err != nil || c.Rule.Name != want {
			t.Errorf("%v: rule %s (%v), want %s", sets, c.Rule.Name, err, want)
		}
	}
	c, err := Read(p, "test", []byte("task: xor\nrule: {steps: 7}\n"), nil)
	if bptt, ok := c.Rule.Value.(rules.BPTT[float32]); err != nil || !ok || bptt.Steps != 7 {
		t.Errorf("options of the default rule: %+v, %v", c.Rule, err)
	}
	if _, err := Read(p, "test", nil, []string{"task=xor", "rule.stepz=7"}); err == nil {
		t.Error("an unknown option is accepted")
	}
}

func TestSequencesRefuse(t *testing.T) {
	for want, sets := range map[string][]string{
		"learns at equilibria":    {"rule=implicit"},
		"cannot learn from":       {"rule=reversible"},
		"regularizer.jacobian":    {"regularizer.jacobian=0.1"},
		"train.stability":         {"train.stability=record"},
		"a relaxation of its own": {"train.warm_start=forward"},
		"solves no adjoint":       {"train.warm_start=adjoint"},
		"has noise":               {"task={name: blobs}", "model.noise=0.1"},
		"no solver whose path":    {"regularizer.correction=3"},
	} {
		c, err := Read(Ours[float32](), "test", nil, append(append([]string(nil), match...), sets...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(c, Ours[float32]()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", sets, err, want)
		}
	}
}

// The score is that of the trials, however they are divided into batches, and the loss that of every
// step with its weight.
func TestScoreOfSequences(t *testing.T) {
	want, err := timed(t, "train.batch=30").Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"train.batch=1", "train.batch=7"} {
		got, err := timed(t, batch).Test(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(float64(got.Loss-want.Loss)) <= 1e-12) || !(math.Abs(float64(got.Accuracy-want.Accuracy)) <= 1e-12) {
			t.Errorf("%s: %+v, want %+v", batch, got, want)
		}
	}
	// By hand, trial by trial.
	tr := timed(t, "train.batch=1")
	s := tr.Data.Test
	var loss, weight, accuracy float64
	for i := range s.N {
		r, err := tr.Layer.Run(t.Context(), deq.Sequence[float64]{Rows: 1, Steps: s.Steps, X: s.Row(nil, i)})
		if err != nil {
			t.Fatal(err)
		}
		right, scored := 0.0, 0.0
		for step := range s.Steps {
			o, err := tr.Layer.Evaluate(r.Z[step+1], labelled(s.Labels[i*s.Steps+step]), nil)
			if err != nil {
				t.Fatal(err)
			}
			w := float64(s.Weight(i, step))
			loss, weight = loss+w*o.Mean(), weight+w
			if s.IsScored(i, step) {
				scored++
				best := 0
				for k, y := range o.Y {
					if y > o.Y[best] {
						best = k
					}
				}
				if best == int(s.Labels[i*s.Steps+step]) {
					right++
				}
			}
		}
		accuracy += right / scored / float64(s.N)
	}
	if !(math.Abs(loss/weight-float64(want.Loss)) <= 1e-12) || !(math.Abs(accuracy-float64(want.Accuracy)) <= 1e-12) {
		t.Errorf("loss %v and accuracy %v, want %v and %v", want.Loss, want.Accuracy, loss/weight, accuracy)
	}
}

// labelled is the cross-entropy with one label.
type labelled int32

func (l labelled) Eval(_ []int, y, dy, loss []float64) error {
	return losses.CrossEntropy[float64]{}.Eval(y, len(y), losses.Target[float64]{Labels: []int32{int32(l)}}, loss, dy)
}

// A task is learned from trials: much better than by guessing, which is right half of the times.
func TestSequencesAreLearned(t *testing.T) {
	for _, rule := range []string{"bptt", "tbptt", "unrolled"} {
		tr := timed(t, "rule="+rule, "task={name: copy, delay: 2, steps: 20, trials: 256, test_trials: 100}", "train.epochs=8", "optimizer={name: adam, lr: 0.01}")
		for !tr.Done() {
			if _, _, err := tr.Next(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		score, err := tr.Test(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if !(score.Accuracy > 0.75) {
			t.Errorf("%s: accuracy %.3f", rule, score.Accuracy)
		}
	}
}

// The gradient of bptt is that of the loss, the label's and the target's; that of a short window is not.
func TestGradCheckOfSequences(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute with the race detector, which has nothing to find in it")
	}
	for _, c := range []struct {
		sets  []string
		holds bool
	}{
		{[]string{"rule=bptt"}, true},
		{[]string{"rule=bptt", "model={noise: 0.3, form: v}"}, true},
		{[]string{"rule=rtrl", "model.units=12"}, true},
		{[]string{"rule={name: unrolled, every: 4}", "model={name: gru}"}, true},
		{[]string{"rule=bptt", "task={name: adding, trials: 20, test_trials: 10, steps: 12}"}, true},
		{[]string{"rule={name: tbptt, window: 3}"}, false},
	} {
		config, err := Read(Ours[float64](), "test", nil, append(append([]string(nil), match...), c.sets...))
		if err != nil {
			t.Fatal(err)
		}
		rep, err := GradCheck(t.Context(), config, Ours[float64]())
		if err != nil {
			t.Fatal(err)
		}
		if rep.Holds != c.holds {
			t.Errorf("%v: holds %v, want %v: %+v", c.sets, rep.Holds, c.holds, rep.Parameters)
		}
	}
}

func TestCertificateOfSequences(t *testing.T) {
	tr := timed(t, "train.certificate=1")
	r, _, err := tr.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := r.Certificate
	if c == nil || !(c.Error < 1e-7) || !math.IsNaN(float64(c.Forward)) || !math.IsNaN(float64(c.Adjoint)) || !math.IsNaN(float64(r.Residual)) {
		t.Errorf("certificate %+v, residual %v", c, r.Residual)
	}
	tr = timed(t, "train.certificate=1", "rule={name: tbptt, window: 2}")
	if r, _, err = tr.Next(t.Context()); err != nil || !(r.Certificate.Error > 1e-4) {
		t.Errorf("a short window passes as exact: %+v, %v", r.Certificate, err)
	}
}
