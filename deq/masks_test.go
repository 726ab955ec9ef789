package deq_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/models"
	"attractor/solvers"

	"gorgonia.org/gorgonia"
)

func dropoutLayer[T deq.Float](t *testing.T, m models.Model, c deq.Config) *deq.Layer[T] {
	t.Helper()
	l, err := deq.New[T](m, 3, 2, 1, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// masked is an equilibrium at which a network with dropout is tried.
func masked(t *testing.T, l *deq.Layer[float64], x []float64) *deq.Equilibrium[float64] {
	t.Helper()
	tight := deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-13, MaxEvals: 2000}}
	e, err := l.Solve(context.Background(), x, nil, tight)
	if err == nil {
		err = e.Report.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// One mask holds for a solve, its adjoint and its gradients: they agree with finite differences of the
// loss, on both engines and for any shards. It is drawn from the stream alone, is 1 without one, and a sample
// keeps its mask when others have converged and left.
func TestDropout(t *testing.T) {
	const rows = 5
	m := models.Rate{N: 8, Dropout: 0.4, Gain: 0.8}
	r := rng.Stream(3, "test")
	x := make([]float64, rows*3)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	l := dropoutLayer[float64](t, m, deq.Config{Batch: rows})
	full := masked(t, l, x)
	without := m
	without.Dropout = 0
	if plain := masked(t, dropoutLayer[float64](t, without, deq.Config{Batch: rows}), x); !slices.Equal(plain.Z, full.Z) {
		t.Error("without a draw something is dropped")
	}
	l.DrawMasks(rng.Stream(1, "dropout"))
	e := masked(t, l, x)
	for b := range rows {
		if slices.Equal(e.Z[b*8:b*8+8], full.Z[b*8:b*8+8]) {
			t.Errorf("nothing is dropped in sample %d", b)
		}
	}
	for name, c := range map[string]deq.Config{"the tape": {Batch: rows, Engine: "tape"}, "shards of two": {Batch: rows, Shard: 2}} {
		other := dropoutLayer[float64](t, m, c)
		other.DrawMasks(rng.Stream(1, "dropout"))
		for i, v := range masked(t, other, x).Z {
			if !(math.Abs(v-e.Z[i]) <= 1e-11) {
				t.Fatalf("by %s state %d is %v, want %v", name, i, v, e.Z[i])
			}
		}
	}
	copied := dropoutLayer[float32](t, m, deq.Config{Batch: rows})
	deq.CopyMasks(copied, l)
	narrow := make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	f, err := copied.Solve(context.Background(), narrow, nil, deq.Solver[float32]{Method: solvers.Anderson[float32]{}, Settings: solvers.Settings{RTol: 1e-5}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range f.Z {
		if !(math.Abs(float64(v)-e.Z[i]) <= 1e-4) {
			t.Fatalf("with copied masks state %d is %v, want %v", i, v, e.Z[i])
		}
	}

	loss := func() float64 { return weigh(masked(t, l, x).Z) }
	e = masked(t, l, x)
	dz, u, g := make([]float64, len(e.Z)), make([]float64, len(e.Z)), l.Params.ZerosLike()
	for i := range dz {
		dz[i] = math.Cos(float64(i))
	}
	rep, err := e.Adjoint(context.Background(), dz, u, deq.Solver[float64]{Method: solvers.Anderson[float64]{}, Settings: solvers.Settings{RTol: 1e-13, MaxEvals: 2000}})
	if err != nil || rep.Err() != nil {
		t.Fatal(err, rep.Err())
	}
	if err := e.VJP(u, g); err != nil {
		t.Fatal(err)
	}
	compare(t, l, "W", g.Data("W"), loss)
	compare(t, l, "b", g.Data("b"), loss)

	steps := func() *deq.Trajectory[float64] {
		tr, err := l.Relax(context.Background(), x, nil, 3)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	g.Clear()
	tr := steps()
	if err := tr.VJP(context.Background(), deq.Back[float64]{Outputs: tr.LastOutput(dz)}, g); err != nil {
		t.Fatal(err)
	}
	compare(t, l, "W", g.Data("W"), func() float64 { return weigh(steps().Last()) })

	// Repeated, a sample keeps its mask in whatever row.
	v, jv := make([]float64, len(e.Z)), make([]float64, len(e.Z))
	copy(v, dz)
	if err := e.JVP(v, jv); err != nil {
		t.Fatal(err)
	}
	for b := range rows {
		same, err := e.Repeat(b, 2)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, 16)
		if err := same.JVP(slices.Repeat(v[b*8:b*8+8], 2), got); err != nil {
			t.Fatal(err)
		}
		if want := slices.Repeat(jv[b*8:b*8+8], 2); !slices.Equal(got, want) {
			t.Errorf("sample %d repeated: J·v is %v, want %v", b, got, want)
		}
	}

	l.DrawMasks(nil)
	if again := masked(t, l, x); !slices.Equal(again.Z, full.Z) {
		t.Error("a network without masks is another than before")
	}
}

func weigh(z []float64) (s float64) {
	for i, v := range z {
		s += v * math.Cos(float64(i))
	}
	return s
}

func compare(t *testing.T, l *deq.Layer[float64], name string, g []float64, loss func() float64) {
	t.Helper()
	p := l.Params.Data(name)
	for k := 0; k < len(p); k += 5 {
		old := p[k]
		want, _ := finite.Derivative(func(h float64) (float64, error) {
			return vary(l, func() { p[k] = old + h }, loss), nil
		})
		if !(math.Abs(g[k]-want) <= 1e-7) {
			t.Errorf("gradient of %s[%d] is %v, want %v", name, k, g[k], want)
		}
	}
}

// dropsWeights is a model that drops what has no row per sample.
type dropsWeights struct{ models.Rate }

func (m dropsWeights) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	return s.LinearWith("W", s.Dropout("m", 0.5, s.Param("W")), z)
}

func TestDropoutOfWeightsIsRefused(t *testing.T) {
	if _, err := deq.New[float64](dropsWeights{models.Rate{N: 8}}, 3, 2, 1, deq.Config{Batch: 5}); err == nil {
		t.Error("a mask without a row per sample is accepted")
	}
}

// Entries are 0 with probability p, else 1/(1−p): a linear cell of the identity shows them.
func TestMaskStatistics(t *testing.T) {
	const n, rows, p = 200, 50, 0.3
	l := dropoutLayer[float64](t, models.Rate{N: n, Activation: "linear", Dropout: p}, deq.Config{Batch: rows})
	w := l.Params.Data("W")
	update(l, func() {
		clear(w)
		for i := range n {
			w[i*n+i] = 1
		}
	})
	l.DrawMasks(rng.Stream(1, "dropout"))
	z0 := make([]float64, rows*n)
	for i := range z0 {
		z0[i] = 1
	}
	tr, err := l.Relax(context.Background(), make([]float64, rows*3), z0, 1)
	if err != nil {
		t.Fatal(err)
	}
	zeros := 0
	for i, v := range tr.Last() {
		switch {
		case v == 0:
			zeros++
		case !(math.Abs(v-1/(1-p)) <= 1e-15):
			t.Fatalf("entry %d is %v", i, v)
		}
	}
	if d := math.Abs(float64(zeros) - p*rows*n); !(d <= 4*math.Sqrt(p*(1-p)*rows*n)) {
		t.Errorf("%d of %d are dropped", zeros, rows*n)
	}
}
