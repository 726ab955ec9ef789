package rules_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// tempered has less variance than an unbiased rule, and a bias: it is the mean of that rule and of e-prop.
type tempered struct {
	rules.TemporalRule[float64]
}

func (r tempered) Gradient(ctx context.Context, p rules.Passage[float64], g deq.Params[float64]) (rules.Report, error) {
	for _, rule := range []rules.TemporalRule[float64]{r.TemporalRule, rules.EProp[float64]{}} {
		if _, err := rule.Gradient(ctx, p, g); err != nil {
			return rules.Report{}, err
		}
	}
	for _, v := range g {
		for i := range v.Data {
			v.Data[i] /= 2
		}
	}
	return rules.Report{}, nil
}

// The mean of many draws is the gradient of bptt within its standard errors, whatever the cell. A single draw
// is not, nor is the mean of a rule with a bias.
func TestFactorsAreUnbiased(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute with the race detector, which has nothing to find in it")
	}
	uoro, kf := rules.UORO[float64]{}, rules.KFRTRL[float64]{}
	for _, c := range []struct {
		name  string
		rule  rules.TemporalRule[float64]
		model models.Model
		draws int
	}{
		{"uoro, leaky", uoro, models.Rate{N: 4, Gain: 1.2, Leak: 0.6}, 1000},
		{"uoro, currents", uoro, models.Rate{N: 4, Gain: 1.2, Leak: 0.6, Form: "v", Noise: 0.2}, 1000},
		{"uoro, gru", uoro, models.GRU{N: 4}, 1000},
		{"uoro, lstm", uoro, models.LSTM{N: 3}, 600},
		{"kf-rtrl, leaky", kf, models.Rate{N: 4, Gain: 1.2, Leak: 0.6}, 1000},
		{"kf-rtrl, noisy", kf, models.Rate{N: 4, Gain: 1.2, Leak: 0.6, Activation: "softplus", Noise: 0.2}, 1000},
		{"kf-rtrl, normalised", kf, models.Rate{N: 4, Leak: 0.6, Normalize: "weight"}, 1000},
		{"kf-rtrl, gru, reset after", kf, models.GRU{N: 4, Reset: "after"}, 600},
		{"kf-rtrl, lstm", kf, models.LSTM{N: 3}, 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			trials := ruletest.NewTrials(t, c.model, 7, 1)
			trials.Noise = noise
			if err := c.rule.Check(trials.Layer); err != nil {
				t.Fatal(err)
			}
			exact := trials.Gradient(t, rules.BPTT[float64]{})
			mean := func(rule rules.TemporalRule[float64], draws int) (square, largest float64) {
				p := trials.Passage(t, rule)
				mean, se := estimates(t, trials.Layer.Params, draws, func(r rules.Randomness, g deq.Params[float64]) error {
					p.Random = r
					_, err := rule.Gradient(ctx, p, g)
					return err
				})
				return deviation(mean, se, exact)
			}
			square, largest := mean(c.rule, c.draws)
			t.Logf("mean square deviation %.2f, largest %.1f standard errors", square, largest)
			if !(square < 1.6 && largest < 4.5) {
				t.Errorf("the mean is off: mean square %.2f and at most %.1f standard errors", square, largest)
			}
			if square, _ := mean(tempered{c.rule}, c.draws); !(square > 3) {
				t.Errorf("a biased rule is not told apart: mean square %.2f", square)
			}
			apart(t, "one draw", trials.Gradient(t, c.rule), exact, 0.05)
		})
	}
}

// Draws that are averaged divide the variance by their number.
func TestFactorDraws(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 5, Gain: 1.2, Leak: 0.6}, 7, 1)
	exact := trials.Gradient(t, rules.BPTT[float64]{})
	miss := func(rule rules.TemporalRule[float64]) (sum float64) {
		p := trials.Passage(t, rule)
		for step := range uint64(100) {
			p.Random.Step = step
			g := trials.Layer.Params.ZerosLike()
			if _, err := rule.Gradient(ctx, p, g); err != nil {
				t.Fatal(err)
			}
			for i := range g {
				for k, v := range g[i].Data {
					sum += (v - exact[i].Data[k]) * (v - exact[i].Data[k])
				}
			}
		}
		return sum
	}
	for name, rule := range map[string]func(e rules.Estimate) rules.TemporalRule[float64]{
		"uoro":    func(e rules.Estimate) rules.TemporalRule[float64] { return rules.UORO[float64]{Estimate: e} },
		"kf-rtrl": func(e rules.Estimate) rules.TemporalRule[float64] { return rules.KFRTRL[float64]{Estimate: e} },
	} {
		ratio := miss(rule(rules.Estimate{})) / miss(rule(rules.Estimate{Draws: 8}))
		if !(math.Abs(math.Log2(ratio)-3) < 0.6) {
			t.Errorf("%s: 8 draws divide the variance by %.1f", name, ratio)
		}
	}
	if u, k := miss(rules.UORO[float64]{}), miss(rules.KFRTRL[float64]{}); !(k < u) {
		t.Errorf("the variance of kf-rtrl, %.2g, is not below that of uoro, %.2g", k, u)
	}
}

// What does not fit is refused before it is tried, with the figure; so is a cell that kf-rtrl has no factors for.
func TestFactorsNeedMemory(t *testing.T) {
	l, err := deq.New[float32](models.Rate{N: 256}, 2, 2, 1, deq.Config{Batch: 31})
	if err != nil {
		t.Fatal(err)
	}
	const p = 256*256 + 2*256 + 256
	uoro := (31*(2*256+p) + 256 + 2*p) * 4
	kf := (31*(256*256+259) + 257*259) * 4
	for _, c := range []struct {
		rule func(maxBytes int) rules.Rule[float32]
		need int
	}{
		{func(n int) rules.Rule[float32] { return rules.UORO[float32]{Estimate: rules.Estimate{MaxBytes: n}} }, uoro},
		{func(n int) rules.Rule[float32] { return rules.KFRTRL[float32]{Estimate: rules.Estimate{MaxBytes: n}} }, kf},
	} {
		if err := c.rule(c.need).Check(l); err != nil {
			t.Error(err)
		}
		figure := fmt.Sprintf("%.3g bytes", float64(c.need))
		if err := c.rule(c.need - 1).Check(l); err == nil || !strings.Contains(err.Error(), figure) {
			t.Errorf("%d bytes: expected %s, found %v", c.need-1, figure, err)
		}
		if c.rule(-1).Check(l) == nil {
			t.Errorf("%T: a negative bound is accepted", c.rule(1))
		}
	}
	for name, m := range map[string]models.Model{"Wr": models.GRU{N: 5}, "acts on the state": models.MonDEQ{N: 5}} {
		l, err := deq.New[float64](m, 2, 2, 1, deq.Config{Batch: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := (rules.KFRTRL[float64]{}).Check(l); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%T: expected an error about %s, found %v", m, name, err)
		}
		if err := (rules.UORO[float64]{}).Check(l); err != nil {
			t.Error(err)
		}
	}
}
