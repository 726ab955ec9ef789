package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"attractor/solvers"
)

// Every backward solver of the catalogue trains the monotone network as every other does; one that may
// spend too little does not.
func TestBackwardSolversAgree(t *testing.T) {
	losses := func(sets ...string) (losses []float64, failed int) {
		sets = append([]string{"model=mondeq", "model.gain=0.3", "solver.rtol=1e-12", "backward.rtol=1e-12", "backward.max_evals=1000"}, sets...)
		tr, err := New(configured[float64](t, sets...), Ours[float64]())
		if err != nil {
			t.Fatal(err)
		}
		for !tr.Done() {
			r, _, err := tr.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			losses, failed = append(losses, float64(r.Loss)), failed+r.Failed
		}
		return losses, failed
	}
	away := func(got, want []float64) float64 {
		d := 0.0
		for i, v := range want {
			d = max(d, math.Abs(got[i]-v))
		}
		return d
	}
	want, failed := losses("backward=lu")
	if failed > 0 {
		t.Fatalf("%d samples failed", failed)
	}
	names := Ours[float64]().Linear.Names()
	if n := len(solvers.Linear[float64]().Names()) + len(solvers.Splittings[float64]().Names()); len(names) != n {
		t.Errorf("%d backward solvers, expected %d", len(names), n)
	}
	for _, name := range names {
		got, failed := losses("backward=" + name)
		if d := away(got, want); d > 1e-9 || failed > 0 {
			t.Errorf("%s: losses off by %.2g, %d samples failed", name, d, failed)
		}
		got, failed = losses("backward="+name, "backward.max_evals=2")
		if d := away(got, want); d < 1e-4 && name != "lu" || failed == 0 && name != "lu" {
			t.Errorf("%s with two evaluations: losses off by only %.2g, %d samples failed", name, d, failed)
		}
	}
}

// A cell that offers no splitting is refused before training, for the equilibrium and for its adjoint;
// a rule that solves for neither may have both.
func TestSplittingsNeedASplitting(t *testing.T) {
	for _, section := range []string{"solver", "backward"} {
		for _, name := range solvers.Splittings[float32]().Names() {
			set := section + "=" + name
			_, err := New(configured[float32](t, "model=gru", set), Ours[float32]())
			if !errors.Is(err, solvers.ErrNoSplitting) || !strings.Contains(err.Error(), section+` "`+name+`" for model "gru"`) {
				t.Errorf("%s: %v", set, err)
			}
			if _, err := New(configured[float32](t, "model=gru", "rule=bptt", set), Ours[float32]()); err != nil {
				t.Errorf("%s by bptt: %v", set, err)
			}
		}
	}
	// Through the weights of feedback there is no splitting either.
	c := configured[float32](t, "rule=feedback-alignment", "rule.recurrent=random", "backward=forward-backward")
	tr, err := New(c, Ours[float32]())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.Next(t.Context()); !errors.Is(err, solvers.ErrNoSplitting) || !strings.Contains(err.Error(), "twin") {
		t.Errorf("feedback-alignment: %v", err)
	}
}
