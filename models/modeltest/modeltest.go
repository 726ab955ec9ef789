// Package modeltest is the contract of models: a model that is listed in the catalogue is tested
// by it.
package modeltest

import (
	"context"
	"math"
	"testing"

	"attractor/deq"
	"attractor/internal/finite"
	"attractor/internal/rng"
	"attractor/models"
)

const (
	rows, inputs, outputs = 5, 4, 3
	steps                 = 3  // of the trajectory that is differentiated
	entries               = 12 // of each parameter that are checked
)

// sum is the loss Σ c_k y_k with fixed weights, whose gradient tests all of the readout.
type sum struct{}

func (sum) Eval(rows []int, y, dy []float64, losses []float64) error {
	for i, r := range rows {
		losses[i] = 0
		for k := range outputs {
			c := math.Cos(float64(2*r + k))
			losses[i] += c * y[i*outputs+k]
			dy[i*outputs+k] = c
		}
	}
	return nil
}

// Test checks a model: its parameters have roles and finite initial values that do not depend on
// the number type; both engines compute the same; a sample does not depend on the others;
// ⟨u, Jv⟩ = ⟨Jᵀu, v⟩; and the gradient of a short trajectory with its readout agrees with
// finite differences for every parameter.
func Test(t *testing.T, m models.Model) {
	ctx := context.Background()
	layer := func(engine string, shard int) *deq.Layer[float64] {
		l, err := deq.New[float64](m, inputs, outputs, 1, deq.Config{Batch: rows, Shard: shard, Engine: engine})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	r := rng.Stream(1, "modeltest")
	normals := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		return v
	}
	l := layer("fast", rows)
	narrow := deq.NewParams[float32](m, inputs, outputs, 1)
	roles := map[models.Role]bool{}
	for i, p := range l.Params {
		roles[p.Role] = true
		for k, v := range p.Data {
			if math.IsNaN(v) || math.IsInf(v, 0) || float32(v) != narrow[i].Data[k] {
				t.Fatalf("%s[%d] starts at %v, in float32 at %v", p.Name, k, v, narrow[i].Data[k])
			}
		}
	}
	if !roles[models.Readout] || len(roles) < 2 {
		t.Errorf("roles %v: expected parameters of the cell and of the readout", roles)
	}
	x, z0 := normals(rows*inputs), normals(rows*l.Units)
	run := func(l *deq.Layer[float64]) *deq.Trajectory[float64] {
		tr, err := l.Relax(ctx, x, z0, steps)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	tr := run(l)
	for name, other := range map[string]*deq.Layer[float64]{"the TapeMachine": layer("tape", rows), "shards of two": layer("fast", 2)} {
		for i, v := range run(other).Last() {
			if want := tr.Last()[i]; !(math.Abs(v-want) <= 1e-12*max(1, math.Abs(want))) {
				t.Fatalf("by %s state %d is %v, want %v", name, i, v, want)
			}
		}
	}
	alone, err := l.Relax(ctx, x[:inputs], z0[:l.Units], steps)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range alone.Last() {
		if v != tr.Last()[i] {
			t.Fatalf("sample 0 alone has state %v, in the batch %v", v, tr.Last()[i])
		}
	}
	e, err := l.At(x, z0)
	if err != nil {
		t.Fatal(err)
	}
	u, v := normals(len(z0)), normals(len(z0))
	jv, ju := make([]float64, len(z0)), make([]float64, len(z0))
	if err := e.JVP(v, jv); err != nil {
		t.Fatal(err)
	}
	if err := e.ApplyJT(u, ju); err != nil {
		t.Fatal(err)
	}
	var left, right, scale float64
	for i := range u {
		left, right, scale = left+u[i]*jv[i], right+ju[i]*v[i], scale+math.Abs(u[i]*jv[i])
	}
	if !(math.Abs(left-right) <= 1e-12*scale) {
		t.Errorf("⟨u, Jv⟩ = %v but ⟨Jᵀu, v⟩ = %v", left, right)
	}
	gradients(t, l, run)
}

func gradients(t *testing.T, l *deq.Layer[float64], run func(*deq.Layer[float64]) *deq.Trajectory[float64]) {
	g, tr := l.Params.ZerosLike(), run(l)
	outs, err := tr.EvaluateLast(sum{}, g)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.VJP(context.Background(), deq.Back[float64]{Outputs: outs}, g); err != nil {
		t.Fatal(err)
	}
	for i, p := range l.Params {
		var worst, scale float64
		order := rng.Stream(1, "modeltest/"+p.Name).Perm(len(p.Data))
		for _, k := range order[:min(entries, len(order))] {
			n, err := finite.Derivative(func(h float64) (v float64, err error) {
				err = l.Vary(func(deq.Params[float64]) error { p.Data[k] += h; return nil }, func() error {
					o, err := l.Evaluate(run(l).Last(), sum{}, nil)
					if err == nil {
						v = o.Mean()
					}
					return err
				})
				return v, err
			})
			if err != nil {
				t.Fatal(err)
			}
			worst, scale = max(worst, math.Abs(g[i].Data[k]-n)), max(scale, math.Abs(n))
		}
		if scale == 0 {
			t.Errorf("%s has no effect", p.Name)
		}
		if !(worst <= 1e-7*scale) {
			t.Errorf("gradient of %s is off by %.2g of its largest entry", p.Name, worst/scale)
		}
	}
}
