package stability_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"attractor/deq"
	"attractor/deq/stability"
	"attractor/internal/finite"
	"attractor/internal/kernels"
	"attractor/internal/rng"
	"attractor/models"

	"gonum.org/v1/gonum/mat"
	"gorgonia.org/gorgonia"
)

// voltage is the rate network in the form v ← (1−α)v + α(Wφ(v) + Ux + b).
type voltage struct{ models.Rate }

func (m voltage) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	next := s.Bias("b", s.Add(s.Linear("W", s.Activate("tanh", z)), s.Linear("U", x)))
	return s.Leak(m.Leak, z, next)
}

// gradient is the gradient of L on one trajectory.
func gradient[T deq.Float](t *testing.T, l *deq.Layer[T], drive stability.Drive[T], o stability.Flossing) ([]float64, deq.Params[T]) {
	t.Helper()
	g := l.Params.ZerosLike()
	found, err := stability.FlossingGradient(ctx, l, drive, nil, o, g)
	if err != nil {
		t.Fatal(err)
	}
	return found, g
}

func lossOf(exponents []float64, target float64) (sum float64) {
	for _, v := range exponents {
		sum += (v - target) * (v - target) / float64(len(exponents))
	}
	return sum
}

// The exact gradient agrees with finite differences for every cell; the local variants do not. Nothing
// depends on the size of the batch.
func TestFlossingGradient(t *testing.T) {
	o := stability.Flossing{K: 3, Horizon: 9, Warmup: 2, Target: 0.1, Seed: 4}
	drive := noise[float64](0.4)
	for name, m := range map[string]models.Model{
		"h": models.Rate{N: 5, Gain: 1.5}, "leaky h": models.Rate{N: 5, Gain: 1.5, Leak: 0.4}, "v": voltage{models.Rate{N: 5, Gain: 1.5, Leak: 1}},
		"leaky v": voltage{models.Rate{N: 5, Gain: 1.5, Leak: 0.4}}, "softplus": models.Rate{N: 5, Activation: "softplus"}, "gru": models.GRU{N: 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := free[float64](t, m, 2, 3, 1)
			_, g := gradient(t, l, drive, o)
			size := 0.0
			for i, p := range l.Params {
				for k := range p.Data {
					old := p.Data[k]
					want, err := finite.Derivative(func(h float64) (float64, error) {
						update(l, func() { p.Data[k] = old + h })
						found, err := stability.FlossingGradient(ctx, l, drive, nil, o, nil)
						return lossOf(found, o.Target), err
					})
					if err != nil {
						t.Fatal(err)
					}
					update(l, func() { p.Data[k] = old })
					if !(math.Abs(g[i].Data[k]-want) <= 1e-6) {
						t.Errorf("∂L/∂%s[%d] is %v, want %v", p.Name, k, g[i].Data[k], want)
					}
					size = max(size, math.Abs(want))
				}
			}
			for _, v := range []string{"a", "b", "c"} {
				own := o
				own.Variant = v
				_, local := gradient(t, l, drive, own)
				most := 0.0
				for i := range g {
					for k, d := range g[i].Data {
						most = max(most, math.Abs(local[i].Data[k]-d))
					}
				}
				if !(most >= size/100) {
					t.Errorf("variant %s is within %.2g of the exact gradient of size %.2g", v, most, size)
				}
			}
			for _, batch := range []int{1, 2} {
				other := free[float64](t, m, 2, batch, 1)
				_, h := gradient(t, other, drive, o)
				for i := range g {
					if d := math.Sqrt(kernels.SquaredDistance(g[i].Data, h[i].Data)); !(d <= 1e-12) {
						t.Errorf("in batches of %d the gradient of %s is off by %.2g", batch, g[i].Name, d)
					}
				}
			}
		})
	}
}

// byHand is the gradient for W of a local variant, forwards in time with traces, of one
// trajectory of the network in form v, or else h.
func byHand(l *deq.Layer[float64], v bool, alpha float64, drive stability.Drive[float64], o stability.Flossing) *mat.Dense {
	n, k := l.Units, o.K
	w := mat.NewDense(n, n, l.Params.Data("W"))
	u := mat.NewDense(n, l.Inputs, l.Params.Data("U"))
	draw := rng.Stream(o.Seed, "stability/tangents")
	start := mat.NewDense(k, n, nil)
	for i := range k {
		for j := range n {
			start.Set(i, j, draw.NormFloat64())
		}
	}
	thin := func(a mat.Matrix) (q, r *mat.Dense) {
		var f mat.QR
		f.Factorize(a)
		q, r = new(mat.Dense), new(mat.Dense)
		f.QTo(q)
		f.RTo(r)
		return mat.DenseCopyOf(q.Slice(0, n, 0, k)), mat.DenseCopyOf(r.Slice(0, k, 0, k))
	}
	q, _ := thin(start.T())
	z := make([]float64, n)
	draw = rng.Stream(o.Seed, "stability/state")
	for i := range z {
		z[i] = draw.NormFloat64()
	}
	type moment struct {
		z, post, slope, bend, trace []float64 // of the activation's argument
		q, after, r                 *mat.Dense
	}
	var past []moment
	trace, x := make([]float64, n), make([]float64, l.Inputs)
	lambda := make([]float64, k)
	for t := range o.Horizon {
		m := moment{z: slices.Clone(z), q: q, trace: slices.Clone(trace)}
		drive(t, x)
		arg := mat.NewVecDense(n, slices.Clone(z))
		pre := mat.NewVecDense(n, nil)
		if !v {
			pre.MulVec(w, arg)
			var d mat.VecDense
			d.MulVec(u, mat.NewVecDense(l.Inputs, x))
			pre.AddVec(pre, &d)
			arg = pre
		}
		for i := range n {
			y := math.Tanh(arg.AtVec(i))
			m.post, m.slope, m.bend = append(m.post, y), append(m.slope, 1-y*y), append(m.bend, -2*y*(1-y*y))
		}
		j := mat.NewDense(n, n, nil)
		j.Apply(func(i, c int, _ float64) float64 {
			s := alpha * m.slope[c] * w.At(i, c)
			if !v {
				s = alpha * m.slope[i] * w.At(i, c)
			}
			if i == c {
				s += 1 - alpha
			}
			return s
		}, j)
		var moved mat.Dense
		moved.Mul(j, q)
		q, m.r = thin(&moved)
		m.after = q
		if v {
			var next, d mat.VecDense
			next.MulVec(w, mat.NewVecDense(n, m.post))
			d.MulVec(u, mat.NewVecDense(l.Inputs, x))
			for i := range z {
				z[i] = (1-alpha)*z[i] + alpha*(next.AtVec(i)+d.AtVec(i))
				trace[i] = (1-alpha)*trace[i] + alpha*m.post[i]
			}
		} else {
			for i := range z {
				z[i] = (1-alpha)*z[i] + alpha*m.post[i]
			}
		}
		past = append(past, m)
		if t >= o.Warmup {
			for i := range lambda {
				lambda[i] += math.Log(math.Abs(m.r.At(i, i))) / float64(o.Horizon-o.Warmup)
			}
		}
	}
	g, dq := mat.NewDense(n, n, nil), mat.NewDense(n, k, nil)
	for t := o.Horizon - 1; t >= 0; t-- {
		m := past[t]
		s := mat.NewDense(k, k, nil)
		if o.Variant == "c" {
			s.Mul(dq.T(), m.after)
			for i := range k {
				for j := range i {
					s.Set(j, i, s.At(i, j))
				}
			}
			s.Scale(-1, s)
		} else {
			dq.Zero()
		}
		for i := range k {
			if t >= o.Warmup {
				s.Set(i, i, s.At(i, i)+2*(lambda[i]-o.Target)/float64(k*(o.Horizon-o.Warmup)))
			}
		}
		var qs, inverse, dm mat.Dense
		qs.Mul(m.after, s)
		qs.Add(&qs, dq)
		inverse.Inverse(m.r)
		dm.Mul(&qs, inverse.T())
		var back, wq mat.Dense
		back.Mul(w.T(), &dm)
		wq.Mul(w, m.q)
		dq.Zero()
		for i := range n {
			eps, jump := 0.0, 0.0
			for c := range k {
				eps += alpha * m.bend[i] * back.At(i, c) * m.q.At(i, c)
				jump += alpha * m.bend[i] * dm.At(i, c) * wq.At(i, c)
				for j := range n {
					slope := m.slope[j]
					if !v {
						slope = m.slope[i]
					}
					g.Set(i, j, g.At(i, j)+alpha*dm.At(i, c)*slope*m.q.At(j, c))
					if v {
						dq.Set(i, c, dq.At(i, c)+alpha*m.slope[i]*w.At(j, i)*dm.At(j, c))
					} else {
						dq.Set(i, c, dq.At(i, c)+alpha*w.At(j, i)*m.slope[j]*dm.At(j, c))
					}
				}
				dq.Set(i, c, dq.At(i, c)+(1-alpha)*dm.At(i, c))
			}
			if o.Variant == "a" {
				continue
			}
			for j := range n {
				if v {
					g.Set(i, j, g.At(i, j)+eps*m.trace[j])
				} else {
					g.Set(i, j, g.At(i, j)+jump*m.z[j])
				}
			}
		}
	}
	return g
}

// The local variants are what their formulas say, in both forms of the rate network.
func TestFlossingVariants(t *testing.T) {
	for _, variant := range []string{"a", "b", "c"} {
		for _, alpha := range []float64{1, 0.4} {
			for _, k := range []int{1, 3} {
				o := stability.Flossing{K: k, Horizon: 8, Warmup: 2, Target: -0.2, Seed: 4, Variant: variant}
				for form, m := range map[string]models.Model{"v": voltage{models.Rate{N: 5, Gain: 1.5, Leak: alpha}}, "h": models.Rate{N: 5, Gain: 1.5, Leak: alpha}} {
					l := free[float64](t, m, 2, 3, 1)
					_, g := gradient(t, l, noise[float64](0.4), o)
					want := byHand(l, form == "v", alpha, noise[float64](0.4), o)
					if got := mat.NewDense(5, 5, g.Data("W")); !mat.EqualApprox(got, want, 1e-12) {
						t.Errorf("variant %s, %s, leak %g, %d exponents:\n%v\nwant\n%v", variant, form, alpha, k, mat.Formatted(got), mat.Formatted(want))
					}
				}
			}
		}
	}
}

// Of variant a without a leak, ⟨∂L/∂W, W⟩ = (2/K) Σ(λ_i − λ*); not so of the others.
func TestFlossingInvariant(t *testing.T) {
	for name, m := range map[string]models.Model{"h": models.Rate{N: 20, Gain: 1.3}, "v": voltage{models.Rate{N: 20, Gain: 1.3, Leak: 1}}} {
		for _, variant := range []string{"a", "b", "c", "exact"} {
			o := stability.Flossing{K: 5, Horizon: 30, Target: 0.1, Variant: variant}
			l := free[float64](t, m, 1, 5, 2)
			found, g := gradient(t, l, nil, o)
			got, want := kernels.Dot(g.Data("W"), l.Params.Data("W")), 0.0
			for _, v := range found {
				want += 2.0 / 5 * (v - 0.1)
			}
			if d := math.Abs(got - want); (d < 1e-12) != (variant == "a") {
				t.Errorf("%s, variant %s: ⟨G, W⟩ = %.15g, the invariant %.15g", name, variant, got, want)
			}
		}
	}
}

func TestBadFlossing(t *testing.T) {
	l := free[float64](t, models.Rate{N: 5}, 1, 2, 1)
	for want, o := range map[string]stability.Flossing{
		"at most the 5 units, found 6":    {K: 6},
		"expected at least 1, 1 and 0":    {Batch: -1},
		"the 10 steps of warm-up":         {Horizon: 10, Warmup: 10},
		"expected numbers above 0 and 1":  {Runaway: 0.5},
		"expected exact, a, b or c":       {Variant: "d"},
		"target: expected a finite":       {Target: math.NaN()},
		"expected more than the 12 steps": {Horizon: 12},
	} {
		if _, err := stability.FlossingGradient(ctx, l, nil, nil, o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
	update(l, func() { clear(l.Params.Data("W")) })
	if _, err := stability.FlossingGradient(ctx, l, nil, nil, stability.Flossing{}, nil); err == nil || !strings.Contains(err.Error(), "singular") {
		t.Errorf("W = 0: error %v", err)
	}
}

// unnamed is the rate network without named synapses.
type unnamed struct{ models.Rate }

func (m unnamed) Cell(s *models.Scope, z, x *gorgonia.Node) *gorgonia.Node {
	product := s.MatMul(z, s.Param("W"), false, true)
	return s.Tanh(s.Bias("b", s.Add(product, s.Linear("U", x))))
}

func TestCheckFlossing(t *testing.T) {
	for _, variant := range []string{"exact", "a", "b", "c"} {
		l := free[float64](t, unnamed{models.Rate{N: 5}}, 2, 3, 1)
		err := stability.CheckFlossing(l, stability.Flossing{Variant: variant})
		if want := variant == "exact"; want != (err == nil) || err != nil && !strings.Contains(err.Error(), "no recurrent synapses") {
			t.Errorf("%s: %v", variant, err)
		}
		named := free[float64](t, models.Rate{N: 5}, 2, 3, 1)
		if err := stability.CheckFlossing(named, stability.Flossing{Variant: variant}); err != nil {
			t.Errorf("%s: %v", variant, err)
		}
		if err := stability.CheckFlossing(named, stability.Flossing{Variant: variant, K: 6}); err == nil || !strings.Contains(err.Error(), "at most the 5 units") {
			t.Errorf("%s: 6 exponents of 5 units: %v", variant, err)
		}
	}
}
