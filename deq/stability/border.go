package stability

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// gapOf is how far an eigenvalue is beyond the border of stability.
func gapOf(dynamics string) func(v complex128) float64 {
	if dynamics == "rate" {
		return func(v complex128) float64 { return real(v) - 1 }
	}
	return func(v complex128) float64 { return cmplx.Abs(v) - 1 }
}

// spectrum are eigenvalues of ∂f/∂z with bounds of their errors.
type spectrum struct {
	values   []complex128
	errors   []float64 // 0 where the border of stability is too far away to matter
	complete bool      // all that are beyond the border, or at it, are among them
}

// nearBorder is the distance from the border of stability, and of an eigenvalue from 1, below which its error is estimated.
const nearBorder = 0.1

// spectrum finds the eigenvalues at a point, as many as are wanted.
func (s *search[T]) spectrum(ctx context.Context, p FixedPoint) (out spectrum, err error) {
	n := s.layer.Units
	here, err := s.at(p.Z)
	if err != nil {
		return out, err
	}
	if n <= MaxDense && (s.K == 0 || n <= small) {
		j, err := dense(ctx, here, 0)
		if err != nil {
			return out, err
		}
		return s.spectrumOf(ctx, j, p)
	}
	return s.leading(ctx, here)
}

// spectrumOf finds all eigenvalues of the derivative j at a point.
func (s *search[T]) spectrumOf(ctx context.Context, j *mat.Dense, p FixedPoint) (out spectrum, err error) {
	if out.values, err = eigenvalues(j); err != nil {
		return out, err
	}
	out.complete = true
	if !slices.ContainsFunc(out.values, s.close) {
		out.errors = make([]float64, len(out.values))
		return out, nil
	}
	out.errors, err = s.errors(ctx, j, p, out.values)
	return out, err
}

// close says that the error of an eigenvalue matters.
func (s *search[T]) close(v complex128) bool {
	return math.Abs(gapOf(s.Dynamics)(v)) < nearBorder || cmplx.Abs(v-1) < nearBorder
}

// at is the layer at a state.
func (s *search[T]) at(z []float64) (*deq.Equilibrium[T], error) {
	own := make([]T, len(z))
	narrow(own, z)
	return s.layer.At(s.x, own)
}

// errors bounds the errors of the eigenvalues λ that are near the border of stability:
//
//	|δλ| ≤ κ (η + n ε ‖J‖ + |lᴴδJ r| + ‖δJ‖²),   κ = 1/|lᴴr|,
//
// with the right and left vectors r and l of unit length, the residual η = ‖J r − λ r‖, the precision ε of the layer's
// numbers, and the change δJ of the derivative as far as the position of the point is unsure. Where κ is large, as of
// eigenvalues that nearly coincide, that holds no more: there the border is within the error if a change of J of the size
// δ = η + n ε ‖J‖ + ‖δJ‖ can put an eigenvalue on it, σ_min(J − μI) ≤ δ for the nearest number μ on the border.
//
// G. W. Stewart and J. Sun, Matrix Perturbation Theory, Academic Press 1990, ch. IV.
func (s *search[T]) errors(ctx context.Context, j *mat.Dense, p FixedPoint, values []complex128) ([]float64, error) {
	out := make([]float64, len(values))
	beyond := gapOf(s.Dynamics)
	shifts, err := s.shifts(ctx, p, j)
	if err != nil {
		return nil, err
	}
	n := len(values)
	floor := float64(n) * 2 * unit[T]() * mat.Norm(j, 2)
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenBoth) {
		return nil, fmt.Errorf("stability: the eigenvalues of a %d×%d matrix did not converge", n, n)
	}
	again, right, left := eigen.Values(nil), new(mat.CDense), new(mat.CDense)
	eigen.VectorsTo(right)
	eigen.LeftVectorsTo(left)
	for i, v := range values {
		if !s.close(v) {
			continue
		}
		k := 0
		for c, w := range again {
			if cmplx.Abs(w-v) < cmplx.Abs(again[k]-v) {
				k = c
			}
		}
		r, l := make([]complex128, n), make([]complex128, n)
		for c := range n {
			r[c], l[c] = right.At(c, k), left.At(c, k)
		}
		size, projected := floor+miss(j, v, r), 0.0
		condition := 1 / overlap(l, r)
		for _, δ := range shifts {
			size += mat.Norm(δ, 2) * mat.Norm(δ, 2)
			projected = max(projected, condition*carried(δ, l, r))
		}
		const well = 1e3
		if condition <= well {
			out[i] = condition*size + projected
			continue
		}
		for _, δ := range shifts {
			size += mat.Norm(δ, 2)
		}
		// The border that is nearest, and 1 where that decides about the index.
		μ := complex(1, imag(v))
		if s.Dynamics != "rate" {
			μ = v / complex(cmplx.Abs(v), 0)
		}
		if smallest(j, μ) <= size || imag(v) == 0 && smallest(j, 1) <= size {
			out[i] = max(size, math.Abs(beyond(v)), cmplx.Abs(v-μ))
		} else {
			out[i] = min(condition*size, math.Abs(beyond(v))/2)
		}
	}
	return out, nil
}

// shifts are the changes δJ of the derivative as far as the position of a point is unsure, to either side.
func (s *search[T]) shifts(ctx context.Context, p FixedPoint, j *mat.Dense) (out []*mat.Dense, err error) {
	if !(p.Error > 0) {
		return nil, nil
	}
	n := len(p.Z)
	d := make([]float64, n)
	for i := range d {
		d[i] = 1 / math.Sqrt(float64(n))
	}
	var lu mat.LU
	lu.Factorize((&spot{z: p.Z, j: j}).apart())
	for range 2 { // the direction in which the position is least sure
		v := mat.NewVecDense(n, nil)
		if err := lu.SolveVecTo(v, false, mat.NewVecDense(n, d)); err != nil && math.IsInf(lu.Cond(), 1) {
			break
		}
		if size := mat.Norm(v, 2); size > 0 && !math.IsInf(size, 0) {
			for i := range d {
				d[i] = v.AtVec(i) / size
			}
		}
	}
	const visible = 1e-5 // a smaller change of the state is lost in rounding
	far := max(p.Error, visible*math.Sqrt(float64(n)))
	for _, sign := range []float64{1, -1} {
		z := append([]float64(nil), p.Z...)
		kernels.Axpy(sign*far, d, z)
		own := make([]T, n)
		narrow(own, z)
		other, err := s.derivative(ctx, own)
		if err != nil {
			return nil, err
		}
		other.Sub(other, j)
		other.Scale(min(1, p.Error/far), other)
		out = append(out, other)
	}
	return out, nil
}

// carried is |lᴴ δ r| / (‖l‖ ‖r‖).
func carried(δ *mat.Dense, l, r []complex128) float64 {
	image := make([]complex128, len(r))
	a, b := 0.0, 0.0
	for i := range image {
		for k, v := range δ.RawRowView(i) {
			image[i] += complex(v, 0) * r[k]
		}
		a, b = math.Hypot(a, cmplx.Abs(l[i])), math.Hypot(b, cmplx.Abs(r[i]))
	}
	var c complex128
	for i, v := range l {
		c += cmplx.Conj(v) * image[i]
	}
	return cmplx.Abs(c) / (a * b)
}

// miss is ‖J r − λ r‖.
func miss(j *mat.Dense, λ complex128, r []complex128) float64 {
	sum := 0.0
	for i, own := range r {
		c := -λ * own
		for k, v := range j.RawRowView(i) {
			c += complex(v, 0) * r[k]
		}
		sum += real(c)*real(c) + imag(c)*imag(c)
	}
	return math.Sqrt(sum)
}

// overlap is |lᴴr| / (‖l‖ ‖r‖).
func overlap(l, r []complex128) float64 {
	var c complex128
	a, b := 0.0, 0.0
	for i, v := range l {
		c += cmplx.Conj(v) * r[i]
		a, b = math.Hypot(a, cmplx.Abs(v)), math.Hypot(b, cmplx.Abs(r[i]))
	}
	return cmplx.Abs(c) / (a * b)
}

// smallest is the smallest singular value of J − μI.
func smallest(j *mat.Dense, μ complex128) float64 {
	n, _ := j.Dims()
	size := n
	if imag(μ) != 0 {
		size = 2 * n
	}
	a := mat.NewDense(size, size, nil) // as a real matrix: [Re −Im; Im Re]
	for i := range n {
		for k := range n {
			a.Set(i, k, j.At(i, k))
			if size > n {
				a.Set(n+i, n+k, j.At(i, k))
			}
		}
		a.Set(i, i, a.At(i, i)-real(μ))
		if size > n {
			a.Set(n+i, n+i, a.At(n+i, n+i)-real(μ))
			a.Set(i, n+i, imag(μ))
			a.Set(n+i, i, -imag(μ))
		}
	}
	var svd mat.SVD
	if !svd.Factorize(a, mat.SVDNone) {
		return math.NaN()
	}
	values := svd.Values(nil)
	return values[size-1]
}

// leading finds the eigenvalues that decide, by products alone: as many as are wanted, and where that is all, as many as there
// are beyond the border of stability and at it. That none is missed is checked by another space, which begins elsewhere.
func (s *search[T]) leading(ctx context.Context, here *deq.Equilibrium[T]) (out spectrum, err error) {
	const most = 80 // eigenvalues
	n := s.layer.Units
	beyond := gapOf(s.Dynamics)
	order := "modulus"
	if s.Dynamics == "rate" {
		order = "real"
	}
	k := s.K
	if k == 0 {
		k = 20
	}
	for {
		a := Arnoldi{K: k, Basis: max(40, 2*k+2), Order: order}
		if s.K == 0 && k > 20 {
			a.Restarts = 20
		}
		found, err := Leading(ctx, here, a)
		if err != nil {
			return out, err
		}
		first := found[0]
		out = spectrum{values: first.Values, errors: slices.Clone(first.Residual)}
		sharp := sharper(first, beyond)
		close := func(v complex128) bool { return math.Abs(beyond(v)) < nearBorder }
		if sharp && slices.ContainsFunc(out.values, close) {
			a.Left = true
			other, err := Leading(ctx, here, a)
			if err != nil {
				return out, err
			}
			for i, v := range out.values {
				if !close(v) {
					continue
				}
				at := 0
				for c, w := range other[0].Values {
					if cmplx.Abs(w-v) < cmplx.Abs(other[0].Values[at]-v) {
						at = c
					}
				}
				size := first.Residual[i] + float64(n)*2*unit[T]()*cmplx.Abs(first.Values[0])
				out.errors[i] = size / overlap(other[0].Vectors[at], first.Vectors[i])
			}
			a.Left = false
		}
		outside := func(values []complex128, errors func(i int) float64) (count int) {
			for i, v := range values {
				if beyond(v) > -errors(i) {
					count++
				}
			}
			return count
		}
		count := outside(out.values, func(i int) float64 { return out.errors[i] })
		if s.K == 0 && sharp && count < len(out.values) {
			a.Seed++
			check, err := Leading(ctx, here, a)
			if err != nil {
				return out, err
			}
			other := check[0]
			out.complete = sharper(other, beyond) && outside(other.Values, func(i int) float64 { return other.Residual[i] }) == count
		}
		if out.complete || s.K > 0 || k >= most || !sharp || count < len(out.values) {
			return out, nil
		}
		k *= 2
	}
}

// sharper says that the residuals of eigenvalues are far smaller than their distances from the border of stability, or as small as
// the tolerance.
func sharper(e Eigen, beyond func(complex128) float64) bool {
	for i, v := range e.Values {
		if !(e.Residual[i] <= max(0.1*math.Abs(beyond(v)), e.tol*cmplx.Abs(v))) {
			return false
		}
	}
	return true
}

// classify finds the spectrum of a point, and what it says.
func (s *search[T]) classify(ctx context.Context, p *FixedPoint) error {
	if p.Status == "" {
		if on, err := s.onKinks(ctx, p); on || err != nil {
			return err
		}
	}
	var found spectrum
	var err error
	if widest := p.Continuum.widest(); widest != nil {
		p.Z = widest.centre
		found, err = s.spectrumOf(ctx, widest.j, *p)
	} else {
		found, err = s.spectrum(ctx, *p)
	}
	if err != nil {
		return err
	}
	beyond := gapOf(s.Dynamics)
	order := make([]int, len(found.values))
	kind := make([]int, len(order)) // 1 unstable, 0 marginal, −1 stable
	p.Gap, p.Index = math.Inf(-1), 1
	rests := restingModes(found.values, p.Continuum.dimension())
	for i, v := range found.values {
		order[i] = i
		gap, bound := beyond(v), found.errors[i]
		switch {
		case rests[i]:
			p.Marginal++
		case gap > bound || gap == 0 && bound == 0:
			kind[i] = 1
			p.Unstable++
		case !(gap < -bound):
			p.Marginal++
		default:
			kind[i] = -1
		}
		if !(math.Abs(gap) >= math.Abs(p.Gap)) {
			p.Gap, p.GapError = gap, bound
		}
		if imag(v) == 0 && real(v) > 1 {
			p.Index *= -1
		}
		if cmplx.Abs(v-1) <= bound {
			p.Index = 0
		}
	}
	if p.Complete = found.complete; !p.Complete || p.Status == Slow {
		p.Index = 0
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(kind[b], kind[a]), cmp.Compare(beyond(found.values[b]), beyond(found.values[a])))
	})
	for _, i := range order {
		p.Values = append(p.Values, found.values[i])
	}
	if s.K > 0 && s.K < len(p.Values) {
		p.Values = p.Values[:s.K]
		p.Unstable = min(p.Unstable, s.K)
		p.Marginal = min(p.Marginal, s.K-p.Unstable)
	}
	if p.Status == "" {
		switch {
		case p.Unstable > 0:
			p.Status = Saddle
		case p.Marginal > 0:
			p.Status, p.Index = Marginal, 0
		default:
			p.Status = Stable
		}
	}
	if p.Continuum != nil {
		p.Index = 0
		return s.measure(ctx, p)
	}
	return nil
}

// restingModes marks the eigenvalues along a continuum of d dimensions: those nearest to 1.
func restingModes(values []complex128, d int) []bool {
	rests := make([]bool, len(values))
	for range min(d, len(values)) {
		nearest := -1
		for i, v := range values {
			if !rests[i] && (nearest < 0 || cmplx.Abs(v-1) < cmplx.Abs(values[nearest]-1)) {
				nearest = i
			}
		}
		rests[nearest] = true
	}
	return rests
}

// measure fills in what the spectra at a continuum's points say.
func (s *search[T]) measure(ctx context.Context, p *FixedPoint) error {
	c := p.Continuum
	if c.faces != nil {
		return s.measureFaces(ctx, p)
	}
	c.represent()
	c.Transversal, c.Attracting = math.Inf(-1), true
	for _, z := range c.Points {
		here := *p
		here.Z = z
		found, err := s.spectrum(ctx, here)
		if err != nil {
			return err
		}
		c.compare(found, c.Dimension, gapOf(s.Dynamics))
	}
	if c.Dimension == len(p.Z) {
		c.Transversal = math.NaN()
	}
	return nil
}

// compare takes in the spectrum at a state around which the continuum has d dimensions.
func (c *Continuum) compare(found spectrum, d int, beyond func(complex128) float64) {
	rests := restingModes(found.values, d)
	for i, v := range found.values {
		gap := beyond(v)
		if rests[i] {
			c.Neutrality = max(c.Neutrality, math.Abs(gap))
			continue
		}
		c.Transversal = max(c.Transversal, 1+gap)
		c.Attracting = c.Attracting && gap < -found.errors[i]
	}
}
