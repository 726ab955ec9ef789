package rules_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"

	"attractor/deq"
	"attractor/internal/options"
	"attractor/models"
	"attractor/train/rules"
)

// cutting are the rules that hold the products of synapses fixed: what a parameter gives to another product, as the
// reset gate does that multiplies the state before the product with Wn, has no part in their gradients.
var cutting = []string{"e-prop", "rflo", "snap-1", "three-factor", "mdgl", "modprop", "kernl"}

// architectures are the models with the options that change what acts on what. through are the parameters that act on
// the state by another product alone; of a readout that the cell reads this is so for the rows that are not read out.
var architectures = []struct {
	name            string
	model           models.Model
	through, partly []string
}{
	{name: "rate", model: models.Rate{}},
	{name: "rate, leak", model: models.Rate{Leak: 0.3}},
	{name: "rate, relu", model: models.Rate{Activation: "relu"}},
	{name: "rate, currents", model: models.Rate{Form: "v", Leak: 0.3}},
	{name: "rate, lengths of rows", model: models.Rate{Normalize: "weight"}},
	{name: "rate, spectral norm", model: models.Rate{Normalize: "spectral", Bound: 0.1}},
	{name: "rate, dale", model: models.Rate{Dale: 0.8, Density: 0.5}},
	{name: "rate, dropout and noise", model: models.Rate{Dropout: 0.1, Noise: 0.1}},
	{name: "gru", model: models.GRU{}, through: []string{"Wr", "Ur", "br"}},
	{name: "gru, reset after", model: models.GRU{Reset: "after"}},
	{name: "lstm", model: models.LSTM{}},
	{name: "mondeq", model: models.MonDEQ{}},
	{name: "mondeq, tanh", model: models.MonDEQ{Activation: "tanh"}},
	{name: "feedback", model: models.Feedback{}},
	{name: "feedback, rates", model: models.Feedback{State: "rate"}},
	{name: "feedback, extra loop", model: models.Feedback{Extra: 1}, partly: []string{"n"}},
	{name: "two layers", model: twoLayers{}, through: []string{"W1", "U"}},
}

// twoLayers is a user's cell tanh(W₂ tanh(W₁z + Ux) + b), without options.
type twoLayers struct{}

func (twoLayers) Units() int { return 7 }

func (twoLayers) Params(inputs, outputs int) []models.Param {
	return []models.Param{
		{Name: "W1", Shape: []int{5, 7}, Role: models.Recurrent, Init: models.Normal{Gain: 1}},
		{Name: "U", Shape: []int{5, inputs}, Role: models.Input, Init: models.Normal{Gain: 1}},
		{Name: "W2", Shape: []int{7, 5}, Role: models.Recurrent, Init: models.Normal{Gain: 1}},
		{Name: "b", Shape: []int{7}, Role: models.Bias, Init: models.Zeros{}},
		{Name: "Wo", Shape: []int{outputs, 7}, Role: models.Readout, Init: models.Normal{Gain: 1}},
	}
}

func (twoLayers) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	hidden := s.Activate("tanh", s.Add(s.Linear("W1", z), s.Linear("U", x)))
	return s.Activate("tanh", s.Bias("b", s.Linear("W2", hidden)))
}

func (twoLayers) Readout(s *models.Scope, z *gorgonia.Node) *gorgonia.Node { return s.Linear("Wo", z) }

// variants are a rule with every choice of its options, one at a time.
func variants(rule rules.Rule[float64]) map[string]rules.Rule[float64] {
	out := map[string]rules.Rule[float64]{"": rule}
	for _, f := range options.Fields(rule) {
		for _, choice := range f.Choices {
			v := reflect.New(reflect.TypeOf(rule))
			v.Elem().Set(reflect.ValueOf(rule))
			if choice != f.Default && f.Set(v.Interface(), choice) == nil {
				out[f.Key+"="+choice] = v.Elem().Interface().(rules.Rule[float64])
			}
		}
	}
	return out
}

// Of every rule with every choice, in every architecture: what it does not reach follows from what it cuts, and rules that
// cut nothing reach all that the exact gradient has.
func TestReach(t *testing.T) {
	ctx := context.Background()
	catalogue32 := rules.Catalog[float32]()
	for _, a := range architectures {
		t.Run(a.name, func(t *testing.T) {
			p, err := rules.NewProbe[float64](a.model)
			if err != nil {
				t.Fatal(err)
			}
			p32, err := rules.NewProbe[float32](a.model)
			if err != nil {
				t.Fatal(err)
			}
			tried := 0
			for _, e := range rules.Catalog[float64]().Entries() {
				for choice, rule := range variants(e.Value) {
					reach, err := p.Reach(ctx, rule)
					if err != nil {
						if a.name == "rate" && choice != "form=linear" { // for linear networks alone
							t.Errorf("%s %s: %v", e.Name, choice, err)
						}
						continue // the rule refuses the model, of which other tests see
					}
					tried++
					unreached, partly := []string{}, []string{}
					if slices.Contains(cutting, e.Name) {
						unreached = append(unreached, a.through...)
						if choice != "feedback=adaptive" { // by which readouts decay
							partly = append(partly, a.partly...)
						}
					}
					if e.Name == "weight-perturbation" { // which leaves the readout, also one that the cell reads
						partly = append(partly, a.partly...)
					}
					if _, ok := rule.(rules.ReadoutRule); ok {
						unreached, partly = nil, nil
					}
					if !cmp.Equal(reach.Unreached, unreached) || !cmp.Equal(reach.Partly, partly) {
						t.Errorf("%s %s leaves %q and of %q a part, want %q and %q", e.Name, choice, reach.Unreached, reach.Partly, unreached, partly)
					}
					if choice != "" {
						continue
					}
					single, err := catalogue32.Lookup(e.Name)
					if err != nil {
						t.Fatal(err)
					}
					reach32, err := p32.Reach(ctx, single.Value)
					if err != nil || !cmp.Equal(reach32.Unreached, unreached) || !cmp.Equal(reach32.Partly, partly) {
						t.Errorf("%s in float32 leaves %q and of %q a part, want %q and %q; %v", e.Name, reach32.Unreached, reach32.Partly, unreached, partly, err)
					}
				}
			}
			if tried < 25 {
				t.Errorf("only %d rules could be tried", tried)
			}
		})
	}
}

// At an equilibrium of the GRU the update gate multiplies n − z, which is 0: not the rule leaves it, there is nothing.
func TestReachOfWhatIsUnused(t *testing.T) {
	reach, err := rules.ReachOf(context.Background(), rules.Rule[float64](rules.JFB[float64]{}), models.GRU{})
	if want := []string{"Wu", "Uu", "bu"}; err != nil || !cmp.Equal(reach.Unused, want) || len(reach.Unreached) > 0 {
		t.Errorf("%+v, %v; want %q unused", reach, err, want)
	}
}

// faint is a rule of someone's own: the gradient by jfb with that of some parameters multiplied.
type faint struct {
	rules.JFB[float64]
	times map[string]float64
}

func (r faint) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	own := g.ZerosLike()
	rep, err := r.JFB.Gradient(ctx, s, own)
	for i, p := range own {
		factor, ok := r.times[p.Name]
		if !ok {
			factor = 1
		}
		for k, v := range p.Data {
			g[i].Data[k] += factor * v
		}
	}
	return rep, err
}

// The probe sees rules that are not ours, and is not taken in by gradients that are only small.
func TestReachOfOwnRule(t *testing.T) {
	for _, tt := range []struct {
		times map[string]float64
		want  []string
	}{
		{map[string]float64{"b": 0}, []string{"b"}},
		{map[string]float64{"W": 0, "U": 0}, []string{"W", "U"}},
		{map[string]float64{"b": 1e-7, "W": -1e-6}, []string{}},
		{nil, []string{}},
	} {
		reach, err := rules.ReachOf(context.Background(), rules.Rule[float64](faint{times: tt.times}), models.Rate{})
		if err != nil || !cmp.Equal(reach.Unreached, tt.want) {
			t.Errorf("%v: %+v, %v; want %q unreached", tt.times, reach, err, tt.want)
		}
	}
}

func TestReachSays(t *testing.T) {
	r := rules.Reach{Unreached: []string{"Wr", "br"}, Partly: []string{"n"}}
	for _, tt := range []struct {
		learn []string
		want  string
	}{
		{nil, "Wr, br and some entries of n"},
		{[]string{"br", "b"}, "br"},
		{[]string{"n"}, "some entries of n"},
		{[]string{}, ""},
	} {
		if got := r.Left(tt.learn); got != tt.want {
			t.Errorf("of %q: %q, want %q", tt.learn, got, tt.want)
		}
		if w := r.Warning("e-prop", "gru", tt.learn); (w == "") != (tt.want == "") {
			t.Errorf("of %q: %q", tt.learn, w)
		}
	}
}
