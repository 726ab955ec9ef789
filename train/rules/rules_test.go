package rules_test

import (
	"math"
	"testing"

	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

func TestContract(t *testing.T) {
	for _, e := range rules.Catalog[float64]().Entries() {
		t.Run(e.Name, func(t *testing.T) {
			rule := e.Value
			switch e.Name { // those that are exact in the limit
			case "bptt":
				rule = rules.BPTT[float64]{Steps: 400}
			case "rtrl":
				rule = rules.RTRL[float64]{Steps: 100}
			case "unrolled":
				rule = rules.Unrolled[float64]{Steps: 400}
			case "reversible":
				rule = rules.Reversible[float64]{Steps: 100, Every: 8}
			case "uoro": // or in the mean
				rule = rules.UORO[float64]{Estimate: rules.Estimate{Draws: 40}}
			case "node-perturbation":
				rule = rules.NodePerturbation[float64]{Perturbation: rules.Perturbation{Draws: 50}}
			case "weight-perturbation":
				rule = rules.WeightPerturbation[float64]{Perturbation: rules.Perturbation{Draws: 200}}
			}
			ruletest.Test(t, rule)
		})
	}
}

// The contract holds for options other than the defaults.
func TestContractOfOptions(t *testing.T) {
	for name, rule := range map[string]rules.Rule[float64]{
		"neumann, one term":   rules.Neumann[float64]{Terms: 1},
		"shine, refined":      rules.Shine[float64]{Refine: 1},
		"unrolled, all kept":  rules.Unrolled[float64]{Steps: 400, Every: 1},
		"unrolled, some kept": rules.Unrolled[float64]{Steps: 400, Every: 3},
		"eqprop, energy":      eqprop("energy", "centred", 0.5),
		"eqprop, one-sided":   eqprop("vector-field", "one-sided", 0.5),
		"eqprop, random-sign": eqprop("energy", "random-sign", 0.5),
		"e-prop, forwards":    rules.EProp[float64]{Tracing: rules.Tracing{Traces: "forwards"}},
		"snap-1, forwards":    rules.SnAp1[float64]{Tracing: rules.Tracing{Traces: "forwards"}},
		"steepest, linear":    steepest("linear", 0.1),
	} {
		t.Run(name, func(t *testing.T) { ruletest.Test(t, rule) })
	}
}

func TestBPTTTendsToImplicit(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 2)
	exact, _ := b.Gradient(t, rules.Implicit[float64]{})
	last := math.Inf(1)
	for _, steps := range []int{3, 12, 24} {
		g, _ := b.Gradient(t, rules.BPTT[float64]{Steps: steps})
		d := ruletest.Distance(g, exact)
		if !(d < last) {
			t.Errorf("%d steps: off by %.2g, no better than %.2g with fewer", steps, d, last)
		}
		last = d
	}
	g, _ := b.Gradient(t, rules.BPTT[float64]{Steps: 200})
	if d := ruletest.Distance(g, exact); !(d <= 1e-6) {
		t.Errorf("200 steps are off by %.2g", d)
	}
}

// For one sample ΔW = P_L (dL/dW) P_R and Δb = P_L (dL/db) with P_L = (I−WG)(I−WG)ᵀ and
// P_R = (I−GW)ᵀ(I−GW), dense.
func TestReparamFactors(t *testing.T) {
	for _, leak := range []float64{1, 0.3} {
		b := ruletest.NewBench(t, models.Rate{Leak: leak}, 3)
		b.X = b.X[:5] // one sample
		exact, s := b.Gradient(t, rules.Implicit[float64]{})
		got, _ := b.Gradient(t, rules.ReparamGradient[float64]{})
		n := b.Layer.Units
		w := b.Layer.Params.Data("W")
		wg, gw := identity(n), identity(n)
		for i := range n {
			for j := range n {
				wg[i][j] -= w[i*n+j] * (1 - s.Z[j]*s.Z[j])
				gw[i][j] -= (1 - s.Z[i]*s.Z[i]) * w[i*n+j]
			}
		}
		left, right := product(wg, transpose(wg)), product(transpose(gw), gw)
		dw, db := make([][]float64, n), make([][]float64, n)
		for i := range n {
			dw[i] = exact.Data("W")[i*n : (i+1)*n]
			db[i] = exact.Data("b")[i : i+1]
		}
		compare := func(name string, want [][]float64, got []float64) {
			t.Helper()
			for i, row := range want {
				for j, v := range row {
					if g := got[i*len(row)+j]; !(math.Abs(g-v) <= 1e-10) {
						t.Fatalf("leak %g: %s[%d, %d] = %g, want %g", leak, name, i, j, g, v)
					}
				}
			}
		}
		compare("ΔW", product(product(left, dw), right), got.Data("W"))
		compare("Δb", product(left, db), got.Data("b"))
		if c := ruletest.Cosine(got, exact); !(c > 0) {
			t.Errorf("leak %g: no descent direction, cosine %g", leak, c)
		}
	}
}

func TestJFBIsTheFirstTerm(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 6)
	got, s := b.Gradient(t, rules.JFB[float64]{})
	want := b.Layer.Params.ZerosLike()
	n, m := b.Layer.Units, b.Layer.Inputs
	for r := range s.Rows {
		for i := range n {
			z := s.Z[r*n+i]
			delta := (1 - z*z) * s.Output.DZ[r*n+i] // u ⊙ φ′
			want.Data("b")[i] += delta
			for j := range n {
				want.Data("W")[i*n+j] += delta * s.Z[r*n+j]
			}
			for j := range m {
				want.Data("U")[i*m+j] += delta * s.X[r*m+j]
			}
		}
	}
	if d := ruletest.Distance(got, want); !(d <= 1e-11) {
		t.Errorf("off by %.2g", d)
	}
}

func TestBadOptions(t *testing.T) {
	b := ruletest.NewBench(t, models.Rate{}, 1)
	for _, r := range []rules.Rule[float64]{rules.BPTT[float64]{Steps: -1}, rules.EqProp[float64]{Nudging: rules.Nudging{Beta: -1}}} {
		if err := r.Check(b.Layer); err == nil {
			t.Errorf("%T%+v is accepted", r, r)
		}
	}
}

func identity(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		m[i][i] = 1
	}
	return m
}

func transpose(a [][]float64) [][]float64 {
	t := make([][]float64, len(a[0]))
	for j := range t {
		t[j] = make([]float64, len(a))
		for i := range a {
			t[j][i] = a[i][j]
		}
	}
	return t
}

func product(a, b [][]float64) [][]float64 {
	p := make([][]float64, len(a))
	for i := range p {
		p[i] = make([]float64, len(b[0]))
		for j := range p[i] {
			for k := range b {
				p[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return p
}
