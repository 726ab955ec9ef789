package train_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"attractor/deq"
	"attractor/internal/npz"
	"attractor/models"
	"attractor/train"
	"attractor/train/rules"
)

// Every exact rule agrees with finite differences on every activation; the others are told apart.
func TestGradCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute with the race detector, which has nothing to find in it")
	}
	parts := train.Ours[float64]()
	for _, rule := range parts.Rules.Entries() {
		for _, activation := range models.Activations {
			if !rule.Value.Exact() && activation != "tanh" {
				continue
			}
			t.Run(rule.Name+"/"+activation, func(t *testing.T) {
				c, err := train.Read(parts, "test", nil, []string{
					"rule=" + rule.Name, "model.activation=" + activation, "model.units=12", "model.gain=0.5", "task=blobs",
				})
				if err != nil {
					t.Fatal(err)
				}
				rep, err := train.GradCheck(context.Background(), c.Suited(parts), parts)
				if err != nil {
					t.Fatal(err)
				}
				if rep.Holds != rule.Value.Exact() {
					t.Errorf("holds: %v, the rule says that it is exact: %v\n%+v", rep.Holds, rule.Value.Exact(), rep.Parameters)
				}
				if len(rep.Parameters) != 5 {
					t.Errorf("%d parameters checked, want 5", len(rep.Parameters))
				}
			})
		}
	}
}

// gradCheck checks gradients in a configuration.
func gradCheck(t *testing.T, parts train.Parts[float64], sets ...string) *train.GradReport {
	t.Helper()
	c, err := train.Read(parts, "test", nil, sets)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := train.GradCheck(context.Background(), c.Suited(parts), parts)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// of lists the parameters of a status.
func of(rep *train.GradReport, status train.GradStatus) (names []string) {
	for _, g := range rep.Parameters {
		if g.Status == status {
			names = append(names, g.Name)
		}
	}
	return names
}

// Exact rules hold on every model as it is but for its size. At an equilibrium the update gate of the GRU, u(n − z) with n = z,
// is unused.
func TestGradCheckOfEveryModel(t *testing.T) {
	parts := train.Ours[float64]()
	for _, m := range parts.Models.Entries() {
		for _, rule := range []string{"implicit", "bptt"} {
			rep := gradCheck(t, parts, "model="+m.Name, "rule="+rule, "model.units=4", "task=blobs")
			var unused []string
			if m.Name == "gru" && rule == "implicit" {
				unused = []string{"Wu", "Uu", "bu"}
			}
			if !rep.Holds || !cmp.Equal(of(rep, train.GradUnused), unused) {
				t.Errorf("%s by %s: holds %v, unused %q, want %q\n%+v", m.Name, rule, rep.Holds, of(rep, train.GradUnused), unused, rep.Parameters)
			}
			for _, g := range rep.Parameters {
				if e := float64(g.MaxRelError); !(e <= 1e-3) || g.Status == train.GradHolds && !(g.Cosine > 0.999999) {
					t.Errorf("%s by %s: %+v", m.Name, rule, g)
				}
			}
		}
	}
}

// inputsOf writes a data set with inputs of that size.
func inputsOf(t *testing.T, size float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, labels := make([]float64, 24), make([]int64, 8)
	for i := range x {
		x[i] = size * math.Sin(float64(1+i*i))
	}
	for i := range labels {
		labels[i] = int64(i % 2)
	}
	var arrays []npz.Named
	for _, part := range []string{"train", "test"} {
		arrays = append(arrays, npz.Named{Name: "x_" + part, Shape: []int{8, 3}, Data: x}, npz.Named{Name: "y_" + part, Shape: []int{8}, Data: labels})
	}
	if err := npz.Write(f, arrays...); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGradCheckWithoutInputs(t *testing.T) {
	rep := gradCheck(t, train.Ours[float64](), "task={name: npz, file: "+inputsOf(t, 0)+", normalize: none}", "model.units=4")
	if !rep.Holds || !cmp.Equal(of(rep, train.GradUnused), []string{"U"}) {
		t.Errorf("holds %v, want it to, with U unused\n%+v", rep.Holds, rep.Parameters)
	}
}

// spoilt is implicit with something wrong in the gradient of one parameter.
type spoilt struct {
	rules.Implicit[float64]
	parameter string
	spoil     func(g []float64)
}

func (r spoilt) Gradient(ctx context.Context, s rules.Situation[float64], g deq.Params[float64]) (rules.Report, error) {
	rep, err := r.Implicit.Gradient(ctx, s, g)
	r.spoil(g.Data(r.parameter))
	return rep, err
}

// What is wrong differs, however small the gradient of the parameter is beside the whole: with inputs of 1e-5 that of U is
// 1e-5 of it.
func TestGradCheckTellsWrongGradients(t *testing.T) {
	times := func(factor float64) func(g []float64) {
		return func(g []float64) {
			for i := range g {
				g[i] *= factor
			}
		}
	}
	for _, tt := range []struct {
		parameter string
		size      float64 // of the inputs
		spoil     func(g []float64)
		want      train.GradStatus
	}{
		{"b", 1, times(1.0001), train.GradDiffers},
		{"b", 1, times(0), train.GradNone},
		{"W", 1, func(g []float64) { g[3] = math.NaN() }, train.GradDiffers},
		{"W", 1, func(g []float64) { g[0] += 1e-4 }, train.GradDiffers},
		{"W", 1, func(g []float64) { slices.Reverse(g) }, train.GradDiffers},
		{"U", 1e-5, times(1.1), train.GradDiffers},
		{"U", 1e-5, times(0), train.GradNone},
		{"U", 0, func(g []float64) { g[1] = 1e-6 }, train.GradDiffers},
		{"U", 1e-5, times(1), train.GradHolds},
	} {
		parts := train.Ours[float64]()
		parts.Rules = parts.Rules.With(rules.Entry[float64]{Name: "spoilt", Doc: "wrong", Value: spoilt{parameter: tt.parameter, spoil: tt.spoil}})
		rep := gradCheck(t, parts, "rule=spoilt", "model.units=4", fmt.Sprintf("task={name: npz, file: %s, normalize: none}", inputsOf(t, tt.size)))
		for _, g := range rep.Parameters {
			want := train.GradHolds
			if g.Name == tt.parameter {
				want = tt.want
			}
			if g.Status != want && !(g.Name == "U" && tt.size == 0) || rep.Holds != (tt.want == train.GradHolds) {
				t.Errorf("%s with inputs of %g: %+v, want %s; all hold: %v", tt.parameter, tt.size, g, want, rep.Holds)
			}
		}
	}
}

func TestGradCheckOfUnreached(t *testing.T) {
	rep := gradCheck(t, train.Ours[float64](), "rule=e-prop", "model=gru", "model.units=4", "task=blobs")
	if none := of(rep, train.GradNone); rep.Holds || !cmp.Equal(none, []string{"Wr", "Ur", "br"}) {
		t.Errorf("holds %v, no gradient for %q, want that of the reset gate", rep.Holds, none)
	}
}
