package liu2024

import (
	"math"
	"testing"

	"attractor/deq/stability"
	"attractor/train/experiments/experimenttest"
)

func TestExperiments(t *testing.T) { experimenttest.Run(t, Entries()) }

// A guard that stops a flossing puts back weights at which the exponent is nearer to the target than it was at first; the
// loss at which the guard acts, farther than the first, is none of theirs.
func TestGuardsOfFlossing(t *testing.T) {
	guarded := flights[1]
	c, err := guarded.plan(121).run(t.Context(), 1, func() {})
	if err != nil {
		t.Fatal(err)
	}
	f := c.flossings[0]
	first, last := f.Losses[0], f.Losses[len(f.Losses)-1]
	if f.Status != stability.RanAway || !(last > first) {
		t.Fatalf("%s, the loss from %g to %g: the test tests nothing", f.Status, float64(first), float64(last))
	}
	if guarded.away(f) || !(f.After.Loss < first) || !(math.Abs(c.flossed) < math.Abs(c.before)) {
		t.Errorf("the loss is %g after %g, the exponent %g after %g", float64(f.After.Loss), float64(first), c.flossed, c.before)
	}
	if unguarded := flights[0]; !unguarded.away(f) {
		t.Error("without guards it is not told of a loss that has grown")
	}
}
