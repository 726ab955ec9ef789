package stability_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/models"
)

// adam is the optimiser of Kingma and Ba with the rate lr.
type adam struct {
	lr    float64
	m, v  [][]float64
	steps float64
}

func (a *adam) Step(scale float64, params, grads [][]float64) {
	if a.m == nil {
		for _, p := range params {
			a.m, a.v = append(a.m, make([]float64, len(p))), append(a.v, make([]float64, len(p)))
		}
	}
	a.steps++
	for i, p := range params {
		for k, g := range grads[i] {
			a.m[i][k] += 0.1 * (g - a.m[i][k])
			a.v[i][k] += 0.001 * (g*g - a.v[i][k])
			m, v := a.m[i][k]/(1-math.Pow(0.9, a.steps)), a.v[i][k]/(1-math.Pow(0.999, a.steps))
			p[k] -= scale * a.lr * m / (math.Sqrt(v) + 1e-8)
		}
	}
}

func flossed(t *testing.T, m models.Model, trained []int, lr float64, o stability.Flossing) (*deq.Layer[float64], *stability.FlossingReport) {
	t.Helper()
	l := free[float64](t, m, 2, 8, 1)
	f := stability.NewFlosser(l, noise[float64](1), trained, &adam{lr: lr}, o)
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return l, &f.FlossingReport
}

// ofCell are the indices of the cell's parameters.
func ofCell(l *deq.Layer[float64]) (all []int) {
	for i, p := range l.Params {
		if p.Role.OfCell() {
			all = append(all, i)
		}
	}
	return all
}

// Every variant brings the exponents of a network that forgets fast to the target.
func TestFloss(t *testing.T) {
	for _, variant := range []string{"exact", "a", "b", "c"} {
		m := models.Rate{N: 24, Gain: 0.5, InputGain: 0.5}
		o := stability.Flossing{K: 2, Horizon: 30, Variant: variant, Target: -0.1, Steps: 300, Batch: 2}
		fresh := free[float64](t, m, 2, 8, 1)
		l, r := flossed(t, m, ofCell(fresh), 1e-3, o)
		if r.Status != stability.Reached || r.Steps < 5 || r.Before.Loss < 0.1 || math.Sqrt(r.After.Loss) > 0.02 {
			t.Errorf("%s: %+v", variant, r)
		}
		if s := r.Before.Saturated; !(s >= 0 && s <= 0.2) {
			t.Errorf("%s: saturation %g", variant, s)
		}
		// A longer look from other states finds what the short ones have.
		for _, e := range exponents(t, l, noise[float64](1), nil, stability.Lyapunov{K: 2, Steps: 2000}) {
			if !(math.Abs(e.Value-o.Target) <= 0.1) {
				t.Errorf("%s: exponent %+v", variant, e)
			}
		}
		// The readout stays; where W alone is named so does the rest.
		o.Steps = 5
		one, r := flossed(t, m, []int{0}, 1e-3, o)
		for i, p := range l.Params {
			moved, movedAlone := !slices.Equal(p.Data, fresh.Params[i].Data), !slices.Equal(one.Params[i].Data, fresh.Params[i].Data)
			local := variant == "a" && p.Role != models.Recurrent // which acts on no tangent
			if moved != (p.Role.OfCell() && !local) || movedAlone != (p.Name == "W") {
				t.Errorf("%s: %s moved: %v, with W alone: %v", variant, p.Name, moved, movedAlone)
			}
		}
		if again, s := flossed(t, m, []int{0}, 1e-3, o); !slices.Equal(again.Params.Data("W"), one.Params.Data("W")) || s.Steps != r.Steps {
			t.Errorf("%s: not the same a second time", variant)
		}
	}
}

// A flossing that runs away is stopped, and the best parameters are back.
func TestFlossRunsAway(t *testing.T) {
	for name, c := range map[string]struct {
		m      models.Model
		lr     float64
		reason string
	}{
		"saturated": {models.Rate{N: 24, Gain: 0.8}, 1, "the loss has grown"},
		"unbounded": {models.Rate{N: 24, Gain: 0.8, Activation: "linear"}, 1e40, "not finite"},
	} {
		l, r := flossed(t, c.m, []int{0, 1}, c.lr, stability.Flossing{K: 2, Horizon: 30, Variant: "a", Steps: 100})
		if r.Status != stability.RanAway || !strings.Contains(r.Reason, c.reason) || r.After.Loss > 2*r.Before.Loss {
			t.Errorf("%s: %+v", name, r)
		}
		for _, w := range l.Params.Data("W") {
			if !(math.Abs(w) < 5) {
				t.Fatalf("%s: a weight is %g", name, w)
			}
		}
	}
}

func TestFlossStops(t *testing.T) {
	l := free[float64](t, models.Rate{N: 10}, 1, 8, 1)
	cancelled, cancel := context.WithCancel(ctx)
	f := stability.NewFlosser(l, nil, []int{0}, &adam{lr: 1e-3}, stability.Flossing{})
	for range 3 {
		if err := f.Step(cancelled); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	before := slices.Clone(l.Params.Data("W"))
	if err := f.Run(cancelled); !errors.Is(err, context.Canceled) || f.Steps != 3 || len(f.Losses) != 3 || !slices.Equal(before, l.Params.Data("W")) {
		t.Errorf("after %d steps: %v", f.Steps, err)
	}
	_, r := flossed(t, models.Rate{N: 10}, []int{0}, 1e-3, stability.Flossing{Steps: 3, Target: 5})
	if r.Status != stability.Spent || r.Steps != 3 || len(r.Losses) != 4 || !(r.After.Loss < r.Before.Loss) || r.After.Loss != r.Losses[3] {
		t.Errorf("%+v", r)
	}
	update(l, func() { clear(l.Params.Data("W")) })
	if err := stability.NewFlosser(l, nil, []int{0}, &adam{}, stability.Flossing{}).Run(ctx); err == nil {
		t.Error("W = 0 is flossed")
	}
}

// The first step measures what FlossingGradient does.
func TestFlossMeasures(t *testing.T) {
	seen := map[float64]bool{}
	for _, warmup := range []int{0, -1, 3} {
		o := stability.Flossing{K: 2, Horizon: 30, Warmup: warmup, Steps: 1, Seed: 5}
		_, r := flossed(t, models.Rate{N: 24}, []int{0}, 1e-3, o)
		want, err := stability.FlossingGradient(ctx, free[float64](t, models.Rate{N: 24}, 2, 8, 1), noise[float64](1), nil, o, nil, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Before.Exponents, want) || !(math.Abs(r.Losses[0]-lossOf(want, 0)) <= 1e-15) || seen[want[0]] {
			t.Errorf("warm-up %d: exponents %v, want %v", warmup, r.Before.Exponents, want)
		}
		seen[want[0]] = true
	}
}

// A flossing that is handed over to another flosser goes on to the same bits.
func TestFlossGoesOn(t *testing.T) {
	for status, c := range map[string]struct {
		lr float64
		o  stability.Flossing
	}{
		stability.Spent:   {1e-3, stability.Flossing{K: 2, Horizon: 30, Steps: 14, Batch: 2, Seed: 5}},
		stability.RanAway: {0.05, stability.Flossing{K: 2, Horizon: 30, Variant: "a", Steps: 100}},
	} {
		m := models.Rate{N: 24, Gain: 0.8}
		want, report := flossed(t, m, []int{0, 1}, c.lr, c.o)
		l := free[float64](t, m, 2, 8, 1)
		by := &adam{lr: c.lr}
		f := stability.NewFlosser(l, noise[float64](1), []int{0, 1}, by, c.o)
		for f.Status == "" {
			next := stability.NewFlosser(l, noise[float64](1), []int{0, 1}, by, c.o)
			next.FlossingReport, next.Best = f.FlossingReport, f.Best
			if f = next; f.Step(ctx) != nil {
				t.Fatal("it fails")
			}
		}
		if !slices.Equal(l.Params.Data("W"), want.Params.Data("W")) || !slices.Equal(f.Losses, report.Losses) || f.Status != status || len(f.Losses) <= 10 {
			t.Errorf("%s: %+v, without a break %+v", status, f.FlossingReport, report)
		}
	}
}
