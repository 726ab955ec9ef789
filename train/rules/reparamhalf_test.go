package rules_test

import (
	"math"
	"testing"

	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

// For one sample ΔW = P_L (dL/dW) P_R and Δb = P_L (dL/db) with P_L = (I−WG)G⁻¹(I−WG)ᵀ and
// P_R = (I−WG)ᵀ(I−WG), dense; with P_R of reparam-gradient it is told apart.
func TestReparamHalfFactors(t *testing.T) {
	for _, leak := range []float64{1, 0.3} {
		b := ruletest.NewBench(t, models.Rate{Leak: leak}, 3)
		b.X = b.X[:5] // one sample
		exact, s := b.Gradient(t, rules.Implicit[float64]{})
		got, _ := b.Gradient(t, rules.ReparamHalf[float64]{})
		n := b.Layer.Units
		w := b.Layer.Params.Data("W")
		wg, gw, inverse := identity(n), identity(n), identity(n)
		for i := range n {
			inverse[i][i] = 1 / (1 - s.Z[i]*s.Z[i])
			for j := range n {
				wg[i][j] -= w[i*n+j] * (1 - s.Z[j]*s.Z[j])
				gw[i][j] -= (1 - s.Z[i]*s.Z[i]) * w[i*n+j]
			}
		}
		dw, db := make([][]float64, n), make([][]float64, n)
		for i := range n {
			dw[i] = exact.Data("W")[i*n : (i+1)*n]
			db[i] = exact.Data("b")[i : i+1]
		}
		left := product(product(wg, inverse), transpose(wg))
		off := func(want [][]float64, got []float64) (d float64) {
			for i, row := range want {
				for j, v := range row {
					d = max(d, math.Abs(got[i*len(row)+j]-v))
				}
			}
			return d
		}
		if d := off(product(product(left, dw), product(transpose(wg), wg)), got.Data("W")); !(d <= 1e-10) {
			t.Errorf("leak %g: ΔW is off by %.2g", leak, d)
		}
		if d := off(product(left, db), got.Data("b")); !(d <= 1e-10) {
			t.Errorf("leak %g: Δb is off by %.2g", leak, d)
		}
		if d := off(product(product(left, dw), product(transpose(gw), gw)), got.Data("W")); !(d >= 1e-6) {
			t.Errorf("leak %g: not told apart from another right factor", leak)
		}
		if c := ruletest.Cosine(got, exact); !(c > 0) {
			t.Errorf("leak %g: no descent direction, cosine %g", leak, c)
		}
	}
}
