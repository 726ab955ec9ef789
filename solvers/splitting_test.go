package solvers_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"attractor/solvers"
)

// monotone is z = φ(Wz + c) with W = (1 − m)I − AᵀA + B − Bᵀ, and its adjoint.
type monotone struct {
	n      int
	w      *mat.Dense
	c      []float64 // [batch, n]
	phi    func(t float64) (value, slope float64)
	naive  bool // φ for prox^α
	solves map[float64]*mat.Dense
}

func newMonotone(batch, n int, m float64, phi func(float64) (float64, float64)) *monotone {
	r := rand.New(rand.NewPCG(7, 7))
	normal := func(k int, scale float64) []float64 {
		x := make([]float64, k)
		for i := range x {
			x[i] = scale * r.NormFloat64()
		}
		return x
	}
	a, b := mat.NewDense(n, n, normal(n*n, 0.5/math.Sqrt(float64(n)))), mat.NewDense(n, n, normal(n*n, 0.5/math.Sqrt(float64(n))))
	w := mat.NewDense(n, n, nil)
	w.Mul(a.T(), a)
	w.Scale(-1, w)
	w.Add(w, b)
	w.Sub(w, b.T())
	for i := range n {
		w.Set(i, i, w.At(i, i)+1-m)
	}
	return &monotone{n: n, w: w, c: normal(batch*n, 1), phi: phi, solves: map[float64]*mat.Dense{}}
}

func (p *monotone) product(w mat.Matrix, v, out []float64) {
	mat.NewVecDense(p.n, out).MulVec(w, mat.NewVecDense(p.n, v))
}

func (p *monotone) Affine(rows []int, z, out []float64) error {
	for i, b := range rows {
		p.product(p.w, z[i*p.n:(i+1)*p.n], out[i*p.n:(i+1)*p.n])
		for j := range p.n {
			out[i*p.n+j] += p.c[b*p.n+j]
		}
	}
	return nil
}

func (p *monotone) Resolvent(alpha float64, rows []int, v, out []float64) error {
	if p.solves[alpha] == nil {
		m := mat.NewDense(p.n, p.n, nil)
		m.Scale(-alpha, p.w)
		for i := range p.n {
			m.Set(i, i, m.At(i, i)+1+alpha)
		}
		if err := m.Inverse(m); err != nil {
			return err
		}
		p.solves[alpha] = m
	}
	x := make([]float64, p.n)
	for i, b := range rows {
		for j := range x {
			x[j] = v[i*p.n+j] + alpha*p.c[b*p.n+j]
		}
		p.product(p.solves[alpha], x, out[i*p.n:(i+1)*p.n])
	}
	return nil
}

func (p *monotone) Prox(alpha float64, _ []int, v, out []float64) {
	if p.naive {
		alpha = 1
	}
	for i, x := range v {
		out[i] = solvers.Prox(alpha, x, p.phi)
	}
}

func relu(t float64) (float64, float64) {
	if t > 0 {
		return t, 1
	}
	return 0, 0
}

func tanh(t float64) (float64, float64) {
	p := math.Tanh(t)
	return p, 1 - p*p
}

func TestSplitting(t *testing.T) {
	const batch, n = 3, 20
	for _, e := range solvers.Splittings[float64]().Entries() {
		for name, phi := range map[string]func(float64) (float64, float64){"relu": relu, "tanh": tanh} {
			t.Run(e.Name+"/"+name, func(t *testing.T) {
				m := newMonotone(batch, n, 0.3, phi)
				p := solvers.Split(batch, n, m)
				z := make([]float64, batch*n)
				v, err := solvers.New(e.Value, batch, n, solvers.Settings{MaxEvals: 2000})
				if err != nil {
					t.Fatal(err)
				}
				rep, err := v.Solve(context.Background(), p, z)
				if err != nil || rep.Err() != nil {
					t.Fatal(err, rep.Err())
				}
				t.Log(rep.Evals)
				// the oracle
				want := make([]float64, batch*n)
				p.Splitting = nil
				if rep, err := solvers.Solve(context.Background(), p, want, solvers.Newton[float64]{}, solvers.Settings{MaxEvals: 2000}); err != nil || rep.Err() != nil {
					t.Fatal(err, rep.Err())
				}
				for i := range z {
					if !(math.Abs(z[i]-want[i]) <= 1e-6) {
						t.Fatalf("z[%d]: expected %v, found %v", i, want[i], z[i])
					}
				}
				// without a splitting it says so
				if _, err := v.Solve(context.Background(), p, make([]float64, batch*n)); !errors.Is(err, solvers.ErrNoSplitting) {
					t.Errorf("expected ErrNoSplitting, found %v", err)
				}
			})
		}
	}
}

// A sample that is not finite, one that has no fixed point, a cancelled context and a broken callback end as they
// do with other methods; the other samples of the batch do not notice, evaluations are counted, and the memory
// is used again.
func TestSplittingDrills(t *testing.T) {
	const batch, n = 3, 8
	for _, e := range solvers.Splittings[float64]().Entries() {
		t.Run(e.Name, func(t *testing.T) {
			m := newMonotone(batch, n, 0.3, relu)
			p := solvers.Split(batch, n, m)
			v, err := solvers.New(e.Value, batch, n, solvers.Settings{MaxEvals: 2000})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, batch*n)
			rep, err := v.Solve(context.Background(), p, want)
			if err != nil || rep.Err() != nil {
				t.Fatal(err, rep.Err())
			}
			evals := slices.Clone(rep.Evals)
			c := m.c[n]
			m.c[n] = math.NaN() // of sample 1
			z := make([]float64, batch*n)
			rep, err = v.Solve(context.Background(), p, z)
			if err != nil || rep.Status[1] != solvers.NonFinite || rep.Failed() != 1 {
				t.Errorf("with NaN in sample 1: %v, %v", rep.Status, err)
			}
			for b := range batch {
				if own := slices.Equal(z[b*n:(b+1)*n], want[b*n:(b+1)*n]); own != (b != 1) || b != 1 && rep.Evals[b] != evals[b] {
					t.Errorf("with NaN in sample 1: sample %d after %d evaluations, alone %d; the same state: %v", b, rep.Evals[b], evals[b], own)
				}
			}
			m.c[n] = c

			// z = relu(z + 1) has no fixed point
			none := newMonotone(1, n, 0.3, relu)
			for i := range n {
				for j := range n {
					none.w.Set(i, j, 0)
				}
				none.w.Set(i, i, 1)
				none.c[i] = 1
			}
			rep, err = solvers.Solve(context.Background(), solvers.Split(1, n, none), make([]float64, n), e.Value, solvers.Settings{})
			var failed *solvers.ConvergenceError
			if err != nil || !errors.As(rep.Err(), &failed) {
				t.Errorf("without a fixed point: %v, %v", rep.Err(), err)
			}

			ctx, cancel := context.WithCancel(context.Background())
			cancelling := p
			cancelling.F = func(rows []int, z, fz []float64) error {
				cancel()
				return p.F(rows, z, fz)
			}
			rep, err = v.Solve(ctx, cancelling, make([]float64, batch*n))
			if !errors.Is(err, context.Canceled) || rep.Status[0] != solvers.Unfinished {
				t.Errorf("cancelled: %v, %v", rep.Status, err)
			}
			broken := errors.New("broken")
			failing := solvers.Split(batch, n, &breaking{m, broken})
			if _, err := v.Solve(context.Background(), failing, make([]float64, batch*n)); !errors.Is(err, broken) {
				t.Errorf("a callback that fails: %v", err)
			}
			z = make([]float64, batch*n)
			if rep, err := v.Solve(context.Background(), p, z); err != nil || !slices.Equal(z, want) || !slices.Equal(rep.Evals, evals) {
				t.Errorf("a solve on used memory differs: %v", err)
			}
		})
	}
}

// breaking is a splitting whose products fail from the second on.
type breaking struct {
	*monotone
	err error
}

func (b *breaking) Affine(rows []int, z, out []float64) error {
	if z[0] != 0 {
		return b.err
	}
	return b.monotone.Affine(rows, z, out)
}

// With φ for prox^α the splittings converge to a wrong point, and that must not pass.
func TestSplittingNeedsProx(t *testing.T) {
	for _, e := range solvers.Splittings[float64]().Entries() {
		m := newMonotone(1, 20, 0.3, tanh)
		m.naive = true
		method := e.Value
		if _, ok := method.(solvers.PeacemanRachford[float64]); ok {
			method = solvers.PeacemanRachford[float64]{Alpha: 0.5} // at α = 1 prox is φ
		}
		rep, err := solvers.Solve(context.Background(), solvers.Split(1, 20, m), make([]float64, 20), method, solvers.Settings{MaxEvals: 2000})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Failed() == 0 || rep.Residual[0] < 1e-3 {
			t.Errorf("%s: expected a residual that stays, found %v", e.Name, rep.Residual[0])
		}
	}
}

// adjoint is the equilibrium u = j·Wᵀu + jℓ of the gradient.
type adjoint struct {
	monotone
	j, l []float64
}

func (p *adjoint) Prox(alpha float64, rows []int, x, out []float64) {
	for i := range x {
		k := rows[i/p.n]*p.n + i%p.n
		j := p.j[k]
		if j == 0 {
			out[i] = 0
			continue
		}
		d := (1 - j) / j
		out[i] = (x[i] + alpha*(1+d)*j*p.l[k]) / (1 + alpha*d)
	}
}

func TestSplittingAdjoint(t *testing.T) {
	const n = 12
	r := rand.New(rand.NewPCG(3, 3))
	m := newMonotone(1, n, 0.3, relu)
	a := &adjoint{monotone: *m, j: make([]float64, n), l: make([]float64, n)}
	a.w, a.c, a.solves = mat.DenseCopyOf(m.w.T()), make([]float64, n), map[float64]*mat.Dense{}
	for i := range n {
		a.j[i], a.l[i] = max(0, r.Float64()-0.2), r.NormFloat64()
	}
	for _, e := range solvers.Splittings[float64]().Entries() {
		u := make([]float64, n)
		rep, err := solvers.Solve(context.Background(), solvers.Split(1, n, a), u, e.Value, solvers.Settings{MaxEvals: 2000})
		if err != nil || rep.Err() != nil {
			t.Fatal(e.Name, err, rep.Err())
		}
		// (I − WᵀG)(ℓ + Wᵀu) = ℓ with G = diag(j)
		y := make([]float64, n)
		a.product(a.w, u, y)
		gy, wgy := make([]float64, n), make([]float64, n)
		for i := range n {
			y[i] += a.l[i]
			gy[i] = a.j[i] * y[i]
		}
		a.product(a.w, gy, wgy)
		for i := range n {
			if off := y[i] - wgy[i] - a.l[i]; !(math.Abs(off) <= 1e-6) {
				t.Fatalf("%s: adjoint equation off by %g", e.Name, off)
			}
		}
	}
}

func TestProx(t *testing.T) {
	for _, alpha := range []float64{0.01, 0.5, 1, 3, 50} {
		for _, v := range []float64{-400, -1, -1e-9, 0, 0.3, 2, 700} {
			p := solvers.Prox(alpha, v, tanh)
			if math.Abs(p) < 1-1e-9 {
				if off := p + alpha*(math.Atanh(p)-p) - v; !(math.Abs(off) <= 1e-6*(1+math.Abs(v))) {
					t.Errorf("tanh, α = %g, v = %g: off by %g", alpha, v, off)
				}
			}
			if p, want := solvers.Prox(alpha, v, relu), max(0, v); !(math.Abs(p-want) <= 1e-12*math.Abs(v)) {
				t.Errorf("relu, α = %g, v = %g: expected %g, found %g", alpha, v, want, p)
			}
		}
	}
}
