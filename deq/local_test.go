package deq_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/models"

	"gorgonia.org/gorgonia"
)

// unitOf is one unit of a cell by hand: its parts of the products a, by synapse, and its variables z, by slot.
type unitOf func(a map[string]float64, z []float64) []float64

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// preOf is the presynaptic activity of a synapse that is neither state nor input, from the products.
type preOf func(a map[string][]float64, z []float64) map[string][]float64

// handmade are cells whose units can be computed by hand with their products held.
var handmade = map[string]struct {
	model models.Model
	unit  unitOf
	pre   preOf
}{
	"rate": {model: models.Rate{N: units, Gain: 1.2}, unit: func(a map[string]float64, z []float64) []float64 {
		return []float64{math.Tanh(a["W"] + a["U"] + a["b"])}
	}},
	"leaky": {model: models.Rate{N: units, Leak: 0.3, Activation: "softplus"}, unit: func(a map[string]float64, z []float64) []float64 {
		return []float64{0.7*z[0] + 0.3*math.Log1p(math.Exp(a["W"]+a["U"]+a["b"]))}
	}},
	"currents": {model: models.Rate{N: units, Leak: 0.3, Form: "v", Gain: 1.5}, unit: func(a map[string]float64, z []float64) []float64 {
		return []float64{0.7*z[0] + 0.3*(a["W"]+a["U"]+a["b"])}
	}, pre: func(a map[string][]float64, z []float64) map[string][]float64 {
		activity := make([]float64, len(z))
		for i, v := range z {
			activity[i] = math.Tanh(v)
		}
		return map[string][]float64{"W": activity}
	}},
	"lstm": {model: models.LSTM{N: units}, unit: func(a map[string]float64, z []float64) []float64 {
		of := func(g string) float64 { return a["W"+g] + a["U"+g] + a["b"+g] }
		c := sigmoid(of("f"))*z[1] + sigmoid(of("i"))*math.Tanh(of("g"))
		return []float64{sigmoid(of("q")) * math.Tanh(c), c}
	}, pre: func(a map[string][]float64, z []float64) map[string][]float64 {
		h := z[:units]
		return map[string][]float64{"Wi": h, "Wf": h, "Wg": h, "Wq": h}
	}},
	"gru, reset after": {model: models.GRU{N: units, Gain: 1.5, GateGain: 1.5, Reset: "after"}, unit: func(a map[string]float64, z []float64) []float64 {
		u, r := sigmoid(a["Wu"]+a["Uu"]+a["bu"]), sigmoid(a["Wr"]+a["Ur"]+a["br"])
		return []float64{(1-u)*z[0] + u*math.Tanh(r*a["Wn"]+a["Un"]+a["bn"])}
	}},
	"gru": {model: models.GRU{N: units, Gain: 1.5, GateGain: 1.5}, unit: func(a map[string]float64, z []float64) []float64 {
		u, n := sigmoid(a["Wu"]+a["Uu"]+a["bu"]), math.Tanh(a["Wn"]+a["Un"]+a["bn"])
		return []float64{(1-u)*z[0] + u*n}
	}, pre: func(a map[string][]float64, z []float64) map[string][]float64 {
		gated := make([]float64, len(z))
		for i := range z {
			gated[i] = z[i] * sigmoid(a["Wr"][i]+a["Ur"][i]+a["br"][i])
		}
		return map[string][]float64{"Wn": gated}
	}},
}

// What synapses see of every step agrees with finite differences of units whose products are held.
func TestLocals(t *testing.T) {
	for name, c := range handmade {
		for _, every := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/every=%d", name, every), func(t *testing.T) {
				tr := newTrial(t, c.model, deq.Config{Shard: 2})
				tr.Every = every
				if err := tr.CheckSynapses(); err != nil {
					t.Fatal(err)
				}
				r, err := tr.Run(ctx, tr.Sequence)
				if err != nil {
					t.Fatal(err)
				}
				whole := newTrial(t, c.model, deq.Config{Shard: 2})
				states, err := whole.Run(ctx, whole.Sequence) // all kept
				if err != nil {
					t.Fatal(err)
				}
				seen, err := r.Locals(ctx, 0, span, nil)
				if err != nil {
					t.Fatal(err)
				}
				synapses, err := tr.Synapses()
				if err != nil {
					t.Fatal(err)
				}
				for step, local := range seen {
					for b := range rows {
						at := func(v []float64) []float64 { return v[b*len(v)/rows : (b+1)*len(v)/rows] }
						compareLocal(t, tr.Layer, c.unit, c.pre, synapses, local, b, at(states.Z[step]), at(states.Z[step+1]), at(states.Input(step)))
					}
				}
			})
		}
	}
}

func compareLocal(t *testing.T, l *deq.Layer[float64], unit unitOf, preOf preOf, synapses []deq.Synapse, local deq.Local[float64], b int, z, next, x []float64) {
	t.Helper()
	slots := l.Slots()
	n := l.Units / slots
	products, pre := map[string][]float64{}, map[string][]float64{}
	apply := func(y deq.Synapse, pre []float64) {
		w, a := l.Params.Data(y.Param), make([]float64, n)
		for i := range a {
			if y.Pre == 0 {
				a[i] = w[i]
				continue
			}
			for j, v := range pre {
				a[i] += w[i*y.Pre+j] * v
			}
		}
		products[y.Param] = a
	}
	for _, y := range synapses {
		switch {
		case y.Pre == 0:
		case y.X:
			pre[y.Param] = x
		case y.Pre == len(z):
			pre[y.Param] = z
		default:
			continue // given by preOf
		}
		apply(y, pre[y.Param])
	}
	if preOf != nil {
		for name, v := range preOf(products, z) {
			pre[name] = v
			apply(synapses[slices.IndexFunc(synapses, func(y deq.Synapse) bool { return y.Param == name })], v)
		}
	}
	near := func(what string, got, want, tol float64) {
		t.Helper()
		if !(math.Abs(got-want) <= tol) {
			t.Fatalf("%s is %v, want %v", what, got, want)
		}
	}
	entry := func(v [][]float64, s, i int) float64 {
		if v == nil {
			return 0
		}
		return v[s][b*n+i]
	}
	for k, y := range synapses {
		if (local.Pre[k] == nil) != (y.Pre == 0) {
			t.Fatalf("activity of %s: %v", y.Param, local.Pre[k])
		}
		for j, want := range pre[y.Param] {
			near(fmt.Sprintf("pre of %s[%d]", y.Param, j), local.Pre[k][b*y.Pre+j], want, 1e-12)
		}
	}
	for i := range n {
		a, zi := map[string]float64{}, make([]float64, slots)
		for name, v := range products {
			a[name] = v[i]
		}
		for s := range zi {
			zi[s] = z[s*n+i]
		}
		for s, v := range unit(a, zi) {
			near("the cell by hand", v, next[s*n+i], 1e-12)
			for k, y := range synapses {
				want, _ := finite.Derivative(func(h float64) (float64, error) {
					was := a[y.Param]
					a[y.Param] = was + h
					defer func() { a[y.Param] = was }()
					return unit(a, zi)[s], nil
				})
				near(fmt.Sprintf("slope %d of %s[%d]", s, y.Param, i), entry(local.Slope[k], s, i), want, 1e-8)
			}
			for r := range slots {
				want, _ := finite.Derivative(func(h float64) (float64, error) {
					was := zi[r]
					zi[r] = was + h
					defer func() { zi[r] = was }()
					return unit(a, zi)[s], nil
				})
				var same [][]float64
				if local.Same != nil {
					same = local.Same[s]
				}
				near(fmt.Sprintf("derivative of slot %d for slot %d of unit %d", s, r, i), entry(same, r, i), want, 1e-8)
			}
		}
		for k, y := range synapses {
			if y.X || y.Pre != n {
				if local.Reach[k] != nil {
					t.Fatalf("%s is reached from the state", y.Param)
				}
				continue
			}
			for r := range slots {
				want, _ := finite.Derivative(func(h float64) (float64, error) {
					moved := slices.Clone(z)
					moved[r*n+i] += h
					if preOf != nil {
						if v, ok := preOf(products, moved)[y.Param]; ok {
							return v[i], nil
						}
					}
					return moved[i], nil
				})
				near(fmt.Sprintf("what %s has of slot %d of unit %d", y.Param, r, i), entry(local.Reach[k], r, i), want, 1e-8)
			}
		}
	}
}

// Real-time recurrent learning with what synapses see and dense Jacobians is back-propagation through time; with
// the Jacobians of a step too late it is not.
func TestRTRLFromLocals(t *testing.T) {
	for _, m := range []models.Rate{{Leak: 0.4, Gain: 1.3}, {Activation: "softplus"}} {
		m.N = units
		tr := newTrial(t, m, deq.Config{Shard: 2})
		r, outs := tr.run(t, nil)
		want := tr.Params.ZerosLike()
		if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs}, want); err != nil {
			t.Fatal(err)
		}
		seen, err := r.Locals(ctx, 0, span, nil)
		if err != nil {
			t.Fatal(err)
		}
		synapses, err := tr.Synapses()
		if err != nil {
			t.Fatal(err)
		}
		w := slices.IndexFunc(synapses, func(y deq.Synapse) bool { return y.Param == "W" })
		for late := range 2 {
			got := make([]float64, units*units) // of W
			for b := range rows {
				p := make([][]float64, units*units) // ∂z/∂W_ij [units]
				for i := range p {
					p[i] = make([]float64, units)
				}
				for step := range span {
					jacobians := make([]float64, rows*units*units)
					if err := r.Jacobians(ctx, max(0, step-late), jacobians); err != nil {
						t.Fatal(err)
					}
					j := jacobians[b*units*units:]
					dz := outs.DZ(step + 1)
					for ij := range p {
						next := make([]float64, units)
						for i := range next {
							for k, v := range p[ij] {
								next[i] += j[i*units+k] * v
							}
						}
						next[ij/units] += seen[step].Slope[w][0][b*units+ij/units] * seen[step].Pre[w][b*units+ij%units]
						p[ij] = next
						for i, v := range next {
							if dz != nil {
								got[ij] += dz[b*units+i] * v
							}
						}
					}
				}
			}
			worst := 0.0
			for i, v := range want.Data("W") {
				worst = max(worst, math.Abs(got[i]-v))
			}
			if (late == 0) != (worst < 1e-12) {
				t.Errorf("%+v, Jacobians late by %d: off by %.2g", m, late, worst)
			}
		}
	}
}

// A gradient of weights is taken on to what the weights are made of.
func TestWeightVJP(t *testing.T) {
	for _, m := range []models.Rate{{}, {Normalize: "weight"}, {Normalize: "spectral", Gain: 2}, {Dale: 5. / 8, Density: 0.6}} {
		m.N = units
		tr := newTrial(t, m, deq.Config{Shard: 2})
		if err := tr.CheckSynapses(); err != nil {
			t.Fatal(err)
		}
		r, err := tr.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: 1, X: tr.X[:rows*inputs], Z0: tr.Z0})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // also after an update
			outs, err := r.EvaluateLast(quadratic{outputs}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, want := tr.Params.ZerosLike(), tr.Params.ZerosLike()
			if err := r.VJP(ctx, deq.Back[float64]{Outputs: outs}, want); err != nil {
				t.Fatal(err)
			}
			seen, err := r.Locals(ctx, 0, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			synapses, _ := tr.Synapses()
			for k, y := range synapses {
				dw := make([]float64, y.Post*max(1, y.Pre))
				for b := range rows {
					for i := range y.Post {
						delta := outs.DZ(1)[b*units+i] * seen[0].Slope[k][0][b*units+i]
						if y.Pre == 0 {
							dw[i] += delta
						}
						for j := range y.Pre {
							dw[i*y.Pre+j] += delta * seen[0].Pre[k][b*y.Pre+j]
						}
					}
				}
				if err := tr.WeightVJP(k, dw, got); err != nil {
					t.Fatal(err)
				}
				weights, err := tr.Weights(k)
				if err != nil || len(weights) != len(dw) {
					t.Fatalf("%d weights of %s, %v", len(weights), y.Param, err)
				}
				if y.Param == "W" && m.Dale > 0 {
					for i, w := range weights {
						if inhibits := i%units >= 5; w != 0 && inhibits != (w < 0) || math.Abs(w) != math.Abs(tr.Params.Data("W")[i]) && w != 0 {
							t.Fatalf("weight %d is %v, made of %v", i, w, tr.Params.Data("W")[i])
						}
					}
				}
			}
			for i, g := range want {
				for k, v := range g.Data {
					if !(math.Abs(got[i].Data[k]-v) <= 1e-13) {
						t.Fatalf("normalize %q: gradient of %s[%d] is %v, want %v", m.Normalize, g.Name, k, got[i].Data[k], v)
					}
				}
			}
			update(tr.Layer, func() {
				for i := range tr.Params.Data("W") {
					tr.Params.Data("W")[i] *= 1.5
				}
			})
			if r, err = tr.Run(ctx, deq.Sequence[float64]{Rows: rows, Steps: 1, X: tr.X[:rows*inputs], Z0: tr.Z0}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// normalized is a cell whose units are shifted and scaled by all of them.
type normalized struct{ models.Rate }

func (m normalized) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Tanh(s.LayerNorm(s.Bias("b", s.Add(s.Linear("W", z), s.Linear("U", x))), 1e-5))
}

// scaled is a cell with a gain of its units.
type scaled struct{ models.Rate }

func (m scaled) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Gain("b", s.Tanh(s.Add(s.Linear("W", z), s.Linear("U", x))))
}

// summed is a cell whose units see the sum of all.
type summed struct{ models.Rate }

func (m summed) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.Add(m.Rate.Cell(s, z, x), s.Broadcast(s.Mean(z), z))
}

// centred is a cell whose synapses get what units are apart from their mean.
type centred struct{ models.Rate }

func (m centred) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return m.Rate.Cell(s, s.Sub(z, s.Broadcast(s.Mean(z), z)), x)
}

func TestCheckSynapses(t *testing.T) {
	rate := models.Rate{N: units}
	for want, m := range map[string]models.Model{
		"": rate, "not as weights": scaled{rate}, "reaches other units": normalized{rate}, "units reach each other": summed{rate},
		"has 16 columns": wide{rate}, "mixes units": centred{rate},
	} {
		l, err := deq.New[float32](m, inputs, outputs, 1, deq.Config{Batch: 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.CheckSynapses(); want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%T: error %v, want %q", m, err, want)
		}
	}
}

// A cell that applies its activation to the state has no pre-activation.
func TestCurrentsHaveNoPreActivation(t *testing.T) {
	for form, want := range map[string]bool{"h": true, "v": false} {
		l, err := deq.New[float64](models.Rate{N: units, Form: form}, inputs, outputs, 1, deq.Config{Batch: 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.SingleActivation(); want != (err == nil) {
			t.Errorf("form %s: %v", form, err)
		}
	}
}

// wide is a cell with a product of twice the units.
type wide struct{ models.Rate }

func (m wide) Params(inputs, outputs int) []models.Param {
	params := m.Rate.Params(inputs, outputs)
	params[0].Shape = []int{2 * units, units}
	return params
}

func (m wide) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	both := s.Linear("W", z)
	return s.Tanh(s.Add(s.Mul(s.Slice(both, 0, units), s.Slice(both, units, 2*units)), s.Bias("b", s.Linear("U", x))))
}

// In memory of before, what synapses see of a step costs no allocation.
func TestLocalsDoNotAllocate(t *testing.T) {
	l, err := deq.New[float32](models.GRU{N: units}, inputs, outputs, 1, deq.Config{Batch: rows, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 40*rows*inputs)
	r := rng.Stream(1, "x")
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	tr, err := l.Run(ctx, deq.Sequence[float32]{Rows: rows, Steps: 40, X: x})
	if err != nil {
		t.Fatal(err)
	}
	allocs := func(steps int) float64 {
		seen, err := tr.Locals(ctx, 0, steps, nil)
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(10, func() {
			if _, err := tr.Locals(ctx, 0, steps, seen); err != nil {
				t.Error(err)
			}
		})
	}
	if few, many := allocs(4), allocs(40); many > few {
		t.Errorf("%v allocations for 4 steps, %v for 40", few, many)
	}
}

// What synapses see does not depend on what runs the program, the TapeMachine or the engine.
func TestLocalsOnTheTape(t *testing.T) {
	for name, m := range map[string]models.Model{
		"h": models.Rate{N: units, Leak: 0.1}, "v": models.Rate{N: units, Leak: 0.1, Form: "v"}, "gru": models.GRU{N: units}, "lstm": models.LSTM{N: units},
	} {
		see := func(engine string) (all []float64) {
			tr := newTrial(t, m, deq.Config{Shard: 2, Engine: engine})
			r, err := tr.Run(ctx, tr.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			for step := range span { // one at a time, each after another one
				seen, err := r.Locals(ctx, step, step+1, nil)
				if err != nil {
					t.Fatal(err)
				}
				for k, pre := range seen[0].Pre {
					all = append(append(all, pre...), slices.Concat(append(seen[0].Slope[k], seen[0].Reach[k]...)...)...)
				}
			}
			return all
		}
		engine, tape := see(""), see("tape")
		if len(engine) != len(tape) {
			t.Fatalf("%s: %d numbers, and %d on the tape", name, len(engine), len(tape))
		}
		for i, v := range engine {
			if !(math.Abs(v-tape[i]) <= 1e-12) {
				t.Fatalf("%s: number %d is %v, on the tape %v", name, i, v, tape[i])
			}
		}
	}
}
