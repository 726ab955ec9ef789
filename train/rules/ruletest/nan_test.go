package ruletest_test

import (
	"context"
	"math"
	"testing"

	"attractor/deq"
	"attractor/internal/mustfail"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// broken is jfb whose gradient of one weight is not a number.
type broken struct{ rules.JFB[float64] }

func (r broken) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	rep, err := r.JFB.Gradient(ctx, s, g)
	g.Data("W")[3] = math.NaN()
	return rep, err
}

// brokenOnTrials is bptt of few steps, which is right at an equilibrium and not a number on a trial.
type brokenOnTrials struct{ rules.BPTT[float64] }

func (r brokenOnTrials) Gradient(ctx context.Context, p rules.Passage[float64], g deq.Params[float64]) (rules.Report, error) {
	rep, err := r.BPTT.Gradient(ctx, p, g)
	if p.Steps != r.Horizon() {
		g.Data("W")[3] = math.NaN()
	}
	return rep, err
}

func TestRefusesNaN(t *testing.T) {
	t.Run("equilibrium", func(t *testing.T) {
		mustfail.With(t, "the gradient of W[3] is NaN", func(t *testing.T) { ruletest.Test(t, broken{}) })
	})
	t.Run("trials", func(t *testing.T) {
		mustfail.With(t, "the gradient of W[3] is NaN", func(t *testing.T) {
			ruletest.Test(t, brokenOnTrials{rules.BPTT[float64]{Steps: 400}})
		})
	})
}
