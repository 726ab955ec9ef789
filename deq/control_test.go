package deq_test

import (
	"math"
	"testing"

	"attractor/deq"
	"attractor/models"
)

// A controller without a leak brings the outputs to their targets, with less control by direct
// inversion than through any other weights; with a leak the equations hold entry by entry.
func TestControl(t *testing.T) {
	for _, leak := range []float64{0, 0.1, 2} {
		l := layer(t, models.Rate{Leak: 0.7})
		e := solve(t, l, normals(4, rows*inputs, 1))
		before := append([]float64(nil), e.Z...)
		target := func(b, k int) float64 { // of quadratic
			y, dy, losses := make([]float64, outputs), make([]float64, outputs), make([]float64, 1)
			if err := (quadratic{outputs}).Eval([]int{b}, y, dy, losses); err != nil {
				t.Fatal(err)
			}
			return -dy[k]
		}
		size := func(through *deq.Layer[float64]) float64 {
			c, err := e.Control(ctx, leak, through, quadratic{outputs}, exact())
			if err != nil || c.Report.Err() != nil {
				t.Fatal(err, c.Report.Err())
			}
			here, err := l.At(e.X, c.Z)
			if err != nil {
				t.Fatal(err)
			}
			next, err := l.Relax(ctx, e.X, c.Z, 1)
			if err != nil {
				t.Fatal(err)
			}
			y, back, jpsi := make([]float64, rows*outputs), make([]float64, rows*units), make([]float64, rows*units)
			if err := l.Read(c.Z, y); err != nil {
				t.Fatal(err)
			}
			from := through
			if through == nil {
				from = l
				if err := here.ApplyJT(c.Psi, jpsi); err != nil {
					t.Fatal(err)
				}
			}
			if err := from.ReadoutVJP(c.Z, c.U, back, nil); err != nil {
				t.Fatal(err)
			}
			sum, free := 0.0, 0.0
			for i, psi := range c.Psi {
				sum += psi * psi
				if d := c.Z[i] - next.Last()[i] - psi; !(math.Abs(d) <= 1e-10) {
					t.Fatalf("leak %g: z[%d] is not at rest under control: off by %g", leak, i, d)
				}
				if d := psi - jpsi[i] - back[i]; !(math.Abs(d) <= 1e-10) {
					t.Fatalf("leak %g: ψ[%d] misses its equation by %g", leak, i, d)
				}
			}
			for i, u := range c.U {
				sum += u * u
				miss := y[i] + u - target(i/outputs, i%outputs)
				free = max(free, math.Abs(miss-u))
				if d := leak*u + miss; !(math.Abs(d) <= 1e-10) {
					t.Fatalf("leak %g: the controlled output %d misses by %g, want %g", leak, i, miss, -leak*u)
				}
			}
			if free < 0.1 {
				t.Fatalf("the outputs miss their targets by %g without control: there is nothing to do", free)
			}
			return sum
		}
		least := size(nil)
		if other := size(must(l.Twin(func(p deq.Params[float64]) { copy(p.Data("Wo"), normals(9, outputs*units, 0.4)) }))); leak == 0 && other < 1.01*least {
			t.Errorf("through other weights the control is %.4g, by direct inversion %.4g", other, least)
		}
		for i, z := range e.Z {
			if before[i] != z {
				t.Fatal("the equilibrium is changed")
			}
		}
	}
}
