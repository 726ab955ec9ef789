package rules_test

import (
	"fmt"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/train/rules"
	"attractor/train/rules/ruletest"
)

func mdgl(hops, types int) rules.MDGL[float64] {
	return rules.MDGL[float64]{Hops: hops, Broadcast: rules.Broadcast[float64]{Types: types}}
}

func modProp(taps, types int) rules.ModProp[float64] {
	return rules.ModProp[float64]{Taps: taps, Broadcast: rules.Broadcast[float64]{Types: types}}
}

// meeting are cells whose units meet in products with weights alone.
var meeting = map[string]models.Model{
	"activities": models.Rate{N: 7, Leak: 0.4, Gain: 1.2}, "currents": models.Rate{N: 7, Leak: 0.4, Gain: 1.2, Form: "v"},
	"relu": models.Rate{N: 7, Gain: 1.2, Activation: "relu"}, "softplus currents": models.Rate{N: 7, Activation: "softplus", Form: "v"},
	"lstm": models.LSTM{N: 5}, "gru, reset after": models.GRU{N: 6, Reset: "after"},
	"dale": models.Rate{N: 8, Leak: 0.4, Dale: 0.5, Density: 0.6, Form: "v"}, "weight norm": models.Rate{N: 7, Normalize: "weight", Leak: 0.5},
}

// Credit that goes over as many synapses as there are steps is all there is: back-propagation through time. The
// fewer it goes over, the further it is from that.
func TestMDGLOverAllSynapsesIsBPTT(t *testing.T) {
	for name, m := range meeting {
		trials := ruletest.NewTrials(t, m, 4, 0)
		want := trials.Gradient(t, rules.BPTT[float64]{})
		near(t, name, trials.Gradient(t, mdgl(trials.Steps, 0)), want, 1e-12)
		apart(t, name+": one synapse", trials.Gradient(t, mdgl(1, 0)), want, 1e-4)
		far := ruletest.Distance(trials.Gradient(t, rules.EProp[float64]{}), want)
		for _, hops := range []int{2, 4, 8} {
			d := ruletest.Distance(trials.Gradient(t, mdgl(hops, 0)), want)
			if !(d < far) {
				t.Errorf("%s: over %d synapses off by %.2g, no better than %.2g over fewer", name, hops, d, far)
			}
			far = d
		}
	}
	// A gate that acts on what another synapse gets is left out, as e-prop leaves it out.
	trials := ruletest.NewTrials(t, models.GRU{N: 6}, 4, 0)
	apart(t, "gru, reset before", trials.Gradient(t, mdgl(trials.Steps, 0)), trials.Gradient(t, rules.BPTT[float64]{}), 1e-4)
}

// One synapse further is the term of first order of real-time recurrent learning in C = J − D: with p⁰ and
// p¹ the derivatives of the state that go over no synapse and over one, p⁰ ← D p⁰ + ∂f/∂W and
// p¹ ← D p¹ + C p⁰, dense and forwards.
func TestMDGLForwards(t *testing.T) {
	const n, leak = 6, 0.3
	for _, form := range []string{"h", "v"} {
		trials := ruletest.NewTrials(t, models.Rate{N: n, Leak: leak, Gain: 1.4, Form: form}, 4, 0)
		p, l := trials.Passage(t, mdgl(1, 0)), trials.Layer
		synapses, err := l.Synapses()
		if err != nil || synapses[0].Param != "W" {
			t.Fatal(synapses, err)
		}
		seen, err := p.Locals(ctx, 0, p.Steps, nil)
		if err != nil {
			t.Fatal(err)
		}
		jacobians, want := make([]float64, p.Rows*n*n), l.Params.ZerosLike()
		var none, one [][]float64 // by sample [n, n·n]
		for range p.Rows {
			none, one = append(none, make([]float64, n*n*n)), append(one, make([]float64, n*n*n))
		}
		for step := range p.Steps {
			if err := p.Jacobians(ctx, step, jacobians); err != nil {
				t.Fatal(err)
			}
			for b := range p.Rows {
				next, further := make([]float64, n*n*n), make([]float64, n*n*n)
				for i := range n {
					for k := range n {
						c := jacobians[(b*n+i)*n+k]
						if i == k {
							c -= 1 - leak
						}
						for w := range n * n {
							further[i*n*n+w] += c * none[b][k*n*n+w]
						}
					}
					for w := range n * n {
						next[i*n*n+w] += (1 - leak) * none[b][i*n*n+w]
						further[i*n*n+w] += (1 - leak) * one[b][i*n*n+w]
					}
					for j := range n {
						next[i*n*n+i*n+j] += seen[step].Slope[0][0][b*n+i] * seen[step].Pre[0][b*n+j]
					}
				}
				none[b], one[b] = next, further
				if dz := p.Outputs.DZ(step + 1); dz != nil {
					for i := range n {
						for w := range n * n {
							want.Data("W")[w] += dz[b*n+i] * (next[i*n*n+w] + further[i*n*n+w])
						}
					}
				}
			}
		}
		worst, scale := 0.0, 0.0
		got := trials.Gradient(t, mdgl(1, 0)).Data("W")
		for k, v := range want.Data("W") {
			worst, scale = max(worst, math.Abs(got[k]-v)), max(scale, math.Abs(v))
		}
		if !(worst <= 1e-12*scale) {
			t.Errorf("form %s: off by %.2g of %.2g", form, worst, scale)
		}
	}
}

// Slopes of a linear network are their mean: with taps for all steps nothing is left out. With fewer, or
// where slopes differ, something is.
func TestModPropIsBPTTWhereLinear(t *testing.T) {
	for _, m := range []models.Rate{{N: 7, Gain: 0.9}, {N: 7, Gain: 1.2, Leak: 0.4}, {N: 7, Gain: 1.2, Leak: 0.4, Form: "v"}, {N: 8, Leak: 0.4, Dale: 0.5, Density: 0.6}} {
		m.Activation = "linear"
		trials := ruletest.NewTrials(t, m, 4, 0)
		want, name := trials.Gradient(t, rules.BPTT[float64]{}), fmt.Sprintf("%+v", m)
		near(t, name, trials.Gradient(t, modProp(trials.Steps, 0)), want, 1e-12)
		apart(t, name+": few taps", trials.Gradient(t, modProp(3, 0)), want, 1e-4)
		m.Activation = "tanh"
		trials = ruletest.NewTrials(t, m, 4, 0)
		apart(t, name+": curved", trials.Gradient(t, modProp(trials.Steps, 0)), trials.Gradient(t, rules.BPTT[float64]{}), 1e-4)
	}
}

// Of currents without a leak, the credit that comes to unit p is φ′_p(t) Σ_s μ^{s−1} Σ_j (Wˢ)_jp φ′_j ℓ_j(t+s).
func TestModPropByHand(t *testing.T) {
	const n, taps = 7, 4
	trials := ruletest.NewTrials(t, models.Rate{N: n, Gain: 1.2, Form: "v"}, 4, 0)
	p := trials.Passage(t, modProp(taps, 0))
	slope := func(v float64) float64 { return 1 - math.Tanh(v)*math.Tanh(v) }
	mu := 0.0
	for _, z := range p.Z[:p.Steps] {
		for _, v := range z {
			mu += slope(v) / float64(p.Steps*len(z))
		}
	}
	w := trials.Layer.Params.Data("W")
	outs := make(deq.Outputs[float64], p.Steps+1)
	for s := 1; s <= p.Steps; s++ {
		dz := make([]float64, p.Rows*n)
		if own := p.Outputs.DZ(s); own != nil {
			copy(dz, own)
		}
		for tap := 1; tap <= taps && s+tap <= p.Steps; tap++ {
			from := p.Outputs.DZ(s + tap)
			if from == nil {
				continue
			}
			for b := range p.Rows {
				back := from[b*n : (b+1)*n] // φ′_j ℓ_j
				for range tap {
					next := make([]float64, n)
					for j := range n {
						for k := range n {
							next[k] += w[j*n+k] * back[j]
						}
					}
					back = next
				}
				for k, v := range back {
					dz[b*n+k] += slope(p.Z[s][b*n+k]) * math.Pow(mu, float64(tap-1)) * v
				}
			}
		}
		outs[s] = &deq.Output[float64]{DZ: dz}
	}
	want := trials.Layer.Params.ZerosLike()
	if err := p.VJP(ctx, deq.Back[float64]{Outputs: outs, Credit: deq.CutCredit}, want); err != nil {
		t.Fatal(err)
	}
	near(t, "by hand", trials.Gradient(t, modProp(taps, 0)), want, 1e-12)
}

// Without recurrent weights nothing is broadcast: what is left is e-prop, which is exact then.
func TestBroadcastsWithoutWeights(t *testing.T) {
	for _, form := range []string{"h", "v"} {
		trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.4, Form: form}, 4, 0)
		update(trials.Layer, func() { clear(trials.Layer.Params.Data("W")) })
		want := trials.Gradient(t, rules.BPTT[float64]{})
		for name, rule := range map[string]rules.TemporalRule[float64]{"mdgl": mdgl(1, 0), "modprop": modProp(5, 0), "mdgl by types": mdgl(1, 3)} {
			near(t, form+": "+name, trials.Gradient(t, rule), want, 1e-12)
		}
	}
}

// With types of their own all units have their own weights; fewer types have the means of blocks, under
// Dale's law of units of one kind.
func TestTypes(t *testing.T) {
	const n = 8
	for _, m := range []models.Rate{{Leak: 0.4}, {Leak: 0.4, Dale: 0.75, Form: "v"}} {
		m.N = n
		trials := ruletest.NewTrials(t, m, 4, 0)
		exact := trials.Gradient(t, mdgl(1, 0))
		near(t, "as many types as units", trials.Gradient(t, mdgl(1, n)), exact, 1e-13)
		near(t, "modprop", trials.Gradient(t, modProp(3, n)), trials.Gradient(t, modProp(3, 0)), 1e-13)
		apart(t, "two types", trials.Gradient(t, mdgl(1, 2)), exact, 1e-4)

		types := []int{0, 0, 0, 0, 1, 1, 1, 1}
		if m.Dale > 0 {
			types = []int{0, 0, 0, 0, 0, 0, 1, 1}
		}
		w, err := trials.Layer.Weights(0)
		if err != nil {
			t.Fatal(err)
		}
		sum, pairs := [2][2]float64{}, [2][2]float64{}
		for i := range n {
			for j := range n {
				sum[types[i]][types[j]] += w[i*n+j]
				pairs[types[i]][types[j]]++
			}
		}
		// A network of the mean weights would run otherwise, but for one step it has the same credit to send.
		p := trials.Passage(t, mdgl(1, 2))
		seen, err := p.Locals(ctx, 0, p.Steps, nil)
		if err != nil {
			t.Fatal(err)
		}
		outs, u := make(deq.Outputs[float64], p.Steps+1), make([]float64, p.Rows*n)
		for s := p.Steps; s >= 1; s-- {
			dz, own := make([]float64, p.Rows*n), p.Outputs.DZ(s)
			if own != nil {
				copy(dz, own)
			}
			if s < p.Steps {
				for b := range p.Rows {
					for i := range n {
						for j := range n {
							mean := sum[types[i]][types[j]] / pairs[types[i]][types[j]]
							dz[b*n+j] += seen[s].Reach[0][0][b*n+j] * mean * seen[s].Slope[0][0][b*n+i] * u[b*n+i]
						}
					}
				}
				for i := range u {
					u[i] *= 1 - m.Leak
				}
			}
			for i := range own {
				u[i] += own[i]
			}
			outs[s] = &deq.Output[float64]{DZ: dz}
		}
		want := trials.Layer.Params.ZerosLike()
		if err := p.VJP(ctx, deq.Back[float64]{Outputs: outs, Credit: deq.CutCredit}, want); err != nil {
			t.Fatal(err)
		}
		near(t, "means of blocks", trials.Gradient(t, mdgl(1, 2)), want, 1e-12)

		for types, fits := range map[int]bool{-1: false, 1: m.Dale == 0, 2: true, n: true, n + 1: false} {
			if err := mdgl(1, types).Check(trials.Layer); fits != (err == nil) {
				t.Errorf("dale %g, %d types: %v", m.Dale, types, err)
			}
		}
	}
}

// Feedback of a rule's own is what units broadcast.
func TestBroadcastOfRandomFeedback(t *testing.T) {
	trials := ruletest.NewTrials(t, models.Rate{N: 7, Leak: 0.4, Gain: 1.2}, 4, 0)
	random := mdgl(1, 0)
	random.Feedback = "random"
	apart(t, "random", trials.Gradient(t, random), trials.Gradient(t, mdgl(1, 0)), 1e-3)
	apart(t, "random, and none broadcast", trials.Gradient(t, random), trials.Gradient(t, rules.RFLO[float64]{}), 1e-3)
	trials.Mirrored = true
	near(t, "feedback that mirrors the readout", trials.Gradient(t, random), trials.Gradient(t, mdgl(1, 0)), 1e-13)
	trials.Every = 5
	if _, err := mdgl(1, 0).Gradient(ctx, trials.Passage(t, mdgl(1, 0)), trials.Layer.Params.ZerosLike()); err == nil {
		t.Error("states that are not kept are read out")
	}
}

// The equations in the help of mdgl and modprop, for a rate network with a leak, number by number: what a neighbour
// broadcasts is filtered by its own leak.
func TestBroadcastsWithLeakByHand(t *testing.T) {
	const n, alpha = 6, 0.3
	trials := ruletest.NewTrials(t, models.Rate{N: n, Leak: alpha, Gain: 1.3}, 4, 0)
	p := trials.Passage(t, mdgl(1, 0))
	w := trials.Layer.Params.Data("W")
	// slope[t][b·n+j] is φ′_j(t), of the input that has made z(t).
	slope, mu := make([][]float64, p.Steps+1), 0.0
	for s := 1; s <= p.Steps; s++ {
		slope[s] = make([]float64, p.Rows*n)
		for i := range slope[s] {
			phi := (p.Z[s][i] - (1-alpha)*p.Z[s-1][i]) / alpha
			slope[s][i] = 1 - phi*phi
			mu += slope[s][i] / float64(p.Steps*len(slope[s]))
		}
	}
	byHand := func(taps int, smooth bool) []float64 {
		want := make([]float64, n*n)
		for b := range p.Rows {
			at := func(v [][]float64, s, j int) float64 { return v[s][b*n+j] }
			credit, u := make([][]float64, p.Steps+2), make([][]float64, p.Steps+2) // [t][unit]; u of the tap at hand
			for s := range credit {
				credit[s], u[s] = make([]float64, n), make([]float64, n)
			}
			for s := p.Steps; s >= 1; s-- {
				for j := range n {
					if dz := p.Outputs.DZ(s); dz != nil {
						credit[s][j] = dz[b*n+j]
					}
					u[s][j] = credit[s][j] + (1-alpha)*u[s+1][j]
				}
			}
			for tap := 1; tap <= taps; tap++ {
				next := make([][]float64, p.Steps+2)
				next[p.Steps+1] = make([]float64, n)
				for s := p.Steps; s >= 1; s-- {
					next[s] = make([]float64, n)
					for j := range n {
						sent := 0.0
						for k := 0; s < p.Steps && k < n; k++ {
							a := alpha * at(slope, s+1, k) * u[s+1][k]
							if smooth && tap > 1 {
								a = alpha * mu * u[s+1][k]
							}
							sent += w[k*n+j] * a
						}
						credit[s][j] += sent
						next[s][j] = sent + (1-alpha)*next[s+1][j]
					}
				}
				u = next
			}
			trace := make([]float64, n*n)
			for s := 1; s <= p.Steps; s++ {
				for i := range n {
					for j := range n {
						trace[i*n+j] = (1-alpha)*trace[i*n+j] + alpha*at(slope, s, i)*at(p.Z, s-1, j)
						want[i*n+j] += credit[s][i] * trace[i*n+j]
					}
				}
			}
		}
		return want
	}
	compare := func(name string, rule rules.TemporalRule[float64], want []float64) {
		worst, scale := 0.0, 0.0
		got := trials.Gradient(t, rule).Data("W")
		for k, v := range want {
			worst, scale = max(worst, math.Abs(got[k]-v)), max(scale, math.Abs(v))
		}
		if !(worst <= 1e-12*scale) {
			t.Errorf("%s is off by %.2g of %.2g", name, worst, scale)
		}
	}
	compare("mdgl", mdgl(1, 0), byHand(1, false))
	compare("mdgl over 2 hops", mdgl(2, 0), byHand(2, false))
	compare("modprop, 1 tap", modProp(1, 0), byHand(1, true))
	compare("modprop, 3 taps", modProp(3, 0), byHand(3, true))
}
