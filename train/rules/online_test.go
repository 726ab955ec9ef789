package rules_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// noise is that of the models that have some.
func noise(name string, step, sample int) *rand.Rand {
	return rng.Stream(1, name, uint64(step), uint64(sample))
}

// Forwards or backwards, the gradient is the same: on trials with losses at several steps, and on
// relaxations.
func TestRTRLIsBPTT(t *testing.T) {
	for _, m := range []models.Model{
		models.Rate{N: 6, Gain: 1.2}, models.Rate{N: 6, Gain: 1.2, Leak: 0.3}, models.Rate{N: 6, Gain: 1.2, Leak: 0.6, Activation: "relu"},
		models.Rate{N: 6, Normalize: "weight", Leak: 0.5}, models.Rate{N: 6, Gain: 1.2, Leak: 0.5, Noise: 0.3},
		models.Rate{N: 6, Gain: 1.2, Noise: 0.3, Activation: "softplus"}, models.GRU{N: 9, Gain: 1.3, GateGain: 1.2}, // more units than samples
	} {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			trials := ruletest.NewTrials(t, m, 7, 0)
			trials.Noise = noise
			want := trials.Gradient(t, rules.BPTT[float64]{})
			near(t, "trials", trials.Gradient(t, rules.RTRL[float64]{}), want, 1e-10)
			apart(t, "a window", trials.Gradient(t, rules.TBPTT[float64]{Window: 3}), want, 1e-4)
			trials.Every = 5 // states that are not kept are passed again
			near(t, "trials with checkpoints", trials.Gradient(t, rules.RTRL[float64]{}), want, 1e-10)
		})
	}
	b := ruletest.NewBench(t, models.Rate{Leak: 0.5}, 3)
	want, _ := b.Gradient(t, rules.BPTT[float64]{Steps: 9})
	got, _ := b.Gradient(t, rules.RTRL[float64]{Steps: 9})
	near(t, "a relaxation", got, want, 1e-10)
}

// What does not fit is refused before it is tried, with the figure.
func TestRTRLNeedsMemory(t *testing.T) {
	l, err := deq.New[float32](models.Rate{N: 256}, 2, 2, 1, deq.Config{Batch: 31})
	if err != nil {
		t.Fatal(err)
	}
	const p = 256*256 + 2*256 + 256
	need := (32*256*p + 256*256) * 4 // 2.2 GB
	if err := (rules.RTRL[float32]{MaxBytes: need}).Check(l); err != nil {
		t.Error(err)
	}
	err = rules.RTRL[float32]{MaxBytes: need - 1}.Check(l)
	if err == nil || !strings.Contains(err.Error(), "2.17e+09 bytes") {
		t.Errorf("%d bytes: %v", need-1, err)
	}
	for _, r := range []rules.RTRL[float32]{{Steps: -1}, {MaxBytes: -1}} {
		if r.Check(l) == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
}
