package deq_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
	"attractor/solvers"
)

// Credit through the weights of a twin, against loops over the entries.
func TestTwin(t *testing.T) {
	for _, leak := range []float64{1, 0.4} {
		l := layer(t, models.Rate{Leak: leak})
		e := solve(t, l, normals(4, rows*inputs, 1))
		dy, b, w := normals(5, rows*outputs, 1), normals(6, outputs*units, 1), normals(7, units*units, 0.2)
		alone := l.Bytes()
		twin := must(l.Twin(func(p deq.Params[float64]) {
			copy(p.Data("Wo"), b)
			copy(p.Data("W"), w)
		}))
		if got, want := l.Bytes(), alone+twin.Params.Bytes(); got != want {
			t.Errorf("%d bytes with a twin that has its parameters alone, want %d", got, want)
		}
		dz, own := make([]float64, rows*units), l.Params.ZerosLike()
		if err := twin.ReadoutVJP(e.Z, dy, dz, own); err != nil {
			t.Fatal(err)
		}
		for r := range rows {
			for i := range units {
				want := 0.0
				for k := range outputs {
					want += dy[r*outputs+k] * b[k*units+i]
				}
				if got := dz[r*units+i]; !(math.Abs(got-want) <= 1e-13) {
					t.Fatalf("dz[%d, %d] = %g, want %g", r, i, got, want)
				}
			}
		}
		theirs := l.Params.ZerosLike()
		if err := l.ReadoutVJP(e.Z, dy, make([]float64, rows*units), theirs); err != nil {
			t.Fatal(err)
		}
		for k, g := range theirs.Data("Wo") {
			if own.Data("Wo")[k] != g || g == 0 {
				t.Fatalf("the gradient of Wo[%d] is %g, that of its twin %g", k, g, own.Data("Wo")[k])
			}
		}

		for name, method := range map[string]solvers.Method[float64]{
			"anderson": solvers.Anderson[float64]{}, "newton-gmres": solvers.NewtonGMRES[float64]{}, "bicgstab": solvers.BiCGStab[float64]{},
		} {
			before, read := l.Counts(), l.Reads()
			u := make([]float64, rows*units)
			with := exact()
			with.Method = method
			rep, err := e.AdjointThrough(ctx, twin, dz, u, with)
			if err != nil || rep.Err() != nil {
				t.Fatal(err, rep.Err())
			}
			worst := 0.0
			for r := range rows {
				for i := range units {
					fu := dz[r*units+i] + (1-leak)*u[r*units+i]
					for j := range units {
						z := e.Z[r*units+j]
						fu += leak * (1 - z*z) * u[r*units+j] * w[j*units+i]
					}
					worst = max(worst, math.Abs(fu-u[r*units+i]))
				}
			}
			if !(worst <= 1e-10) {
				t.Errorf("leak %g, %s: the adjoint through the twin misses its equation by %.2g", leak, name, worst)
			}
			if c := l.Counts().Sub(before); c.Adjoint == 0 {
				t.Errorf("the evaluations of the twin are not counted: %+v", c)
			}
			if r := l.Reads().Sub(read); r.Other == 0 || r.Transposed > 0 || r.Solves != rows {
				t.Errorf("other weights are taken for the network's: %+v", r)
			}
		}

		exactly, u := make([]float64, rows*units), make([]float64, rows*units)
		if _, err := e.Adjoint(ctx, dz, exactly, exact()); err != nil {
			t.Fatal(err)
		}
		if must(l.Twin(func(deq.Params[float64]) {})) != twin {
			t.Fatal("a second twin is made")
		}
		read := l.Reads()
		if _, err := e.AdjointThrough(ctx, twin, dz, u, exact()); err != nil {
			t.Fatal(err)
		}
		if r := l.Reads().Sub(read); r.Other > 0 || r.Transposed == 0 {
			t.Errorf("the network's weights are taken for others: %+v", r)
		}
		for i, v := range exactly {
			if !(math.Abs(u[i]-v) <= 1e-11) {
				t.Fatalf("leak %g: with the network's own weights u[%d] = %g, the adjoint is %g", leak, i, u[i], v)
			}
		}
	}
}
