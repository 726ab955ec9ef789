package train

import (
	"slices"
	"strings"
	"testing"
)

// A rule that trains the readout moves it by steps of its own, whatever the optimiser, and nothing else.
func TestReadoutRule(t *testing.T) {
	run := func(sets ...string) (tr *Trainer[float64], before, after float64) {
		t.Helper()
		tr = timed(t, append([]string{"task={name: rflo-sine, trials: 8}", "model={units: 30, gain: 1.5, leak: 0.2}", "train.batch=4", "rule=force"}, sets...)...)
		score := func() float64 {
			s, err := tr.Test(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return float64(s.Loss)
		}
		before = score()
		for !tr.Done() {
			r, _, err := tr.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !(r.GradNorm > 0) {
				t.Errorf("step %d has the norm %v", r.Step, r.GradNorm)
			}
		}
		return tr, before, score()
	}
	tr, before, after := run("optimizer={name: sgd, lr: 0.1}", "train.clip=1e-9")
	if !(after < 0.05*before) {
		t.Errorf("the loss goes from %.3g to %.3g", before, after)
	}
	if n := len(tr.state.Slots()); n > 0 {
		t.Errorf("the optimiser has %d moments of what it does not move", n)
	}
	adam, _, _ := run("optimizer=adam")
	still, _, _ := run("train.trained=none")
	for i, p := range tr.Layer.Params {
		if !slices.Equal(p.Data, adam.Layer.Params[i].Data) {
			t.Errorf("with another optimiser %s is another", p.Name)
		}
		if same := slices.Equal(p.Data, still.Layer.Params[i].Data); same != p.Role.OfCell() {
			t.Errorf("%s has stayed: %v", p.Name, same)
		}
	}
	if only, _, _ := run("train.trained=readout"); !slices.Equal(only.Layer.Params.Data("Wo"), tr.Layer.Params.Data("Wo")) {
		t.Error("where the readout alone is trained it becomes another")
	}
	classes := timed(t, "rule=force", "train.epochs=1")
	for !classes.Done() {
		if _, _, err := classes.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := timed(t, "rule=force", "train.loss=cross-entropy").Next(t.Context()); err == nil || !strings.Contains(err.Error(), "squared error") {
		t.Errorf("another loss than a squared error: error %v", err)
	}
	c, err := Read(Ours[float64](), "test", nil, []string{"task=rflo-sine", "rule=force", "train.trained=recurrent"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(c, Ours[float64]()); err == nil || !strings.Contains(err.Error(), "train.trained") {
		t.Errorf("a readout that is to stay: error %v", err)
	}
}
