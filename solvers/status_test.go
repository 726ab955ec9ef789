package solvers_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"attractor/solvers"
)

// netMap is z ← s·φ(A z/s + b) with A = Q diag(λ) Qᵀ, for one of φ = identity, tanh and relu, which contract no less
// than A.
type netMap[T solvers.Float] struct {
	n     int
	phi   string
	scale float64
	a, b  []float64
	q, l  []float64 // the eigenvectors, by columns, and eigenvalues
}

// newNetMap draws a map of n units whose eigenvalues are within ±rate, with rate among them. With drift the first is 1,
// and b has 1.5 along its eigenvector, so that the identity, and relu where Q is, have no fixed point.
func newNetMap[T solvers.Float](r *rand.Rand, n int, phi string, scale, rate float64, drift bool) netMap[T] {
	m := netMap[T]{n: n, phi: phi, scale: scale, a: make([]float64, n*n), b: make([]float64, n), l: make([]float64, n)}
	m.q = orthogonal(r, n)
	if phi == "relu" {
		clear(m.q)
		for i := range n {
			m.q[i*n+i] = 1
		}
	}
	for i := range n {
		m.l[i] = rate * (2*r.Float64() - 1)
		m.b[i] = r.NormFloat64()
	}
	m.l[0] = rate
	if drift {
		m.l[0] = 1
		along := -1.5
		for i := range n {
			along += m.b[i] * m.q[i*n]
		}
		for i := range n {
			m.b[i] -= along * m.q[i*n]
		}
	}
	for i := range n {
		for j := range n {
			for k := range n {
				m.a[i*n+j] += m.q[i*n+k] * m.l[k] * m.q[j*n+k]
			}
		}
	}
	return m
}

// orthogonal is a random orthogonal matrix [n, n], by Gram and Schmidt.
func orthogonal(r *rand.Rand, n int) []float64 {
	q := make([]float64, n*n)
	for j := range n {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		for range 2 {
			for k := range j {
				d := 0.0
				for i := range n {
					d += v[i] * q[i*n+k]
				}
				for i := range n {
					v[i] -= d * q[i*n+k]
				}
			}
		}
		size := math.Sqrt(inner(v, v))
		for i := range n {
			q[i*n+j] = v[i] / size
		}
	}
	return q
}

func (m netMap[T]) apply(z, fz []T) {
	for i := range m.n {
		x := m.b[i]
		for j, v := range z {
			x += m.a[i*m.n+j] * (float64(v) / m.scale)
		}
		switch m.phi {
		case "tanh":
			x = math.Tanh(x)
		case "relu":
			x = max(x, 0)
		}
		fz[i] = T(m.scale * x)
	}
}

// problem is the map as a problem of one sample, with its products.
func (m netMap[T]) problem() solvers.Problem[T] {
	slope := make([]float64, m.n)
	return solvers.Problem[T]{
		Batch: 1, Dim: m.n,
		F: func(_ []int, z, fz []T) error { m.apply(z, fz); return nil },
		Linearise: func(_ []int, z []T) error {
			fz := make([]T, m.n)
			m.apply(z, fz)
			for i, f := range fz {
				y := float64(f) / m.scale
				slope[i] = 1
				if m.phi == "tanh" {
					slope[i] = 1 - y*y
				} else if m.phi == "relu" && y == 0 {
					slope[i] = 0
				}
			}
			return nil
		},
		JVP: func(_ []int, v, jv []T) error {
			for i := range m.n {
				x := 0.0
				for j, d := range v {
					x += m.a[i*m.n+j] * float64(d)
				}
				jv[i] = T(slope[i] * x)
			}
			return nil
		},
	}
}

// residual returns ‖f(z) − z‖ and ‖f(z)‖.
func (m netMap[T]) residual(z []T) (g, f float64) {
	fz := make([]T, m.n)
	m.apply(z, fz)
	for i, v := range fz {
		g, f = math.Hypot(g, float64(v)-float64(z[i])), math.Hypot(f, float64(v))
	}
	return g, f
}

// fixedPoint is (I − A)⁻¹ b·scale, of the identity.
func (m netMap[T]) fixedPoint() []float64 {
	z := make([]float64, m.n)
	for k := range m.n {
		along := 0.0
		for i := range m.n {
			along += m.q[i*m.n+k] * m.b[i]
		}
		for i := range m.n {
			z[i] += m.scale * along / (1 - m.l[k]) * m.q[i*m.n+k]
		}
	}
	return z
}

func size[T solvers.Float](z []T) float64 {
	s := 0.0
	for _, v := range z {
		s = math.Hypot(s, float64(v))
	}
	return s
}

// Whatever the map, the state at first and the method: a solve that says converged is at a fixed point, by its residual
// relative to the state and to the drive, and what it returns is the state whose residual it reports.
func TestStatusProperty(t *testing.T) {
	t.Run("float64", func(t *testing.T) { statusProperty[float64](t, 1e-8, 0x1p-52) })
	t.Run("float32", func(t *testing.T) { statusProperty[float32](t, 1e-4, 0x1p-23) })
}

func statusProperty[T solvers.Float](t *testing.T, rtol, eps float64) {
	entries := solvers.Catalog[T]().Entries()
	linear := solvers.Linear[T]().Entries()
	// Beyond these the drift of 1.5 is within the tolerance for the initial state.
	starts := []float64{0, 1, 100, 0.01 / rtol}
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		n := rapid.IntRange(1, 8).Draw(t, "n")
		phi := rapid.SampledFrom([]string{"identity", "tanh", "relu"}).Draw(t, "phi")
		scale := math.Pow(10, rapid.Float64Range(-12, 12).Draw(t, "scale"))
		rate := rapid.SampledFrom([]float64{0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}).Draw(t, "rate")
		drift := rapid.Bool().Draw(t, "drift")
		products := rapid.Bool().Draw(t, "products")
		all := entries
		if phi == "identity" {
			all = append(all[:len(all):len(all)], linear...)
		}
		e := rapid.SampledFrom(all).Draw(t, "method")
		m := newNetMap[T](r, n, phi, scale, rate, drift)
		p := m.problem()
		if !products {
			p.Linearise, p.JVP = nil, nil
		}
		z := make([]T, n)
		for i := range z {
			z[i] = T(scale * rapid.SampledFrom(starts).Draw(t, "start") * r.NormFloat64())
		}
		start := size(z)
		s := solvers.Settings{MaxEvals: rapid.SampledFrom([]int{0, 30, 3000}).Draw(t, "evaluations")}
		rep, err := solvers.Solve(context.Background(), p, z, e.Value, s)
		if err != nil {
			t.Fatal(err)
		}
		if s.MaxEvals > 0 && rep.Evals[0] > s.MaxEvals {
			t.Fatalf("%s: %d evaluations of %d", e.Name, rep.Evals[0], s.MaxEvals)
		}
		g, f := m.residual(z)
		if rep.Status[0] == solvers.Unfinished || g-g != 0 {
			t.Fatalf("%s: %v with a residual of %g", e.Name, rep.Status[0], g)
		}
		if want := g / f; f > 0 && !(math.Abs(rep.Residual[0]-want) <= 1e-3*want+eps) {
			t.Fatalf("%s: %v: residual %g reported, %g at the state", e.Name, rep.Status[0], rep.Residual[0], want)
		}
		if rep.Status[0] != solvers.Converged {
			return
		}
		if drift && phi != "tanh" {
			t.Fatalf("%s: no fixed point, yet converged after %d evaluations with ‖g‖ = %g at ‖f‖ = %g", e.Name, rep.Evals[0], g, f)
		}
		if !(g <= rtol*f*(1+1e-6)) {
			t.Fatalf("%s: converged with ‖g‖ = %g at ‖f‖ = %g", e.Name, g, f)
		}
		drive := scale*math.Sqrt(inner(m.b, m.b)) + start
		if !(g <= 10*math.Sqrt(math.Sqrt(eps))*drive) {
			t.Fatalf("%s: converged with ‖g‖ = %g, of a drive of %g", e.Name, g, drive)
		}
		if phi == "identity" {
			want, off := m.fixedPoint(), 0.0
			for i, v := range want {
				off = math.Hypot(off, float64(z[i])-v)
			}
			if bound := (g + 20*eps*f) / (1 - rate); !(off <= 1.01*bound) {
				t.Fatalf("%s: converged at a distance of %g, of at most %g by the residual", e.Name, off, bound)
			}
		}
	})
}

// Fixed points at 0 are found, in batches, of maps that shrink to it, and of linear systems without right-hand side.
func TestFixedPointAtZero(t *testing.T) {
	t.Run("float64", fixedPointAtZero[float64])
	t.Run("float32", fixedPointAtZero[float32])
}

func fixedPointAtZero[T solvers.Float](t *testing.T) {
	entries := solvers.Catalog[T]().Entries()
	nonlinear := len(entries)
	entries = append(entries, solvers.Linear[T]().Entries()...)
	for i, e := range entries {
		for _, phi := range []string{"identity", "tanh", "relu"} {
			if i >= nonlinear && phi != "identity" {
				continue
			}
			const n, samples = 6, 3
			m := newNetMap[T](rand.New(rand.NewPCG(7, 0)), n, phi, 1, 0.7, false)
			clear(m.b)
			one := m.problem()
			p := one
			p.Batch = samples
			p.F = func(rows []int, z, fz []T) error {
				for i := range rows {
					m.apply(z[i*n:(i+1)*n], fz[i*n:(i+1)*n])
				}
				return nil
			}
			p.Linearise, p.JVP = nil, nil
			if i >= nonlinear {
				p.JVP = p.F // without a right-hand side
			}
			z := make([]T, samples*n)
			for i := range z {
				z[i] = T(math.Pow(1e-3, float64(i/n)) * (1 + 0.1*float64(i%n)))
			}
			rep, err := solvers.Solve(context.Background(), p, z, e.Value, solvers.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			if rep.Err() != nil || size(z) != 0 || rep.Residual[0] != 0 {
				t.Errorf("%s, %s: %v, ‖z‖ = %g, residuals %g", e.Name, phi, rep.Err(), size(z), rep.Residual)
			}
		}
	}
}

// What theory promises is found, at any scale and rate: by Picard's iteration on contractions, by Newton's method and the
// linear ones on affine maps.
func TestFoundProperty(t *testing.T) {
	t.Run("float64", foundProperty[float64])
	t.Run("float32", foundProperty[float32])
}

func foundProperty[T solvers.Float](t *testing.T) {
	affine := []solvers.Method[T]{solvers.Newton[T]{}, solvers.NewtonGMRES[T]{}, solvers.LU[T]{}, solvers.GMRES[T]{}}
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		n := rapid.IntRange(1, 5).Draw(t, "n")
		phi := rapid.SampledFrom([]string{"identity", "tanh", "relu"}).Draw(t, "phi")
		scale := math.Pow(10, rapid.Float64Range(-12, 12).Draw(t, "scale"))
		rate := rapid.SampledFrom([]float64{0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}).Draw(t, "rate")
		start := rapid.SampledFrom([]float64{0, 1, 100}).Draw(t, "start")
		m := newNetMap[T](r, n, phi, scale, rate, false)
		if rapid.Bool().Draw(t, "at zero") {
			clear(m.b)
		}
		var method solvers.Method[T] = solvers.Picard[T]{}
		if phi == "identity" && rapid.Bool().Draw(t, "affine") {
			method = rapid.SampledFrom(affine).Draw(t, "method")
		}
		z := make([]T, n)
		for i := range z {
			z[i] = T(scale * start * r.NormFloat64())
		}
		rep, err := solvers.Solve(context.Background(), m.problem(), z, method, solvers.Settings{MaxEvals: 1000000})
		if err != nil || rep.Err() != nil {
			g, f := m.residual(z)
			t.Fatalf("%T: %v, %v: ‖g‖ = %g at ‖f‖ = %g", method, err, rep.Err(), g, f)
		}
	})
}

// Samples of very different scale in one batch are each solved as if alone.
func TestScalesInOneBatch(t *testing.T) {
	t.Run("float64", scalesInOneBatch[float64])
	t.Run("float32", scalesInOneBatch[float32])
}

func scalesInOneBatch[T solvers.Float](t *testing.T) {
	const n = 5
	scales := []float64{1, 1e-12, 1e12, 1e-33, 1e30}
	if _, ok := any(T(0)).(float64); ok {
		scales[3], scales[4] = 1e-200, 1e200
	}
	for _, e := range solvers.Catalog[T]().Entries() {
		for _, phi := range []string{"identity", "tanh", "relu"} {
			for _, products := range []bool{true, false} {
				var maps []netMap[T]
				var one []solvers.Problem[T]
				for _, scale := range scales {
					m := newNetMap[T](rand.New(rand.NewPCG(3, 0)), n, phi, scale, 0.8, false)
					maps, one = append(maps, m), append(one, m.problem())
				}
				each := func(call func(b int, in, out []T) error) func(rows []int, in, out []T) error {
					return func(rows []int, in, out []T) error {
						for i, b := range rows {
							if err := call(b, in[i*n:(i+1)*n], out[i*n:(i+1)*n]); err != nil {
								return err
							}
						}
						return nil
					}
				}
				p := solvers.Problem[T]{Batch: len(scales), Dim: n, F: each(func(b int, z, fz []T) error { return one[b].F(nil, z, fz) })}
				if products {
					p.JVP = each(func(b int, v, jv []T) error { return one[b].JVP(nil, v, jv) })
					p.Linearise = func(rows []int, z []T) error {
						return each(func(b int, z, _ []T) error { return one[b].Linearise(nil, z) })(rows, z, z)
					}
				}
				z, rep := solve(t, p, e.Value, solvers.Settings{})
				for b, m := range maps {
					alone, r := solve(t, m.problem(), e.Value, solvers.Settings{})
					if products && (r.Evals[0] != rep.Evals[b] || size(alone) != size(z[b*n:(b+1)*n])) {
						t.Errorf("%s, %s: scale %g: ‖z‖ = %g after %d evaluations, alone %g after %d", e.Name, phi, m.scale, size(z[b*n:(b+1)*n]), rep.Evals[b], size(alone), r.Evals[0])
					}
					if rep.Status[b] != solvers.Converged {
						t.Errorf("%s, %s, products %v: scale %g: %v (%v) after %d evaluations", e.Name, phi, products, m.scale, rep.Status[b], rep.Breakdown[b], rep.Evals[b])
					}
				}
			}
		}
	}
}

// A contraction of rate 0.9999 takes 92,101 steps of Picard's from 0, which do not count as stalled; a cycle does.
func TestSteadyIsNotStalled(t *testing.T) {
	slow := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
		fz[0] = 0.9999*z[0] + 1
		return nil
	}}
	z, rep := solve(t, slow, solvers.Picard[float64]{}, solvers.Settings{MaxEvals: 1000000})
	if rep.Err() != nil || rep.Evals[0] != 92101 || !(math.Abs(z[0]-9999) <= 1e-3) {
		t.Errorf("z → 0.9999z + 1: %v, z = %g after %d evaluations", rep.Err(), z[0], rep.Evals[0])
	}
	_, rep = solve(t, slow, solvers.Picard[float64]{}, solvers.Settings{})
	if rep.Status[0] != solvers.MaxEvals {
		t.Errorf("z → 0.9999z + 1 in 200 evaluations: expected %v, found %v", solvers.MaxEvals, rep.Status[0])
	}
	narrow := solvers.Problem[float32]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float32) error {
		fz[0] = 0.9999*z[0] + 1
		return nil
	}}
	w, wide := solve(t, narrow, solvers.Picard[float32]{}, solvers.Settings{MaxEvals: 1000000})
	if wide.Err() != nil || !(math.Abs(float64(w[0])-1e4) <= 300) {
		t.Errorf("z → 0.9999z + 1 in float32: %v, z = %g", wide.Err(), w[0])
	}
	turn := solvers.Problem[float64]{Batch: 1, Dim: 2, F: func(_ []int, z, fz []float64) error {
		fz[0], fz[1] = -math.Tanh(3*z[1]), math.Tanh(3*z[0])
		return nil
	}}
	z = []float64{0.5, 0.1}
	rep, err := solvers.Solve(context.Background(), turn, z, solvers.Picard[float64]{}, solvers.Settings{MaxEvals: 1000000})
	if err != nil || rep.Status[0] != solvers.Stalled || rep.Evals[0] > 120 {
		t.Errorf("a cycle: expected %v, found %v after %d evaluations, %v", solvers.Stalled, rep.Status[0], rep.Evals[0], err)
	}
}

// Large fixed points are converged, and what runs away is diverged, by every solver.
func TestLargeStates(t *testing.T) {
	for _, e := range solvers.Catalog[float64]().Entries() {
		for _, scale := range []float64{1e-12, 1, 1e12} {
			p := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
				fz[0] = z[0]/2 + scale
				return nil
			}}
			z, rep := solve(t, p, e.Value, solvers.Settings{})
			if rep.Err() != nil || !(math.Abs(z[0]-2*scale) <= 1e-7*scale) {
				t.Errorf("%s: z → z/2 + %g: %v, z = %g", e.Name, scale, rep.Err(), z[0])
			}
		}
		for seed := range uint64(5) {
			for _, n := range []int{1, 6} {
				m := newNetMap[float64](rand.New(rand.NewPCG(seed, 1)), n, "identity", 1, 0.9, true)
				for _, evals := range []int{0, 1000} {
					z, rep := solve(t, m.problem(), e.Value, solvers.Settings{MaxEvals: evals})
					if rep.Status[0] == solvers.Converged {
						t.Errorf("%s: no fixed point, yet converged at ‖z‖ = %g", e.Name, size(z))
					}
					if e.Name == "picard" && evals == 0 && rep.Status[0] != solvers.Diverged {
						t.Errorf("%s: expected %v, found %v after %d evaluations", e.Name, solvers.Diverged, rep.Status[0], rep.Evals[0])
					}
				}
			}
		}
	}
}

// Squares that are no numbers of the range are no residual of 0.
func TestExtremeScales(t *testing.T) {
	for _, scale := range []float64{1e-200, 1e200} {
		shift := solvers.Problem[float64]{Batch: 1, Dim: 2, F: func(_ []int, z, fz []float64) error {
			fz[0], fz[1] = z[0]+scale, z[1]/2
			return nil
		}}
		if _, rep := solve(t, shift, solvers.Picard[float64]{}, solvers.Settings{}); rep.Status[0] == solvers.Converged {
			t.Errorf("z → z + %g: converged", scale)
		}
		half := solvers.Problem[float64]{Batch: 1, Dim: 2, F: func(_ []int, z, fz []float64) error {
			fz[0], fz[1] = z[0]/2+scale, z[1]/2+scale
			return nil
		}}
		if z, rep := solve(t, half, solvers.Picard[float64]{}, solvers.Settings{}); rep.Err() != nil || !(math.Abs(z[0]/scale-2) <= 1e-7) {
			t.Errorf("z → z/2 + %g: %v, z = %g", scale, rep.Err(), z)
		}
	}
}

// Whether I − J is singular does not depend on the units of the components, nor does the solution.
func TestNewtonUnits(t *testing.T) {
	const n = 4
	for seed := range uint64(20) {
		for _, singular := range []bool{false, true} {
			r := rand.New(rand.NewPCG(seed, 2))
			m := newNetMap[float64](r, n, "identity", 1, 0.9, false)
			if singular { // I − A is of whole numbers, its last row the sum of the first two
				for i := range n {
					for j := range n {
						m.a[i*n+j] = float64(r.IntN(7) - 3)
						if i == n-1 {
							m.a[i*n+j] = m.a[j] + m.a[n+j]
						}
					}
				}
				for i := range m.a {
					m.a[i] = -m.a[i]
					if i%(n+1) == 0 {
						m.a[i]++
					}
				}
			}
			unit := make([]float64, n)
			for i := range unit {
				unit[i] = math.Pow(10, 24*r.Float64()-12)
			}
			p := solvers.Problem[float64]{Batch: 1, Dim: n}
			times := func(v, out []float64, b []float64) {
				for i := range out {
					out[i] = b[i]
					for j, x := range v {
						out[i] += m.a[i*n+j] * (x / unit[j])
					}
					out[i] *= unit[i]
				}
			}
			p.F = func(_ []int, z, fz []float64) error { times(z, fz, m.b); return nil }
			p.JVP = func(_ []int, v, jv []float64) error { times(v, jv, make([]float64, n)); return nil }
			for _, method := range []solvers.Method[float64]{solvers.Newton[float64]{}, solvers.LU[float64]{}} {
				z, rep := solve(t, p, method, solvers.Settings{})
				if got := rep.Breakdown[0] == solvers.Singular; got != singular {
					t.Errorf("seed %d, %T: singular %v, expected %v: %v", seed, method, got, singular, rep.Status[0])
				}
				if singular {
					continue
				}
				for i, want := range m.fixedPoint() {
					if off := math.Abs(z[i]/unit[i] - want); !(off < 1e-9*(1+math.Abs(want))) {
						t.Errorf("seed %d, %T: component %d of unit %g: %g, want %g", seed, method, i, unit[i], z[i]/unit[i], want)
					}
				}
			}
		}
	}
}

// A residual that leaps once, as into the saturation of a bounded cell or along units of very different scale, comes back:
// only one that goes on rising has diverged.
func TestLeapsAreNotDivergence(t *testing.T) {
	flat := solvers.Problem[float64]{Batch: 1, Dim: 1, F: func(_ []int, z, fz []float64) error {
		fz[0] = math.Tanh(0.9999*z[0] + 1e-3)
		return nil
	}}
	for name, m := range map[string]solvers.Method[float64]{
		"picard": solvers.Picard[float64]{}, "anderson": solvers.Anderson[float64]{}, "broyden": solvers.Broyden[float64]{}, "auto": solvers.Auto[float64]{},
	} {
		z, rep := solve(t, flat, m, solvers.Settings{MaxEvals: 10000})
		if rep.Status[0] == solvers.Diverged || name == "picard" && rep.Status[0] != solvers.Converged ||
			rep.Status[0] == solvers.Converged && !(math.Abs(z[0]-0.142944) <= 1e-5) {
			t.Errorf("%s: %v at %v after %d evaluations, of a fixed point at 0.142944", name, rep.Status[0], z[0], rep.Evals[0])
		}
	}
	// 0.6 times a rotation of the planes (0, 1) and (2, 3) in units of 1, 1e4, 1e-4 and 1
	unit := []float64{1, 1e4, 1e-4, 1}
	scaled := solvers.Problem[float64]{Batch: 1, Dim: 4, F: func(_ []int, z, fz []float64) error {
		for i := range fz {
			j, sign := i^1, float64(1-2*(i&1))
			fz[i] = 1 + 0.6*sign*z[j]*unit[j]/unit[i]
		}
		return nil
	}}
	for name, m := range map[string]solvers.Method[float64]{"picard": solvers.Picard[float64]{}, "anderson": solvers.Anderson[float64]{}, "newton": solvers.Newton[float64]{}} {
		if z, rep := solve(t, scaled, m, solvers.Settings{}); rep.Status[0] != solvers.Converged {
			t.Errorf("units of different scale, %s: %v at %v after %d evaluations", name, rep.Status[0], z, rep.Evals[0])
		}
	}
}
