package train

import (
	"math"
	"testing"

	"attractor/deq"
)

// Without input and bias relu units rest at their kinks, whatever W is. Two that inhibit each other by 5 return to rest in a step, though the eigenvalues of W are ±5: that is what the
// record, the guard, and the test of the fixed points have to say; where they excite each other they leave it.
func TestRestIsJudgedByOneSide(t *testing.T) {
	t.Run("float64", restIsJudgedByOneSide[float64])
	t.Run("float32", restIsJudgedByOneSide[float32])
}

func restIsJudgedByOneSide[T deq.Float](t *testing.T) {
	for sign, grows := range map[float64]bool{-1: false, 1: true} {
		for _, test := range []string{"estimate", "exact"} {
			tr, err := New(configured[T](t, "task.test=4", "model.units=3", "model.activation=relu", "train.stability=shrink", "train.stability_every=1", "train.stability_spectrum=all",
				"train.stability_test="+test, "optimizer.lr=1e-12"), Ours[T]())
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Layer.Update(func(p deq.Params[T]) error {
				clear(p.Data("W"))
				clear(p.Data("U"))
				clear(p.Data("b"))
				p.Data("W")[1], p.Data("W")[tr.Layer.Units] = T(5*sign), T(5*sign)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			_, points, err := tr.FinalTest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if stable := points.Stable == points.Examined && points.Examined > 0; stable == grows || points.Undecided > 0 {
				t.Errorf("sign %g, %s: %v", sign, test, points)
			}
			r, _, err := tr.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := 0.0
			if grows {
				want = 5
			}
			if r.Radius == nil || !(math.Abs(float64(*r.Radius)-want) <= 1e-5) || (r.Unstable != "") != grows || len(r.Spectrum) != 0 {
				t.Errorf("sign %g: radius %v, want %g, with %d eigenvalues: %q", sign, *r.Radius, want, len(r.Spectrum), r.Unstable)
			}
			if w := float64(tr.Layer.Params.Data("W")[1]); grows != (math.Abs(w) < 4) {
				t.Errorf("sign %g: the weight is %g after the guard", sign, w)
			}
		}
	}
}
