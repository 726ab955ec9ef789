package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"attractor/internal/ops"

	"gonum.org/v1/gonum/mat"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func normal(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func TestTop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		rows, columns int
		w             []float64
	}{
		"square":    {50, 50, normal(r, 2500)},
		"tall":      {40, 7, normal(r, 280)},
		"wide":      {7, 40, normal(r, 280)},
		"row":       {1, 5, normal(r, 5)},
		"column":    {5, 1, normal(r, 5)},
		"number":    {1, 1, []float64{-3}},
		"zero":      {3, 4, make([]float64, 12)},
		"identity":  {3, 3, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}},
		"one entry": {3, 3, []float64{0, 0, 0, 0, 0, 7, 0, 0, 0}},
		"close":     {3, 3, []float64{1, 0, 0, 0, 1 + 1e-9, 0, 0, 0, 0.5}},
		"tiny":      {2, 2, []float64{1e-150, 0, 1e-150, 1e-160}},
		"large":     {300, 300, normal(r, 90000)},
	} {
		t.Run(name, func(t *testing.T) {
			top := ops.NewTop(c.rows, c.columns, 1e-14)
			top.Solve(c.w)
			var svd mat.SVD
			w := mat.NewDense(c.rows, c.columns, c.w)
			if !svd.Factorize(w, mat.SVDNone) {
				t.Fatal("no decomposition")
			}
			want := svd.Values(nil)[0]
			if !(math.Abs(top.Sigma-want) <= 1e-13*want) {
				t.Errorf("σ = %v, want %v", top.Sigma, want)
			}
			var back mat.VecDense
			back.MulVec(w.T(), mat.NewVecDense(c.rows, top.U))
			for j, v := range top.V {
				if d := math.Abs(back.AtVec(j) - want*v); !(d <= 1e-7*want) {
					t.Fatalf("Wᵀu differs from σv by %.2g", d)
				}
			}
			again := ops.NewTop(c.rows, c.columns, 1e-14)
			again.Solve(normal(r, len(c.w)))
			again.Solve(c.w)
			for range 2 {
				again.SolveOnce(c.w)
				again.SolveOnce(normal(r, len(c.w)))
			}
			again.SolveOnce(c.w)
			if !slices.Equal(again.U, top.U) || !slices.Equal(again.V, top.V) {
				t.Error("u and v depend on what was solved before")
			}
			if again.Sigma != top.Sigma {
				t.Errorf("σ depends on what was solved before: %v, then %v", top.Sigma, again.Sigma)
			}
		})
	}
	bad := ops.NewTop(3, 3, 1e-14)
	bad.Solve([]float64{1, 2, math.NaN(), 4, 5, 6, 7, 8, math.Inf(1)})
	if !math.IsNaN(bad.Sigma) {
		t.Errorf("σ of a matrix with NaN is %v", bad.Sigma)
	}
}

// What Gorgonia merges stays apart: its hash of a slice keeps the last byte of its bounds only.
func TestHashesAreFull(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(2, 512), gorgonia.WithName("x"))
	if gorgonia.Must(gorgonia.Slice(x, nil, gorgonia.S(0, 256))) != gorgonia.Must(gorgonia.Slice(x, nil, gorgonia.S(256, 512))) {
		t.Error("Gorgonia tells wide slices apart: the negative control fails")
	}
	if gorgonia.Must(gorgonia.SoftMax(x, 1)) != gorgonia.Must(gorgonia.LogSoftMax(x, 1)) {
		t.Error("Gorgonia tells SoftMax and LogSoftMax apart: the negative control fails")
	}
	seen := map[*gorgonia.Node]ops.Op{}
	for _, o := range []ops.Op{
		{Kind: ops.Slice, Hi: 256}, {Kind: ops.Slice, Lo: 256, Hi: 512}, {Kind: ops.Slice, Lo: 1, Hi: 257},
		{Kind: ops.SoftMax}, {Kind: ops.LogSoftMax}, {Kind: ops.Norm2Grad},
		{Kind: ops.Pad, Hi: 512, Size: 1024}, {Kind: ops.Pad, Lo: 512, Hi: 1024, Size: 1024}, {Kind: ops.Pad, Lo: 256, Hi: 768, Size: 1024},
	} {
		n, err := ops.Apply(o, x)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[n]; taken {
			t.Errorf("%v and %v are one node", o, other)
		}
		seen[n] = o
	}
}

func TestMisfits(t *testing.T) {
	g := gorgonia.NewGraph()
	matrix := func(name string, rows, columns int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithShape(rows, columns), gorgonia.WithName(name))
	}
	x, y := matrix("x", 2, 3), matrix("y", 3, 3)
	v := gorgonia.NewVector(g, tensor.Float64, gorgonia.WithShape(3), gorgonia.WithName("v"))
	for _, c := range []struct {
		op   ops.Op
		on   gorgonia.Nodes
		want string
	}{
		{ops.Op{Kind: ops.Slice, Lo: 1, Hi: 4}, gorgonia.Nodes{x}, "columns 1 to 4 of 3"},
		{ops.Op{Kind: ops.Slice, Lo: 2, Hi: 2}, gorgonia.Nodes{x}, "columns 2 to 2"},
		{ops.Op{Kind: ops.Pad, Lo: 1, Hi: 3, Size: 5}, gorgonia.Nodes{x}, "3 columns as 1 to 3"},
		{ops.Op{Kind: ops.Concat, Inputs: 2}, gorgonia.Nodes{x, y}, "the rows differ"},
		{ops.Op{Kind: ops.Repeat, Size: 4}, gorgonia.Nodes{x}, "longer than 1"},
		{ops.Op{Kind: ops.Norm2Hessian}, gorgonia.Nodes{x, y}, "must be equal"},
		{ops.Op{Kind: ops.SoftMax}, gorgonia.Nodes{v}, "SoftMax"},
	} {
		if _, err := ops.Apply(c.op, c.on...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.op, err, c.want)
		}
	}
	h, err := ops.Apply(ops.Op{Kind: ops.Norm2Hessian}, x, x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Op().(ops.Op).SymDiff(gorgonia.Nodes{x, x}, h, x); err == nil {
		t.Error("a third derivative of the singular value is given")
	}
}

func BenchmarkTop(b *testing.B) {
	for _, n := range []int{128, 512} {
		for _, tolerance := range []float64{1e-9, 1e-14} {
			b.Run(fmt.Sprintf("n=%d/tolerance=%g", n, tolerance), func(b *testing.B) {
				w, top := normal(rand.New(rand.NewPCG(1, 2)), n*n), ops.NewTop(n, n, tolerance)
				b.ReportAllocs()
				for b.Loop() {
					top.Solve(w)
				}
			})
		}
	}
}
