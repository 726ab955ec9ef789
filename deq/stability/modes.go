package stability

import (
	"context"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"attractor/deq"
	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// Modes are the eigenvalues of a Jacobian with their vectors, those nearest to 1 first, which
// answer most to a constant input.
type Modes struct {
	Values []complex128
	Right  [][]complex128 // J r = λ r, of unit length
	Left   [][]complex128 // lᴴJ = λ lᴴ, with lᴴr = 1 for the same mode and 0 for the others
}

// ModesOfMatrix decomposes a matrix that is not defective.
func ModesOfMatrix(j *mat.Dense) (*Modes, error) {
	n, _ := j.Dims()
	var eigen mat.Eigen
	if !eigen.Factorize(j, mat.EigenBoth) {
		return nil, fmt.Errorf("stability: the eigenvalues of a %d×%d matrix did not converge", n, n)
	}
	values, right, left := eigen.Values(nil), new(mat.CDense), new(mat.CDense)
	eigen.VectorsTo(right)
	eigen.LeftVectorsTo(left)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := cmplx.Abs(1-values[a]), cmplx.Abs(1-values[b])
		if math.Abs(x-y) > 1e-12*max(x, y) {
			if x < y {
				return -1
			}
			return 1
		}
		return byModulus(values[a], values[b])
	})
	m := &Modes{}
	for _, i := range order {
		r, l := make([]complex128, n), make([]complex128, n)
		var overlap complex128
		for k := range n {
			r[k], l[k] = right.At(k, i), left.At(k, i)
			overlap += cmplx.Conj(l[k]) * r[k]
		}
		if cmplx.Abs(overlap) < 1e-13 {
			return nil, fmt.Errorf("stability: the eigenvalue %v has no left vector that goes with its right one: the matrix is defective", values[i])
		}
		for k := range l {
			l[k] /= cmplx.Conj(overlap)
		}
		m.Values, m.Right, m.Left = append(m.Values, values[i]), append(m.Right, r), append(m.Left, l)
	}
	return m, nil
}

// nearest is the mode of an eigenvalue.
func (m *Modes) nearest(value complex128) int {
	best := 0
	for i, v := range m.Values {
		if cmplx.Abs(v-value) < cmplx.Abs(m.Values[best]-value) {
			best = i
		}
	}
	return best
}

// Response is the linear response of the fixed point to a small constant addition b to f, by the first k
// modes, with one more where that would split a pair:
//
//	δz = Σ_{i<k} r_i (l_iᴴ b)/(1 − λ_i),
//
// which with all is (I − J)⁻¹ b.
func (m *Modes) Response(b []float64, k int) []float64 {
	k = min(k, len(m.Values))
	if k > 0 && k < len(m.Values) && imag(m.Values[k-1]) > 0 {
		k++
	}
	out := make([]float64, len(b))
	for i, value := range m.Values[:k] {
		var c complex128
		for j, v := range b {
			c += cmplx.Conj(m.Left[i][j]) * complex(v, 0)
		}
		c /= 1 - value
		for j, r := range m.Right[i] {
			out[j] += real(c * r)
		}
	}
	return out
}

// Place returns the vector n for which J + m nᵀ has the eigenvalues to in place of from, and the others of J: what a
// low-rank loop out of n and into m must be to move them. Each from is the nearest eigenvalue of J; complex
// ones come with their conjugates, in both lists.
//
//	n = −Σ_i l̄_i Π_j(λ_i − to_j) / [(l_iᴴm) Π_{j≠i}(λ_i − λ_j)]
//
// J. D. Simon and S. K. Mitter, Information and Control 13 (1968) 316–353,
// doi:10.1016/S0019-9958(68)90834-8.
func (m *Modes) Place(into []float64, from, to []complex128) ([]float64, error) {
	if len(from) != len(to) || len(into) != len(m.Values) {
		return nil, fmt.Errorf("stability: place %d eigenvalues at %d by a vector of %d: expected as many and one of %d", len(from), len(to), len(into), len(m.Values))
	}
	for _, list := range [][]complex128{from, to} {
		for _, v := range list {
			if imag(v) != 0 && !slices.Contains(list, cmplx.Conj(v)) {
				return nil, fmt.Errorf("stability: place %v: expected its conjugate too", v)
			}
		}
	}
	var at []int
	for _, v := range from {
		i := m.nearest(v)
		if slices.Contains(at, i) {
			return nil, fmt.Errorf("stability: place %v: the eigenvalue nearest to it, %v, is moved already", v, m.Values[i])
		}
		at = append(at, i)
	}
	for _, i := range at {
		if v := m.Values[i]; imag(v) != 0 && !slices.Contains(at, m.nearest(cmplx.Conj(v))) {
			return nil, fmt.Errorf("stability: place: expected the conjugate of the eigenvalue %v among those that are moved", v)
		}
	}
	out := make([]float64, len(into))
	for _, i := range at {
		var reach complex128
		for k, v := range into {
			reach += cmplx.Conj(m.Left[i][k]) * complex(v, 0)
		}
		c := complex(1, 0)
		for a, j := range at {
			c *= m.Values[i] - to[a]
			if j != i {
				c /= m.Values[i] - m.Values[j]
			}
		}
		if c /= -reach; cmplx.IsNaN(c) || cmplx.IsInf(c) {
			return nil, fmt.Errorf("stability: the eigenvalue %v cannot be moved: the loop's vector does not reach its mode, or it is a multiple one", m.Values[i])
		}
		for k := range out {
			out[k] += real(c * cmplx.Conj(m.Left[i][k]))
		}
	}
	return out, nil
}

// Split tells eigenvalues outside a disc around 0, the outliers, from those within, the bulk.
func Split(values []complex128, radius float64) (bulk, outliers []complex128) {
	for _, v := range values {
		if cmplx.Abs(v) > radius {
			outliers = append(outliers, v)
		} else {
			bulk = append(bulk, v)
		}
	}
	return bulk, outliers
}

// BulkRadius estimates the radius of the disc that holds the eigenvalues of a random matrix J but for
// a few outliers, which pass it by a twentieth and 3/√n: the root of (‖J‖²_F − s)/n. What a loop of low rank
// adds to ‖J‖²_F, s, is that of the singular values above a gap between two of the largest n/10, of a ratio of
// 1.5 at least, or of the outliers where these are more. For J_ij of independent entries, also with a variance for
// each row, and a loop of any vectors beside them, it tends to the true one.
//
// T. Tao, Probability Theory and Related Fields 155 (2013) 231–263, doi:10.1007/s00440-011-0397-9.
func BulkRadius(j *mat.Dense, values []complex128) (radius, edge float64, err error) {
	var svd mat.SVD
	if !svd.Factorize(j, mat.SVDNone) {
		return 0, 0, fmt.Errorf("stability: the radius of the bulk: the singular values did not converge")
	}
	singular := svd.Values(nil)
	whole := 0.0
	for _, s := range singular {
		whole += s * s
	}
	radius, edge = bulk(len(singular), whole, singular, values)
	return radius, edge, nil
}

// BulkRadiusAt is BulkRadius for J of one sample by products alone: ‖J‖²_F is summed over its columns, and the singular values
// that are looked at for a gap are the 20 largest. values are eigenvalues of J, those of largest modulus at least: outliers that
// are not among them are taken for bulk.
func BulkRadiusAt[T deq.Float](ctx context.Context, e *deq.Equilibrium[T], sample int, values []complex128) (radius, edge float64, err error) {
	const largest = 20
	n := e.Layer().Units
	rows := min(n, e.Layer().Batch())
	same, err := e.Repeat(sample, rows)
	if err != nil {
		return 0, 0, err
	}
	whole := 0.0
	v, jv := make([]T, rows*n), make([]T, rows*n)
	for first := 0; first < n; first += rows {
		if err := ctx.Err(); err != nil {
			return 0, 0, fmt.Errorf("stability: the radius of the bulk: %w", err)
		}
		clear(v)
		columns := min(rows, n-first)
		for i := range columns {
			v[i*n+first+i] = 1
		}
		if err := same.JVP(v, jv); err != nil {
			return 0, 0, err
		}
		whole += kernels.SumSquares(jv[:columns*n])
	}
	one, err := e.Repeat(sample, 1)
	if err != nil {
		return 0, 0, err
	}
	between := make([]T, n)
	found, err := leading(ctx, 1, n, func(v, jtjv []T) error {
		if err := one.JVP(v, between); err != nil {
			return err
		}
		return one.ApplyJT(between, jtjv)
	}, Arnoldi{K: largest, Basis: 60, Order: "real", Tol: 1e-3, Restarts: 5}) // a gap shows early
	if err != nil {
		return 0, 0, err
	}
	var singular []float64
	for _, s := range found[0].Values {
		singular = append(singular, math.Sqrt(max(0, real(s))))
	}
	radius, edge = bulk(n, whole, singular, values)
	return radius, edge, nil
}

// bulk is the radius for n units of the sum of all squares, of the largest singular values and of eigenvalues.
func bulk(units int, whole float64, singular []float64, values []complex128) (radius, edge float64) {
	const gap = 1.5
	n := float64(units)
	loops, sum := 0.0, 0.0
	for i, s := range singular[:len(singular)-1] {
		if sum += s * s; i < units/10 && s > gap*singular[i+1] {
			loops = sum
		}
	}
	outside := loops
	for range units {
		radius = math.Sqrt(max(0, whole-outside) / n)
		edge = radius * (1.05 + 3/math.Sqrt(n))
		_, outliers := Split(values, edge)
		sum := 0.0
		for _, v := range outliers {
			sum += real(v)*real(v) + imag(v)*imag(v)
		}
		if sum <= outside {
			break
		}
		outside = sum
	}
	return radius, edge
}
