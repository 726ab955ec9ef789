package stability_test

import (
	"testing"

	"attractor/deq/stability"
	"attractor/models"
)

// In float32 the errors are those of float32: marginal points, lines and bistable units are told as in float64.
func TestFixedPointsInFloat32(t *testing.T) {
	for _, c := range []struct {
		name, activation string
		w                []float32
		want             map[string]int
	}{
		{"critical", "tanh", []float32{1}, map[string]int{stability.Marginal: 1}},
		{"bistable", "tanh", []float32{1.5}, map[string]int{stability.Saddle: 1, stability.Stable: 2}},
		{"line", "linear", []float32{0.75, 0.5, 0.25, 0.5}, map[string]int{stability.Extended: 1}},
		{"rotation", "linear", []float32{0.6, -0.8, 0.8, 0.6}, map[string]int{stability.Marginal: 1}},
		{"contraction", "tanh", []float32{0.5, 0.2, -0.3, 0.4}, map[string]int{stability.Stable: 1}},
	} {
		n := 1
		if len(c.w) > 1 {
			n = 2
		}
		l := free[float32](t, models.Rate{N: n, Activation: c.activation}, 1, 64, 1)
		update(l, func() {
			copy(l.Params.Data("W"), c.w)
			clear(l.Params.Data("b"))
		})
		found, err := stability.FixedPoints(ctx, l, nil, nil, stability.Finder{})
		if err != nil {
			t.Fatal(err)
		}
		kinds := kindsOf(found)
		for kind, count := range c.want {
			if kinds[kind] != count || len(kinds) != len(c.want) {
				t.Errorf("%s: %v, want %v: %+v", c.name, kinds, c.want, found)
			}
		}
	}
}
