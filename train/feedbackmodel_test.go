package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"attractor/train/rules"
)

// The feedback network trains by every rule in its rates, where it is a cell of one activation, and
// in its currents by those that need none. n learns from the loop as well as from the output.
func TestFeedbackNetwork(t *testing.T) {
	sets := func(rule, state string, more ...string) []string {
		return append([]string{"task=linear", "model={name: feedback, units: 24, rho: 0.5, state: " + state + "}",
			"rule=" + rule, "solver=broyden", "optimizer={name: sgd, lr: 0.02}", "train.epochs=1"}, more...)
	}
	refuses := map[string]string{
		"holomorphic-eqprop": "needs the model rate", "chl": "needs the model rate", // they know the equations of rate alone
		"kf-rtrl": "the synapses of n reach other units than their own", // by the loop, within a step
	}
	for _, e := range rules.Catalog[float64]().Entries() {
		for _, state := range []string{"rate", "current"} {
			t.Run(fmt.Sprint(e.Name, "/", state), func(t *testing.T) {
				c := configured[float64](t, sets(e.Name, state)...)
				tr, err := New(c, Ours[float64]())
				if reason := refuses[e.Name]; reason != "" {
					if err == nil || !strings.Contains(err.Error(), reason) {
						t.Fatalf("expected that the rule refuses the model, found %v", err)
					}
					return
				}
				if state == "current" && strings.HasPrefix(e.Name, "reparam") {
					if err == nil || !strings.Contains(err.Error(), "needs a cell φ(zWᵀ + xUᵀ + b)") {
						t.Fatalf("expected that the rule refuses the state, found %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				for !tr.Done() {
					next(t, tr)
				}
				for _, p := range tr.Layer.Params {
					for _, v := range p.Data {
						if math.IsNaN(v) || !(math.Abs(v) <= 100) {
							t.Fatalf("%s is %v", p.Name, v)
						}
					}
				}
			})
		}
	}
	// Where n alone learns, its gradient is the one that it has where all learn.
	gradient := func(trained string) []float64 {
		tr := trainer[float64](t, sets("implicit", "current", "train.trained="+trained)...)
		if _, err := tr.gradients(t.Context(), tr.batches.At(0, 0), nil); err != nil {
			t.Fatal(err)
		}
		return tr.grads.Data("n")
	}
	all := gradient("all")
	for i, v := range gradient("readout") {
		if v != all[i] {
			t.Fatalf("∂L/∂n[%d] is %v where n alone learns, and %v where all do", i, v, all[i])
		}
	}
}
