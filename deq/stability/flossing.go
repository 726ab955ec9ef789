package stability

import (
	"context"
	"fmt"
	"math"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/internal/options"
)

// Flossing are the options of gradient flossing, which moves Lyapunov exponents to a target:
//
//	L = (1/K) Σ_i (λ_i − λ*)²
//
// over the K largest, measured over a short trajectory. Errors that go back through time grow or
// decay by the exponents, so that those near 0 let credit travel far.
//
// Variant says what its gradient is. With Q_t R_t = M_t = J(z_{t−1})Q_{t−1} and the cotangent dQ_t from
// the step behind, c_i = 2(λ_i − λ*)/(KT) and copyltu the symmetric matrix of a lower triangle,
//
//	dM_t = (dQ_t + Q_t[diag c − copyltu(dQ_tᵀQ_t)]) R_t^{−T}
//
// is what J(z_{t−1}) gets from the tangents; from there
//
//   - exact goes on to the parameters, to Q_{t−1} and to z_{t−1}, and from z through all earlier states;
//   - c goes from the states back within each unit only, through its leak, as e-prop does;
//   - b is c with dQ = 0: each step by itself, which is local in time but for the units' own memory;
//   - a gives the parameters on the tangents' way alone their part, with slopes φ′ as they are.
//
// For one exponent, a is pre-synaptic times post-synaptic response to a perturbation times the
// global factor λ − λ*. It knows nothing of saturation: where W grows and φ′ falls with it, it
// drives W on and on. Take few exponents and few steps for it, and heed the guards of a Flosser.
//
// R. Engelken, Gradient Flossing: Improving Gradient Descent through Dynamic Control of
// Jacobians, NeurIPS 2023, arXiv:2312.17306; derivatives of QR after M. Seeger et al., Auto-Differentiating
// Linear Algebra, arXiv:1710.08717.
type Flossing struct {
	K       int     `key:"exponents" default:"1" doc:"exponents that are moved, the largest first" max:"1e5: every exponent has a tangent of its own"`
	Horizon int     `default:"55" doc:"steps of the trajectory, with the warm-up" max:"1e6: every state of the trajectory is kept"`
	Warmup  int     `doc:"steps at its begin that are not measured (default 10 and a tenth of the horizon; −1 is none)" max:"1e6: it is a part of the horizon"`
	Target  float64 `doc:"where the exponents are to go, in nats per step"`
	Variant string  `default:"exact" doc:"gradient: exact, or with parts left out that are not local" choices:"exact,a,b,c"`
	Batch   int     `default:"1" doc:"trajectories per step, each from a random state with random tangents" max:"1e5: every trajectory is kept"`
	Steps   int     `default:"200" doc:"updates at most" max:"1e9: exponents that take longer do not get there"`
	Tol     float64 `default:"0.02" doc:"all is done when the exponents, in the root mean square, are nearer to the target"`
	Runaway float64 `default:"4" doc:"the flossing is given up when the loss has grown to so many times the least one, as a mean over 10 updates, and is above (5·tol)²"`
	Seed    uint64  `key:"-" doc:"of the states and the tangents"`
}

// Validate reports options outside their range.
func (o Flossing) Validate() error {
	o = o.withDefaults()
	switch {
	case o.K < 1 || o.Batch < 1 || o.Steps < 0:
		return fmt.Errorf("exponents, batch and steps: expected at least 1, 1 and 0, found %d, %d and %d", o.K, o.Batch, o.Steps)
	case o.Horizon <= o.Warmup:
		return fmt.Errorf("horizon: expected more than the %d steps of warm-up, found %d", o.Warmup, o.Horizon)
	case !(o.Tol > 0) || !(o.Runaway > 1):
		return fmt.Errorf("tol and runaway: expected numbers above 0 and 1, found %g and %g", o.Tol, o.Runaway)
	case o.Target-o.Target != 0:
		return fmt.Errorf("target: expected a finite number, found %g", o.Target)
	case !slices.Contains([]string{"exact", "a", "b", "c"}, o.Variant):
		return fmt.Errorf("variant: expected exact, a, b or c, found %q", o.Variant)
	}
	return nil
}

func (o Flossing) withDefaults() Flossing {
	o = options.WithDefaults(o)
	if o.Warmup == 0 {
		o.Warmup = 10 + (o.Horizon+9)/10
	}
	return o
}

// measured is the number of steps after the warm-up.
func (o Flossing) measured() int { return o.Horizon - max(0, o.Warmup) }

// CheckFlossing reports why a layer cannot be flossed with those options.
func CheckFlossing[T deq.Float](l *deq.Layer[T], o Flossing) error {
	if err := o.Validate(); err != nil {
		return err
	}
	o = o.withDefaults()
	if o.K > l.Units {
		return fmt.Errorf("exponents: expected at most the %d units, found %d", l.Units, o.K)
	}
	if err := l.CheckTangentVJP(); err != nil {
		return err
	}
	if o.Variant == "exact" {
		return nil
	}
	synapses, err := l.Synapses()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(synapses, func(y deq.Synapse) bool { return y.Pre > 0 && !y.X }) {
		return fmt.Errorf("variant %s: the model names no recurrent synapses, which the gradient could be local to: take exact", o.Variant)
	}
	return nil
}

// Bytes is the memory that the flossing of a cell of so many units takes for a trajectory with its tangents.
func (o Flossing) Bytes(units int) float64 {
	o = o.withDefaults()
	return 8 * float64(o.Horizon) * float64(o.K) * float64(units+o.K)
}

// loss is L of exponents.
func (o Flossing) loss(exponents []float64) (sum float64) {
	for _, v := range exponents {
		sum += (v - o.Target) * (v - o.Target) / float64(len(exponents))
	}
	return sum
}

// FlossingGradient measures the exponents over one trajectory of the options' horizon, from z0 (nil:
// a random state) with random tangents, and adds the gradient of L, by the options' variant and as one of
// Batch, to g, which may be nil. Seed and the indices give the randomness. It holds Horizon·K·(n + K) numbers of n units.
func FlossingGradient[T deq.Float](ctx context.Context, l *deq.Layer[T], drive Drive[T], z0 []T, o Flossing, g deq.Params[T], index ...uint64) ([]float64, error) {
	p, err := floss(ctx, l, drive, z0, o, g, index...)
	if err != nil {
		return nil, err
	}
	return p.exponents, nil
}

func floss[T deq.Float](ctx context.Context, l *deq.Layer[T], drive Drive[T], z0 []T, o Flossing, g deq.Params[T], index ...uint64) (*passage[T], error) {
	if err := CheckFlossing(l, o); err != nil {
		return nil, fmt.Errorf("stability: flossing: %w", err)
	}
	o = o.withDefaults()
	f, err := newFlow(l, drive, z0, o.K, o.Seed, index...)
	if err != nil {
		return nil, err
	}
	p, err := follow(ctx, f, o)
	if err != nil || g == nil {
		return p, err
	}
	return p, back(ctx, f, p, o, g)
}

// passage is a trajectory with its tangents.
type passage[T deq.Float] struct {
	x, z      [][]T       // at the begin of each step
	q         [][]float64 // at the begin of each step, and at the end [k, n]
	r         [][]float64 // of each step [k, k]
	exponents []float64
}

// follow runs the trajectory.
func follow[T deq.Float](ctx context.Context, f *flow[T], o Flossing) (*passage[T], error) {
	p := &passage[T]{exponents: make([]float64, f.k)}
	lost := -1
	for t := range o.Horizon {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stability: flossing: %w", err)
		}
		p.z, p.q = append(p.z, slices.Clone(f.z)), append(p.q, slices.Clone(f.q))
		if err := f.push(); err != nil {
			return nil, err
		}
		f.orthonormalise(func(i int) { lost = i })
		if lost >= 0 {
			return nil, fmt.Errorf("stability: flossing: step %d: J is singular to rounding on the first %d directions: ask for fewer exponents", t, lost+1)
		}
		p.x, p.r = append(p.x, slices.Clone(f.x)), append(p.r, slices.Clone(f.r))
		if t < o.Warmup {
			continue
		}
		for i := range p.exponents {
			p.exponents[i] += math.Log(f.r[i*f.k+i]) / float64(o.measured())
		}
	}
	p.q = append(p.q, slices.Clone(f.q))
	return p, nil
}

// back adds the gradient of L to g.
func back[T deq.Float](ctx context.Context, f *flow[T], p *passage[T], o Flossing, g deq.Params[T]) error {
	credit, chain := deq.AllCredit, true
	switch o.Variant {
	case "a":
		credit, chain = deq.FrozenCredit, false
	case "b":
		credit, chain = deq.CutCredit, false
	case "c":
		credit = deq.CutCredit
	}
	k, n := f.k, f.n
	c := make([]float64, k)
	for i, v := range p.exponents {
		c[i] = 2 * (v - o.Target) / float64(k*o.measured()*o.Batch)
	}
	dq, dz := make([]float64, k*n), make([]float64, n)
	s := make([]float64, k*k)
	for t := o.Horizon - 1; t >= 0; t-- {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stability: flossing: %w", err)
		}
		if chain {
			kernels.Gemm(false, true, k, k, n, dq, n, p.q[t+1], n, 0, s, k)
			for i := range k {
				for j := range i + 1 {
					s[i*k+j] *= -1
					s[j*k+i] = s[i*k+j]
				}
			}
		} else {
			clear(s)
			clear(dq)
		}
		if t >= o.Warmup {
			for i := range k {
				s[i*k+i] += c[i]
			}
		}
		kernels.Gemm(false, false, k, n, k, s, k, p.q[t+1], n, 1, dq, n)
		for i := k - 1; i >= 0; i-- { // R dM = that
			row := dq[i*n : (i+1)*n]
			if i < k-1 {
				kernels.Scale(s[:k-1-i], -1, p.r[t][i*k+i+1:(i+1)*k])
				kernels.Axpys(s[:k-1-i], dq[(i+1)*n:], n, row)
			}
			kernels.Scale(row, 1/p.r[t][i*k+i], row)
		}
		if err := f.pull(p.x[t], p.z[t], p.q[t], credit, dq, dz, g); err != nil {
			return err
		}
	}
	return nil
}

// pull goes back over push: dq [k, n] holds the cotangents of the products with J and then of the
// tangents q, dz that of the state after the step and then before it.
func (f *flow[T]) pull(x, z []T, q []float64, credit deq.Credit, dq, dz []float64, g deq.Params[T]) error {
	here, err := f.layer.At(x, z)
	if err != nil {
		return err
	}
	if err := here.Next(f.next); err != nil { // which the derivatives make use of
		return err
	}
	size := min(f.k, f.layer.Batch()) * f.n
	a, dv, da := make([]T, size), make([]T, size), make([]T, size)
	for i, v := range dz {
		a[i] = T(v) // once, in the first row
	}
	clear(dz)
	for first := 0; first < len(q); first += size {
		m := min(size, len(q)-first)
		same, err := here.Repeat(0, m/f.n)
		if err != nil {
			return err
		}
		for i := range m {
			f.v[i], f.jv[i] = T(q[first+i]), T(dq[first+i])
		}
		if err := same.TangentVJP(f.v[:m], f.jv[:m], a[:m], credit, dv[:m], da[:m], g); err != nil {
			return err
		}
		for i := range m {
			dq[first+i] = float64(dv[i])
			dz[i%f.n] += float64(da[i])
		}
		clear(a)
	}
	return nil
}
