package deq_test

import (
	"fmt"
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
)

// unitProbe is the i-th unit vector for every sample.
func unitProbe(i int) []float64 {
	v := make([]float64, rows*units)
	for b := range rows {
		v[b*units+i] = 1
	}
	return v
}

// denseNorm is the mean over the samples of ‖J‖²_F/n, by products J v.
func denseNorm(t *testing.T, e *deq.Equilibrium[float64]) float64 {
	t.Helper()
	sum := 0.0
	for i := range units {
		column := make([]float64, rows*units)
		if err := e.JVP(unitProbe(i), column); err != nil {
			t.Fatal(err)
		}
		for _, v := range column {
			sum += v * v
		}
	}
	return sum / float64(rows*units)
}

func TestJacobianPenaltyIsTheFrobeniusNorm(t *testing.T) {
	for _, m := range []models.Rate{{}, {Activation: "relu"}, {Leak: 0.3}} {
		l := layer(t, m)
		e := solve(t, l, normals(4, rows*inputs, 1))
		want := denseNorm(t, e)
		sum := 0.0
		for i := range units {
			r, err := e.JacobianPenalty(unitProbe(i), 3, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			sum += r
		}
		if !(math.Abs(sum-want) <= 1e-10*want) {
			t.Errorf("%+v: unit vectors give %v, the dense Jacobian %v", m, sum, want)
		}
		const probes = 4096
		var mean, square float64
		for k := range uint64(probes) {
			r, err := e.JacobianPenalty(normals(100+k, rows*units, 1), 1, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			mean, square = mean+r/probes, square+r*r/probes
		}
		se := math.Sqrt((square - mean*mean) / probes)
		if !(math.Abs(mean-want) <= 4*se) {
			t.Errorf("%+v: %d probes give %v ± %v, the dense Jacobian %v", m, probes, mean, se, want)
		}
	}
}

// The gradient with z held fixed, and with dz through the implicit rule the whole one.
func TestJacobianPenaltyGradient(t *testing.T) {
	const weight = 0.7
	v := normals(6, rows*units, 1)
	for _, activation := range models.Activations {
		for _, leak := range []float64{1, 0.3} {
			t.Run(fmt.Sprintf("%s/leak=%g", activation, leak), func(t *testing.T) {
				l := layer(t, models.Rate{Activation: activation, Leak: leak})
				x := normals(4, rows*inputs, 1)
				e := solve(t, l, x)
				g, dz := l.Params.ZerosLike(), make([]float64, rows*units)
				if _, err := e.JacobianPenalty(v, weight, g, dz); err != nil {
					t.Fatal(err)
				}
				value := func(e *deq.Equilibrium[float64]) float64 {
					r, err := e.JacobianPenalty(v, weight, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					return weight * r
				}
				fixed := func() float64 {
					at, err := l.At(x, e.Z)
					if err != nil {
						t.Fatal(err)
					}
					return value(at)
				}
				if w := worstOfCell(l, g, fixed); w > 1e-7 {
					t.Errorf("with z fixed the gradient is off by %.2g", w)
				}
				e = solve(t, l, x)
				u := append([]float64(nil), dz...)
				rep, err := e.Adjoint(ctx, dz, u, exact())
				if err != nil || rep.Err() != nil {
					t.Fatal(err, rep.Err())
				}
				if err := e.VJP(u, g); err != nil {
					t.Fatal(err)
				}
				if w := worstOfCell(l, g, func() float64 { return value(solve(t, l, x)) }); w > 1e-6 {
					t.Errorf("the whole gradient is off by %.2g", w)
				}
			})
		}
	}
}

// worstOfCell is the largest error of the cell's gradients, relative to the largest of all.
func worstOfCell(l *deq.Layer[float64], g deq.Params[float64], value func() float64) float64 {
	const h = 1e-5
	var diff, scale float64
	for i, p := range l.Params {
		if !p.Role.OfCell() {
			continue
		}
		for k, old := range p.Data {
			at := func(v float64) float64 { return vary(l, func() { p.Data[k] = v }, value) }
			n := (at(old+h) - at(old-h)) / (2 * h)
			diff, scale = max(diff, math.Abs(g[i].Data[k]-n)), max(scale, math.Abs(n))
		}
	}
	return diff / scale
}

func TestCorrectionGradient(t *testing.T) {
	const keep, decay = 3, 0.8
	l := layer(t, models.Rate{})
	x := normals(4, rows*inputs, 1)
	e, err := l.SolveAlong(ctx, x, nil, exact(), deq.Along[float64]{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	g := l.Params.ZerosLike()
	got, err := e.Correction(quadratic{outputs}, decay, g)
	if err != nil {
		t.Fatal(err)
	}
	// One step from each iterate, its loss weighted by hand.
	value := func() float64 {
		sum := 0.0
		for i, z := range e.Iterates {
			tr, err := l.Relax(ctx, x, z, 1)
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.Evaluate(tr.Last(), quadratic{outputs}, nil)
			if err != nil {
				t.Fatal(err)
			}
			sum += math.Pow(decay, float64(keep-i)) * o.Mean()
		}
		return sum
	}
	if want := value(); !(math.Abs(got-want) <= 1e-12*want) {
		t.Errorf("the correction is %v, want %v", got, want)
	}
	if w := worst(t, l, g, value); w > 1e-7 {
		t.Errorf("its gradient is off by %.2g", w)
	}
}

// The iterates come nearer to z* and do not depend on the shards.
func TestIterates(t *testing.T) {
	x := normals(4, rows*inputs, 1)
	with := exact()
	var first [][]float64
	for _, shard := range []int{1, 2, 5} {
		l, err := deq.New[float64](models.Rate{N: units, Gain: 0.9}, inputs, outputs, 1, deq.Config{Batch: 6, Shard: shard})
		if err != nil {
			t.Fatal(err)
		}
		for _, keep := range []int{1, 2, 5} {
			e, err := l.SolveAlong(ctx, x, nil, with, deq.Along[float64]{Keep: keep})
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Iterates) != keep {
				t.Fatalf("%d iterates, want %d", len(e.Iterates), keep)
			}
			for b := range rows {
				last := math.Inf(1)
				for k, z := range e.Iterates {
					d := 0.0
					for i := b * units; i < (b+1)*units; i++ {
						d = max(d, math.Abs(z[i]-e.Z[i]))
					}
					if d == 0 || d >= last {
						t.Errorf("sample %d: iterate %d of %d is %.2g from z*, the one before %.2g", b, k, keep, d, last)
					}
					last = d
				}
			}
			if keep == 5 {
				if first == nil {
					first = e.Iterates
				}
				for k := range first {
					for i, v := range first[k] {
						if e.Iterates[k][i] != v {
							t.Fatalf("shards of %d: iterate %d differs", shard, k)
						}
					}
				}
			}
		}
	}
}

func TestBadPenalty(t *testing.T) {
	l := layer(t, models.Rate{})
	if err := l.CheckJacobianPenalty(); err != nil {
		t.Error(err)
	}
	e := solve(t, l, normals(4, rows*inputs, 1))
	if _, err := e.JacobianPenalty(make([]float64, 3), 1, nil, nil); err == nil {
		t.Error("a probe of the wrong size is accepted")
	}
	if _, err := e.JacobianPenalty(make([]float64, rows*units), 0, nil, nil); err == nil {
		t.Error("the weight 0 is accepted")
	}
}
