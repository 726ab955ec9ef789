package train

import (
	"math"
	"slices"
	"testing"
)

// feedbackCosine trains by a rule and returns cos(B, Wo) at the start and at the end, and whether B
// has moved.
func feedbackCosine(t *testing.T, sets ...string) (first, last float64, moved bool) {
	t.Helper()
	tr := trainer[float64](t, append([]string{"optimizer={name: sgd, lr: 0.1}", "train.epochs=40"}, sets...)...)
	cosine := func() float64 {
		var dot, bb, ww float64
		for k, w := range tr.Layer.Params.Data("Wo") {
			b := tr.Own.Params.Data("Wo")[k]
			dot, bb, ww = dot+b*w, bb+b*b, ww+w*w
		}
		return dot / math.Sqrt(bb*ww)
	}
	drawn := slices.Clone(tr.Own.Params.Data("Wo"))
	first = cosine()
	for !tr.Done() {
		next(t, tr)
	}
	return first, cosine(), !slices.Equal(drawn, tr.Own.Params.Data("Wo"))
}

// The feedback of kolen-pollack becomes the readout's weights; without the decay it learns but
// keeps its distance, and random feedback does not move at all.
func TestFeedbackAligns(t *testing.T) {
	first, last, moved := feedbackCosine(t, "rule={name: kolen-pollack, decay: 0.5}")
	t.Logf("kolen-pollack: %.3f to %.5f", first, last)
	if !moved || first > 0.9 || last < 0.999 {
		t.Errorf("kolen-pollack: cos(B, Wo) goes from %.3f to %.5f, want 1", first, last)
	}
	first, last, moved = feedbackCosine(t, "rule={name: kolen-pollack, decay: 1e-9}")
	t.Logf("kolen-pollack without decay: %.3f to %.5f", first, last)
	if !moved || last > 0.99 {
		t.Errorf("kolen-pollack with hardly any decay: cos(B, Wo) goes from %.3f to %.5f all the same", first, last)
	}
	first, last, moved = feedbackCosine(t, "rule=feedback-alignment")
	t.Logf("feedback-alignment: %.3f to %.5f", first, last)
	if moved || last > 0.99 {
		t.Errorf("feedback-alignment: B moved %v, cos(B, Wo) goes from %.3f to %.5f", moved, first, last)
	}
	_, _, moved = feedbackCosine(t, "rule=kolen-pollack", "train.trained=recurrent")
	if moved {
		t.Error("B of kolen-pollack moves where the readout does not learn")
	}
}

// The memory of a run counts the twin and the rule's own parameters once.
func TestOwnMemory(t *testing.T) {
	tr := trainer[float64](t, "rule=kolen-pollack")
	next(t, tr)
	size := 8 * len(tr.Layer.Params.Data("Wo"))
	if got := tr.Own.Bytes(); got != 2*size {
		t.Errorf("B and its gradient take %d bytes, want %d", got, 2*size)
	}
	rest := tr.grads.Bytes() + tr.state.Bytes() + tr.ruleBytes
	if got, want := tr.Bytes(), tr.Layer.Bytes()+2*size+rest; got != want {
		t.Errorf("the run takes %d bytes, want %d", got, want)
	}
	if fixed := trainer[float64](t, "rule=feedback-alignment"); fixed.Own.Bytes() != size {
		t.Errorf("a fixed B takes %d bytes, want %d", fixed.Own.Bytes(), size)
	}
}
