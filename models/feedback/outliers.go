package feedback

import (
	"cmp"
	"fmt"
	"math/cmplx"
	"slices"

	"attractor/internal/kernels"

	"gonum.org/v1/gonum/mat"
)

// Outliers returns, for the states of a network with one loop whose rates are given [rows, units], the
// eigenvalues of (W + mnᵀ)φ′ that are outside the bulk of the spectrum of Wφ′, a disc of the given radii
// [rows], those with the larger real part first. There are n [rows, units] of their own for all
// states.
//
// They are the roots of nᵀφ′(λ − Wφ′)⁻¹m = 1, that is of
//
//	λᵏ = Σ_{j<k} c_j λ^{k−1−j},   c_j = nᵀφ′(Wφ′)ʲm
//
// where terms beyond k matter less than those before by (radius/|λ|)ᵏ. What is within 0.05 of the disc is
// not told from the bulk and left out. The polynomial is solved for λ over the radius of that, for which its
// coefficients are of one size: rounding would put false roots outside a small disc otherwise.
func (n *Network[T]) Outliers(rates, readouts []T, radii []float64) ([][]complex128, error) {
	rows := len(radii)
	if n.Loops != 1 || len(rates) != rows*n.Units || len(readouts) != len(rates) {
		panic(fmt.Sprintf("feedback: outliers of %d rates with %d weights and %d radii: expected one loop, found %d", len(rates), len(readouts), rows, n.Loops))
	}
	const order, margin = 48, 0.05
	slope, v, next := make([]T, len(rates)), make([]T, len(rates)), make([]T, len(rates))
	kernels.Mul(slope, rates, rates)
	kernels.ScalarSub(slope, 1, slope)
	for row := range rows {
		copy(v[row*n.Units:], n.M)
	}
	moments := make([][]float64, rows)
	for range order {
		kernels.Mul(v, v, slope)
		for row := range rows {
			of := func(a []T) []T { return a[row*n.Units : (row+1)*n.Units] }
			moments[row] = append(moments[row], kernels.Dot(of(readouts), of(v)))
		}
		kernels.GemmPacked(rows, v, n.Units, &n.w, 0, next, n.Units, nil)
		v, next = next, v
	}
	out := make([][]complex128, rows)
	for row, c := range moments {
		edge := radii[row] + margin
		companion := mat.NewDense(order, order, nil)
		power := 1.0
		for j, v := range c {
			power *= edge
			companion.Set(0, j, v/power)
			if j > 0 {
				companion.Set(j, j-1, 1)
			}
		}
		var eigen mat.Eigen
		if !eigen.Factorize(companion, mat.EigenNone) {
			return nil, fmt.Errorf("feedback: the outliers of state %d: the eigenvalues of the companion matrix did not converge", row)
		}
		for _, l := range eigen.Values(nil) {
			if cmplx.Abs(l) > 1 {
				out[row] = append(out[row], l*complex(edge, 0))
			}
		}
		slices.SortFunc(out[row], func(a, b complex128) int { return cmp.Or(cmp.Compare(real(b), real(a)), cmp.Compare(imag(b), imag(a))) })
	}
	return out, nil
}
