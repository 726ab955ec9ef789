package deq

import (
	"context"
	"fmt"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"attractor/internal/kernels"
	"attractor/models"
	"attractor/solvers"
)

// CheckSolver reports why a method cannot solve for the layer's equilibrium or its adjoint: it must be one that == can
// compare, as a struct without slices, maps and functions is, or a pointer; those that split operators need a cell with one activation, z⁺ = φ(Wz + Ux + b) or a leak of it, and
// Peaceman–Rachford one W for all samples.
func (l *Layer[T]) CheckSolver(with Solver[T]) error {
	if err := checkMethod(with.Method); err != nil {
		return err
	}
	if _, ok := with.Method.(solvers.Splitter); !ok {
		return nil
	}
	u, err := l.shards[0].program(cell)
	if err != nil {
		return err
	}
	if err := l.SingleActivation(); err != nil {
		return fmt.Errorf("deq: %w: %T splits cells z⁺ = φ(Wz + Ux + b) with one activation, as that of mondeq: %w", solvers.ErrNoSplitting, with.Method, err)
	}
	if _, ok := models.Function(u.expr.activation); !ok {
		return fmt.Errorf("deq: %w: %T needs φ as a function of a number, and %q is not one of %v", solvers.ErrNoSplitting, with.Method, u.expr.activation, models.Activations)
	}
	if _, ok := with.Method.(solvers.PeacemanRachford[T]); ok && len(u.expr.masks) > 0 {
		return fmt.Errorf("deq: %w: %T inverts one W for all samples, and dropout makes W differ between them", solvers.ErrNoSplitting, with.Method)
	}
	return nil
}

// splitting is the equilibrium of a shard as operator splitting sees it, for cells with one
// activation, z = φ(Wz + c): W is the derivative of the pre-activation, c its value at z = 0.
// It converges where I − W is strongly monotone, as that of models.MonDEQ is.
type splitting[T Float] struct {
	shard *shard[T]
	here  at[T]
	n     int // samples
	drive []T // c [n, units], when first needed
}

// Affine implements solvers.Splitting.
func (p *splitting[T]) Affine(rows []int, z, out []T) error {
	return p.shard.applyTo(preActivation, p.here, rows, z, out)
}

// Resolvent implements solvers.Splitting.
func (p *splitting[T]) Resolvent(alpha float64, rows []int, v, out []T) error {
	units := p.shard.layer.Units
	if p.drive == nil {
		p.drive = make([]T, p.n*units)
		if err := p.Affine(p.shard.all(p.n), make([]T, p.n*units), p.drive); err != nil {
			return err
		}
	}
	return p.shard.resolve(alpha, p.here, blas.Trans, out, func(in []float64) {
		for i, r := range rows {
			for k, c := range p.drive[r*units : (r+1)*units] {
				in[i*units+k] = float64(v[i*units+k]) + alpha*float64(c)
			}
		}
	})
}

// Prox implements solvers.Splitting.
func (p *splitting[T]) Prox(alpha float64, _ []int, v, out []T) {
	phi, _ := models.Function(p.shard.units[cell].expr.activation) // which CheckSolver has seen to
	for i, x := range v {
		out[i] = T(solvers.Prox(alpha, float64(x), phi))
	}
}

// adjointBySplitting is Adjoint by a method that splits operators. With G = φ′(pre) and ℓ = dz it solves
//
//	v = G (Wᵀv + ℓ),   αu = ℓ + Wᵀv,
//
// whose residual is that of (I − Jᵀ)u = ℓ but for a factor Wᵀ; α is the cell's leak.
func (e *Equilibrium[T]) adjointBySplitting(ctx context.Context, dz, u []T, with Solver[T]) (*solvers.Report, error) {
	if err := e.layer.CheckSolver(with); err != nil {
		return nil, err
	}
	v, leak := make([]T, len(u)), T(e.layer.leak)
	if err := e.apply(gain, "u", u, "v", v); err != nil { // αGu
		return nil, err
	}
	report, err := e.solve(ctx, v, with, func(s *shard[T], n int) solvers.Problem[T] {
		return solvers.Split(n, e.layer.Units, solvers.Splitting[T](&splittingAdjoint[T]{
			shard: s, here: e.at(s, n), n: n, dz: e.states(s, n, dz),
		}))
	})
	if err != nil {
		return report, err
	}
	if err := e.RecurrentAdjoint(v, u); err != nil {
		return report, err
	}
	kernels.Add(u, u, dz)
	kernels.Scale(u, 1/leak, u)
	return report, nil
}

// splittingAdjoint is the adjoint of a splitting at z*, an equilibrium v = G(Wᵀv + ℓ) of its own.
type splittingAdjoint[T Float] struct {
	shard *shard[T]
	here  at[T]
	n     int // samples
	dz    []T // ℓ [n, units]
	slope []T // φ′(pre) [n, units], when first needed
}

// Affine implements solvers.Splitting: Wᵀv.
func (p *splittingAdjoint[T]) Affine(rows []int, v, out []T) error {
	if p.slope == nil {
		p.slope = make([]T, len(p.dz))
		ones := make([]T, len(p.dz))
		for i := range ones {
			ones[i] = T(1 / p.shard.layer.leak)
		}
		if err := p.shard.applyTo(gain, p.here, p.shard.all(p.n), ones, p.slope); err != nil {
			return err
		}
	}
	return p.shard.applyTo(recurrentAdjoint, p.here, rows, v, out)
}

// Resolvent implements solvers.Splitting.
func (p *splittingAdjoint[T]) Resolvent(alpha float64, _ []int, v, out []T) error {
	return p.shard.resolve(alpha, p.here, blas.NoTrans, out, func(in []float64) {
		for i, x := range v {
			in[i] = float64(x)
		}
	})
}

// Prox implements solvers.Splitting: with j = φ′ it is j(x + αℓ)/(j + α(1 − j)).
func (p *splittingAdjoint[T]) Prox(alpha float64, rows []int, x, out []T) {
	units := p.shard.layer.Units
	for i, r := range rows {
		for k := range units {
			j := float64(p.slope[r*units+k])
			out[i*units+k] = T(j * (float64(x[i*units+k]) + alpha*float64(p.dz[r*units+k])) / (j + alpha*(1-j)))
		}
	}
}

// resolvent is (I + α(I − W))⁻¹ for the parameters of a version, made by the first shard that wants it.
type resolvent struct {
	sync.Mutex
	version uint64
	alpha   float64
	inverse *mat.Dense // nil at first
}

func (r *resolvent) bytes() int {
	r.Lock()
	defer r.Unlock()
	if r.inverse == nil {
		return 0
	}
	rows, columns := r.inverse.Dims()
	return 8 * rows * columns
}

// resolvent returns (I + α(I − W))⁻¹ for the parameters of now.
func (s *shard[T]) resolvent(alpha float64, here at[T]) (blas64.General, error) {
	r := &s.layer.resolvent
	r.Lock()
	defer r.Unlock()
	if r.inverse == nil || r.version != s.layer.version || r.alpha != alpha {
		inverse, err := s.invert(alpha, here)
		if err != nil {
			return blas64.General{}, err
		}
		r.version, r.alpha, r.inverse = s.layer.version, alpha, inverse
	}
	return r.inverse.RawMatrix(), nil
}

// resolve writes the rows that fill has written, times (I + α(I − W))⁻¹ or its transpose, to out.
func (s *shard[T]) resolve(alpha float64, here at[T], side blas.Transpose, out []T, fill func(in []float64)) error {
	inverse, err := s.resolvent(alpha, here)
	if err != nil {
		return err
	}
	units := s.layer.Units
	s.between, s.resolved = sized(s.between, s.capacity*units), sized(s.resolved, s.capacity*units)
	rows := func(data []float64) blas64.General {
		return blas64.General{Rows: len(out) / units, Cols: units, Stride: units, Data: data}
	}
	fill(s.between)
	blas64.Gemm(blas.NoTrans, side, 1, rows(s.between), inverse, 0, rows(s.resolved))
	for i := range out {
		out[i] = T(s.resolved[i])
	}
	return nil
}

// invert assembles W from its products with unit vectors.
func (s *shard[T]) invert(alpha float64, here at[T]) (*mat.Dense, error) {
	units, rows := s.layer.Units, len(here.x)/s.layer.Inputs
	point := at[T]{id: s.layer.points.Add(1), x: here.x, z: make([]T, rows*units), masked: here.masked}
	m := mat.NewDense(units, units, nil)
	unit, column := make([]T, rows*units), make([]T, rows*units)
	for first := 0; first < units; first += rows {
		k := min(rows, units-first)
		clear(unit)
		for i := range k {
			unit[i*units+first+i] = 1
		}
		if err := s.applyTo(recurrent, point, s.all(rows), unit, column); err != nil {
			return nil, err
		}
		for i := range k {
			for j := range units {
				m.Set(j, first+i, -alpha*float64(column[i*units+j]))
			}
		}
	}
	for i := range units {
		m.Set(i, i, m.At(i, i)+1+alpha)
	}
	if err := m.Inverse(m); err != nil {
		return nil, fmt.Errorf("deq: I + α(I − W) for α = %g: %w", alpha, err)
	}
	return m, nil
}
