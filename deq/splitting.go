package deq

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"attractor/solvers"
)

// splitting is the equilibrium of a shard as operator splitting sees it, for cells with one
// activation, z = φ(Wz + c): W is the derivative of the pre-activation, c its value at z = 0.
// It converges where I − W is strongly monotone, as that of models.MonDEQ is.
type splitting[T Float] struct {
	shard *shard[T]
	here  at[T]
	n     int // samples
	drive []T // c [n, units], when first needed
}

// resolvent is (I + α(I − W))⁻¹ for the parameters of a version.
type resolvent struct {
	version uint64
	alpha   float64
	inverse *mat.Dense
}

// Affine implements solvers.Splitting.
func (p *splitting[T]) Affine(rows []int, z, out []T) error {
	return p.shard.applyTo(preActivation, p.here, rows, z, out)
}

// Resolvent implements solvers.Splitting.
func (p *splitting[T]) Resolvent(alpha float64, rows []int, v, out []T) error {
	inverse, err := p.resolvent(alpha)
	if err != nil {
		return err
	}
	units := p.shard.layer.Units
	if p.drive == nil {
		p.drive = make([]T, p.n*units)
		if err := p.Affine(p.shard.all(p.n), make([]T, p.n*units), p.drive); err != nil {
			return err
		}
	}
	in, product := make([]float64, units), make([]float64, units)
	for i, r := range rows {
		for k := range in {
			in[k] = float64(v[i*units+k]) + alpha*float64(p.drive[r*units+k])
		}
		mat.NewVecDense(units, product).MulVec(inverse, mat.NewVecDense(units, in))
		for k, x := range product {
			out[i*units+k] = T(x)
		}
	}
	return nil
}

// resolvent assembles W from its products with unit vectors, once per update.
func (p *splitting[T]) resolvent(alpha float64) (*mat.Dense, error) {
	s, units := p.shard, p.shard.layer.Units
	if r := s.resolvent; r != nil && r.version == s.layer.version && r.alpha == alpha {
		return r.inverse, nil
	}
	point := at[T]{id: s.layer.points.Add(1), x: p.here.x, z: make([]T, p.n*units), masked: p.here.masked}
	m := mat.NewDense(units, units, nil)
	unit, column := make([]T, p.n*units), make([]T, p.n*units)
	for first := 0; first < units; first += p.n {
		k := min(p.n, units-first)
		clear(unit)
		for i := range k {
			unit[i*units+first+i] = 1
		}
		if err := s.applyTo(recurrent, point, s.all(p.n), unit, column); err != nil {
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
	s.resolvent = &resolvent{version: s.layer.version, alpha: alpha, inverse: m}
	return m, nil
}

// Prox implements solvers.Splitting.
func (p *splitting[T]) Prox(alpha float64, _ []int, v, out []T) {
	phi := activation(p.shard.units[cell].expr.activation)
	for i, x := range v {
		out[i] = T(solvers.Prox(alpha, float64(x), phi))
	}
}

// activation returns φ and φ′.
func activation(name string) func(t float64) (value, slope float64) {
	switch name {
	case "tanh":
		return func(t float64) (float64, float64) { p := math.Tanh(t); return p, 1 - p*p }
	case "relu":
		return func(t float64) (float64, float64) {
			if t > 0 {
				return t, 1
			}
			return 0, 0
		}
	case "sigmoid":
		return func(t float64) (float64, float64) { p := 1 / (1 + math.Exp(-t)); return p, p * (1 - p) }
	case "softplus":
		return func(t float64) (float64, float64) {
			return max(t, 0) + math.Log1p(math.Exp(-math.Abs(t))), 1 / (1 + math.Exp(-t))
		}
	}
	return func(t float64) (float64, float64) { return t, 1 }
}
