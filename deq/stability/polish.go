package stability

import (
	"context"
	"errors"
	"math"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// spot is a state with what the cell does there.
type spot struct {
	z    []float64
	g    []float64  // f(z) − z
	j    *mat.Dense // ∂f/∂z
	size float64    // ‖g‖
	// noise bounds what rounding alone leaves of ‖g‖: (n + 8) u ‖ |z| + |J||z| ‖ with the unit roundoff u, as a product of n
	// terms and an activation are known to no more; as often as f is applied.
	noise float64
}

// still says that nothing but rounding is left of the residual.
func (p *spot) still() bool { return p.size <= p.noise }

// unit is the unit roundoff of the layer's numbers.
func unit[T deq.Float]() float64 {
	if _, single := any(T(0)).(float32); single {
		return 0x1p-24
	}
	return 0x1p-53
}

// residual returns f(z) − z, or where a search is for cycles f(… f(z)) − z.
func (s *search[T]) residual(z []float64) ([]float64, error) {
	own := make([]T, len(z))
	narrow(own, z)
	fz := append([]T(nil), own...)
	for range max(1, s.times) {
		here, err := s.layer.At(s.x, fz)
		if err != nil {
			return nil, err
		}
		if err := here.Next(fz); err != nil {
			return nil, err
		}
	}
	kernels.Sub(fz, fz, own)
	return widen(fz), nil
}

// spot looks at a state.
func (s *search[T]) spot(ctx context.Context, z []float64) (*spot, error) {
	own := make([]T, len(z))
	narrow(own, z)
	p := &spot{z: widen(own)}
	var err error
	if p.g, err = s.residual(p.z); err != nil {
		return nil, err
	}
	if p.j, err = s.derivative(ctx, own); err != nil {
		return nil, err
	}
	p.size, p.noise = norm(p.g), s.noise(p.j, p.z)
	return p, nil
}

// derivative is that of the residual but for −I.
func (s *search[T]) derivative(ctx context.Context, z []T) (*mat.Dense, error) {
	var all *mat.Dense
	for range max(1, s.times) {
		here, err := s.layer.At(s.x, z)
		if err != nil {
			return nil, err
		}
		j, err := Jacobian(ctx, here, 0)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = j
		} else {
			next := new(mat.Dense)
			next.Mul(j, all)
			all = next
		}
		if s.times > 1 {
			next := make([]T, len(z))
			if err := here.Next(next); err != nil {
				return nil, err
			}
			z = next
		}
	}
	return all, nil
}

// noise is that of a spot at z where the derivative is about j.
func (s *search[T]) noise(j *mat.Dense, z []float64) float64 {
	sum := 0.0
	for i, v := range z {
		c := math.Abs(v)
		for k, w := range j.RawRowView(i) {
			c += math.Abs(w * z[k])
		}
		sum += c * c
	}
	return float64(len(z)+8) * float64(max(1, s.times)) * unit[T]() * math.Sqrt(sum)
}

// apart is I − J.
func (p *spot) apart() *mat.Dense {
	n := len(p.z)
	a := mat.NewDense(n, n, nil)
	a.Scale(-1, p.j)
	for i := range n {
		a.Set(i, i, a.At(i, i)+1)
	}
	return a
}

// singular is the size of (I − J)⁻¹ from which the neighbourhood of a fixed point is looked at.
const singular = 1e5

// polish goes on from a state near a fixed point by Newton's method with halved steps, to where only rounding is left of
// the residual, and tells about how large ‖(I − J)⁻¹‖ is there, infinite where I − J is singular.
func (s *search[T]) polish(ctx context.Context, z []float64) (p *spot, inverse float64, err error) {
	const (
		most   = 200 // steps, which to a point of multiplicity m shrink by 1 − 1/m
		halves = 12
	)
	if p, err = s.spot(ctx, z); err != nil {
		return nil, 0, err
	}
	n := len(z)
	steps := most
	if s.times > 1 {
		steps = 8
	}
	for range steps {
		a := p.apart()
		var lu mat.LU
		lu.Factorize(a)
		inverse = lu.Cond() / mat.Norm(a, 1)
		if p.size == 0 || p.still() && !(inverse < singular) {
			return p, inverse, nil // a step would follow rounding
		}
		step := mat.NewVecDense(n, nil)
		if err := lu.SolveVecTo(step, false, mat.NewVecDense(n, p.g)); err != nil {
			var rough mat.Condition
			if !errors.As(err, &rough) || math.IsInf(float64(rough), 1) {
				return p, math.Inf(1), nil
			}
		}
		done, better := p.still(), false
		for t := 1.0; t >= math.Ldexp(1, -halves) && !better; t /= 2 {
			next := make([]float64, n)
			for i, v := range p.z {
				next[i] = v + t*step.AtVec(i)
			}
			if !kernels.AllFinite(next) {
				continue
			}
			g, err := s.residual(next)
			if err != nil {
				return nil, 0, err
			}
			if better = norm(g) < p.size; better {
				if p, err = s.spot(ctx, next); err != nil {
					return nil, 0, err
				}
			}
			if done {
				break
			}
		}
		if done || !better {
			return p, inverse, nil
		}
	}
	return p, inverse, nil
}

// factors are those of I − J = U Σ Vᵀ, the smallest singular values last.
type factors struct {
	u, v  *mat.Dense
	sigma []float64
}

// factor decomposes I − J, or returns nil where the iteration for its singular values does not converge.
func (p *spot) factor() *factors {
	var svd mat.SVD
	if !svd.Factorize(p.apart(), mat.SVDFull) {
		return nil
	}
	f := &factors{u: new(mat.Dense), v: new(mat.Dense), sigma: svd.Values(nil)}
	svd.UTo(f.u)
	svd.VTo(f.v)
	return f
}

// direction is the k-th right singular vector, counted from the smallest value.
func (f *factors) direction(k int) []float64 { return mat.Col(nil, len(f.sigma)-1-k, f.v) }

// weak counts the singular values up to a limit.
func (f *factors) weak(limit float64) int {
	count := 0
	for _, v := range f.sigma {
		if v <= limit {
			count++
		}
	}
	return count
}

// step is the least one that solves (I − J) step = g but for the components of the dropped smallest singular values.
func (f *factors) step(g []float64, dropped int) []float64 {
	n := len(g)
	c, out := mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	c.MulVec(f.u.T(), mat.NewVecDense(n, g))
	for i := range n {
		if i < n-dropped && f.sigma[i] > 0 {
			c.SetVec(i, c.AtVec(i)/f.sigma[i])
		} else {
			c.SetVec(i, 0)
		}
	}
	out.MulVec(f.v, c)
	return out.RawVector().Data
}

// along projects a vector on the span of the k right singular vectors of the smallest values.
func (f *factors) along(v []float64, k int) []float64 {
	out := make([]float64, len(v))
	for i := range k {
		d := f.direction(i)
		kernels.Axpy(kernels.Dot(d, v), d, out)
	}
	return out
}

// across is what is left of a residual but for the components along the left singular vectors of the dropped smallest values.
func (f *factors) across(g []float64, dropped int) float64 {
	n := len(g)
	c := mat.NewVecDense(n, nil)
	c.MulVec(f.u.T(), mat.NewVecDense(n, g))
	return norm(c.RawVector().Data[:n-dropped])
}

// correct goes from z by the least steps to a state beside it whose residual is at rounding level: all of it with d = −1, by steps
// across those directions whose singular values are no larger than the residual allows to tell, and with d > 0 all but
// its components along the d weakest directions, which are left. Factors of a place nearby, which may be nil, spare
// its own as long as they bring the residual down. It returns nil where it finds none.
func (s *search[T]) correct(ctx context.Context, z []float64, d int, f *factors) (*spot, *factors, error) {
	const rounds, chords = 40, 6
	p, err := s.spot(ctx, z)
	if err != nil {
		return nil, nil, err
	}
	own := false // whether the factors are those of p
	left := func(f *factors, g []float64) float64 {
		if d > 0 {
			return f.across(g, d)
		}
		return norm(g)
	}
	for range rounds {
		if p.still() {
			return p, f, nil
		}
		if f == nil {
			if f = p.factor(); f == nil {
				return nil, nil, nil
			}
			own = true
		}
		dropped := d
		if d < 0 {
			dropped = f.weak(10 * p.size)
		}
		was := left(f, p.g)
		if was <= p.noise {
			return p, f, nil
		}
		at, g, size := p.z, p.g, was
		for range chords {
			next := make([]float64, len(z))
			kernels.Add(next, at, f.step(g, dropped))
			if !kernels.AllFinite(next) {
				break
			}
			after, err := s.residual(next)
			if err != nil {
				return nil, nil, err
			}
			before, now := size, left(f, after)
			if now < before {
				at, g, size = next, after, now
			}
			if !(now < 0.2*before) || now <= p.noise {
				break
			}
		}
		switch {
		case size < was:
			if p, err = s.spot(ctx, at); err != nil {
				return nil, nil, err
			}
			if own = false; d < 0 || !(size < 0.2*was) {
				f = nil
			}
		case own:
			return nil, nil, nil
		default:
			f = nil
		}
	}
	return nil, nil, nil
}
