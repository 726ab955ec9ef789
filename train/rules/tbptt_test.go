package rules_test

import (
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// A window as long as the trajectory gives bptt to the last bit, on relaxations and on trials.
func TestTBPTTIsBPTT(t *testing.T) {
	const steps = 9
	b := ruletest.NewBench(t, models.Rate{Leak: 0.5}, 3)
	want, _ := b.Gradient(t, rules.BPTT[float64]{Steps: steps})
	got, _ := b.Gradient(t, rules.TBPTT[float64]{Steps: steps, Window: steps})
	same(t, "a relaxation", got, want)
	got, _ = b.Gradient(t, rules.TBPTT[float64]{Steps: steps, Window: steps - 1})
	apart(t, "a window shorter by 1", got, want, 1e-6)

	for _, m := range []models.Model{models.Rate{N: 7, Leak: 0.5}, models.GRU{N: 7}} {
		trials := ruletest.NewTrials(t, m, 4, 0)
		want := trials.Gradient(t, rules.BPTT[float64]{})
		for _, window := range []int{trials.Steps, 3 * trials.Steps} {
			same(t, "trials", trials.Gradient(t, rules.TBPTT[float64]{Window: window}), want)
			near(t, "loss by loss", trials.Gradient(t, rules.TBPTT[float64]{Window: window, Stride: 1}), want, 1e-12)
		}
		apart(t, "a short window", trials.Gradient(t, rules.TBPTT[float64]{Window: trials.Steps / 2}), want, 1e-6)
	}
}

// What a window gives is the sum of what trajectories give that begin where it ends.
func TestTBPTTIsAWindow(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.5}, 5, 0)
	for _, c := range []struct{ window, stride int }{{5, 2}, {4, 0}, {3, 1}, {5, 5}} {
		rule := rules.TBPTT[float64]{Window: c.window, Stride: c.stride}
		p := trials.Passage(t, rule)
		stride := c.stride
		if stride == 0 {
			stride = c.window
		}
		want := trials.Layer.Params.ZerosLike()
		each := trials.Rows * trials.Layer.Inputs
		for first := 0; first < p.Steps; first += stride {
			last := min(first+stride, p.Steps)
			start := max(0, last-c.window)
			part, err := trials.Layer.Run(ctx, deq.Sequence[float64]{Rows: p.Rows, Steps: last - start, X: p.X[start*each : last*each], Z0: p.Z[start]})
			if err != nil {
				t.Fatal(err)
			}
			outs := append(make(deq.Outputs[float64], first+1-start), p.Outputs[first+1:last+1]...)
			if err := part.VJP(ctx, deq.Back[float64]{Outputs: outs}, want); err != nil {
				t.Fatal(err)
			}
		}
		near(t, "window", trials.Gradient(t, rule), want, 1e-13)
	}
}

func TestBadWindows(t *testing.T) {
	for _, r := range []rules.TBPTT[float64]{{Steps: -1}, {Window: -1}, {Stride: -1}, {Stride: 11}, {Window: 3, Stride: 4}} {
		if r.Validate() == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}
